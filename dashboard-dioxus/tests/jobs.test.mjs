import assert from "node:assert/strict";
import { after, test } from "node:test";
import { startEndpoint } from "./endpoint.mjs";
import { admin, button, createProject, eventually, expectAccessible, heading, hidden, openPage, shown, url } from "./support.mjs";

let made = 0;
const jobName = (prefix) => `${prefix} ${Date.now().toString(36)}${(made += 1)}`;

async function createJob(name, fields) {
  const job = await admin("POST", "/jobs", { type: "http", scheduleCron: "0 3 1 1 *", name, ...fields });
  after(() => admin("DELETE", `/jobs/${job.id}`).catch(() => {}));
  return job;
}

// A job whose runs fail: its database does not exist.
const failing = { type: "platform", plugin: "backup", pluginJob: "backup", params: { target: "project:gone" } };

test("schedule is described with its next five times", async (t) => {
  const page = await openPage(t);
  await page.goto(`${url}/jobs/new`);
  await shown(heading(page, "New job"));
  await page.getByRole("textbox", { name: "Schedule" }).fill("0 3 * * 1");
  await page.getByRole("combobox", { name: "Time zone" }).selectOption("Europe/Berlin");
  await shown(page.getByRole("status").filter({ hasText: /At 03:00, .*on Monday/ }));
  const times = page.getByRole("list", { name: "Next five times" }).getByRole("listitem");
  await eventually(async () => (await times.count()) === 5, "five times");
  for (const text of await times.allTextContents()) assert.match(text, /^Mon .*03:00/);
});

test("invalid schedule is refused at its field and the form is kept", async (t) => {
  const page = await openPage(t);
  await page.goto(`${url}/jobs/new`);
  const name = page.getByRole("textbox", { name: "Name", exact: true });
  await name.fill("kept");
  await page.getByRole("textbox", { name: "URL" }).fill("http://localhost/");
  const schedule = page.getByRole("textbox", { name: "Schedule" });
  await schedule.fill("61 * * * *");
  await schedule.press("Tab");
  await eventually(async () => (await schedule.getAttribute("aria-invalid")) === "true", "the error");
  await button(page, "Create job").click();
  await shown(page.getByRole("alert"));
  assert.equal(new URL(page.url()).pathname, "/jobs/new");
  assert.equal(await name.inputValue(), "kept");
  await page.reload();
  await eventually(async () => (await name.inputValue()) === "kept", "the form after a reload");
  await shown(page.getByRole("status").filter({ hasText: "Not saved" }));
});

test("parameters of a plugin's job are fields from its schema", async (t) => {
  const { id, name: project } = await createProject("scheduled");
  const page = await openPage(t);
  await page.goto(`${url}/jobs/new?kind=plugin`);
  await page.getByRole("combobox", { name: "Plugin" }).selectOption("backup");
  await page.getByRole("combobox", { name: "Job", exact: true }).selectOption("backup");
  await page.getByLabel(/^Target/).selectOption({ label: project });
  await page.getByLabel(/^Keep last/).fill("7");
  const name = jobName("from schema");
  await page.getByRole("textbox", { name: "Name", exact: true }).fill(name);
  await page.getByRole("textbox", { name: "Schedule" }).fill("@daily");
  await button(page, "Create job").click();
  await shown(heading(page, name));
  const { items } = await admin("GET", `/jobs?q=${encodeURIComponent(name)}`);
  after(() => admin("DELETE", `/jobs/${items[0].id}`).catch(() => {}));
  assert.deepEqual(items[0].params, { target: `project:${id}`, retention: { keepLast: 7 } });
});

test("host that is not allowed is named while it is typed", async (t) => {
  const page = await openPage(t);
  await page.goto(`${url}/jobs/new`);
  await page.getByRole("textbox", { name: "URL" }).fill("https://api.example.com/hook");
  await shown(page.getByText(/api\.example\.com.*isn't allowed\. Add it to ATLASHUB_HTTP_ALLOWED_HOSTS/));
});

test("run that is started shows its state and its result without a reload", async (t) => {
  const endpoint = await startEndpoint();
  const name = jobName("live");
  await createJob(name, { httpUrl: endpoint.url });
  const page = await openPage(t);
  await page.goto(`${url}/jobs`);
  const row = page.getByRole("table", { name: "Jobs" }).getByRole("row").filter({ hasText: name });
  await button(page, `Run ${name} now`).click();
  await endpoint.arrived();
  await shown(row.getByText("Running", { exact: true }));
  endpoint.answer();
  await shown(row.getByText("Succeeded", { exact: true }));
  await shown(page.getByRole("list", { name: `Last 30 runs of ${name}` }).getByRole("link", { name: /^Succeeded, / }));
});

test("failing job comes first with its reason in the row", async (t) => {
  const name = jobName("failing");
  const job = await createJob(name, failing);
  await admin("POST", `/jobs/${job.id}/run`, {});
  const page = await openPage(t);
  await page.goto(`${url}/jobs`);
  const row = page.getByRole("table", { name: "Jobs" }).getByRole("row").filter({ hasText: name });
  await shown(row.getByText("Failed", { exact: true }));
  const { items } = await admin("GET", `/jobs/${job.id}/runs`);
  await shown(row.getByText(items[0].errorText));
  await page.getByRole("button", { name: /^Failing / }).click();
  await shown(row);
  assert.equal(new URL(page.url()).searchParams.get("state"), "failing");
});

test("job is created, run and its log opened with the keyboard alone", async (t) => {
  const endpoint = await startEndpoint({ immediately: 200 });
  const page = await openPage(t);
  await page.goto(`${url}/jobs`);
  await shown(heading(page, "Jobs"));
  await page.keyboard.press("c");
  await shown(heading(page, "New job"));
  const name = jobName("keyboard");
  await eventually(() => page.evaluate(() => document.activeElement?.id === "job-name"), "focus in the name");
  await page.keyboard.type(name);
  await page.getByRole("textbox", { name: "URL" }).focus();
  await page.keyboard.type(endpoint.url);
  await page.getByRole("textbox", { name: "Schedule" }).focus();
  await page.keyboard.type("0 3 1 1 *");
  await page.keyboard.press("Control+Enter");
  await shown(heading(page, name));
  const { items } = await admin("GET", `/jobs?q=${encodeURIComponent(name)}`);
  after(() => admin("DELETE", `/jobs/${items[0].id}`).catch(() => {}));
  await button(page, `Run ${name} now`).focus();
  await page.keyboard.press("Enter");
  const run = page.getByRole("table", { name: "Runs" }).getByRole("link", { name: "Succeeded" });
  await shown(run);
  await run.focus();
  await page.keyboard.press("Enter");
  await shown(heading(page, `Run of ${name}`));
  await shown(page.getByRole("log", { name: "Log" }));
});

test("job is disabled at once and deleted after its runs are counted", async (t) => {
  const endpoint = await startEndpoint({ immediately: 200 });
  const name = jobName("deleted");
  const job = await createJob(name, { httpUrl: endpoint.url });
  const page = await openPage(t);
  await page.goto(`${url}/jobs`);
  await page.getByRole("switch", { name: `Enable ${name}` }).uncheck();
  await eventually(async () => !(await admin("GET", `/jobs/${job.id}`)).enabled, "the switch on the server");
  await admin("POST", `/jobs/${job.id}/run`, {});
  await eventually(async () => (await admin("GET", `/jobs/${job.id}`)).lastRun?.status === "success", "the run");
  await button(page, `Actions for ${name}`).click();
  await page.getByRole("menuitem", { name: "Delete job" }).click();
  const dialog = page.getByRole("dialog", { name: "Delete job" });
  await shown(dialog.getByText(/Its 1 run and the log go too/));
  await dialog.getByRole("button", { name: "Delete job" }).click();
  await hidden(dialog);
  await hidden(page.getByRole("row").filter({ hasText: name }));
});

test("pages of jobs are accessible", async (t) => {
  const { id } = await createProject("accessible jobs");
  const endpoint = await startEndpoint({ immediately: 200 });
  const name = jobName("accessible");
  const job = await createJob(name, { httpUrl: endpoint.url, projectId: id });
  await admin("POST", `/jobs/${job.id}/run`, {});
  for (const narrow of [false, true]) {
    const page = await openPage(t, { narrow });
    for (const [path, title] of [[`/projects/${id}/jobs`, "Jobs"], ["/jobs/new", "New job"], [`/jobs/${job.id}`, name], [`/jobs/${job.id}?tab=settings`, name]]) {
      await page.goto(`${url}${path}`);
      await shown(heading(page, title));
      await expectAccessible(page);
    }
  }
});
