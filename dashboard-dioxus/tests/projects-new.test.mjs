import assert from "node:assert/strict";
import { test } from "node:test";
import {
  admin, button, createProject, eventually, heading, hidden, openPage, refusal, shown, url,
} from "./support.mjs";

test("a new project shows its keys once", async (t) => {
  const page = await openPage(t);
  await page.goto(`${url}/projects/new`);
  const name = `shown once ${Date.now()}`;
  await page.getByRole("textbox", { name: "Name" }).fill(name);
  await button(page, "Create project").click();
  const dialog = page.getByRole("dialog", { name: "Store your keys" });
  await shown(dialog);
  await shown(dialog.getByRole("note").filter({ hasText: "Allowed origins" }));
  const lines = dialog.getByText("ATLASHUB_API_URL=");
  assert.ok(await lines.evaluate((lines) => lines.scrollWidth <= lines.clientWidth), "the .env lines are shown whole");
  const tabs = dialog.getByRole("tablist", { name: "Lines" });
  const border = await tabs.evaluate((tabs) => getComputedStyle(tabs).borderBlockEndWidth);
  assert.equal(border, "0px", "the tab list has no bottom border of its own");
  const left = (locator) => locator.evaluate((element) =>
    Math.round(element.getBoundingClientRect().left + parseFloat(getComputedStyle(element).paddingLeft)));
  const [leftOfTabs, leftOfLines] = [await left(tabs.getByRole("tab").first()), await left(lines)];
  assert.equal(leftOfTabs, leftOfLines, "the tabs and the lines have the same left edge");
  const secret = await dialog.getByRole("textbox", { name: "Secret key" }).inputValue();
  assert.match(secret, /^ah_sec_/);
  await page.keyboard.press("Escape");
  await page.keyboard.press("Escape");
  await shown(dialog);
  assert.ok(await button(page, "Done").isDisabled());
  await button(page, "Copy .env lines").click();
  await shown(page.getByRole("status").filter({ hasText: "Copied" }));
  const copied = await page.evaluate(() => navigator.clipboard.readText());
  assert.match(
    copied,
    /ATLASHUB_API_URL=http[^\n]+\nATLASHUB_PUBLISHABLE_KEY=ah_pub_[^\n]+\nATLASHUB_SECRET_KEY=ah_sec_/,
  );
  await dialog.getByRole("tab", { name: "Next.js .env.local" }).click();
  await shown(dialog.getByText("NEXT_PUBLIC_ATLASHUB_PUBLISHABLE_KEY=ah_pub_"));
  await dialog.getByRole("button", { name: "Allow http://localhost:3000" }).click();
  await hidden(dialog.getByRole("note").filter({ hasText: "Allowed origins" }));
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

test("keys of a new project are shown although its form was left", async (t) => {
  const page = await openPage(t);
  let answer;
  const isLeft = new Promise((resolve) => (answer = resolve));
  await page.route("**/admin/v1/projects", async (route) => {
    const response = await route.fetch();
    await isLeft;
    await route.fulfill({ response });
  });
  await page.goto(`${url}/projects/new`);
  const name = `left ${Date.now()}`;
  await page.getByRole("textbox", { name: "Name" }).fill(name);
  const isSent = page.waitForRequest("**/admin/v1/projects");
  await button(page, "Create project").click();
  await isSent;
  await page.getByRole("navigation", { name: "Platform" }).getByRole("link", { name: "Plugins" }).click();
  await shown(heading(page, "Plugins"));
  answer();
  await shown(page.getByRole("dialog", { name: "Store your keys" }));
  const { items } = await admin("GET", `/projects?q=${encodeURIComponent(name)}`);
  await admin("DELETE", `/projects/${items[0].id}`, { confirm: name });
});

test("required name of a new project has the focus when a link or the palette opens the form", async (t) => {
  const page = await openPage(t);
  const name = page.getByRole("textbox", { name: "Name", exact: true });
  const isFocused = () => name.evaluate((field) => field === document.activeElement);
  await page.goto(`${url}/projects`);
  await page.getByRole("main").getByRole("link", { name: "New project" }).first().click();
  await eventually(isFocused, "the focus after the link");
  assert.equal(await name.getAttribute("aria-required"), "true");
  await page.goto(`${url}/jobs`);
  await shown(heading(page, "Jobs"));
  await page.keyboard.press("Control+k");
  await page.getByRole("combobox", { name: "Search or run a command" }).fill("New project");
  await page.keyboard.press("Enter");
  await eventually(isFocused, "the focus after the palette");
});

test("keys of the first project stay shown until they are stored", async (t) => {
  const page = await openPage(t);
  const empty = await admin("GET", "/overview");
  let made = 0;
  await page.route("**/admin/v1/overview", async (route) => {
    const response = await route.fetch();
    const overview = await response.json();
    overview.facts.projectCount = made;
    await route.fulfill({ response, json: overview });
  });
  assert.ok(empty.facts);
  // The project already counts while it is being created.
  await page.route("**/admin/v1/projects", (route) => {
    if (route.request().method() === "POST") made = 1;
    return route.continue();
  });
  await page.goto(`${url}/`);
  await shown(heading(page, "Create your first project"));
  const name = `first ${Date.now()}`;
  await page.getByRole("textbox", { name: "Name" }).fill(name);
  await button(page, "Create project").click();
  const dialog = page.getByRole("dialog", { name: "Store your keys" });
  await shown(dialog);
  // The page behind the dialog changes at once, without waiting for the next regular refresh.
  await page.getByText("Create your first project").waitFor({ state: "detached", timeout: 5_000 });
  await shown(dialog);
  await dialog.getByRole("checkbox", { name: "I have stored it" }).check();
  await button(page, "Done").click();
  await shown(heading(page, name));
  const id = new URL(page.url()).pathname.split("/")[2];
  await admin("DELETE", `/projects/${id}`, { confirm: name });
});

test("a name in use is refused when the field loses the focus, and the text stays", async (t) => {
  const { name } = await createProject("taken");
  const page = await openPage(t);
  await page.goto(`${url}/projects/new`);
  const field = page.getByRole("textbox", { name: "Name" });
  await field.fill(name);
  await page.keyboard.press("Tab");
  await shown(page.getByText("A project with this name already exists. Choose another name."));
  assert.equal(await field.getAttribute("aria-invalid"), "true");
  await field.fill("half a name");
  await page.reload();
  await eventually(async () => (await field.inputValue()) === "half a name");
  await page.goto(`${url}/projects`);
  await page.goto(`${url}/projects/new`);
  await eventually(async () => (await field.inputValue()) === "half a name");
});

test("snippets are not shown without the API URL", async (t) => {
  const { id } = await createProject("no api url");
  const page = await openPage(t);
  await page.route("**/admin/v1/system", (route) => route.fulfill(refusal(500, "Not now.")));
  await page.goto(`${url}/projects/${id}`);
  const connect = page.getByRole("region", { name: "Connect" });
  await shown(connect.getByRole("alert").filter({ hasText: "The API URL could not be loaded." }));
  assert.equal(await connect.getByRole("button", { name: "Copy snippet" }).count(), 0);
  await page.unroute("**/admin/v1/system");
  await connect.getByRole("button", { name: "Try again" }).click();
  await shown(connect.getByText("ATLASHUB_API_URL=http"));
});
