// The text of queries: editor, drafts, tabs, saved queries, history, and the tree of the schema.

import assert from "node:assert/strict";
import { test } from "node:test";
import { act, address, cell, item, openMonaco, openSql, query, resultTab, run, text, tree } from "./sql-support.mjs";
import { admin, button, createProject, eventually, hidden, shown } from "./support.mjs";

const SCHEMA = [
  "create table authors (id int8 primary key, name text)",
  'create table "My Books" (id int8 primary key, author_id int8 references authors, title text)',
  "insert into authors select n, 'author ' || n from generate_series(1, 40) n",
  "analyze authors",
  "create type mood as enum ('sad', 'glad')",
  "create function twice(n int) returns int language sql return n * 2",
];

const withSchema = async () => (await createProject("texts", SCHEMA)).id;

const saved = (page) => page.getByRole("list", { name: "Saved queries" });

test("tree shows the schema, and Enter inserts a name", async (t) => {
  const project = await withSchema();
  const page = await openSql(t, project);
  await shown(item(page, "authors").getByText("~40"));
  await item(page, "My Books").click();
  await shown(item(page, "author_id").getByText("int8"));
  await eventually(async () => /primary key/.test(await item(page, "id").getAttribute("title")), "the mark of the key");
  assert.match(await item(page, "author_id").getAttribute("title"), /refers to authors/);
  await item(page, "Functions").click();
  await shown(item(page, "twice"));
  await item(page, "Enums").click();
  await shown(item(page, "mood"));
  await text(page).fill("select * from ");
  await text(page).press("End");
  await item(page, "My Books").focus();
  await page.keyboard.press("Enter");
  await eventually(async () => (await text(page).inputValue()) === 'select * from "My Books"', "the inserted name");
  await page.getByRole("searchbox", { name: "Find in schema" }).fill("auth");
  await hidden(item(page, "mood"));
  await shown(item(page, "authors"));
});

test("Space on a column does nothing", async (t) => {
  const project = await withSchema();
  const page = await openSql(t, project);
  const requests = [];
  page.on("request", (request) => requests.push(request.url()));
  await item(page, "authors").click();
  await item(page, "name").focus();
  await page.keyboard.press("Space");
  await item(page, "My Books").click();
  await eventually(async () => /refers to/.test(await item(page, "author_id").getAttribute("title")), "the keys");
  assert.deepEqual(requests.filter((url) => url.includes("authors.name")), []);
});

test("filter of the tree keeps matches open, also from the keyboard", async (t) => {
  const project = await withSchema();
  const page = await openSql(t, project);
  const filter = page.getByRole("searchbox", { name: "Find in schema" });
  const focused = (name) =>
    eventually(
      () => page.evaluate((name) => document.activeElement.getAttribute("aria-label") === name, name),
      `the focus on ${name}`,
    );
  await filter.fill("author_id");
  await shown(item(page, "author_id"));
  await hidden(item(page, "authors"));
  await eventually(async () => /refers to/.test(await item(page, "author_id").getAttribute("title")), "the keys");
  await item(page, "author_id").focus();
  await page.keyboard.press("ArrowLeft");
  await focused("My Books");
  await page.keyboard.press("ArrowLeft");
  await focused("public");
  await item(page, "public").click();
  await item(page, "My Books").click();
  await shown(item(page, "author_id"));
  await filter.fill("");
  await shown(item(page, "authors"));
  assert.equal(await item(page, "My Books").getAttribute("aria-expanded"), "false");
});

test("note above the tree says that public is empty", async (t) => {
  const project = await createProject("bare");
  const page = await openSql(t, project.id);
  const note = page.getByText("The schema public is empty.");
  await shown(note);
  await run(page, "create table first (id int8)");
  await shown(item(page, "first"));
  await hidden(note);
});

test("created table is in the tree and on the page of tables at once", async (t) => {
  const project = await withSchema();
  const page = await openSql(t, project);
  await run(page, "create table fresh (id int8, label text)");
  await shown(item(page, "fresh"));
  await item(page, "fresh").focus();
  await page.keyboard.press("ArrowRight");
  await shown(item(page, "label"));
  await page.getByRole("navigation", { name: "Project" }).getByRole("link", { name: "Tables" }).click();
  await shown(page.getByRole("link", { name: /^fresh/ }));
});

test("Monaco accepts typing, completes names and runs the text", async (t) => {
  const project = await withSchema();
  const page = await openMonaco(t, project);
  assert.equal(await text(page).count(), 1);
  await button(page, "New query").click();
  await text(page).focus();
  await page.keyboard.insertText("select 4711 as answer");
  await page.keyboard.press("Control+Enter");
  await shown(cell(page, "4711"));
  await page.keyboard.press("Control+a");
  await page.keyboard.type("select * from auth");
  await shown(page.locator(".suggest-widget").getByText("authors").first());
  await page.keyboard.press("Escape");
  await shown(page.getByText("lets Tab leave the editor"));
  await page.keyboard.press("Control+m");
  await page.keyboard.press("Tab");
  await eventually(
    () => page.evaluate(() => !document.activeElement.closest(".monaco-editor")),
    "Tab to leave the editor",
  );
});

test("Ctrl-K in Monaco opens the command palette", async (t) => {
  const project = await withSchema();
  const page = await openMonaco(t, project);
  await text(page).focus();
  await page.keyboard.press("Control+k");
  const palette = page.getByRole("dialog", { name: "Command palette" });
  await shown(palette);
  await page.keyboard.press("Escape");
  await hidden(palette);
  await eventually(() => page.evaluate(() => !!document.activeElement.closest(".monaco-editor")), "the focus");
});

test("text is stored while typing and survives a reload", async (t) => {
  const project = await withSchema();
  const page = await openSql(t, project);
  await text(page).fill("select 'kept'");
  await page.reload();
  await shown(text(page));
  assert.equal(await text(page).inputValue(), "select 'kept'");
  await text(page).fill("select 'stored'");
  await shown(page.getByText(/Draft kept at/));
  await page.evaluate(() => sessionStorage.clear());
  const next = await page.context().newPage();
  await page.close();
  await next.goto(address(project, "?editor=plain"));
  await shown(text(next));
  await eventually(async () => (await text(next).inputValue()) === "select 'stored'", "the text in another tab");
});

test("text is stored if another query is changed right after it", async (t) => {
  const page = await openSql(t, await withSchema());
  await text(page).fill("select 1");
  await button(page, "New query").click();
  await text(page).fill("select 2");
  await query(page, "select 1").click();
  await eventually(async () => (await text(page).inputValue()) === "select 1", "the first text");
  await shown(page.getByText(/Draft kept at/));
  await query(page, "select 2").click();
  await shown(page.getByText(/Draft kept at/));
});

test("queries are renamed, moved, closed and opened again", async (t) => {
  const project = await withSchema();
  const page = await openSql(t, project);
  await text(page).fill("-- a lost thought\nselect 5");
  await button(page, "New query").click();
  await text(page).fill("select 6");
  await query(page, "select 6").focus();
  await page.keyboard.press("F2");
  await page.getByRole("textbox", { name: "Name of the query" }).fill("Six");
  await page.keyboard.press("Enter");
  await query(page, "Six").focus();
  await page.keyboard.press("Control+Shift+ArrowLeft");
  const names = () => page.getByRole("tablist", { name: "Queries" }).getByRole("tab").allTextContents();
  await eventually(async () => (await names()).join() === "Six,a lost thought", "the moved tab");
  await shown(page.getByText(/Draft kept at/));
  await button(page, "Close a lost thought").click();
  await hidden(query(page, "a lost thought"));
  await page.reload();
  await shown(query(page, "Six"));
  await page.getByText("Recently closed").click();
  await page.getByRole("menuitem", { name: /a lost thought/ }).click();
  await eventually(async () => /select 5$/.test(await text(page).inputValue()), "the text of the reopened query");
});

test("query that was closed right before a reload can be opened again", async (t) => {
  const project = await withSchema();
  const page = await openSql(t, project);
  await button(page, "New query").click();
  await text(page).fill("-- closed at once\nselect 7");
  await button(page, "Close closed at once").click();
  await page.reload();
  await page.getByText("Recently closed").click();
  await page.getByRole("menuitem", { name: /closed at once/ }).click();
  await eventually(async () => /select 7$/.test(await text(page).inputValue()), "the text of the reopened query");
});

test("tab of the open query is in view on a phone", async (t) => {
  const project = await withSchema();
  const page = await openSql(t, project, { narrow: true });
  for (let number = 1; number <= 5; number += 1) {
    await text(page).fill(`select 'query number ${number}'`);
    await button(page, "New query").click();
    await eventually(async () => (await text(page).inputValue()) === "", "the new query");
  }
  await page.reload();
  const tab = page.getByRole("tablist", { name: "Queries" }).getByRole("tab", { selected: true });
  await eventually(async () => {
    const box = await tab.boundingBox();
    return box && box.x >= 0 && box.x + box.width <= 391;
  }, "the tab to be in view");
});

test("text that was changed in another window is loaded only on request", async (t) => {
  const project = await withSchema();
  const page = await openSql(t, project);
  await text(page).fill("select 'first window'");
  await shown(page.getByText(/Draft kept at/));
  await eventually(
    () => page.evaluate(() => Object.keys(sessionStorage).every((key) => !key.startsWith("atlashub.sql."))),
    "the text to be stored",
  );
  const other = await page.context().newPage();
  await other.goto(page.url());
  await eventually(
    async () => (await text(other).inputValue()) === "select 'first window'",
    "the text in the other window",
  );
  await text(other).fill("select 'second window'");
  await shown(page.getByText("Changed in another window"));
  assert.equal(await text(page).inputValue(), "select 'first window'");
  await button(page, "Load that text").click();
  await eventually(async () => (await text(page).inputValue()) === "select 'second window'", "the loaded text");
});

test("saved query keeps its whole text and has an address", async (t) => {
  const project = await withSchema();
  const page = await openSql(t, project);
  const long = `select 1 -- ${"x".repeat(20_000)}`;
  await text(page).fill(long);
  await text(page).press("Control+s");
  const dialog = page.getByRole("dialog", { name: "Save query" });
  await dialog.getByRole("textbox", { name: "Name" }).fill("Long one");
  await dialog.getByRole("button", { name: "Save query" }).click();
  await page.getByRole("tab", { name: "Saved" }).click();
  await shown(saved(page).getByRole("button", { name: "Long one", exact: true }));
  const stored = (await admin("GET", `/projects/${project}/queries`)).items.find((query) => query.name === "Long one");
  assert.equal(stored.sql, long);
  await eventually(() => new URL(page.url()).searchParams.get("query") === stored.id, "the query in the address");
  await button(page, "Close Long one").click();
  await page.goto(address(project, `?editor=plain&query=${stored.id}`));
  await shown(query(page, "Long one"));
  await eventually(async () => (await text(page).inputValue()) === long, "the text of the open query");
  await page.getByRole("tab", { name: "Saved" }).click();
  await saved(page).getByRole("button", { name: "Actions for Long one" }).click();
  await page.getByRole("menuitem", { name: "Delete query" }).click();
  await page.getByRole("dialog", { name: "Delete query" }).getByRole("button", { name: "Delete query" }).click();
  await shown(page.getByText("Query deleted"));
});

test("history lists the texts that ran, and shortcuts step through it and back to the typed text", async (t) => {
  const project = await withSchema();
  const page = await openSql(t, project);
  for (const word of ["older", "newer"]) {
    await run(page, `select '${word}' as word`);
    await shown(cell(page, word));
  }
  await page.getByRole("tab", { name: "Saved" }).click();
  const history = page.getByRole("list", { name: "History" });
  await shown(history.getByText("select 'newer' as word"));
  await text(page).fill("select 'typed' as word");
  for (const [key, word] of [
    ["ArrowUp", "newer"], ["ArrowUp", "older"], ["ArrowDown", "newer"], ["ArrowDown", "typed"],
  ]) {
    await text(page).press(`Alt+${key}`);
    await eventually(async () => (await text(page).inputValue()) === `select '${word}' as word`, `Alt-${key}`);
  }
  await history.getByRole("button", { name: /older/ }).first().click();
  await eventually(async () => (await text(page).inputValue()) === "select 'older' as word", "the text of the entry");
});

test("splitter resizes the editor, and the side column can be hidden", async (t) => {
  const project = await withSchema();
  const page = await openSql(t, project);
  const splitter = page.getByRole("separator", { name: "Resize results" });
  const height = Number(await splitter.getAttribute("aria-valuenow"));
  await splitter.focus();
  await page.keyboard.press("ArrowDown");
  await eventually(async () => Number(await splitter.getAttribute("aria-valuenow")) === height + 20, "the resize");
  await button(page, "Hide schema and queries").click();
  await hidden(tree(page));
  await page.reload();
  await button(page, "Show schema and queries").click();
  await shown(tree(page));
});

test("only a part of many saved queries is drawn", async (t) => {
  const project = await withSchema();
  const numbers = Array.from({ length: 200 }, (_, index) => index);
  for (let from = 0; from < 200; from += 50) {
    await Promise.all(numbers.slice(from, from + 50).map((index) =>
      admin("POST", `/projects/${project}/queries`, { name: `Query ${index}`, sql: `select ${index} from authors` })));
  }
  const page = await openSql(t, project);
  await page.getByRole("tab", { name: "Saved" }).click();
  const drawn = saved(page).getByRole("button", { name: /^Query \d+$/ });
  await shown(drawn);
  assert.ok((await drawn.count()) < 120, `${await drawn.count()} of 200 queries are drawn`);
});
