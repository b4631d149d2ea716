// The SQL page on a phone, and the focus in it. See sql.test.mjs for the rest.

import { test } from "node:test";
import { openMonaco, openSql, resultTab, run, text, withBooks } from "./sql-support.mjs";
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
