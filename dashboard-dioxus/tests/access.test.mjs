// The access of a table: the sentences, the warning about signed-in users, policies and their templates.

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

test("access that visitors lose by signing in causes a warning, and one button corrects it", async (t) => {
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

test("parts of the tab have the order of the steps", async (t) => {
  const project = await createProject("access", [
    "create table books (id int primary key)", "create policy reads on books for select using (true)",
  ]);
  const page = await openAccess(t, project, "books");
  await shown(page.getByRole("heading", { level: 2, name: "Give access" }));
  assert.deepEqual(await page.locator(".access h2").allInnerTexts(), [
    "Open the table to browsers and users", "Policies", "Write a policy", "Give access",
  ]);
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

test("policies are created, changed and deleted in dialogs that show their SQL", async (t) => {
  const project = await createProject("access", [
    "create table notes (id int primary key, user_id uuid)", "alter table notes enable row level security",
  ]);
  await expose(project, "notes", { signedIn: "write" });
  const page = await openAccess(t, project, "notes");
  const dialog = (name) => page.getByRole("dialog", { name });
  const field = (name) => page.getByRole("dialog").getByRole("textbox", { name, exact: true });
  const shows = (sql) => shown(page.getByRole("dialog").getByRole("region", { name: "SQL" }).getByText(sql));
  const act = async (policy, name) => {
    await button(page, `Actions for ${policy}`).click();
    await page.getByRole("menuitem", { name }).click();
    await shown(dialog(name));
  };
  const saved = async () => (await admin("GET", `/projects/${project.id}/table?name=notes`)).policies;

  const newPolicyHasFocus = () => eventually(
    () => button(page, "New policy").evaluate((element) => element === document.activeElement), "the focus");

  await button(page, "New policy").click();
  assert.ok(await button(page, "Create policy").isDisabled());
  await shows("-- Fill in the required fields.");
  await field("Name").fill('own "rows"');
  await dialog("New policy").getByRole("checkbox", { name: "Signed-in users" }).check();
  const everyone = dialog("New policy").getByRole("checkbox", { name: "Everyone" });
  await eventually(async () => !(await everyone.isChecked()), "the other role alone");
  await field("USING").fill("nobody = 1");
  await shows('create policy "own ""rows""" on "notes"');
  await button(page, "Create policy").click();
  await shown(dialog("New policy").getByRole("alert").getByText('column "nobody" does not exist'));
  await expectAccessible(page);
  await field("USING").fill("user_id = (");
  await button(page, "Create policy").click();
  await shown(dialog("New policy").getByRole("alert").getByText(/^syntax error at .+\. Nothing was run\.$/));
  await field("USING").fill("user_id = (select auth.uid())");
  await button(page, "Create policy").click();
  await hidden(dialog("New policy"));
  await shown(page.getByText("Signed-in users: read, rows limited by 1 policy."));
  await shown(page.getByRole("table", { name: "Policies" }).getByRole("cell", { name: "Signed-in users" }));
  assert.deepEqual((await saved()).map(({ command, roles }) => [command, roles]),
    [["select", [`proj_${project.id}_user`]]]);

  // The command can't be altered.
  await act('own "rows"', "Edit policy");
  assert.equal(await field("Name").inputValue(), 'own "rows"');
  await shows("-- Nothing has changed yet.");
  await field("Name").fill("own rows");
  await dialog("Edit policy").getByRole("combobox", { name: "Command" }).selectOption("All");
  await shows('drop policy "own ""rows""" on "notes";');
  await shown(dialog("Edit policy").getByRole("note").getByText("which removes its comment if it has one"));
  await button(page, "Save policy").click();
  await hidden(dialog("Edit policy"));
  // The menu that opened the dialog is gone with the old name.
  await newPolicyHasFocus();
  await shown(page.getByText("Signed-in users: read, insert, change and delete, rows limited by 1 policy."));
  await act("own rows", "Edit policy");
  await field("WITH CHECK").fill("id > 0");
  await shows('alter policy "own rows" on "notes" with check (id > 0);');
  await button(page, "Save policy").click();
  await hidden(dialog("Edit policy"));
  assert.deepEqual((await saved()).map(({ name, command, check }) => [name, command, check]),
    [["own rows", "all", "(id > 0)"]]);

  await act("own rows", "Delete policy");
  await shown(dialog("Delete policy").getByText(
    "Deletes the policy own rows. Without another policy, signed-in users can no longer read, insert, change or " +
      "delete rows of this table.",
  ));
  await shows('drop policy "own rows" on "notes";');
  await expectAccessible(page);
  await button(page, "Delete policy").click();
  await hidden(dialog("Delete policy"));
  await newPolicyHasFocus();
  await hidden(page.getByRole("region", { name: "Policies" }));
  assert.deepEqual(await saved(), []);
});

test("buttons of the form of a policy fill the footer on a phone", async (t) => {
  const project = await createProject("access", ["create table notes (id int primary key)"]);
  const page = await openAccess(t, project, "notes", { narrow: true });
  await button(page, "New policy").click();
  const dialog = page.getByRole("dialog", { name: "New policy" });
  const box = (locator) => locator.boundingBox();
  const name = await box(dialog.getByRole("textbox", { name: "Name", exact: true }));
  const [cancel, create] = [await box(button(dialog, "Cancel")), await box(button(dialog, "Create policy"))];
  assert.equal(cancel.x, name.x);
  assert.equal(create.x + create.width, name.x + name.width);
});

test("a policy that was typed but not saved is kept until it is cancelled", async (t) => {
  const project = await createProject("access", ["create table books (id int primary key)"]);
  const page = await openAccess(t, project, "books", { narrow: true });
  const name = page.getByRole("dialog", { name: "New policy" }).getByRole("textbox", { name: "Name", exact: true });
  await button(page, "New policy").click();
  await shown(page.getByText("Row-level security is off, so policies have no effect until you switch it on."));
  await name.fill("typed");
  await page.keyboard.press("Escape");
  await hidden(name);
  await button(page, "New policy").click();
  assert.equal(await name.inputValue(), "typed");
  await button(page, "Cancel").click();
  await button(page, "New policy").click();
  assert.equal(await name.inputValue(), "");
});

test("a template fills the form of a policy", async (t) => {
  const project = await createProject("access", [
    "create table notes (id int primary key, author_id uuid)", "alter table notes enable row level security",
  ]);
  await expose(project, "notes", { signedIn: "write" });
  const page = await openAccess(t, project, "notes");
  await button(page, "New policy").click();
  const dialog = page.getByRole("dialog", { name: "New policy" });
  const template = dialog.getByRole("combobox", { name: "Template" });
  await template.selectOption("Owner changes own rows");
  const condition = '"author_id" = (select auth.uid())';
  const value = (name) => dialog.getByRole("textbox", { name, exact: true }).inputValue();
  await eventually(async () => (await value("WITH CHECK")) === condition, "the condition");
  assert.deepEqual([await value("Name"), await value("USING")], ["owner_updates", condition]);
  await template.selectOption("None");
  await eventually(async () => (await value("Name")) === "", "the empty form");
  await template.selectOption("Owner reads own rows");
  await shown(dialog.getByRole("region", { name: "SQL" }).getByText(`using (${condition})`));
  await button(page, "Create policy").click();
  await shown(page.getByText("Signed-in users: read, rows limited by 1 policy."));
});

test("template for owners says that the table has no column for them", async (t) => {
  const project = await createProject("access", [
    "create table owned (id int primary key, owner_id uuid)", "create table plain (id int primary key)",
  ]);
  const page = await openAccess(t, project, "plain");
  const dialog = page.getByRole("dialog", { name: "New policy" });
  await button(page, "New policy").click();
  const note = dialog.getByText(/^The table has no uuid column for the id of the row's owner\./);
  await shown(note);
  const template = dialog.getByRole("combobox", { name: "Template" });
  assert.equal(await template.getAttribute("aria-describedby"), await note.getAttribute("id"));
  await page.goto(accessOf(project, "owned"));
  await button(page, "New policy").click();
  await shown(template);
  assert.equal(await note.count(), 0);
});

test("form of a policy without a role shows the error at the roles", async (t) => {
  const project = await createProject("access", ["create table books (id int primary key)"]);
  const page = await openAccess(t, project, "books");
  await button(page, "New policy").click();
  const roles = page.getByRole("dialog", { name: "New policy" }).getByRole("group", { name: "Roles" });
  assert.equal(await roles.getAttribute("aria-invalid"), null);
  await roles.getByRole("checkbox", { name: "Everyone" }).uncheck();
  const error = roles.getByRole("alert");
  await shown(error.getByText("Choose at least one role."));
  assert.equal(await roles.getAttribute("aria-describedby"), await error.getAttribute("id"));
  await expectAccessible(page);
});

test("the form of a policy warns before it opens a table for writing or takes access away", async (t) => {
  const project = await createProject("access", [
    "create table books (id int primary key)", "alter table books enable row level security",
    "create policy reads on books for select using (true)",
  ]);
  await expose(project, "books", { publishable: "write", signedIn: "write" });
  const page = await openAccess(t, project, "books");
  const dialog = page.getByRole("dialog");
  const role = (name) => dialog.getByRole("checkbox", { name });
  await button(page, "New policy").click();
  await dialog.getByRole("combobox", { name: "Command" }).selectOption("All");
  await dialog.getByRole("textbox", { name: "USING", exact: true }).fill("true");
  const opens = dialog.getByRole("note").filter({
    hasText: "The condition is true: anyone with the publishable key can then insert, change or delete any row",
  });
  await shown(opens);
  await expectAccessible(page);
  await role("Signed-in users").check();
  await hidden(opens);
  await button(page, "Cancel").click();
  await hidden(dialog);

  await button(page, "Actions for reads").click();
  await page.getByRole("menuitem", { name: "Edit policy" }).click();
  const loses = dialog.getByRole("note").filter({
    hasText: "browsers with the publishable key can no longer read rows of this table",
  });
  assert.equal(await loses.count(), 0);
  await role("Signed-in users").check();
  await shown(loses);
});

test("a policy that has changed since its dialog was opened is not overwritten", async (t) => {
  const project = await createProject("access", [
    "create table books (id int primary key)", "alter table books enable row level security",
    "create policy few on books for select using (id > 1)",
  ]);
  const page = await openAccess(t, project, "books");
  const dialog = page.getByRole("dialog");
  const open = async (act) => {
    await button(page, "Actions for few").click();
    await page.getByRole("menuitem", { name: act }).click();
    await shown(dialog);
  };
  const alter = (condition) =>
    admin("POST", `/projects/${project.id}/sql`, { sql: `alter policy few on books using (${condition})` });
  const using = async () => (await admin("GET", `/projects/${project.id}/table?name=books`)).policies[0]?.using;
  const changed = dialog.getByRole("alert").getByText("The policy has changed meanwhile");

  await open("Edit policy");
  await dialog.getByRole("textbox", { name: "USING", exact: true }).fill("id > 2");
  await alter("id > 3");
  await button(page, "Save policy").click();
  await shown(changed);
  assert.equal(await using(), "(id > 3)");
  await button(page, "Cancel").click();
  await hidden(dialog);
  await open("Delete policy");
  await alter("id > 4");
  await button(page, "Delete policy").click();
  await shown(changed);
  assert.equal(await using(), "(id > 4)");
});

test("a dialog stays open until Postgres has run its statement", async (t) => {
  const project = await createProject("access", [
    "create table books (id int primary key)", "alter table books enable row level security",
    "create policy few on books for select using (id > 1)",
  ]);
  const page = await openAccess(t, project, "books");
  const dialog = page.getByRole("dialog", { name: "Delete policy" });
  let release;
  const held = new Promise((resolve) => (release = resolve));
  t.after(() => release());
  await page.route(`**/admin/v1/projects/${project.id}/sql`, async (route) => {
    await held;
    await route.continue();
  });
  await button(page, "Actions for few").click();
  await page.getByRole("menuitem", { name: "Delete policy" }).click();
  await button(page, "Delete policy").click();
  await eventually(() => button(page, "Cancel").isDisabled(), "the request");
  await page.keyboard.press("Escape");
  assert.ok(await dialog.isVisible());
  release();
  await shown(page.getByText("Policy deleted"));
  await hidden(dialog);
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

test("less access for signed-in users needs no confirmation", async (t) => {
  const project = await createProject("access", ["create table notes (id int primary key)"]);
  await expose(project, "notes", { signedIn: "write" });
  const page = await openAccess(t, project, "notes");
  await page.getByRole("radiogroup", { name: "Signed-in users" }).getByRole("radio", { name: "Read" }).check();
  await button(page, "Save access").click();
  await shown(page.getByText("Access saved"));
  assert.equal((await admin("GET", `/projects/${project.id}/table?name=notes`)).exposure.signedIn, "read");
});
