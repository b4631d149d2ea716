// The keys of the SQL editor, which differ on a Mac.

import assert from "node:assert/strict";
import { test } from "node:test";
import { address, cell, text, withBooks } from "./sql-support.mjs";
import { button, openPage, shown } from "./support.mjs";

async function openOn(t, program) {
  const page = await openPage(t);
  await page.addInitScript((program) => {
    Object.defineProperty(Navigator.prototype, "userAgent", { get: () => program });
  }, program);
  await page.goto(address(await withBooks()));
  await page.locator(".sql-monaco .monaco-editor .view-lines").waitFor();
  return page;
}

for (const [system, platform, keys] of [
  ["Linux", "X11; Linux x86_64", ["Ctrl", "M"]],
  ["a Mac", "Macintosh; Intel Mac OS X 10_15_7", ["Ctrl", "⇧", "M"]],
]) {
  const program = `Mozilla/5.0 (${platform}) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36`;

  test(`keys with which Tab leaves the editor on ${system} are shown and work`, async (t) => {
    const page = await openOn(t, program);
    await shown(page.getByText(`${keys.join(" ")} lets Tab leave the editor`, { exact: true }));
    const hint = `${keys.join("-").replace("⇧", "Shift")} lets Tab leave the editor`;
    const field = page.locator(`.sql-monaco [aria-description="${hint}"]`);
    await field.waitFor({ state: "attached" });
    await text(page).focus();
    const hasFocus = () => field.evaluate((field) => field === document.activeElement);
    await page.keyboard.press("Tab");
    assert.ok(await hasFocus(), "Tab writes into the text");
    await page.keyboard.press(keys.join("+").replace("Ctrl", "Control").replace("⇧", "Shift"));
    await page.keyboard.press("Tab");
    assert.ok(!(await hasFocus()), "Tab leaves the editor");
    await button(page, "Account").click();
    await page.getByRole("menuitem", { name: "Keyboard shortcuts" }).click();
    const dialog = page.getByRole("dialog", { name: "Keyboard shortcuts" });
    const listed = dialog.locator("div").filter({ has: page.getByText("Let Tab leave the editor", { exact: true }) });
    assert.deepEqual(await listed.last().locator("kbd").allInnerTexts(), keys);
  });

  test(`both keys that run a statement work on ${system}`, async (t) => {
    const page = await openOn(t, program);
    await button(page, "New query").click();
    await text(page).focus();
    await page.keyboard.type("select 41 + 1 as answer");
    await page.keyboard.press("Control+Enter");
    await shown(cell(page, "42"));
  });
}
