// End users of a project's app.

import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { test } from "node:test";
import {
  admin, button, createProject, eventually, expectAccessible, heading, hidden, openPage, shown, url,
} from "./support.mjs";

const usersOf = (id, query = "") => `${url}/projects/${id}/users${query}`;
const table = (page) => page.getByRole("table", { name: "Users" });
const row = (page, email) => table(page).getByRole("row").filter({ hasText: email });
const PASSWORD = "a long enough phrase 7";

// Creates a project with end-user login, and users with these e-mail addresses.
async function withUsers(...emails) {
  const project = await createProject("users");
  await admin("PATCH", `/projects/${project.id}/auth`, { enabled: true });
  for (const email of emails) await admin("POST", `/projects/${project.id}/users`, { email, password: PASSWORD });
  return project;
}

// Sends a request to a route of end-user login, as an app does.
async function post(project, route, body, accessToken) {
  const { publicUrl } = await admin("GET", "/system");
  const headers = { "x-api-key": project.publishableKey, "content-type": "application/json" };
  if (accessToken) headers.authorization = `Bearer ${accessToken}`;
  const response = await fetch(`${publicUrl}/v1/auth/${route}`, {
    method: "POST",
    headers,
    body: JSON.stringify(body),
  });
  return { status: response.status, ...(await response.json()) };
}

const signIn = (project, email) => post(project, "login", { email, password: PASSWORD });

// Returns the code that an authenticator app with this secret shows (RFC 6238).
function totp(secret) {
  const bits = [...secret]
    .map((c) => "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".indexOf(c).toString(2).padStart(5, "0"))
    .join("");
  const key = Buffer.from(bits.match(/.{8}/g).map((byte) => Number.parseInt(byte, 2)));
  const step = Buffer.alloc(8);
  step.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30_000)));
  const digest = createHmac("sha1", key).update(step).digest();
  return String((digest.readUInt32BE(digest[19] & 15) & 0x7fffffff) % 1_000_000).padStart(6, "0");
}

async function choose(page, email, act) {
  await row(page, email).getByRole("button", { name: `Actions for ${email}` }).click();
  await page.getByRole("menuitem", { name: act }).click();
}

test("login is off at first and can be turned on", async (t) => {
  const { id } = await createProject("users off");
  const page = await openPage(t);
  await page.goto(usersOf(id));
  await shown(page.getByText("End-user login is off for this project"));
  await shown(page.getByText("Sign-up is open at first"));
  await button(page, "Turn on").click();
  await shown(page.getByText("No users yet"));
  assert.equal((await admin("GET", `/projects/${id}/auth`)).enabled, true);
});

test("page of a project whose login is off says that sign-up is closed", async (t) => {
  const { id } = await createProject("sign-up closed");
  await admin("PATCH", `/projects/${id}/auth`, { enabled: true, allowSignup: false });
  await admin("PATCH", `/projects/${id}/auth`, { enabled: false });
  const page = await openPage(t);
  await page.goto(usersOf(id));
  await shown(page.getByText("Sign-up is closed: only you can create users."));
  assert.equal(await page.getByText("Sign-up is open at first").count(), 0);
});

test("page with users explains how an app signs in and sends the access token", async (t) => {
  const { id } = await withUsers("bob@example.com");
  const page = await openPage(t);
  await page.goto(usersOf(id));
  await shown(row(page, "bob@example.com"));
  await page.getByRole("link", { name: "Connect", exact: true }).click();
  await button(page, "Copy example").click();
  const example = await page.evaluate(() => navigator.clipboard.readText());
  assert.match(example, /\/login[^]*application\/json'[^]*-d '[^]*ACCESS_TOKEN"[^]*\{\\"refreshToken\\":[^]*logout/);
});

test("new user and settings promise a mailed link only if links are mailed", async (t) => {
  const { id } = await withUsers();
  const page = await openPage(t);
  let links;
  await page.route(`**/admin/v1/projects/${id}/auth`, async (route) => {
    const settings = await (await route.fetch()).json();
    await route.fulfill({ json: { ...settings, ...links } });
  });
  const dialog = page.getByRole("dialog", { name: "New user" });
  const variables = "ATLASHUB_SMTP_URL and ATLASHUB_SMTP_FROM are not set";
  const siteUrl = "https://app.example.com";
  for (const [settings, inDialog, underSwitch] of [
    [{ mailConfigured: false, siteUrl }, variables, variables],
    [{ mailConfigured: true, siteUrl: null }, "no links are mailed until", "No links are mailed until"],
    [{ mailConfigured: true, siteUrl }, "choose “Send reset link”", "Users can sign in once they have opened"],
  ]) {
    links = settings;
    await page.goto(usersOf(id));
    await button(page, "New user").first().click();
    await shown(dialog.getByText(inDialog));
    await page.goto(usersOf(id, "?tab=settings"));
    const help = page.locator("#require-a-verified-e-mail-address-help");
    await shown(help);
    assert.ok((await help.innerText()).includes(underSwitch), await help.innerText());
  }
});

test("sheet of a user links to the login events that it does not list", async (t) => {
  const project = await withUsers("many@example.com");
  await signIn(project, "many@example.com");
  const page = await openPage(t);
  await page.route(/\/admin\/v1\/audit\?projectId=/, async (route) => {
    const events = await (await route.fetch()).json();
    await route.fulfill({ json: { ...events, nextCursor: "more" } });
  });
  await page.goto(usersOf(project.id));
  await row(page, "many@example.com").getByRole("link").first().click();
  await page.getByRole("link", { name: "Show all in the audit log" }).click();
  const entries = page.getByRole("table", { name: "Audit entries" });
  await shown(entries.getByRole("link", { name: /^signed in as user many@example\.com/i }));
});

test("user is created, found, and given a role", async (t) => {
  const { id } = await withUsers("bob@example.com");
  const page = await openPage(t);
  await page.goto(usersOf(id));
  await button(page, "New user").click();
  const dialog = page.getByRole("dialog", { name: "New user" });
  await shown(dialog.getByText("At least 8 characters."));
  await dialog.getByRole("textbox", { name: "E-mail" }).fill("Ann@Example.com");
  await dialog.getByRole("textbox", { name: "Password" }).fill(PASSWORD);
  await dialog.getByRole("button", { name: "Create user" }).click();
  await shown(row(page, "ann@example.com").getByText("Active"));
  await page.getByRole("searchbox", { name: "Filter users" }).fill("ann@");
  await hidden(row(page, "bob@example.com"));
  await choose(page, "ann@example.com", "Change role");
  await page.getByRole("radio", { name: "Admin" }).check();
  await page.getByRole("dialog").getByRole("button", { name: "Change role" }).click();
  await shown(row(page, "ann@example.com").getByText("Admin"));
});

test("user without a password is marked in the list and in the sheet", async (t) => {
  const { id } = await withUsers("bob@example.com");
  await admin("POST", `/projects/${id}/users`, { email: "ann@example.com" });
  const page = await openPage(t);
  await page.goto(usersOf(id));
  await shown(row(page, "ann@example.com").getByText("No password"));
  assert.equal(await row(page, "bob@example.com").getByText("No password").count(), 0);
  await page.getByRole("link", { name: "ann@example.com" }).click();
  const sheet = page.getByRole("dialog", { name: "ann@example.com" });
  await shown(sheet.locator("dt", { hasText: "Password" }).locator("+ dd").getByText("none"));
});

test("address in use or without a domain is an error at its field", async (t) => {
  const { id } = await withUsers("bob@example.com");
  const page = await openPage(t);
  await page.goto(usersOf(id));
  await button(page, "New user").click();
  const dialog = page.getByRole("dialog", { name: "New user" });
  await dialog.getByRole("textbox", { name: "E-mail" }).fill("BOB@example.com");
  await dialog.getByRole("button", { name: "Create user" }).click();
  await shown(dialog.getByText("Another user has this e-mail address."));
  await dialog.getByRole("textbox", { name: "E-mail" }).fill("bob");
  await dialog.getByRole("button", { name: "Create user" }).click();
  await shown(dialog.getByText("This is not an e-mail address. Enter one such as"));
  assert.equal(await dialog.getByText("`").count(), 0);
});

test("sheet shows sessions and login events, and signing out ends the sessions", async (t) => {
  const project = await withUsers("eve@example.com");
  assert.equal((await signIn(project, "eve@example.com")).status, 200);
  const page = await openPage(t);
  await page.goto(usersOf(project.id));
  await page.getByRole("link", { name: "eve@example.com" }).click();
  const sheet = page.getByRole("dialog", { name: "eve@example.com" });
  await shown(sheet.getByRole("list", { name: "Sessions" }).getByRole("listitem"));
  await shown(sheet.getByRole("list", { name: "Login events" }).getByText("Signed in"));
  await sheet.getByRole("button", { name: "Actions for eve@example.com" }).click();
  await sheet.getByRole("menuitem", { name: "Sign out everywhere" }).click();
  await page
    .getByRole("dialog", { name: "Sign out everywhere" })
    .getByRole("button", { name: "Sign out everywhere" })
    .click();
  await shown(sheet.getByText("The user is not signed in."));
  // The audit log names the user too, and leads back to the user.
  await page.goto(`${url}/audit?project=${project.id}&action=auth.login`);
  const entry = page.getByRole("table", { name: "Audit entries" }).getByRole("row").nth(1);
  await shown(entry.getByRole("cell", { name: "user eve@example.com", exact: true }));
  await entry.getByRole("link").click();
  await page.getByRole("link", { name: "user eve@example.com", exact: true }).click();
  await shown(page.getByRole("dialog", { name: "eve@example.com" }));
});

test("second factor is shown in the sheet and removed after a confirmation", async (t) => {
  const project = await withUsers("tom@example.com");
  const { session } = await signIn(project, "tom@example.com");
  const page = await openPage(t);
  await page.goto(usersOf(project.id));
  await page.getByRole("link", { name: "tom@example.com" }).click();
  const sheet = page.getByRole("dialog", { name: "tom@example.com" });
  const fact = sheet.locator("dt", { hasText: "Second factor" }).locator("+ dd");
  await shown(fact.getByText("none"));
  const { secret } = await post(project, "mfa/totp", {}, session.accessToken);
  const { status } = await post(project, "mfa/totp/confirm", { code: totp(secret) }, session.accessToken);
  assert.equal(status, 200);
  assert.equal((await signIn(project, "tom@example.com")).error.code, "mfa_required");
  await page.reload();
  await shown(fact.getByText(/^since /));
  await shown(sheet.getByRole("list", { name: "Login events" }).getByText("Set up a second factor"));
  await expectAccessible(page);
  await sheet.getByRole("button", { name: "Remove second factor…" }).click();
  await page
    .getByRole("dialog", { name: "Remove second factor" })
    .getByRole("button", { name: "Remove second factor" })
    .click();
  await shown(fact.getByText("none"));
  assert.equal((await signIn(project, "tom@example.com")).status, 200);
});

test("disabled user can't sign in until enabled again", async (t) => {
  const project = await withUsers("dan@example.com");
  const page = await openPage(t);
  await page.goto(usersOf(project.id));
  await choose(page, "dan@example.com", "Disable user");
  await page.getByRole("dialog", { name: "Disable user" }).getByRole("button", { name: "Disable user" }).click();
  await shown(row(page, "dan@example.com").getByText("Disabled"));
  assert.equal((await signIn(project, "dan@example.com")).status, 401);
  await choose(page, "dan@example.com", "Enable user");
  await shown(row(page, "dan@example.com").getByText("Active"));
  await eventually(async () => (await signIn(project, "dan@example.com")).status === 200, "the sign-in");
});

test("user is disabled in the sheet, which leaves the state visible in the list", async (t) => {
  const project = await withUsers("ivy@example.com");
  const page = await openPage(t);
  await page.setViewportSize({ width: 1280, height: 800 });
  await page.goto(usersOf(project.id));
  await page.getByRole("link", { name: "ivy@example.com" }).click();
  const sheet = page.getByRole("dialog", { name: "ivy@example.com" });
  await shown(sheet.getByText("No login events."));
  await sheet.getByRole("button", { name: "Disable user" }).click();
  await page.getByRole("dialog", { name: "Disable user" }).getByRole("button", { name: "Disable user" }).click();
  const state = row(page, "ivy@example.com").getByText("Disabled");
  await shown(state);
  const [box, covering] = [await state.boundingBox(), await sheet.boundingBox()];
  assert.ok(box.x + box.width <= covering.x, "the sheet covers the state");
  await sheet.getByRole("button", { name: "Enable user" }).click();
  await shown(row(page, "ivy@example.com").getByText("Active"));
});

test("deletion counts the rows that refer to the user, and needs the address", async (t) => {
  const project = await withUsers("fay@example.com");
  const sql = (text) => admin("POST", `/projects/${project.id}/sql`, { sql: text });
  const { items } = await admin("GET", `/projects/${project.id}/users`);
  await sql("create table notes (id int8 primary key, owner uuid references auth.users (id))");
  await sql(`insert into notes values (1, '${items[0].id}')`);
  const page = await openPage(t);
  await page.goto(usersOf(project.id));
  await choose(page, "fay@example.com", "Delete user");
  const dialog = page.getByRole("dialog", { name: "Delete user" });
  await shown(dialog.getByText("1 row of notes refers to the user, so the deletion is refused."));
  await dialog.getByRole("textbox").fill("fay@example.com");
  assert.ok(await dialog.getByRole("button", { name: "Delete user" }).isDisabled());
  await dialog.getByRole("button", { name: "Cancel" }).click();
  await sql("delete from notes");
  await choose(page, "fay@example.com", "Delete user");
  await shown(dialog.getByText("No row refers to the user."));
  await dialog.getByRole("textbox").fill("fay@example.com");
  await dialog.getByRole("button", { name: "Delete user" }).click();
  await hidden(row(page, "fay@example.com"));
});

test("a confirmed deletion can't be closed before its result is known", async (t) => {
  const { id } = await withUsers("kim@example.com");
  const page = await openPage(t);
  await page.goto(usersOf(id));
  await choose(page, "kim@example.com", "Delete user");
  const dialog = page.getByRole("dialog", { name: "Delete user" });
  await dialog.getByRole("textbox").fill("kim@example.com");
  let release;
  const released = new Promise((resolve) => {
    release = resolve;
  });
  await page.route(`**/projects/${id}/users/*`, async (route) => {
    if (route.request().method() === "DELETE") await released;
    await route.continue();
  });
  await dialog.getByRole("button", { name: "Delete user" }).click();
  await eventually(() => dialog.getByRole("button", { name: "Cancel" }).isDisabled(), "the request");
  await page.keyboard.press("Escape");
  assert.ok(await dialog.isVisible());
  release();
  await shown(page.getByText("User deleted"));
  await hidden(dialog);
  await hidden(row(page, "kim@example.com"));
});

test("settings are saved, and text in place of a number is refused", async (t) => {
  const { id } = await withUsers();
  const page = await openPage(t);
  await page.goto(usersOf(id, "?tab=settings"));
  await page.getByRole("switch", { name: "Sign-up is open" }).uncheck();
  await page.getByRole("switch", { name: "Sign-in with a mailed link" }).check();
  await page.getByLabel("Path of the sign-in link").fill("/enter");
  await page.getByLabel("Lifetime of an unused session (days)").fill("a week");
  await button(page, "Save settings").click();
  await shown(page.getByRole("alert").getByText("must be a whole number"));
  await page.getByLabel("Lifetime of an unused session (days)").fill("7");
  await button(page, "Save settings").click();
  await eventually(async () => (await admin("GET", `/projects/${id}/auth`)).refreshTokenDays === 7, "the settings");
  const { allowSignup, allowMagicLink, magicLinkPath } = await admin("GET", `/projects/${id}/auth`);
  assert.deepEqual(
    { allowSignup, allowMagicLink, magicLinkPath },
    { allowSignup: false, allowMagicLink: true, magicLinkPath: "/enter" },
  );
});

test("saving a setting takes back nothing that another tab has saved in the meantime", async (t) => {
  const { id } = await withUsers();
  const page = await openPage(t);
  await page.clock.install();
  await page.goto(usersOf(id, "?tab=settings"));
  await page.getByLabel("Minimum password length (characters)").fill("10");
  await page.getByLabel("Issuer").fill("https://app.example.com");
  await admin("PATCH", `/projects/${id}/auth`, { allowSignup: false });
  // The page reads the settings at intervals.
  await page.clock.fastForward(20_000);
  const signUp = page.getByRole("switch", { name: "Sign-up is open" });
  await eventually(async () => !(await signUp.isChecked()), "the setting of the other tab");
  await page.reload();
  assert.equal(await page.getByLabel("Minimum password length (characters)").inputValue(), "10");
  await button(page, "Save settings").click();
  await shown(page.getByText("Settings saved"));
  const { allowSignup, passwordMinLength, issuer } = await admin("GET", `/projects/${id}/auth`);
  assert.deepEqual(
    { allowSignup, passwordMinLength, issuer },
    { allowSignup: false, passwordMinLength: 10, issuer: "https://app.example.com" },
  );
});

test("saving the text of a mail keeps the text of another mail that another tab has saved", async (t) => {
  const { id } = await withUsers();
  const before = await admin("GET", `/projects/${id}/auth`);
  const page = await openPage(t);
  // The page does not know of the other tab's change before the click.
  const isClicked = () => page.evaluate(() => globalThis.isClicked).catch(() => false);
  await page.route(`**/admin/v1/projects/${id}/auth`, async (route) =>
    (await isClicked()) ? route.continue() : route.fulfill({ json: before }));
  await page.goto(usersOf(id, "?tab=settings"));
  await page.getByText("Mail texts", { exact: true }).click();
  await page.getByLabel("Subject of “Reset the password”").fill("Your new password");
  await page.getByLabel("Text of “Reset the password”").fill("Open {{link}}");
  const verify = { subject: "Welcome", text: "Open {{link}} first", html: null };
  await admin("PATCH", `/projects/${id}/auth`, { mailTexts: { verify } });
  await page.evaluate(() => addEventListener("click", () => (globalThis.isClicked = true), true));
  await button(page, "Save settings").click();
  await shown(page.getByText("Settings saved"));
  const { mailTexts } = await admin("GET", `/projects/${id}/auth`);
  assert.deepEqual([mailTexts.verify.subject, mailTexts.reset.subject], ["Welcome", "Your new password"]);
});

test("signing key is rotated after a confirmation", async (t) => {
  const { id } = await withUsers();
  const page = await openPage(t);
  await page.goto(usersOf(id, "?tab=settings"));
  await button(page, "Rotate signing key").click();
  await page.getByRole("dialog").getByRole("button", { name: "Rotate signing key" }).click();
  await shown(page.getByText(/^The new key is /));
});

test("pages of users are accessible", async (t) => {
  const { id } = await withUsers("gil@example.com");
  for (const options of [{}, { theme: "light" }, { narrow: true }]) {
    for (const query of ["", "?tab=settings"]) {
      const page = await openPage(t, options);
      await page.goto(usersOf(id, query));
      await shown(heading(page, "Users"));
      await page.waitForLoadState("networkidle").catch(() => {});
      await expectAccessible(page);
    }
  }
});

test("a page whose users are gone does not say that there are none", async (t) => {
  const { id } = await withUsers("ada@example.com", "bob@example.com");
  const { items, nextCursor } = await admin("GET", `/projects/${id}/users?limit=1`);
  const { items: later } = await admin("GET", `/projects/${id}/users?limit=1&cursor=${encodeURIComponent(nextCursor)}`);
  await admin("DELETE", `/projects/${id}/users/${later[0].id}`);
  const page = await openPage(t);
  await page.goto(usersOf(id, `?after=${encodeURIComponent(nextCursor)}&offset=1`));
  await shown(page.getByRole("heading", { name: "No users on this page" }));
  await button(page, "First page").click();
  await shown(row(page, items[0].email));
});
