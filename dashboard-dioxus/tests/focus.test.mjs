// The focus while an action is in progress, after it is refused, and after the focused element is removed.

import assert from "node:assert/strict";
import { test } from "node:test";
import { button, createProject, eventually, heading, openPage, refusal, shown, url } from "./support.mjs";
import { address, withTables } from "./tables-support.mjs";

const hasFocus = (locator) => locator.evaluate((element) => element === document.activeElement);
const isFocused = (locator, name) => eventually(() => hasFocus(locator), `the focus on ${name}`);

// Holds `POST` requests to these URLs until the test responds to them.
async function hold(page, addresses) {
  const requests = [];
  await page.route(addresses, (route) => {
    if (route.request().method() === "POST") requests.push(route);
    else return route.continue();
  });
  return requests;
}

// Opens the form of a channel that can be tested, focuses its button and keeps the requests of tests.
async function openTest(t) {
  const page = await openPage(t);
  const requests = await hold(page, "**/admin/v1/notifications/test");
  await page.goto(`${url}/notifications?channel=new`);
  const form = page.getByRole("dialog", { name: "New channel" });
  await form.getByRole("radio", { name: "Webhook" }).check();
  await form.getByLabel("URL").fill("http://localhost:9/dead");
  await form.getByLabel("Secret").fill("a-secret-of-the-tests");
  const send = form.getByRole("button", { name: "Send test" });
  await send.focus();
  return { page, requests, form, send };
}

test("button keeps the focus while its request is in progress, and does nothing if it is pressed again", async (t) => {
  const { page, requests, form, send } = await openTest(t);
  await page.keyboard.press("Enter");
  await eventually(() => send.isDisabled(), "the disabled button");
  await eventually(() => requests.length === 1, "the request");
  await page.keyboard.press("Enter");
  await page.keyboard.press("Space");
  assert.ok(await hasFocus(send));
  await requests[0].fulfill(refusal(500, "The test has failed."));
  await shown(form.getByRole("alert").getByText("The test has failed."));
  await eventually(() => send.isEnabled(), "the enabled button");
  assert.ok(await hasFocus(send));
  assert.equal(requests.length, 1);
});

test("button whose request has failed does not send it again while Enter is held", async (t) => {
  const { page, requests, form, send } = await openTest(t);
  await page.keyboard.down("Enter");
  await eventually(() => requests.length === 1, "the request");
  await requests[0].fulfill(refusal(500, "The test has failed."));
  await shown(form.getByRole("alert").getByText("The test has failed."));
  await eventually(() => send.isEnabled(), "the enabled button");
  const clicks = await send.evaluateHandle((button) => {
    const clicks = [];
    button.addEventListener("click", () => clicks.push("click"));
    return clicks;
  });
  // The key is still down, so the browser reports a repetition.
  await page.keyboard.down("Enter");
  await page.keyboard.up("Enter");
  assert.deepEqual(await clicks.jsonValue(), []);
  await page.keyboard.press("Enter");
  await eventually(() => requests.length > 1, "the request of the next press");
  await requests[1].fulfill(refusal(500, "The next test has failed."));
  await shown(form.getByRole("alert").getByText("The next test has failed."));
  assert.equal(requests.length, 2);
});

test("Enter in a field does not submit the form again while its request is in progress", async (t) => {
  const { id } = await createProject("focus");
  const page = await openPage(t);
  const requests = await hold(page, `**/admin/v1/projects/${id}/keys`);
  await page.goto(`${url}/projects/${id}/keys`);
  await button(page, "New key").click();
  const dialog = page.getByRole("dialog", { name: "New key" });
  await dialog.getByRole("textbox", { name: "Name" }).fill("once");
  await page.keyboard.press("Enter");
  const create = dialog.getByRole("button", { name: "Create key" });
  await eventually(() => create.isDisabled(), "the disabled button");
  await eventually(() => requests.length === 1, "the request");
  await page.keyboard.press("Enter");
  await page.keyboard.press("Control+Enter");
  await requests[0].fulfill(refusal(500, "The key was not created."));
  await shown(dialog.getByText("The key was not created."));
  assert.equal(requests.length, 1);
  assert.ok(await hasFocus(dialog.getByRole("textbox", { name: "Name" })));
});

test("focus moves from the button that creates a table to the field that the server refuses", async (t) => {
  const project = await createProject("focus");
  const page = await openPage(t);
  await page.goto(address(project));
  await shown(heading(page, "Tables"));
  await button(page, "New table").first().click();
  const form = page.getByRole("dialog", { name: "New table" });
  await form.getByRole("textbox", { name: "Name", exact: true }).fill("refused");
  const type = form.getByRole("combobox", { name: "Type of column 1" });
  await type.fill("no_such_type");
  const create = form.getByRole("button", { name: "Create table" });
  await create.focus();
  await page.keyboard.press("Enter");
  await shown(form.getByRole("alert").filter({ hasText: "no_such_type" }));
  await isFocused(type, "the type");
  await eventually(() => create.isEnabled(), "the enabled button");
});

test("removed column leaves the focus on the column before it, or on the button that adds one", async (t) => {
  const project = await createProject("focus");
  const page = await openPage(t);
  await page.goto(address(project));
  await button(page, "New table").first().click();
  const form = page.getByRole("dialog", { name: "New table" });
  const remove = (number) => form.getByRole("button", { name: `Remove column ${number}`, exact: true });
  await remove(2).press("Enter");
  await isFocused(remove(1), "column 1");
  await page.keyboard.press("Enter");
  await isFocused(form.getByRole("button", { name: "Add column" }), "the button that adds a column");
});

test("last page keeps the focus on the button that opened it", async (t) => {
  const project = await withTables("long");
  const page = await openPage(t);
  await page.goto(address(project, { table: "long_list", order: "id", limit: "500" }));
  const paging = page.getByRole("group", { name: "Paging" });
  const next = paging.getByRole("button", { name: "Next page" });
  await shown(paging.getByText(/^1–500/));
  await next.press("Enter");
  await shown(paging.getByText(/^501–/));
  await eventually(() => next.isDisabled(), "the last page");
  assert.ok(await hasFocus(next));
});

test("button that turns on login hands the focus over to the page", async (t) => {
  const { id } = await createProject("focus");
  const page = await openPage(t);
  await page.goto(`${url}/projects/${id}/users`);
  await button(page, "Turn on").press("Enter");
  await shown(page.getByText("No users yet"));
  await isFocused(page.getByRole("main"), "the page");
});
