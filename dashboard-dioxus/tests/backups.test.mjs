import assert from "node:assert/strict";
import { test } from "node:test";
import { admin, button, createProject, eventually, expectAccessible, heading, hidden, openPage, shown, url } from "./support.mjs";

async function backUp(target) {
  const { runId } = await admin("POST", "/backups", { target });
  await eventually(async () => (await admin("GET", `/runs/${runId}`)).status === "success", "the backup");
  return (await admin("GET", `/backups?target=${target}`)).items[0];
}

const rowsOf = (page, table, name) => page.getByRole("table", { name: table }).getByRole("row").filter({ hasText: name });

test("backup is made, shown with its size, and verified", async (t) => {
  const { name } = await createProject("backed up");
  const page = await openPage(t);
  await page.goto(`${url}/backups`);
  await button(page, `Back up ${name} now`).click();
  const row = rowsOf(page, "Backups", name);
  await shown(row.getByText("Ready", { exact: true }));
  assert.match(await row.textContent(), /\d (B|KB|MB)/);
  await row.getByRole("button", { name: new RegExp(`^Actions for ${name}`) }).click();
  await page.getByRole("menuitem", { name: "Verify" }).click();
  await shown(row.getByText(/^Verified /));
});

test("database without a job offers to schedule backups", async (t) => {
  const { id, name } = await createProject("unscheduled");
  const page = await openPage(t);
  await page.goto(`${url}/backups`);
  const row = rowsOf(page, "Protection", name);
  await shown(row.getByText("None", { exact: true }));
  await row.getByRole("link", { name: "Schedule backups" }).click();
  await shown(heading(page, "New job"));
  await eventually(async () => (await page.getByLabel(/^Target/).inputValue()) === `project:${id}`, "the target");
});

test("sheet shows the manifest and Back closes it", async (t) => {
  const { id, name } = await createProject("manifest", ["create table books (id int primary key)", "insert into books values (1), (2)"]);
  const backup = await backUp(`project:${id}`);
  const page = await openPage(t);
  await page.goto(`${url}/backups?target=project:${id}`);
  await rowsOf(page, "Backups", name).getByRole("link", { name }).click();
  const sheet = page.getByRole("dialog", { name: `Backup of ${name}` });
  await shown(sheet.getByRole("table", { name: "Tables of the backup" }).getByRole("row").filter({ hasText: "books" }).getByText("2"));
  assert.equal(new URL(page.url()).searchParams.get("backup"), backup.id);
  await sheet.getByRole("button", { name: "Copy sha256" }).click();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), backup.sha256);
  await page.goBack();
  await hidden(sheet);
});

test("only good backup is deleted after its target is typed", async (t) => {
  const { id, name } = await createProject("last backup");
  await backUp(`project:${id}`);
  const page = await openPage(t);
  await page.goto(`${url}/projects/${id}/database`);
  await shown(heading(page, "Database tools"));
  await page.getByRole("button", { name: new RegExp(`^Actions for ${name}`) }).click();
  await page.getByRole("menuitem", { name: "Delete backup" }).click();
  const dialog = page.getByRole("dialog", { name: "Delete backup" });
  await shown(dialog.getByText(/only good backup/));
  const act = dialog.getByRole("button", { name: "Delete backup" });
  assert.ok(await act.isDisabled());
  await dialog.getByRole("textbox", { name: `Type ${name} to confirm` }).fill(name);
  await act.click();
  await shown(page.getByRole("heading", { name: "No backups yet" }));
});

test("pages of backups are accessible", async (t) => {
  const { id } = await createProject("accessible backups");
  await backUp(`project:${id}`);
  for (const narrow of [false, true]) {
    const page = await openPage(t, { narrow });
    for (const [path, title] of [["/backups", "Backups"], [`/projects/${id}/database`, "Database tools"]]) {
      await page.goto(`${url}${path}`);
      await shown(heading(page, title));
      await shown(page.getByRole(narrow ? "list" : "table", { name: "Backups" }));
      await expectAccessible(page);
    }
  }
});
