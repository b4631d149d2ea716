// The form for a new import in a project with more tables than its list contains.

import assert from "node:assert/strict";
import { test } from "node:test";
import { createProject, shown } from "./support.mjs";
import { importPage, steps } from "./transfers-support.mjs";

test("table that is missing in the list can be chosen through its address", async (t) => {
  const { id } = await createProject("many tables", ["create table books (id int8)", "create table zebras (id int8)"]);
  const page = await importPage(t, id);
  const table = steps(page).getByRole("combobox", { name: "Table" });
  const note = steps(page).getByText("These are the first", { exact: false });
  await shown(table);
  assert.equal(await note.count(), 0);
  // The first page of a long list of tables.
  await page.route("**/tables?fields=summary&limit=1000", async (route) => {
    const response = await (await route.fetch()).json();
    await route.fulfill({ json: { items: response.items.slice(0, 1), nextCursor: "more" } });
  });
  await page.reload();
  await shown(note);
  assert.equal(await table.inputValue(), "");
  await page.goto(`${page.url()}&table=zebras`);
  await shown(note);
  assert.equal(await table.inputValue(), "zebras");
});
