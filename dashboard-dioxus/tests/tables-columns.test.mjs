// The form for a new column, the button that writes its SQL, and the choice of the columns that are shown.

import assert from "node:assert/strict";
import { test } from "node:test";
import { button, eventually, expectAccessible, hidden, openPage, shown } from "./support.mjs";
import { query, text } from "./sql-support.mjs";
import { address, openTable, withTables } from "./tables-support.mjs";

test("button that adds a column writes SQL into a new query", async (t) => {
  const project = await withTables("books");
  // On a phone, the editor is a plain field.
  const page = await openTable(t, project, { table: "books", tab: "structure" }, { narrow: true });
  await button(page, "Add column").click();
  await shown(query(page, 'alter table "books"'));
  const expected = 'alter table "books"\n  add column new_column text;';
  await eventually(async () => (await text(page).inputValue()).trim() === expected, "the statement");
});

test("menu of a column writes SQL that changes it", async (t) => {
  const project = await withTables("books");
  const page = await openTable(t, project, { table: "books", tab: "structure" }, { narrow: true });
  await button(page, "Actions for id").click();
  await shown(page.getByRole("menuitem", { name: "Rename column" }));
  assert.equal(await page.getByRole("menuitem", { name: "Accept NULL" }).count(), 0, "part of the key");
  await page.keyboard.press("Escape");
  await button(page, "Actions for price").click();
  await page.getByRole("menuitem", { name: "Drop column" }).click();
  await shown(query(page, 'alter table "books"'));
  const expected = 'alter table "books"\n  drop column "price";';
  await eventually(async () => (await text(page).inputValue()).trim() === expected, "the statement");
});

test("form adds a column to a table, and shows its SQL", async (t) => {
  const project = await withTables("books");
  const page = await openTable(t, project, { table: "books", tab: "structure" });
  const newColumn = button(page, "New column");
  await newColumn.click();
  const dialog = page.getByRole("dialog", { name: "New column" });
  const create = button(dialog, "Create column");
  const name = dialog.getByRole("textbox", { name: "Name" });
  await name.fill("price");
  await shown(dialog.getByText("The table already has a column of this name."));
  assert.ok(await create.isDisabled());
  await name.fill("pages");
  const type = dialog.getByRole("combobox", { name: "Type" });
  await type.fill("numbers");
  await create.click();
  await shown(dialog.getByRole("alert").filter({ hasText: 'type "numbers" does not exist' }));
  await type.fill("integer");
  await dialog.getByRole("checkbox", { name: "Accepts NULL" }).uncheck();
  const note = dialog.getByRole("note").filter({ hasText: "Rows that exist need a value." });
  await shown(note);
  const references = dialog.getByRole("combobox", { name: "References" });
  await references.fill("authors");
  await shown(dialog.getByText('references "authors"'));
  await name.focus();
  await references.focus();
  for (const key of ["Control+a", "Backspace"]) await page.keyboard.press(key);
  await dialog.getByRole("textbox", { name: "Default" }).fill("0");
  await hidden(note);
  await expectAccessible(page);
  const sql = await dialog.getByRole("region", { name: "SQL" }).locator("pre").innerText();
  assert.equal(sql, 'alter table "books"\n  add column "pages" integer default 0 not null;');
  await create.click();
  await hidden(dialog);
  const row = page.getByRole("table", { name: "Columns" }).getByRole("row").filter({ hasText: "pages" });
  await shown(row.getByText("not null"));
  const hasFocus = () => newColumn.evaluate((element) => element === document.activeElement);
  await eventually(hasFocus, "the focus on the button");
});

test("unfinished column is kept, and a view has no form", async (t) => {
  const project = await withTables("books");
  const page = await openPage(t);
  await page.goto(address(project, { table: "books", tab: "structure" }));
  await button(page, "New column").click();
  const name = page.getByRole("dialog", { name: "New column" }).getByRole("textbox", { name: "Name" });
  await name.fill("kept");
  await page.reload();
  await button(page, "New column").click();
  assert.equal(await name.inputValue(), "kept");
  await page.goto(address(project, { table: "cheap_books", tab: "structure" }));
  await shown(button(page, "Drop view"));
  for (const name of ["Add column", "New column"]) assert.equal(await button(page, name).count(), 0, name);
});

test("last column that is shown can't be hidden", async (t) => {
  const project = await withTables("books");
  const page = await openTable(t, project, { table: "books", columns: "title" });
  await button(page, "Columns").click();
  const columns = page.getByRole("dialog", { name: "Columns" });
  const title = columns.getByRole("checkbox", { name: "title" });
  assert.ok((await title.isChecked()) && (await title.isDisabled()));
  await columns.getByRole("checkbox", { name: "price" }).check();
  await eventually(() => title.isEnabled(), "the choice with two columns");
});
