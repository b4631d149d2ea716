import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { startEndpoint } from "./endpoint.mjs";
import {
  admin, button, createProject, eventually, expectAccessible, heading, hidden, openPage, shown, url,
} from "./support.mjs";

// Jobs without HTTP requests: the backup plugin creates a backup, or fails because its database does not exist.
const succeeding = (project) => ({
  type: "platform",
  plugin: "backup",
  pluginJob: "backup",
  params: { target: `project:${project.id}` },
});
const failing = () => ({ type: "platform", plugin: "backup", pluginJob: "backup", params: { target: "project:gone" } });

const createJob = (project, name, fields) =>
  admin("POST", "/jobs", { type: "http", scheduleCron: "0 3 1 1 *", name, projectId: project.id, ...fields });
const start = async (job) => (await admin("POST", `/jobs/${job.id}/run`, {})).runId;
const end = (run) => eventually(async () => (await admin("GET", `/runs/${run}`)).finishedAt, "the end of the run");

// Creates a project with a run that has failed.
async function endedRun() {
  const project = await createProject("ended run");
  const endpoint = await startEndpoint({ immediately: 500 });
  const job = await createJob(project, "Ended", { httpUrl: endpoint.url });
  const run = await start(job);
  await end(run);
  return { project, job, run };
}

const line = (level, message, fields = {}) => ({ at: "2026-02-03T14:31:02.114Z", level, message, fields });

// Replaces the log of an ended run.
const serveLog = (page, run, lines) =>
  page.route(`**/admin/v1/runs/${run}/log`, (route) => route.fulfill({ json: { items: lines, nextCursor: null } }));

const log = (page) => page.getByRole("log", { name: "Log" });
const runs = (page) => page.getByRole("table", { name: "Runs" });

// Returns a list to which the URL of each stream that the page opens is added.
function streamsOf(page) {
  const streams = [];
  page.on("request", (request) => {
    if (request.resourceType() === "eventsource") streams.push(new URL(request.url()));
  });
  return streams;
}

test("run in progress shows new lines and its end without a reload", async (t) => {
  const project = await createProject("followed");
  const endpoint = await startEndpoint();
  const run = await start(await createJob(project, "Followed", { httpUrl: endpoint.url }));
  await endpoint.arrived();
  const page = await openPage(t);
  const streams = streamsOf(page);
  await page.goto(`${url}/runs/${run}`);
  await shown(page.getByText("Running", { exact: true }));
  await shown(page.getByRole("status").filter({ hasText: /^Following/ }));
  const before = await log(page).locator(".line").count();
  endpoint.respond();
  await shown(page.getByText("Succeeded", { exact: true }));
  await eventually(async () => (await log(page).locator(".line").count()) > before, "new lines");
  assert.ok(streams.length > 0 && streams.every(({ pathname }) => pathname === "/admin/v1/events"), streams.join(" "));
});

test("logs in two tabs come from one stream", async (t) => {
  const project = await createProject("two tabs");
  const endpoints = [await startEndpoint(), await startEndpoint()];
  const started = [];
  for (const endpoint of endpoints) {
    started.push(await start(await createJob(project, `Tab ${started.length}`, { httpUrl: endpoint.url })));
    await endpoint.arrived();
  }
  const first = await openPage(t);
  await first.goto(`${url}/runs/${started[0]}`);
  await shown(first.getByRole("status").filter({ hasText: /^Following/ }));
  const second = await first.context().newPage();
  const streams = streamsOf(second);
  await second.goto(`${url}/runs/${started[1]}`);
  await shown(second.getByRole("status").filter({ hasText: /^Following/ }));
  for (const [index, page] of [first, second].entries()) {
    const before = await log(page).locator(".line").count();
    endpoints[index].respond();
    await shown(page.getByText("Succeeded", { exact: true }));
    await eventually(async () => (await log(page).locator(".line").count()) > before, "new lines");
  }
  assert.deepEqual(streams, []);
});

test("broken stream reconnects and continues after the last line", async (t) => {
  const project = await createProject("reconnecting");
  const endpoint = await startEndpoint();
  const run = await start(await createJob(project, "Reconnecting", { httpUrl: endpoint.url }));
  await endpoint.arrived();
  const page = await openPage(t);
  const event = (name, id, data) => `event: ${name}\nid: ${id}\ndata: ${JSON.stringify(data)}\n\n`;
  const started = `retry: 10\n${event("system", "p-1-0", { id: null, projectId: null, state: "started" })}`;
  const fulfil = (route, body) => route.fulfill({ contentType: "text/event-stream", body });
  let isBroken = false;
  let reconnection;
  await page.route("**/admin/v1/events?log=*", (route) => {
    if (!isBroken) {
      isBroken = true;
      return fulfil(route, `${started}${event("log", "p-1-80", { runId: run, ...line("info", "first line") })}`);
    }
    reconnection ??= route;
    return undefined;
  });
  // Without a stream, the page reads the log at intervals. That would hide a stream that does not continue.
  await page.route(`**/admin/v1/runs/${run}/log`, (route) => route.fulfill({ json: { items: [], nextCursor: null } }));
  await page.goto(`${url}/runs/${run}`);
  await shown(log(page).getByText("first line"));
  await shown(page.getByRole("status").filter({ hasText: /^Reconnecting…/ }));
  await eventually(() => reconnection, "the second request");
  await fulfil(reconnection, [
    started.replace("p-1-0", "p-1-80"),
    event("log", "p-1-160", { runId: run, ...line("info", "second line") }),
    event("logEnd", "p-1-160", { runId: run, run: null }),
  ].join(""));
  await shown(log(page).getByText("second line"));
  assert.equal(await log(page).getByText("first line").count(), 1);
  await shown(page.getByRole("status").filter({ hasText: /^2 lines/ }));
});

test("level hides the lines below it, and is in the address", async (t) => {
  const { run } = await endedRun();
  const page = await openPage(t);
  await serveLog(page, run, [line("info", "begun"), line("warn", "slow"), line("error", "broken")]);
  await page.goto(`${url}/runs/${run}`);
  await shown(log(page).getByText("begun"));
  await page.getByRole("combobox", { name: "Level" }).selectOption({ label: "Error" });
  await hidden(log(page).getByText("slow"));
  await shown(log(page).getByText("broken"));
  assert.equal(new URL(page.url()).searchParams.get("level"), "error");
});

test("text is found in the log, with a count and the next match", async (t) => {
  const { run } = await endedRun();
  const page = await openPage(t);
  await serveLog(page, run, [
    line("info", "Part 1 stored"),
    line("info", "Table done"),
    line("info", "Part 2 stored", { bytes: 16 }),
  ]);
  await page.goto(`${url}/runs/${run}?find=STORED`);
  await shown(page.getByRole("status").filter({ hasText: "1 of 2" }));
  await button(page, "Next match").click();
  await shown(page.getByRole("status").filter({ hasText: "2 of 2" }));
  assert.equal(await log(page).locator("mark").count(), 2);
});

test("line of the log is unfolded with the keyboard", async (t) => {
  const { run } = await endedRun();
  const page = await openPage(t);
  await serveLog(page, run, [line("info", "first"), line("info", "second", { table: "books", rows: 12 })]);
  await page.goto(`${url}/runs/${run}`);
  await shown(log(page).getByText("second"));
  await log(page).focus();
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Enter");
  await shown(log(page).locator(".line-detail").getByText("table=books rows=12"));
  await page.keyboard.press("Enter");
  await hidden(log(page).locator(".line-detail"));
});

test("long log draws only the lines in view and ends at its last line", async (t) => {
  const { run } = await endedRun();
  const page = await openPage(t);
  await serveLog(page, run, Array.from({ length: 30_000 }, (_, index) => line("info", `line ${index}`)));
  await page.goto(`${url}/runs/${run}`);
  await shown(page.getByRole("status").filter({ hasText: /^30.000 lines/ }));
  assert.ok((await log(page).locator(".line").count()) < 200);
  await button(page, "To the end").click();
  await shown(log(page).getByText("line 29999", { exact: true }));
});

test("log is copied and downloaded", async (t) => {
  const { run } = await endedRun();
  const page = await openPage(t);
  await page.goto(`${url}/runs/${run}`);
  await shown(log(page).locator(".line"));
  await button(page, "Copy log").click();
  await shown(page.getByRole("status").filter({ hasText: "Copied" }));
  assert.match(
    await page.evaluate(() => navigator.clipboard.readText()),
    /^\d{4}-\d\d-\d\dT[\d:.]+Z (INFO|DEBUG|ERROR) /,
  );
  const [download] = await Promise.all([page.waitForEvent("download"), button(page, "Download log").click()]);
  assert.ok((await readFile(await download.path(), "utf8")).length > 0);
});

test("run is cancelled after a confirmation", async (t) => {
  const project = await createProject("cancelled");
  const endpoint = await startEndpoint();
  const run = await start(await createJob(project, "Cancelled", { httpUrl: endpoint.url }));
  const page = await openPage(t);
  await page.goto(`${url}/runs/${run}`);
  await endpoint.arrived();
  await button(page, "Cancel run").click();
  const dialog = page.getByRole("dialog", { name: "Cancel run" });
  await dialog.getByRole("button", { name: "Cancel run" }).click();
  await hidden(dialog);
  await shown(page.getByRole("main").getByText("Cancelled", { exact: true }));
});

test("ended run is repeated, and the page of the new run opens", async (t) => {
  const project = await createProject("again");
  const endpoint = await startEndpoint({ immediately: 200 });
  const run = await start(await createJob(project, "Again", { httpUrl: endpoint.url }));
  await end(run);
  const page = await openPage(t);
  await page.goto(`${url}/runs/${run}`);
  await button(page, "Run again").click();
  await page.waitForURL((address) => address.pathname !== `/runs/${run}`);
  await shown(heading(page, "Run of Again"));
  await page.getByRole("link", { name: "an earlier run" }).click();
  await page.waitForURL((address) => address.pathname === `/runs/${run}`);
  await page.goBack();
  await shown(page.getByRole("link", { name: "an earlier run" }));
  await shown(page.getByText("Succeeded", { exact: true }));
});

test("attempts are one group in the list and linked on the page", async (t) => {
  const project = await createProject("attempts");
  const endpoint = await startEndpoint({ immediately: 500 });
  const job = await createJob(project, "Attempts", { httpUrl: endpoint.url, retries: 1, retryBackoffMs: 0 });
  await start(job);
  const attempts = () => admin("GET", `/jobs/${job.id}/runs`).then(({ items }) => items);
  await eventually(async () => (await attempts()).filter((run) => run.finishedAt).length === 2, "two attempts");
  const page = await openPage(t);
  await page.goto(`${url}/runs?job=${job.id}`);
  const expand = page.getByRole("button", { name: /^Attempts of Attempts/ });
  await shown(expand);
  assert.equal(await runs(page).getByRole("row").count(), 2);
  await expand.click();
  await eventually(async () => (await runs(page).getByRole("row").count()) === 3, "the earlier attempt");
  await runs(page).getByRole("link", { name: "Attempts" }).first().click();
  const links = page.getByRole("navigation", { name: "Attempts" }).getByRole("link");
  await eventually(async () => (await links.count()) === 2, "the links");
  await links.first().click();
  await shown(page.getByText("1 of 2"));
});

// Creates a project with three ended runs: two that failed and one that succeeded.
async function threeRuns() {
  const project = await createProject("three runs");
  const names = ["First failure", "Second failure", "Success"];
  for (const name of names) {
    await end(await start(await createJob(project, name, name === "Success" ? succeeding(project) : failing())));
  }
  return { project, names };
}

test("list shows only runs with the chosen statuses", async (t) => {
  const { project } = await threeRuns();
  const page = await openPage(t);
  await page.goto(`${url}/runs?status=fail&project=${project.id}`);
  await shown(runs(page).getByRole("link", { name: "First failure" }));
  assert.equal(await runs(page).getByRole("link", { name: "Success", exact: true }).count(), 0);
  const status = page.getByRole("combobox", { name: "Status" });
  await status.click();
  await page.getByRole("option", { name: "Succeeded" }).click();
  await shown(runs(page).getByRole("link", { name: "Success", exact: true }));
  assert.equal(new URL(page.url()).searchParams.get("status"), "fail,success");
  await shown(runs(page).getByRole("link", { name: "First failure" }));
  await page.getByRole("option", { name: "Failed" }).click();
  await hidden(runs(page).getByRole("link", { name: "First failure" }));
  await page.keyboard.press("Escape");
  await hidden(page.getByRole("listbox", { name: "Status" }));
  await button(page, "Clear filters").click();
  assert.equal(new URL(page.url()).search, "");
});

test("Clear filters also clears the custom time range", async (t) => {
  const { project } = await threeRuns();
  const page = await openPage(t);
  await page.goto(`${url}/runs?project=${project.id}&from=2026-01-01T00:00:00Z`);
  const time = page.getByRole("group", { name: "Time" });
  const custom = time.getByRole("button", { name: "Custom", pressed: true });
  await shown(custom);
  await page.getByRole("group", { name: "Filters" }).getByRole("button", { name: "Clear filters" }).click();
  await shown(time.getByRole("button", { name: "All", pressed: true }));
  await hidden(custom);
  await hidden(time.getByLabel("From"));
});

test("statuses are chosen with the keyboard", async (t) => {
  const { project } = await threeRuns();
  const page = await openPage(t);
  await page.goto(`${url}/runs?project=${project.id}`);
  await shown(runs(page));
  const status = page.getByRole("combobox", { name: "Status" });
  await status.focus();
  await page.keyboard.press("ArrowDown");
  await shown(page.getByRole("listbox", { name: "Status" }));
  await page.keyboard.press("Enter");
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press(" ");
  await eventually(() => new URL(page.url()).searchParams.get("status") === "fail,timeout", "both statuses");
  await page.keyboard.press("Escape");
  await hidden(page.getByRole("listbox", { name: "Status" }));
  assert.ok(await status.evaluate((element) => element === document.activeElement));
  assert.equal(await status.textContent(), "StatusFailed, Timed out");
});

test("list finds runs by their text", async (t) => {
  const { project } = await threeRuns();
  const page = await openPage(t);
  await page.goto(`${url}/runs?project=${project.id}`);
  await shown(runs(page).getByRole("link", { name: "Success", exact: true }));
  await page.getByRole("searchbox", { name: "Filter runs" }).fill("second fail");
  await shown(page.getByRole("status").filter({ hasText: "1 match among all 3 runs" }));
  await shown(runs(page).getByRole("link", { name: "Second failure" }));
  assert.equal(new URL(page.url()).searchParams.get("q"), "second fail");
  await page.getByRole("searchbox", { name: "Filter runs" }).fill("nothing has this");
  await shown(page.getByRole("heading", { name: "No run matches" }));
  await page.getByRole("main").getByRole("button", { name: "Clear filters" }).last().click();
  assert.equal(await page.getByRole("searchbox", { name: "Filter runs" }).inputValue(), "");
});

test("Enter opens a run in a sheet, Shift-Enter its page, and Back closes the sheet", async (t) => {
  const { project, run } = await endedRun();
  const page = await openPage(t);
  await page.goto(`${url}/runs?project=${project.id}`);
  await shown(runs(page).getByRole("link", { name: "Ended" }));
  await page.keyboard.press("j");
  await page.keyboard.press("Enter");
  const sheet = page.getByRole("dialog", { name: "Run" });
  await shown(sheet.getByRole("log", { name: "Log" }));
  assert.equal(new URL(page.url()).searchParams.get("run"), run);
  await page.goBack();
  await hidden(sheet);
  await page.goForward();
  await sheet.getByRole("link", { name: "Open full page" }).click();
  await shown(heading(page, "Run of Ended"));
  await page.goto(`${url}/runs?project=${project.id}`);
  await shown(runs(page).getByRole("link", { name: "Ended" }));
  await page.keyboard.press("j");
  await page.keyboard.press("Shift+Enter");
  await shown(heading(page, "Run of Ended"));
});

test("page of a run of a deleted project does not call the project the platform", async (t) => {
  const { id, name } = await createProject("gone");
  const { runId } = await admin("POST", "/backups", { target: `project:${id}` });
  await end(runId);
  await admin("DELETE", `/projects/${id}`, { confirm: name });
  const page = await openPage(t);
  await page.goto(`${url}/runs/${runId}`);
  await shown(page.getByText("deleted project · plugin backup, job backup"));
});

test("page of a removed run says that it is no longer kept", async (t) => {
  const page = await openPage(t);
  await page.goto(`${url}/runs/00000000-0000-7000-8000-000000000000`);
  await shown(page.getByRole("heading", { name: "This run is no longer kept" }));
});

test("pages of runs are accessible", async (t) => {
  const { project, run } = await endedRun();
  for (const narrow of [false, true]) {
    const page = await openPage(t, { narrow });
    await page.goto(`${url}/runs?project=${project.id}`);
    await shown(page.getByRole(narrow ? "list" : "table", { name: "Runs" }));
    await page.getByRole("combobox", { name: "Status" }).click();
    await shown(page.getByRole("listbox", { name: "Status" }));
    await expectAccessible(page);
    await page.goto(`${url}/runs/${run}`);
    await shown(log(page).locator(".line"));
    await expectAccessible(page);
  }
});
