// The rows of a table as a visitor or a signed-in user can read them.

import assert from "node:assert/strict";
import { test } from "node:test";
import { admin, button, createProject, eventually, expectAccessible, hidden, shown } from "./support.mjs";
import { cell, grid, openTable } from "./tables-support.mjs";

const viewAs = (page) => page.getByRole("combobox", { name: "View as" });
const banner = (page) => page.getByRole("note").filter({ hasText: "You see the rows that" });
const paging = (page) => page.getByRole("group", { name: "Paging" });

// Creates a project with notes of two users, of which each can read only their own.
async function withNotes() {
  const project = await createProject("view as");
  await admin("PATCH", `/projects/${project.id}/auth`, { enabled: true });
  const ids = [];
  for (const email of ["ada@example.com", "bob@example.com"]) {
    ids.push((await admin("POST", `/projects/${project.id}/users`, { email })).id);
  }
  const [ada, bob] = ids;
  const sql = `create table notes (id int primary key, user_id uuid not null, body text);
    alter table notes enable row level security;
    create policy own on notes using (auth.uid() = user_id);
    insert into notes values (1, '${ada}', 'first of Ada'), (2, '${bob}', 'of Bob'), (3, '${ada}', 'second of Ada')`;
  await admin("POST", `/projects/${project.id}/sql`, { sql, script: true });
  return { ...project, ada };
}

const expose = ({ id }, exposure) =>
  admin("PUT", `/projects/${id}/tables/notes/exposure`, { confirm: true, ...exposure });

async function chooseUser(page, search, email) {
  await viewAs(page).selectOption({ label: "Signed-in user…" });
  const dialog = page.getByRole("dialog", { name: "View as a signed-in user" });
  await dialog.getByRole("combobox", { name: "Find a user by e-mail address" }).fill(search);
  const option = dialog.getByRole("option", { name: email });
  await eventually(async () => (await dialog.getByRole("option").count()) === 1, "the search");
  await option.click();
  await hidden(dialog);
}

test("rows are shown as a signed-in user can read them, and can't be changed", async (t) => {
  const project = await withNotes();
  await expose(project, { signedIn: "read" });
  const page = await openTable(t, project, { table: "notes" });
  await shown(cell(page, "of Bob", "notes"));
  await chooseUser(page, "ADA", "ada@example.com");
  await shown(banner(page).getByText("You see the rows that ada@example.com can read."));
  await shown(cell(page, "second of Ada", "notes"));
  assert.equal(await cell(page, "of Bob", "notes").count(), 0);
  await shown(paging(page).getByText("1–2 of 2"));
  for (const name of ["Insert row", "Export"]) assert.equal(await button(page, name).count(), 0, name);
  assert.equal(await grid(page, "notes").getAttribute("aria-readonly"), "true");
  assert.equal(await grid(page, "notes").getByRole("checkbox").count(), 0);
  // Neither the grid's field nor the row's sheet opens.
  await cell(page, "first of Ada", "notes").dblclick();
  await page.keyboard.press("Enter");
  assert.equal(await grid(page, "notes").getByRole("textbox").count(), 0);
  assert.equal(new URL(page.url()).searchParams.get("row"), null);
  await expectAccessible(page);
  await page.reload();
  await shown(banner(page).getByText("ada@example.com"));
  await shown(cell(page, "first of Ada", "notes"));
  assert.equal(await viewAs(page).inputValue(), `user:${project.ada}`);
  assert.equal(await cell(page, "of Bob", "notes").count(), 0);
  await button(page, "Back to owner").click();
  await shown(cell(page, "of Bob", "notes"));
  await hidden(banner(page));
  assert.equal(await viewAs(page).inputValue(), "");
  await shown(button(page, "Insert row"));
});

test("table that is not exposed to visitors links to its access, and is empty if policies hide all rows", async (t) => {
  const project = await withNotes();
  const page = await openTable(t, project, { table: "notes" });
  await viewAs(page).selectOption({ label: "Visitor (publishable key)" });
  await shown(page.getByRole("heading", { name: "Visitors can't read this table" }));
  await page.getByRole("link", { name: "Open Access" }).click();
  await shown(page.getByRole("radiogroup", { name: "Publishable key" }));
  await expose(project, { publishable: "read" });
  await page.goBack();
  await shown(banner(page).getByText("You see the rows that a visitor with the publishable key can read."));
  await shown(page.getByText("The table is empty, or no policy lets this caller read a row."));
  assert.equal(await button(page, "Insert row").count(), 0);
});

test("closing the search for a user leaves the rows of the owner", async (t) => {
  const project = await withNotes();
  const page = await openTable(t, project, { table: "notes" });
  await viewAs(page).selectOption({ label: "Signed-in user…" });
  const dialog = page.getByRole("dialog", { name: "View as a signed-in user" });
  await shown(dialog.getByRole("option", { name: "bob@example.com" }));
  await page.keyboard.press("Escape");
  await hidden(dialog);
  assert.equal(await viewAs(page).inputValue(), "");
  await shown(cell(page, "of Bob", "notes"));
  await shown(button(page, "Insert row"));
});
