// The page of tables: the list, rows and filters, structure and access, and long lists. See tables-edit for
// changes of rows.

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  admin, button, createProject, eventually, expectAccessible, heading, hidden, openPage, shown, url,
} from "./support.mjs";
import { HOSTILE, address, cell, copied, grid, list, openTable, withTables } from "./tables-support.mjs";

test("a table with special characters in its name is found and opened", async (t) => {
  const project = await withTables("books", "hostile");
  const page = await openPage(t);
  await page.goto(address(project));
  await shown(heading(page, "Tables"));
  const tables = list(page, project);
  await tables.getByRole("searchbox", { name: "Find a table" }).fill("a/b");
  await hidden(tables.getByRole("link", { name: /books/ }));
  await tables.getByRole("link").first().click();
  await shown(heading(page, HOSTILE));
  await shown(cell(page, "here", HOSTILE));
  await page.reload();
  await shown(heading(page, HOSTILE));
  await shown(cell(page, "here", HOSTILE));
});

test("values are shown and copied exactly", async (t) => {
  const project = await withTables("books");
  const page = await openTable(t, project, { table: "books" });
  for (const value of ["9007199254740993", "false", "0", "9.99"]) {
    await cell(page, value).first().click();
    await page.keyboard.press("Control+c");
    await eventually(async () => (await copied(page)) === value, value);
  }
  await shown(cell(page, "<img src=x onerror=alert(1)>"));
});

test("filters are shown as chips and are in the address", async (t) => {
  const project = await withTables("books");
  const page = await openTable(t, project, { table: "books", order: "id" });
  await button(page, "Filter").click();
  const dialog = page.getByRole("dialog", { name: "Filter" });
  await dialog.getByRole("combobox", { name: "Column" }).selectOption("price");
  await dialog.getByRole("combobox", { name: "Operator" }).selectOption("gte");
  await dialog.getByRole("textbox", { name: "Value" }).fill("11");
  await dialog.getByRole("button", { name: "Add condition" }).click();
  await dialog.getByRole("combobox", { name: "Column" }).nth(1).selectOption("available");
  await dialog.getByRole("combobox", { name: "Value" }).selectOption("true");
  await dialog.getByRole("button", { name: "Apply filters" }).click();
  await shown(button(page, "Edit filter price ≥ 11"));
  await shown(button(page, "Edit filter available = true"));
  await hidden(cell(page, "The Dispossessed"));
  assert.deepEqual(new URL(page.url()).searchParams.getAll("where"), ["gte.price=11", "eq.available=true"]);
  await page.reload();
  await shown(button(page, "Remove filter price ≥ 11"));
  await button(page, "Remove filter price ≥ 11").click();
  await button(page, "Remove filter available = true").click();
  await shown(cell(page, "The Dispossessed"));
  await page.goto(address(project, { table: "books", where: "eq.id=99" }));
  await shown(page.getByRole("heading", { name: "No row matches" }));
  await button(page, "Clear filters").click();
  await shown(cell(page, "Solaris"));
});

test("rows without a key can't be edited, and a note says why", async (t) => {
  const project = await withTables("noKey");
  const page = await openTable(t, project, { table: "no_key" });
  await shown(page.getByRole("note").filter({ hasText: "These rows can't be edited: the table has no primary key." }));
  await shown(button(page, "Add a primary key…"));
});

test("structure and access of a table are shown and changed", async (t) => {
  const project = await withTables("books");
  const page = await openTable(t, project, { table: "books", tab: "structure" });
  for (const name of ["Columns", "Indexes", "Constraints", "Foreign keys"]) {
    await shown(page.getByRole("table", { name, exact: true }));
  }
  await shown(page.getByRole("region", { name: "Definition" }).getByText(/create table/i));
  await page.getByRole("tab", { name: "Access" }).click();
  await shown(page.getByText(/Servers with the secret key: everything\./));
  await page.getByRole("radiogroup", { name: "Publishable key" }).getByRole("radio", { name: "Write" }).check();
  await button(page, "Save access").click();
  const dialog = page.getByRole("dialog", { name: "Open books for writing" });
  assert.ok(await dialog.getByRole("button", { name: "Open for writing" }).isDisabled());
  await button(page, "Cancel").click();
  await page.getByRole("radiogroup", { name: "Publishable key" }).getByRole("radio", { name: "Read" }).check();
  await button(page, "Save access").click();
  await shown(page.getByText(/Browsers with the publishable key: read/));
});

test("an open table says that browsers need an allowed origin, and links to the field", async (t) => {
  const project = await withTables("noKey");
  const page = await openTable(t, project, { table: "no_key", tab: "access" });
  const note = page.getByRole("note").filter({ hasText: "origin_not_allowed" });
  assert.equal(await note.count(), 0);
  await page.getByRole("radiogroup", { name: "Publishable key" }).getByRole("radio", { name: "Read" }).check();
  await button(page, "Save access").click();
  await shown(note);
  const link = list(page, project).getByRole("link", { name: /no_key/ });
  await eventually(
    async () => /Browsers with the publishable key can read it\./.test(await link.getAttribute("title")),
    "the tooltip",
  );
  await expectAccessible(page);
  await note.getByRole("link", { name: "Allow an origin…" }).click();
  const origins = page.getByRole("textbox", { name: "Allowed origins" });
  await eventually(() => origins.evaluate((field) => field === document.activeElement), "the focus");
  await origins.fill("https://app.example.com");
  await button(page, "Save settings").click();
  await page.goto(address(project, { table: "no_key", tab: "access" }));
  await shown(page.getByText(/Browsers with the publishable key: read/));
  await hidden(note);
});

test("a table is created with a form", async (t) => {
  const project = await withTables();
  const page = await openPage(t);
  await page.goto(address(project));
  await page.getByRole("navigation", { name: /Tables of/ }).getByRole("button", { name: "New table" }).click();
  const sheet = page.getByRole("dialog", { name: "New table" });
  await sheet.getByRole("textbox", { name: "Name", exact: true }).fill("notes");
  await shown(sheet.getByText('create table "notes"'));
  await sheet.getByRole("button", { name: "Add column" }).click();
  const added = sheet.getByRole("textbox", { name: "Name of column 3" });
  await eventually(() => added.evaluate((field) => field === document.activeElement), "the focus in the new column");
  await page.keyboard.insertText("price");
  const type = sheet.getByRole("combobox", { name: "Type of column 3" });
  assert.equal(await type.inputValue(), "text");
  // An empty field lets the browser suggest all types.
  await type.focus();
  await eventually(async () => (await type.inputValue()) === "", "the empty field");
  await added.focus();
  await eventually(async () => (await type.inputValue()) === "text", "the unchanged type");
  await type.fill("numeric(10,2)");
  await sheet.getByRole("checkbox", { name: "Column 3 is unique" }).check();
  await shown(sheet.getByText('"price" numeric(10,2) unique'));
  await sheet.getByRole("button", { name: "Create table" }).click();
  await shown(heading(page, "notes"));
  await shown(page.getByRole("heading", { name: "No rows" }));
  await shown(page.getByRole("group", { name: "Paging" }).getByText("No rows", { exact: true }));
});

test("of 300 columns and 10 000 tables, only a part is drawn", async (t) => {
  const project = await withTables("wide");
  const page = await openTable(t, project, { table: "wide_table" });
  await shown(grid(page, "wide_table").getByRole("gridcell").first());
  const cells = await grid(page, "wide_table").getByRole("row").nth(1).getByRole("gridcell").count();
  assert.ok(cells < 80, `${cells} cells of a row are drawn`);
  const table = (name) => ({
    name,
    kind: "table",
    columnCount: 1,
    hasPrimaryKey: true,
    exposure: { publishable: "none", signedIn: "none" },
    rowLevelSecurity: true,
    policyCount: 0,
    estimatedRows: 1,
    totalBytes: 8192,
    comment: null,
  });
  await page.route("**/tables?fields=summary*", (route) => {
    const wanted = new URL(route.request().url()).searchParams.get("q") ?? "";
    const names = Array.from({ length: 10_000 }, (_, n) => `table_${String(n).padStart(5, "0")}`).filter((name) =>
      name.includes(wanted),
    );
    return route.fulfill({
      json: { items: names.slice(0, 1000).map(table), nextCursor: names.length > 1000 ? "more" : null },
    });
  });
  await page.goto(address(project));
  const tables = list(page, project);
  await shown(tables.getByRole("link", { name: "table_00000" }));
  assert.ok((await tables.getByRole("link").count()) < 200);
  await tables.getByRole("searchbox", { name: "Find a table" }).fill("09999");
  await shown(tables.getByRole("link", { name: "table_09999" }));
});

test("the form of a table refuses names that occur twice", async (t) => {
  const project = await withTables("books");
  const page = await openPage(t);
  await page.goto(address(project, { new: "table" }));
  const sheet = page.getByRole("dialog", { name: "New table" });
  const create = sheet.getByRole("button", { name: "Create table" });
  await sheet.getByRole("textbox", { name: "Name", exact: true }).fill("books");
  await shown(sheet.getByText("A table already has this name."));
  await sheet.getByRole("textbox", { name: "Name", exact: true }).fill("twice");
  await sheet.getByRole("textbox", { name: "Name of column 2" }).fill("id");
  await shown(sheet.getByText("Another column has this name.").first());
  assert.ok(await create.isDisabled());
  await page.reload();
  await eventually(async () => (await sheet.getByRole("textbox", { name: "Name of column 2" }).inputValue()) === "id");
  await sheet.getByRole("textbox", { name: "Name of column 2" }).fill("other");
  await eventually(() => create.isEnabled());
  await shown(sheet.getByRole("switch", { name: "Row-level security", exact: true }));
  await sheet.getByRole("button", { name: "Cancel" }).click();
  await hidden(sheet);
});

test("the address of a missing table shows that the table does not exist", async (t) => {
  const project = await withTables();
  const page = await openPage(t);
  await page.goto(address(project, { table: "never made" }));
  await shown(page.getByRole("heading", { name: "This table does not exist" }));
  await page.getByRole("link", { name: "All tables" }).click();
  await shown(heading(page, "Tables"));
});

test("one button refreshes the rows", async (t) => {
  const project = await withTables("books");
  const page = await openTable(t, project, { table: "books" });
  await shown(cell(page, "Solaris"));
  await admin("POST", `/projects/${project.id}/sql`, { sql: "update books set title = 'Fiasco' where id = 3" });
  // Fails if there are two such buttons.
  await button(page, "Refresh").click();
  await shown(cell(page, "Fiasco"));
});

test("on a phone, rows are cards", async (t) => {
  const project = await withTables("books");
  const page = await openTable(t, project, { table: "books" }, { narrow: true });
  await shown(page.getByRole("list", { name: "Rows of books" }).getByRole("listitem").filter({ hasText: "Solaris" }));
  assert.equal(await page.getByRole("button", { name: "Refresh" }).count(), 1);
  const toolbar = page.getByRole("toolbar", { name: "Rows of books" });
  const top = async (name) => Math.round((await button(toolbar, name).boundingBox()).y);
  assert.equal(await top("Filter"), await top("Insert row"));
  await expectAccessible(page);
});

test("cards begin with a text that describes the row", async (t) => {
  const project = await createProject("cards", [
    "create table products (id int primary key, at timestamptz default now(), price numeric, name text not null)",
    "insert into products (id, price, name) values (1, 2.50, 'Bread'), (2, 3.00, '')",
  ]);
  const page = await openTable(t, project, { table: "products" }, { narrow: true });
  const cards = page.getByRole("list", { name: "Rows of products" }).getByRole("listitem");
  await shown(cards.filter({ hasText: "price 2.50" }).getByRole("link", { name: "Bread", exact: true }));
  await shown(cards.filter({ hasText: "price 3.00" }).getByRole("link", { name: "Empty text", exact: true }));
});

test("every line of a card opens its row, and a nullable text comes before a time", async (t) => {
  const project = await createProject("tapped cards", [
    "create table notes (id int primary key, at timestamptz default now(), title text, size int)",
    "insert into notes (id, title, size) values (1, 'Soup', 7)",
  ]);
  const page = await openTable(t, project, { table: "notes" }, { narrow: true });
  const card = page.getByRole("list", { name: "Rows of notes" }).getByRole("listitem");
  await shown(card.getByRole("link", { name: "Soup", exact: true }));
  const { x, y, width, height } = await card.locator("p").first().boundingBox();
  await page.touchscreen.tap(x + width / 2, y + height / 2);
  await shown(page.getByRole("dialog", { name: /^notes/ }));
});

test("the page is accessible", async (t) => {
  const project = await withTables("books");
  for (const query of [
    { table: "books" },
    { table: "books", tab: "structure" },
    { table: "books", tab: "access" },
    { table: "books", row: "1" },
  ]) {
    const page = await openTable(t, project, query);
    await page.waitForLoadState("networkidle").catch(() => {});
    await expectAccessible(page);
  }
});

test("closing a row returns the focus to its cell", async (t) => {
  const project = await withTables("books");
  const page = await openTable(t, project, { table: "books" });
  await cell(page, "Solaris").click();
  await page.keyboard.press("Alt+Enter");
  const sheet = page.getByRole("dialog", { name: "books id 3" });
  await eventually(() => page.evaluate(() => !!document.activeElement.closest(".sheet form")), "the form");
  await page.keyboard.press("Escape");
  await hidden(sheet);
  await eventually(() => page.evaluate(() => document.activeElement.textContent.startsWith("Solaris")), "the focus");
});

test("a small table without statistics shows one exact number of rows", async (t) => {
  const project = await createProject("counted", [
    "create table counted (id int primary key, v text)",
    "alter table counted set (autovacuum_enabled = false)",
    "insert into counted select n, 'row ' || n from generate_series(1, 505) n",
  ]);
  const page = await openTable(t, project, { table: "counted" });
  await shown(page.getByRole("group", { name: "Paging" }).getByText("1–100 of 505", { exact: true }));
  await shown(page.getByText(/^505 rows · /));
  const link = list(page, project).getByRole("link", { name: /^counted/ });
  await eventually(async () => /\n505 rows, /.test(await link.getAttribute("title")), "the number in the list");
});

test("only a part of the rows is drawn, and the last one is reached by key", async (t) => {
  const project = await withTables("long");
  const page = await openTable(t, project, { table: "long_list", limit: "1000" });
  await shown(cell(page, "1000", "long_list").or(cell(page, "20", "long_list")));
  const rendered = await grid(page, "long_list").getByRole("row").count();
  assert.ok(rendered < 60, `${rendered} rows are rendered`);
  await cell(page, "1", "long_list").first().click();
  await page.keyboard.press("Control+End");
  await eventually(
    () => page.evaluate(() => document.activeElement.textContent === "1000"),
    "the last cell has the focus",
  );
});

test("values are shown as Postgres prints them", async (t) => {
  const project = await withTables("exact");
  const page = await openTable(t, project, { table: "exact" });
  for (const value of [
    "12345678901234567890.12345678901234567890",
    "NaN",
    "Infinity",
    "",
    "NULL",
    "\\x00ff",
    '{a,"b c",NULL}',
    "1 day 02:03:04.000005",
    "2026-01-02 03:04:05.678901+00",
    "2026-01-02 03:04:05",
  ]) {
    await cell(page, value, "exact").first().waitFor({ state: "attached" });
  }
  assert.equal(await grid(page, "exact").locator("td.null").count(), 1);
});

test("filter on a column with special characters in its name is read from the address", async (t) => {
  const project = await withTables("hostile");
  const page = await openTable(t, project, { table: HOSTILE, where: "eq.a%3Db%25c=7" });
  await shown(cell(page, "here", HOSTILE));
  await shown(button(page, "Remove filter a=b%c = 7"));
});
