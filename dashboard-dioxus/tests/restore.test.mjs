// Restores on the page of database tools.

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  admin, button, createProject, eventually, expectAccessible, heading, hidden, openPage, refusal, shown, url,
} from "./support.mjs";

const TABLES = [
  "create table notes (id int8 primary key, text text)",
  "insert into notes select n, 'note ' || n from generate_series(1, 3) n",
];

async function backUp(id) {
  const { runId } = await admin("POST", "/backups", { target: `project:${id}` });
  await eventually(async () => (await admin("GET", `/runs/${runId}`)).status === "success", "the backup");
  return (await admin("GET", `/backups?target=project:${id}`)).items[0];
}

const notes = async (id) =>
  (await admin("POST", `/projects/${id}/sql`, { sql: "select count(*) from notes" })).rows[0][0];
const toolsOf = (id) => `${url}/projects/${id}/database`;
const steps = (page) => page.getByRole("region", { name: "Restore", exact: true });

test("backup is restored after a plan and a typed confirmation, and rolled back", async (t) => {
  const { id, name } = await createProject("restored", TABLES);
  await backUp(id);
  await admin("POST", `/projects/${id}/sql`, { sql: "insert into notes values (4, 'newer')" });
  const page = await openPage(t);
  await page.goto(toolsOf(id));
  await page.getByRole("button", { name: new RegExp(`^Actions for ${name}`) }).click();
  await page.getByRole("menuitem", { name: "Restore…" }).click();
  const dialog = page.getByRole("dialog", { name: `Restore a backup of ${name}` });
  await shown(dialog.getByText("nothing changes until you confirm it"));
  await dialog.getByRole("button", { name: "Show plan" }).click();
  await shown(steps(page).getByText(/1 table, 3 rows/));
  await shown(steps(page).getByRole("heading", { name: /^Backup of \d.*, \d+(\.\d)? [KM]?B$/ }));
  await shown(
    steps(page).getByRole("table", { name: "Tables of the archive" }).getByRole("row").filter({ hasText: "notes" }),
  );
  assert.equal(await notes(id), 4, "a plan changes nothing");
  const restore = steps(page).getByRole("button", { name: `Restore ${name}` });
  assert.ok(await restore.isDisabled());
  await steps(page).getByRole("textbox", { name: `Type ${name} to confirm` }).fill(name);
  await restore.click();
  await shown(steps(page).getByRole("heading", { name: "Restored" }));
  // The plan was about the database that is no longer the project's.
  await shown(steps(page).getByText(/1 table, 3 rows \(.*\) replaced everything in /));
  await hidden(steps(page).getByText("which now has"));
  await hidden(steps(page).getByRole("list", { name: "Warnings" }));
  await hidden(steps(page).getByRole("table", { name: "Tables of the archive" }));
  await button(steps(page), "Tables of the archive").click();
  await shown(steps(page).getByRole("table", { name: "Tables of the archive" }).getByText("notes"));
  await shown(steps(page).getByText(/^The database from before the restore is kept as .* until you remove it\./));
  await eventually(async () => (await notes(id)) === 3, "the rows of the backup");

  await steps(page).getByRole("button", { name: "Roll back" }).click();
  const confirm = page.getByRole("dialog", { name: "Roll back" });
  await confirm.getByRole("textbox").fill(name);
  await confirm.getByRole("button", { name: "Roll back" }).click();
  await shown(steps(page).getByRole("heading", { name: "Rolled back" }));
  await shown(steps(page).getByText(/^The restored database is kept as .* until you remove it\./));
  await eventually(async () => (await notes(id)) === 4, "the rows of before");
  const row = page.getByRole("table", { name: "Restores" }).getByRole("row").filter({ hasText: "Rolled back" });
  await row.getByRole("button", { name: "Remove kept database" }).click();
  await page
    .getByRole("dialog", { name: "Remove kept database" })
    .getByRole("button", { name: "Remove kept database" })
    .click();
  await hidden(row.getByRole("button", { name: "Remove kept database" }));
});

test("plan lists the app's tables first, and earlier restores are cards on a phone", async (t) => {
  const { id, name } = await createProject("ordered", TABLES);
  const backup = await backUp(id);
  const restore = await admin("POST", `/backups/${backup.id}/restore`, { projectId: id });
  const page = await openPage(t, { narrow: true });
  await page.route(`**/admin/v1/restores/${restore.id}`, async (route) => {
    const answer = await (await route.fetch()).json();
    answer.plan.tables = [{ schema: "auth", table: "users", rows: 2 }, { schema: "public", table: "notes", rows: 3 }];
    await route.fulfill({ json: answer });
  });
  await page.goto(`${toolsOf(id)}?restore=${restore.id}`);
  await shown(steps(page).getByText(/1 table, 3 rows and 2 users .* replace everything in/));
  const names = steps(page).getByRole("table", { name: "Tables of the archive" }).locator("tbody .name");
  assert.deepEqual(await names.allTextContents(), ["notes"]);
  await button(page, "1 table of end-user login").click();
  assert.deepEqual(await names.allTextContents(), ["notes", "auth.users end-user login"]);
  await shown(page.getByText(`${name}, which now has 1 table.`));
  await shown(page.getByRole("list", { name: "Restores" }).getByRole("listitem").filter({ hasText: "Planned" }));
});

test("uploaded archive gets a plan, and a file that is not an archive is refused", async (t) => {
  const source = await createProject("source", TABLES);
  const target = await createProject("target");
  const backup = await backUp(source.id);
  const { downloadUrl } = await admin("POST", `/backups/${backup.id}/download`, {});
  const archive = Buffer.from(await (await fetch(downloadUrl)).arrayBuffer());
  const page = await openPage(t, { origins: ["http://127.0.0.1"] });
  await page.goto(toolsOf(target.id));
  await shown(button(page, "Restore from a file"));
  await page
    .locator("#restore-file")
    .setInputFiles({ name: "notes.txt", mimeType: "", buffer: Buffer.from("no archive") });
  await shown(page.getByRole("alert"));
  await page.locator("#restore-file").setInputFiles({ name: "source.dump", mimeType: "", buffer: archive });
  await shown(steps(page).getByRole("heading", { name: /^Uploaded archive/ }));
  await shown(steps(page).getByText(/1 table/));
  await steps(page).getByRole("button", { name: "Cancel" }).click();
  await hidden(steps(page));
  assert.equal((await admin("GET", `/restores?projectId=${target.id}`)).items[0].state, "cancelled");
  await shown(page.getByRole("table", { name: "Restores" }).getByText("Cancelled"));
});

test("failed upload of an archive is repeated without another choice of the file", async (t) => {
  const source = await createProject("source", TABLES);
  const target = await createProject("repeated");
  const backup = await backUp(source.id);
  const { downloadUrl } = await admin("POST", `/backups/${backup.id}/download`, {});
  const archive = Buffer.from(await (await fetch(downloadUrl)).arrayBuffer());
  const page = await openPage(t, { origins: ["http://127.0.0.1"] });
  const signed = [];
  page.on("request", (request) => {
    const { pathname } = new URL(request.url());
    if (pathname.includes("/restores/uploads")) signed.push(pathname.replace("/admin/v1/restores/uploads", ""));
  });
  await page.goto(toolsOf(target.id));
  await shown(button(page, "Restore from a file"));
  let failing = true;
  await page.route((to) => to.origin !== new URL(page.url()).origin, async (route) => {
    if (failing) await route.abort("connectionreset");
    else await route.continue();
  });
  await page.locator("#restore-file").setInputFiles({ name: "source.dump", mimeType: "", buffer: archive });
  await shown(page.getByRole("alert").getByText("The connection to the store was lost.", { exact: false }));
  failing = false;
  await button(page, "Try again").click();
  await shown(steps(page).getByRole("heading", { name: /^Uploaded archive/ }));
  assert.equal(signed.length, 2);
  assert.equal(signed[0], "");
  assert.match(signed[1], /^\/[0-9a-f-]{36}\/sign$/, "the same upload was signed again");
});

test("upload of an archive continues on other pages, and can be cancelled", async (t) => {
  const source = await createProject("source", TABLES);
  const target = await createProject("continued");
  const backup = await backUp(source.id);
  const { downloadUrl } = await admin("POST", `/backups/${backup.id}/download`, {});
  const buffer = Buffer.from(await (await fetch(downloadUrl)).arrayBuffer());
  const page = await openPage(t, { origins: ["http://127.0.0.1"] });
  await page.goto(toolsOf(target.id));
  const choose = () =>
    page.locator("#restore-file").setInputFiles({ name: "source.dump", mimeType: "", buffer });
  const asksBeforeClosing = () =>
    page.evaluate(() => !dispatchEvent(new Event("beforeunload", { cancelable: true })));
  await shown(button(page, "Restore from a file"));
  let held = [];
  await page.route((to) => to.origin !== new URL(page.url()).origin, (route) => held.push(route));
  await choose();
  await eventually(() => held.length === 1, "the upload");
  assert.ok(await asksBeforeClosing());
  await button(page, "Cancel upload").click();
  await shown(button(page, "Restore from a file"));
  assert.ok(!(await asksBeforeClosing()));
  assert.equal(await page.getByRole("alert").count(), 0);

  held = [];
  await choose();
  await eventually(() => held.length === 1, "the second upload");
  await page.getByRole("navigation", { name: "Project" }).getByRole("link", { name: "API keys" }).click();
  await shown(heading(page, "API keys"));
  await held[0].continue();
  await shown(page.getByText("The archive was uploaded"));
  await page.getByRole("link", { name: "Open plan" }).click();
  await shown(steps(page).getByRole("heading", { name: /^Uploaded archive/ }));
  assert.equal((await admin("GET", `/restores?projectId=${target.id}`)).items.length, 1);
  assert.ok(!(await asksBeforeClosing()));
});

test("identity of an encrypted file is asked for before it is uploaded", async (t) => {
  const { id } = await createProject("encrypted");
  const page = await openPage(t, { origins: ["http://127.0.0.1"] });
  let uploads = 0;
  page.on("request", (request) => { if (request.url().endsWith("/restores/uploads")) uploads += 1; });
  await page.goto(toolsOf(id));
  await shown(button(page, "Restore from a file"));
  const buffer = Buffer.from("age-encryption.org/v1\n-> X25519 not a real recipient\n");
  const dialog = page.getByRole("dialog", { name: "Upload an encrypted archive" });
  const choose = () => page.locator("#restore-file").setInputFiles({ name: "backup.dump.age", mimeType: "", buffer });
  await choose();
  await shown(dialog.getByText("backup.dump.age"));
  await expectAccessible(page);
  await dialog.getByRole("button", { name: "Cancel" }).click();
  await hidden(dialog);
  assert.equal(uploads, 0, "nothing is uploaded before the dialog is confirmed");
  await choose();
  await dialog.getByRole("textbox", { name: "Identity" }).fill("AGE-SECRET-KEY-1WRONG");
  await dialog.getByRole("button", { name: "Upload" }).click();
  await shown(page.getByRole("alert"));
  assert.equal(uploads, 1);
  // Another identity needs no other upload.
  await button(page, "Try again").click();
  await shown(dialog.getByRole("textbox", { name: "Identity" }));
  assert.equal(await dialog.getByRole("textbox", { name: "Identity" }).inputValue(), "");
  await dialog.getByRole("button", { name: "Upload" }).click();
  await shown(page.getByRole("alert"));
  assert.equal(uploads, 1);
});

test("objects that can't be restored are left out and listed if the owner chooses so", async (t) => {
  const { id, name } = await createProject("lenient", [
    ...TABLES,
    `create function here(x int8) returns int8 immutable language plpgsql as $$ begin
       if current_database() like '%\\_restore\\_%' then raise exception 'not at home'; end if; return x; end $$`,
    "create index at_home on notes (here(id))",
  ]);
  const backup = await backUp(id);
  const restore = await admin("POST", `/backups/${backup.id}/restore`, { projectId: id });
  const page = await openPage(t);
  await page.goto(`${toolsOf(id)}?tab=restore&restore=${restore.id}`);
  const choice = steps(page).getByRole("checkbox", { name: "Leave out objects that can't be restored" });
  assert.equal(await choice.isChecked(), false);
  await choice.check();
  await steps(page).getByRole("textbox", { name: `Type ${name} to confirm` }).fill(name);
  await steps(page).getByRole("button", { name: `Restore ${name}` }).click();
  await shown(steps(page).getByRole("heading", { name: "Restored" }));
  const list = steps(page).getByRole("list", { name: "Left out" });
  await shown(list.getByText("INDEX public.at_home: not at home"));
  assert.equal(await list.getByRole("listitem").count(), 1);
  await expectAccessible(page);
});

test("plan that was restored elsewhere is not cancelled, and the page follows restores of other clients", async (t) => {
  const { id, name } = await createProject("elsewhere", TABLES);
  const backup = await backUp(id);
  const page = await openPage(t);
  await page.goto(`${toolsOf(id)}?tab=restore`);
  await shown(page.getByText("No restores yet.", { exact: false }));
  await shown(page.getByRole("link", { name: "a backup of this project" }));
  const restore = await admin("POST", `/backups/${backup.id}/restore`, { projectId: id });
  const row = page.getByRole("table", { name: "Restores" }).getByRole("row").filter({ hasText: "Backup" });
  await shown(row.getByText("Planned"));
  await page.goto(`${toolsOf(id)}?tab=restore&restore=${restore.id}`);
  const cancel = steps(page).getByRole("button", { name: "Cancel" });
  await shown(cancel);
  // The page does not learn that the restore runs before its request is refused.
  let removals = 0;
  await page.route(`**/admin/v1/restores/${restore.id}?state=planned`, async (route) => {
    removals += 1;
    await admin("POST", `/restores/${restore.id}/confirm`, { confirm: name });
    await eventually(async () => (await admin("GET", `/restores/${restore.id}`)).state === "done", "the restore");
    await route.continue();
  });
  await cancel.click();
  await shown(steps(page).getByRole("heading", { name: "Restored" }));
  await eventually(() => removals === 1, "the request of the page");
  const kept = (await admin("GET", `/restores/${restore.id}`)).previousDatabase;
  assert.match(kept, /_before_/);
  await shown(row.getByText("Restored"));
});

test("the platform's backup offers no restore", async (t) => {
  const { runId } = await admin("POST", "/backups", { target: "platform" });
  await eventually(async () => (await admin("GET", `/runs/${runId}`)).status === "success", "the backup");
  const page = await openPage(t);
  await page.goto(`${url}/backups?target=platform`);
  await page.getByRole("button", { name: /^Actions for Platform/ }).first().click();
  await shown(page.getByRole("menuitem", { name: "Verify" }));
  assert.equal(await page.getByRole("menuitem", { name: "Restore…" }).count(), 0);
});

test("plan of a restore into another project names both projects", async (t) => {
  const source = await createProject("source", TABLES);
  const target = await createProject("other");
  const backup = await backUp(source.id);
  const restore = await admin("POST", `/backups/${backup.id}/restore`, { projectId: target.id });
  const page = await openPage(t);
  await page.goto(`${toolsOf(target.id)}?tab=restore&restore=${restore.id}`);
  const warnings = steps(page).getByRole("list", { name: "Warnings" });
  await shown(warnings.getByText(`The backup is of ${source.name}. It replaces the data of ${target.name}.`));
  await shown(warnings.locator("code", { hasText: source.name }));
});

test("plan of a restore is accessible", async (t) => {
  const { id, name } = await createProject("accessible", TABLES);
  const backup = await backUp(id);
  const restore = await admin("POST", `/backups/${backup.id}/restore`, { projectId: id });
  for (const options of [{}, { theme: "light" }, { narrow: true }]) {
    const page = await openPage(t, options);
    await page.goto(`${toolsOf(id)}?restore=${restore.id}`);
    await shown(heading(page, "Database tools"));
    await shown(steps(page).getByRole("button", { name: `Restore ${name}` }));
    await expectAccessible(page);
  }
});

test("backup of a deleted project is found by its target, and restored into a new project", async (t) => {
  const { id, name } = await createProject("gone", TABLES);
  const backup = await backUp(id);
  await admin("DELETE", `/projects/${id}`, { confirm: name });
  const page = await openPage(t);
  await page.goto(`${url}/backups`);
  await page.getByRole("combobox", { name: "Target" }).selectOption({ label: `${name} (deleted)` });
  await page.getByRole("button", { name: new RegExp(`^Actions for ${name}`) }).click();
  await page.getByRole("menuitem", { name: "Restore…" }).click();
  const dialog = page.getByRole("dialog", { name: `Restore a backup of ${name}` });
  await dialog.getByRole("combobox", { name: "Restore into" }).selectOption({ label: "New project" });
  const renamed = dialog.getByRole("textbox", { name: "Name of the new project" });
  assert.equal(await renamed.inputValue(), `${name} restored`);
  await shown(dialog.getByText("The new project is created before you see the plan"));
  assert.equal(await dialog.getByText("nothing changes until you confirm it").count(), 0);
  // The first attempt creates the project, but its plan fails. The second one uses the project that exists.
  const plans = `**/admin/v1/backups/${backup.id}/restore`;
  await page.route(plans, (route) => route.fulfill(refusal(503, "The store can't be reached.")));
  await button(dialog, "Create project and show plan").click();
  const store = page.getByRole("dialog", { name: "Store your keys" });
  const close = async () => {
    await store.getByRole("checkbox", { name: "I have stored it" }).check();
    await store.getByRole("button", { name: "Done" }).click();
  };
  await close();
  await shown(dialog.getByText("was created, but it is empty: The store can't be reached."));
  await page.unroute(plans);
  await button(dialog, "Show plan").click();
  await shown(steps(page).getByText(/1 table, 3 rows/));
  const { items } = await admin("GET", `/projects?q=${encodeURIComponent(`${name} restored`)}`);
  t.after(() => admin("DELETE", `/projects/${items[0].id}`, { confirm: items[0].name }));
  assert.equal(items.length, 1);
});
