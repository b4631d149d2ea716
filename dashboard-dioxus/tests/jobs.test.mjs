import assert from "node:assert/strict";
import { test } from "node:test";
import { startEndpoint } from "./endpoint.mjs";
import {
  admin, button, createProject, eventually, expectAccessible, heading, hidden, openPage, refusal, shown, url,
} from "./support.mjs";

const createJob = (project, name, fields) =>
  admin("POST", "/jobs", { type: "http", scheduleCron: "0 3 1 1 *", name, projectId: project.id, ...fields });

// A job whose runs fail: its database does not exist.
const failing = { type: "platform", plugin: "backup", pluginJob: "backup", params: { target: "project:gone" } };

const jobsOf = (project) => `${url}/projects/${project.id}/jobs`;
const row = (page, name) => page.getByRole("table", { name: "Jobs" }).getByRole("row").filter({ hasText: name });

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

test("time zone is found by the first letters of its city", async (t) => {
  const page = await openPage(t, { timezoneId: "Asia/Tokyo" });
  await page.goto(`${url}/jobs/new`);
  const zone = page.getByRole("combobox", { name: "Time zone" });
  await eventually(async () => (await zone.inputValue()) === "Asia/Tokyo", "the browser's time zone");
  await zone.focus();
  await page.keyboard.type("Nairobi");
  await eventually(async () => (await zone.inputValue()) === "Africa/Nairobi", "the typed city");
});

test("next times are also shown in the browser's own time zone", async (t) => {
  const page = await openPage(t, { timezoneId: "Asia/Tokyo" });
  // The choice of UTC applies to all other times in the dashboard, but not to the next times of a job.
  await page.addInitScript(() => localStorage.setItem("atlashub.times", "utc"));
  await page.goto(`${url}/jobs/new`);
  await page.getByRole("textbox", { name: "Schedule" }).fill("0 3 * * 1");
  await page.getByRole("combobox", { name: "Time zone" }).selectOption("Africa/Nairobi");
  await shown(page.getByText("You, Tokyo"));
  const times = page.getByRole("list", { name: "Next five times" }).getByRole("listitem");
  await eventually(async () => (await times.count()) === 5, "five times");
  for (const text of await times.allTextContents()) assert.match(text, /^Mon .*03:00.*09:00/);
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
  await shown(page.getByRole("radiogroup", { name: "If the last run is still going", exact: true }));
  await page.reload();
  await eventually(async () => (await name.inputValue()) === "kept", "the form after a reload");
  await shown(page.getByRole("status").filter({ hasText: "Not saved" }));
});

test("parameters of a plugin's job are fields from its schema", async (t) => {
  const project = await createProject("scheduled");
  const page = await openPage(t);
  await page.goto(`${url}/jobs/new?kind=plugin&project=${project.id}`);
  await page.getByRole("combobox", { name: "Plugin" }).selectOption("backup");
  await page.getByRole("combobox", { name: "Job", exact: true }).selectOption("backup");
  await page.getByLabel(/^Target/).selectOption({ label: project.name });
  await page.getByLabel(/^Keep last/).fill("7");
  await page.getByRole("textbox", { name: "Name", exact: true }).fill("From a schema");
  await page.getByRole("textbox", { name: "Schedule" }).fill("@daily");
  await button(page, "Create job").click();
  await shown(heading(page, "From a schema"));
  const { items } = await admin("GET", `/jobs?projectId=${project.id}`);
  assert.deepEqual(items[0].params, { target: `project:${project.id}`, retention: { keepLast: 7 } });
});

test("stored parameters of a job are shown and kept when its plugin is chosen again", async (t) => {
  const project = await createProject("chosen again");
  const params = { target: `project:${project.id}`, retention: { keepLast: 7 } };
  const backup = { type: "platform", plugin: "backup", pluginJob: "backup", params };
  const job = await createJob(project, "Chosen again", backup);
  const page = await openPage(t);
  await page.goto(`${url}/jobs/${job.id}?tab=settings`);
  const keepLast = page.getByLabel(/^Keep last/);
  await eventually(async () => (await keepLast.inputValue()) === "7", "the stored parameters");
  const plugin = page.getByRole("combobox", { name: "Plugin" });
  await plugin.selectOption("migrations");
  await hidden(keepLast);
  await plugin.selectOption("backup");
  await shown(keepLast);
  await eventually(async () => (await keepLast.inputValue()) === "7", "the parameters of the chosen plugin");
  await page.getByRole("textbox", { name: "Retries" }).fill("2");
  await button(page, "Save job").click();
  await page.waitForURL((address) => address.searchParams.get("tab") === null);
  const saved = await admin("GET", `/jobs/${job.id}`);
  assert.deepEqual([saved.retries, saved.params], [2, params]);
});

test("pressing Ctrl-Enter twice creates one job", async (t) => {
  const project = await createProject("twice");
  const page = await openPage(t);
  await page.goto(`${url}/jobs/new?project=${project.id}`);
  const name = page.getByRole("textbox", { name: "Name", exact: true });
  await name.fill("Created once");
  await page.getByRole("textbox", { name: "URL" }).fill("http://localhost/");
  await page.getByRole("textbox", { name: "Schedule" }).fill("@daily");
  let answer;
  const isPressedTwice = new Promise((resolve) => (answer = resolve));
  await page.route("**/admin/v1/jobs/check", async (route) => {
    await isPressedTwice;
    await route.continue();
  });
  await page.keyboard.press("Control+Enter");
  await page.keyboard.press("Control+Enter");
  answer();
  await shown(heading(page, "Created once"));
  const { items } = await admin("GET", `/jobs?projectId=${project.id}`);
  assert.equal(items.length, 1);
});

test("form says that the project of its address does not exist", async (t) => {
  const page = await openPage(t);
  await page.goto(`${url}/jobs/new?project=gone&name=Orphan&schedule=@daily`);
  await page.getByRole("textbox", { name: "URL" }).fill("http://localhost/");
  await button(page, "Create job").click();
  await shown(page.getByRole("alert").filter({ hasText: "No such project." }));
});

test("failed validation of a schedule is not shown as an invalid schedule", async (t) => {
  const page = await openPage(t);
  for (const path of ["jobs/check", "cron/preview", "jobs"])
    await page.route(`**/admin/v1/${path}`, (route) => route.fulfill(refusal(503, "The database does not respond.")));
  await page.goto(`${url}/jobs/new?name=Refused&schedule=@daily`);
  await page.getByRole("textbox", { name: "URL" }).fill("http://localhost/");
  await button(page, "Create job").click();
  await shown(page.getByRole("alert").filter({ hasText: "The database does not respond." }));
  assert.equal(await page.getByRole("textbox", { name: "Schedule" }).getAttribute("aria-invalid"), null);
});

test("suggested backup of a project is listed on the project's page", async (t) => {
  const project = await createProject("suggested");
  const page = await openPage(t);
  await page.goto(jobsOf(project));
  await page.getByRole("link", { name: "Nightly backup of this project" }).click();
  await shown(page.getByText("The project's Jobs page lists this job. It is deleted with the project."));
  await shown(page.getByRole("navigation", { name: "Project" }));
  const kept = page.getByLabel(/^Keep last/);
  await eventually(async () => (await kept.getAttribute("placeholder")) === "Not set", "the empty rule");
  await button(page, "Create job").click();
  await shown(heading(page, "Nightly backup"));
  await shown(page.getByText("every backup", { exact: true }));
  await shown(page.getByRole("definition").getByRole("link", { name: project.name }));
  await page.goto(jobsOf(project));
  await shown(row(page, "Nightly backup"));
});

test("host that is not allowed is named while it is typed", async (t) => {
  const page = await openPage(t);
  await page.goto(`${url}/jobs/new`);
  await page.getByRole("textbox", { name: "URL" }).fill("https://api.example.com/hook");
  const error = page.getByRole("alert").filter({ hasText: "ATLASHUB_HTTP_ALLOWED_HOSTS" });
  await shown(error.getByText(/api\.example\.com.*isn't allowed\. Add it to ATLASHUB_HTTP_ALLOWED_HOSTS/));
  await shown(error.getByText(/environment variable of the server; restart AtlasHub/));
  // A private IP address needs `+private` in the variable.
  await page.getByRole("textbox", { name: "URL" }).fill("http://127.0.0.1:18798/ping");
  await shown(error.getByText(/Add 127\.0\.0\.1:18798\+private to ATLASHUB_HTTP_ALLOWED_HOSTS/));
  await error.getByRole("link", { name: "Show configuration" }).click();
  await shown(heading(page, "Settings"));
  const variables = page.getByRole("table", { name: "Configuration" });
  await shown(variables.getByText("ATLASHUB_HTTP_ALLOWED_HOSTS", { exact: true }));
  await hidden(variables.getByText("ATLASHUB_PUBLIC_LISTEN", { exact: true }));
});

test("preset replaces an invalid schedule with one click", async (t) => {
  const page = await openPage(t);
  await page.goto(`${url}/jobs/new`);
  const schedule = page.getByRole("textbox", { name: "Schedule" });
  await schedule.fill("61 * * * *");
  await shown(page.getByRole("status").filter({ hasText: "This is not a valid schedule yet." }));
  await button(page, "Every 15 minutes").click();
  assert.equal(await schedule.inputValue(), "*/15 * * * *");
  await shown(page.getByRole("list", { name: "Next five times" }));
});

test("cancelled form of a new job is discarded, and leads back to where it was opened", async (t) => {
  const project = await createProject("cancelled");
  await createJob(project, "Other", { httpUrl: "http://localhost/" });
  const page = await openPage(t);
  await page.goto(`${url}/jobs`);
  const name = page.getByRole("textbox", { name: "Name", exact: true });
  await page.getByRole("link", { name: "New job" }).first().click();
  await page.getByRole("combobox", { name: "Project" }).selectOption({ label: project.name });
  await name.fill("discarded");
  await shown(page.getByRole("status").filter({ hasText: "Not saved" }));
  await button(page, "Cancel").click();
  await shown(heading(page, "Jobs"));
  assert.equal(new URL(page.url()).pathname, "/jobs");
  await page.getByRole("link", { name: "New job" }).first().click();
  await shown(name);
  assert.equal(await name.inputValue(), "");
});

test("run that is started shows its state and its result without a reload", async (t) => {
  const project = await createProject("live");
  const endpoint = await startEndpoint();
  await createJob(project, "Live", { httpUrl: endpoint.url });
  const page = await openPage(t);
  await page.goto(jobsOf(project));
  await button(page, "Run Live now").click();
  await endpoint.arrived();
  await shown(row(page, "Live").getByText("Running", { exact: true }));
  endpoint.respond();
  await shown(row(page, "Live").getByText("Succeeded", { exact: true }));
  await shown(page.getByRole("list", { name: "Last 30 runs of Live" }).getByRole("link", { name: /^Succeeded, / }));
});

test("arrow keys move among the last runs", async (t) => {
  const project = await createProject("strip");
  const endpoint = await startEndpoint();
  const job = await createJob(project, "Twice", { httpUrl: endpoint.url });
  for (const _ of [1, 2]) {
    await admin("POST", `/jobs/${job.id}/run`, {});
    await endpoint.arrived();
    endpoint.respond();
    await eventually(async () =>
      (await admin("GET", `/jobs/${job.id}/runs`)).items.every((run) => run.status === "success"),
    );
  }
  const page = await openPage(t);
  await page.goto(jobsOf(project));
  const bars = page.getByRole("list", { name: "Last 30 runs of Twice" }).getByRole("link");
  await shown(bars.nth(1));
  await bars.nth(1).focus();
  await page.keyboard.press("ArrowLeft");
  assert.ok(await bars.nth(0).evaluate((bar) => bar === document.activeElement));
  await page.keyboard.press("End");
  assert.ok(await bars.nth(1).evaluate((bar) => bar === document.activeElement));
  await page.goto(`${url}/jobs/${job.id}`);
  await shown(page.getByText("Last 2 runs", { exact: true }));
});

test("failing job comes first with its reason in the row", async (t) => {
  const project = await createProject("failing");
  const endpoint = await startEndpoint();
  await createJob(project, "A good job", { httpUrl: endpoint.url });
  const job = await createJob(project, "Failing", failing);
  await admin("POST", `/jobs/${job.id}/run`, {});
  const page = await openPage(t);
  await page.goto(jobsOf(project));
  await shown(row(page, "Failing").getByText("Failed", { exact: true }));
  const { items } = await admin("GET", `/jobs/${job.id}/runs`);
  await shown(row(page, "Failing").getByText(items[0].errorText));
  const names = page.getByRole("table", { name: "Jobs" }).locator("tbody .name");
  assert.deepEqual(await names.allTextContents(), ["Failing", "A good job"]);
  await page.getByRole("button", { name: "Failing 1" }).click();
  await hidden(row(page, "A good job"));
  assert.equal(new URL(page.url()).searchParams.get("state"), "failing");
});

test("job is created, run and its log opened with the keyboard alone", async (t) => {
  const project = await createProject("keyboard");
  const endpoint = await startEndpoint({ immediately: 200 });
  const page = await openPage(t);
  const isFocused = (locator) => locator.evaluate((element) => element === document.activeElement).catch(() => false);
  // Moves the focus with Tab, as users without a mouse do.
  const tabTo = (locator) =>
    eventually(async () => (await isFocused(locator)) || (await page.keyboard.press("Tab")), "the focus");
  await page.goto(jobsOf(project));
  await shown(heading(page, "Jobs"));
  await page.keyboard.press("c");
  await shown(heading(page, "New job"));
  await eventually(() => isFocused(page.getByRole("textbox", { name: "Name", exact: true })), "focus in the name");
  await page.keyboard.type("Keyboard");
  await tabTo(page.getByRole("textbox", { name: "URL" }));
  await page.keyboard.type(endpoint.url);
  await tabTo(page.getByRole("textbox", { name: "Schedule" }));
  await page.keyboard.type("0 3 1 1 *");
  await page.keyboard.press("Control+Enter");
  await shown(heading(page, "Keyboard"));
  await tabTo(button(page, "Run Keyboard now"));
  await page.keyboard.press("Enter");
  const run = page.getByRole("table", { name: "Runs" }).getByRole("link", { name: "Succeeded" });
  await shown(run);
  await page.keyboard.press("j");
  await eventually(() => isFocused(run), "focus on the run");
  await page.keyboard.press("Enter");
  await shown(heading(page, "Run of Keyboard"));
  await tabTo(page.getByRole("log", { name: "Log" }));
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Enter");
  await shown(page.locator(".line-detail"));
});

test("job is disabled at once and deleted after its runs are counted", async (t) => {
  const project = await createProject("deleted");
  const endpoint = await startEndpoint({ immediately: 200 });
  const job = await createJob(project, "Deleted", { httpUrl: endpoint.url });
  const page = await openPage(t);
  await page.goto(jobsOf(project));
  await page.getByRole("switch", { name: "Enable Deleted" }).uncheck();
  await eventually(async () => !(await admin("GET", `/jobs/${job.id}`)).enabled, "the switch on the server");
  await admin("POST", `/jobs/${job.id}/run`, {});
  await eventually(async () => (await admin("GET", `/jobs/${job.id}`)).lastRun?.status === "success", "the run");
  await button(page, "Actions for Deleted").click();
  await page.getByRole("menuitem", { name: "Delete job" }).click();
  const dialog = page.getByRole("dialog", { name: "Delete job" });
  await shown(dialog.getByText(/Its 1 run and its log will be deleted too/));
  await dialog.getByRole("button", { name: "Delete job" }).click();
  await hidden(dialog);
  await hidden(row(page, "Deleted"));
});

test("the form of a job keeps typed headers while the job is switched off", async (t) => {
  const project = await createProject("half filled");
  const request = { httpMethod: "POST", httpUrl: "http://localhost/", httpHeaders: { "x-key": "stored" } };
  const job = await createJob(project, "Half filled", request);
  const page = await openPage(t);
  await page.goto(`${url}/jobs/${job.id}?tab=settings`);
  const value = page.getByRole("textbox", { name: "Header value" });
  const body = page.getByRole("textbox", { name: "Body" });
  await value.fill("typed value");
  await body.fill("typed body");
  await page.getByRole("switch", { name: "Enable Half filled" }).uncheck();
  await eventually(async () => !(await admin("GET", `/jobs/${job.id}`)).enabled, "the disabled job");
  await page.getByRole("switch", { name: "Enable Half filled" }).check();
  await eventually(async () => (await admin("GET", `/jobs/${job.id}`)).enabled, "the enabled job");
  assert.equal(await value.inputValue(), "typed value");
  assert.equal(await body.inputValue(), "typed body");
  await button(page, "Add header").click();
  await page.getByRole("textbox", { name: "Header name" }).nth(1).fill("X-Key");
  await button(page, "Save job").click();
  await shown(page.getByRole("alert").filter({ hasText: "X-Key is listed more than once." }));
  await button(page, "Remove header X-Key").click();
  await button(page, "Save job").click();
  await page.waitForURL((address) => address.searchParams.get("tab") === null);
});

test("pages of jobs are accessible", async (t) => {
  const project = await createProject("accessible jobs");
  const endpoint = await startEndpoint({ immediately: 200 });
  const job = await createJob(project, "Accessible", { httpUrl: endpoint.url });
  await admin("POST", `/jobs/${job.id}/run`, {});
  for (const narrow of [false, true]) {
    const page = await openPage(t, { narrow });
    for (const [address, title] of [
      [jobsOf(project), "Jobs"],
      [`${url}/jobs/new`, "New job"],
      [`${url}/jobs/${job.id}`, "Accessible"],
      [`${url}/jobs/${job.id}?tab=settings`, "Accessible"],
    ]) {
      await page.goto(address);
      await shown(heading(page, title));
      await expectAccessible(page);
    }
  }
});

test("note says that no hosts are allowed until the server is restarted with an allowed host", async (t) => {
  const project = await createProject("hosts");
  const page = await openPage(t);
  let value = "";
  await page.route("**/admin/v1/system", async (route) => {
    const answer = await (await route.fetch()).json();
    const variable = answer.configuration.find(({ name }) => name === "ATLASHUB_HTTP_ALLOWED_HOSTS");
    variable.value = value;
    await route.fulfill({ json: answer });
  });
  await page.goto(jobsOf(project));
  const note = page.getByRole("note").filter({ hasText: "Requests are allowed to no host yet" });
  await shown(page.getByRole("listitem").filter({ hasText: "Call a URL" }).getByRole("note"));
  await page.getByRole("link", { name: "Call a URL" }).click();
  await shown(note.getByRole("link", { name: "Show configuration" }));
  await expectAccessible(page);
  value = "api.example.com";
  await hidden(note);
});
