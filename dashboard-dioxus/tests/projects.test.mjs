import assert from "node:assert/strict";
import { test } from "node:test";
import { admin, button, createProject, eventually, expectAccessible, heading, hidden, openPage, shown, url } from "./support.mjs";

test("a new project shows its keys once", async (t) => {
  const page = await openPage(t);
  await page.goto(`${url}/projects/new`);
  const name = `shown once ${Date.now()}`;
  await page.getByRole("textbox", { name: "Name" }).fill(name);
  await button(page, "Create project").click();
  const dialog = page.getByRole("dialog", { name: "Store your keys" });
  await shown(dialog);
  const secret = await dialog.getByRole("textbox", { name: "Secret key" }).inputValue();
  assert.match(secret, /^ah_sec_/);
  await page.keyboard.press("Escape");
  await page.keyboard.press("Escape");
  await shown(dialog);
  assert.ok(await button(page, "Done").isDisabled());
  await button(page, "Copy .env lines").click();
  await shown(page.getByRole("status").filter({ hasText: "Copied" }));
  const copied = await page.evaluate(() => navigator.clipboard.readText());
  assert.match(copied, /ATLASHUB_API_URL=http[^\n]+\nATLASHUB_PUBLISHABLE_KEY=ah_pub_[^\n]+\nATLASHUB_SECRET_KEY=ah_sec_/);
  await dialog.getByRole("checkbox", { name: "I have stored it" }).check();
  await button(page, "Done").click();
  await shown(heading(page, name));
  assert.equal(await page.title(), `${name} · AtlasHub`);
  await page.reload();
  await shown(heading(page, name));
  assert.ok(!(await page.content()).includes(secret));
  const id = new URL(page.url()).pathname.split("/")[2];
  await admin("DELETE", `/projects/${id}`, { confirm: name });
});

test("HTML in a project name is shown as text", async (t) => {
  const { id, name } = await createProject("<img src=x onerror=alert(1)>");
  const page = await openPage(t);
  page.on("dialog", () => assert.fail("a script ran"));
  await page.goto(`${url}/projects`);
  await page.getByRole("link", { name, exact: true }).click();
  await shown(heading(page, name));
  assert.equal(new URL(page.url()).pathname, `/projects/${id}`);
});

test("deleting a project requires its name", async (t) => {
  const { id, name } = await createProject("to delete");
  const page = await openPage(t);
  await page.goto(`${url}/projects/${id}/settings`);
  await shown(heading(page, "Project settings"));
  await button(page, "Delete project").click();
  const dialog = page.getByRole("dialog", { name: "Delete project" });
  await shown(dialog);
  const confirm = dialog.getByRole("button", { name: "Delete project" });
  assert.ok(await confirm.isDisabled());
  await dialog.getByRole("textbox", { name: `Type ${name} to confirm` }).fill("something else");
  assert.ok(await confirm.isDisabled());
  await dialog.getByRole("switch", { name: "Make a final backup first" }).uncheck();
  await dialog.getByRole("textbox", { name: `Type ${name} to confirm` }).fill(name);
  await confirm.click();
  await shown(heading(page, "Projects"));
  await hidden(page.getByRole("link", { name, exact: true }));
});

test("projects are cards on a phone", async (t) => {
  const { name } = await createProject("phone");
  const page = await openPage(t, { narrow: true });
  await page.goto(`${url}/projects`);
  await shown(page.getByRole("list", { name: "Projects" }).getByRole("listitem").filter({ hasText: name }));
  await expectAccessible(page);
});

test("pages are accessible and have their addresses", async (t) => {
  const { id, name } = await createProject("cold");
  const page = await openPage(t);
  for (const [path, title] of [
    ["/projects", "Projects"],
    ["/projects/new", "New project"],
    [`/projects/${id}`, name],
    [`/projects/${id}/settings`, "Project settings"],
    ["/nowhere/at/all", "Nothing here"],
  ]) {
    await page.goto(`${url}${path}`);
    await shown(heading(page, title));
    await eventually(async () => (await page.title()).includes("AtlasHub"));
    await expectAccessible(page);
  }
});
