import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, test } from "node:test";
import { startEndpoint } from "./endpoint.mjs";
import { admin, button, createProject, eventually, expectAccessible, heading, hidden, openPage, shown, url } from "./support.mjs";

let made = 0;

async function createJob(prefix, fields) {
  const name = `${prefix} ${Date.now().toString(36)}${(made += 1)}`;
  const job = await admin("POST", "/jobs", { type: "http", scheduleCron: "0 3 1 1 *", name, ...fields });
  after(() => admin("DELETE", `/jobs/${job.id}`).catch(() => {}));
  return job;
}

async function start(job) {
  return (await admin("POST", `/jobs/${job.id}/run`, {})).runId;
}

async function end(run) {
  await eventually(async () => (await admin("GET", `/runs/${run}`)).finishedAt, "the end of the run");
}

const backup = { type: "platform", plugin: "backup", pluginJob: "backup", params: { target: "platform" } };
const failing = { ...backup, params: { target: "project:gone" } };

// Answers the log of a run with these lines instead of the server's.
async function serveLog(page, run, lines) {
  const events = lines.map((line, index) => `id: ${index + 1}\ndata: ${JSON.stringify(line)}\n\n`);
  const body = `${events.join("")}event: end\ndata: null\n\n`;
  await page.route(`**/admin/v1/runs/${run}/log?follow=true`, (route) => route.fulfill({ contentType: "text/event-stream", body }));
}

const line = (level, message, fields = {}) => ({ at: "2026-02-03T14:31:02.114Z", level, message, fields });

test("run in progress shows new lines and its end without a reload", async (t) => {
  const endpoint = await startEndpoint();
  const run = await start(await createJob("followed", { httpUrl: endpoint.url }));
  const page = await openPage(t);
  await page.goto(`${url}/runs/${run}`);
  await shown(page.getByText("Running", { exact: true }));
  await endpoint.arrived();
  endpoint.answer();
  await shown(page.getByText("Succeeded", { exact: true }));
  await shown(page.getByRole("log", { name: "Log" }));
});

test("level hides the lines below it, and its choice is in the address", async (t) => {
  const run = await start(await createJob("levels", backup));
  await end(run);
  const page = await openPage(t);
  await serveLog(page, run, [line("info", "begun"), line("warn", "slow"), line("error", "broken")]);
  await page.goto(`${url}/runs/${run}`);
  const log = page.getByRole("log", { name: "Log" });
  await shown(log.getByText("begun"));
  await page.getByRole("combobox", { name: "Level" }).selectOption({ label: "Error" });
  await hidden(log.getByText("slow"));
  await shown(log.getByText("broken"));
  assert.equal(new URL(page.url()).searchParams.get("level"), "error");
});

test("text is found in the log, with a count and the next match", async (t) => {
  const run = await start(await createJob("found", backup));
  await end(run);
  const page = await openPage(t);
  await serveLog(page, run, [line("info", "Part 1 stored"), line("info", "Table done"), line("info", "Part 2 stored", { bytes: 16 })]);
  await page.goto(`${url}/runs/${run}?find=STORED`);
  await shown(page.getByRole("status").filter({ hasText: "1 of 2" }));
  await button(page, "Next match").click();
  await shown(page.getByRole("status").filter({ hasText: "2 of 2" }));
  assert.equal(await page.getByRole("log", { name: "Log" }).locator("mark").count(), 2);
});

test("long log draws only what is in view and ends at its last line", async (t) => {
  const run = await start(await createJob("long", backup));
  await end(run);
  const page = await openPage(t);
  await serveLog(page, run, Array.from({ length: 30_000 }, (_, index) => line("info", `line ${index}`)));
  await page.goto(`${url}/runs/${run}`);
  await shown(page.getByRole("status").filter({ hasText: /30.000 lines/ }));
  assert.ok((await page.locator("#run-log .line").count()) < 200);
  await button(page, "To the end").click();
  await shown(page.getByRole("log", { name: "Log" }).getByText("line 29999", { exact: true }));
});

test("log is copied and downloaded", async (t) => {
  const run = await start(await createJob("copied", backup));
  await end(run);
  const page = await openPage(t);
  await page.goto(`${url}/runs/${run}`);
  await shown(page.locator("#run-log .line"));
  await button(page, "Copy log").click();
  await shown(page.getByRole("status").filter({ hasText: "Copied" }));
  assert.match(await page.evaluate(() => navigator.clipboard.readText()), /^\d{4}-\d\d-\d\dT[\d:.]+Z (INFO|DEBUG) /);
  const [download] = await Promise.all([page.waitForEvent("download"), button(page, "Download log").click()]);
  assert.ok((await readFile(await download.path(), "utf8")).length > 0);
});

test("run is cancelled after a question", async (t) => {
  const endpoint = await startEndpoint();
  const run = await start(await createJob("cancelled", { httpUrl: endpoint.url }));
  const page = await openPage(t);
  await page.goto(`${url}/runs/${run}`);
  await endpoint.arrived();
  await button(page, "Cancel run").click();
  const dialog = page.getByRole("dialog", { name: "Cancel run" });
  await dialog.getByRole("button", { name: "Cancel run" }).click();
  await hidden(dialog);
  await shown(page.getByText("Cancelled", { exact: true }));
});

test("ended run is run again on its own page", async (t) => {
  const endpoint = await startEndpoint({ immediately: 200 });
  const job = await createJob("again", { httpUrl: endpoint.url });
  const run = await start(job);
  await end(run);
  const page = await openPage(t);
  await page.goto(`${url}/runs/${run}`);
  await button(page, "Run again").click();
  await page.waitForURL((address) => address.pathname !== `/runs/${run}`);
  await shown(heading(page, `Run of ${job.name}`));
  await shown(page.getByText("Succeeded", { exact: true }));
});

test("attempts are one group in the list and linked on the page", async (t) => {
  const endpoint = await startEndpoint({ immediately: 500 });
  const job = await createJob("attempts", { httpUrl: endpoint.url, retries: 1, retryBackoffMs: 0 });
  await start(job);
  const attempts = () => admin("GET", `/jobs/${job.id}/runs`).then(({ items }) => items);
  await eventually(async () => (await attempts()).filter((run) => run.finishedAt).length === 2, "two attempts");
  const page = await openPage(t);
  await page.goto(`${url}/runs?job=${job.id}`);
  const table = page.getByRole("table", { name: "Runs" });
  const expand = page.getByRole("button", { name: new RegExp(`^Attempts of ${job.name}`) });
  await shown(expand);
  assert.equal(await table.getByRole("row").count(), 2);
  await expand.click();
  await eventually(async () => (await table.getByRole("row").count()) === 3, "the earlier attempt");
  await table.getByRole("link", { name: job.name }).first().click();
  const links = page.getByRole("navigation", { name: "Attempts" }).getByRole("link");
  await eventually(async () => (await links.count()) === 2, "the links");
  await links.first().click();
  await shown(page.getByText("1 of 2"));
});

test("list shows only runs with the chosen status", async (t) => {
  const failed = await createJob("listed failure", failing);
  const good = await createJob("listed success", backup);
  for (const job of [failed, good]) await end(await start(job));
  const page = await openPage(t);
  await page.goto(`${url}/runs?status=fail`);
  const table = page.getByRole("table", { name: "Runs" });
  await shown(table.getByRole("link", { name: failed.name }));
  assert.equal(await table.getByRole("link", { name: good.name }).count(), 0);
  await page.getByRole("combobox", { name: "Status" }).selectOption({ label: "Succeeded" });
  await shown(table.getByRole("link", { name: good.name }));
  assert.equal(new URL(page.url()).searchParams.get("status"), "success");
  await button(page, "Clear filters").click();
  await shown(table.getByRole("link", { name: failed.name }));
});

test("run opens in a sheet over the list and Back closes it", async (t) => {
  const job = await createJob("sheet", backup);
  const run = await start(job);
  await end(run);
  const page = await openPage(t);
  await page.goto(`${url}/runs`);
  await page.goto(`${url}/runs?run=${run}`);
  const sheet = page.getByRole("dialog", { name: "Run" });
  await shown(sheet.getByRole("log", { name: "Log" }));
  await sheet.getByRole("link", { name: "Open full page" }).click();
  await shown(heading(page, `Run of ${job.name}`));
});

test("removed run says that it is no longer kept", async (t) => {
  const page = await openPage(t);
  await page.goto(`${url}/runs/00000000-0000-7000-8000-000000000000`);
  await shown(page.getByRole("heading", { name: "This run is no longer kept" }));
});

test("pages of runs are accessible", async (t) => {
  const { id } = await createProject("accessible runs");
  const job = await createJob("accessible", { ...failing, projectId: id });
  const run = await start(job);
  await end(run);
  for (const narrow of [false, true]) {
    const page = await openPage(t, { narrow });
    await page.goto(`${url}/runs`);
    await shown(page.getByRole(narrow ? "list" : "table", { name: "Runs" }));
    await expectAccessible(page);
    await page.goto(`${url}/runs/${run}`);
    await shown(page.locator("#run-log .line"));
    await expectAccessible(page);
  }
});
