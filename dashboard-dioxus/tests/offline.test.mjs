// Actions while the server can't be reached, and after the connection is back.
import assert from "node:assert/strict";
import { test } from "node:test";
import { admin, button, createProject, eventually, heading, hidden, openPage, shown, url } from "./support.mjs";

const SERVER = /\/(healthz|admin\/v1\/.*)$/;
const REASON = "Not connected to the server";

const lost = (page) => page.getByRole("status").filter({ hasText: "Not connected. Showing what was there at" });

test("actions are disabled while the server can't be reached", async (t) => {
  const { id, name: saved } = await createProject("gone");
  const page = await openPage(t);
  await page.goto(`${url}/projects/${id}/settings`);
  await shown(heading(page, "Project settings"));
  const name = page.getByRole("textbox", { name: "Name" });
  await name.fill("typed meanwhile");
  const begin = Date.now();
  await page.route(SERVER, (route) => route.abort());
  const bar = lost(page);
  await shown(bar);
  assert.ok(Date.now() - begin < 6_000, `${Date.now() - begin} ms`);
  const save = button(page, "Save settings");
  await eventually(() => save.isDisabled(), "the disabled act");
  assert.equal(await save.getAttribute("title"), REASON);
  // The form itself disables and enables the button while the name changes.
  const notSaved = page.getByRole("status").getByText("Not saved", { exact: true });
  await name.fill(saved);
  await hidden(notSaved);
  await name.fill("typed meanwhile");
  await shown(notSaved);
  await eventually(() => save.isDisabled(), "the disabled act after the changes");
  await page.unroute(SERVER);
  await bar.getByRole("button", { name: "Try again" }).click();
  await hidden(bar);
  await eventually(() => save.isEnabled(), "the enabled act");
  assert.equal(await name.inputValue(), "typed meanwhile");
});

test("actions of rows are disabled while the server can't be reached, and keep their titles", async (t) => {
  const { id } = await createProject("gone rows");
  await admin("POST", "/jobs", {
    name: "Waits", projectId: id, scheduleCron: "0 3 1 1 *", type: "platform", plugin: "backup", pluginJob: "backup",
    params: { target: `project:${id}` },
  });
  const page = await openPage(t);
  await page.goto(`${url}/projects/${id}/jobs`);
  const start = button(page, "Run Waits now");
  const toggle = page.getByRole("switch", { name: "Enable Waits" });
  await shown(start);
  await page.route(SERVER, (route) => route.abort());
  for (const act of [start, toggle]) {
    await eventually(async () => (await act.getAttribute("aria-disabled")) === "true", "the disabled act");
    assert.equal(await act.getAttribute("title"), REASON);
  }
  await page.unroute(SERVER);
  await eventually(() => start.isEnabled(), "the enabled act");
  assert.equal(await start.getAttribute("title"), "Run Waits now");
  assert.equal(await toggle.getAttribute("title"), null);
});

test("a form that has no changes any more stays disabled after the connection is back", async (t) => {
  const { id, name: saved } = await createProject("gone changes");
  const page = await openPage(t);
  await page.goto(`${url}/projects/${id}/settings`);
  await shown(heading(page, "Project settings"));
  const name = page.getByRole("textbox", { name: "Name" });
  const save = button(page, "Save settings");
  await name.fill("typed meanwhile");
  await eventually(() => save.isEnabled(), "the enabled act");
  await page.route(SERVER, (route) => route.abort());
  await shown(lost(page));
  await eventually(async () => (await save.getAttribute("title")) === REASON, "the disabled act");
  // The form disables the button too, so the attribute keeps its value.
  await name.fill(saved);
  await hidden(page.getByRole("status").getByText("Not saved", { exact: true }));
  await page.unroute(SERVER);
  await lost(page).getByRole("button", { name: "Try again" }).click();
  await hidden(lost(page));
  await eventually(async () => (await save.getAttribute("title")) === null, "the button's own title");
  assert.ok(await save.isDisabled());
  await name.fill("typed later");
  await eventually(() => save.isEnabled(), "the act after a change");
});

test("acts that are not the main button of their part are disabled while the server can't be reached", async (t) => {
  const { id } = await createProject("gone acts");
  await admin("PATCH", `/projects/${id}/auth`, { enabled: true });
  const { id: user } = await admin("POST", `/projects/${id}/users`, { email: "off@example.com" });
  await admin("PATCH", `/projects/${id}/users/${user}`, { disabled: true });
  const page = await openPage(t);
  for (const [path, name] of [
    [`/projects/${id}`, "Allow http://localhost:3000"],
    [`/projects/${id}/users?user=${user}`, "Enable user"],
  ]) {
    await page.goto(url + path);
    await shown(button(page, name));
    await page.route(SERVER, (route) => route.abort());
    await eventually(async () => (await button(page, name).getAttribute("title")) === REASON, name);
    await page.unroute(SERVER);
  }
});
