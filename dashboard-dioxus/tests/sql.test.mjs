import assert from "node:assert/strict";
import { before, test } from "node:test";
import { admin, button, createProject, eventually, expectAccessible, openPage, shown, url } from "./support.mjs";

let project;

before(async () => {
  project = (await createProject("sql")).id;
});

const address = (query = "") => `${url}/projects/${project}/sql${query}`;

// Opens the page with an empty query, in the plain text field.
async function openSql(t, options) {
  const page = await openPage(t, options);
  await page.goto(address("?editor=plain"));
  await shown(text(page));
  return page;
}

const text = (page) => page.getByRole("textbox", { name: "SQL text" });
const resultTab = (page, name) => page.getByRole("tablist", { name: "Results" }).getByRole("tab", { name });
const cell = (page, value) => page.getByRole("grid", { name: "Result" }).getByRole("gridcell", { name: value, exact: true });

// Places the cursor in the plain text field.
async function placeCursor(page, offset) {
  await text(page).evaluate((field, offset) => {
    field.focus();
    field.setSelectionRange(offset, offset);
    field.dispatchEvent(new KeyboardEvent("keyup", { bubbles: true }));
  }, offset);
}

test("statement under the cursor runs alone", async (t) => {
  const page = await openSql(t);
  await text(page).fill("select 11 as a;\nselect 22 as b;");
  await placeCursor(page, 20);
  await shown(page.getByText("Run statement 2 of 2"));
  await text(page).press("Control+Enter");
  await shown(resultTab(page, /^1 · SELECT/));
  await shown(cell(page, "22"));
  assert.equal(await cell(page, "11").count(), 0);
});

test("selection runs instead of the statement under the cursor", async (t) => {
  const page = await openSql(t);
  await text(page).fill("select 1; select 2;");
  await text(page).evaluate((field) => {
    field.setSelectionRange(0, 8);
    field.dispatchEvent(new Event("select", { bubbles: true }));
  });
  await shown(page.getByText("Run selection"));
  await button(page, "Run").click();
  await shown(cell(page, "1"));
});

test("run all shows a tab for each statement", async (t) => {
  const page = await openSql(t);
  await text(page).fill("select 11;\nselect 22;");
  await button(page, "Run all").click();
  await shown(resultTab(page, /^2 · SELECT/));
  await shown(cell(page, "22"));
  await resultTab(page, /^1 · SELECT/).click();
  await shown(cell(page, "11"));
});

test("failing script changes nothing", async (t) => {
  const page = await openSql(t);
  await text(page).fill("create table half (id int);\ninsert into half values (1);\nselect * from nowhere;");
  await button(page, "Run all").click();
  const alert = page.getByRole("alert");
  await shown(alert.getByText("nowhere"));
  await shown(alert.getByText("Nothing was changed."));
  await shown(resultTab(page, "3 · error"));
  const schema = await admin("GET", `/projects/${project}/schema`);
  assert.ok(!JSON.stringify(schema).includes('"half"'));
});

test("syntax error names its line", async (t) => {
  const page = await openSql(t);
  await text(page).fill("select 1 frm t");
  await button(page, "Run").click();
  await shown(page.getByRole("alert").getByText("Line 1", { exact: false }));
  await button(page, "Go to error").click();
  const selected = await text(page).evaluate((field) => field.value.slice(field.selectionStart, field.selectionEnd));
  assert.equal(selected, "t");
});

test("text survives a reload", async (t) => {
  const page = await openSql(t);
  await text(page).fill("select 'kept'");
  await page.reload();
  await text(page).waitFor();
  assert.equal(await text(page).inputValue(), "select 'kept'");
});

test("closed query opens again", async (t) => {
  const page = await openSql(t);
  await text(page).fill("-- a closed query\nselect 5");
  await button(page, "Close a closed query").click();
  assert.equal(await page.getByRole("tab", { name: "a closed query" }).count(), 0);
  await page.getByText("Recently closed").click();
  await page.getByRole("menuitem", { name: /a closed query/ }).click();
  assert.match(await text(page).inputValue(), /a closed query/);
});

test("cancelled statement ends in postgres", async (t) => {
  const page = await openSql(t);
  await page.getByRole("combobox", { name: "Time limit" }).selectOption({ label: "60 s" });
  await text(page).fill("select count(*) from generate_series(1, 3000000000)");
  await button(page, "Run").click();
  await button(page, "Cancel").click();
  await shown(page.getByRole("alert").getByText(/^Cancelled after/));
  await shown(page.getByRole("alert").getByText("Nothing was changed."));
  const running = "select count(*) from pg_stat_activity where query like '%generate_series(1, 3000000000)%' and pid <> pg_backend_pid()";
  const isGone = async () => (await admin("POST", `/projects/${project}/sql`, { sql: running })).rows[0][0] === 0;
  await eventually(isGone, "the statement ended");
});

test("statement that destroys asks first", async (t) => {
  const page = await openSql(t);
  await admin("POST", `/projects/${project}/sql`, { sql: "create table if not exists doomed (id int)" });
  await text(page).fill("-- drop table doomed\nselect 'drop table doomed' as words");
  await button(page, "Run").click();
  await shown(cell(page, "drop table doomed"));
  await text(page).fill("drop table doomed");
  await button(page, "Run").click();
  const dialog = page.getByRole("dialog", { name: "Run a statement that destroys data" });
  await shown(dialog.getByText("Drops the table doomed."));
  await shown(dialog.getByText(/backup/).first());
  await dialog.getByRole("button", { name: "Cancel" }).click();
  assert.ok(JSON.stringify(await admin("GET", `/projects/${project}/schema`)).includes('"doomed"'));
  await button(page, "Run").click();
  await dialog.getByRole("button", { name: "Run", exact: true }).click();
  await shown(resultTab(page, /^1 · DROP TABLE/));
});

test("created table appears in the tree at once", async (t) => {
  const page = await openSql(t);
  await text(page).fill("create table fresh (id int8, label text)");
  await button(page, "Run").click();
  const tree = page.getByRole("tree", { name: "Schema" });
  const item = tree.getByRole("treeitem", { name: "fresh" });
  await shown(item);
  await item.click();
  await shown(tree.getByRole("treeitem", { name: "label" }));
});

test("values are shown and copied as postgres prints them", async (t) => {
  const page = await openSql(t);
  const values = "select 9007199254740993::int8 as big, null as nothing, '' as empty, false as no, 0 as zero, '<img src=x onerror=alert(1)>' as html";
  await text(page).fill(values);
  await button(page, "Run").click();
  await shown(cell(page, "9007199254740993"));
  await shown(cell(page, "NULL"));
  await shown(cell(page, "<img src=x onerror=alert(1)>"));
  for (const value of ["9007199254740993", "false", "0"]) {
    await cell(page, value).click();
    await page.keyboard.press("Control+c");
    await page.waitForFunction(async (value) => (await navigator.clipboard.readText()) === value, value);
  }
});

test("plan is a tree with times", async (t) => {
  const page = await openSql(t);
  await text(page).fill("select count(*) from generate_series(1, 1000)");
  await button(page, "Analyze").click();
  const plan = page.getByRole("table", { name: "Plan" });
  await shown(plan.getByText("Aggregate"));
  await shown(plan.getByRole("columnheader", { name: "Own time" }));
  await button(page, "Explain").click();
  await shown(plan.getByRole("columnheader", { name: "Own cost" }));
});

test("saved query keeps a long text", async (t) => {
  const page = await openSql(t);
  const long = `select 1 -- ${"x".repeat(20_000)}`;
  await text(page).fill(long);
  await text(page).press("Control+s");
  const dialog = page.getByRole("dialog", { name: "Save query" });
  await dialog.getByRole("textbox", { name: "Name" }).fill("Long one");
  await dialog.getByRole("button", { name: "Save query" }).click();
  await page.getByRole("tab", { name: "Saved" }).click();
  await shown(page.getByRole("list", { name: "Saved queries" }).getByRole("button", { name: "Long one", exact: true }));
  const stored = await admin("GET", `/projects/${project}/queries`);
  assert.equal(stored.items.find((query) => query.name === "Long one").sql, long);
});

test("history lists executed statements", async (t) => {
  const page = await openSql(t);
  await text(page).fill("select 'remembered'");
  await button(page, "Run").click();
  await shown(cell(page, "remembered"));
  await page.getByRole("tab", { name: "History" }).click();
  await shown(page.getByRole("list", { name: "History" }).getByText("select 'remembered'"));
});

test("text of another window is not overwritten", async (t) => {
  const page = await openSql(t);
  await text(page).fill("select 'first window'");
  await shown(page.getByText(/Saved here at/));
  await page.waitForTimeout(800);
  const other = await page.context().newPage();
  await other.goto(page.url());
  await text(other).waitFor();
  await text(other).fill("select 'second window'");
  await shown(page.getByText("Changed in another window"));
  assert.equal(await text(page).inputValue(), "select 'first window'");
  await button(page, "Load that text").click();
  assert.equal(await text(page).inputValue(), "select 'second window'");
});

test("monaco takes typed text and runs it", async (t) => {
  const page = await openPage(t);
  await page.goto(address());
  await page.locator(".sql-monaco .monaco-editor").waitFor();
  assert.equal(await text(page).count(), 1);
  await button(page, "New query").click();
  await text(page).focus();
  await page.keyboard.insertText("select 4711 as answer");
  await page.keyboard.press("Control+Enter");
  await shown(cell(page, "4711"));
});

test("grid of 30000 cells scrolls without long tasks", async (t) => {
  const page = await openSql(t);
  const columns = Array.from({ length: 30 }, (_, index) => `i * ${index} as c${index}`).join(", ");
  await text(page).fill(`select ${columns} from generate_series(1, 1000) as i`);
  await button(page, "Run").click();
  await shown(page.getByRole("grid", { name: "Result" }));
  const longest = await page.evaluate(async () => {
    let longest = 0;
    const observer = new PerformanceObserver((list) => list.getEntries().forEach((entry) => (longest = Math.max(longest, entry.duration))));
    observer.observe({ entryTypes: ["longtask"] });
    const grid = document.querySelector(".sql-grid");
    for (let frame = 0; frame < 180; frame += 1) {
      grid.scrollTop += 120;
      await new Promise(requestAnimationFrame);
    }
    observer.disconnect();
    return longest;
  });
  t.diagnostic(`longest task ${longest} ms`);
});

for (const narrow of [false, true]) {
  test(`the page is accessible at ${narrow ? 390 : 1440} pixels`, async (t) => {
    const page = await openSql(t, { narrow });
    await text(page).fill("select 1 as id, null as nothing");
    await button(page, "Run").click();
    await shown(page.getByText("1 row", { exact: true }));
    await expectAccessible(page);
  });
}
