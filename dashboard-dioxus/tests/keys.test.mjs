import assert from "node:assert/strict";
import { test } from "node:test";
import { button, createProject, eventually, expectAccessible, heading, hidden, openPage, shown, url } from "./support.mjs";

test("a key is created, shown once, and revoked", async (t) => {
  const { id } = await createProject("keys");
  const page = await openPage(t);
  await page.goto(`${url}/projects/${id}/keys`);
  await shown(heading(page, "API keys"));
  await button(page, "New key").click();
  const form = page.getByRole("dialog", { name: "New key" });
  await form.getByRole("textbox", { name: "Name" }).fill("web");
  await form.getByRole("radio", { name: /Secret/ }).check();
  await form.getByRole("button", { name: "Create key" }).click();
  const store = page.getByRole("dialog", { name: "Store your key" });
  const key = await store.getByRole("textbox", { name: "Secret key" }).inputValue();
  assert.match(key, /^ah_sec_/);
  assert.ok(await button(page, "Done").isDisabled());
  await store.getByRole("checkbox", { name: "I have stored it" }).check();
  await button(page, "Done").click();
  const row = page.getByRole("table", { name: "API keys" }).getByRole("row").filter({ hasText: "web" });
  await shown(row.getByText("Active"));
  assert.ok(!(await page.content()).includes(key));

  await button(page, "Actions for web").click();
  await page.getByRole("menuitem", { name: "Revoke key" }).click();
  const revoke = page.getByRole("dialog", { name: "Revoke key" });
  await revoke.getByRole("button", { name: "Revoke key" }).click();
  await hidden(revoke);
  await hidden(row);
  await page.getByRole("switch", { name: "Show ended keys" }).check();
  await shown(row.getByText("Revoked"));
});

test("menus work with the keyboard and return the focus", async (t) => {
  const { id } = await createProject("keyboard");
  const page = await openPage(t);
  await page.goto(`${url}/projects/${id}/keys`);
  const actions = page.getByRole("button", { name: "Actions for default" }).first();
  await actions.focus();
  await page.keyboard.press("Enter");
  await eventually(() => page.evaluate(() => document.activeElement?.textContent === "Rotate key"));
  await page.keyboard.press("ArrowDown");
  await eventually(() => page.evaluate(() => document.activeElement?.textContent === "Revoke key"));
  await page.keyboard.press("Escape");
  await eventually(() => actions.evaluate((element) => element === document.activeElement));
});

test("the page is accessible", async (t) => {
  const { id } = await createProject("accessible keys");
  for (const narrow of [false, true]) {
    const page = await openPage(t, { narrow });
    await page.goto(`${url}/projects/${id}/keys`);
    await shown(page.getByRole(narrow ? "list" : "table", { name: "API keys" }));
    await expectAccessible(page);
  }
});
