import assert from "node:assert/strict";
import { test } from "node:test";
import {
  admin, button, eventually, expectAccessible, heading, hidden, openPage, origin, refusal, shown, token, url,
} from "./support.mjs";

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

test("configuration in force is shown without secrets", async (t) => {
  const { configuration } = await admin("GET", "/system");
  const page = await openPage(t);
  await page.goto(`${url}/settings?section=configuration`);
  const table = page.getByRole("table", { name: "Configuration" });
  await shown(table);
  assert.equal(await table.getByRole("row").count(), configuration.length + 1);
  const secret = configuration.find(({ secret, set }) => secret && set);
  const row = table.getByRole("row").filter({ has: button(page, `Copy ${secret.name}`) });
  await shown(row.getByText("set", { exact: true }));
  await page.getByRole("searchbox", { name: "Filter configuration" }).fill("PUBLIC_LISTEN");
  await eventually(async () => (await table.getByRole("row").count()) < 5, "the filtered table");
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

test("pending migrations are applied in a run", async (t) => {
  const { items } = await admin("GET", "/migrations");
  const newest = items.toSorted((a, b) => b.version - a.version)[0];
  const page = await openPage(t);
  let isApplied = false;
  await page.route(/\/admin\/v1\/migrations(\?|$)/, (route) => {
    const pending = (item) => (item.version === newest.version ? { ...item, state: "pending", appliedAt: null } : item);
    return route.fulfill({ json: { items: isApplied ? items : items.map(pending), nextCursor: null } });
  });
  page.on("request", (request) => (isApplied ||= request.url().endsWith("/migrations/apply")));
  await page.goto(`${url}/settings?section=migrations`);
  const row = page.getByRole("table", { name: "Migrations" }).getByRole("row").nth(1);
  await shown(row.getByText("Pending"));
  await shown(page.getByText("1 migration is pending."));
  await button(page, "Apply pending migrations").click();
  await shown(page.getByRole("status").getByText("The migrations are applied."));
  await shown(row.getByText("Applied"));
  const run = await admin("GET", await page.getByRole("link", { name: "Open run" }).getAttribute("href"));
  assert.deepEqual([run.plugin, run.pluginJob, run.status], ["migrations", "apply", "success"]);
});

test("reason is shown if migrations can't be applied", async (t) => {
  const { items } = await admin("GET", "/migrations");
  const page = await openPage(t);
  const pending = items.map((item) => ({ ...item, state: "pending", appliedAt: null }));
  const list = { items: pending, nextCursor: null };
  await page.route(/\/admin\/v1\/migrations(\?|$)/, (route) => route.fulfill({ json: list }));
  const refused = refusal(422, "The plugin `migrations` is not approved.");
  await page.route("**/admin/v1/migrations/apply", (route) => route.fulfill(refused));
  await page.goto(`${url}/settings?section=migrations`);
  await button(page, "Apply pending migrations").click();
  await shown(page.getByRole("alert").getByText("is not approved."));
  assert.ok(await button(page, "Apply pending migrations").isEnabled());
});

test("migrations can be applied again after a run that failed", async (t) => {
  const { items } = await admin("GET", "/migrations");
  const page = await openPage(t);
  const pending = items.map((item) => ({ ...item, state: "pending", appliedAt: null }));
  const list = { items: pending, nextCursor: null };
  await page.route(/\/admin\/v1\/migrations(\?|$)/, (route) => route.fulfill({ json: list }));
  await page.route(/\/admin\/v1\/runs\/[^/?]+$/, async (route) => {
    const run = await (await route.fetch()).json();
    await route.fulfill({ json: { ...run, status: "fail", errorText: "The database is locked." } });
  });
  await page.goto(`${url}/settings?section=migrations`);
  await button(page, "Apply pending migrations").click();
  await shown(page.getByRole("alert").getByText("The database is locked."));
  await button(page, "Try again").click();
  await shown(button(page, "Apply pending migrations"));
});

// Signs in as a browser with this name. Returns the cookie of the session.
async function signInAs(agent) {
  return eventually(async () => {
    const response = await fetch(`${url}/admin/v1/session`, {
      method: "POST",
      headers: { origin, "content-type": "application/json", "user-agent": agent },
      body: JSON.stringify({ token }),
    });
    return response.ok && response.headers.getSetCookie()[0].split(";")[0];
  }, "the sign-in");
}

test("session of another browser is ended", async (t) => {
  const agent = `test-browser/${Date.now()}`;
  const cookie = await signInAs(agent);
  const page = await openPage(t);
  await page.goto(`${url}/settings?section=sessions`);
  const row = page.getByRole("table", { name: "Sessions" }).getByRole("row").filter({ hasText: agent });
  await row.getByRole("button", { name: /^End session of/ }).click();
  await hidden(row);
  assert.equal((await fetch(`${url}/admin/v1/system`, { headers: { cookie } })).status, 401);
});

// All other sessions of the server belong to tests that run at the same time, so the request must not reach the server.
test("all other sessions are ended after a confirmation", async (t) => {
  await signInAs(`test-browser/${Date.now()}`);
  const page = await openPage(t);
  let ended = 0;
  await page.route("**/admin/v1/sessions", (route) => {
    ended += route.request().method() === "DELETE" ? 1 : 0;
    return route.fulfill({ json: { ended: 3 } });
  });
  await page.goto(`${url}/settings?section=sessions`);
  await button(page, "Sign out all others").click();
  const dialog = page.getByRole("dialog", { name: "Sign out all others" });
  await shown(dialog.getByText(/must sign in again/));
  await dialog.getByRole("button", { name: "Sign out all others" }).click();
  await shown(page.getByRole("region", { name: "Messages" }).getByText("3 sessions ended"));
  assert.equal(ended, 1);
});

test("owner signs out of the current session", async (t) => {
  const page = await openPage(t);
  await page.goto(`${url}/settings?section=sessions`);
  await shown(page.getByRole("table", { name: "Sessions" }).getByText("this one"));
  await button(page, "Sign out").click();
  await shown(heading(page, "Sign in"));
  assert.equal(new URL(page.url()).pathname, "/sign-in");
  assert.equal((await page.request.get(`${url}/admin/v1/system`)).status(), 401);
});

test("ended session is noticed when the sessions are read", async (t) => {
  const page = await openPage(t);
  await page.route("**/admin/v1/sessions?*", (route) => route.fulfill(refusal(401, "You are not signed in.")));
  await page.goto(`${url}/settings?section=sessions`);
  await shown(page.getByRole("dialog", { name: "Your sign-in has ended" }));
});

test("phone shows the sections above their content", async (t) => {
  const page = await openPage(t, { narrow: true });
  await page.goto(`${url}/settings?section=sessions`);
  await shown(page.getByRole("list", { name: "Sessions" }));
  const top = async (locator) => (await locator.boundingBox()).y;
  assert.ok((await top(sections(page))) < (await top(page.getByRole("list", { name: "Sessions" }))));
  await sections(page).getByRole("link", { name: "Migrations" }).tap();
  await shown(page.getByRole("list", { name: "Migrations" }));
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

test("sections are accessible", async (t) => {
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

test("theme System follows the system while the page is open, and the others do not", async (t) => {
  const page = await openPage(t, { theme: "system" });
  const theme = () => page.evaluate(() => document.documentElement.dataset.theme);
  await page.emulateMedia({ colorScheme: "dark" });
  await page.goto(`${url}/settings?section=appearance`);
  await shown(heading(page, "Settings"));
  assert.equal(await theme(), "dark");
  await page.emulateMedia({ colorScheme: "light" });
  await eventually(async () => (await theme()) === "light", "the light theme");
  assert.equal(await page.evaluate(() => document.querySelector("meta[name=color-scheme]").content), "light");

  await page.getByRole("radiogroup", { name: "Theme" }).getByRole("radio", { name: "Light" }).check();
  await page.evaluate(() => {
    globalThis.changed = new Promise((resolve) =>
      matchMedia("(prefers-color-scheme: light)").addEventListener("change", resolve, { once: true }));
  });
  await page.emulateMedia({ colorScheme: "dark" });
  await page.evaluate(() => globalThis.changed.then(() => undefined));
  assert.equal(await theme(), "light");
});

test("theme and shortcuts that are changed elsewhere are shown at once", async (t) => {
  const page = await openPage(t);
  await page.goto(`${url}/settings?section=appearance`);
  const light = page.getByRole("radiogroup", { name: "Theme" }).getByRole("radio", { name: "Light" });
  await shown(light);
  assert.ok(!(await light.isChecked()));
  await button(page, "Theme").click();
  await page.getByRole("menuitemradio", { name: "Light" }).click();
  await eventually(() => light.isChecked(), "the chosen theme");
  await button(page, "Account").click();
  await page.getByRole("menuitem", { name: "Keyboard shortcuts" }).click();
  const dialog = page.getByRole("dialog", { name: "Keyboard shortcuts" });
  await dialog.getByRole("switch", { name: "Single-key shortcuts" }).uncheck();
  await button(dialog, "Close").click();
  await eventually(
    async () => !(await page.getByRole("switch", { name: "Single-key shortcuts" }).isChecked()),
    "the switch",
  );
});

test("disk that is nearly full is marked with words", async (t) => {
  const page = await openPage(t);
  const disk = { purpose: "data", path: "/data", freeBytes: 5, totalBytes: 100, freePercent: 5, low: true };
  await page.route("**/admin/v1/system", async (route) => {
    const system = await (await route.fetch()).json();
    await route.fulfill({ json: { ...system, disks: [disk] } });
  });
  await page.goto(`${url}/settings`);
  await shown(page.getByRole("region", { name: "Disks" }).getByText("Nearly full"));
});

test("filters of the configuration can be cleared if nothing matches", async (t) => {
  const page = await openPage(t);
  await page.goto(`${url}/settings?section=configuration&q=no+such+variable`);
  await shown(page.getByRole("heading", { name: "No variable matches" }));
  await button(page, "Clear filters").click();
  await shown(page.getByRole("table", { name: "Configuration" }).getByText("ATLASHUB_PUBLIC_LISTEN", { exact: true }));
  assert.equal(await page.getByRole("searchbox", { name: "Filter configuration" }).inputValue(), "");
});

test("run of migrations that can't be read is not shown as running", async (t) => {
  const { items } = await admin("GET", "/migrations");
  const page = await openPage(t);
  const list = { items: items.map((item) => ({ ...item, state: "pending", appliedAt: null })), nextCursor: null };
  await page.route(/\/admin\/v1\/migrations(\?|$)/, (route) => route.fulfill({ json: list }));
  await page.route(/\/admin\/v1\/runs\/[^/?]+$/, (route) => route.fulfill(refusal(404, "There is no such run.")));
  await page.goto(`${url}/settings?section=migrations`);
  await button(page, "Apply pending migrations").click();
  const alert = page.getByRole("alert").filter({ hasText: "The run that applies the migrations could not be read." });
  await shown(alert.getByText("There is no such run."));
  assert.equal(await page.getByText("Applying migrations…").count(), 0);
});
