// The screenshots of docs/DASHBOARD.md. The second test writes them, on a server without other data:
// ATLASHUB_WRITE_DOCS=1 cargo xtask test --browser docs

import assert from "node:assert/strict";
import { mkdir, readdir, readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { test } from "node:test";
import { createShop } from "./sample.mjs";
import { act, grid } from "./sql-support.mjs";
import { button, heading, hidden, openPage, shown, url } from "./support.mjs";

const DOCUMENT = new URL("../../docs/DASHBOARD.md", import.meta.url);
const IMAGES = new URL("../../docs/images/", import.meta.url);

// For each screenshot: the path and the heading of the page, and a function that prepares the page.
const SCREENSHOTS = {
  overview: () => ["/", "Overview"],
  project: ({ id }) => [`/projects/${id}`, "shop"],
  tables: ({ id }) => [`/projects/${id}/tables?table=orders`, "orders"],
  sql: ({ id, query }) => [`/projects/${id}/sql?query=${query}`, "SQL", async (page) => {
    await act(page, "Run").click();
    await shown(grid(page).getByRole("row"));
  }],
  storage: ({ id }) => {
    const query = new URLSearchParams({ prefix: "mugs/", object: "mugs/mug-moss.svg" });
    return [`/projects/${id}/storage/product-images?${query}`, "product-images"];
  },
  keys: ({ id }) => [`/projects/${id}/keys`, "API keys"],
  jobs: () => ["/jobs", "Jobs"],
  run: ({ run }) => [`/runs/${run}`, "Run of Nightly backup"],
  backups: () => ["/backups", "Backups"],
  plugins: () => ["/plugins?plugin=backup", "Plugins"],
  notifications: () => ["/notifications?channel=new", "Notifications"],
  audit: () => ["/audit", "Audit log"],
  settings: () => ["/settings", "Settings"],
};

test("dashboard document shows each screenshot", async () => {
  const document = await readFile(DOCUMENT, "utf8");
  const referenced = [...document.matchAll(/\]\(images\/([a-z-]+)\.png\)/g)].map(([, name]) => name);
  const made = (await readdir(IMAGES)).map((file) => file.replace(/\.png$/, ""));
  const expected = Object.keys(SCREENSHOTS).toSorted();
  assert.deepEqual(referenced.toSorted(), expected);
  assert.deepEqual(made.toSorted(), expected);
});

if (process.env.ATLASHUB_WRITE_DOCS === "1") {
  test("screenshots of the dashboard are written", async (t) => {
    const shop = await createShop(t);
    await mkdir(IMAGES, { recursive: true });
    const page = await openPage(t, { origins: ["http://127.0.0.1"] });
    await page.emulateMedia({ reducedMotion: "reduce" });
    for (const [name, describe] of Object.entries(SCREENSHOTS)) {
      const [address, title, prepare] = describe(shop);
      await page.goto(`${url}${address}`);
      await shown(heading(page, title));
      await hidden(page.locator("[aria-busy=true]"));
      await prepare?.(page);
      await page.waitForLoadState("networkidle");
      await page.screenshot({ path: fileURLToPath(new URL(`${name}.png`, IMAGES)) });
    }
  });
}
