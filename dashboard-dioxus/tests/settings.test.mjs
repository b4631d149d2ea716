import assert from "node:assert/strict";
import { test } from "node:test";
import { admin, button, eventually, expectAccessible, heading, hidden, openPage, shown, signIn, url } from "./support.mjs";

const SECTIONS = ["General", "Configuration", "Migrations", "Sessions", "Appearance"];

const sections = (page) => page.getByRole("navigation", { name: "Settings sections" });

test("each section has an address", async (t) => {
  const page = await openPage(t);
  await page.goto(`${url}/settings`);
  await shown(heading(page, "Settings"));
  for (const name of SECTIONS) {
    await sections(page).getByRole("link", { name }).click();
    await shown(page.getByRole("heading", { level: 2, name, exact: true }));
    assert.equal(new URL(page.url()).searchParams.get("section"), name.toLowerCase());
    await page.reload();
    await shown(page.getByRole("heading", { level: 2, name, exact: true }));
    assert.equal(await sections(page).getByRole("link", { name }).getAttribute("aria-current"), "page");
  }
});

test("the configuration in force is shown without secrets", async (t) => {
  const { configuration } = await admin("GET", "/system");
  const page = await openPage(t);
  await page.goto(`${url}/settings?section=configuration`);
  const table = page.getByRole("table", { name: "Configuration" });
  await shown(table);
  assert.equal(await table.getByRole("row").count(), configuration.length + 1);
  const secret = configuration.find(({ secret, set }) => secret && set);
  const row = table.getByRole("row").filter({ hasText: secret.name }).first();
  await shown(row.getByText("set", { exact: true }));
  await page.getByRole("searchbox", { name: "Filter configuration" }).fill("PUBLIC_LISTEN");
  await eventually(async () => (await table.getByRole("row").count()) < 5);
  await shown(table.getByText("ATLASHUB_PUBLIC_LISTEN", { exact: true }));
});

test("migrations are listed, the newest first", async (t) => {
  const { items } = await admin("GET", "/migrations");
  const newest = items.toSorted((a, b) => b.version - a.version)[0];
  const page = await openPage(t);
  await page.goto(`${url}/settings?section=migrations`);
  const row = page.getByRole("table", { name: "Migrations" }).getByRole("row").nth(1);
  await shown(row.getByText(newest.name));
  await shown(row.getByText("Applied"));
});

test("other sessions are ended, and the own one signs out", async (t) => {
  const other = await openPage(t);
  const page = await openPage(t);
  await page.goto(`${url}/settings?section=sessions`);
  const table = page.getByRole("table", { name: "Sessions" });
  await shown(table.getByText("this one"));
  await button(page, "Sign out all others").click();
  const dialog = page.getByRole("dialog", { name: "Sign out all others" });
  await dialog.getByRole("button", { name: "Sign out all others" }).click();
  await hidden(dialog);
  await eventually(async () => (await table.getByRole("row").count()) === 2);
  assert.equal((await other.request.get(`${url}/admin/v1/system`)).status(), 401);
  await button(page, "Sign out").click();
  await shown(heading(page, "Sign in"));
  assert.equal(new URL(page.url()).pathname, "/sign-in");
  await signIn(page);
});

test("theme, density, times and shortcuts survive a reload", async (t) => {
  const page = await openPage(t);
  await page.goto(`${url}/settings?section=appearance`);
  const choose = (group, name) => page.getByRole("radiogroup", { name: group }).getByRole("radio", { name }).check();
  await choose("Theme", "Light");
  await choose("Density", "Comfortable");
  await choose("Times", "UTC");
  await page.getByRole("switch", { name: "Single-key shortcuts" }).uncheck();
  await page.reload();
  await shown(heading(page, "Settings"));
  const root = await page.evaluate(() => ({ ...document.documentElement.dataset }));
  assert.deepEqual([root.theme, root.density], ["light", "comfortable"]);
  assert.ok(await page.getByRole("radiogroup", { name: "Times" }).getByRole("radio", { name: "UTC" }).isChecked());
  await page.keyboard.press("?");
  assert.equal(await page.getByRole("dialog", { name: "Keyboard shortcuts" }).count(), 0);
  await page.getByRole("switch", { name: "Single-key shortcuts" }).check();
  await page.keyboard.press("Tab");
  await page.keyboard.press("?");
  await shown(page.getByRole("dialog", { name: "Keyboard shortcuts" }));
});

test("the page is accessible", async (t) => {
  for (const narrow of [false, true]) {
    const page = await openPage(t, { narrow });
    for (const name of SECTIONS) {
      await page.goto(`${url}/settings?section=${name.toLowerCase()}`);
      await shown(page.getByRole("heading", { level: 2, name, exact: true }));
      await hidden(page.locator("[aria-busy=true]"));
      await expectAccessible(page);
    }
  }
});
