import assert from "node:assert/strict";
import { test } from "node:test";
import { button, eventually, expectAccessible, heading, openPage, refusal, shown, token, url } from "./support.mjs";

test("an address without a session opens the sign-in page, then the address", async (t) => {
  const page = await openPage(t, { signedIn: false });
  await page.goto(`${url}/projects?q=x`);
  await shown(heading(page, "Sign in"));
  await page.getByLabel("Admin token").fill(token);
  await button(page, "Sign in").click();
  await shown(heading(page, "Projects"));
  assert.equal(new URL(page.url()).pathname, "/projects");
});

test("an address of another host is not opened after the sign-in", async (t) => {
  const page = await openPage(t, { signedIn: false });
  await page.goto(`${url}/sign-in?next=/%5Cexample.com`);
  await page.getByLabel("Admin token").fill(token);
  await button(page, "Sign in").click();
  await page.waitForURL((address) => address.pathname === "/");
});

test("a wrong token shows why and keeps the focus in the field", async (t) => {
  const page = await openPage(t, { signedIn: false });
  await page.goto(`${url}/sign-in`);
  await page.getByLabel("Admin token").fill("this-is-not-the-token");
  await page.keyboard.press("Enter");
  await shown(page.getByRole("alert").filter({ hasText: "That token isn't valid." }));
  await eventually(() => page.getByLabel("Admin token").evaluate((field) => field === document.activeElement));
});

test("the token is not in the browser's storage, the address or the console", async (t) => {
  const page = await openPage(t, { signedIn: false });
  const lines = [];
  page.on("console", (message) => lines.push(message.text()));
  await page.goto(`${url}/sign-in`);
  await page.getByLabel("Admin token").fill(token);
  await button(page, "Sign in").click();
  await page.waitForURL((address) => address.pathname !== "/sign-in");
  const kept = await page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }, location.href]));
  assert.ok(!kept.includes(token) && !lines.join().includes(token), kept);
  assert.equal(await page.evaluate(() => location.hash), "");
});

test("a code is removed from the address", async (t) => {
  const page = await openPage(t, { signedIn: false });
  await page.goto(`${url}/sign-in#code=no-such-code`);
  await shown(heading(page, "Sign in"));
  await eventually(async () => (await page.evaluate(() => location.hash)) === "");
});

test("the page is accessible", async (t) => {
  for (const narrow of [false, true]) {
    const page = await openPage(t, { signedIn: false, narrow });
    await page.goto(`${url}/sign-in`);
    await shown(heading(page, "Sign in"));
    await expectAccessible(page);
  }
});

test("the token can be shown", async (t) => {
  const page = await openPage(t, { signedIn: false });
  await page.goto(`${url}/sign-in`);
  const field = page.getByRole("textbox", { name: "Admin token" }).or(page.getByLabel("Admin token"));
  assert.equal(await field.first().getAttribute("type"), "password");
  await button(page, "Show token").click();
  assert.equal(await field.first().getAttribute("type"), "text");
  assert.equal(await page.title(), "Sign in · AtlasHub");
});

test("after too many attempts, the page counts down to the next one", async (t) => {
  const page = await openPage(t, { signedIn: false });
  await page.goto(`${url}/sign-in`);
  await page.route("**/admin/v1/session", (route) =>
    route.request().method() === "POST"
      ? route.fulfill(refusal(429, "Too many attempts.", { "retry-after": "2" }))
      : route.continue(),
  );
  await page.getByLabel("Admin token").fill("some-token-that-is-wrong");
  await button(page, "Sign in").click();
  await shown(page.getByRole("alert").filter({ hasText: "Too many attempts. Wait 2 s, then try again." }));
  await shown(page.getByRole("button", { name: /^Sign in \(wait [12] s\)$/ }));
  await eventually(() => button(page, "Sign in").isEnabled(), "the next attempt");
});

test("behind Cloudflare Access there is no token field", async (t) => {
  const page = await openPage(t, { signedIn: false });
  const error = {
    code: "unauthorized",
    message: "You are not signed in.",
    details: { signIn: "access" },
    requestId: "1",
  };
  await page.route("**/admin/v1/session", (route) => route.fulfill({ status: 401, json: { error } }));
  await page.goto(`${url}/projects`);
  await shown(heading(page, "Sign in"));
  await shown(page.getByText("This server accepts only sign-ins through Cloudflare Access"));
  assert.equal(await page.getByLabel("Admin token").count(), 0);
  await expectAccessible(page);
});
