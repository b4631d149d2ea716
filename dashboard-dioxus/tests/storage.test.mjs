import assert from "node:assert/strict";
import { test } from "node:test";
import { admin, button, createProject, eventually, expectAccessible, heading, hidden, openPage, shown, url } from "./support.mjs";

const project = await createProject("storage");
const store = new URL((await admin("GET", "/system")).storagePublicEndpoint).origin;
await admin("POST", `/projects/${project.id}/buckets`, { name: "covers" });

const buckets = () => `/projects/${project.id}/buckets`;
const address = (bucket = "", query) =>
  `${url}/projects/${project.id}/storage${bucket && `/${bucket}`}${query ? `?${new URLSearchParams(query)}` : ""}`;
const objects = (page, bucket = "covers") => page.getByRole("table", { name: `Objects in ${bucket}` });
const row = (page, name, bucket) => objects(page, bucket).getByRole("row").filter({ has: page.getByRole("link", { name, exact: true }) });
const file = (name, content = name, mimeType = "text/plain") => ({ name, mimeType, buffer: Buffer.from(content) });
const listed = async (bucket, prefix = "") =>
  (await admin("GET", `${buckets()}/${bucket}/objects?${new URLSearchParams({ prefix, limit: "1000" })}`)).items;

// The store is the one other origin that pages may talk to.
async function open(t, path, options) {
  const page = await openPage(t, options);
  const push = (...found) =>
    Array.prototype.push.apply(page.problems, found.filter((problem) => !problem.startsWith(`request to ${store}/`)));
  Object.defineProperty(page.problems, "push", { value: push });
  await page.goto(path);
  return page;
}

// Uploads an object without the browser.
async function put(bucket, path, content, contentType = "text/plain") {
  const size = Buffer.byteLength(content);
  const signed = await admin("POST", `${buckets()}/${bucket}/signed-upload`, { path, contentType, size });
  const response = await fetch(signed.uploadUrl, { method: "PUT", body: content, headers: signed.headers });
  assert.ok(response.ok, await response.text());
}

async function newBucket(name) {
  await admin("POST", `${buckets()}`, { name });
  return name;
}

// Drops files on the page as the browser does.
async function drop(page, files) {
  const data = await page.evaluateHandle((files) => {
    const data = new DataTransfer();
    for (const { name, content } of files) data.items.add(new File([content], name, { type: "text/plain" }));
    return data;
  }, files);
  await page.getByRole("main").dispatchEvent("drop", { dataTransfer: data });
}

test("a bucket is made, opened to browsers, and deleted by its name", async (t) => {
  const page = await open(t, address());
  await shown(heading(page, "Storage"));
  await button(page, "New bucket").click();
  const form = page.getByRole("dialog", { name: "New bucket" });
  await form.getByRole("textbox", { name: "Name" }).fill("Wrong Name");
  await form.getByRole("button", { name: "Create bucket" }).click();
  await shown(form.getByRole("alert").getByText("The bucket name is invalid."));
  await form.getByRole("textbox", { name: "Name" }).fill("made");
  await form.getByRole("textbox", { name: "Largest object (MB)" }).fill("5");
  await form.getByRole("button", { name: "Create bucket" }).click();
  await shown(heading(page, "made"));
  await shown(page.getByRole("heading", { level: 2, name: "No objects" }));
  await page.getByRole("tab", { name: "Access" }).click();
  await page.getByRole("radiogroup", { name: "Publishable key" }).getByRole("radio", { name: "Download", exact: true }).check();
  await shown(page.getByRole("status").getByText("Not saved"));
  await button(page, "Save access").click();
  await eventually(async () => (await admin("GET", `${buckets()}/made`)).exposure.publishable === "download");
  await page.goto(address());
  const made = page.getByRole("table", { name: "Buckets" }).getByRole("row").filter({ hasText: "made" });
  await shown(made.getByRole("cell", { name: "Download" }));
  await shown(made.getByRole("cell", { name: "5.0 MB" }));
  await button(page, "Actions for made").click();
  await page.getByRole("menuitem", { name: "Delete bucket" }).click();
  const confirm = page.getByRole("dialog", { name: "Delete bucket" });
  await confirm.getByRole("textbox", { name: "Type made to confirm" }).fill("made");
  await confirm.getByRole("button", { name: "Delete bucket" }).click();
  await hidden(made);
});

test("three dropped files are uploaded and listed", async (t) => {
  const bucket = await newBucket("dropped");
  const page = await open(t, address(bucket));
  await shown(page.getByRole("heading", { level: 2, name: "No objects" }));
  const names = ["a.txt", "b #1?.txt", "c 100%.txt"];
  await drop(page, names.map((name) => ({ name, content: name })));
  const uploads = page.getByRole("region", { name: "Uploads" });
  for (const name of names) {
    const bar = uploads.getByRole("progressbar", { name: `Uploading ${name}` });
    await eventually(async () => (await bar.getAttribute("aria-valuenow")) === "100", name);
    await shown(row(page, name, bucket));
  }
  // They go on while another page is open.
  await page.getByRole("navigation", { name: "Project" }).getByRole("link", { name: "API keys" }).click();
  await shown(heading(page, "API keys"));
  await shown(uploads);
  await button(page, "Close uploads").click();
  await hidden(uploads);
});

test("a cancelled upload is not listed and leaves no parts", async (t) => {
  const bucket = await newBucket("cancelled");
  await admin("PATCH", `${buckets()}/${bucket}`, { maxObjectBytes: 50_000_000 });
  const page = await open(t, address(bucket));
  let aborted;
  page.on("request", (request) => {
    if (request.url().endsWith("/multipart/abort")) aborted = request;
  });
  let sent = false;
  // The first part never ends.
  await page.route(`${store}/**`, () => {
    sent = true;
  });
  await page.locator("#upload-files").setInputFiles({ name: "large.bin", mimeType: "", buffer: Buffer.alloc(17 << 20) });
  const uploads = page.getByRole("region", { name: "Uploads" });
  await shown(uploads.getByRole("progressbar", { name: "Uploading large.bin" }));
  await eventually(() => sent, "the first part to be sent");
  await button(page, "Cancel upload of large.bin").click();
  await eventually(async () => aborted && (await aborted.response())?.status() === 204, "the upload to be aborted");
  await hidden(uploads);
  assert.deepEqual(await listed(bucket), []);
});

test("a large file goes in parts, and continues after a failure", async (t) => {
  const bucket = await newBucket("parts");
  await admin("PATCH", `${buckets()}/${bucket}`, { maxObjectBytes: 50_000_000 });
  const page = await open(t, address(bucket));
  let broken = true;
  const parts = [];
  await page.route(`${store}/**`, (route) => {
    const number = new URL(route.request().url()).searchParams.get("partNumber");
    if (route.request().method() !== "PUT") return route.continue();
    parts.push(number);
    return broken && number === "2" ? route.fulfill({ status: 400, body: "<Error><Message>Try later</Message></Error>", headers: { "access-control-allow-origin": "*" } }) : route.continue();
  });
  await page.locator("#upload-files").setInputFiles({ name: "large.bin", mimeType: "", buffer: Buffer.alloc(17 << 20) });
  const uploads = page.getByRole("region", { name: "Uploads" });
  await shown(uploads.getByRole("alert").getByText("Part 2 of 2 failed 3 times. The store refused the file: Try later"));
  broken = false;
  await button(page, "Retry upload of large.bin").click();
  const bar = uploads.getByRole("progressbar", { name: "Uploading large.bin" });
  await eventually(async () => (await bar.getAttribute("aria-valuenow")) === "100");
  assert.equal(parts.filter((number) => number === "1").length, 1, "the first part is sent once");
  assert.equal((await listed(bucket))[0].size, 17 << 20);
});

test("a name that exists is asked about, and both files can be kept", async (t) => {
  const bucket = await newBucket("conflict");
  await put(bucket, "photo.txt", "old");
  await put(bucket, "b.txt", "old b");
  const page = await open(t, address(bucket));
  await shown(row(page, "photo.txt", bucket));
  await page.locator("#upload-files").setInputFiles([file("photo.txt", "newer")]);
  let dialog = page.getByRole("alertdialog", { name: "Replace photo.txt?" });
  await shown(dialog.getByText("3 B"));
  await shown(dialog.getByText("5 B"));
  await dialog.getByRole("button", { name: "Keep both" }).click();
  await shown(row(page, "photo (1).txt", bucket));
  await page.locator("#upload-files").setInputFiles([file("photo.txt", "replaced"), file("b.txt", "new b")]);
  dialog = page.getByRole("alertdialog", { name: /^Replace / });
  await dialog.getByRole("checkbox", { name: "For all" }).check();
  await dialog.getByRole("button", { name: "Replace", exact: true }).click();
  await eventually(async () => {
    const found = await listed(bucket);
    return found.find(({ path }) => path === "photo.txt").size === 8 && found.find(({ path }) => path === "b.txt").size === 5;
  }, "both files to be replaced");
  await page.locator("#upload-files").setInputFiles([file("photo.txt", "skipped!!!")]);
  await page.getByRole("alertdialog", { name: "Replace photo.txt?" }).getByRole("button", { name: "Skip" }).click();
  await hidden(page.getByRole("alertdialog"));
  assert.equal((await listed(bucket)).find(({ path }) => path === "photo.txt").size, 8);
});

test("a file over the limit is refused with a link to the limit", async (t) => {
  const bucket = await newBucket("limited");
  await admin("PATCH", `${buckets()}/${bucket}`, { maxObjectBytes: 10 });
  const page = await open(t, address(bucket));
  await page.locator("#upload-files").setInputFiles([file("long.txt", "more than ten bytes")]);
  const uploads = page.getByRole("region", { name: "Uploads" });
  await shown(uploads.getByRole("alert").getByText("bucket's limit"));
  await uploads.getByRole("link", { name: "Change the limit" }).click();
  await shown(page.getByRole("textbox", { name: "Largest object (MB)" }));
});

test("a store that refuses the browser is explained", async (t) => {
  const bucket = await newBucket("refused");
  const page = await open(t, address(bucket));
  await page.route(`${store}/**`, (route) => route.abort());
  await page.locator("#upload-files").setInputFiles([file("a.txt")]);
  await shown(page.getByRole("region", { name: "Uploads" }).getByText(`The store at ${store} refused the browser: check ATLASHUB_S3_PUBLIC_ENDPOINT.`));
  page.problems.length = 0;
});

test("names with special characters round-trip", async (t) => {
  const bucket = await newBucket("names");
  const names = ["#hash.txt", "what?.txt", "100%.txt", "a&b=c+d.txt", "🗂️.txt", `${"n".repeat(896)}.txt`];
  for (const name of names) await put(bucket, `in/${name}`, name);
  const page = await open(t, address(bucket));
  await objects(page, bucket).getByRole("link", { name: "in/" }).click();
  for (const name of names) {
    await row(page, name, bucket).getByRole("link", { name, exact: true }).click();
    const sheet = page.getByRole("dialog", { name, exact: true });
    await shown(sheet.getByRole("region", { name: `Preview of ${name}` }).getByText(name, { exact: true }));
    await page.reload();
    await shown(sheet.getByText(`${bucket}/in/${name}`));
    await sheet.getByRole("button", { name: "Close" }).click();
    await hidden(sheet);
  }
});

test("previews show HTML and SVG as text and run nothing", async (t) => {
  const bucket = await newBucket("previews");
  const html = "<script>document.title = 'ran'</script><b>bold</b>";
  await put(bucket, "a.html", html, "text/html");
  await put(bucket, "a.svg", `<svg xmlns="http://www.w3.org/2000/svg"><script>parent.ran = 1</script></svg>`, "image/svg+xml");
  const page = await open(t, address(bucket, { object: "a.html" }));
  await shown(page.getByRole("region", { name: "Preview of a.html" }).getByText(html, { exact: true }));
  await page.goto(address(bucket, { object: "a.svg" }));
  await shown(page.getByRole("region", { name: "Preview of a.svg" }).getByText("<script>parent.ran = 1</script>"));
  assert.ok((await page.title()).includes("AtlasHub"));
  assert.equal(await page.evaluate(() => globalThis.ran), undefined);
});

test("an object is renamed, moved and copied", async (t) => {
  const bucket = await newBucket("moves");
  const other = await newBucket("moves-2");
  await put(bucket, "a.txt", "a");
  await put(bucket, "taken.txt", "t");
  const page = await open(t, address(bucket));
  await button(page, "Actions for a.txt").click();
  await page.getByRole("menuitem", { name: "Rename object" }).click();
  let dialog = page.getByRole("dialog", { name: "Rename object" });
  await dialog.getByRole("textbox", { name: "New name" }).fill("taken.txt");
  await dialog.getByRole("button", { name: "Rename object" }).click();
  await shown(dialog.getByRole("alert"));
  await dialog.getByRole("textbox", { name: "New name" }).fill("b.txt");
  await dialog.getByRole("button", { name: "Rename object" }).click();
  await shown(row(page, "b.txt", bucket));
  await button(page, "Actions for b.txt").click();
  await page.getByRole("menuitem", { name: "Move object" }).click();
  dialog = page.getByRole("dialog", { name: "Move object" });
  await dialog.getByRole("combobox", { name: "Bucket" }).selectOption(other);
  await dialog.getByRole("textbox", { name: "New path" }).fill("deep/c.txt");
  await dialog.getByRole("button", { name: "Move object" }).click();
  await hidden(row(page, "b.txt", bucket));
  assert.deepEqual((await listed(other)).map(({ path }) => path), ["deep/c.txt"]);
});

test("a folder is deleted after its objects are counted and its name is typed", async (t) => {
  const bucket = await newBucket("folders");
  await Promise.all([...Array(12).keys()].map((number) => put(bucket, `notes/${number % 2 ? "odd" : "even"}/${number}.txt`, "x")));
  await put(bucket, "kept.txt", "kept");
  const page = await open(t, address(bucket));
  await button(page, "Actions for notes/").click();
  await page.getByRole("menuitem", { name: "Delete folder" }).click();
  const dialog = page.getByRole("dialog", { name: "Delete folder" });
  await shown(dialog.getByText("12 objects (12 B)"));
  assert.ok(await dialog.getByRole("button", { name: "Delete folder" }).isDisabled());
  await dialog.getByRole("textbox", { name: "Type notes/ to confirm" }).fill("notes/");
  await dialog.getByRole("button", { name: "Delete folder" }).click();
  await hidden(objects(page, bucket).getByRole("link", { name: "notes/" }));
  await eventually(async () => (await listed(bucket)).length === 1);
  await shown(row(page, "kept.txt", bucket));
});

test("selected objects are deleted together", async (t) => {
  const bucket = await newBucket("selected");
  for (const name of ["a.txt", "b.txt", "c.txt"]) await put(bucket, name, name);
  const page = await open(t, address(bucket));
  for (const name of ["a.txt", "b.txt"]) await page.getByRole("checkbox", { name: `Select ${name}` }).check();
  await button(page, "Delete 2 objects").click();
  const dialog = page.getByRole("dialog", { name: "Delete 2 objects" });
  await dialog.getByRole("button", { name: "Delete 2 objects" }).click();
  await hidden(row(page, "a.txt", bucket));
  assert.deepEqual((await listed(bucket)).map(({ path }) => path), ["c.txt"]);
});

test("the list filters by prefix and pages, and the address has both", async (t) => {
  const bucket = await newBucket("many");
  await Promise.all([...Array(60).keys()].map((number) => put(bucket, `n${String(number).padStart(3, "0")}.txt`, "x")));
  const page = await open(t, address(bucket, { limit: "50" }));
  await shown(page.getByText("1–50, more"));
  await button(page, "Next page").click();
  await shown(page.getByText("51–60 of 60"));
  await page.reload();
  await shown(page.getByText("51–60 of 60"));
  await page.getByRole("searchbox", { name: "Filter by prefix" }).fill("n01");
  await eventually(() => new URL(page.url()).searchParams.get("prefix") === "n01");
  await shown(page.getByText("1–10 of 10"));
});

test("the pages are accessible", async (t) => {
  await put("covers", "2025/a.txt", "a");
  await put("covers", "b.txt", "b");
  for (const narrow of [false, true]) {
    const page = await open(t, address(), { narrow });
    await shown(page.getByRole(narrow ? "list" : "table", { name: "Buckets" }));
    await expectAccessible(page);
    await page.goto(address("covers"));
    await shown(page.getByRole(narrow ? "list" : "table", { name: "Objects in covers" }));
    await expectAccessible(page);
    await page.goto(address("covers", { object: "b.txt" }));
    await shown(page.getByRole("region", { name: "Preview of b.txt" }));
    await expectAccessible(page);
    await page.goto(address("covers", { tab: "access" }));
    await shown(page.getByRole("radiogroup", { name: "Signed-in users" }));
    await expectAccessible(page);
  }
});
