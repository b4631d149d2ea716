// Functions that the tests of the SQL page share.

import { admin, createProject, openPage, shown, url } from "./support.mjs";

const BOOKS = [
  "create table books (id int8 primary key, title text, price numeric)",
  "insert into books select n, 'book ' || n, n / 10.0 from generate_series(1, 9) n",
  "analyze books",
];

// Creates a project with nine books. Returns its id.
export const withBooks = async () => (await createProject("sql", BOOKS)).id;

export const address = (project, query = "") => `${url}/projects/${project}/sql${query}`;

// Opens the page with an empty query, in the plain text field instead of the editor Monaco.
export async function openSql(t, project, options) {
  const page = await openPage(t, options);
  await page.goto(address(project, "?editor=plain"));
  await shown(text(page));
  return page;
}

// Opens the page with the editor Monaco.
export async function openMonaco(t, project) {
  const page = await openPage(t);
  await page.goto(address(project));
  await page.locator(".sql-monaco .monaco-editor .view-lines").waitFor();
  return page;
}

export const text = (page) => page.getByRole("textbox", { name: "SQL text", exact: true });
export const resultTab = (page, name) => page.getByRole("tablist", { name: "Results" }).getByRole("tab", { name });
export const grid = (page) => page.getByRole("grid", { name: "Result" });
export const cell = (page, value) => grid(page).getByRole("gridcell", { name: value, exact: true });
export const query = (page, name) =>
  page.getByRole("tablist", { name: "Queries" }).getByRole("tab", { name, exact: true });
export const toolbar = (page) => page.getByRole("toolbar", { name: "Query" });
export const act = (page, name) => toolbar(page).getByRole("button", { name, exact: true });
export const tree = (page) => page.getByRole("tree", { name: "Schema" });
export const item = (page, name) => tree(page).getByRole("treeitem", { name, exact: true });

// Writes SQL into the field and runs it.
export async function run(page, sql, name = "Run") {
  await text(page).fill(sql);
  await act(page, name).click();
}

export const runSql = (project, sql) => admin("POST", `/projects/${project}/sql`, { sql });

// Returns the single value that a query returns.
export async function value(project, sql) {
  return (await runSql(project, sql)).rows[0][0];
}

// Places the cursor in the plain text field.
export async function placeCursor(page, offset) {
  await text(page).evaluate((field, offset) => {
    field.focus();
    field.setSelectionRange(offset, offset);
    field.dispatchEvent(new KeyboardEvent("keyup", { bubbles: true }));
  }, offset);
}

export async function copied(page, expected) {
  await page.waitForFunction(async (expected) => (await navigator.clipboard.readText()) === expected, expected);
}

// Returns the name and content of the file that `act` downloads.
export async function download(page, act) {
  const [file] = await Promise.all([page.waitForEvent("download"), act()]);
  const chunks = [];
  for await (const chunk of await file.createReadStream()) chunks.push(chunk);
  return { name: file.suggestedFilename(), content: Buffer.concat(chunks).toString() };
}
