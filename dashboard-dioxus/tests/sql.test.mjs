// Running SQL: which statements run, their results, and confirmations. See sql-grid and sql-texts for the rest.

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  act, cell, copied, download, grid, openMonaco, openSql, placeCursor, resultTab, run, runSql, text, toolbar, value,
  withBooks,
} from "./sql-support.mjs";
import { admin, button, eventually, expectAccessible, hidden, shown } from "./support.mjs";

const alert = (page) => page.getByRole("alert");
const results = (page) => page.getByRole("region", { name: "Results" });
const schemaHas = async (project, name) =>
  JSON.stringify(await admin("GET", `/projects/${project}/schema`)).includes(`"${name}"`);

test("statement under the cursor runs alone", async (t) => {
  const project = await withBooks();
  const page = await openSql(t, project);
  await text(page).fill("select 11 as a;\nselect 22 as b;");
  await placeCursor(page, 20);
  await shown(page.getByText("Run statement 2 of 2"));
  await text(page).press("Control+Enter");
  await shown(resultTab(page, /^1 · SELECT · 1 row · [\d.]+ ms$/));
  await shown(cell(page, "22"));
  assert.equal(await cell(page, "11").count(), 0);
});

test("selection runs instead of the statement under the cursor", async (t) => {
  const project = await withBooks();
  const page = await openSql(t, project);
  await text(page).fill("select 1; select 2;");
  await text(page).evaluate((field) => {
    field.setSelectionRange(0, 8);
    field.dispatchEvent(new Event("select", { bubbles: true }));
  });
  await shown(page.getByText("Run selection"));
  await act(page, "Run").click();
  await shown(cell(page, "1"));
});

test("run all shows a tab for each statement", async (t) => {
  const project = await withBooks();
  const page = await openSql(t, project);
  await text(page).fill("select 11;\nupdate books set title = title where id < 4;\nselect 22;");
  await text(page).press("Control+Shift+Enter");
  await shown(resultTab(page, /^3 · SELECT · 1 row/));
  await shown(resultTab(page, /^2 · UPDATE · 3 rows/));
  await shown(cell(page, "22"));
  await resultTab(page, /^1 · SELECT/).click();
  await shown(cell(page, "11"));
  await page.keyboard.press("ArrowRight");
  await shown(results(page).getByText("3 rows changed", { exact: false }));
});

test("failing script changes nothing in one transaction, and says what it committed otherwise", async (t) => {
  const project = await withBooks();
  const page = await openSql(t, project);
  const script = (name) => `create table ${name} (id int);\ninsert into ${name} values (1);\nselect * from nowhere;`;
  await run(page, script("half"), "Run all");
  await shown(alert(page).getByText("nowhere"));
  await shown(alert(page).getByText("Nothing was changed."));
  await shown(resultTab(page, "3 · error"));
  assert.ok(!(await schemaHas(project, "half")));
  await text(page).fill(script("kept"));
  await page.getByRole("switch", { name: "In one transaction" }).uncheck();
  await act(page, "Run all").click();
  await shown(alert(page).getByText("Statements 1–2 were committed."));
  assert.equal(await value(project, "select count(*) from kept"), 1);
  await text(page).fill("vacuum books;\nselect 1;");
  const transaction = page.getByRole("switch", { name: "In one transaction" });
  await eventually(() => transaction.isDisabled(), "the switch is off");
  assert.match(
    await page.locator("label", { has: transaction }).getAttribute("title"),
    /^VACUUM can't run in a transaction/,
  );
  await act(page, "Run all").click();
  await shown(resultTab(page, /^2 · SELECT/));
});

test("error names its line, and a button selects the wrong word", async (t) => {
  const project = await withBooks();
  const page = await openSql(t, project);
  await run(page, "select 1 frm t");
  await shown(alert(page).getByText("Line 1", { exact: false }));
  await button(page, "Go to error").click();
  const selected = () => text(page).evaluate((field) => field.value.slice(field.selectionStart, field.selectionEnd));
  assert.equal(await selected(), "t");
  await run(page, "select 'é😀';\nselect titel from books");
  await placeCursor(page, 20);
  await act(page, "Run").click();
  await shown(alert(page).getByText("Line 2, column 8", { exact: false }));
  await shown(alert(page).getByText(/Perhaps you meant/));
  await button(page, "Go to error").click();
  assert.equal(await selected(), "titel");
});

test("error is marked in the editor", async (t) => {
  const project = await withBooks();
  const page = await openMonaco(t, project);
  await button(page, "New query").click();
  await text(page).focus();
  await page.keyboard.insertText("select 1;\nselect titel from books");
  await page.keyboard.press("Control+Enter");
  await shown(alert(page).getByText("titel", { exact: false }));
  await page.locator(".monaco-editor .squiggly-error").first().waitFor({ state: "attached" });
  await page.locator(".monaco-editor .sql-at-bar").first().waitFor({ state: "attached" });
});

// Returns the number of other statements of the editor that run in the project's database. Their results are read from
// a cursor.
const running = (project) => value(
  project,
  "select count(*) from pg_stat_activity where datname = current_database() and state = 'active' " +
    "and query like 'FETCH%atlashub_editor' and pid <> pg_backend_pid()",
);

test("cancelled statement stops in Postgres", async (t) => {
  const project = await withBooks();
  const page = await openSql(t, project);
  await page.getByRole("combobox", { name: "Time limit" }).selectOption({ label: "60 s" });
  await run(page, "select count(*) from generate_series(1, 3000000000)");
  await shown(toolbar(page).getByText(/^\d+\.\d s$/));
  await text(page).press("Control+.");
  await shown(alert(page).getByText(/^Cancelled after \d/));
  await shown(alert(page).getByText("Nothing was changed."));
  await eventually(async () => (await running(project)) === 0, "the statement ended");
});

test("timed out statement shows its limit and offers more time", async (t) => {
  const project = await withBooks();
  const page = await openSql(t, project);
  await run(page, "select count(*) from generate_series(1, 3000000001)");
  await shown(alert(page).getByText(/5 s/));
  await shown(alert(page).getByRole("button", { name: "Run in background" }));
  await shown(alert(page).getByRole("button", { name: /Explain/ }));
  await alert(page).getByRole("button", { name: "Run with 60 s" }).click();
  assert.equal(await page.getByRole("combobox", { name: "Time limit" }).inputValue(), "60");
  await act(page, "Cancel").click();
  await shown(alert(page).getByText(/^Cancelled after \d/));
});

test("button for more time runs the statement that timed out, even if the query has changed", async (t) => {
  const project = await withBooks();
  const page = await openSql(t, project);
  const update =
    "update books set price = 0 where exists (select count(*) from generate_series(1, 3000000003) having count(*) > 0)";
  await run(page, update, "Analyze");
  await shown(alert(page).getByText(/5 s/));
  assert.equal(await alert(page).getByRole("button", { name: "Run in background" }).count(), 0);
  await text(page).fill("select 'another statement'");
  const repeated = page.waitForRequest((request) => request.method() === "POST" && request.url().endsWith("/sql"));
  await alert(page).getByRole("button", { name: "Run with 60 s" }).click();
  const { sql, explain, timeoutMs } = (await repeated).postDataJSON();
  assert.deepEqual({ sql, explain, timeoutMs }, { sql: update, explain: "analyze", timeoutMs: 60_000 });
  await act(page, "Cancel").click();
  await shown(alert(page).getByText(/^Cancelled after \d/));
});

test("statement of a closed query stops in Postgres", async (t) => {
  const project = await withBooks();
  const page = await openSql(t, project);
  await page.getByRole("combobox", { name: "Time limit" }).selectOption({ label: "60 s" });
  await run(page, "select count(*) from generate_series(1, 3000000002)");
  await eventually(async () => (await running(project)) > 0, "the statement runs");
  await page.getByRole("button", { name: /^Close select count/ }).click();
  await eventually(async () => (await running(project)) === 0, "the statement ended");
});

test("background run shows its result", async (t) => {
  const project = await withBooks();
  const page = await openSql(t, project);
  const limit = page.getByRole("combobox", { name: "Time limit" });
  assert.deepEqual(await limit.locator("option").allTextContents(), ["5 s", "30 s", "60 s", "In background"]);
  await limit.selectOption({ label: "In background" });
  await run(page, "create index books_title on books (title)");
  await shown(resultTab(page, "In background"));
  await shown(results(page).getByText("Succeeded"));
  assert.equal(await value(project, "select count(*) from pg_indexes where indexname = 'books_title'"), 1);
});

test("read only refuses changes", async (t) => {
  const project = await withBooks();
  const page = await openSql(t, project);
  await page.getByRole("switch", { name: "Read only" }).check();
  await run(page, "insert into books values (99)");
  await shown(alert(page).getByText(/read-only/));
  assert.equal(await value(project, "select count(*) from books where id = 99"), 0);
});

test("limit of rows is shown, and all rows of the page are exported", async (t) => {
  const project = await withBooks();
  const page = await openSql(t, project);
  const rows = page.getByRole("combobox", { name: "Rows" });
  assert.equal(await rows.locator("option").count(), 3);
  await rows.selectOption("100");
  await run(page, "select n, 'a,\"b\"' as text, null as nothing from generate_series(1, 1200) n");
  await shown(page.getByText("Showing 100 rows, there are more"));
  await button(page, "Export all").click();
  const dialog = page.getByRole("dialog", { name: "Export all" });
  await shown(dialog.getByText("The page has the first 100 rows.", { exact: false }));
  const csv = await download(page, () => dialog.getByRole("button", { name: "Export 100 rows as CSV" }).click());
  assert.equal(csv.name, "result.csv");
  assert.equal(csv.content.split("\r\n")[1], '1,"a,""b""",');
  await shown(page.getByText("Exported the first 100 rows. The statement has more."));
  await button(page, "Export all").click();
  await dialog.getByRole("button", { name: /^Run again with/ }).click();
  await shown(page.getByText(/^Showing 1.000 rows, there are more$/));
  assert.equal(await rows.inputValue(), "1000");
});

test("result is downloaded as CSV and JSON, and copied as Markdown and INSERT", async (t) => {
  const project = await withBooks();
  const page = await openSql(t, project);
  await run(page, "select id, title from books where id < 3 order by id");
  await shown(cell(page, "book 1"));
  const csv = await download(page, () => button(page, "Export CSV").click());
  assert.equal(csv.content, "id,title\r\n1,book 1\r\n2,book 2\r\n");
  const json = await download(page, () => button(page, "Export JSON").click());
  assert.deepEqual(JSON.parse(json.content), [{ id: 1, title: "book 1" }, { id: 2, title: "book 2" }]);
  await button(page, "Copy as Markdown").click();
  await copied(page, "| id | title |\n| --: | --- |\n| 1 | book 1 |\n| 2 | book 2 |");
  await button(page, "Copy as INSERT").click();
  await copied(page, "insert into books (id, title) values\n  (1, 'book 1'),\n  (2, 'book 2');");
});

test("messages of Postgres are shown", async (t) => {
  const project = await withBooks();
  const page = await openSql(t, project);
  await runSql(
    project,
    "create function shout() returns int language plpgsql as $$ begin raise notice 'it is %', 42; return 1; end $$",
  );
  await run(page, "select shout()");
  await resultTab(page, /^Messages/).click();
  await shown(results(page).getByText("it is 42"));
  await shown(results(page).getByText("NOTICE"));
});

test("statement that destroys data needs a confirmation that counts the loss", async (t) => {
  const project = await withBooks();
  const page = await openSql(t, project);
  await runSql(project, "create table doomed as select generate_series(1, 50) id");
  await runSql(project, "alter table doomed add primary key (id)");
  await runSql(project, "create table heirs (doomed_id int references doomed)");
  await runSql(project, "analyze doomed");
  await run(page, "-- drop table doomed\nselect 'drop table doomed' as words");
  await shown(cell(page, "drop table doomed"));
  const dialog = page.getByRole("dialog", { name: "Run a statement that destroys data" });
  for (const [sql, sentence] of [
    ["drop table doomed", "Drops the table doomed."],
    ["truncate doomed", "Removes all rows of doomed."],
    ["alter table doomed drop column id", "Drops the column id of doomed."],
    ["update doomed set id = 1", "Changes all rows of doomed: the statement has no WHERE."],
    ["delete from doomed", "Deletes all rows of doomed: the statement has no WHERE."],
  ]) {
    await run(page, sql);
    await shown(dialog.getByText(sentence));
    await shown(dialog.getByText(/About 50 rows, \d/));
    await shown(dialog.getByText(/backup/).first());
    await shown(dialog.getByRole("button", { name: "Back up first and run" }));
    await dialog.getByRole("button", { name: "Cancel" }).click();
    await hidden(dialog);
    // The previous result stays.
    await shown(cell(page, "drop table doomed"));
  }
  assert.equal(await value(project, "select count(*) from doomed"), 50);
  await run(page, "drop table doomed cascade");
  await shown(dialog.getByText("Foreign keys refer to it: heirs.doomed_id."));
  await dialog.getByRole("button", { name: "Cancel" }).click();
  await hidden(dialog);
  await run(page, "create table brief (id int);\ndrop table brief;", "Run all");
  await shown(resultTab(page, /^2 · DROP TABLE/));
  await run(page, "drop table doomed cascade");
  await dialog.getByRole("button", { name: "Run", exact: true }).click();
  await shown(resultTab(page, /^1 · DROP TABLE/));
  assert.ok(!(await schemaHas(project, "doomed")));
});

test("button “Back up first and run” creates a backup before the statement runs", async (t) => {
  const project = await withBooks();
  const page = await openSql(t, project);
  await runSql(project, "create table old_books (id int)");
  await run(page, "drop table old_books");
  const dialog = page.getByRole("dialog", { name: "Run a statement that destroys data" });
  await dialog.getByRole("button", { name: "Back up first and run" }).click();
  await shown(resultTab(page, /^1 · DROP TABLE/));
  const { items } = await admin("GET", "/backups?limit=200");
  assert.ok(
    items.some((backup) => backup.target === `project:${project}` && ["ready", "verified"].includes(backup.state)),
  );
});

test("confirmation lists the tables that a truncate with CASCADE also empties", async (t) => {
  const project = await withBooks();
  await runSql(project, "create table loans (id int8 primary key, book_id int8 references books)");
  await runSql(project, "create table fines (loan_id int8 references loans)");
  await runSql(project, "create table reviews (book_id int8 references books on delete cascade)");
  await runSql(project, "insert into fines select null::int8 from generate_series(1, 7)");
  await runSql(project, "analyze fines");
  const page = await openSql(t, project);
  const dialog = page.getByRole("dialog", { name: "Run a statement that destroys data" });
  await run(page, "truncate books cascade");
  await shown(dialog.getByText("Also removes all rows of loans, which refers to books."));
  await shown(dialog.getByText("Also removes all rows of reviews, which refers to books."));
  await shown(dialog.getByText(/Also removes all rows of fines, which refers to loans\.\s*About 7 rows/));
  await dialog.getByRole("button", { name: "Cancel" }).click();
  await hidden(dialog);
  await run(page, "delete from books");
  await shown(dialog.getByText("Also deletes the rows of reviews that refer to books."));
  assert.equal(await dialog.getByText(/Also deletes the rows of loans/).count(), 0);
});

test("dialog says before data is destroyed that the project has no backup", async (t) => {
  const project = await withBooks();
  const page = await openSql(t, project);
  await run(page, "delete from books");
  const dialog = page.getByRole("dialog", { name: "Run a statement that destroys data" });
  await shown(dialog.getByText("There is no good backup of this project."));
});

test("plan is a tree with times, and analyze undoes changes", async (t) => {
  const project = await withBooks();
  const page = await openSql(t, project);
  await run(page, "select count(*) from generate_series(1, 1000)", "Analyze");
  const plan = page.getByRole("table", { name: "Plan" });
  assert.equal(await results(page).getByText("its changes were rolled back").count(), 0);
  await shown(plan.getByText("Aggregate"));
  await shown(plan.getByRole("columnheader", { name: "Own time" }));
  await act(page, "Explain").click();
  await shown(plan.getByRole("columnheader", { name: "Own cost" }));
  await button(page, "Copy plan").click();
  await page.waitForFunction(async () => (await navigator.clipboard.readText()).includes("Aggregate"));
  await run(page, "update books set price = 0 where id = 1", "Analyze");
  await shown(results(page).getByText("The statement ran, and its changes were rolled back."));
  assert.notEqual(await value(project, "select price from books where id = 1"), 0);
});

test("wrong estimate is marked in the plan", async (t) => {
  const project = await withBooks();
  const page = await openSql(t, project);
  await run(page, "select * from generate_series(1, 5000) n where n % 2 = (n + 0) % 2", "Analyze");
  await shown(page.getByRole("table", { name: "Plan" }).getByText(/× off$/));
});

test("text stays if the server does not respond, and a message says that the outcome is unknown", async (t) => {
  const project = await withBooks();
  const page = await openSql(t, project);
  await page.route("**/admin/v1/projects/*/sql", (route) => route.abort());
  await run(page, "select 'still here'");
  await shown(alert(page).getByText("It is not known whether the server ran the SQL.", { exact: false }));
  assert.equal(await text(page).inputValue(), "select 'still here'");
});

test("ended session keeps the text", async (t) => {
  // All requests except the stream of events, which may begin at any time and would notice the end of the session
  // first.
  const requests = /\/admin\/v1\/(?!events)/;
  const project = await withBooks();
  const page = await openSql(t, project);
  await text(page).fill("select 'kept over the end'");
  await page.route(requests, (route) =>
    route.fulfill({ status: 401, json: { error: { code: "unauthorized", message: "No.", requestId: "r" } } }),
  );
  // Another request may notice the end first, so that the dialog covers the button.
  await act(page, "Run").dispatchEvent("click");
  const dialog = page.getByRole("dialog", { name: "Your sign-in has ended" });
  await shown(dialog);
  await page.unroute(requests);
  await dialog.getByRole("button", { name: "Sign in again" }).click();
  await shown(text(page));
  assert.equal(await text(page).inputValue(), "select 'kept over the end'");
});

test("phone has a plain field and records", async (t) => {
  const project = await withBooks();
  const page = await openSql(t, project, { narrow: true });
  await run(page, "select id, title from books where id = 1");
  const record = page.getByRole("list", { name: "Result" }).getByRole("listitem");
  await shown(record.getByText("book 1"));
  assert.equal(await grid(page).count(), 0);
  for (const label of ["Time limit", "Rows"])
    await shown(page.locator(".sql-options .what").getByText(label, { exact: true }));
});

for (const narrow of [false, true]) {
  test(`the page is accessible at ${narrow ? 390 : 1440} pixels`, async (t) => {
    const project = await withBooks();
    const page = await openSql(t, project, { narrow });
    await run(page, "select 1 as id, null as nothing");
    await shown(page.getByText("1 row", { exact: true }));
    await expectAccessible(page);
    await run(page, "select 1 frm t");
    await shown(alert(page));
    await expectAccessible(page);
  });
}
