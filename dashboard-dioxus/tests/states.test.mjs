// The states of the whole app when the server, the session or the page itself fails.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  admin, button, createProject, eventually, expectAccessible, heading, hidden, openPage, refusal, shown, url,
} from "./support.mjs";

// All requests except the stream of events, which may begin at any time and would notice the end of a session first.
const REQUESTS = /\/admin\/v1\/(?!events)/;

// The bar for shown data that could not be read again. Only its text is an alert.
const outdated = (page) => page.locator(".notbar").filter({ hasText: "The shown data may be out of date." });

// Returns a refusal like that of a server without Postgres. Each has another request id.
let refusals = 0;
function unavailable(seconds) {
  const response = refusal(503, "Postgres can't be reached.", { "retry-after": `${seconds}` });
  refusals += 1;
  response.json.error.requestId = `0199c1de-${refusals}`;
  return response;
}

// Counts the changes of an element. Returns a function that returns the count.
async function countChanges(locator) {
  const counter = await locator.evaluateHandle((element) => {
    const counter = { changes: 0 };
    const observer = new MutationObserver((changes) => (counter.changes += changes.length));
    observer.observe(element, { subtree: true, childList: true, characterData: true, attributes: true });
    return counter;
  });
  return () => counter.evaluate(({ changes }) => changes);
}

test("the first paint has the theme and the frame", async (t) => {
  for (const theme of ["dark", "light"]) {
    const page = await openPage(t, { theme });
    let release;
    const held = new Promise((resolve) => (release = resolve));
    await page.route("**/*.wasm", async (route) => {
      await held;
      await route.continue();
    });
    await page.goto(`${url}/projects`, { waitUntil: "commit" });
    await shown(page.locator(".app[aria-busy=true]"));
    const ground = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    assert.equal(ground, theme === "dark" ? "rgb(11, 14, 20)" : "rgb(247, 248, 250)");
    assert.equal(await page.evaluate(() => document.querySelector("meta[name=color-scheme]").content), theme);
    release();
    await shown(heading(page, "Projects"));
  }
});

test("after the end of a session, the page asks for a sign-in and keeps the typed text", async (t) => {
  const { id } = await createProject("ended");
  for (const response of [
    { status: 302, headers: { location: "https://access.example.com/" } },
    refusal(401, "You are not signed in."),
    { status: 200, contentType: "text/html", body: "<html>Sign in</html>" },
  ]) {
    const page = await openPage(t);
    await page.goto(`${url}/projects/${id}/settings`);
    await shown(heading(page, "Project settings"));
    const name = page.getByRole("textbox", { name: "Name", includeHidden: true });
    await name.fill("renamed");
    const save = await button(page, "Save settings").elementHandle();
    await page.route(REQUESTS, (route) => route.fulfill(response));
    // A refresh of the page may open the dialog first, and the dialog keeps the pointer away from the button.
    await save.dispatchEvent("click");
    const dialog = page.getByRole("dialog", { name: "Your sign-in has ended" });
    await shown(dialog.getByRole("button", { name: "Sign in again" }));
    await shown(dialog.getByText("What you typed is kept, except secrets and the body and header values"));
    await expectAccessible(page);
    assert.equal(await name.inputValue(), "renamed");
    await page.unroute(REQUESTS);
    await dialog.getByRole("button", { name: "Sign in again" }).click();
    await shown(heading(page, "Project settings"));
    assert.equal(new URL(page.url()).pathname, `/projects/${id}/settings`);
    await eventually(async () => (await name.inputValue()) === "renamed", "the typed name");
  }
});

test("a message is shown if signing in again does not help", async (t) => {
  const page = await openPage(t);
  await page.goto(`${url}/projects`);
  await shown(heading(page, "Projects"));
  await page.route(REQUESTS, (route) =>
    route.fulfill({ status: 302, headers: { location: "https://access.example.com/" } }),
  );
  await page.keyboard.press("r");
  const dialog = page.getByRole("dialog", { name: "Your sign-in has ended" });
  await dialog.getByRole("button", { name: "Sign in again" }).click();
  await shown(dialog.getByText("Signing in again did not help."));
});

test("a lost connection is reported by one bar, until the data has been read again", async (t) => {
  await createProject("one bar");
  const page = await openPage(t);
  await page.goto(`${url}/projects`);
  await shown(page.getByRole("table", { name: "Projects" }));
  const texts = await page.evaluateHandle(() => {
    const texts = new Set();
    const note = () => document.querySelectorAll(".notbar .grow").forEach((bar) => texts.add(bar.textContent));
    new MutationObserver(note).observe(document.body, { subtree: true, childList: true, characterData: true });
    return texts;
  });
  await page.route(/\/(healthz|admin\/v1\/.*)$/, (route) => route.abort());
  await button(page, "Refresh").click();
  const bar = page.getByRole("status").filter({ hasText: "Not connected. Showing what was there at" });
  await shown(bar);
  const isRead = page.waitForResponse(/\/admin\/v1\/projects\?/);
  await page.unroute(/\/(healthz|admin\/v1\/.*)$/);
  await bar.getByRole("button", { name: "Try again" }).click();
  await hidden(bar);
  await isRead;
  const others = (await texts.evaluate((texts) => [...texts])).filter((text) => !text.startsWith("Not connected."));
  assert.deepEqual(others, []);
});

test("a server that does not respond at the start can be tried again", async (t) => {
  const page = await openPage(t);
  // The page also tries again automatically. The server must not respond before the button is pressed.
  const isPressed = () => page.evaluate(() => globalThis.isPressed).catch(() => false);
  await page.route("**/admin/v1/session", async (route) => ((await isPressed()) ? route.continue() : route.abort()));
  await page.goto(`${url}/projects`);
  await shown(heading(page, "AtlasHub does not respond"));
  const alert = page.getByRole("alert").filter({ hasText: "Check that the server is running" });
  await shown(alert);
  await shown(page.getByText(/Next attempt in \d s\.$/));
  assert.doesNotMatch(await alert.innerText(), /\d/, "no countdown is announced");
  await expectAccessible(page);
  await page.evaluate(() => addEventListener("pointerdown", () => (globalThis.isPressed = true), true));
  await button(page, "Try again").click();
  await shown(heading(page, "Projects"));
});

test("a refusal shows the message without a retry", async (t) => {
  const page = await openPage(t);
  await page.route("**/admin/v1/projects?*", (route) => route.fulfill(refusal(403, "You may not read projects.")));
  await page.goto(`${url}/projects`);
  const alert = page.getByRole("alert").filter({ hasText: "You may not read projects." });
  await shown(alert);
  assert.equal(await page.getByRole("button", { name: /^Try again/ }).count(), 0);
  await page.getByRole("button", { name: "Copy request id" }).click();
  await shown(page.getByRole("status").filter({ hasText: "Copied" }));
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), "0199c1de-4444");
});

test("a request to a busy server is repeated after its Retry-After", async (t) => {
  for (const status of [429, 503]) {
    const page = await openPage(t);
    // An event could make the page read the list again before the time is over.
    await page.route("**/admin/v1/events", (route) => route.abort());
    let responses = 0;
    await page.route("**/admin/v1/projects?*", (route) => {
      responses += 1;
      return responses === 1 ? route.fulfill(refusal(status, "Too busy.", { "retry-after": "2" })) : route.continue();
    });
    await page.goto(`${url}/projects`);
    const alert = page.getByRole("alert").filter({ hasText: "Projects could not be loaded." });
    await shown(alert.getByText("Too busy."));
    const retry = page.getByRole("button", { name: /^Try again in [12] s$/ });
    await shown(retry);
    assert.ok(await retry.isDisabled());
    assert.equal(await alert.getByRole("button").count(), 0, "no countdown is announced");
    await hidden(alert);
    await shown(
      page.getByRole("table", { name: "Projects" }).or(page.getByRole("heading", { name: "No projects yet" })),
    );
  }
});

test("data that can't be read again is reported, and the overview does not say that all is well", async (t) => {
  await createProject("outdated");
  const page = await openPage(t);
  const overview = { ...(await admin("GET", "/overview")), attention: [], problems: [] };
  await page.route("**/admin/v1/overview", (route) => route.fulfill({ json: overview }));
  const runs = page.waitForResponse("**/admin/v1/runs?limit=20");
  await page.goto(`${url}/`);
  const well = page.getByRole("status").filter({ hasText: "All is well." });
  await shown(well);
  await runs;
  await page.route(REQUESTS, (route) => route.fulfill(unavailable(4)));
  // The server keeps responding, so the page is still connected.
  const bar = outdated(page);
  await shown(bar.getByRole("alert").filter({ hasText: "Postgres can't be reached." }));
  await shown(bar.getByRole("button", { name: /^Try again in [1-4] s$/ }));
  await hidden(well);
  await shown(page.getByText("Not known: the data could not be refreshed.", { exact: true }));
  assert.equal(await page.getByRole("main").getByRole("alert").count(), 0, "only the bar reports the problem");
  await expectAccessible(page);
  await page.unroute(REQUESTS);
  await hidden(bar);
  await shown(well);
});

test("data that stays out of date is announced once, and its button does not flicker", async (t) => {
  await createProject("stays outdated");
  const page = await openPage(t);
  await page.goto(`${url}/projects`);
  await shown(page.getByRole("table", { name: "Projects" }));
  let requests = 0;
  await page.route(REQUESTS, (route) => {
    requests += 1;
    return route.fulfill(unavailable(2));
  });
  await button(page, "Refresh").click();
  const bar = outdated(page);
  await shown(bar.getByRole("button", { name: /^Try again in [12] s$/ }));
  assert.equal(await bar.getByRole("alert").getByRole("button").count(), 0, "no countdown is announced");
  // Reads the values of the frame again, too, so that several readers fail.
  await bar.getByRole("button", { name: "Try again", exact: true }).click();
  const changes = await countChanges(bar);
  const before = requests;
  await eventually(() => requests > before + 8, "more refused requests");
  assert.equal(await changes(), 0);
});

test("a session that can't be checked is not a sign-out", async (t) => {
  const page = await openPage(t);
  let refuses;
  await page.route("**/admin/v1/session", (route) =>
    refuses ? route.fulfill(unavailable(2)) : route.continue(),
  );
  for (const path of ["/projects", "/sign-in?next=%2Fprojects"]) {
    refuses = true;
    await page.goto(url + path);
    await shown(heading(page, "AtlasHub is not ready"));
    const alert = page.getByRole("alert").filter({ hasText: "Postgres can't be reached." });
    await shown(alert);
    const changes = await countChanges(alert);
    const id = page.getByText(/^Request id: /);
    const first = await id.innerText();
    await eventually(async () => (await id.innerText()) !== first, "the id of the next request");
    assert.equal(await changes(), 0, "the problem is announced once");
    assert.equal(await alert.getByRole("button").count(), 0, "no countdown is announced");
    await shown(page.getByRole("button", { name: /^Try again/ }));
    assert.equal(await page.getByLabel("Admin token").count(), 0);
    refuses = false;
    await shown(heading(page, "Projects"));
  }
});

test("an incomplete response is an error with a retry", async (t) => {
  const page = await openPage(t);
  // An event could make the page read the list again before the click.
  await page.route("**/admin/v1/events", (route) => route.abort());
  await page.route("**/admin/v1/projects?*", (route) =>
    route.fulfill({ status: 200, contentType: "application/json", body: '{"items": [' }),
  );
  await page.goto(`${url}/projects`);
  const alert = page.getByRole("alert").filter({ hasText: "The server's response could not be read." });
  await shown(alert);
  await page.unroute("**/admin/v1/projects?*");
  await button(page, "Try again").click();
  await hidden(alert);
});

test("another version of the server offers a reload", async (t) => {
  const page = await openPage(t);
  await page.goto(`${url}/projects`);
  await shown(heading(page, "Projects"));
  const notice = page.getByRole("status").filter({ hasText: "AtlasHub was upgraded" });
  assert.equal(await notice.count(), 0);
  await page.route("**/healthz", (route) =>
    route.fulfill({ json: { status: "ok" }, headers: { "x-atlashub-version": "99.0.0" } }),
  );
  await shown(notice);
  await page.unroute("**/healthz");
  await notice.getByRole("button", { name: "Reload" }).click();
  await hidden(notice);
  await shown(heading(page, "Projects"));
});

test("a panic covers the page with its message", async (t) => {
  const page = await openPage(t);
  await page.goto(`${url}/projects?panic=1`);
  const dialog = page.getByRole("alertdialog", { name: "The dashboard stopped" });
  await shown(dialog);
  await shown(dialog.getByText(/AtlasHub \d+\.\d+\.\d+/));
  await dialog.getByRole("button", { name: "Copy details" }).click();
  await eventually(async () => (await page.evaluate(() => navigator.clipboard.readText())).includes("panic=1"));
  await dialog.getByRole("button", { name: "Reload" }).click();
  await shown(heading(page, "Projects"));
  page.problems.length = 0;
});

test("the page shows the reason if the module does not load", async (t) => {
  for (const pattern of ["**/dashboard-*.wasm", "**/start-*.js"]) {
    const page = await openPage(t);
    await page.route(pattern, (route) => route.abort());
    await page.goto(`${url}/projects`);
    await shown(page.getByRole("heading", { name: "The dashboard could not start" }));
    assert.equal(await page.getByRole("link", { name: "The API" }).getAttribute("href"), "/openapi.json");
    page.problems.length = 0;
  }
});

test("response that arrived after its page was left is not taken for a new one", async (t) => {
  const page = await openPage(t);
  // Requests for the stream of events get no response, because the start of the stream would make lists outdated.
  await page.route("**/admin/v1/events*", () => {});
  const list = "**/admin/v1/projects?limit=200&include=totals";
  let answer;
  const isLeft = new Promise((resolve) => (answer = resolve));
  await page.route(list, async (route) => {
    const response = await route.fetch();
    await isLeft;
    await route.fulfill({ response });
  });
  await page.clock.install();
  await page.goto(url);
  const open = (name) =>
    page.getByRole("navigation", { name: "Platform" }).getByRole("link", { name, exact: true }).click();
  const isRead = page.waitForRequest(list);
  await open("Projects");
  await isRead;
  await open("Overview");
  const isAnswered = page.waitForResponse(list);
  answer();
  await isAnswered;
  await page.unroute(list);
  const { name } = await createProject("made later");
  await page.clock.fastForward(60_000);
  await open("Projects");
  await page.getByRole("link", { name, exact: true }).first().waitFor({ timeout: 8_000 });
});

test("a module that does not load within ten seconds is an error", async (t) => {
  const page = await openPage(t);
  await page.clock.install();
  await page.route("**/dashboard-*.wasm", () => {});
  await page.goto(`${url}/projects`, { waitUntil: "domcontentloaded" });
  await shown(page.locator(".app[aria-busy=true]"));
  await page.clock.runFor(10_500);
  await shown(page.getByRole("heading", { name: "The dashboard could not start" }));
  page.problems.length = 0;
});
