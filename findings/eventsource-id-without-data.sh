#!/usr/bin/env bash
# eventsource 4.1.1 (npm): an event that has only an id doesn't change the id that the client sends when it reconnects.
# By the HTML standard it does, and undici 7.30.2 sends it.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/support/setup.bash"

npm install --silent --no-audit --no-fund --prefix "$work" eventsource@4.1.1 undici@7.30.2
cat >"$work/client.mjs" <<'JAVASCRIPT'
// Sends an event with data and one without, and ends the response, so that the client reconnects.
import { createServer } from "node:http";
import { EventSource as Package } from "eventsource";
import { EventSource as Undici } from "undici";

for (const [name, EventSource] of [["eventsource", Package], ["undici", Undici]]) {
  let reconnected;
  const lastId = new Promise((resolve) => (reconnected = resolve));
  let requests = 0;
  const server = createServer((request, response) => {
    requests += 1;
    if (requests > 1) reconnected(request.headers["last-event-id"]);
    response.writeHead(200, { "content-type": "text/event-stream" });
    if (requests === 1) response.end("retry: 10\nid: 1\ndata: first\n\nid: 2\n\n");
  });
  await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
  const source = new EventSource(`http://127.0.0.1:${server.address().port}/`);
  const events = [];
  source.onmessage = (event) => events.push(`${event.lastEventId} ${event.data}`);
  const id = await lastId;
  console.log(`${name}: received ${JSON.stringify(events)}, reconnected with the id ${id}`);
  source.close();
  server.closeAllConnections();
  server.close();
}
process.exit();
JAVASCRIPT

echo 'eventsource 4.1.1, undici 7.30.2:'
node --no-warnings "$work/client.mjs" | expect 'eventsource: received ["1 first"], reconnected with the id 1
undici: received ["1 first"], reconnected with the id 2'
