import assert from "node:assert/strict";
import { test } from "node:test";
import {
  admin, button, createProject, eventually, expectAccessible, heading, hidden, openPage, refusal, shown, url,
} from "./support.mjs";

const project = await createProject("audit");

const entries = (page) => page.getByRole("table", { name: "Audit entries" });
const first = (page) => entries(page).getByRole("row").nth(1);
const parameter = (page, name) => new URL(page.url()).searchParams.get(name);

async function revokeNewKey(name) {
  const created = await admin("POST", `/projects/${project.id}/keys`, { name, type: "secret" });
  await admin("DELETE", `/projects/${project.id}/keys/${created.apiKey.id}`);
  return created;
}

test("revoked key is the first entry at once, without its secret", async (t) => {
  const page = await openPage(t);
  await page.goto(`${url}/audit?project=${project.id}`);
  await shown(heading(page, "Audit log"));
  await shown(entries(page));
  const { key } = await revokeNewKey("web");
  await shown(first(page).getByText(`revoked key web (${project.name})`));
  await page.getByRole("combobox", { name: "Action" }).selectOption("key.*");
  await eventually(() => parameter(page, "action") === "key.*");
  await shown(first(page).getByText(`revoked key web (${project.name})`));
  await first(page).getByRole("link").click();
  const sheet = page.getByRole("dialog", { name: `Revoked key web (${project.name})` });
  await shown(sheet.getByText("key.revoke", { exact: true }));
  await shown(sheet.getByRole("link", { name: project.name }));
  await sheet.getByRole("button", { name: "Copy request id" }).click();
  await eventually(async () => (await page.evaluate(() => navigator.clipboard.readText())).length > 8);
  assert.ok(!(await page.content()).includes(key));
});

test("entry opens from its address, and Back closes the sheet and keeps the filter", async (t) => {
  await revokeNewKey("address");
  const page = await openPage(t);
  await page.goto(`${url}/audit?project=${project.id}&action=key.revoke`);
  // The whole row opens the entry, not only its text.
  await first(page).getByRole("cell").first().click();
  const sheet = page.getByRole("dialog", { name: /^Revoked key/ });
  await shown(sheet);
  const entry = parameter(page, "entry");
  await page.goBack();
  await hidden(sheet);
  assert.equal(parameter(page, "action"), "key.revoke");
  // The list with this filter does not contain the entry.
  await page.goto(`${url}/audit?actor=nobody&entry=${entry}`);
  await shown(page.getByRole("dialog", { name: /^Revoked key/ }));
  await page.goto(`${url}/audit?entry=00000000-0000-7000-8000-000000000000`);
  await shown(page.getByRole("heading", { name: "No such entry" }));
});

test("entry names the user whose role was changed", async (t) => {
  await admin("PATCH", `/projects/${project.id}/auth`, { enabled: true });
  const user = await admin("POST", `/projects/${project.id}/users`, { email: "ada@example.com" });
  await admin("PATCH", `/projects/${project.id}/users/${user.id}`, { role: "admin" });
  await admin("DELETE", `/projects/${project.id}/users/${user.id}`);
  const page = await openPage(t);
  await page.goto(`${url}/audit?project=${project.id}&action=user.*`);
  await shown(first(page).getByText(`deleted user ada@example.com (${project.name})`));
  await shown(entries(page).getByText(`changed the role of user ada@example.com to admin (${project.name})`));
});

test("entry of SQL names the command and the tables that it changed", async (t) => {
  for (const sql of ["create table books (id int)", "truncate books cascade"]) {
    await admin("POST", `/projects/${project.id}/sql`, { sql });
  }
  const page = await openPage(t);
  await page.goto(`${url}/audit?project=${project.id}&action=sql.*`);
  await shown(first(page).getByText(`ran TRUNCATE TABLE on books (${project.name})`));
});

test("button that shows all entries of a resource fits on a phone", async (t) => {
  await revokeNewKey("n".repeat(60));
  const page = await openPage(t, { narrow: true });
  await page.goto(`${url}/audit?project=${project.id}&action=key.revoke`);
  await page.getByRole("list", { name: "Audit entries" }).getByRole("link").first().click();
  const all = page.getByRole("dialog").getByRole("button", { name: /^Show all of n+/ });
  await shown(all);
  const { x, width } = await all.boundingBox();
  assert.ok(x + width <= 390, `the button ends at ${x + width} px`);
});

test("filters are in the address and can be cleared", async (t) => {
  const page = await openPage(t);
  await page.goto(`${url}/audit`);
  await page.getByRole("combobox", { name: "Result" }).selectOption("denied");
  await page.getByRole("combobox", { name: "Project" }).selectOption({ label: project.name });
  await page.getByRole("combobox", { name: "Time" }).selectOption({ label: "Last hour" });
  await eventually(
    () =>
      parameter(page, "result") === "denied" && parameter(page, "project") === project.id && parameter(page, "from"),
  );
  await shown(page.getByRole("heading", { name: "No entry matches" }));
  await button(page, "Clear filters").first().click();
  await eventually(() => new URL(page.url()).search === "");
  await shown(entries(page));
  await page.getByRole("searchbox", { name: "Filter audit entries" }).fill(project.name);
  await eventually(() => parameter(page, "q") === project.name);
  await shown(first(page).getByText(project.name));
});

test("new entries appear without a refresh only while they are followed", async (t) => {
  const page = await openPage(t);
  await page.clock.install();
  await page.goto(`${url}/audit?project=${project.id}`);
  await shown(entries(page));
  const follow = page.getByRole("switch", { name: "Follow" });
  await follow.uncheck();
  await revokeNewKey("unfollowed");
  // This time is longer than the interval of the followed list, and shorter than the silence after which the page
  // assumes a lost connection and reads everything again.
  await page.clock.fastForward(4_000);
  assert.equal(await entries(page).getByText("unfollowed").count(), 0);
  await button(page, "Refresh").click();
  await shown(first(page).getByText("revoked key unfollowed"));
  await follow.check();
  await revokeNewKey("followed");
  await shown(first(page).getByText("revoked key followed"));
});

test("failed refresh of the entries is repeated, also without Follow", async (t) => {
  const page = await openPage(t);
  // An event could make the page read the list again earlier.
  await page.route("**/admin/v1/events", (route) => route.abort());
  await page.clock.install();
  await page.goto(`${url}/audit?project=${project.id}`);
  await shown(entries(page));
  await page.getByRole("switch", { name: "Follow" }).uncheck();
  let isRefused = true;
  await page.route("**/admin/v1/audit?*", (route) =>
    isRefused ? route.fulfill(refusal(503, "Postgres can't be reached.")) : route.continue(),
  );
  await button(page, "Refresh").click();
  const alert = page.getByRole("alert").filter({ hasText: "The shown data may be out of date." });
  await shown(alert);
  isRefused = false;
  await page.clock.fastForward(16_000);
  await hidden(alert);
});

test("filter names the owner as the list does", async (t) => {
  const page = await openPage(t);
  await page.goto(`${url}/audit`);
  const who = page.getByRole("combobox", { name: "Who" });
  await who.selectOption("you");
  await eventually(() => parameter(page, "actor") === "session");
  await eventually(async () => (await who.locator("option:checked").innerText()) === "you", "the choice");
});

test("export contains the filtered entries, one in each line", async (t) => {
  await revokeNewKey("exported");
  const page = await openPage(t);
  await page.goto(`${url}/audit?project=${project.id}&action=key.revoke`);
  const download = page.waitForEvent("download");
  await page.getByRole("link", { name: "Export" }).click();
  const chunks = [];
  for await (const chunk of await (await download).createReadStream()) chunks.push(chunk);
  const lines = Buffer.concat(chunks).toString().trim().split("\n").map((line) => JSON.parse(line));
  assert.ok(lines.length > 0);
  assert.ok(lines.every(({ action, projectId }) => action === "key.revoke" && projectId === project.id));
});

test("audit log is accessible", async (t) => {
  for (const narrow of [false, true]) {
    const page = await openPage(t, { narrow });
    await page.goto(`${url}/audit?project=${project.id}`);
    await shown(page.getByRole(narrow ? "list" : "table", { name: "Audit entries" }));
    await expectAccessible(page);
    await page.getByRole(narrow ? "list" : "table", { name: "Audit entries" }).getByRole("link").first().click();
    await shown(page.getByRole("dialog").getByText("Request id"));
    await expectAccessible(page);
  }
});

test("details can be scrolled with the keyboard, and an older page says where new entries appear", async (t) => {
  await revokeNewKey("details");
  const page = await openPage(t);
  await page.goto(`${url}/audit?project=${project.id}&action=key.create`);
  await first(page).getByRole("link").click();
  const details = page.getByRole("region", { name: "Details" }).locator("pre");
  await details.focus();
  assert.ok(await details.evaluate((element) => element === document.activeElement));
  const { nextCursor } = await admin("GET", "/audit?limit=1");
  await page.goto(`${url}/audit?after=${encodeURIComponent(nextCursor)}&offset=1`);
  await shown(page.getByTitle("New entries appear on the first page"));
});
