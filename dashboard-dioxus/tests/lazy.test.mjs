// Pages are WebAssembly modules of their own in a release. In development, they are all in the first module.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  button, createProject, eventually, expectAccessible, heading, hidden, openPage, shown, url,
} from "./support.mjs";

// Opens the overview in a new tab, where requests that match `failing` fail. Skips the test if all pages are in the
// first module.
async function openSplit(t, failing) {
  const page = await openPage(t);
  if (failing) await page.route(failing, (route) => route.abort());
  await page.goto(url);
  await shown(page.locator("#h1"));
  const isSplit = await page.evaluate(() => !globalThis.hasModule("audit"));
  if (!isSplit) t.skip("the pages are in the first module");
  return isSplit ? page : undefined;
}

// Holds the requests for a module back until the returned function is called.
async function hold(page, module) {
  let release;
  const held = new Promise((resolve) => (release = resolve));
  await page.route(`**/assets/${module}-*.wasm`, async (route) => {
    await held;
    await route.continue();
  });
  return release;
}

test("a page is busy until its module is loaded", async (t) => {
  const page = await openSplit(t);
  if (!page) return;
  const release = await hold(page, "audit");
  await page.locator('.sidebar a[href="/audit"]').click();
  await shown(page.locator("main[aria-busy=true]"));
  assert.equal(new URL(page.url()).pathname, "/audit");
  release();
  await shown(heading(page, "Audit log"));
  assert.equal(await page.locator("main").getAttribute("aria-busy"), null);
});

test("a page whose module cannot be loaded offers to reload", async (t) => {
  const page = await openSplit(t, "**/assets/audit-*.wasm");
  if (!page) return;
  await page.locator('.sidebar a[href="/audit"]').click();
  await shown(heading(page, "This page could not be loaded"));
  await expectAccessible(page);
  await page.unroute("**/assets/audit-*.wasm");
  await button(page, "Reload").click();
  await shown(heading(page, "Audit log"));
});

test("a dialog whose module cannot be loaded offers to reload", async (t) => {
  const page = await openSplit(t, "**/assets/overlays-*.wasm");
  if (!page) return;
  await page.keyboard.press("Control+k");
  const dialog = page.getByRole("alertdialog", { name: "The dialog could not be loaded" });
  await shown(dialog.getByRole("button", { name: "Reload" }));
  await expectAccessible(page);
  await dialog.getByRole("button", { name: "Close" }).click();
  await hidden(dialog);
  await page.unroute("**/assets/overlays-*.wasm");
  await page.keyboard.press("Control+k");
  await shown(page.getByRole("dialog", { name: "Command palette" }));
});

test("the palette keeps what is typed before its module is loaded", async (t) => {
  const page = await openSplit(t);
  if (!page) return;
  const release = await hold(page, "overlays");
  await page.keyboard.press("Control+k");
  await page.keyboard.type("audx");
  await page.keyboard.press("Backspace");
  release();
  const field = page.getByRole("combobox", { name: "Search or run a command" });
  await eventually(async () => (await field.inputValue()) === "aud", "the text in the field");
  assert.equal(new URL(page.url()).pathname, "/", "the letters are not shortcuts");
});

test("the palette runs the first command if Enter was pressed before its module is loaded", async (t) => {
  const page = await openSplit(t);
  if (!page) return;
  const release = await hold(page, "overlays");
  await page.keyboard.press("Control+k");
  await page.keyboard.type("audit log");
  await page.keyboard.press("Enter");
  release();
  await shown(heading(page, "Audit log"));
});

test("the module of a page is loaded when the pointer is on its link", async (t) => {
  const page = await openSplit(t);
  if (!page) return;
  const requests = [];
  page.on("request", (request) => request.url().endsWith(".wasm") && requests.push(new URL(request.url()).pathname));
  await page.locator('.sidebar a[href="/plugins"]').hover();
  await eventually(() => page.evaluate(() => globalThis.hasModule("plugins")), "the module of the page");
  const count = requests.length;
  await page.locator('.sidebar a[href="/plugins"]').click();
  await shown(heading(page, "Plugins"));
  assert.equal(requests.length, count, "a loaded module is not requested again");
  assert.ok(!requests.some((path) => path.includes("/audit-")), "the modules of other pages are not requested");
});

test("pages open in a tab that has loaded no other page", async (t) => {
  const { id } = await createProject("opened cold");
  const paths = [
    "/projects",
    "/projects/new",
    "/jobs",
    "/jobs/new",
    "/runs",
    "/backups",
    "/plugins",
    "/notifications",
    "/audit",
    "/settings",
    "/ui",
    ...["", "/tables", "/sql", "/storage", "/users", "/keys", "/jobs", "/database", "/settings"].map(
      (part) => `/projects/${id}${part}`,
    ),
  ];
  for (const path of paths) {
    const page = await openPage(t);
    await page.goto(`${url}${path}`);
    await shown(page.locator("main:not([aria-busy=true]) #h1"));
    await page.close();
  }
});
