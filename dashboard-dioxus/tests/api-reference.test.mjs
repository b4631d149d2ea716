// The dialog "API" of a table: requests as code to copy.

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  admin, button, createProject, eventually, expectAccessible, hidden, openPage, shown, url,
} from "./support.mjs";

const BOOKS = `create table books (id bigint generated always as identity primary key, title text not null,
  price numeric(10,2), added timestamptz not null default now())`;

async function openBooks(t, { id }, options) {
  const page = await openPage(t, options);
  await page.goto(`${url}/projects/${id}/tables?table=books`);
  return page;
}

test("dialog of a table shows requests with its columns, the key and the access that they need", async (t) => {
  const project = await createProject("api", [BOOKS]);
  await admin("PUT", `/projects/${project.id}/tables/books/exposure`, { publishable: "read", confirm: true });
  const page = await openBooks(t, project);
  const open = button(page, "API");
  await open.focus();
  await page.keyboard.press("Enter");
  const dialog = page.getByRole("dialog", { name: "API of books" });
  const call = (name) => dialog.getByRole("region", { name, exact: true });
  const code = async (name) => (await call(name).locator("pre").innerText()).replaceAll("\\\n ", "");
  await shown(call("List rows"));
  const { publicUrl } = await admin("GET", "/system");
  await eventually(
    async () => (await code("List rows")).startsWith(`curl "${publicUrl}/v1/db/books?eq.title=text&order=id&limit=10"`),
    "the address of the API",
  );
  assert.match(await code("List rows"), /x-api-key: \$ATLASHUB_PUBLISHABLE_KEY/);
  // The server sees a new table within a second.
  const [, address] = /"([^"]+)"/.exec(await code("List rows"));
  const headers = { "x-api-key": project.publishableKey };
  await eventually(async () => (await fetch(address, { headers })).ok, "the response to the copied request");
  await shown(call("List rows").getByText("Works with the secret key, or the publishable key."));
  assert.match(await code("Read one row by its key"), /\/v1\/db\/books\?eq\.id=1"/);
  const insert = await code("Insert a row");
  assert.match(insert, /-X POST .*\$ATLASHUB_SECRET_KEY/);
  assert.ok(insert.endsWith(`-d '{"rows": [{"title": "text", "price": 9.99}]}'`), insert);
  await shown(call("Insert a row").getByText("set the access “Write” on the tab Access."));
  assert.match(await code("Update a row"), /-X PATCH .*\?eq\.id=1".*-d '\{"values": \{"title": "text"\}\}'/);
  await expectAccessible(page);
  await dialog.getByRole("tab", { name: "curl" }).focus();
  await page.keyboard.press("ArrowRight");
  await eventually(async () => /await fetch\(".*\/v1\/db\/books\?eq\.id=1"/.test(await code("Delete a row")), "fetch");
  await call("Delete a row").getByRole("button", { name: "Copy code: Delete a row" }).click();
  await page.waitForFunction(async () => (await navigator.clipboard.readText()).includes('method: "DELETE"'));
  await page.keyboard.press("Escape");
  await hidden(dialog);
  await eventually(() => open.evaluate((element) => element === document.activeElement), "the focus");
});

test("requests of a table are reachable on a phone", async (t) => {
  const project = await createProject("api", [BOOKS]);
  const page = await openBooks(t, project, { narrow: true });
  await button(page, "Actions for books").click();
  await page.getByRole("menuitem", { name: "API…" }).click();
  const dialog = page.getByRole("dialog", { name: "API of books" });
  await shown(dialog.getByRole("region", { name: "List rows" }));
  await expectAccessible(page);
});

test("requests fit tables with special names, without a key, and without an address", async (t) => {
  const project = await createProject("api", [
    `create table "it's a/b" ("first part" int, b text, note text, primary key ("first part", b))`,
    "create table events (times timestamptz[], note varchar(2))",
    `create table "tables" (id int primary key)`,
  ]);
  const page = await openPage(t);
  const open = async (table) => {
    await page.goto(`${url}/projects/${project.id}/tables?${new URLSearchParams({ table })}`);
    await button(page, "API").click();
    return page.getByRole("dialog", { name: `API of ${table}`, exact: true });
  };
  const code = (dialog, call) => dialog.getByRole("region", { name: call, exact: true }).locator("pre");
  let dialog = await open("it's a/b");
  const path = String.raw`/v1/db/it%27s%20a%2Fb\?eq\.first%20part=1&eq\.b=text"`;
  await shown(code(dialog, "Delete a row").filter({ hasText: new RegExp(path) }));
  const [, address] = /"([^"]+)"/.exec(await code(dialog, "List rows").innerText());
  const headers = { "x-api-key": project.secretKey };
  await eventually(async () => (await fetch(address, { headers })).ok, "the response to the copied request");
  dialog = await open("events");
  await shown(code(dialog, "List rows").filter({ hasText: "?eq.note=te&order=note&limit=10" }));
  await shown(dialog.getByText("The table has no key, so there are no examples for one row."));
  assert.equal(await code(dialog, "Update a row").count(), 0);
  dialog = await open("tables");
  await shown(dialog.getByText("The API can't reach this table."));
  assert.equal(await dialog.locator("pre").count(), 0);
  await expectAccessible(page);
});

test("visitors who may insert but not read send the insert without reading the row", async (t) => {
  const project = await createProject("api", [
    "create table notes (id int generated always as identity primary key, text text not null)",
    "alter table notes enable row level security",
    "create policy send on notes for insert with check (true)",
  ]);
  await admin("PUT", `/projects/${project.id}/tables/notes/exposure`, { publishable: "write" });
  const page = await openPage(t);
  await page.goto(`${url}/projects/${project.id}/tables?table=notes`);
  await button(page, "API").click();
  const call = (name) => page.getByRole("region", { name, exact: true });
  await shown(call("List rows").getByText("set the access “Read” and write policies on the tab Access."));
  await shown(call("Delete a row").getByText("Works with the secret key."));
  const insert = await call("Insert a row").locator("pre").innerText();
  assert.match(insert, /\$ATLASHUB_PUBLISHABLE_KEY/);
  const [, address] = /"([^"]+\?returning=minimal)"/.exec(insert);
  const headers = { "x-api-key": project.publishableKey, "content-type": "application/json" };
  const [, body] = /-d '(.*)'$/.exec(insert);
  await eventually(async () => (await fetch(address, { method: "POST", headers, body })).status === 201, "the insert");
});
