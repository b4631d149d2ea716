import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, before, test } from "node:test";
import { admin, button, eventually, expectAccessible, heading, hidden, openPage, shown, url } from "./support.mjs";

const SECRET = "a-secret-of-the-tests";
// Part of the names of all channels of this file.
const unique = Date.now().toString(36);

let receiver;
let receiverUrl;
const received = [];

before(async () => {
  receiver = createServer((request, response) => {
    request.on("data", (chunk) => received.push(chunk.toString()));
    request.on("end", () => response.writeHead(request.url.startsWith("/refused") ? 401 : 204).end());
  });
  await new Promise((resolve) => receiver.listen(0, resolve));
  receiverUrl = `http://localhost:${receiver.address().port}`;
});
after(async () => {
  receiver.closeAllConnections();
  receiver.close();
  for (const { id, name } of (await admin("GET", "/notifications?limit=200")).items) {
    if (name.endsWith(unique)) await admin("DELETE", `/notifications/${id}`);
  }
});

const channels = (page) => page.getByRole("table", { name: "Channels" });
const create = (name, extra) =>
  admin("POST", "/notifications", {
    name, kind: "webhook", url: `${receiverUrl}/hidden-path`, secret: SECRET, events: ["runFailed"], ...extra,
  });

async function openForm(t) {
  const page = await openPage(t);
  await page.goto(`${url}/notifications`);
  await shown(heading(page, "Notifications"));
  await button(page, "New channel").first().click();
  const form = page.getByRole("dialog", { name: "New channel" });
  await form.getByRole("radio", { name: "Webhook" }).check();
  return { page, form };
}

test("channel is tested before it is saved, and its URL is not shown again", async (t) => {
  const { page, form } = await openForm(t);
  await form.getByRole("textbox", { name: "Name" }).fill(`ops ${unique}`);
  await form.getByLabel("URL").fill(`${receiverUrl}/hidden-path`);
  await form.getByLabel("Secret").fill(SECRET);
  assert.ok(await form.getByRole("checkbox", { name: /A run fails/ }).isChecked());
  assert.ok(!(await form.getByRole("checkbox", { name: /A backup is done/ }).isChecked()));
  await form.getByRole("button", { name: "Send test" }).click();
  await shown(form.getByRole("status").getByText(/^Delivered in /));
  assert.ok(received.length > 0);
  assert.ok(!(await admin("GET", "/notifications?limit=200")).items.some(({ name }) => name === `ops ${unique}`));
  await form.getByRole("button", { name: "Create channel" }).click();
  const row = channels(page).getByRole("row").filter({ hasText: `ops ${unique}` });
  await shown(row.getByText(receiverUrl, { exact: true }));
  assert.ok(!(await page.content()).includes("hidden-path"));
  await shown(page.getByRole("status").getByText(new RegExp(`^Failures go to .*ops ${unique}`)));
  // The settings were tested before they were saved.
  await hidden(row.getByText("Not tested since it was saved"));
  await row.getByRole("link", { name: `ops ${unique}` }).click();
  const saved = page.getByRole("dialog", { name: `ops ${unique}` });
  assert.equal(await saved.getByLabel("Secret").inputValue(), "");
  assert.equal(await saved.getByLabel("URL").getAttribute("placeholder"), "Stored; type to replace");
  await saved.getByRole("textbox", { name: "Name" }).fill(`renamed ${unique}`);
  await shown(saved.getByRole("status").getByText("Not saved"));
  await saved.getByRole("button", { name: "Save channel" }).click();
  const renamed = channels(page).getByRole("row").filter({ hasText: `renamed ${unique}` });
  await shown(renamed);
  // Another name does not change the tested settings.
  await hidden(renamed.getByText("Not tested since it was saved"));
});

test("failed test of a channel shows the reason", async (t) => {
  const { form } = await openForm(t);
  await form.getByLabel("URL").fill(`${receiverUrl}/refused`);
  await form.getByLabel("Secret").fill(SECRET);
  await form.getByRole("button", { name: "Send test" }).click();
  await shown(form.getByRole("alert").getByText("The receiver returned 401."));
  await form.getByLabel("URL").fill("http://localhost:9/dead");
  await form.getByRole("button", { name: "Send test" }).click();
  await shown(form.getByRole("alert").getByText("connection refused"));
});

test("result of a test is in sight on a phone, and a wrong field gets the focus", async (t) => {
  const page = await openPage(t, { narrow: true });
  await page.goto(`${url}/notifications?channel=new`);
  const form = page.getByRole("dialog", { name: "New channel" });
  await form.getByRole("radio", { name: "Webhook" }).check();
  const send = form.getByRole("button", { name: "Send test" });
  await form.getByLabel("URL").fill(`${receiverUrl}/refused`);
  await form.getByLabel("Secret").fill("short");
  await send.tap();
  const isFocused = () => form.getByLabel("Secret").evaluate((field) => field === document.activeElement);
  await eventually(isFocused, "the focus on the wrong field");
  await form.getByLabel("Secret").fill(SECRET);
  await send.tap();
  const alert = form.getByRole("alert").filter({ hasText: "The receiver returned 401." });
  await shown(alert);
  const isInSight = () => alert.evaluate((element) => {
    const [inner, outer] = [element, element.closest(".sheet > .body")].map((part) => part.getBoundingClientRect());
    return inner.top >= outer.top && inner.bottom <= outer.bottom;
  });
  await eventually(isInSight, "the result in sight");
});

test("secret of a webhook is generated, and copied before it is hidden", async (t) => {
  const { page, form } = await openForm(t);
  await form.getByRole("button", { name: "Generate" }).click();
  const secret = await form.locator("#channel-secret").inputValue();
  assert.match(secret, /^[0-9a-f]{64}$/);
  await form.getByRole("button", { name: "Copy secret" }).click();
  const copied = () => page.evaluate(() => navigator.clipboard.readText());
  await eventually(async () => (await copied()) === secret, "the secret in the clipboard");
});

test("error is shown at the field with the wrong value", async (t) => {
  const { form } = await openForm(t);
  await form.getByRole("textbox", { name: "Name" }).fill(`wrong ${unique}`);
  await form.getByLabel("URL").fill(`${receiverUrl}/x`);
  await form.getByLabel("Secret").fill("short");
  await form.getByRole("button", { name: "Create channel" }).click();
  await eventually(async () => (await form.getByLabel("Secret").getAttribute("aria-invalid")) === "true");
  await shown(form.getByRole("alert").getByText("16"));
});

test("channel is switched off, tested and deleted in the list", async (t) => {
  const name = `list ${unique}`;
  const { id } = await create(name);
  const page = await openPage(t);
  await page.goto(`${url}/notifications`);
  const row = channels(page).getByRole("row").filter({ hasText: name });
  await page.getByRole("switch", { name: `Enable ${name}` }).uncheck();
  await eventually(async () => !(await admin("GET", `/notifications/${id}`)).enabled, "the channel that is off");
  await eventually(async () => (await row.getAttribute("class")) === "is-off", "the row of the channel that is off");
  // The switch also follows changes that others make.
  await admin("PATCH", `/notifications/${id}`, { enabled: true });
  await eventually(() => page.getByRole("switch", { name: `Enable ${name}` }).isChecked(), "the channel that is on");
  await button(page, `Send test to ${name}`).click();
  await shown(page.getByRole("region", { name: "Messages" }).getByText(`Delivered to ${name}`));
  await button(page, `Actions for ${name}`).click();
  await page.getByRole("menuitem", { name: "Delete channel" }).click();
  await page.getByRole("dialog", { name: "Delete channel" }).getByRole("button", { name: "Delete channel" }).click();
  await hidden(row);
});

test("switch of a channel shows that another tab has enabled the channel again", async (t) => {
  const name = `switched ${unique}`;
  const { id } = await create(name);
  const page = await openPage(t);
  await page.route(`**/admin/v1/notifications/${id}`, async (route) => {
    const response = await route.fetch();
    await admin("PATCH", `/notifications/${id}`, { enabled: true });
    await route.fulfill({ response });
  });
  await page.goto(`${url}/notifications`);
  const isSaved = page.waitForResponse((response) => response.request().method() === "PATCH");
  const control = page.getByRole("switch", { name: `Enable ${name}` });
  await control.click();
  assert.equal((await (await isSaved).json()).enabled, false);
  await eventually(() => control.isChecked(), "the state that the other tab has set");
});

test("switch of a channel shows the second of two quick choices while the first is saved", async (t) => {
  const name = `switched twice ${unique}`;
  const { id } = await create(name);
  const page = await openPage(t);
  let release;
  const isReleased = new Promise((resolve) => (release = resolve));
  let note;
  const isChosenTwice = new Promise((resolve) => (note = resolve));
  await page.route(`**/admin/v1/notifications/${id}`, async (route) => {
    const { enabled } = route.request().postDataJSON();
    if (enabled) note();
    await (enabled ? isReleased : isChosenTwice);
    await route.continue();
  });
  await page.goto(`${url}/notifications`);
  const control = page.getByRole("switch", { name: `Enable ${name}` });
  const row = channels(page).getByRole("row").filter({ hasText: name });
  await control.click();
  await control.click();
  // The list is read again, with the first choice.
  await eventually(async () => (await row.getAttribute("class")) === "is-off", "the row with the first choice");
  assert.ok(await control.isChecked());
  release();
  await eventually(async () => (await row.getAttribute("class")) !== "is-off", "the row with the second choice");
  assert.ok(await control.isChecked());
});

test("phone mutes a channel", async (t) => {
  const name = `muted ${unique}`;
  const { id } = await create(name);
  const page = await openPage(t, { narrow: true });
  await page.goto(`${url}/notifications`);
  await page.getByRole("switch", { name: `Enable ${name}` }).tap();
  await eventually(async () => !(await admin("GET", `/notifications/${id}`)).enabled, "the channel that is off");
});

test("list shows why a delivery failed", async (t) => {
  const name = `failing ${unique}`;
  await create(name, { url: `${receiverUrl}/refused` });
  const page = await openPage(t);
  await page.goto(`${url}/notifications`);
  await button(page, `Send test to ${name}`).click();
  await shown(channels(page).getByRole("row").filter({ hasText: name }).getByText("The receiver returned 401."));
});

test("server without channels warns that nobody is notified of failures", async (t) => {
  const page = await openPage(t);
  await page.route("**/admin/v1/notifications?*", (route) => route.fulfill({ json: { items: [], nextCursor: null } }));
  await page.goto(`${url}/notifications`);
  await shown(page.getByRole("note").getByText("Nobody is notified when a run or backup fails.", { exact: true }));
  await shown(page.getByRole("heading", { level: 2, name: "No channels" }));
});

test("page says that no channel reports failed backups, and that a channel was not tested", async (t) => {
  const page = await openPage(t);
  const channel = await create(`runs only ${unique}`);
  await page.route("**/admin/v1/notifications?*", (route) =>
    route.fulfill({ json: { items: [channel], nextCursor: null } }),
  );
  await page.goto(`${url}/notifications`);
  await shown(page.getByRole("note").getByText("Failed backups are reported to nobody.", { exact: true }));
  const summary = new RegExp(`^Failed runs go to ${channel.name}\\..*Nothing was sent`);
  await shown(page.getByRole("status").getByText(summary));
  await shown(channels(page).getByText("Not tested since it was saved"));
});

test("page of notifications is accessible", async (t) => {
  await create(`accessible ${unique}`);
  for (const narrow of [false, true]) {
    const page = await openPage(t, { narrow });
    await page.goto(`${url}/notifications`);
    await shown(page.getByRole(narrow ? "list" : "table", { name: "Channels" }));
    await expectAccessible(page);
    await button(page, "New channel").click();
    await page.getByRole("radio", { name: "E-mail" }).check();
    await shown(page.getByLabel("Server"));
    await expectAccessible(page);
  }
});

test("explanation that is open beside a form has its own title", async (t) => {
  const page = await openPage(t);
  await page.goto(`${url}/notifications?channel=new&help=notifications`);
  await shown(page.getByRole("dialog", { name: "New channel", exact: true }));
  await shown(page.getByRole("dialog", { name: "About notifications", exact: true }));
});

test("sheet of another channel shows no text that was typed for the first channel", async (t) => {
  const [first, second] = [await create(`first ${unique}`), await create(`second ${unique}`)];
  const page = await openPage(t);
  await page.goto(`${url}/notifications?channel=${first.id}`);
  const name = page.getByRole("dialog").getByRole("textbox", { name: "Name" });
  await eventually(async () => (await name.inputValue()) === `first ${unique}`);
  await name.fill("typed for the first");
  // The address changes, and the page stays, as with Back and Forward.
  await page.evaluate((id) => {
    history.pushState(null, "", `/notifications?channel=${id}`);
    dispatchEvent(new PopStateEvent("popstate"));
  }, second.id);
  await eventually(async () => (await name.inputValue()) === `second ${unique}`, "the name of the second channel");
});

test("saving a channel sends only what was changed in the form", async (t) => {
  const settings = { url: undefined, secret: undefined, host: "localhost", to: ["ops@example.com"] };
  const channel = await create(`sent ${unique}`, { ...settings, kind: "email", from: "a@example.com", enabled: false });
  const page = await openPage(t);
  await page.goto(`${url}/notifications?channel=${channel.id}`);
  const form = page.getByRole("dialog");
  for (const [change, expected] of [
    [() => form.getByRole("textbox", { name: "From", exact: true }).fill("b@example.com"), { from: "b@example.com" }],
    [() => form.getByRole("checkbox", { name: /A backup fails/ }).check(), { events: ["runFailed", "backupFailed"] }],
    [() => form.getByRole("textbox", { name: "Name", exact: true }).fill(`x ${unique}`), { name: `x ${unique}` }],
  ]) {
    await change();
    const saved = page.waitForRequest((request) => request.method() === "PATCH");
    await button(form, "Save channel").click();
    assert.deepEqual((await saved).postDataJSON(), expected);
    await hidden(form);
    await page.goto(`${url}/notifications?channel=${channel.id}`);
  }
});

test("event that another tab has just chosen is kept when other events are saved", async (t) => {
  const channel = await create(`events ${unique}`);
  const page = await openPage(t);
  // The list does not show the other tab's change before the form is saved.
  await page.route("**/admin/v1/notifications?*", (route) =>
    route.fulfill({ json: { items: [channel], nextCursor: null } }),
  );
  await page.goto(`${url}/notifications?channel=${channel.id}`);
  const form = page.getByRole("dialog");
  await form.getByRole("checkbox", { name: /A backup fails/ }).check();
  await admin("PATCH", `/notifications/${channel.id}`, { events: ["runFailed", "diskLow"] });
  await button(form, "Save channel").click();
  await hidden(form);
  const { events } = await admin("GET", `/notifications/${channel.id}`);
  assert.deepEqual(events.toSorted(), ["backupFailed", "diskLow", "runFailed"]);
});

test("field without input follows the change of another tab", async (t) => {
  const settings = { url: undefined, secret: undefined, host: "localhost", to: ["ops@example.com"] };
  const from = (name) => `${name}@example.com`;
  const mail = { ...settings, kind: "email", from: from("first"), enabled: false };
  const channel = await create(`two tabs ${unique}`, mail);
  const page = await openPage(t);
  await page.clock.install();
  await page.goto(`${url}/notifications?channel=${channel.id}`);
  const field = (name) => page.getByRole("dialog").getByRole("textbox", { name, exact: true });
  await field("User name").fill("typed");
  await admin("PATCH", `/notifications/${channel.id}`, { from: from("second") });
  // The page reads the channels at intervals.
  await eventually(async () => {
    await page.clock.fastForward(20_000);
    return (await field("From").inputValue()) === from("second");
  }, "the change of the other tab");
  assert.equal(await field("User name").inputValue(), "typed");
  await page.goto(`${url}/settings`);
  await admin("PATCH", `/notifications/${channel.id}`, { from: from("third") });
  await page.goto(`${url}/notifications?channel=${channel.id}`);
  await eventually(async () => (await field("From").inputValue()) === from("third"), "the change after a reload");
  assert.equal(await field("User name").inputValue(), "typed");
});

test("error about the events of a channel is at the events", async (t) => {
  const { form } = await openForm(t);
  await form.getByRole("textbox", { name: "Name" }).fill(`no events ${unique}`);
  await form.getByLabel("URL").fill(receiverUrl);
  await form.getByLabel("Secret").fill(SECRET);
  const events = form.getByRole("group", { name: "Events" });
  for (const box of await events.getByRole("checkbox").all()) await box.uncheck();
  await button(form, "Create channel").click();
  await shown(events.getByRole("alert"));
  const described = await events.getAttribute("aria-describedby");
  assert.equal(await form.locator(`#${described}`).innerText(), await events.getByRole("alert").innerText());
});
