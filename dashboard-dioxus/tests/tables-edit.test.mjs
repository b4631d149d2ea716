// Changes of rows: staged edits, saving, the form of a row, insertion and deletion.

import assert from "node:assert/strict";
import { test } from "node:test";
import { admin, button, eventually, hidden, openPage, shown, url } from "./support.mjs";
import { address, cell, copied, grid, list, openTable, rowsOf, unsaved, withTables } from "./tables-support.mjs";

test("Tab keeps the value, and changes survive a reload until they are saved together", async (t) => {
  const project = await withTables("books");
  const page = await openTable(t, project, { table: "books", order: "id" });
  await cell(page, "12.50").click();
  await page.keyboard.type("13.25");
  await page.keyboard.press("Tab");
  await page.keyboard.type("7");
  await page.keyboard.press("Enter");
  await shown(unsaved(page).getByText("2 changes in 1 row"));
  await page.reload();
  await shown(unsaved(page).getByText("2 changes in 1 row"));
  await unsaved(page).getByRole("button", { name: "Review changes" }).click();
  await shown(page.getByRole("dialog", { name: "Review changes" }).getByText("id 2 · price 12.50 → 13.25"));
  await page.keyboard.press("Escape");
  await unsaved(page).getByRole("button", { name: "Save changes" }).click();
  await hidden(unsaved(page));
  await shown(cell(page, "13.25"));
  const { rows } = await admin("GET", `/projects/${project.id}/tables/books/rows?eq.id=2`);
  assert.deepEqual([rows[0].price, rows[0].stock], [13.25, 7]);
});

test("a refused change names its row, and nothing is saved", async (t) => {
  const project = await withTables("books");
  const page = await openTable(t, project, { table: "books", order: "id" });
  await cell(page, "Solaris").click();
  await page.keyboard.type("The Dispossessed");
  await page.keyboard.press("Enter");
  await cell(page, "The Lathe of Heaven").click();
  await page.keyboard.type("Renamed");
  await page.keyboard.press("Enter");
  await button(page, "Save changes").click();
  await shown(page.getByRole("alert").filter({ hasText: "id 3" }));
  await eventually(
    async () => /same key exists/.test(await grid(page).locator("td[aria-invalid]").getAttribute("title")),
    "the cell says why",
  );
  const { rows } = await admin("GET", `/projects/${project.id}/tables/books/rows?order=id`);
  assert.deepEqual(rows.map((row) => row.title), ["The Dispossessed", "The Lathe of Heaven", "Solaris"]);
  await button(page, "Discard changes").click();
  await hidden(unsaved(page));
});

test("a row that was changed elsewhere shows both values", async (t) => {
  const project = await withTables("books");
  const page = await openTable(t, project, { table: "books", order: "id" });
  await cell(page, "5").click();
  await page.keyboard.type("50");
  await page.keyboard.press("Enter");
  await admin("PATCH", `/projects/${project.id}/tables/books/rows?eq.id=3`, { values: { stock: 6 } });
  await button(page, "Save changes").click();
  const alert = page.getByRole("alert").filter({ hasText: "Row id 3 has changed meanwhile" });
  await shown(alert.getByText("theirs 6, mine 50"));
  await alert.getByRole("button", { name: "Keep mine" }).click();
  await button(page, "Save changes").click();
  await hidden(unsaved(page));
  const { rows } = await admin("GET", `/projects/${project.id}/tables/books/rows?eq.id=3`);
  assert.equal(rows[0].stock, 50);
});

test("a row opens as a form and has an address", async (t) => {
  const project = await withTables("books");
  const page = await openTable(t, project, { table: "books", row: "1" });
  const sheet = page.getByRole("dialog", { name: "books id 1" });
  await shown(sheet.getByLabel(/^title/));
  await sheet.getByLabel(/^note/).fill("read");
  await sheet.getByRole("button", { name: "Save row" }).click();
  await hidden(sheet);
  await shown(cell(page, "read"));
  await page.goto(address(project, { table: "authors", row: "2" }));
  await shown(page.getByRole("dialog", { name: "authors id 2" }).getByRole("link", { name: /books.author_id/ }));
});

test("rows are inserted and deleted, and cascading deletions are counted", async (t) => {
  const project = await withTables("books");
  const page = await openTable(t, project, { table: "authors", order: "id" });
  await button(page, "Insert row").click();
  const form = page.getByRole("dialog", { name: "New row in authors" });
  // The id has a default, so the name has the focus.
  await eventually(() => form.getByLabel(/^name/).evaluate((field) => field === document.activeElement));
  await page.keyboard.type("Octavia E. Butler");
  await page.keyboard.press("Enter");
  await shown(cell(page, "Octavia E. Butler", "authors"));
  await page.getByRole("checkbox", { name: /Select row id 3/ }).check();
  await button(page, "Delete 1 row").click();
  const dialog = page.getByRole("dialog", { name: "Delete 1 row" });
  await shown(dialog.getByText("Nothing else changes."));
  await dialog.getByRole("button", { name: "Delete 1 row" }).click();
  await hidden(cell(page, "Octavia E. Butler", "authors"));
  await page.getByRole("checkbox", { name: /Select row id 1/ }).check();
  await button(page, "Delete 1 row").click();
  await shown(
    page.getByRole("dialog", { name: "Delete 1 row" }).getByText("books: 2 rows deleted (ON DELETE CASCADE)"),
  );
  await button(page, "Cancel").click();
});

test("a save whose response is lost is found, and not repeated", async (t) => {
  const project = await withTables("drafts");
  const page = await openTable(t, project, { table: "drafts", order: "id" });
  let sent = 0;
  await page.route("**/tables/drafts/changes", async (route) => {
    if (route.request().postDataJSON().dryRun) return route.continue();
    sent += 1;
    await route.fetch();
    await route.abort();
  });
  await cell(page, "two", "drafts").click();
  await page.keyboard.type("saved once");
  await page.keyboard.press("Enter");
  await button(page, "Save changes").click();
  await shown(page.getByRole("status").filter({ hasText: "Finding out whether it saved the changes" }));
  await shown(page.getByRole("status").filter({ hasText: "Saved 1 change in 1 row" }));
  await hidden(unsaved(page));
  assert.equal(sent, 1);
  assert.deepEqual((await rowsOf(project, "drafts", "eq.id=2"))[0].title, "saved once");
});

test("changes that the server did not save stay staged, and can be saved again", async (t) => {
  const project = await withTables("drafts");
  const page = await openTable(t, project, { table: "drafts", order: "id" });
  let isDown = true;
  await page.route("**/tables/drafts/changes", (route) => {
    const { dryRun } = route.request().postDataJSON();
    return isDown && !dryRun ? route.abort() : route.continue();
  });
  await cell(page, "one", "drafts").click();
  await page.keyboard.type("repeated");
  await page.keyboard.press("Enter");
  await button(page, "Save changes").click();
  await shown(
    page
      .getByRole("alert")
      .filter({ hasText: "Nothing was saved. The request failed before the changes were saved." }),
  );
  assert.equal((await rowsOf(project, "drafts", "eq.id=1"))[0].title, "one");
  isDown = false;
  await button(page, "Save changes").click();
  await hidden(unsaved(page));
  assert.equal((await rowsOf(project, "drafts", "eq.id=1"))[0].title, "repeated");
});

test("a new row is not created twice if the response is lost", async (t) => {
  const project = await withTables("drafts");
  const page = await openTable(t, project, { table: "drafts" });
  await page.route("**/tables/drafts/changes", async (route) => {
    await route.fetch();
    await route.abort();
  });
  await button(page, "Insert row").click();
  const form = page.getByRole("dialog", { name: "New row in drafts" });
  await form.getByLabel(/^title/).fill("created by chance");
  await form.getByRole("button", { name: "Create row" }).click();
  const alert = form.getByRole("alert").filter({ hasText: "There is a row with these values" });
  await shown(alert);
  assert.equal((await rowsOf(project, "drafts", "eq.title=created by chance")).length, 1);
  await alert.getByRole("link").click();
  await shown(page.getByRole("dialog", { name: /^drafts id/ }).getByLabel(/^title/));
});

test("text typed into a row's form survives a reload", async (t) => {
  const project = await withTables("drafts");
  const page = await openTable(t, project, { table: "drafts", row: "1" });
  const sheet = page.getByRole("dialog", { name: "drafts id 1" });
  await sheet.getByLabel(/^score/).fill("7.50");
  await shown(sheet.getByRole("status").filter({ hasText: "Not saved" }));
  await page.reload();
  await shown(unsaved(page).getByText("1 change in 1 row"));
  await eventually(async () => (await sheet.getByLabel(/^score/).inputValue()) === "7.50");
  await sheet.getByRole("button", { name: "Save row" }).click();
  await hidden(sheet);
  assert.equal((await rowsOf(project, "drafts", "eq.id=1"))[0].score, 7.5);

  await button(page, "Insert row").click();
  const form = page.getByRole("dialog", { name: "New row in drafts" });
  await form.getByLabel(/^title/).fill("half");
  await page.reload();
  await eventually(async () => (await form.getByLabel(/^title/).inputValue()) === "half");
  await form.getByRole("button", { name: "Cancel" }).click();
  await hidden(form);
  await button(page, "Insert row").click();
  await eventually(async () => (await form.getByLabel(/^title/).inputValue()) === "");
});

test("staged changes survive the end of the session", async (t) => {
  const project = await withTables("drafts");
  const page = await openTable(t, project, { table: "drafts", order: "id" });
  await page.getByRole("gridcell", { name: "7", exact: true }).first().click();
  await page.keyboard.type("8");
  await page.keyboard.press("Enter");
  // Requests for event streams are aborted, because browsers would follow their redirects.
  await page.route("**/admin/v1/**", (route) => route.request().resourceType() === "eventsource"
    ? route.abort()
    : route.fulfill({ status: 302, headers: { location: "https://sign-in.example/" } }));
  await button(page, "Save changes").click();
  const ended = page
    .getByRole("dialog", { name: "Your sign-in has ended" })
    .or(page.getByRole("alertdialog", { name: "Your sign-in has ended" }));
  await shown(ended);
  await page.unroute("**/admin/v1/**");
  await ended.getByRole("button", { name: "Sign in again" }).click();
  await shown(unsaved(page).getByText("1 change in 1 row"));
  await button(page, "Discard changes").click();
});

test("a row is copied and duplicated without loss", async (t) => {
  const project = await withTables("drafts");
  const page = await openTable(t, project, { table: "drafts", row: "1" });
  const sheet = page.getByRole("dialog", { name: "drafts id 1" });
  await sheet.getByRole("button", { name: "Copy as INSERT" }).click();
  await eventually(async () => (await copied(page)).includes(`'{a,"b c"}'`));
  await sheet.getByRole("button", { name: "Copy as JSON" }).click();
  await eventually(async () => (await copied(page)).includes(`"tags": ["a"`));
  await sheet.getByRole("button", { name: "Duplicate row" }).click();
  const form = page.getByRole("dialog", { name: "New row in drafts" });
  await eventually(async () => (await form.getByLabel(/^title/).inputValue()) !== "");
  await form.getByLabel(/^title/).fill("a duplicate");
  await form.getByRole("button", { name: "Create row" }).click();
  await hidden(form);
  assert.deepEqual((await rowsOf(project, "drafts", "eq.title=a duplicate"))[0].tags, ["a", "b c"]);
});

test("a value of 5 MB is cut, and edited only as a whole", async (t) => {
  const project = await withTables("big");
  const page = await openPage(t);
  let bytes = 0;
  page.on("response", async (response) => {
    if (/big_cells\/rows/.test(response.url())) bytes = Math.max(bytes, (await response.body().catch(() => "")).length);
  });
  await page.goto(address(project, { table: "big_cells", row: "1" }));
  const sheet = page.getByRole("dialog", { name: "big_cells id 1" });
  assert.ok(await sheet.getByLabel(/^body/).evaluate((field) => field.readOnly));
  await shown(sheet.getByRole("link", { name: "Download" }));
  await sheet.getByRole("button", { name: /^Load all 5.0 MB/ }).click();
  await eventually(() =>
    sheet.getByLabel(/^body/).evaluate((field) => !field.readOnly && field.value.length === 5_000_000),
  );
  assert.ok(bytes > 0 && bytes < 2_000_000, `${bytes} bytes`);
  await sheet.getByRole("button", { name: "Close" }).click();
  await page.goto(address(project, { table: "big_cells", row: "2" }));
  const document = page.getByRole("dialog", { name: "big_cells id 2" });
  await document.getByRole("button", { name: "Format JSON" }).click();
  await eventually(async () => (await document.getByLabel(/^doc/).inputValue()) === '{\n  "a": 1.10\n}');
  await document.getByRole("button", { name: "Cancel" }).click();
});

test("rows with a composite key open, and views say that they can't be edited", async (t) => {
  const project = await withTables("pairs", "books");
  const page = await openTable(t, project, { table: "pairs", order: "a,b" });
  await cell(page, "second", "pairs").click();
  await page.keyboard.press("Alt+Enter");
  const sheet = page.getByRole("dialog", { name: 'pairs a 1, b y,"z' });
  await sheet.getByLabel(/^v/).fill("changed");
  await page.reload();
  await sheet.getByRole("button", { name: "Save row" }).click();
  await hidden(sheet);
  await shown(cell(page, "changed", "pairs"));
  await page.goto(address(project, { table: "cheap_books" }));
  await shown(page.getByRole("note").filter({ hasText: "These rows can't be edited: this is a view." }));
  await shown(cell(page, "The Dispossessed", "cheap_books"));
});

test("a deletion counts the rows of the same table too", async (t) => {
  const project = await withTables("folders");
  const page = await openTable(t, project, { table: "folders", row: "1" });
  await page.getByRole("dialog", { name: "folders id 1" }).getByRole("button", { name: "Delete row" }).click();
  await shown(page.getByRole("dialog", { name: "Delete 1 row" }).getByText("folders: 2 more rows deleted"));
});

test("foreign keys are chosen with the keyboard", async (t) => {
  const project = await withTables("books");
  const page = await openTable(t, project, { table: "books", row: "1" });
  const sheet = page.getByRole("dialog", { name: "books id 1" });
  const field = sheet.getByRole("combobox", { name: /^author_id/ });
  await shown(sheet.getByRole("link", { name: "Open row in authors" }));
  await field.fill("Lem");
  await shown(page.getByRole("option", { name: /Stanisław Lem/ }));
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Enter");
  await eventually(async () => (await field.inputValue()) === "2");
  await sheet.getByRole("button", { name: "Cancel" }).click();
  await hidden(sheet);
});

test("a row's form says at the field why a value is refused", async (t) => {
  const project = await withTables("books");
  const page = await openTable(t, project, { table: "books", row: "3" });
  const sheet = page.getByRole("dialog", { name: "books id 3" });
  const title = sheet.getByLabel(/^title/);
  await title.fill("The Dispossessed");
  await sheet.getByRole("button", { name: "Save row" }).click();
  await shown(sheet.getByRole("alert"));
  await eventually(() => title.evaluate((field) => field.getAttribute("aria-invalid") === "true"));
  await sheet.getByRole("button", { name: "Cancel" }).click();
});

test("typing over a cell keeps the order of the characters, and Esc discards the text", async (t) => {
  const project = await withTables("books");
  const page = await openTable(t, project, { table: "books", order: "id" });
  await cell(page, "12.50").click();
  await page.keyboard.type("13.25");
  assert.equal(await page.getByRole("textbox", { name: "price" }).inputValue(), "13.25");
  await page.keyboard.press("Escape");
  await shown(cell(page, "12.50"));
  await page.keyboard.press("Enter");
  await page.keyboard.type("1");
  await page.keyboard.press("Tab");
  await shown(cell(page, "12.501"));
  await page.keyboard.press("Control+z");
  await shown(cell(page, "12.50"));
  await page.keyboard.press("Control+Backspace");
  await shown(unsaved(page).getByText("1 change in 1 row"));
  await button(page, "Discard changes").click();
  await hidden(unsaved(page));
});

test("a cell that is being edited is saved by the button and by Ctrl-S", async (t) => {
  const project = await withTables("books");
  const page = await openTable(t, project, { table: "books", order: "id" });
  await cell(page, "12.50").click();
  await page.keyboard.type("13.25");
  await page.keyboard.press("Control+s");
  await hidden(page.getByRole("textbox", { name: "price" }));
  await eventually(async () => (await rowsOf(project, "books", "eq.id=2"))[0].price === 13.25, "Ctrl-S");
  await hidden(unsaved(page));
  await cell(page, "13.25").click();
  await page.keyboard.type("14");
  await page.keyboard.press("Tab");
  await page.keyboard.type("8");
  await button(page, "Save changes").click();
  await hidden(unsaved(page));
  const [{ price, stock }] = await rowsOf(project, "books", "eq.id=2");
  assert.deepEqual([price, stock], [14, 8]);
});

test("a cell that is being edited stays in its row when other rows are shown", async (t) => {
  const project = await withTables("books");
  const page = await openTable(t, project, { table: "books", order: "id.desc" });
  const isFirst = (title) => shown(grid(page).locator('tr[data-row="0"]').getByText(title, { exact: true }));
  const review = async (text) => {
    await unsaved(page).getByRole("button", { name: "Review changes" }).click();
    await shown(page.getByRole("dialog", { name: "Review changes" }).getByText(text, { exact: true }));
    await page.keyboard.press("Escape");
  };
  await isFirst("Solaris");
  await list(page, project).getByRole("link", { name: /^books/ }).click();
  await isFirst("The Dispossessed");
  await cell(page, "9.99").click();
  await page.keyboard.type("4");
  await page.goBack();
  await isFirst("Solaris");
  await shown(grid(page).locator('tr[data-row="2"]').getByRole("textbox", { name: "price" }));
  await page.keyboard.type("2");
  await page.keyboard.press("Enter");
  await review("id 1 · price 9.99 → 42");
  await cell(page, "11.00").click();
  await page.keyboard.type("99");
  await grid(page).getByRole("columnheader", { name: /^price/ }).getByRole("button").click();
  await isFirst("The Dispossessed");
  await review("id 3 · price 11.00 → 99");
});

test("the text of a cell stays when the page is left while the cell is edited", async (t) => {
  const project = await withTables("drafts");
  const page = await openPage(t);
  await page.goto(`${url}/projects/${project.id}/tables`);
  await list(page, project).getByRole("link", { name: /^drafts/ }).click();
  await cell(page, "two", "drafts").click();
  await page.keyboard.type("half");
  await page.goBack();
  await hidden(grid(page, "drafts"));
  await page.goForward();
  await shown(unsaved(page).getByText("1 change in 1 row"));
  await shown(cell(page, "half", "drafts"));
});

test("conflict keeps every digit of both values", async (t) => {
  const project = await withTables("books");
  const page = await openTable(t, project, { table: "books", order: "id" });
  await cell(page, "9007199254740993").click();
  await page.keyboard.type("5");
  await page.keyboard.press("Enter");
  await admin("POST", `/projects/${project.id}/sql`, { sql: "update books set big = 9007199254740995 where id = 1" });
  await button(page, "Save changes").click();
  const alert = page.getByRole("alert").filter({ hasText: "Row id 1 has changed meanwhile" });
  await shown(alert.getByText("theirs 9007199254740995, mine 5"));
  await alert.getByRole("button", { name: "Take theirs" }).click();
  await shown(cell(page, "9007199254740995"));
  await hidden(unsaved(page));
});
