// Measures how long the main thread of a running release is busy while someone scrolls grids and types SQL:
// `node --test benches/smoothness.test.mjs`. It prints each figure beside its goal and fails only if it can't measure.

import { test } from "node:test";
import { cell, openMonaco, openSql, run, text, withBooks } from "../tests/sql-support.mjs";
import { admin, button, shown } from "../tests/support.mjs";
import { grid, openTable, withTables } from "../tests/tables-support.mjs";
import { longestTask, scroll, timesOfKeys } from "./trace.mjs";

const columns = Array.from({ length: 30 }, (_, index) => `i * ${index + 1} as c${index}`).join(", ");
const report = (name, value) => console.log(`${name.padEnd(46)} ${value}`);

async function reportScrolling(name, page) {
  for (const [way, step] of [["steady", 100], ["in leaps", 1500]]) {
    let frames;
    const longest = await longestTask(page, async () => (frames = await scroll(page, step)));
    report(`${name}, ${way}`, `longest task ${longest.toFixed(1)} ms (goal 50), ${frames} frames in 3 s`);
  }
}

test("scrolling a result of 1000 rows and 30 columns", async (t) => {
  const page = await openSql(t, await withBooks());
  await run(page, `select ${columns} from generate_series(1, 1000) as i`);
  await shown(cell(page, "1").first());
  await reportScrolling("scroll of a result", page);
});

test("scrolling a table of 1000 rows and 30 columns", async (t) => {
  const page = await openTable(t, await withTables("long"), { table: "long_list", limit: "1000" });
  await shown(grid(page, "long_list").getByRole("gridcell"));
  await reportScrolling("scroll of a table", page);
});

test("typing SQL with 500 saved queries", async (t) => {
  const project = await withBooks();
  const numbers = Array.from({ length: 500 }, (_, index) => index);
  for (let from = 0; from < 500; from += 50) {
    await Promise.all(numbers.slice(from, from + 50).map((index) =>
      admin("POST", `/projects/${project}/queries`, { name: `Query ${index}`, sql: `select ${index} from books` })));
  }
  const page = await openMonaco(t, project);
  await page.getByRole("tab", { name: "Saved" }).click();
  await shown(page.getByRole("list", { name: "Saved queries" }).getByRole("button", { name: /^Query \d+$/ }));
  await button(page, "New query").click();
  await text(page).focus();
  const times = await timesOfKeys(page, async () => {
    for (const letter of "select books.title from books where id = 12") {
      await page.keyboard.press(letter === " " ? "Space" : letter);
    }
  });
  const [median, slowest] = [times[Math.floor(times.length / 2)], times.at(-1)];
  report("typing SQL", `${median.toFixed(1)} ms per key (median, goal 16), slowest ${slowest.toFixed(1)} ms`);
});
