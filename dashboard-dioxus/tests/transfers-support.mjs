// Functions that the tests of imports and exports share.

import { admin, eventually, heading, openPage, shown, url } from "./support.mjs";

// The browser sends files to the store, which has another port.
export const STORE = ["http://127.0.0.1"];

export const csv = (...lines) => `${lines.join("\r\n")}\r\n`;
export const tools = (project, query) => `${url}/projects/${project}/database?${new URLSearchParams(query)}`;
export const steps = (page) => page.getByRole("region", { name: "Import", exact: true });
export const step = (page, name) => steps(page).getByRole("heading", { name, exact: true });

// Returns the single value that a query returns, as text.
export async function rows(project, sql) {
  return String((await admin("POST", `/projects/${project}/sql`, { sql })).rows[0][0]);
}

// Opens the form for a new import.
export async function importPage(t, project, query = {}) {
  const page = await openPage(t, { origins: STORE });
  await page.goto(tools(project, { tab: "import", ...query }));
  await shown(heading(page, "Database tools"));
  await shown(steps(page).getByRole("button", { name: "Choose a file" }));
  return page;
}

export async function chooseFile(page, name, content) {
  await page.locator("#import-file").setInputFiles({ name, mimeType: "", buffer: Buffer.from(content) });
}

// Opens the form for a new import into a table, and uploads a file.
export async function upload(t, project, table, name, content) {
  const page = await importPage(t, project, { table });
  await chooseFile(page, name, content);
  await shown(page.getByRole("table", { name: "Preview" }));
  await shown(page.getByRole("table", { name: "Columns" }));
  return page;
}

// Imports CSV without a browser. Returns the import's id.
export async function startImport(project, table, content) {
  const request = {
    projectId: project,
    table,
    format: "csv",
    sizeBytes: Buffer.byteLength(content),
    fileName: `${table}.csv`,
  };
  const { import: created, uploadUrl, method, headers } = await admin("POST", "/imports", request);
  await fetch(uploadUrl, { method, headers, body: content });
  await admin("POST", `/imports/${created.id}/start`, { mode: "insert", onError: "abort" });
  await eventually(async () => (await admin("GET", `/imports/${created.id}`)).state === "done", "the import");
  return created.id;
}

// Starts an export without a browser, and waits for its end. Returns the export.
export async function startExport(source, format, gzip = false) {
  const { exportId } = await admin("POST", "/exports", { source, format, gzip });
  return eventually(async () => {
    const found = await admin("GET", `/exports/${exportId}`);
    return found.state === "running" ? null : found;
  }, "the export");
}
