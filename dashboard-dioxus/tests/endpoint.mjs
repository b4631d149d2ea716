// A server that the jobs of the tests call.

import { createServer } from "node:http";
import { once } from "node:events";
import { after } from "node:test";

// Starts a server on a free port. Requests wait for `respond`, unless `immediately` is the status of every response.
export async function startEndpoint({ immediately } = {}) {
  const waiting = [];
  const arrivals = [];
  const server = createServer((request, response) => {
    arrivals.splice(0).forEach((arrived) => arrived());
    if (immediately) response.writeHead(immediately).end("done");
    else waiting.push(response);
  });
  server.listen(0);
  await once(server, "listening");
  after(() => {
    server.closeAllConnections();
    server.close();
  });
  return {
    url: `http://localhost:${server.address().port}/hook`,
    // Waits until a request has arrived.
    arrived: () => (waiting.length > 0 ? Promise.resolve() : new Promise((resolve) => arrivals.push(resolve))),
    respond: (status = 200, body = "done") =>
      waiting.splice(0).forEach((response) => response.writeHead(status).end(body)),
  };
}
