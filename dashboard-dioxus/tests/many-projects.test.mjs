// Lists and choices of projects on a server with more projects than one page of a list contains.

import assert from "node:assert/strict";
import { test } from "node:test";
import { admin, button, createProject, eventually, heading, openPage, shown, url } from "./support.mjs";

// Splits the list of projects into two pages. The second one contains only the project `last`.
async function splitProjects(page, last) {
  await page.route(/\/admin\/v1\/projects\?limit=200(&|$)/, async (route) => {
    const address = new URL(route.request().url());
    if (address.searchParams.has("q")) return route.continue();
    const isSecond = address.searchParams.get("cursor") === "second/page";
    address.searchParams.delete("cursor");
    const response = await route.fetch({ url: address.href });
    const { items } = await response.json();
    const shown = items.filter(({ id }) => (id === last) === isSecond);
    await route.fulfill({ response, json: { items: shown, nextCursor: isSecond ? null : "second/page" } });
  });
}

const isAt = (page, path) => page.waitForURL(({ pathname, search }) => pathname + search === path);

async function withTwoPages(t) {
  const open = await createProject("open", ["create table books (id int8 primary key)"]);
  const last = await createProject("last");
  const page = await openPage(t);
  await splitProjects(page, last.id);
  return { open, last, page };
}

test("switcher finds a project of a later page", async (t) => {
  const { open, last, page } = await withTwoPages(t);
  await page.goto(`${url}/projects/${open.id}/keys`);
  await button(page, `Project: ${open.name}`).click();
  await page.getByRole("combobox", { name: "Find a project" }).fill(last.name);
  await page.keyboard.press("Enter");
  await isAt(page, `/projects/${last.id}/keys`);
});

test("palette finds a project and a table of later pages", async (t) => {
  const { open, last, page } = await withTwoPages(t);
  await page.route(/\/tables\?limit=200(&|$)/, (route) => {
    const isSearch = new URL(route.request().url()).searchParams.has("q");
    return isSearch ? route.continue() : route.fulfill({ json: { items: [], nextCursor: "more" } });
  });
  await page.goto(`${url}/projects/${open.id}/keys`);
  await shown(heading(page, "API keys"));
  await page.keyboard.press("Control+k");
  const field = page.getByRole("combobox", { name: "Search or run a command" });
  const commands = page.getByRole("listbox", { name: "Commands" });
  await field.fill(last.name);
  await shown(commands.getByRole("option", { name: last.name }));
  await field.fill("books");
  await commands.getByRole("option", { name: "books", exact: true }).click();
  await isAt(page, `/projects/${open.id}/tables?table=books`);
});

test("form of a job and filters offer a project of a later page", async (t) => {
  const { last, page } = await withTwoPages(t);
  await page.goto(`${url}/jobs/new`);
  const project = page.getByRole("combobox", { name: "Project", exact: true });
  await project.selectOption({ label: last.name });
  assert.equal(await project.inputValue(), last.id);
  for (const path of ["/audit", "/runs"]) {
    await page.goto(url + path);
    await project.selectOption({ label: last.name });
    await isAt(page, `${path}?project=${last.id}`);
  }
});

test("job of a project of a later page shows the project's name", async (t) => {
  const { last, page } = await withTwoPages(t);
  await admin("POST", "/jobs", {
    name: "Of the last", projectId: last.id, scheduleCron: "0 3 1 1 *", type: "platform", plugin: "backup",
    pluginJob: "backup", params: { target: `project:${last.id}` },
  });
  await page.goto(`${url}/jobs?project=${last.id}`);
  await shown(page.getByRole("row").filter({ hasText: "Of the last" }).getByText(last.name, { exact: true }));
});

test("backup can be restored into a project of a later page", async (t) => {
  const { open, last, page } = await withTwoPages(t);
  const { runId } = await admin("POST", "/backups", { target: `project:${open.id}` });
  await eventually(async () => (await admin("GET", `/runs/${runId}`)).status === "success", "the backup");
  await page.goto(`${url}/projects/${open.id}/database`);
  await page.getByRole("button", { name: new RegExp(`^Actions for ${open.name}`) }).click();
  await page.getByRole("menuitem", { name: "Restore…" }).click();
  const choice = page.getByRole("combobox", { name: "Restore into" });
  await choice.selectOption({ label: last.name });
  assert.equal(await choice.inputValue(), last.id);
});

test("list of projects searches all projects", async (t) => {
  const { open, last, page } = await withTwoPages(t);
  await page.goto(`${url}/projects`);
  const link = ({ name }) => page.getByRole("table", { name: "Projects" }).getByRole("link", { name, exact: true });
  await shown(link(open));
  assert.equal(await link(last).count(), 0);
  const filter = page.getByRole("searchbox", { name: "Filter projects" });
  await filter.fill("no project has this name");
  await shown(page.getByRole("heading", { name: "No project matches" }));
  await filter.fill(last.name);
  await shown(link(last));
  assert.ok(await filter.evaluate((field) => field === document.activeElement), "the field keeps the focus");
  assert.equal(await link(open).count(), 0);
});
