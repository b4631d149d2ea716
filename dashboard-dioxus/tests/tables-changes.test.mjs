// Dialogs of the tables page while the server changes rows, and filters that the dialog or a cell can't express.

import assert from "node:assert/strict";
import { test } from "node:test";
import { button, eventually, hidden, shown } from "./support.mjs";
import { cell, grid, list, openTable, unsaved, withTables } from "./tables-support.mjs";

// Holds the changes that the page sends until the returned function is called.
async function holdChanges(t, page, project, table) {
  let release;
  const held = new Promise((resolve) => (release = resolve));
  t.after(() => release());
  await page.route(`**/admin/v1/projects/${project.id}/tables/${table}/changes`, async (route) => {
    if (!route.request().postDataJSON().dryRun) await held;
    await route.continue();
  });
  return release;
}

test("a review that was open when the changes were saved does not open again by itself", async (t) => {
  const project = await withTables("books");
  const page = await openTable(t, project, { table: "books", order: "id" });
  const release = await holdChanges(t, page, project, "books");
  await cell(page, "Solaris").click();
  await page.keyboard.type("first");
  await page.keyboard.press("Enter");
  await button(page, "Save changes").click();
  await button(page, "Review changes").click();
  const review = page.getByRole("dialog", { name: "Review changes" });
  await shown(review);
  release();
  await hidden(review);
  await cell(page, "first").click();
  await page.keyboard.type("second");
  await page.keyboard.press("Enter");
  await shown(unsaved(page).getByText("1 change in 1 row"));
  assert.equal(await review.count(), 0);
});

test("the list marks a table with unsaved changes until they are discarded, also after a reload", async (t) => {
  const project = await withTables("books");
  const page = await openTable(t, project, { table: "books", order: "id" });
  const link = (name) => list(page, project).getByRole("link", { name });
  const isMarked = (name, expected) =>
    eventually(
      async () => /It has unsaved changes/.test(await link(name).getAttribute("title")) === expected
        && (await link(name).locator(".m-warn").count() === 1) === expected,
      `${name} to be ${expected ? "marked" : "unmarked"}`,
    );
  await isMarked(/^books/, false);
  await cell(page, "Solaris").click();
  await page.keyboard.type("first");
  await page.keyboard.press("Enter");
  await isMarked(/^books/, true);
  await link(/^authors/).click();
  await shown(grid(page, "authors"));
  await page.reload();
  await isMarked(/^books/, true);
  await isMarked(/^authors/, false);
  await link(/^books/).click();
  await button(page, "Discard changes").click();
  await isMarked(/^books/, false);
});

test("the dialog that deletes rows stays open until they are deleted", async (t) => {
  const project = await withTables("books");
  const page = await openTable(t, project, { table: "books", order: "id" });
  const release = await holdChanges(t, page, project, "books");
  await page.getByRole("checkbox", { name: "Select row id 3" }).click();
  await button(page, "Delete 1 row").click();
  const dialog = page.getByRole("dialog", { name: "Delete 1 row" });
  await shown(dialog.getByText("Nothing else changes."));
  await button(dialog, "Delete 1 row").click();
  await eventually(() => button(dialog, "Cancel").isDisabled(), "the request");
  await page.keyboard.press("Escape");
  assert.ok(await dialog.isVisible());
  release();
  await hidden(dialog);
  await hidden(cell(page, "Solaris"));
});

test("the dialog shows an operator of the address that it does not offer", async (t) => {
  const project = await withTables("books");
  const page = await openTable(t, project, { table: "books", where: "neq.available=true" });
  await shown(cell(page, "The Dispossessed"));
  await button(page, "Filter").click();
  const operator = page.getByRole("dialog", { name: "Filter" }).getByRole("combobox", { name: "Operator" });
  assert.equal(await operator.inputValue(), "neq");
});

test("a value of which only the beginning is shown can't become a filter", async (t) => {
  const project = await withTables("big");
  const page = await openTable(t, project, { table: "big_cells" });
  await grid(page, "big_cells").getByRole("gridcell", { name: /^x{50}/ }).click({ button: "right" });
  await page.getByRole("menuitem", { name: /^Filter/ }).click();
  await shown(page.getByText("The value is too large for a filter."));
  assert.equal(new URL(page.url()).searchParams.get("where"), null);
});
