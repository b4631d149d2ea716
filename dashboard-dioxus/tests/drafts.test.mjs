// Half-filled forms survive Esc, reloads and navigation. Secrets are never stored.
import assert from "node:assert/strict";
import { test } from "node:test";
import { admin, button, createProject, eventually, heading, hidden, openPage, shown, url } from "./support.mjs";
import { cell, openTable, unsaved, withTables } from "./tables-support.mjs";

const isDirty = (form) => form.getByRole("status").filter({ hasText: "Not saved" });

test("form of a new channel keeps kind, name, server and events, but no secrets", async (t) => {
  const page = await openPage(t);
  await page.goto(`${url}/notifications?channel=new`);
  const form = page.getByRole("dialog", { name: "New channel" });
  const name = form.getByRole("textbox", { name: "Name", exact: true });
  const email = form.getByRole("radio", { name: "E-mail" });
  const failed = form.getByRole("checkbox", { name: /A run fails/ });
  await failed.uncheck();
  await shown(isDirty(form));
  await email.check();
  await name.fill("half filled");
  const server = form.getByRole("textbox", { name: "Server" });
  await server.fill("mail.example.com");
  const secret = form.getByLabel("Password");
  await secret.fill("a-secret-of-the-tests");
  await page.reload();
  await eventually(async () => (await name.inputValue()) === "half filled", "the name after a reload");
  assert.ok(await email.isChecked());
  assert.equal(await server.inputValue(), "mail.example.com");
  assert.ok(!(await failed.isChecked()));
  assert.equal(await secret.inputValue(), "");
  assert.ok(!(await page.evaluate(() => JSON.stringify({ ...sessionStorage }))).includes("a-secret-of-the-tests"));
  await form.getByRole("button", { name: "Cancel" }).click();
  await hidden(form);
  await button(page, "New channel").first().click();
  await shown(name);
  assert.equal(await name.inputValue(), "");
});

test("dialogs keep half-filled forms after Esc and forget them after Cancel", async (t) => {
  const { id } = await createProject("drafts");
  await admin("PATCH", `/projects/${id}/auth`, { enabled: true });
  const page = await openPage(t);
  for (const [path, title, act, field] of [
    ["users", "Users", "New user", "E-mail"],
    ["storage", "Storage", "New bucket", "Name"],
    ["keys", "API keys", "New key", "Name"],
  ]) {
    await page.goto(`${url}/projects/${id}/${path}`);
    await shown(heading(page, title));
    const dialog = page.getByRole("dialog", { name: act });
    const text = dialog.getByRole("textbox", { name: field, exact: true });
    await button(page, act).first().click();
    await text.fill("half-filled");
    await shown(isDirty(dialog));
    await page.keyboard.press("Escape");
    await hidden(dialog);
    await page.reload();
    await button(page, act).first().click();
    await eventually(async () => (await text.inputValue()) === "half-filled", `the text of ${act}`);
    await dialog.getByRole("button", { name: "Cancel" }).click();
    await hidden(dialog);
    await button(page, act).first().click();
    await shown(text);
    assert.equal(await text.inputValue(), "", act);
  }
});

test("form of a job asks again for header values and a body that were typed before a reload", async (t) => {
  const project = await createProject("lost values");
  const job = await admin("POST", "/jobs", {
    name: "Lost values", projectId: project.id, type: "http", scheduleCron: "0 3 1 1 *", httpMethod: "POST",
    httpUrl: "http://localhost/", httpBody: "stored-body",
  });
  const page = await openPage(t);
  await page.goto(`${url}/jobs/${job.id}?tab=settings`);
  const body = page.getByRole("textbox", { name: "Body" });
  const lost = page.getByRole("note").filter({ hasText: "was not kept, because it may be secret" });
  await shown(page.getByText("A body is stored. It stays as it is unless you type another one or remove it."));
  assert.equal(await body.inputValue(), "");
  await hidden(lost);
  // A value that the owner has removed is not lost.
  await button(page, "Add header").click();
  await page.getByRole("textbox", { name: "Header name" }).fill("x-key");
  await page.getByRole("textbox", { name: "Header value" }).fill("a");
  const marker = () => page.evaluate(() => Object.keys(sessionStorage).some((name) => name.endsWith(".unstorable")));
  await eventually(marker, "the mark of the typed value");
  await page.getByRole("textbox", { name: "Header value" }).fill("");
  await eventually(async () => !(await marker()), "the end of the mark");
  await body.fill("a-secret-of-the-tests");
  await shown(page.getByText("Saving replaces the stored body."));
  await page.getByRole("textbox", { name: "Header value" }).fill("a-secret-of-the-tests");
  await page.reload();
  await shown(lost);
  assert.equal(await page.getByRole("textbox", { name: "Header name" }).inputValue(), "x-key");
  assert.equal(await body.inputValue(), "");
  assert.ok(!(await page.evaluate(() => JSON.stringify({ ...sessionStorage }))).includes("a-secret-of-the-tests"));
  await page.getByRole("textbox", { name: "Header value" }).fill("typed again");
  await hidden(lost);
  // The stored body is neither shown nor sent back.
  const saved = page.waitForRequest((request) => request.method() === "PATCH");
  await button(page, "Save job").click();
  const { httpHeaders, httpBody } = (await saved).postDataJSON();
  assert.deepEqual([httpHeaders, httpBody], [{ "x-key": "typed again" }, undefined]);
});

test("saving a job takes back nothing that another tab has saved in the meantime", async (t) => {
  const project = await createProject("job of two tabs");
  const params = { target: `project:${project.id}`, retention: { keepLast: 7 } };
  const { id } = await admin("POST", "/jobs", {
    name: "Two tabs", projectId: project.id, type: "platform", plugin: "backup", pluginJob: "backup", params,
    scheduleCron: "0 3 1 1 *",
  });
  const page = await openPage(t);
  await page.clock.install();
  await page.goto(`${url}/jobs/${id}?tab=settings`);
  const schedule = page.getByRole("textbox", { name: "Schedule" });
  const keepLast = page.getByLabel(/^Keep last/);
  await eventually(async () => (await keepLast.inputValue()) === "7", "the stored parameters");
  await page.getByRole("textbox", { name: "Retries" }).fill("2");
  await page.getByLabel(/^Compression/).fill("3");
  await admin("PATCH", `/jobs/${id}`, { scheduleCron: "0 4 1 1 *" });
  // The page reads the job at intervals.
  await eventually(async () => {
    await page.clock.fastForward(20_000);
    return (await schedule.inputValue()) === "0 4 1 1 *";
  }, "the schedule of the other tab");
  await page.goto(`${url}/settings`);
  await admin("PATCH", `/jobs/${id}`, { name: "Renamed", params: { ...params, retention: { keepLast: 5 } } });
  await page.goto(`${url}/jobs/${id}?tab=settings`);
  await eventually(async () => (await keepLast.inputValue()) === "5", "the parameters of the other tab");
  assert.equal(await page.getByRole("textbox", { name: "Name", exact: true }).inputValue(), "Renamed");
  assert.equal(await page.getByRole("textbox", { name: "Retries" }).inputValue(), "2");
  const saved = page.waitForRequest((request) => request.method() === "PATCH");
  await button(page, "Save job").click();
  assert.deepEqual((await saved).postDataJSON(), {
    retries: 2, params: { ...params, compression: 3, retention: { keepLast: 5 } },
  });
  await page.waitForURL((address) => address.searchParams.get("tab") === null);
});

test("saving a job takes back nothing that another tab saves while the form is validated", async (t) => {
  const project = await createProject("validated job");
  const { id } = await admin("POST", "/jobs", {
    name: "Validated", projectId: project.id, type: "http", httpUrl: "http://localhost/", scheduleCron: "0 3 1 1 *",
  });
  const page = await openPage(t);
  await page.clock.install();
  await page.goto(`${url}/jobs/${id}?tab=settings`);
  await page.getByRole("textbox", { name: "Retries" }).fill("2");
  let release;
  const isReleased = new Promise((resolve) => (release = resolve));
  await page.route("**/admin/v1/jobs/check", async (route) => {
    await isReleased;
    await route.continue();
  });
  await button(page, "Save job").click();
  await eventually(() => button(page, "Save job").isDisabled(), "the validation");
  await admin("PATCH", `/jobs/${id}`, { scheduleCron: "0 4 1 1 *" });
  const schedule = page.getByRole("textbox", { name: "Schedule" });
  // The page reads the job at intervals.
  await eventually(async () => {
    await page.clock.fastForward(20_000);
    return (await schedule.inputValue()) === "0 4 1 1 *";
  }, "the schedule of the other tab");
  const saved = page.waitForRequest((request) => request.method() === "PATCH");
  release();
  assert.deepEqual((await saved).postDataJSON(), { retries: 2 });
});

test("saving headers or parameters of a job keeps others that another tab has just saved", async (t) => {
  const project = await createProject("job of two tabs");
  const backup = { type: "platform", plugin: "backup", pluginJob: "backup" };
  const params = { target: `project:${project.id}`, retention: { keepLast: 7 } };
  const request = { type: "http", httpUrl: "http://localhost/", httpHeaders: { "x-a": "1" } };
  const page = await openPage(t);
  for (const [fields, change, others, expected] of [
    [
      { ...backup, params },
      () => page.getByLabel(/^Compression/).fill("3"),
      { params: { ...params, retention: { keepLast: 5 } } },
      { params: { ...params, compression: 3, retention: { keepLast: 5 } } },
    ],
    [
      request,
      () => page.getByRole("textbox", { name: "Header value" }).fill("2"),
      { httpHeaders: { "x-a": null, "x-b": "3" } },
      { httpHeaders: { "x-a": "2", "x-b": null } },
    ],
  ]) {
    const common = { name: "Two tabs", projectId: project.id, scheduleCron: "0 3 1 1 *" };
    const { id } = await admin("POST", "/jobs", { ...common, ...fields });
    const before = await admin("GET", `/jobs/${id}`);
    // The page does not know of the other tab's change before the click.
    const path = `**/admin/v1/jobs/${id}`;
    const isClicked = () => page.evaluate(() => globalThis.isClicked).catch(() => false);
    await page.route(path, async (route) =>
      (await isClicked()) ? route.continue() : route.fulfill({ json: before }));
    await page.goto(`${url}/jobs/${id}?tab=settings`);
    await change();
    await admin("PATCH", `/jobs/${id}`, others);
    const saved = page.waitForRequest((request) => request.method() === "PATCH");
    await page.evaluate(() => addEventListener("click", () => (globalThis.isClicked = true), true));
    await button(page, "Save job").click();
    assert.deepEqual((await saved).postDataJSON(), expected);
    await page.waitForURL((address) => address.searchParams.get("tab") === null);
    await page.unroute(path);
  }
});

test("keystrokes stay in their header of a job when another tab removes an earlier one", async (t) => {
  const project = await createProject("headers of two tabs");
  const { id } = await admin("POST", "/jobs", {
    name: "Two tabs", projectId: project.id, type: "http", httpUrl: "http://localhost/", scheduleCron: "0 3 1 1 *",
    httpHeaders: { "x-a": "1", "x-b": "2", "x-c": "3" },
  });
  const page = await openPage(t);
  await page.clock.install();
  await page.goto(`${url}/jobs/${id}?tab=settings`);
  const values = page.getByRole("textbox", { name: "Header value" });
  await values.nth(1).fill("1");
  // Null keeps the stored value of a header, and headers that are absent are removed.
  await admin("PATCH", `/jobs/${id}`, { httpHeaders: { "x-b": null, "x-c": null } });
  // The page reads the job at intervals.
  await eventually(async () => {
    await page.clock.fastForward(20_000);
    return (await values.count()) === 2;
  }, "the headers without the removed one");
  await page.keyboard.press("End");
  await page.keyboard.type("6");
  assert.deepEqual([await values.nth(0).inputValue(), await values.nth(1).inputValue()], ["16", ""]);
});

test("access of a table is kept over a reload, and can be cancelled", async (t) => {
  const { id } = await createProject("access drafts", ["create table books (id int primary key)"]);
  const page = await openPage(t);
  await page.goto(`${url}/projects/${id}/tables?table=books&tab=access`);
  const read = page.getByRole("radiogroup", { name: "Publishable key" }).getByRole("radio", { name: "Read" });
  await read.check();
  await page.reload();
  await eventually(() => read.isChecked(), "the choice after a reload");
  await button(page, "Cancel").click();
  await eventually(async () => !(await read.isChecked()), "the saved access");
  assert.ok(await button(page, "Save access").isDisabled());
});

test("text typed into an open cell is a staged change after a reload", async (t) => {
  const project = await withTables("drafts");
  const page = await openTable(t, project, { table: "drafts", order: "id" });
  const field = page.getByRole("textbox", { name: "title", exact: true });
  const title = cell(page, "one", "drafts");
  // Neither a text that was not changed nor one that was restored is a change.
  await title.click();
  await page.keyboard.press("Enter");
  await shown(field);
  await page.reload();
  await title.click();
  await page.keyboard.type("restored");
  await page.keyboard.press("Escape");
  await shown(title);
  await page.reload();
  await shown(title);
  assert.equal(await unsaved(page).count(), 0);
  await title.click();
  await page.keyboard.type("half");
  assert.equal(await field.inputValue(), "half");
  await page.reload();
  await shown(unsaved(page).getByText("1 change in 1 row"));
  await shown(cell(page, "half", "drafts"));
});
