// Suggestions of the editor Monaco while the owner types.

import { test } from "node:test";
import { openMonaco, text } from "./sql-support.mjs";
import { button, createProject, eventually, shown } from "./support.mjs";

const SCHEMA = [
  "create table authors (id int8 primary key, name text)",
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
