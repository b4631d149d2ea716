// Editing in the grid of rows: the clipboard, undo, and the field of a row's form that has the focus.

import assert from "node:assert/strict";
import { test } from "node:test";
import { admin, button, createProject, eventually, hidden, shown } from "./support.mjs";
import { cell, copied, grid, openTable, rowsOf, unsaved, withTables } from "./tables-support.mjs";

const withNotes = () => createProject("notes", [
  "create table notes (id int primary key, body text, size int, tag text)",
  `insert into notes values (1, E'line1\\nline2', 5, ''), (2, 'two', null, null), (3, 'three', 7, 'c')`,
]);
const at = (page, row, column) => grid(page, "notes").locator(`tr[data-row="${row}"] > td[data-column="${column}"]`);

test("a row opens with the focus in the column of the cell, never in the key", async (t) => {
  const page = await openTable(t, await withNotes(), { table: "notes", order: "id" });
  const focused = () => page.evaluate(() => document.activeElement.labels?.[0]?.innerText ?? "");
  const sheet = page.getByRole("dialog", { name: "notes id 1" });
  await at(page, 0, 1).dblclick();
  await shown(sheet);
  await eventually(async () => (await focused()).startsWith("body"), "the field of the cell");
  await page.keyboard.press("Escape");
  await hidden(sheet);
  await at(page, 0, 3).click();
  await page.keyboard.press("Alt+Enter");
  await eventually(async () => (await focused()).startsWith("tag"), "the field of the other cell");
  await page.keyboard.press("Escape");
  await hidden(sheet);
  await at(page, 0, 0).click();
  await page.keyboard.press("Alt+Enter");
  await shown(sheet);
  await eventually(async () => (await focused()).startsWith("body"), "the first field after the key");
});

test("copied cells are pasted exactly, with NULL and line breaks", async (t) => {
  const project = await withNotes();
  const page = await openTable(t, project, { table: "notes", order: "id" });
  // One cell with several lines.
  await at(page, 0, 1).click();
  await page.keyboard.press("Control+c");
  await eventually(async () => (await copied(page)) === "line1\nline2", "the copied text");
  await at(page, 1, 1).click();
  await page.keyboard.press("Control+v");
  await shown(unsaved(page).getByText("1 change in 1 row"));
  await page.keyboard.press("Control+z");
  await hidden(unsaved(page));
  // A range, whose text is for spreadsheets.
  await at(page, 0, 1).click();
  await at(page, 1, 3).click({ modifiers: ["Shift"] });
  await page.keyboard.press("Control+c");
  await eventually(async () => (await copied(page)) === '"line1\nline2"\t5\t\ntwo\t\t', "the copied range");
  await at(page, 1, 1).click();
  await page.keyboard.press("Control+v");
  await shown(unsaved(page).getByText("6 changes in 2 rows"));
  // One paste is one step.
  await page.keyboard.press("Control+z");
  await hidden(unsaved(page));
  await page.keyboard.press("Control+Shift+Z");
  await shown(unsaved(page).getByText("6 changes in 2 rows"));
  await page.keyboard.press("Control+s");
  await hidden(unsaved(page));
  assert.deepEqual(await rowsOf(project, "notes"), [
    { id: 1, body: "line1\nline2", size: 5, tag: "" },
    { id: 2, body: "line1\nline2", size: 5, tag: "" },
    { id: 3, body: "two", size: null, tag: null },
  ]);
});

test("one copied value fills the selected cells, as one step", async (t) => {
  const project = await withNotes();
  const page = await openTable(t, project, { table: "notes", order: "id" });
  await at(page, 1, 1).click();
  await page.keyboard.press("Control+c");
  await eventually(async () => (await copied(page)) === "two", "the copied value");
  await at(page, 0, 1).click();
  await at(page, 2, 1).click({ modifiers: ["Shift"] });
  await page.keyboard.press("Control+v");
  await shown(unsaved(page).getByText("2 changes in 2 rows"));
  await page.keyboard.press("Control+z");
  await hidden(unsaved(page));
  // A value of another program.
  await page.evaluate(() => navigator.clipboard.writeText("9"));
  await at(page, 2, 2).click();
  await at(page, 0, 1).click({ modifiers: ["Shift"] });
  await page.keyboard.press("Control+v");
  await shown(unsaved(page).getByText("6 changes in 3 rows"));
  await page.keyboard.press("Control+s");
  await hidden(unsaved(page));
  const rows = await rowsOf(project, "notes");
  assert.deepEqual(rows.map(({ body, size }) => [body, size]), [["9", 9], ["9", 9], ["9", 9]]);
});

test("one value fills neither keys of several rows nor identities, and the page says so", async (t) => {
  const project = await createProject("notes", [
    "create table notes (id int primary key, number int generated always as identity, body text)",
    "insert into notes (id, body) values (1, 'one'), (2, 'two')",
  ]);
  const page = await openTable(t, project, { table: "notes", order: "id" });
  await page.evaluate(() => navigator.clipboard.writeText("9"));
  await at(page, 0, 0).click();
  await at(page, 1, 2).click({ modifiers: ["Shift"] });
  await page.keyboard.press("Control+v");
  await shown(unsaved(page).getByText("2 changes in 2 rows"));
  await shown(page.getByText("4 cells can't be changed and were left out."));
  await at(page, 0, 1).click();
  await page.keyboard.press("Control+v");
  await shown(page.getByText("None of these cells can be changed."));
  // The key of one row can be changed.
  await at(page, 0, 0).click();
  await page.keyboard.press("Control+v");
  await shown(unsaved(page).getByText("3 changes in 2 rows"));
  await page.keyboard.press("Control+s");
  await hidden(unsaved(page));
  const rows = await rowsOf(project, "notes");
  assert.deepEqual(rows.map(({ id, body }) => [id, body]), [[2, "9"], [9, "9"]]);
});

test("one value for more cells than can be filled at once changes nothing", async (t) => {
  const page = await openTable(t, await withTables("long"), { table: "long_list", order: "id", limit: "1000" });
  await page.evaluate(() => navigator.clipboard.writeText("9"));
  await grid(page, "long_list").locator('tr[data-row="0"] > td[data-column="1"]').click();
  await page.keyboard.press("Control+a");
  for (const key of ["Control+v", "Control+Backspace"]) {
    await page.keyboard.press(key);
    await shown(page.getByText(/At most 10.000 cells can be filled at once\. Nothing was changed\./));
    await drawn(page);
    await hidden(unsaved(page));
  }
});

/** Resolves once the page has drawn what the last event changed. */
const drawn = (page) =>
  page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));

test("an image is not pasted, even after NULL was copied", async (t) => {
  const page = await openTable(t, await withNotes(), { table: "notes", order: "id" });
  await at(page, 1, 2).click();
  await page.keyboard.press("Control+c");
  await shown(page.getByText("Copied", { exact: true }));
  await at(page, 0, 1).click();
  await at(page, 0, 1).evaluate((cell) => {
    const clipboardData = new DataTransfer();
    clipboardData.items.add(new File(["image"], "image.png", { type: "image/png" }));
    cell.dispatchEvent(new ClipboardEvent("paste", { clipboardData, bubbles: true, cancelable: true }));
  });
  await drawn(page);
  await hidden(unsaved(page));
});

test("cells of a spreadsheet are pasted into their columns, and an empty number is NULL", async (t) => {
  const project = await withNotes();
  const page = await openTable(t, project, { table: "notes", order: "id" });
  await page.evaluate(() => navigator.clipboard.writeText('"a\nb"\t9\nc\t'));
  await at(page, 1, 1).click();
  await page.keyboard.press("Control+v");
  await shown(unsaved(page).getByText("4 changes in 2 rows"));
  await page.keyboard.press("Control+s");
  await hidden(unsaved(page));
  const rows = await rowsOf(project, "notes");
  assert.deepEqual(rows.map(({ body, size }) => [body, size]), [["line1\nline2", 5], ["a\nb", 9], ["c", null]]);
});

test("the selected cells are set to NULL at once, and discarded changes come back", async (t) => {
  const project = await withNotes();
  const page = await openTable(t, project, { table: "notes", order: "id" });
  await at(page, 0, 2).click();
  await at(page, 2, 3).click({ modifiers: ["Shift"] });
  await page.keyboard.press("Control+Backspace");
  await shown(unsaved(page).getByText("4 changes in 2 rows"));
  await button(page, "Discard changes").click();
  await hidden(unsaved(page));
  await button(page, "Undo").click();
  await shown(unsaved(page).getByText("4 changes in 2 rows"));
  await at(page, 0, 2).click();
  // With Caps Lock, the letter is a capital.
  await page.keyboard.press("Control+Z");
  await hidden(unsaved(page));
});

test("the menu of a cell deletes its row after a confirmation, which returns the focus", async (t) => {
  const page = await openTable(t, await withNotes(), { table: "notes", order: "id" });
  const remove = async () => {
    await at(page, 1, 1).click({ button: "right" });
    await page.getByRole("menuitem", { name: "Delete row", exact: true }).click();
  };
  await remove();
  const dialog = page.getByRole("dialog", { name: "Delete 1 row" });
  await shown(dialog.getByText("id 2."));
  await button(dialog, "Cancel").click();
  await hidden(dialog);
  await eventually(() => at(page, 1, 1).evaluate((cell) => cell === document.activeElement), "the focus in the cell");
  await remove();
  await button(dialog, "Delete 1 row").click();
  await hidden(dialog);
  await hidden(cell(page, "two", "notes"));
  await shown(cell(page, "three", "notes"));
});

test("the menu of a cell sets NULL, filters and opens the row", async (t) => {
  const page = await openTable(t, await withNotes(), { table: "notes", order: "id" });
  const menu = page.getByRole("menu", { name: "Actions for the cell" });
  const item = (name) => menu.getByRole("menuitem", { name, exact: true });
  await at(page, 2, 2).click({ button: "right" });
  await item("Set NULL").click();
  await hidden(menu);
  await shown(unsaved(page).getByText("1 change in 1 row"));
  await page.keyboard.press("Control+z");
  await hidden(unsaved(page));
  await page.keyboard.press("Shift+F10");
  await shown(item("Copy"));
  await page.keyboard.press("Escape");
  await hidden(menu);
  await eventually(() => page.evaluate(() => document.activeElement.matches("td")), "the focus in the cell");
  await at(page, 2, 2).click({ button: "right" });
  await item("Copy").click();
  await shown(page.getByText("Copied", { exact: true }));
  await eventually(async () => (await copied(page)) === "7", "the copied text");
  await eventually(() => page.evaluate(() => document.activeElement.matches("td")), "the focus after copying");
  // The right click moves the cursor to another cell, and the menu keeps the focus.
  await at(page, 0, 2).click({ button: "right" });
  await eventually(() => page.evaluate(() => document.activeElement.matches("#cell-menu button")), "the menu's focus");
  await drawn(page);
  assert.ok(await menu.isVisible());
  await page.keyboard.press("Escape");
  await hidden(menu);
  await at(page, 2, 2).click({ button: "right" });
  await item("Filter by this value").click();
  await shown(button(page, "Edit filter size = 7"));
  await hidden(cell(page, "two", "notes"));
  await at(page, 0, 1).click({ button: "right" });
  await item("Open row").click();
  const sheet = page.getByRole("dialog", { name: "notes id 3" });
  await shown(sheet);
  await page.keyboard.press("Escape");
  await hidden(sheet);
  await button(page, "Open row id 3").click();
  await shown(sheet);
});

test("arrow keys reach every header of an empty table", async (t) => {
  const project = await createProject("notes", ["create table notes (id int primary key, body text, size int)"]);
  const page = await openTable(t, project, { table: "notes" });
  const header = (column) => grid(page, "notes").locator(`th[data-column="${column}"] > button`);
  const isFocused = (column) => header(column).evaluate((element) => element === document.activeElement);
  await header(0).focus();
  for (const column of [1, 2]) {
    await page.keyboard.press("ArrowRight");
    await eventually(() => isFocused(column), `the header of column ${column}`);
  }
  await page.keyboard.press("Home");
  await eventually(() => isFocused(0), "the first header");
});

test("Enter that an input method uses does not end the edit of a cell", async (t) => {
  const project = await withTables("books");
  const page = await openTable(t, project, { table: "books", order: "id" });
  await cell(page, "Solaris").click();
  await page.keyboard.type("So");
  await page.evaluate(() => {
    const enter = { key: "Enter", bubbles: true, cancelable: true, isComposing: true };
    document.activeElement.dispatchEvent(new KeyboardEvent("keydown", enter));
  });
  await page.keyboard.type("laris 2");
  await page.keyboard.press("Enter");
  await shown(cell(page, "Solaris 2"));
});

test("deleting the text of a number stages NULL", async (t) => {
  const project = await withNotes();
  const page = await openTable(t, project, { table: "notes", order: "id" });
  await cell(page, "7", "notes").click();
  await page.keyboard.press("Delete");
  await page.keyboard.press("Enter");
  await shown(unsaved(page).getByText("1 change in 1 row"));
  await page.keyboard.press("Control+s");
  await hidden(unsaved(page));
  const { rows } = await admin("GET", `/projects/${project.id}/tables/notes/rows?eq.id=3`);
  assert.equal(rows[0].size, null);
});

test("typed letters choose the value of a boolean and of an enum, and Enter keeps it", async (t) => {
  const project = await createProject("choices", [
    "create type mood as enum ('happy', 'sad', 'angry')",
    "create table days (id int primary key, done boolean, mood mood)",
    "insert into days values (1, null, null), (2, true, 'happy'), (3, true, 'sad')",
  ]);
  const page = await openTable(t, project, { table: "days" });
  const type = async (row, column, text) => {
    await grid(page, "days").locator(`tr[data-row="${row - 1}"] > td[data-column="${column}"]`).click();
    await page.keyboard.type(text);
    await page.keyboard.press("Enter");
  };
  await type(1, 1, "true");
  await type(2, 1, "f");
  await type(3, 1, "n");
  await type(1, 2, "sad");
  await type(2, 2, "a");
  await type(3, 2, "NULL");
  await page.locator("[data-save-changes]").click();
  const expected = [
    { id: 1, done: true, mood: "sad" },
    { id: 2, done: false, mood: "angry" },
    { id: 3, done: null, mood: null },
  ];
  await hidden(unsaved(page));
  assert.deepEqual(await rowsOf(project, "days"), expected);
});
