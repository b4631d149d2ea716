// New folders: the page opens them before an object is in them.

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  admin, button, createProject, eventually, expectAccessible, hidden, openPage, shown, url,
} from "./support.mjs";

const store = new URL((await admin("GET", "/system")).storagePublicEndpoint).origin;

test("new folder is opened, and exists once a file is in it", async (t) => {
  const { id } = await createProject("new folder");
  const page = await openPage(t, { origins: [store] });
  await page.goto(`${url}/projects/${id}/storage/uploads`);
  await button(page, "New folder").click();
  const dialog = page.getByRole("dialog", { name: "New folder" });
  await shown(dialog.getByText("The folder is created in uploads/ with the first file that you upload to it."));
  await expectAccessible(page);
  const name = dialog.getByRole("textbox", { name: "Name" });
  await name.fill("..");
  await button(dialog, "Open folder").click();
  await shown(dialog.getByRole("alert").filter({ hasText: "The name contains a segment" }));
  assert.equal(await name.getAttribute("aria-invalid"), "true");
  await name.fill(" 2026/autumn/ ");
  await button(dialog, "Open folder").click();
  await hidden(dialog);
  assert.equal(new URL(page.url()).searchParams.get("prefix"), "2026/autumn/");
  await shown(page.getByText("The folder 2026/autumn/ exists once a file is in it.", { exact: false }));
  await shown(page.getByRole("navigation", { name: "Folder path" }).getByRole("link", { name: "autumn" }));
  const file = { name: "a.txt", mimeType: "text/plain", buffer: Buffer.from("a") };
  await page.locator("#upload-files").setInputFiles(file);
  const paths = async () =>
    (await admin("GET", `/projects/${id}/buckets/uploads/objects?limit=10`)).items.map(({ path }) => path);
  await eventually(async () => (await paths()).join() === "2026/autumn/a.txt", "the file in the folder");
  await button(page, "New folder").click();
  await shown(dialog.getByText("The folder is created in uploads/2026/autumn/ with", { exact: false }));
  // The form of another folder does not show what was typed for this one.
  await name.fill("typed");
  await page.goBack();
  await shown(dialog.getByText("The folder is created in uploads/ with", { exact: false }));
  assert.equal(await name.inputValue(), "");
});
