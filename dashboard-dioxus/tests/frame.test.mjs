import assert from "node:assert/strict";
import { test } from "node:test";
import { button, createProject, eventually, expectAccessible, heading, hidden, openPage, shown, url } from "./support.mjs";

test("landmarks and navigation have their names", async (t) => {
  const { id, name } = await createProject("landmarks");
  const page = await openPage(t);
  await page.goto(`${url}/projects/${id}`);
  await shown(heading(page, name));
  await shown(page.getByRole("banner"));
  await shown(page.getByRole("navigation", { name: "Breadcrumb" }));
  await shown(page.getByRole("note", { name: "Environment: development" }));
  await shown(button(page, `Project: ${name}`));
  const project = page.getByRole("navigation", { name: "Project" });
  assert.equal(await project.getByRole("link", { name: "Overview" }).getAttribute("aria-current"), "page");
  const platform = page.getByRole("navigation", { name: "Platform" });
  assert.equal(await platform.getByRole("link", { name: "Overview" }).getAttribute("aria-current"), null);
  await project.getByRole("link", { name: "API keys" }).click();
  await shown(heading(page, "API keys"));
  assert.equal(await page.title(), `API keys · ${name} · AtlasHub`);
});

test("the palette opens pages by a few letters", async (t) => {
  const { id } = await createProject("palette");
  const page = await openPage(t);
  await page.goto(`${url}/projects/${id}`);
  await shown(page.getByRole("navigation", { name: "Project" }));
  await page.keyboard.press("Control+k");
  const palette = page.getByRole("dialog", { name: "Command palette" });
  await shown(palette);
  await page.keyboard.insertText("api k");
  await shown(palette.getByRole("listbox", { name: "Commands" }).getByRole("option", { name: /API keys/ }));
  await expectAccessible(page);
  await page.keyboard.press("Enter");
  await shown(heading(page, "API keys"));
  await hidden(palette);
});

test("the switcher opens another project on the same page", async (t) => {
  const first = await createProject("first");
  const second = await createProject("second");
  const page = await openPage(t);
  await page.goto(`${url}/projects/${first.id}/keys`);
  await button(page, `Project: ${first.name}`).click();
  await shown(page.getByRole("dialog", { name: "Switch project" }));
  await page.getByRole("combobox", { name: "Find a project" }).fill(second.name);
  await page.keyboard.press("Enter");
  await shown(button(page, `Project: ${second.name}`));
  assert.equal(new URL(page.url()).pathname, `/projects/${second.id}/keys`);
});

test("shortcuts open pages, but not while typing", async (t) => {
  const page = await openPage(t);
  await page.goto(`${url}/projects`);
  await shown(heading(page, "Projects"));
  await page.keyboard.press("c");
  await shown(heading(page, "New project"));
  await page.getByRole("textbox", { name: "Name" }).fill("");
  await page.keyboard.type("gp?");
  assert.equal(await page.getByRole("textbox", { name: "Name" }).inputValue(), "gp?");
  await page.getByRole("textbox", { name: "Name" }).blur();
  await page.keyboard.press("g");
  await page.keyboard.press("p");
  await shown(heading(page, "Projects"));
  await page.keyboard.press("?");
  await shown(page.getByRole("dialog", { name: "Keyboard shortcuts" }));
  await expectAccessible(page);
  await page.keyboard.press("Escape");
  await hidden(page.getByRole("dialog", { name: "Keyboard shortcuts" }));
});

test("the theme is dark at first and survives a reload", async (t) => {
  const page = await openPage(t);
  await page.emulateMedia({ colorScheme: "light" });
  await page.goto(`${url}/projects`);
  assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), "dark");
  await button(page, "Theme").click();
  await page.getByRole("menuitemradio", { name: "Light" }).click();
  await page.reload();
  assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), "light");
});

test("an ended session asks to sign in and keeps the page", async (t) => {
  const { id } = await createProject("ended");
  for (const answer of [
    { status: 302, headers: { location: "https://access.example.com/" } },
    { status: 401, json: { error: { code: "unauthorized", message: "Sign in.", requestId: "1" } } },
    { status: 200, contentType: "text/html", body: "<html>Sign in</html>" },
  ]) {
    const page = await openPage(t);
    await page.goto(`${url}/projects/${id}/settings`);
    await shown(heading(page, "Project settings"));
    await page.route("**/admin/v1/**", (route) => route.fulfill(answer));
    await page.getByRole("textbox", { name: "Name" }).fill("renamed");
    await button(page, "Save settings").click();
    const dialog = page.getByRole("dialog", { name: "Your sign-in has ended" });
    await shown(dialog.getByRole("button", { name: "Sign in again" }));
    assert.equal(await page.getByRole("textbox", { name: "Name", includeHidden: true }).inputValue(), "renamed");
  }
});

test("a lost and a restored connection are shown", async (t) => {
  const page = await openPage(t);
  await page.goto(`${url}/projects`);
  await shown(heading(page, "Projects"));
  await page.route("**/healthz", (route) => route.abort());
  const bar = page.getByRole("status").filter({ hasText: "Not connected. Showing what was there at" });
  await shown(bar);
  await page.unroute("**/healthz");
  await button(page, "Try again").click();
  await hidden(bar);
});

test("an upgraded server offers a reload", async (t) => {
  const page = await openPage(t);
  let version = "1.0.0";
  await page.route("**/healthz", (route) => route.fulfill({ json: { status: "ok" }, headers: { "x-atlashub-version": version } }));
  await page.goto(`${url}/projects`);
  await shown(heading(page, "Projects"));
  await page.waitForResponse("**/healthz");
  version = "1.0.1";
  await shown(page.getByRole("status").filter({ hasText: "AtlasHub was upgraded" }));
  await shown(button(page, "Reload"));
});

test("a phone has a menu with both navigations", async (t) => {
  const { id, name } = await createProject("menu");
  const page = await openPage(t, { narrow: true });
  await page.goto(`${url}/projects/${id}`);
  await shown(heading(page, name));
  await button(page, "Open menu").click();
  const menu = page.getByRole("dialog", { name: "Menu" });
  await shown(menu.getByRole("navigation", { name: "Platform" }));
  await expectAccessible(page);
  await menu.getByRole("navigation", { name: "Project" }).getByRole("link", { name: "API keys" }).click();
  await shown(heading(page, "API keys"));
  await hidden(menu);
});

test("a module that does not load shows an error page", async (t) => {
  const page = await openPage(t);
  await page.route("**/*.wasm", (route) => route.abort());
  await page.goto(`${url}/projects`);
  await shown(page.getByRole("heading", { name: "The dashboard could not start" }));
  await shown(page.getByRole("link", { name: "The API" }));
  page.problems.length = 0;
});

test("signing out opens the sign-in page", async (t) => {
  const page = await openPage(t);
  await page.goto(`${url}/projects`);
  await button(page, "Account").click();
  await page.getByRole("menuitem", { name: "Sign out" }).click();
  await shown(heading(page, "Sign in"));
  await eventually(async () => new URL(page.url()).pathname === "/sign-in");
});
