// The log of a run in progress while many tabs show logs.

import { test } from "node:test";
import { startEndpoint } from "./endpoint.mjs";
import { admin, createProject, eventually, heading, openPage, shown, url } from "./support.mjs";

// Creates a job and starts it. Returns the id of the run.
async function startRun(project, name, httpUrl) {
  const fields = { type: "http", scheduleCron: "0 3 1 1 *", projectId: project.id, httpUrl };
  const job = await admin("POST", "/jobs", { name, ...fields });
  return (await admin("POST", `/jobs/${job.id}/run`, {})).runId;
}

test("log that the stream leaves out, because it contains four others, is still followed", async (t) => {
  const project = await createProject("many logs");
  const ended = await startEndpoint({ immediately: 200 });
  const others = [];
  for (const number of [1, 2, 3, 4]) others.push(await startRun(project, `Other ${number}`, ended.url));
  const endpoint = await startEndpoint();
  const run = await startRun(project, "Left out", endpoint.url);
  await endpoint.arrived();
  const leader = await openPage(t);
  const streams = [];
  leader.on("request", (request) => {
    if (request.resourceType() === "eventsource") streams.push(new URL(request.url()));
  });
  await leader.goto(`${url}/runs`);
  await shown(heading(leader, "Runs"));
  // A tab that shows four logs. Its name comes first in the order of tabs.
  await leader.evaluate((runs) => {
    const list = runs.map((run, index) => ({ id: `!-${index}`, run, offset: 0 }));
    const channel = new BroadcastChannel("atlashub-events");
    setInterval(() => channel.postMessage(JSON.stringify({ Subscriptions: { tab: "!", list } })), 200);
  }, others);
  const logsOf = (stream) => stream.searchParams.get("log")?.split(",").toSorted().join();
  const expected = others.toSorted().join();
  await eventually(() => streams.some((stream) => logsOf(stream) === expected), "the stream of four logs");
  const page = await leader.context().newPage();
  await page.goto(`${url}/runs/${run}`);
  await shown(page.getByRole("status").filter({ hasText: /^Following/ }));
  endpoint.respond();
  await shown(page.getByText("Succeeded", { exact: true }));
  await shown(page.getByRole("status").filter({ hasText: /^\d+ lines?/ }));
});
