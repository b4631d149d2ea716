// The preview of a PDF document, which Chromium does not show in a sandboxed frame.

import assert from "node:assert/strict";
import { test } from "node:test";
import { admin, createProject, openPage, shown, url } from "./support.mjs";
import { STORE } from "./transfers-support.mjs";

test("PDF document can be opened in a new tab, and its frame is sandboxed", async (t) => {
  const { id } = await createProject("pdf");
  const buckets = `/projects/${id}/buckets`;
  await admin("POST", buckets, { name: "documents" });
  const contentType = "application/pdf";
  const content = "%PDF-1.4";
  const size = Buffer.byteLength(content);
  const signed = await admin("POST", `${buckets}/documents/signed-upload`, { path: "a.pdf", contentType, size });
  const response = await fetch(signed.uploadUrl, { method: "PUT", body: content, headers: signed.headers });
  assert.ok(response.ok, await response.text());
  const page = await openPage(t, { origins: STORE });
  // Chromium logs that the sandboxed frame shows no document. For this reason, the page also has the link.
  const isExpected = (problem) => problem.startsWith("Failed to load '") && problem.includes("sandboxed");
  const push = (...found) => Array.prototype.push.apply(page.problems, found.filter((one) => !isExpected(one)));
  Object.defineProperty(page.problems, "push", { value: push });
  await page.goto(`${url}/projects/${id}/storage/documents?object=a.pdf`);
  const link = page.getByRole("dialog").getByRole("link", { name: "Open in a new tab" });
  await shown(link);
  assert.equal(await link.getAttribute("target"), "_blank");
  assert.equal(await page.locator("iframe").getAttribute("sandbox"), "");
});
