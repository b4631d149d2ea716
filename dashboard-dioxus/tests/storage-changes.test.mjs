// Changes of objects during an upload, or while objects are selected.

import assert from "node:assert/strict";
import { test } from "node:test";
import { admin, button, createProject, eventually, hidden, openPage, refusal, shown, url } from "./support.mjs";

const store = new URL((await admin("GET", "/system")).storagePublicEndpoint).origin;

// Opens a new bucket with these objects. Returns the page and the path of the bucket in the API.
async function openBucket(t, ...paths) {
  const { id } = await createProject("storage");
  const bucket = `/projects/${id}/buckets/uploads`;
  for (const path of paths) {
    const upload = { path, contentType: "text/plain", size: 1 };
    const signed = await admin("POST", `${bucket}/signed-upload`, upload);
    await fetch(signed.uploadUrl, { method: "PUT", body: "a", headers: signed.headers });
  }
  const page = await openPage(t, { origins: [`${store}/`] });
  await page.goto(`${url}/projects/${id}/storage/uploads`);
  for (const path of paths) await shown(page.getByRole("link", { name: path, exact: true }));
  return { page, bucket };
}

test("upload that is cancelled while its conflict is read asks nothing", async (t) => {
  const { page, bucket } = await openBucket(t, "a.txt");
  let release;
  const isCancelled = new Promise((resolve) => (release = resolve));
  await page.route(`**${bucket}/object?*`, async (route) => {
    await isCancelled;
    await route.continue();
  });
  const isRead = page.waitForRequest((request) => request.url().includes(`${bucket}/object?`));
  const file = { name: "a.txt", mimeType: "text/plain", buffer: Buffer.from("new") };
  await page.locator("#upload-files").setInputFiles([file]);
  await isRead;
  await button(page, "Cancel upload of a.txt").click();
  release();
  await hidden(page.getByRole("region", { name: "Uploads" }));
  await hidden(page.getByRole("alertdialog"));
});

test("moved object keeps its name in a path that ends with a slash", async (t) => {
  const { page, bucket } = await openBucket(t, "a.txt");
  await button(page, "Actions for a.txt").click();
  await page.getByRole("menuitem", { name: "Move object" }).click();
  const dialog = page.getByRole("dialog", { name: "Move object" });
  const path = dialog.getByRole("textbox", { name: "New path" });
  await path.fill("2026/autumn");
  await shown(dialog.getByText("The object gets the name autumn, in the folder 2026/."));
  await path.fill("2026/autumn/");
  await shown(dialog.getByText("The object keeps the name a.txt, in the folder 2026/autumn/."));
  await page.keyboard.press("Enter");
  await shown(page.getByRole("status").getByText("Object moved to uploads/2026/autumn/a.txt"));
  const { items } = await admin("GET", `${bucket}/objects?limit=10`);
  assert.deepEqual(items.map(({ path }) => path), ["2026/autumn/a.txt"]);
});

test("uploads do not cover the bar at the bottom of the page in a narrow window", async (t) => {
  const { page } = await openBucket(t, "a.txt");
  await page.locator("#upload-files").setInputFiles([
    { name: "b.txt", mimeType: "text/plain", buffer: Buffer.from("b") },
  ]);
  await shown(button(page, "Close uploads"));
  for (const width of [1440, 900, 390]) {
    await page.setViewportSize({ width, height: 844 });
    // A click fails if another element covers the button.
    await page.getByRole("main").getByRole("button", { name: "Refresh" }).click();
  }
});

test("focus moves to the page when the row of a moved object is gone, and when the uploads are closed", async (t) => {
  const { page } = await openBucket(t, "a.txt");
  const isOnPage = () => page.getByRole("main").evaluate((main) => main === document.activeElement);
  await button(page, "Actions for a.txt").press("Enter");
  await page.getByRole("menuitem", { name: "Move object" }).press("Enter");
  const dialog = page.getByRole("dialog", { name: "Move object" });
  await dialog.getByRole("textbox", { name: "New path" }).fill("folder/a.txt");
  await page.keyboard.press("Enter");
  await hidden(page.getByRole("link", { name: "a.txt", exact: true }));
  await eventually(isOnPage, "the focus on the page after the move");
  await page.locator("#upload-files").setInputFiles([
    { name: "b.txt", mimeType: "text/plain", buffer: Buffer.from("b") },
  ]);
  await button(page, "Close uploads").press("Enter");
  await hidden(page.getByRole("region", { name: "Uploads" }));
  await eventually(isOnPage, "the focus on the page after the uploads are closed");
});

test("upload in parts that gets another name leaves no parts", async (t) => {
  const { page, bucket } = await openBucket(t);
  let completed = 0;
  // An object with the name appears while the parts are sent, twice.
  await page.route(`**${bucket}/multipart/complete`, (route) => {
    completed += 1;
    const exists = refusal(409, "An object with this key exists.");
    exists.json.error.code = "object_exists";
    return completed <= 2 ? route.fulfill(exists) : route.continue();
  });
  const file = { name: "large.bin", mimeType: "", buffer: Buffer.alloc(17 << 20) };
  await page.locator("#upload-files").setInputFiles([file]);
  const dialog = page.getByRole("alertdialog", { name: "Replace large.bin?" });
  await dialog.getByRole("button", { name: "Keep both" }).click();
  // The file is sent twice more.
  await page.getByRole("link", { name: "large (1).bin", exact: true }).waitFor({ timeout: 60_000 });
  const { items } = await admin("GET", `${bucket}/multipart?limit=200`);
  assert.deepEqual(items, []);
});

test("upload that is retried after Keep both does not ask again", async (t) => {
  const { page, bucket } = await openBucket(t);
  const exists = refusal(409, "An object with this key exists.");
  exists.json.error.code = "object_exists";
  // The object that appeared while the parts were sent is gone before the last attempt.
  const responses = [exists, refusal(400, "The parts can't be completed."), exists];
  await page.route(`**${bucket}/multipart/complete`, (route) => {
    const response = responses.shift();
    return response ? route.fulfill(response) : route.continue();
  });
  const file = { name: "large.bin", mimeType: "", buffer: Buffer.alloc(17 << 20) };
  await page.locator("#upload-files").setInputFiles([file]);
  const dialog = page.getByRole("alertdialog", { name: "Replace large.bin?" });
  await dialog.getByRole("button", { name: "Keep both" }).click();
  await button(page, "Retry upload of large.bin").click();
  await page.getByRole("link", { name: "large.bin", exact: true }).waitFor({ timeout: 60_000 });
  const { items } = await admin("GET", `${bucket}/multipart?limit=200`);
  assert.deepEqual([responses, items], [[], []]);
});

test("files that arrived just before the last upload failed are listed", async (t) => {
  const { page } = await openBucket(t);
  await page.clock.install();
  await page.reload();
  let fail;
  const isFailing = new Promise((resolve) => (fail = resolve));
  let sent = 0;
  await page.route(`${store}/**`, async (route) => {
    if (route.request().method() !== "PUT") return route.continue();
    sent += 1;
    if (sent < 3) return route.continue();
    await isFailing;
    const headers = { "access-control-allow-origin": "*", "access-control-expose-headers": "etag" };
    return route.fulfill({ status: 400, headers });
  });
  const files = ["a.txt", "b.txt", "c.txt"].map((name) => ({ name, mimeType: "text/plain", buffer: Buffer.from("a") }));
  await page.locator("#upload-files").setInputFiles(files);
  const uploads = page.getByRole("region", { name: "Uploads" });
  await shown(uploads.getByText("2 of 3 done"));
  // The page reads the list again at intervals, which do not pass now.
  await page.clock.pauseAt(await page.evaluate(() => Date.now() + 1_000));
  fail();
  await shown(uploads.getByRole("alert"));
  await shown(page.getByRole("table", { name: "Objects in uploads" }).getByRole("row").nth(2));
});

test("cancelled upload whose parts could not be removed is listed as unfinished", async (t) => {
  const { page, bucket } = await openBucket(t);
  const refused = refusal(503, "The store can't be reached.");
  await page.route(`**${bucket}/multipart/abort`, (route) => route.fulfill(refused));
  let sent = false;
  // The request with the first part never ends.
  await page.route(`${store}/**`, () => {
    sent = true;
  });
  const file = { name: "large.bin", mimeType: "", buffer: Buffer.alloc(17 << 20) };
  await page.locator("#upload-files").setInputFiles([file]);
  await eventually(() => sent, "the first part to be sent");
  await button(page, "Cancel upload of large.bin").click();
  await shown(page.getByText("1 unfinished upload", { exact: true }));
});

test("replacing an object is offered only for the name that was refused", async (t) => {
  const { page } = await openBucket(t, "a.txt", "b.txt");
  await button(page, "Actions for a.txt").click();
  await page.getByRole("menuitem", { name: "Rename object" }).click();
  const dialog = page.getByRole("dialog", { name: "Rename object" });
  const name = dialog.getByRole("textbox", { name: "New name" });
  await name.fill("b.txt");
  await dialog.getByRole("button", { name: "Rename object" }).click();
  await shown(dialog.getByRole("button", { name: "Replace" }));
  await name.fill("c.txt");
  await hidden(dialog.getByRole("button", { name: "Replace" }));
});

test("renamed object is no longer selected", async (t) => {
  const { page } = await openBucket(t, "a.txt", "b.txt");
  for (const name of ["a.txt", "b.txt"]) await page.getByRole("checkbox", { name: `Select ${name}` }).check();
  await button(page, "Actions for a.txt").click();
  await page.getByRole("menuitem", { name: "Rename object" }).click();
  const dialog = page.getByRole("dialog", { name: "Rename object" });
  await dialog.getByRole("textbox", { name: "New name" }).fill("c.txt");
  await dialog.getByRole("button", { name: "Rename object" }).click();
  await shown(page.getByRole("link", { name: "c.txt", exact: true }));
  await shown(button(page, "Delete 1 object"));
});

test("deletion whose run no longer exists stops being shown", async (t) => {
  const { page } = await openBucket(t, "a.txt", "b.txt");
  await page.route("**/admin/v1/runs/*", (route) => route.fulfill(refusal(404, "There is no such run.")));
  for (const name of ["a.txt", "b.txt"]) await page.getByRole("checkbox", { name: `Select ${name}` }).check();
  await button(page, "Delete 2 objects").click();
  await button(page.getByRole("dialog", { name: "Delete 2 objects" }), "Delete 2 objects").click();
  await shown(page.getByText("It is not known how the deletion of 2 objects ended, because its run no longer exists."));
  await hidden(page.getByRole("progressbar", { name: "Deleting 2 objects" }));
});
