// The form of a row: its fields, and its messages.

import assert from "node:assert/strict";
import { test } from "node:test";
import { admin, button, createProject, eventually, openPage, refusal, shown, url } from "./support.mjs";

test("form of a row says once, at the field, how to write a date", async (t) => {
  const { id } = await createProject("form", ["create table events (id int primary key, day date not null)"]);
  const page = await openPage(t);
  await page.goto(`${url}/projects/${id}/tables?table=events`);
  await button(page, "Insert row").first().click();
  const form = page.getByRole("dialog", { name: "New row in events" });
  await form.getByLabel(/^id/).fill("1");
  const day = form.getByLabel(/^day/);
  await day.fill("31.12.2024");
  await form.getByRole("button", { name: "Create row" }).click();
  const reason = form.getByText("Write the date as 2024-12-31.");
  await shown(reason);
  assert.equal(await reason.count(), 1);
  const described = await day.getAttribute("aria-describedby");
  assert.match(await form.locator(`#${described}`).innerText(), /Write the date as 2024-12-31\./);
  await shown(form.getByRole("alert").getByText("The row was not created. The field says why."));
  const words = await form.innerText();
  assert.ok(!words.includes("`") && !words.includes("%2B"), words);
});

test("list of a foreign key opens when the owner asks for it, not with the form", async (t) => {
  const { id } = await createProject("references", [
    "create table authors (id int primary key)",
    "create table books (id int generated always as identity primary key, author int references authors)",
    "insert into authors values (11)",
  ]);
  const page = await openPage(t);
  await page.goto(`${url}/projects/${id}/tables?table=books`);
  await button(page, "Insert row").first().click();
  const form = page.getByRole("dialog", { name: "New row in books" });
  const author = form.getByRole("combobox", { name: /^author/ });
  await eventually(() => author.evaluate((field) => field === document.activeElement), "the focus");
  // Esc would close the list before it closes the form.
  await page.keyboard.press("Escape");
  await form.waitFor({ state: "hidden" });
  await button(page, "Insert row").first().click();
  await author.click();
  await form.getByRole("option", { name: "11" }).click();
  await eventually(async () => (await author.inputValue()) === "11", "the chosen row");
});

test("form creates one row after another, each from empty fields", async (t) => {
  const { id } = await createProject("several", [
    "create table notes (id int generated always as identity primary key, body text not null, size int)",
  ]);
  const page = await openPage(t);
  await page.goto(`${url}/projects/${id}/tables?table=notes`);
  await button(page, "Insert row").first().click();
  const form = page.getByRole("dialog", { name: "New row in notes" });
  const body = form.getByLabel(/^body/);
  await form.getByLabel(/^size/).fill("5");
  await body.fill("first");
  await button(form, "Create and add another").click();
  await eventually(async () => (await body.inputValue()) === "", "the empty field");
  assert.equal(await form.getByLabel(/^size/).inputValue(), "");
  await eventually(() => body.evaluate((field) => field === document.activeElement), "the focus in the first field");
  await page.keyboard.type("second");
  await page.keyboard.press("Enter");
  await form.waitFor({ state: "hidden" });
  const { rows } = await admin("GET", `/projects/${id}/tables/notes/rows?order=id`);
  assert.deepEqual(rows, [{ id: 1, body: "first", size: 5 }, { id: 2, body: "second", size: null }]);
});

test("text that is typed while a row is created stays in the form", async (t) => {
  const { id } = await createProject("typed on", [
    "create table notes (id int generated always as identity primary key, body text not null)",
  ]);
  const page = await openPage(t);
  const requests = [];
  await page.route("**/tables/notes/changes*", (route) => requests.push(route));
  await page.goto(`${url}/projects/${id}/tables?table=notes`);
  await button(page, "Insert row").first().click();
  const form = page.getByRole("dialog", { name: "New row in notes" });
  const body = form.getByLabel(/^body/);
  await body.fill("first");
  const another = button(form, "Create and add another");
  await another.click();
  await eventually(() => requests.length === 1, "the request");
  await eventually(() => another.isDisabled(), "the disabled button");
  await body.fill("second");
  await requests[0].continue();
  await shown(page.getByRole("status").filter({ hasText: "Row created" }));
  await eventually(() => another.isEnabled(), "the enabled button");
  assert.equal(await body.inputValue(), "second");
  await button(form, "Create row").click();
  await eventually(() => requests.length === 2, "the second request");
  await requests[1].continue();
  await form.waitFor({ state: "hidden" });
  const { rows } = await admin("GET", `/projects/${id}/tables/notes/rows?order=id`);
  assert.deepEqual(rows, [{ id: 1, body: "first" }, { id: 2, body: "second" }]);
});

test("referring rows that could not be counted are not shown as none", async (t) => {
  const { id } = await createProject("referred", [
    "create table authors (id int primary key)",
    "create table books (id int primary key, author int references authors)",
    "insert into authors values (1)",
    "insert into books values (1, 1), (2, 1)",
  ]);
  const page = await openPage(t);
  const counts = "**/tables/books/rows?*count=exact*";
  await page.route(counts, (route) => route.fulfill(refusal(500, "Not now.")));
  await page.goto(`${url}/projects/${id}/tables?table=authors&row=1`);
  const references = page.getByRole("region", { name: "Referenced by" });
  await shown(references.getByRole("link", { name: "books.author Not counted" }));
  await page.unroute(counts);
  await page.reload();
  await shown(references.getByRole("link", { name: "books.author 2 rows" }));
});

test("field keeps the focus and every key while its text becomes long, short, and has two lines", async (t) => {
  const { id } = await createProject("long", ["create table notes (body text primary key)"]);
  const page = await openPage(t);
  await page.goto(`${url}/projects/${id}/tables?table=notes`);
  await button(page, "Insert row").first().click();
  const body = page.getByRole("dialog", { name: "New row in notes" }).getByLabel(/^body/);
  const isText = (text) => eventually(async () => (await body.inputValue()) === text, JSON.stringify(text));
  const bodies = async () => (await admin("GET", `/projects/${id}/tables/notes/rows`)).rows.map((row) => row.body);
  await body.focus();
  const long = "go to the shop? / ".repeat(6);
  await page.keyboard.type(long);
  await isText(long);
  await page.keyboard.press("Control+a");
  await page.keyboard.type("x");
  await isText("x");
  await page.keyboard.press("Shift+Enter");
  await page.keyboard.type("y");
  await isText("x\ny");
  await page.keyboard.press("Control+Enter");
  await eventually(async () => (await bodies())[0] === "x\ny", "the row with two lines");
});

test("Tab goes from a field to its NULL button and then to the next field", async (t) => {
  const { id } = await createProject("order of Tab", ["create table notes (id int primary key, body text, size int)"]);
  const page = await openPage(t);
  await page.goto(`${url}/projects/${id}/tables?table=notes`);
  await button(page, "Insert row").first().click();
  const form = page.getByRole("dialog", { name: "New row in notes" });
  const hasFocus = (element) =>
    eventually(() => element.evaluate((field) => field === document.activeElement), "the focus");
  const body = form.getByLabel(/^body/);
  const setNull = form.getByRole("button", { name: "Set body to NULL" });
  await form.getByLabel(/^id/).fill("1");
  for (const next of [body, setNull, form.getByLabel(/^size/)]) {
    await page.keyboard.press("Tab");
    await hasFocus(next);
  }
  assert.ok((await setNull.boundingBox()).y < (await body.boundingBox()).y, "the button is above the field");
});

test("buttons of a row's form stay in their place on a phone when typing starts", async (t) => {
  const { id } = await createProject("places", [
    "create table notes (id int primary key, body text)",
    "insert into notes values (1, 'one')",
  ]);
  const page = await openPage(t, { narrow: true });
  for (const [query, name] of [["row=1", "Save row"], ["new=row", "Create row"]]) {
    await page.goto(`${url}/projects/${id}/tables?table=notes&${query}`);
    const form = page.getByRole("dialog");
    const save = button(form, name);
    await shown(save);
    await form.evaluate((sheet) => Promise.all(sheet.getAnimations().map((animation) => animation.finished)));
    const before = await save.boundingBox();
    await form.getByLabel(/^body/).fill("two");
    await shown(form.getByText("Not saved"));
    assert.deepEqual(await save.boundingBox(), before);
  }
});
