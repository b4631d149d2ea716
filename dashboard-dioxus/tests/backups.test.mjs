import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import {
  admin, button, createProject, eventually, expectAccessible, heading, hidden, openPage, shown, url,
} from "./support.mjs";

async function backUp(target) {
  const { runId } = await admin("POST", "/backups", { target });
  await eventually(async () => (await admin("GET", `/runs/${runId}`)).status === "success", "the backup");
  return (await admin("GET", `/backups?target=${target}`)).items[0];
}

const rowOf = (page, table, name) =>
  page.getByRole("table", { name: table }).getByRole("row").filter({ hasText: name });
const cardOf = (page, list, name) =>
  page.getByRole("list", { name: list }).getByRole("listitem").filter({ hasText: name });
const openMenu = (page, name) => page.getByRole("button", { name: new RegExp(`^Actions for ${name}`) }).click();

async function changeItems(page, path, change) {
  await page.route(path, async (route) => {
    const answer = await (await route.fetch()).json();
    await route.fulfill({ json: { ...answer, items: answer.items.map(change) } });
  });
}

// Changes the server's response about the protection of a database.
const protect = (page, target, fields) =>
  changeItems(page, "**/admin/v1/backups/protection", (item) =>
    item.target === target ? { ...item, ...fields } : item,
  );

// Changes the status of runs in the server's responses. Returns a function that changes it again.
async function pretendStatus(page, status) {
  await page.route(/\/admin\/v1\/runs\/[^/?]+$/, async (route) => {
    const run = await (await route.fetch()).json();
    await route.fulfill({ json: { ...run, status, errorText: status === "fail" ? "The store is full." : null } });
  });
  return (next) => (status = next);
}

const daysAgo = (days) => new Date(Date.now() - days * 86_400_000).toISOString();

test("backup is created, shown with its size, and verified", async (t) => {
  const { id, name } = await createProject("backed up");
  const page = await openPage(t);
  await page.goto(`${url}/backups`);
  await button(page, `Back up ${name} now`).click();
  const row = rowOf(page, "Backups", name);
  await shown(row.getByText("Ready", { exact: true }));
  assert.match(await row.textContent(), /\d (B|KB|MB)/);
  await openMenu(page, name);
  await page.getByRole("menuitem", { name: "Verify" }).click();
  await shown(row.getByText(/^Verified /));
  await shown(rowOf(page, "Protection", name).getByText("just now"));
  await page.goto(`${url}/projects/${id}`);
  await shown(page.getByRole("link", { name: /^Last good backup\s*(just now|.* ago)\s*verified$/ }));
});

test("message about a backup is replaced by its result, and does not cover the bar at the bottom", async (t) => {
  const { name } = await createProject("message");
  for (const narrow of [false, true]) {
    const page = await openPage(t, { narrow });
    const setStatus = await pretendStatus(page, "running");
    await page.goto(`${url}/backups`);
    await button(page, `Back up ${name} now`).click();
    const messages = page.getByRole("region", { name: "Messages" });
    await shown(messages.getByText(`Backing up ${name}`, { exact: true }));
    setStatus("fail");
    await shown(messages.getByText(`Backup of ${name} failed: The store is full.`, { exact: true }));
    assert.equal(await messages.getByRole("status").count(), 1);
    await shown(messages.getByRole("link", { name: "Open run" }));
    await page.keyboard.press("g");
    await page.keyboard.press("a");
    await shown(heading(page, "Audit log"));
    const top = () => page.locator(".foot.sticky").evaluate((bar) => bar.getBoundingClientRect().top);
    const bottom = () => messages.getByRole("status").evaluate((message) => message.getBoundingClientRect().bottom);
    await eventually(async () => (await bottom()) <= (await top()), "the message above the bar");
  }
});

test("result of a backup is announced in a dialog that was opened meanwhile", async (t) => {
  const { name } = await createProject("announced");
  const page = await openPage(t);
  const setStatus = await pretendStatus(page, "running");
  await page.goto(`${url}/backups`);
  await button(page, `Back up ${name} now`).click();
  await shown(page.getByRole("region", { name: "Messages" }).getByText(`Backing up ${name}`, { exact: true }));
  await page.keyboard.press("?");
  const dialog = page.getByRole("dialog", { name: "Keyboard shortcuts" });
  await shown(dialog);
  assert.equal(await dialog.getByText(`Backing up ${name}`).count(), 0);
  setStatus("fail");
  const result = dialog.getByRole("status").getByText(`Backup of ${name} failed: The store is full.`, { exact: true });
  await result.waitFor({ state: "attached" });
});

test("objects are part of a backup if wanted, and can be left out of a restore", async (t) => {
  const { name } = await createProject("with objects");
  const page = await openPage(t);
  await page.goto(`${url}/backups`);
  await page.getByLabel("Include objects").check();
  await button(page, `Back up ${name} now`).click();
  const row = rowOf(page, "Backups", name);
  await shown(row.getByText("+ 0 objects"));
  await openMenu(page, name);
  await page.getByRole("menuitem", { name: "Restore…" }).click();
  const choice = page.getByLabel("Restore the 0 objects in the backup");
  assert.equal(await choice.isChecked(), true);
  await choice.uncheck();
  await button(page, "Show plan").click();
  await shown(page.getByText("The 0 objects of the backup are not restored."));
});

test("dialog of a backup stays open when the window becomes as narrow as a phone", async (t) => {
  const { id, name } = await createProject("narrowed");
  const { runId } = await admin("POST", "/backups", { target: `project:${id}` });
  await eventually(async () => (await admin("GET", `/runs/${runId}`)).status === "success", "the backup");
  const page = await openPage(t);
  await page.goto(`${url}/projects/${id}/database`);
  await openMenu(page, name);
  await page.getByRole("menuitem", { name: "Restore…" }).click();
  await page.getByRole("combobox", { name: "Restore into" }).selectOption("New project");
  const typed = page.getByRole("textbox", { name: "Name of the new project" });
  await typed.fill("typed");
  await page.setViewportSize({ width: 390, height: 844 });
  await page.locator("ul[aria-label=Backups]").waitFor({ state: "attached" });
  assert.equal(await typed.inputValue(), "typed");
  await shown(typed);
});

test("backup can be restored into its own project, although the list of projects lacks it", async (t) => {
  const { id, name } = await createProject("unlisted");
  const { runId } = await admin("POST", "/backups", { target: `project:${id}` });
  await eventually(async () => (await admin("GET", `/runs/${runId}`)).status === "success", "the backup");
  const page = await openPage(t);
  // The first page of a long list of projects.
  await page.route("**/admin/v1/projects?limit=200", (route) =>
    route.fulfill({ json: { items: [], nextCursor: "more" } }),
  );
  await page.goto(`${url}/projects/${id}/database`);
  await openMenu(page, name);
  await page.getByRole("menuitem", { name: "Restore…" }).click();
  const choice = page.getByRole("combobox", { name: "Restore into" });
  await eventually(async () => (await choice.inputValue()) === id, "the backup's project");
  await shown(button(page, "Show plan"));
});

test("database without a job offers to schedule backups", async (t) => {
  const { id, name } = await createProject("unscheduled");
  const page = await openPage(t);
  await page.goto(`${url}/backups`);
  const row = rowOf(page, "Protection", name);
  await shown(row.getByText("None", { exact: true }));
  await row.getByRole("button", { name: "Schedule backups" }).click();
  await shown(heading(page, "New job"));
  await eventually(async () => (await page.getByLabel(/^Target/).inputValue()) === `project:${id}`, "the target");
  assert.equal(await page.getByRole("combobox", { name: "Project", exact: true }).inputValue(), id);
});

test("scheduled database shows its job and the retention policy", async (t) => {
  const { id, name } = await createProject("scheduled");
  const target = `project:${id}`;
  const job = await admin("POST", "/jobs", {
    type: "platform", plugin: "backup", pluginJob: "backup", name: `Nightly ${name}`, scheduleCron: "0 2 * * *",
    params: { target, retention: { keepLast: 7, weekly: 4 } },
  });
  t.after(() => admin("DELETE", `/jobs/${job.id}`));
  await backUp(target);
  const page = await openPage(t);
  await page.goto(`${url}/projects/${id}/database`);
  await shown(rowOf(page, "Protection", name).getByRole("link", { name: `Nightly ${name}` }));
  await shown(rowOf(page, "Backups", name).getByText("Last 7, weekly", { exact: true }));
});

test("old backup is shown as overdue, and a recent one without a job is not", async (t) => {
  const { id, name } = await createProject("overdue");
  const page = await openPage(t);
  const problem = { overdue: true, problem: "No enabled job backs it up.", keptCount: 1, keptBytes: 2048 };
  const lastGood = { id: "0199c1de-4444-7000-8000-000000000000", at: daysAgo(3), verifiedAt: null };
  const protection = { ...problem, lastGood };
  await protect(page, `project:${id}`, protection);
  await page.goto(`${url}/backups`);
  await shown(rowOf(page, "Protection", name).getByText("3 days ago, overdue", { exact: true }));
  await shown(page.getByText(/\d+ overdue/));
  protection.lastGood = { ...lastGood, at: daysAgo(0) };
  await page.reload();
  await shown(rowOf(page, "Protection", name).getByText("just now", { exact: true }));
});

test("pages of backups say that nobody is notified of failures", async (t) => {
  const { id } = await createProject("unheard");
  const page = await openPage(t);
  const item = {
    id: "failuresUnheard", kind: "failuresUnheard", severity: "warning", since: null, count: 1, projectId: null,
    projectName: null, target: null, title: null, runId: null, message: "Nobody hears.", reason: null,
    missing: ["runFailedChannel", "backupFailedChannel"], canSnooze: true,
  };
  await page.route("**/admin/v1/overview", async (route) => {
    const overview = await (await route.fetch()).json();
    await route.fulfill({ json: { ...overview, attention: [item] } });
  });
  for (const path of ["/backups", `/projects/${id}/database`]) {
    await page.goto(`${url}${path}`);
    const note = page.getByRole("note").filter({ hasText: "Failed backups are reported to nobody." });
    await note.getByRole("link", { name: "Notifications" }).click();
    await shown(heading(page, "Notifications"));
  }
});

test("sheet shows the manifest and Back closes it", async (t) => {
  const { id, name } = await createProject("manifest", [
    "create table books (id int primary key)",
    "insert into books values (1), (2)",
  ]);
  const backup = await backUp(`project:${id}`);
  const page = await openPage(t);
  await page.goto(`${url}/backups?target=project:${id}`);
  await rowOf(page, "Backups", name).getByRole("link", { name }).click();
  const sheet = page.getByRole("dialog", { name: `Backup of ${name}` });
  const tables = sheet.getByRole("table", { name: "Tables of the backup" });
  await shown(tables.getByRole("row").filter({ hasText: "books" }).getByText("2"));
  assert.equal(new URL(page.url()).searchParams.get("backup"), backup.id);
  await sheet.getByRole("button", { name: "Copy sha256" }).click();
  const clipboard = () => page.evaluate(() => navigator.clipboard.readText());
  await eventually(async () => (await clipboard()) === backup.sha256, "the digest in the clipboard");
  await sheet.getByRole("button", { name: "Copy pg_restore line" }).click();
  await eventually(async () => (await clipboard()).startsWith("pg_restore "), "the line in the clipboard");
  await button(sheet, "Restore…").click();
  const choice = page.getByRole("dialog", { name: `Restore a backup of ${name}` });
  await shown(choice);
  await page.keyboard.press("Escape");
  await hidden(choice);
  const hasFocus = () => button(sheet, "Restore…").evaluate((element) => element === document.activeElement);
  await eventually(hasFocus, "the focus on the button");
  await page.goBack();
  await hidden(sheet);
  assert.equal(new URL(page.url()).searchParams.get("target"), `project:${id}`);
});

test("run of a backup names its file and links to the backup", async (t) => {
  const { id, name } = await createProject("file");
  const backup = await backUp(`project:${id}`);
  const page = await openPage(t);
  await page.goto(`${url}/runs/${backup.runId}`);
  const file = backup.objectKey.split("/").at(-1);
  await page.getByRole("region", { name: "Result" }).getByRole("link", { name: file }).click();
  await shown(page.getByRole("dialog", { name: `Backup of ${name}` }));
});

test("downloaded dump has the digest of the manifest", async (t) => {
  const { id, name } = await createProject("downloaded");
  const backup = await backUp(`project:${id}`);
  const page = await openPage(t, { origins: [new URL((await admin("GET", "/system")).storagePublicEndpoint).origin] });
  await page.goto(`${url}/backups?target=project:${id}`);
  await openMenu(page, name);
  const download = page.waitForEvent("download");
  await page.getByRole("menuitem", { name: "Download" }).click();
  const hash = createHash("sha256");
  for await (const chunk of await (await download).createReadStream()) hash.update(chunk);
  assert.equal(hash.digest("hex"), backup.sha256);
});

test("backup whose dump is missing is marked and can only be deleted", async (t) => {
  const { id, name } = await createProject("missing");
  await backUp(`project:${id}`);
  const page = await openPage(t);
  await changeItems(page, "**/admin/v1/backups?*", (item) => ({ ...item, state: "missing", keptBy: [] }));
  await page.goto(`${url}/backups?target=project:${id}`);
  await shown(rowOf(page, "Backups", name).getByText("Missing", { exact: true }));
  await openMenu(page, name);
  await shown(page.getByRole("menuitem", { name: "Delete backup" }));
  assert.equal(await page.getByRole("menuitem").count(), 1);
});

test("identity of an encrypted backup is asked for before it is verified", async (t) => {
  const { id, name } = await createProject("sealed");
  const backup = await backUp(`project:${id}`);
  const page = await openPage(t);
  await changeItems(page, "**/admin/v1/backups?*", (item) => ({ ...item, encrypted: true }));
  // The run ends as if the backup were encrypted to another public key.
  const reason =
    "it is encrypted to other recipients than that of the age identity; verify the backup with the right identity";
  const identities = [];
  await page.route("**/admin/v1/backups/*/verify", async (route) => {
    identities.push(route.request().postDataJSON().identity);
    if (identities.length === 1) await route.continue();
    else await route.fulfill({ status: 202, json: { runId: backup.runId } });
  });
  await page.route(`**/admin/v1/runs/${backup.runId}`, async (route) => {
    const run = await (await route.fetch()).json();
    await route.fulfill({ json: { ...run, status: "fail", errorText: reason } });
  });
  await page.goto(`${url}/backups?target=project:${id}`);
  const dialog = page.getByRole("dialog", { name: `Verify a backup of ${name}` });
  const ask = async () => {
    await openMenu(page, name);
    await page.getByRole("menuitem", { name: "Verify" }).click();
    await shown(dialog.getByText("The encrypted backup of", { exact: false }));
  };
  await ask();
  const identity = dialog.getByRole("textbox", { name: "Identity" });
  assert.equal(await identity.inputValue(), "");
  await expectAccessible(page);
  await dialog.getByRole("button", { name: "Cancel" }).click();
  await hidden(dialog);
  assert.deepEqual(identities, [], "nothing is verified before the dialog is confirmed");

  // The server refuses a text that is not an identity, and the dialog keeps the text.
  await ask();
  assert.equal(await identity.inputValue(), "");
  await identity.fill("AGE-SECRET-KEY-1WRONG");
  await dialog.getByRole("button", { name: "Verify" }).click();
  await shown(dialog.getByRole("alert").getByText("it is not the content of a file of age-keygen", { exact: false }));
  assert.equal(await identity.inputValue(), "AGE-SECRET-KEY-1WRONG");
  await expectAccessible(page);

  const other = "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX";
  await identity.fill(` ${other}\n`);
  await dialog.getByRole("button", { name: "Verify" }).click();
  await hidden(dialog);
  assert.deepEqual(identities, ["AGE-SECRET-KEY-1WRONG", other]);
  const messages = page.getByRole("region", { name: "Messages" });
  await shown(messages.getByText(`Verification of a backup of ${name} failed: ${reason}`, { exact: true }));
  assert.ok(!(await page.locator("body").innerText()).includes("AGE-SECRET-KEY"), "no identity stays on the page");
  // It is not known whether the backup is good.
  await shown(rowOf(page, "Backups", name).getByText("Ready", { exact: true }));
});

test("filters are in the address and can be cleared", async (t) => {
  const { id, name } = await createProject("filtered");
  await backUp(`project:${id}`);
  const page = await openPage(t);
  await page.goto(`${url}/backups`);
  await page.getByRole("combobox", { name: "Target" }).selectOption({ label: name });
  const target = () => new URL(page.url()).searchParams.get("target");
  await eventually(() => target() === `project:${id}`, "the target in the address");
  await page.getByRole("combobox", { name: "State" }).selectOption("missing");
  await shown(page.getByRole("heading", { name: "No backup matches" }));
  await button(page, "Clear filters").first().click();
  await eventually(() => new URL(page.url()).search === "", "the address without filters");
  await page.getByRole("searchbox", { name: "Filter backups" }).fill(name);
  await shown(rowOf(page, "Backups", name));
  assert.equal(await page.getByRole("table", { name: "Backups" }).getByRole("row").count(), 2);
});

test("server without backups offers to create and to schedule them", async (t) => {
  const page = await openPage(t);
  await page.route("**/admin/v1/backups?*", (route) => route.fulfill({ json: { items: [], nextCursor: null } }));
  await page.goto(`${url}/backups`);
  await shown(page.getByRole("heading", { level: 2, name: "No backups yet" }));
  const act = button(page, "Back up everything now");
  await shown(act);
  assert.equal(await act.count(), 1);
  await shown(page.locator(".empty").getByRole("button", { name: "Schedule backups" }));
});

test("phone backs up a database from its card", async (t) => {
  const { id, name } = await createProject("phone");
  const page = await openPage(t, { narrow: true });
  await page.goto(`${url}/backups`);
  await cardOf(page, "Protection", name).getByRole("button", { name: `Back up ${name} now` }).tap();
  await shown(cardOf(page, "Backups", name).getByText("Ready"));
  assert.equal((await admin("GET", `/backups?target=project:${id}`)).items.length, 1);
});

test("pages of backups are accessible", async (t) => {
  const { id } = await createProject("accessible");
  await backUp(`project:${id}`);
  for (const narrow of [false, true]) {
    const page = await openPage(t, { narrow });
    // The page shows only this database: a button that the window's edge cuts off would count as too small.
    await page.route("**/admin/v1/backups/protection", async (route) => {
      const { items, ...rest } = await (await route.fetch()).json();
      await route.fulfill({ json: { ...rest, items: items.filter(({ target }) => target === `project:${id}`) } });
    });
    const pages = [[`/backups?target=project:${id}`, "Backups"], [`/projects/${id}/database`, "Database tools"]];
    for (const [path, title] of pages) {
      await page.goto(`${url}${path}`);
      await shown(heading(page, title));
      await shown(page.getByRole(narrow ? "list" : "table", { name: "Backups" }));
      await expectAccessible(page);
    }
  }
});
