// The form that adds a column to a table, and the choice of the columns that are shown.

import assert from "node:assert/strict";
import { test } from "node:test";
import { button, eventually, expectAccessible, hidden, openPage, shown } from "./support.mjs";
import { address, openTable, withTables } from "./tables-support.mjs";

test("form adds a column to a table, and shows its SQL", async (t) => {
  const project = await withTables("books");
  const page = await openTable(t, project, { table: "books", tab: "structure" });
  await button(page, "Add column").click();
  const dialog = page.getByRole("dialog", { name: "Add column" });
  const add = button(dialog, "Add column");
  const name = dialog.getByRole("textbox", { name: "Name" });
  await name.fill("price");
  await shown(dialog.getByText("The table already has a column of this name."));
  assert.ok(await add.isDisabled());
  await name.fill("pages");
  const type = dialog.getByRole("combobox", { name: "Type" });
  await type.fill("numbers");
  await add.click();
  await shown(dialog.getByRole("alert").filter({ hasText: 'type "numbers" does not exist' }));
  await type.fill("integer");
  await dialog.getByRole("checkbox", { name: "Accepts NULL" }).uncheck();
  const note = dialog.getByRole("note").filter({ hasText: "Rows that exist need a value." });
  await shown(note);
  await dialog.getByRole("textbox", { name: "Default" }).fill("0");
  await hidden(note);
  await expectAccessible(page);
  const sql = await dialog.getByRole("region", { name: "SQL" }).locator("pre").innerText();
  assert.equal(sql, 'alter table "books"\n  add column "pages" integer default 0 not null;');
  await add.click();
  await hidden(dialog);
  const row = page.getByRole("table", { name: "Columns" }).getByRole("row").filter({ hasText: "pages" });
  await shown(row.getByText("not null"));
  const hasFocus = () => button(page, "Add column").evaluate((element) => element === document.activeElement);
  await eventually(hasFocus, "the focus on the button");
});

test("unfinished column is kept, and a view has no form", async (t) => {
  const project = await withTables("books");
  const page = await openPage(t);
  await page.goto(address(project, { table: "books", tab: "structure" }));
  await button(page, "Add column").click();
  const name = page.getByRole("dialog", { name: "Add column" }).getByRole("textbox", { name: "Name" });
  await name.fill("kept");
  await page.reload();
  await button(page, "Add column").click();
  assert.equal(await name.inputValue(), "kept");
  await page.goto(address(project, { table: "cheap_books", tab: "structure" }));
  await shown(button(page, "Drop view"));
  assert.equal(await button(page, "Add column").count(), 0);
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
