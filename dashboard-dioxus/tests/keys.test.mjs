import assert from "node:assert/strict";
import { test } from "node:test";
import {
  admin, button, createProject, eventually, expectAccessible, expectNamesContainTexts, heading, hidden, openPage,
  refusal, shown, url,
} from "./support.mjs";

test("a key is created, shown once, and revoked", async (t) => {
  const { id } = await createProject("keys");
  const page = await openPage(t);
  await page.goto(`${url}/projects/${id}/keys`);
  await shown(heading(page, "API keys"));
  await button(page, "New key").click();
  const form = page.getByRole("dialog", { name: "New key" });
  await form.getByRole("textbox", { name: "Name" }).fill("web");
  await form.getByRole("radio", { name: /Secret/ }).check();
  await form.getByRole("button", { name: "Create key" }).click();
  const store = page.getByRole("dialog", { name: "Store your key" });
  const key = await store.getByRole("textbox", { name: "Secret key" }).inputValue();
  assert.match(key, /^ah_sec_/);
  await store.getByRole("button", { name: "Copy secret key" }).click();
  // Screen readers ignore what is outside of the dialog.
  await shown(store.getByRole("status").getByText("Copied"));
  assert.ok(await button(page, "Done").isDisabled());
  await store.getByRole("checkbox", { name: "I have stored it" }).check();
  await button(page, "Done").click();
  const row = page.getByRole("table", { name: "API keys" }).getByRole("row").filter({ hasText: "web" });
  await shown(row.getByText("Active"));
  assert.ok(!(await page.content()).includes(key));

  await button(page, "Actions for web").click();
  await page.getByRole("menuitem", { name: "Revoke key" }).click();
  const revoke = page.getByRole("dialog", { name: "Revoke key" });
  await revoke.getByRole("button", { name: "Revoke key" }).click();
  await hidden(revoke);
  await hidden(row);
  await page.getByRole("switch", { name: "Show ended keys" }).check();
  await shown(row.getByText("Revoked"));
});

test("new keys are shown with a message if the API URL could not be loaded", async (t) => {
  const { id } = await createProject("no api url");
  const page = await openPage(t);
  await page.route("**/admin/v1/system", (route) => route.fulfill(refusal(500, "Not now.")));
  await page.goto(`${url}/projects/${id}/keys`);
  await button(page, "New key").click();
  const form = page.getByRole("dialog", { name: "New key" });
  await form.getByRole("textbox", { name: "Name" }).fill("server");
  await form.getByRole("radio", { name: /Secret/ }).check();
  await form.getByRole("button", { name: "Create key" }).click();
  const store = page.getByRole("dialog", { name: "Store your key" });
  await shown(store.getByRole("alert").filter({ hasText: "The API URL could not be loaded" }));
  await page.unroute("**/admin/v1/system");
  // The page also tries again by itself, which removes the button.
  await store.getByRole("button", { name: "Try again" }).click({ timeout: 5_000 }).catch(() => {});
  await hidden(store.getByRole("alert"));
  await shown(store.getByText("ATLASHUB_API_URL=http"));
});

// Sends a request with a key to the public API, as an app does. Returns the status of the response.
async function use(project, key) {
  const { publicUrl } = await admin("GET", "/system");
  const response = await fetch(`${publicUrl}/v1/db/tables`, { headers: { "x-api-key": key } });
  await response.arrayBuffer();
  return response.status;
}

test("revoking a key that is in use requires its name, and the key stops working", async (t) => {
  const project = await createProject("in use");
  const { key } = await admin("POST", `/projects/${project.id}/keys`, { type: "secret", name: "server" });
  assert.equal(await use(project, key), 200);
  const page = await openPage(t);
  await page.goto(`${url}/projects/${project.id}/keys`);
  const row = page.getByRole("table", { name: "API keys" }).getByRole("row").filter({ hasText: "server" });
  await eventually(async () => {
    const { items } = await admin("GET", `/projects/${project.id}/keys`);
    return items.some((item) => item.name === "server" && item.lastUsedAt);
  }, "the last use");
  await page.reload();
  await shown(row.getByText(/just now|min ago/));
  await button(page, "Actions for server").click();
  await page.getByRole("menuitem", { name: "Revoke key" }).click();
  const revoke = page.getByRole("dialog", { name: "Revoke key" });
  await shown(revoke.getByText(/Last used .* Requests with it fail within a second\. This can't be undone\./));
  await shown(revoke.getByText(/^Secret key server, ah_sec_\w+…: /));
  assert.ok(await revoke.getByRole("button", { name: "Revoke key" }).isDisabled());
  // "Cancel" has the focus. Typing moves it to the field.
  await page.keyboard.type("server");
  assert.equal(await revoke.getByRole("textbox", { name: "Type server to confirm" }).inputValue(), "server");
  await revoke.getByRole("button", { name: "Revoke key" }).click();
  await hidden(revoke);
  await eventually(async () => (await use(project, key)) === 401, "the refusal");
});

test("rotating a key keeps the old key for the chosen time", async (t) => {
  const project = await createProject("rotation");
  await admin("POST", `/projects/${project.id}/keys`, { type: "secret", name: "worker" });
  const page = await openPage(t);
  await page.goto(`${url}/projects/${project.id}/keys`);
  await button(page, "Actions for worker").click();
  await page.getByRole("menuitem", { name: "Rotate key" }).click();
  const rotate = page.getByRole("dialog", { name: "Rotate key" });
  await shown(rotate.getByText("It has never been used."));
  const overlap = rotate.getByRole("combobox", { name: "Old key keeps working for" });
  assert.deepEqual(await overlap.locator("option").allTextContents(), [
    "Not at all",
    "1 hour",
    "1 day",
    "7 days",
    "30 days",
  ]);
  await overlap.selectOption("1 hour");
  // The field has the focus, and Control+Enter submits the form.
  await page.keyboard.press("Control+Enter");
  const store = page.getByRole("dialog", { name: "Store your key" });
  await shown(store);
  await page.keyboard.press("Escape");
  await shown(store);
  await store.getByRole("checkbox", { name: "I have stored it" }).check();
  await store.getByRole("button", { name: "Done" }).click();
  await page.goto(`${url}/projects/${project.id}/keys`);
  await shown(page.getByText(/Rotating, old ends in/).first());
  await shown(page.getByText("The old key was never used: revoke it now").first());
});

test("the form of a new key checks its fields and keeps their values", async (t) => {
  const { id } = await createProject("form");
  const page = await openPage(t);
  await page.goto(`${url}/projects/${id}/keys`);
  await button(page, "New key").click();
  const form = page.getByRole("dialog", { name: "New key" });
  const name = form.getByRole("textbox", { name: "Name" });
  await form.getByRole("button", { name: "Create key" }).click();
  await shown(form.getByText("Enter a name."));
  assert.equal(await name.getAttribute("aria-invalid"), "true");
  await name.fill("kept");
  await form.getByRole("radio", { name: "Secret", exact: true }).check();
  await form.getByRole("combobox", { name: "Expires" }).selectOption({ label: "On a date" });
  await form.getByLabel("Expires on").fill("2020-01-01");
  await form.getByRole("button", { name: "Create key" }).click();
  await shown(form.getByText("Choose today or a later date."));
  await page.reload();
  await button(page, "New key").click();
  assert.equal(await name.inputValue(), "kept");
  assert.ok(await form.getByRole("radio", { name: "Secret", exact: true }).isChecked());
  await form.getByRole("button", { name: "Cancel" }).click();
  await button(page, "New key").click();
  assert.equal(await name.inputValue(), "");
});

test("keys with the same name are told apart, and revoking the last publishable key shows a warning", async (t) => {
  const { id } = await createProject("ambiguous");
  const page = await openPage(t);
  await page.goto(`${url}/projects/${id}/keys`);
  await shown(button(page, "Actions for default (secret)"));
  await button(page, "Actions for default (publishable)").click();
  await page.getByRole("menuitem", { name: "Revoke key" }).click();
  const dialog = page.getByRole("dialog", { name: "Revoke key" });
  await shown(dialog.getByText("It is the last publishable key"));
  await dialog.getByRole("button", { name: "Revoke key" }).click();
  await hidden(dialog);
  await shown(button(page, "Actions for default"));
});

test("keys move the focus through the list and open the actions of a key", async (t) => {
  const { id } = await createProject("list keys");
  const page = await openPage(t);
  await page.goto(`${url}/projects/${id}/keys`);
  await shown(page.getByRole("table", { name: "API keys" }));
  const focused = () => page.evaluate(() => document.activeElement?.getAttribute("aria-label"));
  await page.keyboard.press("j");
  await eventually(async () => (await focused()) === "Actions for default (publishable)", "the first key");
  await page.keyboard.press("j");
  await eventually(async () => (await focused()) === "Actions for default (secret)", "the second key");
  await page.keyboard.press(".");
  await shown(page.getByRole("menuitem", { name: "Revoke key" }));
});

test("a filter without matches shows a message", async (t) => {
  const { id } = await createProject("filter");
  const page = await openPage(t);
  await page.goto(`${url}/projects/${id}/keys`);
  await page.getByRole("searchbox", { name: "Filter API keys" }).fill("nothing like this");
  await shown(page.getByRole("heading", { name: "No key matches" }));
  await button(page, "Clear filters").click();
  await shown(page.getByRole("table", { name: "API keys" }));
});

test("menus work with the keyboard and return the focus", async (t) => {
  const { id } = await createProject("keyboard");
  const page = await openPage(t);
  await page.goto(`${url}/projects/${id}/keys`);
  const actions = page.getByRole("button", { name: "Actions for default" }).first();
  await actions.focus();
  await page.keyboard.press("Enter");
  await eventually(() => page.evaluate(() => document.activeElement?.textContent === "Edit key"));
  await page.keyboard.press("ArrowDown");
  await eventually(() => page.evaluate(() => document.activeElement?.textContent === "Rotate key"));
  await page.keyboard.press("Escape");
  await eventually(() => actions.evaluate((element) => element === document.activeElement));
});

test("the page is accessible", async (t) => {
  const { id } = await createProject("accessible keys");
  for (const narrow of [false, true]) {
    const page = await openPage(t, { narrow });
    await page.goto(`${url}/projects/${id}/keys`);
    await shown(page.getByRole(narrow ? "list" : "table", { name: "API keys" }));
    await expectAccessible(page);
    await expectNamesContainTexts(page);
  }
});

test("the dialogs are accessible, and Esc closes them", async (t) => {
  const project = await createProject("key dialogs");
  await admin("POST", `/projects/${project.id}/keys`, { type: "publishable", name: "web" });
  for (const narrow of [false, true]) {
    const page = await openPage(t, { narrow });
    await page.goto(`${url}/projects/${project.id}/keys`);
    await button(page, "New key").click();
    await closesWithEsc(page, "New key");
    for (const act of ["Edit key", "Rotate key", "Revoke key"]) {
      await button(page, "Actions for web").click();
      await page.getByRole("menuitem", { name: act }).click();
      await closesWithEsc(page, act);
    }
  }
});

async function closesWithEsc(page, name) {
  const dialog = page.getByRole("dialog", { name });
  await shown(dialog);
  await expectAccessible(page);
  await page.keyboard.press("Escape");
  await hidden(dialog);
}

test("the palette opens the form of a new key", async (t) => {
  const { id } = await createProject("palette key");
  const page = await openPage(t);
  await page.goto(`${url}/projects/${id}`);
  await shown(page.getByRole("navigation", { name: "Project" }));
  await page.keyboard.press("Control+k");
  await page.getByRole("combobox", { name: "Search or run a command" }).fill("new key");
  await page.keyboard.press("Enter");
  const dialog = page.getByRole("dialog", { name: "New key" });
  await shown(dialog);
  await dialog.getByRole("combobox", { name: "Expires" }).selectOption({ label: "On a date" });
  await dialog.getByRole("textbox", { name: "Name" }).fill("dated");
  await dialog.getByRole("button", { name: "Create key" }).click();
  await shown(dialog.getByText("Choose today or a later date."));
  await dialog.getByRole("button", { name: "Cancel" }).click();
  await hidden(dialog);
  assert.equal(new URL(page.url()).search, "");
});

test("dialogs that create a key stay open until the key has arrived", async (t) => {
  const project = await createProject("pending key");
  await admin("POST", `/projects/${project.id}/keys`, { type: "secret", name: "worker" });
  const page = await openPage(t);
  await page.goto(`${url}/projects/${project.id}/keys`);
  const create = async () => {
    await button(page, "New key").first().click();
    const dialog = page.getByRole("dialog", { name: "New key" });
    await dialog.getByRole("textbox", { name: "Name" }).fill("web");
    await dialog.getByRole("button", { name: "Create key" }).click();
    return dialog;
  };
  const rotate = async () => {
    await button(page, "Actions for worker").click();
    await page.getByRole("menuitem", { name: "Rotate key" }).click();
    const dialog = page.getByRole("dialog", { name: "Rotate key" });
    await dialog.getByRole("button", { name: "Rotate key" }).click();
    return dialog;
  };
  for (const [route, begin] of [["keys", create], ["keys/*/rotate", rotate]]) {
    let release;
    const held = new Promise((resolve) => (release = resolve));
    t.after(() => release());
    await page.route(`**/admin/v1/projects/${project.id}/${route}`, async (route) => {
      if (route.request().method() === "POST") await held;
      await route.continue();
    });
    const dialog = await begin();
    await eventually(() => dialog.getByRole("button", { name: "Cancel" }).isDisabled(), "the request");
    await page.keyboard.press("Escape");
    assert.ok(await dialog.isVisible());
    release();
    const store = page.getByRole("dialog", { name: "Store your key" });
    await store.getByRole("checkbox", { name: "I have stored it" }).check();
    await store.getByRole("button", { name: "Done" }).click();
    await hidden(store);
  }
});
