// The grid of a result: values, keys, copying, sorting, sizes, and the cells that are drawn.

import assert from "node:assert/strict";
import { test } from "node:test";
import { cell, copied, grid, item, openSql, run, runSql, withBooks } from "./sql-support.mjs";
import { eventually, heading, hidden, shown } from "./support.mjs";

const focused = (page) => page.evaluate(() => document.activeElement.textContent);
const wide = (columns, rows) => {
  const list = Array.from({ length: columns }, (_, index) => `i * ${index + 1} as c${index}`).join(", ");
  return `select ${list} from generate_series(1, ${rows}) as i`;
};

test("values are shown and copied as Postgres prints them", async (t) => {
  const project = await withBooks();
  const page = await openSql(t, project);
  const values = {
    "9007199254740993": "9007199254740993::int8",
    "1.10": "1.10::numeric(10,2)",
    "123456789012345678901234567890.0": "123456789012345678901234567890.0::numeric",
    NaN: "'NaN'::numeric",
    "1e+20": "1e20::float8",
    '{"a": 1.10, "b": [2.0]}': `'{"a": 1.10, "b": [2.0]}'::jsonb`,
    '{"a":1.10}': `'{"a":1.10}'::json`,
    '"12"': `'"12"'::jsonb`,
    false: "false",
    0: "0",
    NULL: "null::text",
    "{1,NULL}": "array[1, null]",
    "\\x00ff": "'\\x00ff'::bytea",
    "2026-01-02 03:04:05.678901": "timestamp '2026-01-02 03:04:05.678901'",
    "<img src=x onerror=alert(1)>": "'<img src=x onerror=alert(1)>'",
  };
  await run(page, `select ${Object.values(values).map((sql, index) => `${sql} as v${index}`).join(",\n ")}`);
  for (const shownValue of Object.keys(values)) await cell(page, shownValue).waitFor({ state: "attached" });
  for (const value of ["9007199254740993", "1.10", "false", "0", '{"a": 1.10, "b": [2.0]}']) {
    await cell(page, value).click();
    await page.keyboard.press("Control+c");
    await copied(page, value);
  }
});

test("long value is cut in the grid and whole in its dialog", async (t) => {
  const project = await withBooks();
  const page = await openSql(t, project);
  await run(page, "select repeat('x', 5000) || '!' as long");
  const cut = grid(page).getByRole("gridcell", { name: /^x+…$/ });
  await cut.click();
  await page.keyboard.press("Enter");
  const dialog = page.getByRole("dialog", { name: "long, row 1" });
  await dialog.getByRole("button", { name: "Copy value" }).click();
  await copied(page, `${"x".repeat(5000)}!`);
  await page.keyboard.press("Escape");
  await hidden(dialog);
  await eventually(async () => (await focused(page)).endsWith("…"), "the focus is back");
});

test("keys move, select and copy a range for spreadsheets", async (t) => {
  const project = await withBooks();
  const page = await openSql(t, project);
  await run(
    page,
    "select i as a, i * 10 as b, case when i = 2 then null else 'x' || i end as c from generate_series(1, 500) i",
  );
  await cell(page, "10").first().click();
  assert.equal(await grid(page).locator('[tabindex="0"]').count(), 1);
  await page.keyboard.press("ArrowRight");
  await eventually(async () => (await focused(page)) === "x1", "ArrowRight");
  for (const [key, expected] of [
    ["ArrowDown", "NULL"],
    ["Home", "2"],
    ["End", "NULL"],
    ["Control+End", "x500"],
    ["ArrowLeft", "5000"],
    ["Control+Home", "1"],
  ]) {
    await page.keyboard.press(key);
    await eventually(async () => (await focused(page)) === expected, `${key} to ${expected}`);
  }
  await page.keyboard.press("PageDown");
  await eventually(async () => Number(await focused(page)) > 5, "PageDown");
  await page.keyboard.press("Control+Home");
  await page.keyboard.press("Shift+ArrowDown");
  await page.keyboard.press("Shift+Control+ArrowRight");
  assert.equal(await grid(page).locator('td[aria-selected="true"]').count(), 6);
  await page.keyboard.press("Control+c");
  await copied(page, "1\t10\tx1\n2\t20\t");
  await cell(page, "30").first().click();
  await cell(page, "x4").click({ modifiers: ["Shift"] });
  await page.keyboard.press("Control+c");
  await copied(page, "30\tx3\n40\tx4");
});

test("columns sort and resize by mouse and by key", async (t) => {
  const project = await withBooks();
  const page = await openSql(t, project);
  await run(page, "select * from (values (9, 'b'), (10, 'a'), (null, 'c')) v (n, letter)");
  const header = grid(page).getByRole("columnheader", { name: /^n / });
  const order = async () => (await grid(page).locator("tbody tr").allTextContents()).map((row) => row.slice(1, -1));
  await header.getByRole("button").click();
  await eventually(async () => (await header.getAttribute("aria-sort")) === "ascending", "ascending");
  assert.deepEqual(await order(), ["9", "10", "NULL"]);
  await page.keyboard.press("Enter");
  await eventually(async () => (await header.getAttribute("aria-sort")) === "descending", "descending");
  assert.deepEqual(await order(), ["10", "9", "NULL"]);
  const width = async () => (await header.boundingBox()).width;
  const before = await width();
  await page.keyboard.press("Shift+ArrowRight");
  await eventually(async () => (await width()) === before + 16, "the key widened the column");
  const box = await header.boundingBox();
  await page.mouse.move(box.x + box.width, box.y + 10);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width + 60, box.y + 10);
  await page.mouse.up();
  await eventually(async () => Math.abs((await width()) - before - 76) <= 2, "the mouse widened the column");
  await header.getByRole("button").focus();
  await page.keyboard.press("ArrowDown");
  await eventually(async () => (await focused(page)) === "10", "the first row has the focus");
  await page.keyboard.press("ArrowUp");
  await eventually(async () => (await focused(page)).startsWith("n"), "the header has the focus");
});

test("header and first column stay in view, and only a part of the cells is drawn", async (t) => {
  const project = await withBooks();
  const page = await openSql(t, project);
  await run(page, wide(60, 1000));
  await shown(grid(page));
  const pane = page.locator(".data-grid");
  const [first, head] = [
    grid(page).locator("tbody td.key").first(),
    grid(page).getByRole("columnheader", { name: /^c0 / }),
  ];
  const { x } = await first.boundingBox();
  const { y } = await head.boundingBox();
  await pane.evaluate((pane) => pane.scrollTo(4000, 15_000));
  await grid(page).getByRole("gridcell", { name: "500", exact: true }).first().waitFor();
  assert.equal((await grid(page).locator("tbody tr[data-row='500'] td.key").boundingBox()).x, x);
  assert.equal((await head.boundingBox()).y, y);
  assert.ok((await grid(page).locator("td[data-column]").count()) < 2000);
  assert.equal(await grid(page).getAttribute("aria-rowcount"), "1001");
  assert.equal(await grid(page).getAttribute("aria-colcount"), "60");
});

test("rows of one table can be opened on the table's page", async (t) => {
  const project = await withBooks();
  const page = await openSql(t, project);
  await run(page, "select count(*) from books");
  await shown(cell(page, "9"));
  assert.equal(await page.getByText("Open in table").count(), 0);
  await run(page, "select title, id from books where id in (2, 3)");
  await cell(page, "book 3").dblclick();
  const dialog = page.getByRole("dialog", { name: "title, row 2" });
  assert.match(
    await dialog.getByRole("link", { name: "Open row in table" }).getAttribute("href"),
    /tables\?table=books&row=3$/,
  );
  await page.keyboard.press("Escape");
  await page.getByRole("link", { name: "Open in table" }).click();
  await shown(heading(page, "books"));
  await shown(page.getByRole("grid", { name: "Rows of books" }).getByRole("gridcell", { name: "book 3" }));
  assert.equal(new URL(page.url()).searchParams.get("where"), "in.id=2,3");
  await page.goBack();
  await shown(cell(page, "book 3"));
});

test("details of a dropped table are not requested again", async (t) => {
  const project = await withBooks();
  const page = await openSql(t, project);
  const statuses = [];
  page.on("response", (response) => {
    if (response.url().includes("/table?name=books")) statuses.push(response.status());
  });
  // The details that are known when the schema arrives are read again.
  await shown(item(page, "books"));
  await run(page, "select * from books");
  await shown(cell(page, "book 1"));
  await eventually(() => statuses.length === 1, "the details of the table");
  await runSql(project, "drop table books");
  // After each of these statements, the page reads the schema again.
  for (const name of ["first", "second"]) {
    await run(page, `create table ${name} (id int)`);
    await shown(item(page, name));
  }
  assert.deepEqual(statuses, [200]);
});
