// The project that stays open in the sidebar while a page of the platform is shown.

import assert from "node:assert/strict";
import { test } from "node:test";
import { admin, button, createProject, heading, hidden, openPage, shown, url } from "./support.mjs";

test("a page of the platform keeps the project that was open", async (t) => {
  const { id, name } = await createProject("kept");
  const page = await openPage(t);
  const project = page.getByRole("navigation", { name: "Project" });
  await page.goto(`${url}/projects/${id}/tables`);
  await shown(project);
  await page.getByRole("navigation", { name: "Platform" }).getByRole("link", { name: "Audit log" }).click();
  await shown(heading(page, "Audit log"));
  await shown(button(page, `Project: ${name}`));
  assert.equal(await project.locator("[aria-current]").count(), 0);
  assert.equal(await page.title(), "Audit log · AtlasHub");
  await page.reload();
  await project.getByRole("link", { name: "Tables" }).click();
  await shown(heading(page, "Tables"));
  // A deleted project is not kept.
  await page.goto(`${url}/audit`);
  await shown(project);
  await admin("DELETE", `/projects/${id}`, { confirm: name });
  await shown(button(page, "Project: none"));
  await hidden(project);
});
