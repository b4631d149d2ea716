// The layout of pages: nothing is squeezed, covered or beyond the edge of the screen.

import assert from "node:assert/strict";
import { test } from "node:test";
import { admin, button, createProject, eventually, openPage, shown, url } from "./support.mjs";

const width = (page) => page.viewportSize().width;

test("menu of an object with a long name is on the screen of a phone", async (t) => {
  const { id } = await createProject("phone objects");
  const path = `${"a very long file name of a picture of the autumn catalogue ".repeat(3)}1.jpg`;
  const signed = await admin("POST", `/projects/${id}/buckets/uploads/signed-upload`, {
    path, contentType: "image/jpeg", size: 1,
  });
  await fetch(signed.uploadUrl, { method: "PUT", body: "a", headers: signed.headers });
  const page = await openPage(t, { narrow: true });
  await page.goto(`${url}/projects/${id}/storage/uploads`);
  const menu = button(page, `Actions for ${path}`);
  await shown(menu);
  const { x, width: menuWidth } = await menu.boundingBox();
  assert.ok(x + menuWidth <= width(page), `the menu ends at ${x + menuWidth}`);
  const excess = await page.locator("main").evaluate((main) => main.scrollWidth - main.clientWidth);
  assert.ok(excess <= 0, `the page is ${excess} px too wide`);
});

test("field of the command palette keeps its height above a long list", async (t) => {
  const { id } = await createProject("palette");
  const page = await openPage(t);
  // The window is too low for the whole list.
  await page.setViewportSize({ width: 1440, height: 400 });
  await page.goto(`${url}/projects/${id}`);
  await button(page, "Search or run a command").click();
  const list = page.getByRole("listbox", { name: "Commands" });
  await eventually(() => list.evaluate((list) => list.scrollHeight > list.clientHeight), "a list that scrolls");
  const field = page.getByRole("combobox", { name: "Search or run a command" }).locator("..");
  assert.equal((await field.boundingBox()).height, 48);
});

test("filters of backups and of the audit log fill the width of a phone", async (t) => {
  const { runId } = await admin("POST", "/backups", { target: "platform" });
  await eventually(async () => (await admin("GET", `/runs/${runId}`)).status === "success", "the backup");
  const page = await openPage(t, { narrow: true });
  await page.goto(`${url}/backups`);
  const state = page.getByRole("combobox", { name: "State" });
  await shown(state);
  await shown(page.getByRole("combobox", { name: "Target" }));
  // Free space at the end of each line.
  const gaps = await state.locator("xpath=../..").evaluate((toolbar) => {
    const end = toolbar.getBoundingClientRect().right - parseFloat(getComputedStyle(toolbar).paddingRight);
    const boxes = [...toolbar.children].map((child) => child.getBoundingClientRect());
    const lines = Map.groupBy(boxes, ({ top }) => Math.round(top));
    return [...lines.values()].map((line) => Math.round(end - Math.max(...line.map(({ right }) => right))));
  });
  assert.ok(gaps.every((gap) => gap === 0), `${gaps}`);

  await page.goto(`${url}/audit`);
  const search = page.getByRole("searchbox", { name: "Filter audit entries" });
  await shown(search);
  const { x, width: searchWidth } = await search.locator("..").boundingBox();
  assert.equal(x + searchWidth, width(page) - 16);
});

test("link of the shown section of the settings is on the screen of a phone", async (t) => {
  const page = await openPage(t, { narrow: true });
  const isShown = (name) => async () => {
    const link = page.getByRole("navigation", { name: "Settings sections" }).getByRole("link", { name });
    const { x, width: linkWidth } = await link.boundingBox();
    return x >= 0 && x + linkWidth <= width(page);
  };
  await page.goto(`${url}/settings?section=appearance`);
  await shown(page.getByRole("heading", { level: 2, name: "Appearance" }));
  await eventually(isShown("Appearance"), "the last section");
  await page.goto(`${url}/settings`);
  await shown(page.getByRole("heading", { level: 2, name: "General" }));
  await eventually(isShown("General"), "the first section");
});

test("cell with the menu of a policy hides the text under it with the color of the page", async (t) => {
  const { id } = await createProject("policies", [
    "create table books (id int primary key)",
    `create policy many on books using (${Array.from({ length: 9 }, (_, n) => `id <> ${n}`).join(" and ")})`,
  ]);
  for (const theme of ["light", "dark"]) {
    const page = await openPage(t, { narrow: true, theme });
    await page.goto(`${url}/projects/${id}/tables?table=books&tab=access`);
    const menu = button(page, "Actions for many");
    await shown(menu);
    const color = (locator) => locator.evaluate((element) => getComputedStyle(element).backgroundColor);
    assert.equal(await color(page.getByRole("cell").filter({ has: menu })), await color(page.locator("main")));
    const { x, width: menuWidth } = await menu.boundingBox();
    assert.ok(x + menuWidth <= width(page), `the menu ends at ${x + menuWidth}`);
  }
});

test("only a button that leads to a deletion is red", async (t) => {
  const { id } = await createProject("red", ["create table books (id int primary key)"]);
  const page = await openPage(t);
  const color = (name) => button(page, name).evaluate((element) => getComputedStyle(element).backgroundColor);
  await page.goto(`${url}/projects/${id}/tables?table=books&tab=structure`);
  await shown(button(page, "Drop table"));
  assert.equal(await color("Drop table"), await color("Rename"), "both write SQL");
  await page.goto(`${url}/projects/${id}/settings`);
  await shown(button(page, "Delete project"));
  assert.equal(await color("Delete project"), "rgb(240, 100, 91)");
});

test("button that allows an origin is as wide as its text", async (t) => {
  const { id } = await createProject("no origins");
  const page = await openPage(t);
  await page.goto(`${url}/projects/${id}/settings`);
  const allow = button(page, "Allow http://localhost:3000");
  await shown(allow);
  const origins = await page.getByRole("textbox", { name: "Allowed origins" }).boundingBox();
  const { x, width: buttonWidth } = await allow.boundingBox();
  assert.equal(x, origins.x);
  assert.ok(buttonWidth < origins.width / 2, `the button is ${buttonWidth} px wide`);
});
