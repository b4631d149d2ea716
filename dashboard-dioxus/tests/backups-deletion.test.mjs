// The dialog that deletes a backup.

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  admin, button, createProject, eventually, heading, hidden, openPage, refusal, shown, url,
} from "./support.mjs";

async function backUp(target) {
  const { runId } = await admin("POST", "/backups", { target });
  await eventually(async () => (await admin("GET", `/runs/${runId}`)).status === "success", "the backup");
}

const openMenu = (page, name) => page.getByRole("button", { name: new RegExp(`^Actions for ${name}`) }).click();

test("dialog says why the other backups could not be counted", async (t) => {
  const { id, name } = await createProject("uncounted");
  await backUp(`project:${id}`);
  const page = await openPage(t);
  const refused = refusal(503, "Postgres can't be reached.");
  await page.route(/\/admin\/v1\/backups\?target=[^&]+&limit=200$/, (route) => route.fulfill(refused));
  await page.goto(`${url}/projects/${id}/database`);
  await openMenu(page, name);
  await page.getByRole("menuitem", { name: "Delete backup" }).click();
  const dialog = page.getByRole("dialog", { name: "Delete backup" });
  await shown(dialog.getByRole("alert").filter({ hasText: "Postgres can't be reached." }));
});

test("dialog says “At least” if there are more backups than it has read", async (t) => {
  const { id, name } = await createProject("many backups");
  await backUp(`project:${id}`);
  await backUp(`project:${id}`);
  const page = await openPage(t);
  await page.route(/\/admin\/v1\/backups\?target=[^&]+&limit=200$/, async (route) => {
    const first = await (await route.fetch()).json();
    await route.fulfill({ json: { ...first, nextCursor: "more" } });
  });
  await page.goto(`${url}/projects/${id}/database`);
  await page.getByRole("button", { name: new RegExp(`^Actions for ${name}`) }).first().click();
  await page.getByRole("menuitem", { name: "Delete backup" }).click();
  const dialog = page.getByRole("dialog", { name: "Delete backup" });
  await shown(dialog.getByText(`At least 1 good backup of ${name} remains.`));
});

test("only good backup is deleted after its target is typed", async (t) => {
  const { id, name } = await createProject("last backup");
  await backUp(`project:${id}`);
  const page = await openPage(t);
  await page.goto(`${url}/projects/${id}/database`);
  await shown(heading(page, "Database tools"));
  await openMenu(page, name);
  await page.getByRole("menuitem", { name: "Delete backup" }).click();
  const dialog = page.getByRole("dialog", { name: "Delete backup" });
  await shown(dialog.getByText(/only good backup/));
  const act = dialog.getByRole("button", { name: "Delete backup" });
  assert.ok(await act.isDisabled());
  await dialog.getByRole("textbox", { name: `Type ${name} to confirm` }).fill(name);
  await act.click();
  await shown(page.getByRole("heading", { name: "No backups yet" }));
});

test("after a deletion in a sheet, the focus does not return to the button of an earlier dialog", async (t) => {
  const { id, name } = await createProject("focus");
  await backUp(`project:${id}`);
  const page = await openPage(t);
  await page.goto(`${url}/backups?target=project:${id}`);
  const link = page.getByRole("table", { name: "Backups" }).getByRole("link", { name });
  await shown(link);
  const earlier = button(page, "Search or run a command");
  await earlier.click();
  await shown(page.getByRole("dialog", { name: "Command palette" }));
  await page.keyboard.press("Escape");
  await eventually(() => earlier.evaluate((button) => button === document.activeElement), "the returned focus");
  // The sheet opens while no element has the focus, as after Back.
  await earlier.evaluate((button) => button.blur());
  await link.evaluate((link) => link.click());
  const sheet = page.getByRole("dialog", { name: `Backup of ${name}` });
  await sheet.getByRole("button", { name: "Delete backup" }).click();
  const dialog = page.getByRole("dialog", { name: "Delete backup" });
  await dialog.getByRole("textbox", { name: `Type ${name} to confirm` }).fill(name);
  await dialog.getByRole("button", { name: "Delete backup" }).click();
  await hidden(sheet);
  const focused = () => page.evaluate(() => document.activeElement.id);
  await eventually(async () => (await focused()) === "main-content", "the focus in the page");
});
