// Imports of files into tables, on the page of database tools. Exports are in exports.test.mjs.

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  admin, button, createProject, eventually, expectAccessible, heading, hidden, openPage, shown,
} from "./support.mjs";
import { chooseFile, csv, importPage, rows, startImport, step, STORE, steps, upload } from "./transfers-support.mjs";

const BOOKS = [
  `create table books (id int8 primary key, title text not null, price numeric, note text,
    created_at timestamptz default now())`,
  "insert into books (id, title, price) values (1, 'Solaris', 11.00)",
];
const GOOD = csv("id,title,price", "2,Ubik,9.99", "3,Dune,12.50");
const BAD = csv("id,title,price", "2,Ubik,9.99", "3,Dune,cheap", "1,Solaris again,1");
const count = async (id) => Number(await rows(id, "select count(*) from books"));
const result = (page, name) => steps(page).getByRole("heading", { name });
const counts = (page, text) => steps(page).getByText(text, { exact: true });

test("file is previewed, checked and imported, and its table opens", async (t) => {
  const { id } = await createProject("import", BOOKS);
  const page = await importPage(t, id);
  await page.getByRole("combobox", { name: "Table" }).selectOption("books");
  await chooseFile(page, "new.csv", GOOD);
  await shown(steps(page).getByRole("heading", { name: "new.csv" }));
  assert.match(page.url(), /[?&]import=[0-9a-f-]{36}/);
  const preview = page.getByRole("table", { name: "Preview" });
  await shown(preview.getByRole("cell", { name: "Ubik" }));
  assert.equal(
    await steps(page).getByRole("combobox", { name: "Delimiter" }).locator("option:checked").innerText(),
    "Comma (detected)",
  );
  assert.ok(
    await steps(page)
      .getByRole("checkbox", { name: /^The first row contains the field names/ })
      .isChecked(),
  );
  await shown(steps(page).getByText("UTF-8"));
  const columns = page.getByRole("table", { name: "Columns" });
  assert.equal(await columns.getByRole("combobox", { name: "Column for price" }).inputValue(), "price");
  await shown(steps(page).getByText("created_at gets now()", { exact: false }));

  await button(steps(page), "Dry run").click();
  await shown(result(page, "Dry run: 2 rows would be imported"));
  await shown(counts(page, "2 rows read, 2 inserted, 0 updated, 0 refused"));
  assert.equal(await count(id), 1, "a dry run changes nothing");

  await button(steps(page), "Import").click();
  await shown(result(page, "Imported 2 rows"));
  assert.equal(await count(id), 3);
  await hidden(button(steps(page), "Import"));
  await shown(page.getByRole("table", { name: "Imports" }).getByRole("row", { name: /new\.csv.*Imported/ }));
  await steps(page).getByRole("link", { name: "Open books" }).click();
  await shown(page.getByRole("grid", { name: "Rows of books" }).getByRole("gridcell", { name: "Dune", exact: true }));
});

test("refused values are reported with line and column, and nothing is imported", async (t) => {
  const { id } = await createProject("refused", BOOKS);
  const page = await upload(t, id, "books", "bad.csv", BAD);
  await button(steps(page), "Dry run").click();
  await shown(result(page, "Dry run: 2 rows can't be imported"));
  const errors = page.getByRole("table", { name: "Errors" });
  await shown(errors.getByRole("row", { name: /^3 price .*cheap/ }));
  await shown(errors.getByRole("row", { name: /^4 id / }));
  const price = steps(page).getByRole("combobox", { name: "Column for price" });
  assert.equal(await price.getAttribute("aria-invalid"), "true");
  await shown(steps(page).getByText(/1 row refused\. Line 3/));

  await button(steps(page), "Import").click();
  await shown(result(page, "Nothing was imported"));
  assert.equal(await count(id), 1);
  // The owner leaves the field out, and skips the rows that are still refused.
  await price.selectOption("");
  await steps(page).getByRole("radio", { name: "Skip and report" }).check();
  await button(steps(page), "Import").click();
  await shown(result(page, "Imported 2 rows, refused 1 row"));
  await shown(counts(page, "3 rows read, 2 inserted, 0 updated, 1 refused"));
});

test("import without a row is not shown as a success", async (t) => {
  const { id } = await createProject("nothing", BOOKS);
  const page = await upload(t, id, "books", "all-bad.csv", csv("id,title", "1,Solaris again"));
  await steps(page).getByRole("radio", { name: "Skip and report" }).check();
  await button(steps(page), "Import").click();
  await shown(result(page, "No row was imported"));
  await shown(counts(page, "1 row read, 0 inserted, 0 updated, 1 refused"));
  await shown(page.getByRole("table", { name: "Imports" }).getByText("No rows imported"));
});

test("upsert updates rows with the same key", async (t) => {
  const { id } = await createProject("upsert", BOOKS);
  const page = await upload(t, id, "books", "prices.csv", csv("id;title;price", "1;Solaris;12", "2;Ubik;8"));
  assert.equal(
    await steps(page).getByRole("combobox", { name: "Delimiter" }).locator("option:checked").innerText(),
    "Semicolon (detected)",
  );
  await steps(page).getByRole("radio", { name: "Upsert" }).check();
  assert.equal(await steps(page).getByRole("combobox", { name: "Key" }).locator("option:checked").innerText(), "id");
  const key = steps(page).getByRole("combobox", { name: "Column for id" });
  await key.selectOption("");
  await shown(steps(page).getByText("No field is assigned to id, which is part of the key."));
  await button(steps(page), "Import").click();
  await shown(steps(page).getByText("Correct the marked fields first."));
  await key.selectOption("id");
  await button(steps(page), "Import").click();
  await shown(result(page, "Imported 2 rows"));
  await shown(counts(page, "2 rows read, 1 inserted, 1 updated, 0 refused"));
  assert.equal(await rows(id, "select price from books where id = 1"), "12");
});

test("fields are assigned by hand, and a second field for a column is refused at the field", async (t) => {
  const { id } = await createProject("mapping", BOOKS);
  const page = await upload(t, id, "books", "other.csv", csv("ID,Name,Remark", "5,Roadside Picnic,good"));
  const column = (name) => steps(page).getByRole("combobox", { name: `Column for ${name}` });
  assert.equal(await column("ID").inputValue(), "id");
  assert.equal(await column("Name").inputValue(), "");
  await shown(steps(page).getByText("title needs a value and has no default.", { exact: false }));
  const leftOut = "2 columns of the file are left out: Name, Remark.";
  await shown(steps(page).getByRole("note").filter({ hasText: leftOut }));
  await column("Name").selectOption("title");
  await column("Remark").selectOption("title");
  await shown(steps(page).getByText("Name is already assigned to title."));
  assert.equal(await column("Remark").getAttribute("aria-invalid"), "true");
  await column("Remark").selectOption("note");
  await hidden(steps(page).getByText("left out:"));
  await button(steps(page), "Import").click();
  await shown(result(page, "Imported 1 row"));
  assert.equal(await rows(id, "select title || ': ' || note from books where id = 5"), "Roadside Picnic: good");
});

test("choices that the server refuses are marked at their fields", async (t) => {
  const { id } = await createProject("marked", BOOKS);
  const page = await upload(t, id, "books", "notes.csv", csv("id,title,note", "5,Ubik,good"));
  const text = steps(page).getByRole("textbox", { name: "Text for NULL" });
  await text.fill("é".repeat(60));
  await text.press("Tab");
  await shown(steps(page).getByRole("alert").getByText("may have at most 100 bytes.", { exact: false }));
  assert.equal(await text.getAttribute("aria-invalid"), "true");
  await text.fill("");
  await text.press("Tab");
  await shown(page.getByRole("table", { name: "Preview" }));
  assert.equal(await text.getAttribute("aria-invalid"), null);

  // The page still shows the column that is dropped now.
  await admin("POST", `/projects/${id}/sql`, { sql: "alter table books drop column note" });
  const column = steps(page).getByRole("combobox", { name: "Column for note" });
  assert.equal(await column.inputValue(), "note");
  await button(steps(page), "Import").click();
  await shown(steps(page).getByText("The table has no column note.", { exact: false }));
  assert.equal(await column.getAttribute("aria-invalid"), "true");
  await eventually(() => column.evaluate((element) => element === document.activeElement), "the focus at the field");
  await column.selectOption("");
  await eventually(async () => (await column.getAttribute("aria-invalid")) === null, "the field without the mark");
  await button(steps(page), "Import").click();
  await shown(result(page, "Imported 1 row"));
});

test("import does not start while the other delimiter is missing or invalid", async (t) => {
  const { id } = await createProject("delimiter", BOOKS);
  const page = await upload(t, id, "books", "new.csv", GOOD);
  await steps(page).getByRole("combobox", { name: "Delimiter" }).selectOption({ label: "Other" });
  for (const text of ["", "::"]) {
    await steps(page).getByRole("textbox", { name: "Other delimiter" }).fill(text);
    await button(steps(page), "Import").click();
    await shown(page.locator("[aria-label='Other delimiter'][aria-invalid=true]:focus"));
  }
});

test("choices for an import survive a reload", async (t) => {
  const { id } = await createProject("reload", BOOKS);
  const page = await upload(t, id, "books", "bars.csv", csv("7|Ubik|NULL"));
  await steps(page).getByRole("combobox", { name: "Delimiter" }).selectOption({ label: "Vertical bar" });
  await steps(page).getByRole("checkbox", { name: /^The first row contains the field names/ }).uncheck();
  await steps(page).getByRole("combobox", { name: "Column for column1" }).selectOption("id");
  await steps(page).getByRole("combobox", { name: "Column for column2" }).selectOption("title");
  await steps(page).getByRole("combobox", { name: "Column for column3" }).selectOption("note");
  await button(steps(page), "Read it as NULL").click();
  await shown(page.getByRole("table", { name: "Preview" }).locator(".null"));
  await steps(page).getByRole("radio", { name: "Skip and report" }).check();

  await page.reload();
  await shown(steps(page).getByRole("heading", { name: "bars.csv" }));
  await shown(page.getByRole("table", { name: "Preview" }).getByRole("columnheader", { name: "column3" }));
  assert.equal(await steps(page).getByRole("combobox", { name: "Column for column2" }).inputValue(), "title");
  assert.equal(await steps(page).getByRole("textbox", { name: "Text for NULL" }).inputValue(), "NULL");
  assert.ok(await steps(page).getByRole("radio", { name: "Skip and report" }).isChecked());
  await button(steps(page), "Import").click();
  await shown(result(page, "Imported 1 row"));
  assert.equal(
    await rows(id, "select title || coalesce(note, ' without a note') from books where id = 7"),
    "Ubik without a note",
  );
  await page.reload();
  await shown(result(page, "Imported 1 row"));
});

test("failed upload can be repeated, and after a reload the same file continues the import", async (t) => {
  const { id } = await createProject("interrupted", BOOKS);
  const page = await importPage(t, id, { table: "books" });
  let failing = true;
  let signed = 0;
  page.on("request", (request) => { if (/\/imports\/[0-9a-f-]+\/upload$/.test(request.url())) signed += 1; });
  await page.route((to) => to.origin !== new URL(page.url()).origin, async (route) => {
    if (failing) await route.abort("connectionreset");
    else await route.continue();
  });
  await chooseFile(page, "new.csv", GOOD);
  await shown(steps(page).getByRole("alert").getByText("The connection to the store was lost. Try again."));
  await shown(page.getByRole("progressbar", { name: "Uploading new.csv" }));
  failing = false;
  await button(steps(page), "Try again").click();
  await shown(page.getByRole("table", { name: "Preview" }));
  assert.equal(signed, 1, "another URL was signed");

  failing = true;
  await page.goto(page.url().replace(/&import=.*/, "&table=books"));
  await chooseFile(page, "late.csv", GOOD);
  await shown(button(steps(page), "Try again"));
  const before = page.url();
  await page.reload();
  await shown(steps(page).getByText("The upload was interrupted", { exact: false }));
  assert.equal(page.url(), before);
  failing = false;
  await chooseFile(page, "late.csv", GOOD);
  await shown(page.getByRole("table", { name: "Preview" }));
  assert.equal(page.url(), before, "the same file continues the import");
  assert.equal(signed, 2);
  const states = async () => (await admin("GET", `/imports?projectId=${id}`)).items.map((item) => item.state);
  assert.deepEqual(await states(), ["uploaded", "uploaded"]);

  // A different file creates another import.
  failing = true;
  await page.goto(page.url().replace(/&import=.*/, "&table=books"));
  await chooseFile(page, "other.csv", GOOD);
  await shown(button(steps(page), "Try again"));
  const interrupted = page.url();
  await page.reload();
  await shown(steps(page).getByText("The upload was interrupted", { exact: false }));
  failing = false;
  await chooseFile(page, "longer.csv", `${GOOD}4,Solaris,1\r\n`);
  await shown(page.getByRole("table", { name: "Preview" }));
  assert.notEqual(page.url(), interrupted);
  assert.deepEqual(await states(), ["uploaded", "uploaded", "uploaded"], "the import without a file is gone");
});

test("upload whose response was lost is not repeated", async (t) => {
  const { id } = await createProject("lost", BOOKS);
  const page = await importPage(t, id, { table: "books" });
  let uploads = 0;
  await page.route((to) => to.origin !== new URL(page.url()).origin, async (route) => {
    if (route.request().method() === "PUT") {
      uploads += 1;
      await route.fetch();
      await route.abort("connectionreset");
    } else {
      await route.continue();
    }
  });
  await chooseFile(page, "new.csv", GOOD);
  // The server finds the file in the store.
  await shown(page.getByRole("table", { name: "Preview" }));
  assert.equal(uploads, 1);
});

test("cancelling an upload deletes its import", async (t) => {
  const { id } = await createProject("cancelled", BOOKS);
  const page = await importPage(t, id, { table: "books" });
  await page.route((to) => to.origin !== new URL(page.url()).origin, () => {});
  await chooseFile(page, "new.csv", GOOD);
  await shown(page.getByRole("progressbar", { name: "Uploading new.csv" }));
  await button(steps(page), "Cancel upload").click();
  await shown(button(steps(page), "Choose a file"));
  await eventually(async () => (await admin("GET", `/imports?projectId=${id}`)).items.length === 0, "the import to go");
});

test("running import is cancelled, and nothing is imported", async (t) => {
  const { id } = await createProject("stopped", BOOKS);
  // Each row waits in a trigger, so that the import is still running when it is cancelled.
  await admin("POST", `/projects/${id}/sql`, {
    sql:
      "create function wait() returns trigger language plpgsql as " +
      "$$ begin perform pg_sleep(0.2); return new; end $$; " +
      "create trigger waits before insert on books for each row execute function wait()",
    script: true,
  });
  const lines = Array.from({ length: 400 }, (_, n) => `${n + 10},book ${n}`);
  const page = await upload(t, id, "books", "slow.csv", csv("id,title", ...lines));
  await button(steps(page), "Import").click();
  await shown(result(page, "Importing"));
  await page.reload();
  await shown(result(page, "Importing"));
  assert.ok(await button(steps(page), "Import").isDisabled());
  await button(steps(page), "Cancel import").click();
  await shown(result(page, "Cancelled. Nothing was imported"));
  assert.equal(await count(id), 1);
  assert.ok(await button(steps(page), "Import").isEnabled());
});

test("files that can't be imported are refused at the field", async (t) => {
  const { id } = await createProject("files", BOOKS);
  await admin("POST", `/projects/${id}/sql`, { sql: "create table other (id int)" });
  const page = await importPage(t, id);
  await chooseFile(page, "new.csv", GOOD);
  await shown(steps(page).getByText("Choose the table that the rows go into."));
  await page.getByRole("combobox", { name: "Table" }).selectOption("books");
  for (const [name, content, message] of [
    ["empty.csv", "", "The file is empty."],
    ["sheet.xlsx", "PK\u0003\u0004", "This is a spreadsheet"],
    ["utf16.csv", Buffer.from([0xff, 0xfe, 0x61, 0]), "The file is UTF-16."],
  ]) {
    await chooseFile(page, name, content);
    const alert = steps(page).getByRole("alert").getByText(message, { exact: false });
    await shown(alert);
    const described = await button(steps(page), "Choose a file").getAttribute("aria-describedby");
    assert.ok(described.includes("import-file-error"));
  }
  assert.deepEqual((await admin("GET", `/imports?projectId=${id}`)).items, []);
});

test("JSON is detected by its content, and identity values are imported only if allowed", async (t) => {
  const { id } = await createProject("json", [
    `create table items (id int generated always as identity primary key, data jsonb,
      twice int generated always as (id * 2) stored)`,
  ]);
  const page = await upload(
    t,
    id,
    "items",
    "items.json",
    '{"id": 41, "data": {"a": 1.10}}\n{"id": 42, "data": null}\n',
  );
  await shown(steps(page).getByText("NDJSON", { exact: false }));
  const column = steps(page).getByRole("combobox", { name: "Column for id" });
  assert.equal(await column.inputValue(), "");
  await column.selectOption("id");
  await shown(steps(page).getByText("id is an identity that is always generated.", { exact: false }));
  await steps(page).getByRole("checkbox", { name: "Import identity values" }).check();
  await button(steps(page), "Import").click();
  await shown(result(page, "Imported 2 rows"));
  assert.equal(await rows(id, "select string_agg(id || '=' || twice, ',' order by id) from items"), "41=82,42=84");
});

test("import begins on the table's page, with a dropped file, and its controls work with the keyboard", async (t) => {
  const { id } = await createProject("keys", BOOKS);
  const page = await openPage(t, { origins: STORE });
  await page.goto(
    `${new URL("/", process.env.ATLASHUB_URL ?? "http://127.0.0.1:8081").origin}/projects/${id}/tables?table=books`,
  );
  const link = page.getByRole("toolbar", { name: "Rows of books" }).getByRole("link", { name: "Import…" });
  await shown(link);
  await link.focus();
  await page.keyboard.press("Enter");
  await shown(heading(page, "Database tools"));
  assert.equal(await page.getByRole("combobox", { name: "Table" }).inputValue(), "books");
  const data = await page.evaluateHandle((content) => {
    const data = new DataTransfer();
    data.items.add(new File([content], "dropped.csv", { type: "text/csv" }));
    return data;
  }, GOOD);
  for (const type of ["dragenter", "dragover"]) await page.dispatchEvent("main", type, { dataTransfer: data });
  await shown(page.getByText("Drop a file to import it"));
  await page.dispatchEvent("main", "drop", { dataTransfer: data });
  await shown(page.getByRole("table", { name: "Preview" }));
  await shown(button(steps(page), "Import"));
  await button(steps(page), "Dry run").focus();
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await shown(result(page, "Imported 2 rows"));
});

test("markup in a file is shown as text", async (t) => {
  const { id } = await createProject("hostile", ["create table notes (text text)"]);
  const page = await upload(t, id, "notes", "<img src=x>.csv", csv("<b>x</b>,text", "1,<img src=x onerror=alert(1)>"));
  await shown(page.getByRole("table", { name: "Preview" }).getByRole("cell", { name: "<img src=x onerror=alert(1)>" }));
  await shown(steps(page).getByRole("combobox", { name: "Column for <b>x</b>" }));
  assert.equal(await page.locator("main img").count(), 0);
});

test("steps of an import are accessible", async (t) => {
  const { id } = await createProject("accessible", BOOKS);
  const first = await upload(t, id, "books", "bad.csv", BAD);
  await button(steps(first), "Dry run").click();
  await shown(result(first, /^Dry run/));
  const open = first.url();
  const done = await startImport(id, "books", GOOD);
  for (const options of [{}, { theme: "light" }, { narrow: true }]) {
    const page = await openPage(t, { ...options, origins: STORE });
    await page.goto(open);
    await shown(page.getByRole("table", { name: "Errors" }));
    await expectAccessible(page);
    await page.goto(open.replace(/import=[^&]*$/, `import=${done}`));
    await shown(result(page, "Imported 2 rows"));
    await expectAccessible(page);
    await page.goto(open.replace(/&import=.*/, ""));
    await shown(button(steps(page), "Choose a file"));
    await shown(step(page, "Table and file"));
    await expectAccessible(page);
  }
});
