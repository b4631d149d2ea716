// The dialog "Filter" of the tables page, filters that the server refuses, and pages without rows.

import assert from "node:assert/strict";
import { test } from "node:test";
import { button, hidden, shown } from "./support.mjs";
import { cell, grid, openTable, withTables } from "./tables-support.mjs";

const filters = (page) => new URL(page.url()).searchParams.getAll("where");

test("conditions without a value are not applied", async (t) => {
  const project = await withTables("books");
  const page = await openTable(t, project, { table: "books", order: "id" });
  const dialog = page.getByRole("dialog", { name: "Filter" });
  await button(page, "Filter").click();
  await dialog.getByRole("button", { name: "Apply filters" }).click();
  await hidden(dialog);
  await shown(cell(page, "Solaris"));
  assert.deepEqual(filters(page), []);
  await button(page, "Filter").click();
  await dialog.getByRole("combobox", { name: "Column" }).selectOption("price");
  await dialog.getByRole("textbox", { name: "Value" }).fill("11");
  await dialog.getByRole("button", { name: "Apply filters" }).click();
  await shown(button(page, "Edit filter price = 11"));
  // A filtered table opens with its own conditions only.
  await button(page, "Filter").click();
  await shown(dialog.getByRole("combobox", { name: "Column" }));
  assert.equal(await dialog.getByRole("combobox", { name: "Column" }).count(), 1);
  await dialog.getByRole("button", { name: "Add condition" }).click();
  await dialog.getByRole("button", { name: "Apply filters" }).click();
  await hidden(dialog);
  assert.deepEqual(filters(page), ["eq.price=11"]);
  await shown(cell(page, "Solaris"));
  // The empty text is a value of its own.
  await button(page, "Filter").click();
  await dialog.getByRole("combobox", { name: "Column" }).selectOption("note");
  await dialog.getByRole("textbox", { name: "Value" }).fill("x");
  await dialog.getByRole("textbox", { name: "Value" }).fill("");
  await dialog.getByRole("button", { name: "Apply filters" }).click();
  await hidden(dialog);
  assert.deepEqual(filters(page), ["eq.note="]);
  await shown(cell(page, "Solaris"));
});

test("contains finds % and _ as characters, and a pattern stays a pattern", async (t) => {
  const project = await withTables("books");
  const page = await openTable(t, project, { table: "books", where: "ilike.title=sol%" });
  const dialog = page.getByRole("dialog", { name: "Filter" });
  await shown(cell(page, "Solaris"));
  await button(page, "Filter").click();
  await dialog.getByRole("button", { name: "Apply filters" }).click();
  await hidden(dialog);
  assert.deepEqual(filters(page), ["ilike.title=sol%"]);
  await button(page, "Filter").click();
  await dialog.getByRole("combobox", { name: "Operator" }).selectOption({ label: "contains" });
  await dialog.getByRole("textbox", { name: "Value" }).fill("l%r_s");
  await dialog.getByRole("button", { name: "Apply filters" }).click();
  await shown(button(page, "Edit filter title contains l%r_s"));
  assert.deepEqual(filters(page), ["ilike.title=%l\\%r\\_s%"]);
  await hidden(cell(page, "Solaris"));
});

test("a refused filter shows no rows, and is not a recent filter", async (t) => {
  const project = await withTables("books");
  const page = await openTable(t, project, { table: "books", order: "id" });
  await page.getByRole("checkbox", { name: "Select all rows" }).check();
  await shown(button(page, "Delete 3 rows"));
  const dialog = page.getByRole("dialog", { name: "Filter" });
  const apply = async (column, value) => {
    await button(page, "Filter").click();
    await dialog.getByRole("combobox", { name: "Column" }).selectOption(column);
    await dialog.getByRole("textbox", { name: "Value" }).fill(value);
    await dialog.getByRole("button", { name: "Apply filters" }).click();
  };
  await apply("stock", "many");
  await shown(page.getByRole("alert").filter({ hasText: "Rows could not be loaded." }));
  await hidden(grid(page));
  await hidden(button(page, "Delete 3 rows"));
  await apply("stock", "5");
  await shown(cell(page, "Solaris"));
  await button(page, "Filter").click();
  const recent = dialog.getByRole("region", { name: "Recent filters" });
  await shown(recent.getByRole("button", { name: "stock = 5" }));
  assert.equal(await recent.getByRole("button").count(), 1);
});

test("a recent filter that is chosen again becomes the first", async (t) => {
  const project = await withTables("books");
  const page = await openTable(t, project, { table: "books", order: "id" });
  const dialog = page.getByRole("dialog", { name: "Filter" });
  for (const [stock, title] of [["5", "Solaris"], ["3", "The Lathe of Heaven"]]) {
    await button(page, "Filter").click();
    await dialog.getByRole("combobox", { name: "Column" }).selectOption("stock");
    await dialog.getByRole("textbox", { name: "Value" }).fill(stock);
    await dialog.getByRole("button", { name: "Apply filters" }).click();
    await hidden(dialog);
    await shown(cell(page, title));
    await hidden(cell(page, "The Dispossessed"));
  }
  await hidden(cell(page, "Solaris"));
  await button(page, "Filter").click();
  const recent = dialog.getByRole("region", { name: "Recent filters" }).getByRole("button");
  await shown(recent.first());
  assert.deepEqual(await recent.allTextContents(), ["stock = 3", "stock = 5"]);
  await recent.last().click();
  await shown(cell(page, "Solaris"));
  await button(page, "Filter").click();
  await shown(recent.first());
  assert.deepEqual(await recent.allTextContents(), ["stock = 5", "stock = 3"]);
});

test("a page whose rows are gone does not say that the table is empty", async (t) => {
  const project = await withTables("books");
  const page = await openTable(t, project, { table: "books", offset: "50" });
  await shown(page.getByRole("heading", { name: "No rows on this page" }));
  assert.equal(await page.getByText("The table is empty.").count(), 0);
  await button(page, "First page").click();
  await shown(cell(page, "Solaris"));
  assert.equal(new URL(page.url()).searchParams.get("offset"), null);
});

test("rows that are no longer shown are not selected", async (t) => {
  const project = await withTables("books");
  const page = await openTable(t, project, { table: "books", limit: "2" });
  await page.getByRole("checkbox", { name: "Select all rows" }).click();
  await shown(button(page, "Delete 2 rows"));
  await button(page, "Next page").click();
  await shown(cell(page, "Solaris"));
  await hidden(page.getByRole("button", { name: /^Delete \d/ }));
});
