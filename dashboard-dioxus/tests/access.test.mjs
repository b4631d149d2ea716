// The access of a table: the sentences, the warning about signed-in users, and templates of policies.

import assert from "node:assert/strict";
import { test } from "node:test";
import { query, text } from "./sql-support.mjs";
import {
  admin, button, createProject, eventually, expectAccessible, hidden, openPage, shown, url,
} from "./support.mjs";

const accessOf = ({ id }, table) => `${url}/projects/${id}/tables?${new URLSearchParams({ table, tab: "access" })}`;
const expose = ({ id }, table, exposure) =>
  admin("PUT", `/projects/${id}/tables/${table}/exposure`, { confirm: true, ...exposure });

async function openAccess(t, project, table, options) {
  const page = await openPage(t, options);
  await page.goto(accessOf(project, table));
  await shown(page.getByText(/Servers with the secret key: everything\./));
  return page;
}

test("access that ends for visitors who sign in is a warning, and one button corrects it", async (t) => {
  const project = await createProject("access", [
    "create table books (id int primary key)", "alter table books enable row level security",
  ]);
  const page = await openAccess(t, project, "books");
  const group = (name) => page.getByRole("radiogroup", { name });
  const warning = page.getByRole("note").filter({ hasText: "Visitors can" });
  assert.equal(await warning.count(), 0);
  await group("Publishable key").getByRole("radio", { name: "Read" }).check();
  await shown(warning.getByText("Visitors can read this table, signed-in users can't."));
  await expectAccessible(page);
  await warning.getByRole("button", { name: "Give signed-in users the same access" }).click();
  await hidden(warning);
  assert.ok(await group("Signed-in users").getByRole("radio", { name: "Read" }).isChecked());
  await group("Publishable key").getByRole("radio", { name: "Write" }).check();
  await shown(warning.getByText("Visitors can change this table, signed-in users can only read it."));
});

test("access without a policy says why callers reach nothing, and offers the policy", async (t) => {
  const project = await createProject("access", [
    "create table books (id int primary key, owner uuid default auth.uid())",
    "alter table books enable row level security",
  ]);
  await expose(project, "books", { publishable: "read", signedIn: "write" });
  const page = await openAccess(t, project, "books", { narrow: true });
  const reason = "nothing, because row-level security is on and no policy allows reading";
  await shown(page.getByText(`Browsers with the publishable key: ${reason}.`));
  await shown(page.getByText(`Signed-in users: ${reason} or writing.`));
  await expectAccessible(page);
  await button(page, "Let everyone read…").click();
  await eventually(async () => /for select using \(true\)/.test(await text(page).inputValue()), "the template");
});

test("template that opens the first query appears in one tab", async (t) => {
  const project = await createProject("access", ["create table books (id int primary key)"]);
  const page = await openAccess(t, project, "books", { narrow: true });
  await button(page, "Everyone reads").click();
  await shown(query(page, 'alter table "books" enable …'));
  assert.equal(await page.getByRole("tablist", { name: "Queries" }).getByRole("tab").count(), 1);
});

test("templates name the column that contains the owner of a row", async (t) => {
  const project = await createProject("access", [
    "create table notes (id uuid primary key, user_id uuid, \"by\" uuid default auth.uid())",
    "create table plain (id int primary key, user_id int)",
  ]);
  // On a phone, the editor is a plain field.
  const page = await openAccess(t, project, "notes", { narrow: true });
  const opens = async (table, template, expected) => {
    await page.goto(accessOf(project, table));
    await button(page, template).click();
    await eventually(async () => (await text(page).inputValue()).includes(expected), `${template} of ${table}`);
  };
  await opens("notes", "Owner reads own rows", 'for select using ("by" = (select auth.uid()))');
  await opens("notes", "Owner writes own rows", 'for insert with check ("by" = (select auth.uid()))');
  await opens("plain", "Owner reads own rows", "-- The table has no uuid column for the id of the row's owner.");
});

test("access of a view names only what the view supports, without templates of policies", async (t) => {
  const project = await createProject("access", [
    "create table books (id int primary key, title text)",
    "create view titles as select distinct title from books",
  ]);
  const page = await openPage(t);
  await page.goto(accessOf(project, "titles"));
  await shown(page.getByText("Servers with the secret key: read."));
  assert.equal(await page.getByRole("region", { name: "Policy templates" }).count(), 0);
});

test("access that changes rows without reading them says that no row is found", async (t) => {
  const project = await createProject("access", [
    "create table books (id int primary key)", "alter table books enable row level security",
    "create policy change on books for update using (true)",
  ]);
  await expose(project, "books", { signedIn: "write" });
  const page = await openAccess(t, project, "books");
  const reason = "change, but find no row to change or delete, because they can't read rows";
  await shown(page.getByText(`Signed-in users: ${reason}.`));
  await shown(button(page, "Let users read own rows…"));
});

test("row-level security is switched on in a dialog, and the page says which step is missing", async (t) => {
  const project = await createProject("access", ["create table books (id int primary key)"]);
  const page = await openAccess(t, project, "books");
  const steps = page.getByRole("list", { name: "Open the table to browsers and users" });
  await shown(steps.getByText("To do: 1. Switch on row-level security"));
  await button(page, "Switch on…").click();
  const dialog = page.getByRole("dialog", { name: "Switch on row-level security" });
  await shown(dialog.getByText('alter table "books" enable row level security;'));
  await expectAccessible(page);
  await dialog.getByRole("button", { name: "Switch on", exact: true }).click();
  await hidden(dialog);
  await shown(steps.getByText("Done: 1. Switch on row-level security"));
  assert.equal(new URL(page.url()).searchParams.get("tab"), "access");
  const sql = "create policy all_rows on books for select using (true)";
  await admin("POST", `/projects/${project.id}/sql`, { sql });
  await page.reload();
  await shown(steps.getByText("Only this step is missing."));
});
