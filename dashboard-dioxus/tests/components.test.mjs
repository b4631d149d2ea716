import assert from "node:assert/strict";
import { test } from "node:test";
import { lowContrast } from "./contrast.mjs";
import { button, createProject, expectAccessible, heading, hidden, openPage, shown, url } from "./support.mjs";

test("every component is accessible in both themes and widths", async (t) => {
  for (const narrow of [false, true]) {
    const page = await openPage(t, { narrow });
    await page.goto(`${url}/ui`);
    await shown(heading(page, "Components"));
    await expectAccessible(page);
  }
});

test("the listed kinds of components have samples", async (t) => {
  const page = await openPage(t);
  await page.goto(`${url}/ui`);
  await shown(heading(page, "Components"));
  const names = await page.getByRole("heading", { level: 2 }).allInnerTexts();
  for (const kind of [
    "Button",
    "Input",
    "Select",
    "combobox",
    "Checkbox",
    "radio",
    "switch",
    "Tabs",
    "Dialog",
    "sheet",
    "Menu",
    "popover",
    "tooltip",
    "Toast",
    "badges",
    "Cards",
    "Data grid",
    "List",
    "Code block",
    "skeleton",
    "Progress",
    "Empty",
    "error",
    "Command palette",
  ]) {
    assert.ok(
      names.some((name) => name.includes(kind)),
      kind,
    );
  }
});

test("texts, shapes and controls have enough contrast on the backgrounds that they are used on", async (t) => {
  const { id } = await createProject("contrast", [
    "create table books (id bigint primary key, title text)",
    "insert into books values (1, null)",
  ]);
  const page = await openPage(t);
  await page.emulateMedia({ reducedMotion: "reduce" });
  for (const path of [
    "/ui",
    "/",
    "/projects",
    `/projects/${id}`,
    `/projects/${id}/tables?table=books`,
    `/projects/${id}/keys`,
    `/projects/${id}/settings`,
    "/runs",
  ]) {
    await page.goto(url + path);
    await shown(page.getByRole("heading", { level: 1 }));
    await page.waitForLoadState("networkidle");
    for (const theme of ["dark", "light"]) assert.deepEqual(await lowContrast(page, theme), [], `${theme} ${path}`);
  }
});

test("a contrast that is too low is found", async (t) => {
  const page = await openPage(t);
  await page.goto(`${url}/ui`);
  await shown(heading(page, "Components"));
  await page.evaluate(() => document.documentElement.style.setProperty("--faint", "#444a55"));
  assert.ok((await lowContrast(page, "dark")).length > 0);
});

test("a dialog that closes returns the focus to the button that opened it", async (t) => {
  const page = await openPage(t);
  await page.goto(`${url}/ui`);
  await button(page, "Open dialog").click();
  await shown(page.getByRole("dialog", { name: "Sample dialog" }));
  await page.keyboard.press("Escape");
  await hidden(page.getByRole("dialog", { name: "Sample dialog" }));
  await page.waitForFunction(() => document.activeElement?.textContent === "Open dialog");
});

test("a click outside of a dialog closes it, and one inside does not", async (t) => {
  const page = await openPage(t);
  await page.goto(`${url}/ui`);
  await button(page, "Open dialog").click();
  const dialog = page.getByRole("dialog", { name: "Sample dialog" });
  await dialog.getByRole("heading", { name: "Sample dialog" }).click();
  await shown(dialog);
  await page.mouse.click(5, 400);
  await hidden(dialog);
});

test("a dialog that shows something only once stays open until its button is clicked", async (t) => {
  const page = await openPage(t);
  await page.goto(`${url}/ui`);
  await button(page, "Open dialog that stays").click();
  const dialog = page.getByRole("dialog", { name: "Sample shown once" });
  await shown(dialog);
  await page.keyboard.press("Escape");
  await page.keyboard.press("Escape");
  await page.mouse.click(5, 400);
  await shown(dialog);
  await dialog.getByRole("button", { name: "Done" }).click();
  await hidden(dialog);
});

test("a confirmation needs the typed name and has the focus on Cancel", async (t) => {
  const page = await openPage(t);
  await page.goto(`${url}/ui`);
  await button(page, "Open confirmation").click();
  const dialog = page.getByRole("dialog", { name: "Delete sample" });
  await page.waitForFunction(() => document.activeElement?.textContent === "Cancel");
  const act = dialog.getByRole("button", { name: "Delete sample" });
  assert.ok(await act.isDisabled());
  await dialog.getByRole("textbox", { name: "Type sample to confirm" }).fill("sample");
  assert.ok(await act.isEnabled());
  await expectAccessible(page);
  await dialog.getByRole("button", { name: "Cancel" }).click();
  await hidden(dialog);
  await page.waitForFunction(() => document.activeElement?.textContent === "Open confirmation");
});

test("a sheet closes with Esc, wherever the focus is", async (t) => {
  const page = await openPage(t);
  await page.goto(`${url}/ui`);
  await button(page, "Open sheet").click();
  const sheet = page.getByRole("dialog", { name: "Sample sheet" });
  await shown(sheet);
  await page.locator("#main-content").focus();
  await page.keyboard.press("Escape");
  await hidden(sheet);
});

test("Esc closes the menu in a sheet, and then the sheet", async (t) => {
  const page = await openPage(t);
  await page.goto(`${url}/ui`);
  await button(page, "Open sheet").click();
  const sheet = page.getByRole("dialog", { name: "Sample sheet" });
  await sheet.getByRole("button", { name: "Actions for the sheet" }).click();
  await page.waitForFunction(() => document.activeElement?.textContent === "Refresh");
  await page.keyboard.press("Escape");
  await hidden(sheet.getByRole("menuitem", { name: "Refresh" }));
  await page.waitForFunction(() => document.activeElement?.getAttribute("aria-label") === "Actions for the sheet");
  await shown(sheet);
  await page.keyboard.press("Escape");
  await hidden(sheet);
  await page.waitForFunction(() => document.activeElement?.textContent === "Open sheet");
});

test("a message about a failure can be dismissed, and is not shown on other pages", async (t) => {
  const page = await openPage(t);
  await page.goto(`${url}/ui`);
  await button(page, "Show failure").click();
  const message = page.getByRole("region", { name: "Messages" }).getByRole("status");
  await shown(message);
  await message.getByRole("button", { name: "Dismiss" }).click();
  await hidden(message);
  await button(page, "Show failure").click();
  await shown(message);
  await page.getByRole("navigation", { name: "Platform" }).getByRole("link", { name: "Jobs" }).click();
  await hidden(message);
});

test("equal messages are shown once, with their number", async (t) => {
  const page = await openPage(t);
  await page.goto(`${url}/ui`);
  const messages = page.getByRole("region", { name: "Messages" }).getByRole("status");
  for (const text of ["The server did not respond.", "2 times", "3 times"]) {
    await button(page, "Show failure").click();
    await shown(messages.filter({ hasText: text }));
    assert.equal(await messages.count(), 1);
  }
});
