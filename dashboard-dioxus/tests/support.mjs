// Shared by the tests of all pages: one browser, signed-in pages that fail on console errors, and requests to the
// server.

import assert from "node:assert/strict";
import { after, before } from "node:test";
import { AxeBuilder } from "@axe-core/playwright";
import { chromium } from "playwright-core";
import { lowContrast } from "./contrast.mjs";

export const url = process.env.ATLASHUB_URL ?? "http://127.0.0.1:8081";
export const token = process.env.ATLASHUB_ADMIN_TOKEN ?? "";
export const origin = new URL(url).origin;

const WIDE = { width: 1440, height: 900 };
const NARROW = { width: 390, height: 844 };

let browser;

before(async () => {
  browser = await chromium.launch({
    executablePath: process.env.ATLASHUB_TEST_CHROMIUM ?? "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
      "--disable-component-update", "--disable-sync"],
  });
});
after(() => browser?.close());

// Opens a page. The test fails on console errors, requests to origins other than the server's and `origins`, and
// violations of the security policy.
export async function openPage(
  t,
  { signedIn = true, narrow = false, theme, storageState, timezoneId, origins = [] } = {},
) {
  const context = await browser.newContext({
    viewport: narrow ? NARROW : WIDE,
    hasTouch: narrow,
    storageState,
    timezoneId,
  });
  context.setDefaultTimeout(20_000);
  await context.grantPermissions(["clipboard-read", "clipboard-write"], { origin });
  if (theme) await context.addInitScript((theme) => localStorage.setItem("atlashub.theme", theme), theme);
  await context.addInitScript(() => {
    addEventListener("securitypolicyviolation", (event) =>
      console.error(`CSP: ${event.violatedDirective} ${event.blockedURI}`),
    );
  });
  const page = await context.newPage();
  const problems = [];
  page.problems = problems;
  page.on("console", (message) => {
    // Browsers log failed requests as errors, but the page handles failed requests itself.
    if (message.type() === "error" && !message.text().startsWith("Failed to load resource"))
      problems.push(message.text());
  });
  page.on("pageerror", (error) => problems.push(String(error)));
  page.on("request", (request) => {
    const isOwn = [origin, ...origins, "blob:", "data:"].some((start) => request.url().startsWith(start));
    if (!isOwn) problems.push(`request to ${request.url()}`);
  });
  t.after(async () => {
    // A handler of a route may still wait for its response.
    if (!page.isClosed()) await page.unrouteAll({ behavior: "ignoreErrors" });
    await context.close();
    assert.deepEqual(problems, []);
  });
  if (signedIn) await signIn(page);
  return page;
}

// Signs in. Tries again while the server refuses sign-ins, because another test file sends wrong tokens.
export async function signIn(page) {
  await eventually(async () => {
    const response = await page.request.post(`${url}/admin/v1/session`, { data: { token }, headers: { origin } });
    assert.ok(response.ok() || response.status() === 429, await response.text());
    return response.ok();
  }, "the sign-in");
}

// Sends a request to the admin API with the admin token, without a browser.
export async function admin(method, path, body) {
  const response = await fetch(`${url}/admin/v1${path}`, {
    method,
    body: body === undefined ? undefined : JSON.stringify(body),
    headers: { "content-type": "application/json", "x-dev-admin-token": token },
  });
  const text = await response.text();
  assert.ok(response.ok, `${method} ${path}: ${response.status} ${text}`);
  return text ? JSON.parse(text) : undefined;
}

let projects = 0;
const created = [];
// This hook is registered at the top level, because a hook that another hook registers runs when that other hook ends.
after(() =>
  Promise.all(created.map(({ id, name }) => admin("DELETE", `/projects/${id}`, { confirm: name }).catch(() => {}))),
);

// Creates a project that is deleted after the file's tests, and runs the statements in it. Returns its id, name and
// keys.
export async function createProject(prefix, statements = []) {
  projects += 1;
  const name = `${prefix} ${Date.now().toString(36)}${projects}`;
  const { project, publishableKey, secretKey } = await admin("POST", "/projects", { name });
  const { id } = project;
  created.push({ id, name });
  for (const sql of statements) await admin("POST", `/projects/${id}/sql`, { sql });
  return { id, name, publishableKey, secretKey };
}

export const heading = (page, name) => page.getByRole("heading", { level: 1, name, exact: true });
export const button = (page, name) => page.getByRole("button", { name, exact: true });

export async function shown(locator) {
  await locator.first().waitFor({ state: "visible" });
}

export async function hidden(locator) {
  await locator.first().waitFor({ state: "hidden" });
}

// Waits until a function returns a truthy value.
export async function eventually(condition, message = "the condition") {
  const end = Date.now() + 20_000;
  while (Date.now() < end) {
    const result = await condition();
    if (result) return result;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.fail(`timed out waiting for ${message}`);
}

// Returns the response to a request that the server refuses.
export const refusal = (status, message, headers = {}) => ({
  status,
  headers,
  json: { error: { code: "sample", message, requestId: "0199c1de-4444" } },
});

// Checks accessibility and contrast in both themes, and that the page does not scroll sideways.
export async function expectAccessible(page) {
  // Without reduced motion, elements are partly transparent while they appear or disappear.
  await page.emulateMedia({ reducedMotion: "reduce" });
  for (const theme of ["light", "dark"]) {
    assert.deepEqual(await lowContrast(page, theme), [], theme);
    const axe = new AxeBuilder({ page }).withTags(["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]);
    // expectNamesContainTexts checks names instead, because it ignores punctuation.
    assert.deepEqual(await violationsOf(axe.disableRules(["label-content-name-mismatch"]), theme), []);
  }
  const excess = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  assert.ok(excess <= 0, `the page is ${excess} px too wide`);
}

// Checks that the accessible names of controls contain their visible texts: users of speech input say the visible text.
// Punctuation is ignored: `Disk 61 GB free (74 %)`.
export async function expectNamesContainTexts(page) {
  const { violations } = await new AxeBuilder({ page }).withRules(["label-content-name-mismatch"]).analyze();
  const found = [];
  for (const { html, target } of violations.flatMap(({ nodes }) => nodes)) {
    const isContained = await page.locator(target[0]).first().evaluate((element) => {
      const words = (text) => text.replace(/[^\p{L}\p{N}]+/gu, " ").trim();
      return words(element.getAttribute("aria-label") ?? "").includes(words(element.innerText));
    });
    if (!isContained) found.push(html);
  }
  assert.deepEqual(found, []);
}

async function violationsOf(axe, subject) {
  const { violations } = await axe.analyze();
  return violations.map(
    ({ id, nodes }) =>
      `${subject} ${id}: ${nodes
        .map((node) => node.html)
        .slice(0, 3)
        .join(" | ")}`,
  );
}
