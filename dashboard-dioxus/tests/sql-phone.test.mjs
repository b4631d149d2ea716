// The SQL page on a phone, and the focus in it. See sql.test.mjs for the rest.

import assert from "node:assert/strict";
import { test } from "node:test";
import { cell, openMonaco, openSql, query, resultTab, run, text, withBooks } from "./sql-support.mjs";
import { admin, button, eventually, expectAccessible, hidden, shown } from "./support.mjs";

test("new query has the focus in its text", async (t) => {
  const project = await withBooks();
  for (const page of [await openMonaco(t, project), await openSql(t, project, { narrow: true })]) {
    await text(page).focus();
    await page.keyboard.insertText("select 'the first query'");
    await button(page, "New query").click();
    await eventually(() => text(page).evaluate((field) => field === document.activeElement), "the focus in the text");
  }
});

test("reopened query has the focus in its text, except on a phone", async (t) => {
  const project = await withBooks();
  for (const [page, expected] of [
    [await openMonaco(t, project), true],
    [await openSql(t, project), true],
    [await openSql(t, project, { narrow: true }), false],
  ]) {
    await button(page, "New query").click();
    await text(page).focus();
    await page.keyboard.insertText("select 'closed'");
    await button(page, "Close select 'closed'").click();
    await button(page, "Recently closed").click();
    await page.getByRole("menuitem", { name: /select 'closed'/ }).click();
    await shown(query(page, "select 'closed'"));
    const hasFocus = () => text(page).evaluate((field) => field === document.activeElement);
    if (expected) await eventually(hasFocus, "the focus in the text");
    else assert.ok(!(await hasFocus()), "no keyboard on a phone");
  }
});

test("query that another page opened has the focus in its text and runs with Ctrl-Enter", async (t) => {
  const project = await withBooks();
  const page = await openMonaco(t, project);
  await page.getByRole("navigation", { name: "Project" }).getByRole("link", { name: "Tables" }).click();
  await page.evaluate(() => sessionStorage.setItem("atlashub.sql.open", "select 'handed over' as word"));
  await page.getByRole("navigation", { name: "Project" }).getByRole("link", { name: /^SQL/ }).click();
  await page.locator(".sql-monaco .monaco-editor .view-lines").waitFor();
  await eventually(() => text(page).evaluate((field) => field === document.activeElement), "the focus in the text");
  await page.keyboard.press("Control+Enter");
  await shown(cell(page, "handed over"));
});

test("phone reaches the schema, saved queries and the history", async (t) => {
  const project = await withBooks();
  await admin("POST", `/projects/${project}/queries`, { name: "Cheap books", sql: "select 'cheap' as word" });
  const page = await openSql(t, project, { narrow: true });
  const sheet = page.getByRole("dialog", { name: "Schema and queries" });
  const open = async (name) => {
    await button(page, "Schema and queries").click();
    await sheet.getByRole("tab", { name }).click();
  };
  await run(page, "select 'past' as word");
  await shown(page.getByText("1 row", { exact: true }));
  await open("Saved");
  await expectAccessible(page);
  await sheet.getByRole("button", { name: "Cheap books", exact: true }).click();
  await hidden(sheet);
  await eventually(async () => (await text(page).inputValue()) === "select 'cheap' as word", "the saved query");
  await open("History");
  await sheet.getByRole("button", { name: /past/ }).click();
  await hidden(sheet);
  await eventually(async () => (await text(page).inputValue()) === "select 'past' as word", "the entry of the history");
  await open("Schema");
  await shown(sheet.getByRole("treeitem", { name: "books", exact: true }));
  await page.goBack();
  await hidden(sheet);
});

test("tabs of a failed script say what was rolled back, and the error stays in view", async (t) => {
  const project = await withBooks();
  const page = await openSql(t, project, { narrow: true });
  const script = ["insert into books values (101, 'x', 1)", "update books set title = 'y' where id < 4",
    "select id from books", "select 1 / 0"];
  await run(page, script.join(";\n"), "Run all");
  await shown(resultTab(page, /^2 · UPDATE · 3 rows · .+ · rolled back$/));
  await shown(resultTab(page, /^3 · SELECT · 10 rows · [^·]+$/));
  await resultTab(page, /^1 · INSERT · 1 row · .+ · rolled back$/).click();
  await eventually(async () => {
    const [first, error] = [resultTab(page, /^1 · INSERT/), resultTab(page, "4 · error")];
    const [{ x }, box] = [await first.boundingBox(), await error.boundingBox()];
    return x >= 0 && box.x >= 0 && box.x + box.width <= 390;
  }, "both tabs to be in view");
});
