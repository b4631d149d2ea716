import assert from "node:assert/strict";
import { test } from "node:test";
import {
  admin, button, createProject, eventually, expectAccessible, expectNamesContainTexts, heading, hidden, openPage,
  shown, url,
} from "./support.mjs";

test("landmarks and navigations have accessible names", async (t) => {
  const { id, name } = await createProject("landmarks");
  const page = await openPage(t);
  await page.goto(`${url}/projects/${id}`);
  await shown(heading(page, name));
  await shown(page.getByRole("banner"));
  await shown(page.getByRole("navigation", { name: "Breadcrumb" }));
  await shown(page.getByRole("note", { name: "Environment: development" }));
  await shown(button(page, `Project: ${name}`));
  await expectNamesContainTexts(page);
  const project = page.getByRole("navigation", { name: "Project" });
  assert.equal(await project.getByRole("link", { name: "Overview" }).getAttribute("aria-current"), "page");
  const platform = page.getByRole("navigation", { name: "Platform" });
  assert.equal(await platform.getByRole("link", { name: "Overview" }).getAttribute("aria-current"), null);
  await project.getByRole("link", { name: "API keys" }).click();
  await shown(heading(page, "API keys"));
  assert.equal(await page.title(), `API keys · ${name} · AtlasHub`);
});

test("the palette finds pages by a few letters", async (t) => {
  const { id } = await createProject("palette");
  const page = await openPage(t);
  await page.goto(`${url}/projects/${id}`);
  await shown(page.getByRole("navigation", { name: "Project" }));
  await page.keyboard.press("Control+k");
  const palette = page.getByRole("dialog", { name: "Command palette" });
  await shown(palette);
  const search = palette.getByRole("combobox", { name: "Search or run a command" });
  for (const [words, name] of [
    ["restore", /Restore this project/], ["policy", /^Tables/], ["rate limit", /^Settings/],
  ]) {
    await search.fill(words);
    await shown(palette.getByRole("option", { name }));
  }
  await search.fill("");
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

test("Enter in the switcher waits for the list of projects", async (t) => {
  const first = await createProject("first");
  const second = await createProject("second");
  const page = await openPage(t);
  await page.goto(`${url}/projects/${first.id}/keys`);
  await shown(button(page, `Project: ${first.name}`));
  let release;
  const released = new Promise((resolve) => { release = resolve; });
  await page.route("**/projects?limit=200", async (route) => {
    await released;
    await route.continue();
  });
  await button(page, `Project: ${first.name}`).click();
  await page.getByRole("combobox", { name: "Find a project" }).fill(second.name);
  await page.keyboard.press("Enter");
  await shown(page.getByRole("dialog", { name: "Switch project" }).getByText("Loading…"));
  release();
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
  await page.keyboard.press("g");
  await page.keyboard.press("n");
  await shown(heading(page, "Notifications"));
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
  // The link of the current page also closes the menu.
  await button(page, "Open menu").click();
  await menu.getByRole("navigation", { name: "Project" }).getByRole("link", { name: "API keys" }).click();
  await hidden(menu);
});

test("signing out leads to the sign-in", async (t) => {
  const page = await openPage(t);
  await page.goto(`${url}/projects`);
  await button(page, "Account").click();
  await page.getByRole("menuitem", { name: "Sign out" }).click();
  await shown(heading(page, "Sign in"));
  await eventually(async () => new URL(page.url()).pathname === "/sign-in");
});

test("signing out opens the address that the server names", async (t) => {
  const page = await openPage(t);
  const session = {
    actor: "ann@example.com",
    expiresAt: null,
    method: "access",
    signOutUrl: "/cdn-cgi/access/logout",
    id: null,
  };
  await page.route("**/admin/v1/session", (route) =>
    route.request().method() === "DELETE" ? route.fulfill({ status: 204 }) : route.fulfill({ json: session }),
  );
  await page.route("**/cdn-cgi/access/logout", (route) =>
    route.fulfill({ contentType: "text/html", body: "Signed out" }),
  );
  await page.goto(`${url}/projects`);
  await button(page, "Account").click();
  await page.getByRole("menuitem", { name: "Sign out" }).click();
  await page.waitForURL("**/cdn-cgi/access/logout");
});

test("a page has its heading and title when its address is opened directly", async (t) => {
  const { id, name } = await createProject("addresses");
  const page = await openPage(t);
  for (const [path, title, project] of [
    ["/", "Overview"],
    ["/projects", "Projects"],
    ["/projects/new", "New project"],
    [`/projects/${id}`, name],
    [`/projects/${id}/tables`, "Tables", name],
    [`/projects/${id}/sql`, "SQL", name],
    [`/projects/${id}/keys`, "API keys", name],
    [`/projects/${id}/settings`, "Project settings", name],
    ["/runs", "Runs"],
    ["/ui", "Components"],
    ["/no/such/page", "Nothing here"],
  ]) {
    await page.goto(url + path);
    await shown(heading(page, title));
    const parts = project ? [title, project] : [title];
    await eventually(async () => (await page.title()) === [...parts, "AtlasHub"].join(" · "), `the title of ${path}`);
    const last = page.getByRole("navigation", { name: "Breadcrumb" }).getByRole("listitem").last();
    await eventually(
      async () => title.includes(await last.innerText()) || (await last.innerText()) === "Settings",
      `the breadcrumb of ${path}`,
    );
  }
});

test("the breadcrumb leads back", async (t) => {
  const { id, name } = await createProject("crumbs", ["create table books (id bigint primary key)"]);
  const page = await openPage(t);
  await page.goto(`${url}/projects/${id}/tables?table=books`);
  await shown(heading(page, "books"));
  const crumbs = page.getByRole("navigation", { name: "Breadcrumb" });
  await eventually(
    async () => (await crumbs.getByRole("listitem").allInnerTexts()).join(">") === `Projects>${name}>Tables>books`,
  );
  await crumbs.getByRole("link", { name: "Tables" }).click();
  await shown(heading(page, "Tables"));
  await crumbs.getByRole("link", { name, exact: true }).click();
  await shown(heading(page, name));
});

test("the skip link moves the focus to the page", async (t) => {
  const page = await openPage(t);
  await page.goto(`${url}/projects`);
  await shown(heading(page, "Projects"));
  await page.keyboard.press("Tab");
  await page.waitForFunction(() => document.activeElement?.textContent === "Skip to content");
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => document.activeElement?.id === "main-content");
  assert.equal(new URL(page.url()).hash, "");
});

test("overlays close with Esc and return the focus", async (t) => {
  const page = await openPage(t);
  await page.goto(`${url}/projects`);
  await shown(heading(page, "Projects"));
  for (const [opener, name] of [["Project: none", "Switch project"], ["Search or run a command", "Command palette"]]) {
    await button(page, opener).click();
    await shown(page.getByRole("dialog", { name }));
    await page.keyboard.press("Escape");
    await hidden(page.getByRole("dialog", { name }));
    await page.waitForFunction((opener) => document.activeElement?.getAttribute("aria-label") === opener, opener);
  }
  await button(page, "Theme").click();
  await shown(page.getByRole("menu", { name: "Theme" }));
  await page.keyboard.press("ArrowDown");
  await page.waitForFunction(() => document.activeElement?.textContent === "Light");
  await page.keyboard.press("Escape");
  await hidden(page.getByRole("menu", { name: "Theme" }));
  await page.waitForFunction(() => document.activeElement?.getAttribute("aria-label") === "Theme");
});

test("running work can be seen and cancelled", async (t) => {
  const page = await openPage(t);
  const run = {
    id: "0199c1de-0000-7000-8000-000000000001",
    jobName: "Nightly backup",
    plugin: "backup",
    pluginJob: "backup",
    status: "running",
    trigger: "schedule",
    attempt: 1,
    maxAttempts: 1,
    createdAt: new Date().toISOString(),
    startedAt: new Date().toISOString(),
    progress: { done: 64, total: 100, message: "Copying rows" },
  };
  const verification = { ...run, id: run.id.replace(/1$/, "2"), jobName: "Weekly check", pluginJob: "verify" };
  let cancelled = false;
  await page.route("**/admin/v1/runs?*status=running*", (route) =>
    route.fulfill({ json: { items: cancelled ? [] : [run, verification], nextCursor: null } }),
  );
  await page.route("**/admin/v1/runs/*/cancel", (route) => {
    cancelled = true;
    return route.fulfill({ status: 202, json: run });
  });
  await page.goto(`${url}/projects`);
  await button(page, "Running work: 2").click();
  const dialog = page.getByRole("dialog", { name: "Running work" });
  const list = dialog.getByRole("list", { name: "Running work" });
  assert.equal(await list.getByRole("progressbar", { name: "Nightly backup" }).getAttribute("aria-valuenow"), "64");
  assert.equal(await list.getByRole("link", { name: "Nightly backup" }).getAttribute("href"), `/runs/${run.id}`);
  await expectAccessible(page);
  await list.getByRole("button", { name: "Cancel Nightly backup" }).click();
  const question = page.getByRole("dialog", { name: "Cancel run" });
  await shown(question.getByText("The backup in progress is discarded. Completed backups stay."));
  await button(question, "Cancel").click();
  await hidden(question);
  await list.getByRole("button", { name: "Cancel Weekly check" }).click();
  await shown(question.getByText("The backup that is being verified keeps its state.", { exact: false }));
  await button(question, "Cancel").click();
  assert.ok(!cancelled);
  await list.getByRole("button", { name: "Cancel Nightly backup" }).click();
  await button(question, "Cancel run").click();
  await shown(dialog.getByText("Nothing is running."));
});

test("lists are used with the keyboard", async (t) => {
  const { name } = await createProject("list keys");
  const page = await openPage(t);
  await page.goto(`${url}/projects`);
  await shown(page.getByRole("row").filter({ hasText: name }));
  await page.keyboard.press("/");
  await page.waitForFunction(() => document.activeElement?.getAttribute("aria-label") === "Filter projects");
  await page.keyboard.insertText(name);
  await eventually(async () => (await page.getByRole("row").count()) === 2, "the filtered list");
  await page.getByRole("searchbox", { name: "Filter projects" }).blur();
  await page.keyboard.press("j");
  await page.waitForFunction((name) => document.activeElement?.textContent === name, name);
  await page.keyboard.press("Enter");
  await shown(heading(page, name));
});

test("single-key shortcuts can be switched off", async (t) => {
  const page = await openPage(t);
  await page.goto(`${url}/projects`);
  await shown(heading(page, "Projects"));
  await page.keyboard.press("?");
  const dialog = page.getByRole("dialog", { name: "Keyboard shortcuts" });
  for (const part of [
    dialog.getByRole("heading", { name: "Keyboard shortcuts" }),
    dialog.getByRole("button", { name: "Close" }),
  ]) {
    const { y, height } = await part.boundingBox();
    assert.ok(y >= 0 && y + height <= 900, "title and button are in view");
  }
  await dialog.getByRole("switch", { name: "Single-key shortcuts" }).uncheck();
  await page.keyboard.press("Escape");
  await hidden(dialog);
  await page.keyboard.press("c");
  await page.keyboard.press("Control+k");
  await shown(page.getByRole("dialog", { name: "Command palette" }));
  assert.equal(new URL(page.url()).pathname, "/projects");
});

test("Back restores the scroll position of the page", async (t) => {
  const page = await openPage(t);
  await page.goto(`${url}/ui`);
  await shown(heading(page, "Components"));
  const top = () => page.evaluate(() => document.getElementById("main-content")?.scrollTop);
  await page.evaluate(() => (document.getElementById("main-content").scrollTop = 400));
  await eventually(async () => (await top()) === 400);
  await page.getByRole("navigation", { name: "Platform" }).getByRole("link", { name: "Projects" }).click();
  await shown(heading(page, "Projects"));
  await page.goBack();
  await shown(heading(page, "Components"));
  await eventually(async () => (await top()) === 400, "the position");
});

test("a narrow window keeps the names of links", async (t) => {
  const page = await openPage(t);
  await page.setViewportSize({ width: 900, height: 700 });
  await page.goto(`${url}/projects`);
  await shown(heading(page, "Projects"));
  const link = page.getByRole("navigation", { name: "Platform" }).getByRole("link", { name: "Overview" });
  await shown(link);
  await expectAccessible(page);
});

test("pages on a phone have controls of 40 pixels and do not scroll sideways", async (t) => {
  const { id, name } = await createProject("phone");
  const page = await openPage(t, { narrow: true });
  for (const path of [
    "/",
    "/projects",
    `/projects/${id}`,
    `/projects/${id}/keys`,
    `/projects/${id}/settings`,
    "/runs",
    "/ui",
    "/nothing",
  ]) {
    await page.setViewportSize({ width: 390, height: 844 });
    await page.goto(url + path);
    await shown(page.getByRole("heading", { level: 1 }));
    await shown(button(page, "Open menu"));
    const small = await page.evaluate(() => {
      const controls = [
        ...document.querySelectorAll("button, .btn, .nav a, select, input:not([type=checkbox], [type=radio])"),
      ];
      const boxes = controls
        .filter((control) => control.checkVisibility({ visibilityProperty: true }))
        .map((control) => {
          const box = (control.closest(".input, .q") ?? control).getBoundingClientRect();
          return { text: control.outerHTML.slice(0, 120), width: box.width, height: box.height };
        });
      return boxes.filter(({ width, height }) => width > 1 && height > 1 && height < 39.5);
    });
    assert.deepEqual(small, [], path);
    await page.setViewportSize({ width: 320, height: 700 });
    const excess = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert.ok(excess <= 0, `${path} is ${excess} px too wide`);
    const main = await page.evaluate(() => {
      const main = document.getElementById("main-content");
      return main.scrollWidth - main.clientWidth;
    });
    assert.ok(main <= 0, `the content of ${path} is ${main} px too wide`);
  }
  assert.ok(name);
});

test("a phone signs out from its menu", async (t) => {
  const page = await openPage(t, { narrow: true });
  await page.goto(`${url}/projects`);
  await button(page, "Open menu").click();
  const menu = page.getByRole("dialog", { name: "Menu" });
  await menu.getByRole("radio", { name: "Light" }).check();
  assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), "light");
  await menu.getByRole("button", { name: "Sign out" }).click();
  await shown(heading(page, "Sign in"));
});
