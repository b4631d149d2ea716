import assert from "node:assert/strict";
import { test } from "node:test";
import {
  admin, button, createProject, eventually, expectAccessible, heading, hidden, openPage, shown, url,
} from "./support.mjs";

const store = new URL((await admin("GET", "/system")).storagePublicEndpoint).origin;

const objects = (page) => page.getByRole("table", { name: "Objects in covers" });
const row = (page, name) =>
  objects(page).getByRole("row").filter({ has: page.getByRole("link", { name, exact: true }) });
// A file of two parts.
const LARGE = { name: "large.bin", mimeType: "", buffer: Buffer.alloc(17 << 20) };
const file = (name, content = name, mimeType = "text/plain") => ({ name, mimeType, buffer: Buffer.from(content) });

// A new project with the bucket "covers".
async function newStorage(bucket = {}) {
  const { id } = await createProject("storage");
  const buckets = `/projects/${id}/buckets`;
  await admin("POST", buckets, { name: "covers", ...bucket });
  return {
    id,
    buckets,
    covers: `${buckets}/covers`,
    address: (bucket = "covers", query) =>
      `${url}/projects/${id}/storage${bucket && `/${bucket}`}${query ? `?${new URLSearchParams(query)}` : ""}`,
    // The objects of a bucket.
    listed: async (bucket = "covers") => (await admin("GET", `${buckets}/${bucket}/objects?limit=1000`)).items,
    // Uploads an object without the browser.
    put: async (path, content, contentType = "text/plain") => {
      const size = Buffer.byteLength(content);
      const signed = await admin("POST", `${buckets}/covers/signed-upload`, { path, contentType, size });
      const response = await fetch(signed.uploadUrl, { method: "PUT", body: content, headers: signed.headers });
      assert.ok(response.ok, await response.text());
    },
  };
}

// Opens a page, which may also send requests to the store.
async function open(t, path, options) {
  const page = await openPage(t, options);
  const push = (...found) =>
    Array.prototype.push.apply(page.problems, found.filter((problem) => !problem.startsWith(`request to ${store}/`)));
  Object.defineProperty(page.problems, "push", { value: push });
  await page.goto(path);
  return page;
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

test("a bucket is created, opened to browsers, and deleted after its name is typed", async (t) => {
  const storage = await newStorage();
  const page = await open(t, storage.address(""));
  await shown(heading(page, "Storage"));
  await button(page, "New bucket").click();
  const form = page.getByRole("dialog", { name: "New bucket" });
  await form.getByRole("textbox", { name: "Name" }).fill("Wrong Name");
  await form.getByRole("button", { name: "Create bucket" }).click();
  await shown(form.getByRole("alert").getByText("The bucket name is invalid."));
  await form.getByRole("textbox", { name: "Name" }).fill("made");
  const limit = form.getByRole("textbox", { name: "Maximum object size (MB)" });
  await limit.fill("6000000");
  await form.getByRole("button", { name: "Create bucket" }).click();
  await shown(form.getByRole("alert").getByText("must be from 1 to"));
  assert.equal(await limit.getAttribute("aria-invalid"), "true");
  await limit.fill("5");
  await form.getByRole("button", { name: "Create bucket" }).click();
  await shown(heading(page, "made"));
  await shown(page.getByRole("heading", { level: 2, name: "No objects" }));
  await page.getByRole("tab", { name: "Access" }).click();
  await page
    .getByRole("radiogroup", { name: "Publishable key" })
    .getByRole("radio", { name: "Download", exact: true })
    .check();
  await shown(page.getByRole("status").getByText("Not saved"));
  await button(page, "Save access").click();
  await eventually(async () => (await admin("GET", `${storage.buckets}/made`)).exposure.publishable === "download");
  await page.goto(storage.address(""));
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
  const storage = await newStorage();
  const page = await open(t, storage.address());
  await shown(page.getByRole("heading", { level: 2, name: "No objects" }));
  const names = ["a.txt", "b #1?.txt", "c 100%.txt"];
  await drop(page, names.map((name) => ({ name, content: name })));
  const uploads = page.getByRole("region", { name: "Uploads" });
  for (const name of names) {
    const bar = uploads.getByRole("progressbar", { name: `Uploading ${name}` });
    await eventually(async () => (await bar.getAttribute("aria-valuenow")) === "100", name);
    await shown(row(page, name));
  }
  // The uploads continue while another page is open.
  await page.getByRole("navigation", { name: "Project" }).getByRole("link", { name: "API keys" }).click();
  await shown(heading(page, "API keys"));
  await shown(uploads.getByRole("button", { name: "Expand uploads" }));
  await button(page, "Close uploads").click();
  await hidden(uploads);
});

test("a cancelled upload is aborted and not listed", async (t) => {
  const storage = await newStorage({ maxObjectBytes: 50_000_000 });
  const page = await open(t, storage.address());
  let aborted;
  page.on("request", (request) => {
    if (request.url().endsWith("/multipart/abort")) aborted = request;
  });
  let sent = false;
  // The request with the first part never ends.
  await page.route(`${store}/**`, () => {
    sent = true;
  });
  await page.locator("#upload-files").setInputFiles(LARGE);
  const uploads = page.getByRole("region", { name: "Uploads" });
  await shown(uploads.getByRole("progressbar", { name: "Uploading large.bin" }));
  await eventually(() => sent, "the first part to be sent");
  await button(page, "Cancel upload of large.bin").click();
  await eventually(async () => aborted && (await aborted.response())?.status() === 204, "the upload to be aborted");
  await hidden(uploads);
  assert.deepEqual(await storage.listed(), []);
});

test("a large file is sent in parts, and continues after a failure", async (t) => {
  const storage = await newStorage({ maxObjectBytes: 50_000_000 });
  const page = await open(t, storage.address());
  let broken = true;
  const parts = [];
  await page.route(`${store}/**`, (route) => {
    const number = new URL(route.request().url()).searchParams.get("partNumber");
    if (route.request().method() !== "PUT") return route.continue();
    parts.push(number);
    return broken && number === "2"
      ? route.fulfill({
          status: 400,
          body: "<Error><Message>Try later</Message></Error>",
          headers: { "access-control-allow-origin": "*", "access-control-expose-headers": "ETag" },
        })
      : route.continue();
  });
  await page.locator("#upload-files").setInputFiles(LARGE);
  const uploads = page.getByRole("region", { name: "Uploads" });
  await shown(
    uploads.getByRole("alert").getByText("Part 2 of 2 failed 3 times. The store refused the file: Try later"),
  );
  broken = false;
  await button(page, "Retry upload of large.bin").click();
  const bar = uploads.getByRole("progressbar", { name: "Uploading large.bin" });
  await eventually(async () => (await bar.getAttribute("aria-valuenow")) === "100");
  assert.equal(parts.filter((number) => number === "1").length, 1, "the first part is sent once");
  assert.equal((await storage.listed())[0].size, 17 << 20);
});

test("an upload that was aborted elsewhere starts again", async (t) => {
  const storage = await newStorage({ maxObjectBytes: 50_000_000 });
  const page = await open(t, storage.address());
  let broken = true;
  await page.route(`${store}/**`, (route) => {
    const isSecond = new URL(route.request().url()).searchParams.get("partNumber") === "2";
    const headers = { "access-control-allow-origin": "*", "access-control-expose-headers": "ETag" };
    return broken && isSecond && route.request().method() === "PUT"
      ? route.fulfill({ status: 400, headers })
      : route.continue();
  });
  await page.locator("#upload-files").setInputFiles(LARGE);
  await shown(
    page.getByRole("region", { name: "Uploads" }).getByRole("alert").getByText("Part 2 of 2 failed 3 times."),
  );
  broken = false;
  const { items } = await admin("GET", `${storage.covers}/multipart`);
  for (const { objectKey, uploadId } of items)
    await admin("POST", `${storage.covers}/multipart/abort`, { objectKey, uploadId });
  await button(page, "Retry upload of large.bin").click();
  await eventually(async () => (await storage.listed())[0]?.size === 17 << 20, "the object");
});

test("more buckets than a page shows are on further pages", async (t) => {
  const storage = await newStorage();
  const names = [...Array(50).keys()].map((number) => `b${String(number).padStart(2, "0")}`);
  await Promise.all(names.map((name) => admin("POST", storage.buckets, { name })));
  const page = await open(t, storage.address("", { limit: 50 }));
  const buckets = page.getByRole("table", { name: "Buckets" });
  await shown(buckets.getByRole("link", { name: "b49" }));
  await hidden(buckets.getByRole("link", { name: "covers" }));
  await button(page, "Next page").click();
  await shown(buckets.getByRole("link", { name: "covers" }));
  await shown(page.getByText("51–53 of 53"));
});

test("a file whose name exists needs a decision, and both files can be kept", async (t) => {
  const storage = await newStorage();
  await storage.put("photo.txt", "old");
  await storage.put("b.txt", "old b");
  const page = await open(t, storage.address());
  await shown(row(page, "photo.txt"));
  await page.locator("#upload-files").setInputFiles([file("photo.txt", "newer")]);
  let dialog = page.getByRole("alertdialog", { name: "Replace photo.txt?" });
  await shown(dialog.getByText("3 B"));
  await shown(dialog.getByText("5 B"));
  await dialog.getByRole("button", { name: "Keep both" }).click();
  await shown(row(page, "photo (1).txt"));
  await page.locator("#upload-files").setInputFiles([file("photo.txt", "replaced"), file("b.txt", "new b")]);
  dialog = page.getByRole("alertdialog", { name: /^Replace / });
  await dialog.getByRole("checkbox", { name: "For all" }).check();
  await dialog.getByRole("button", { name: "Replace", exact: true }).click();
  await eventually(async () => {
    const found = await storage.listed();
    return (
      found.find(({ path }) => path === "photo.txt").size === 8 && found.find(({ path }) => path === "b.txt").size === 5
    );
  }, "both files to be replaced");
  await page.locator("#upload-files").setInputFiles([file("photo.txt", "skipped!!!")]);
  await page.getByRole("alertdialog", { name: "Replace photo.txt?" }).getByRole("button", { name: "Skip" }).click();
  await hidden(page.getByRole("alertdialog"));
  assert.equal((await storage.listed()).find(({ path }) => path === "photo.txt").size, 8);
});

test("a file over the limit is refused with a link to the limit", async (t) => {
  const storage = await newStorage({ maxObjectBytes: 10 });
  const page = await open(t, storage.address());
  await page.locator("#upload-files").setInputFiles([file("long.txt", "more than ten bytes")]);
  const uploads = page.getByRole("region", { name: "Uploads" });
  await shown(uploads.getByRole("alert").getByText("bucket's limit"));
  await uploads.getByRole("link", { name: "Change the limit" }).click();
  await shown(page.getByRole("textbox", { name: "Maximum object size (MB)" }));
});

test("the error of a store that the browser can't reach names the setting to check", async (t) => {
  const storage = await newStorage();
  const page = await open(t, storage.address());
  await page.route(`${store}/**`, (route) => route.abort());
  await page.locator("#upload-files").setInputFiles([file("a.txt")]);
  await shown(
    page
      .getByRole("region", { name: "Uploads" })
      .getByText(`The browser could not reach the store at ${store}. Check ATLASHUB_S3_PUBLIC_ENDPOINT.`),
  );
  page.problems.length = 0;
});

test("names with special characters round-trip", async (t) => {
  const storage = await newStorage();
  const names = ["#hash.txt", "what?.txt", "100%.txt", "a&b=c+d.txt", "🗂️.txt", `${"n".repeat(896)}.txt`];
  for (const name of names) await storage.put(`in/${name}`, name);
  const page = await open(t, storage.address());
  await objects(page).getByRole("link", { name: "in/" }).click();
  for (const name of names) {
    await row(page, name).getByRole("link", { name, exact: true }).click();
    const sheet = page.getByRole("dialog", { name, exact: true });
    await shown(sheet.getByRole("region", { name: `Preview of ${name}` }).getByText(name, { exact: true }));
    await page.reload();
    await shown(sheet.getByText(`covers/in/${name}`));
    await sheet.getByRole("button", { name: "Close" }).click();
    await hidden(sheet);
  }
  const link = row(page, names[0]).getByRole("link", { name: names[0], exact: true });
  const [tab] = await Promise.all([page.context().waitForEvent("page"), link.click({ modifiers: ["Control"] })]);
  await shown(tab.getByRole("dialog", { name: names[0], exact: true }));
});

test("previews show HTML and SVG as text and run nothing", async (t) => {
  const storage = await newStorage();
  const html = "<script>document.title = 'ran'</script><b>bold</b>";
  await storage.put("a.html", html, "text/html");
  const svg = `<svg xmlns="http://www.w3.org/2000/svg"><script>parent.ran = 1</script></svg>`;
  await storage.put("a.svg", svg, "image/svg+xml");
  const page = await open(t, storage.address("covers", { object: "a.html" }));
  await shown(page.getByRole("region", { name: "Preview of a.html" }).getByText(html, { exact: true }));
  // The pager has one line, even if the sheet leaves little room beside it.
  await page.setViewportSize({ width: 1280, height: 800 });
  const pager = page.locator(".foot.sticky");
  await shown(pager.getByRole("group", { name: "Paging" }));
  assert.ok((await pager.boundingBox()).height < 48);
  await page.goto(storage.address("covers", { object: "a.svg" }));
  await shown(page.getByRole("region", { name: "Preview of a.svg" }).getByText("<script>parent.ran = 1</script>"));
  assert.ok((await page.title()).includes("AtlasHub"));
  assert.equal(await page.evaluate(() => globalThis.ran), undefined);
});

test("an object is renamed and moved, and a name in use is refused", async (t) => {
  const storage = await newStorage();
  const other = "other";
  await admin("POST", storage.buckets, { name: other });
  await storage.put("a.txt", "a");
  await storage.put("taken.txt", "t");
  const page = await open(t, storage.address());
  await button(page, "Actions for a.txt").click();
  await page.getByRole("menuitem", { name: "Rename object" }).click();
  let dialog = page.getByRole("dialog", { name: "Rename object" });
  await dialog.getByRole("textbox", { name: "New name" }).fill("taken.txt");
  await dialog.getByRole("button", { name: "Rename object" }).click();
  await shown(dialog.getByRole("alert"));
  await dialog.getByRole("textbox", { name: "New name" }).fill("b.txt");
  await dialog.getByRole("button", { name: "Rename object" }).click();
  await shown(row(page, "b.txt"));
  await button(page, "Actions for b.txt").click();
  await page.getByRole("menuitem", { name: "Move object" }).click();
  dialog = page.getByRole("dialog", { name: "Move object" });
  await dialog.getByRole("combobox", { name: "Bucket" }).selectOption(other);
  await dialog.getByRole("textbox", { name: "New path" }).fill("deep/c.txt");
  await dialog.getByRole("button", { name: "Move object" }).click();
  await hidden(row(page, "b.txt"));
  assert.deepEqual((await storage.listed(other)).map(({ path }) => path), ["deep/c.txt"]);
});

test("a folder is deleted after its objects are counted and its name is typed", async (t) => {
  const storage = await newStorage();
  await Promise.all(
    [...Array(12).keys()].map((number) => storage.put(`notes/${number % 2 ? "odd" : "even"}/${number}.txt`, "x")),
  );
  await storage.put("kept.txt", "kept");
  const page = await open(t, storage.address());
  await button(page, "Actions for notes/").click();
  await page.getByRole("menuitem", { name: "Delete folder" }).click();
  const dialog = page.getByRole("dialog", { name: "Delete folder" });
  await shown(dialog.getByText("12 objects (12 B)"));
  assert.ok(await dialog.getByRole("button", { name: "Delete folder" }).isDisabled());
  await dialog.getByRole("textbox", { name: "Type notes/ to confirm" }).fill("notes/");
  await dialog.getByRole("button", { name: "Delete folder" }).click();
  await hidden(objects(page).getByRole("link", { name: "notes/" }));
  await eventually(async () => (await storage.listed()).length === 1);
  await shown(row(page, "kept.txt"));
});

test("selected objects are deleted together", async (t) => {
  const storage = await newStorage();
  for (const name of ["a.txt", "b.txt", "c.txt"]) await storage.put(name, name);
  const page = await open(t, storage.address());
  for (const name of ["a.txt", "b.txt"]) await page.getByRole("checkbox", { name: `Select ${name}` }).check();
  await button(page, "Delete 2 objects").click();
  const dialog = page.getByRole("dialog", { name: "Delete 2 objects" });
  await dialog.getByRole("button", { name: "Delete 2 objects" }).click();
  await hidden(row(page, "a.txt"));
  assert.deepEqual((await storage.listed()).map(({ path }) => path), ["c.txt"]);
});

test("the address contains the prefix filter and the page of a list", async (t) => {
  const storage = await newStorage();
  await Promise.all([...Array(60).keys()].map((number) => storage.put(`n${String(number).padStart(3, "0")}.txt`, "x")));
  const page = await open(t, storage.address("covers", { limit: "50" }));
  await shown(page.getByText("1–50, more"));
  await button(page, "Next page").click();
  await shown(page.getByText("51–60 of 60"));
  await page.reload();
  await shown(page.getByText("51–60 of 60"));
  await page.getByRole("searchbox", { name: "Filter by prefix" }).fill("n01");
  await eventually(() => new URL(page.url()).searchParams.get("prefix") === "n01");
  await shown(page.getByText("1–10 of 10"));
});

test("unfinished upload is listed, and aborted after a confirmation", async (t) => {
  const storage = await newStorage({ maxObjectBytes: 50_000_000 });
  const upload = { path: "left.bin", contentType: "video/mp4", size: 20_000_000, mode: "multipart" };
  await admin("POST", `${storage.covers}/signed-upload`, upload);
  const page = await open(t, storage.address());
  await page.getByText("1 unfinished upload", { exact: true }).click();
  const list = page.getByRole("list", { name: "Unfinished uploads" });
  await shown(list.getByText(/^20(\.0)? MB · started .* by the owner/));
  await button(page, "Abort upload of left.bin").click();
  const dialog = page.getByRole("dialog", { name: "Abort upload" });
  await dialog.getByRole("button", { name: "Abort upload" }).click();
  await hidden(list);
  assert.deepEqual((await admin("GET", `${storage.covers}/multipart`)).items, []);
});

test("the pages are accessible", async (t) => {
  const storage = await newStorage();
  await storage.put("2025/a.txt", "a");
  await storage.put("b.txt", "b");
  for (const narrow of [false, true]) {
    const page = await open(t, storage.address(""), { narrow });
    await shown(page.getByRole(narrow ? "list" : "table", { name: "Buckets" }));
    await expectAccessible(page);
    await page.goto(storage.address());
    await shown(page.getByRole(narrow ? "list" : "table", { name: "Objects in covers" }));
    await expectAccessible(page);
    await page.goto(storage.address("covers", { object: "b.txt" }));
    await shown(page.getByRole("region", { name: "Preview of b.txt" }));
    await expectAccessible(page);
    await page.goto(storage.address("covers", { tab: "access" }));
    await shown(page.getByRole("radiogroup", { name: "Signed-in users" }));
    await expectAccessible(page);
  }
});
