// Suggestions of the editor Monaco while the owner types.

import assert from "node:assert/strict";
import { test } from "node:test";
import { cell, openMonaco, text } from "./sql-support.mjs";
import { button, createProject, eventually, hidden, shown } from "./support.mjs";

const SCHEMA = [
  "create table authors (id int8 primary key, name text)",
  "create table name_lists (list_id int8 primary key)",
  "insert into authors select n, 'author ' || n from generate_series(1, 40) n",
];

const suggestions = (page) => page.locator(".suggest-widget");
const suggestion = (page, name) => suggestions(page).getByText(name, { exact: true }).first();

async function openEmpty(t) {
  const page = await openMonaco(t, (await createProject("completion", SCHEMA)).id);
  await button(page, "New query").click();
  await text(page).focus();
  return page;
}

test("suggestions show their text", async (t) => {
  const page = await openEmpty(t);
  await page.keyboard.type("select * from auth");
  await shown(suggestion(page, "authors"));
  // Text that is clipped or covered is not at its own position.
  const isVisible = (element) => {
    const { left, top, width, height } = element.getBoundingClientRect();
    return element.contains(document.elementFromPoint(left + width / 2, top + height / 2));
  };
  await eventually(() => suggestion(page, "authors").evaluate(isVisible), "the text of the first suggestion");
});

test("Enter after an alias starts a line, and no table is suggested there", async (t) => {
  const page = await openEmpty(t);
  await page.keyboard.type("select a.name from authors a");
  await shown(suggestion(page, "and"));
  // The suggestions may still be those of an earlier key.
  await eventually(async () => (await suggestion(page, "authors").count()) === 0, "no table among the suggestions");
  await page.keyboard.press("Enter");
  await page.keyboard.type("where a.id = 7");
  await page.keyboard.press("Control+Enter");
  await shown(cell(page, "author 7"));
});

test("columns of a table after a comma without a space are suggested", async (t) => {
  const page = await openEmpty(t);
  for (const statement of [
    "select 1 from authors,authors second where second.",
    "select id,name from authors second where second.",
    "select count(*), id from authors second where second.",
  ]) {
    await page.keyboard.press("Control+A");
    await page.keyboard.type(statement);
    await shown(suggestion(page, "name"));
    await page.keyboard.press("Escape");
    await hidden(suggestion(page, "name"));
  }
});

test("Tab accepts a suggestion", async (t) => {
  const page = await openEmpty(t);
  await page.keyboard.type("select name from auth");
  await shown(suggestions(page).locator('[data-index="0"]').getByText("authors", { exact: true }));
  await page.keyboard.press("Tab");
  await page.keyboard.type(" where id = 9");
  await page.keyboard.press("Control+Enter");
  await shown(cell(page, "author 9"));
});

test("Enter accepts only a suggestion that was chosen with the arrow keys", async (t) => {
  const page = await openEmpty(t);
  await page.keyboard.type("select name from auth");
  const first = suggestions(page).locator('[data-index="0"]');
  await shown(first.getByText("authors", { exact: true }));
  await page.keyboard.press("ArrowDown");
  await shown(suggestions(page).locator(".monaco-list-row.focused").getByText("authors", { exact: true }));
  await page.keyboard.press("Enter");
  await page.keyboard.type(" where id = 8");
  await page.keyboard.press("Control+Enter");
  await shown(cell(page, "author 8"));
  // Without a choice, the word stays as it is, even if the owner opened the list with Ctrl-Space.
  for (const opens of [false, true]) {
    await page.keyboard.press("Control+A");
    await page.keyboard.type("select id, name as a from authors where id = 3 order by nam");
    await shown(first.getByText("name", { exact: true }));
    if (opens) {
      await page.keyboard.press("Escape");
      await hidden(first);
      await page.keyboard.press("Control+Space");
      await shown(first.getByText("name", { exact: true }));
    }
    await page.keyboard.press("Enter");
    await hidden(first);
    await eventually(async () => (await page.locator(".sql-monaco .view-line").count()) === 2, "the second line");
    assert.match(await page.locator(".sql-monaco .view-lines").innerText(), /nam\s*$/);
  }
});

test("tables and no columns are suggested where a table follows", async (t) => {
  const page = await openEmpty(t);
  for (const statement of [
    "select 1 from authors a join na",
    "select 1 from authors, na",
    "select 1 from (select id from authors) a, na",
    "select 1 from authors where exists (select 1 from na",
  ]) {
    await page.keyboard.press("Control+A");
    await page.keyboard.type(statement);
    await shown(suggestion(page, "name_lists"));
    // The suggestions may still be those of an earlier key.
    await eventually(async () => (await suggestion(page, "name").count()) === 0, `no column after ${statement}`);
    await page.keyboard.press("Escape");
    await hidden(suggestion(page, "name_lists"));
  }
  for (const statement of [
    "select 1 from authors order by id, na",
    "select 1 from authors where name is distinct from na",
    "select 1 from authors where 'a' = trim(both from na",
  ]) {
    await page.keyboard.press("Control+A");
    await page.keyboard.type(statement);
    await shown(suggestion(page, "name"));
    await page.keyboard.press("Escape");
    await hidden(suggestion(page, "name"));
  }
});
