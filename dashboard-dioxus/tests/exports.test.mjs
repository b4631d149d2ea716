// Exports of tables, queries and databases.

import assert from "node:assert/strict";
import { gunzipSync } from "node:zlib";
import { test } from "node:test";
import { act, cell, download, openSql, run } from "./sql-support.mjs";
import {
  admin, button, createProject, eventually, expectAccessible, hidden, openPage, refusal, shown, url,
} from "./support.mjs";
import { startExport, STORE, tools } from "./transfers-support.mjs";

const BOOKS = [
  "create table books (id int8 primary key, title text, price numeric)",
  "insert into books select n, 'book ' || n, n / 10.0 from generate_series(1, 9) n",
];
const toolbar = (page) => page.getByRole("toolbar", { name: "Rows of books" });
const dialog = (page, name) => page.getByRole("dialog", { name, exact: true });

async function openTable(t, id, query = {}, options = {}) {
  const page = await openPage(t, { origins: STORE, ...options });
  await page.goto(`${url}/projects/${id}/tables?${new URLSearchParams({ table: "books", ...query })}`);
  return page;
}

// Downloads the file of the export in a dialog.
async function content(page, dialog) {
  await shown(dialog.getByText("Ready"));
  return download(page, () => button(dialog, "Download").click());
}

test("table is exported from its page", async (t) => {
  const { id } = await createProject("export", BOOKS);
  const page = await openTable(t, id);
  await button(toolbar(page), "Export").click();
  const open = dialog(page, "Export books");
  await shown(open.getByRole("radio", { name: "CSV" }));
  assert.ok(await open.getByRole("radio", { name: "CSV" }).isChecked());
  await button(open, "Export").click();
  const file = await content(page, open);
  assert.match(file.name, /books-.*\.csv$/);
  assert.equal(file.content.split(/\r?\n/)[1], "1,book 1,0.10000000000000000000");
  await shown(open.getByText("Kept until"));
  await shown(open.getByText("9", { exact: true }));
  assert.match(page.url(), /[?&]export=[0-9a-f-]{36}/);
  // After a reload, the dialog shows the file again.
  await page.reload();
  await shown(dialog(page, "Export books").getByText("Ready"));
  await button(dialog(page, "Export books"), "Close").click();
  await hidden(dialog(page, "Export books"));
});

test("run of an export names its file and links to the export", async (t) => {
  const { id } = await createProject("run", BOOKS);
  const { runId, fileName } = await startExport({ kind: "table", projectId: id, table: "books" }, "csv");
  const page = await openPage(t, { origins: STORE });
  await page.goto(`${url}/runs/${runId}`);
  await page.getByRole("region", { name: "Result" }).getByRole("link", { name: fileName }).click();
  await shown(dialog(page, "Export").getByText("Ready"));
});

test("rows that match the filter are exported in their order", async (t) => {
  const { id } = await createProject("filtered", BOOKS);
  const page = await openTable(t, id, { where: "lte.id=3", order: "id.desc" });
  await button(toolbar(page), "Export").click();
  const open = dialog(page, "Export books");
  assert.ok(await open.getByRole("radio", { name: "Rows that match the filter" }).isChecked());
  await shown(open.getByText("id ≤ 3."));
  await open.getByRole("radio", { name: "NDJSON" }).check();
  await button(open, "Export").click();
  const file = await content(page, open);
  assert.deepEqual(file.content.trim().split("\n").map((line) => JSON.parse(line).id), [3, 2, 1]);
  // The dialog of the form opened the dialog of the export, and is closed.
  await button(open, "Close").click();
  await eventually(() => button(toolbar(page), "Export").evaluate((element) => element === document.activeElement));
});

test("export has the shown columns, also with a filter that the form can't edit", async (t) => {
  const { id } = await createProject("columns", BOOKS);
  const page = await openTable(t, id, { where: "or=(eq.id:2,like.title:book 7)", columns: "title" });
  await button(toolbar(page), "Export").click();
  const open = dialog(page, "Export books");
  assert.ok(await open.getByRole("radio", { name: "Rows that match the filter" }).isChecked());
  await shown(open.getByText("or=(eq.id:2,like.title:book 7). Columns title."));
  await button(open, "Export").click();
  const file = await content(page, open);
  assert.deepEqual(file.content.trim().split(/\r?\n/), ["title", "book 2", "book 7"]);
  await shown(open.getByText("or=(eq.id:2,like.title:book 7) · order id · columns title"));
  // The list of exports shows the same selection.
  await page.goto(tools(id, { tab: "export" }));
  const row = page.getByRole("table", { name: "Exports" }).getByRole("row").filter({ hasText: "books" });
  await shown(row.getByText("or=(eq.id:2,like.title:book 7) · order id · columns title"));

  await page.goto(`${url}/projects/${id}/tables?table=books`);
  await button(toolbar(page), "Export").click();
  await shown(open.getByRole("radio", { name: "CSV" }));
  assert.equal(await open.getByRole("radiogroup", { name: "Rows" }).count(), 0, "the whole table is the only choice");
});

test("filter that the server refuses is marked in the form of an export", async (t) => {
  const { id } = await createProject("refused", BOOKS);
  const page = await openTable(t, id, { where: "eq.id=1" });
  await button(toolbar(page), "Export").click();
  const open = dialog(page, "Export books");
  await admin("POST", `/projects/${id}/sql`, { sql: "alter table books rename id to number" });
  await button(open, "Export").click();
  await shown(open.getByRole("alert").getByText("has no column", { exact: false }));
  assert.equal(await open.getByRole("radiogroup", { name: "Rows" }).getAttribute("aria-invalid"), "true");
  await open.getByRole("radio", { name: "All rows" }).check();
  await button(open, "Export").click();
  await shown(open.getByText("Ready"));
});

test("all rows of a query are exported, and a statement that changes data is refused", async (t) => {
  const { id } = await createProject("query", BOOKS);
  const page = await openSql(t, id, { origins: STORE });
  await page.getByRole("combobox", { name: "Rows", exact: true }).selectOption("100");
  await run(page, "select n from generate_series(1, 1200) n");
  await shown(cell(page, "1"));
  await button(page, "Export all").click();
  const open = dialog(page, "Export all");
  await open.getByRole("radio", { name: "JSON", exact: true }).check();
  await open.getByRole("checkbox", { name: "Compress with gzip" }).check();
  await button(open, "Export all rows").click();
  await shown(open.getByText("Ready"));
  await shown(open.getByText("1 200"));
  const item = (await admin("GET", `/exports?projectId=${id}`)).items[0];
  const { downloadUrl } = await admin("POST", `/exports/${item.id}/download`, {});
  const bytes = Buffer.from(await (await fetch(downloadUrl)).arrayBuffer());
  assert.equal(JSON.parse(gunzipSync(bytes)).length, 1200);
  await button(open, "Close").click();

  await run(page, "insert into books select n, 'x', 1 from generate_series(100, 300) n returning id");
  await shown(cell(page, "100"));
  await button(page, "Export all").click();
  await button(dialog(page, "Export all"), "Export all rows").click();
  await shown(dialog(page, "Export all").getByRole("alert"));
  assert.equal(await act(page, "Run").count(), 1);
});

test("database is exported, listed and deleted", async (t) => {
  const { id, name } = await createProject("database", BOOKS);
  const page = await openPage(t, { origins: STORE });
  await page.goto(tools(id, { tab: "export" }));
  await shown(page.getByText("No exports yet"));
  await button(page, "New export").click();
  const form = dialog(page, "New export");
  const source = form.getByRole("combobox", { name: "Source" });
  assert.equal(await source.locator("option:checked").innerText(), `The whole database of ${name}`);
  await form.getByRole("radio", { name: "SQL script" }).check();
  await button(form, "Export").click();
  const open = dialog(page, "Export");
  await shown(open.getByText("psql --set=ON_ERROR_STOP=1", { exact: false }));
  const file = await content(page, open);
  assert.match(file.content, /CREATE TABLE public\.books/);
  await button(open, "Copy link").click();
  await shown(page.getByText("Anyone with the link can download the file for 1 hour.", { exact: false }));
  const link = await page.evaluate(() => navigator.clipboard.readText());
  assert.equal((await fetch(link)).status, 200);
  await button(open, "Close").click();
  const row = page.getByRole("table", { name: "Exports" }).getByRole("row").filter({ hasText: "Database" });
  await shown(row.getByText("Ready"));
  await shown(row.getByText("SQL script"));
  await shown(row.getByText(/^in 2[34] h$/));
  await row.getByRole("button", { name: /^Actions for / }).click();
  await page.getByRole("menuitem", { name: "Delete export" }).click();
  const deletion = dialog(page, "Delete export");
  await shown(deletion.getByText(/\.sql \(.*\) will be deleted\. Links to it stop working\./));
  await button(deletion, "Delete export").click();
  await shown(page.getByText("No exports yet"));
  assert.equal((await fetch(link)).status, 404);
});

test("running export is cancelled", async (t) => {
  const { id } = await createProject("cancel", [
    "create function nap() returns int language plpgsql as $$ begin perform pg_sleep(0.2); return 1; end $$",
    "create view slow as select nap() from generate_series(1, 200)",
  ]);
  const page = await openPage(t, { origins: STORE });
  await page.goto(tools(id, { tab: "export", export: "new" }));
  const form = dialog(page, "New export");
  await form.getByRole("combobox", { name: "Source" }).selectOption({ label: "slow" });
  await shown(form.getByRole("radio", { name: "CSV" }));
  await button(form, "Export").click();
  const open = dialog(page, "Export");
  await shown(open.getByText("Running"));
  await page.reload();
  await button(open, "Cancel export").click();
  await shown(open.getByText("No file was created."));
  await button(open, "Close").click();
  const row = page.getByRole("table", { name: "Exports" }).getByRole("row").filter({ hasText: "slow" });
  await shown(row.getByText("Cancelled"));
});

test("failed export says why", async (t) => {
  const { id } = await createProject("failed", [
    ...BOOKS,
    "create view broken as select 1 / (id - 5) as value from books",
  ]);
  await startExport({ kind: "table", projectId: id, table: "broken" }, "csv");
  const page = await openPage(t, { origins: STORE });
  await page.goto(tools(id, { tab: "export" }));
  const row = page.getByRole("table", { name: "Exports" }).getByRole("row").filter({ hasText: "broken" });
  await shown(row.getByText("Failed"));
  await shown(row.getByText(/division by zero/));
  await row.getByRole("link", { name: "broken" }).click();
  await shown(dialog(page, "Export").getByText(/division by zero/));
});

test("tabs of the database tools have addresses, and the arrow keys move between them", async (t) => {
  const { id } = await createProject("tabs", BOOKS);
  const page = await openPage(t, { origins: STORE });
  await page.goto(tools(id, {}));
  const tab = (name) => page.getByRole("tablist", { name: "Database tools" }).getByRole("tab", { name });
  await shown(page.getByRole("heading", { name: "Protection" }));
  assert.equal(await tab("Backups").getAttribute("aria-selected"), "true");
  await tab("Backups").focus();
  await page.keyboard.press("ArrowRight");
  await shown(page.getByRole("heading", { name: "Restores" }));
  assert.match(page.url(), /tab=restore/);
  await page.keyboard.press("ArrowRight");
  await shown(page.getByRole("heading", { name: "Table and file" }));
  await page.keyboard.press("ArrowRight");
  await shown(page.getByText("No exports yet"));
  await page.goBack();
  await eventually(async () => (await tab("Import").getAttribute("aria-selected")) === "true", "the tab of before");
});

test("exports are accessible", async (t) => {
  const { id } = await createProject("accessible", BOOKS);
  await startExport({ kind: "query", projectId: id, sql: "select id, title from books where id < 3" }, "csv", true);
  const ready = await startExport({ kind: "database", projectId: id }, "custom");
  for (const options of [{}, { theme: "light" }, { narrow: true }]) {
    const page = await openPage(t, { ...options, origins: STORE });
    await page.goto(tools(id, { tab: "export" }));
    await shown(page.getByRole(options.narrow ? "list" : "table", { name: "Exports" }));
    await expectAccessible(page);
    await page.goto(tools(id, { tab: "export", export: "new" }));
    await shown(dialog(page, "New export"));
    await expectAccessible(page);
    await page.goto(tools(id, { tab: "export", export: ready.id }));
    await shown(button(dialog(page, "Export"), "Download"));
    await expectAccessible(page);
  }
});

test("source of an export stays the chosen one when a table is created meanwhile", async (t) => {
  const { id } = await createProject("sources", ["create table books (id int primary key)"]);
  const page = await openPage(t);
  await page.clock.install();
  await page.goto(tools(id, { tab: "export", export: "new" }));
  const form = dialog(page, "New export");
  const source = form.getByRole("combobox", { name: "Source" });
  await source.selectOption({ label: "books" });
  const read = page.waitForResponse(async (response) => (await response.text().catch(() => "")).includes("authors"));
  await admin("POST", `/projects/${id}/sql`, { sql: "create table authors (id int primary key)" });
  // The page reads the tables at intervals.
  await page.clock.fastForward(20_000);
  await read;
  await page.waitForTimeout(500);
  assert.equal(await source.locator("option:checked").innerText(), "books");
  const tables = "**/tables?fields=summary&limit=1000";
  await page.route(tables, (route) => route.fulfill(refusal(500, "The database can't be reached.")));
  await page.reload();
  await shown(form.getByText("The tables could not be loaded. The database can't be reached."));
  // The open dialog keeps what was chosen when the tables can be read again.
  const format = form.getByRole("radiogroup", { name: "Format" }).getByRole("radio").last();
  await format.check();
  await page.unroute(tables);
  // The page sets the timer for the second read after it has shown the response to the first one. So once the second
  // response has arrived, the first one was shown.
  let reads = 0;
  page.on("response", (response) => {
    if (response.url().includes("/tables?fields=summary")) reads += 1;
  });
  await eventually(async () => {
    await page.clock.fastForward(5_000);
    return reads >= 2;
  }, "two reads of the tables");
  assert.ok(await format.isChecked());
  await shown(form.getByText("The tables could not be loaded. The database can't be reached."));
});
