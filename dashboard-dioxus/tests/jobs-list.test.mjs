// The list of jobs: its pages and its filters.

import assert from "node:assert/strict";
import { test } from "node:test";
import { admin, button, createProject, eventually, hidden, openPage, shown, url } from "./support.mjs";

const createJob = (project, name) =>
  admin("POST", "/jobs", {
    type: "http", httpUrl: "http://localhost/", scheduleCron: "0 3 1 1 *", name, projectId: project.id,
  });

const jobsOf = (project) => `${url}/projects/${project.id}/jobs`;

// Divides the list into two pages. Both have all jobs.
const divide = (page) =>
  page.route(/\/admin\/v1\/jobs\?limit/, async (route) => {
    const address = new URL(route.request().url());
    const isLast = address.searchParams.has("cursor");
    address.searchParams.delete("cursor");
    const jobs = await (await route.fetch({ url: address.href })).json();
    await route.fulfill({ json: { ...jobs, nextCursor: isLast ? null : "second" } });
  });

test("last page of a long list leads to the first one", async (t) => {
  const project = await createProject("paged");
  await createJob(project, "Listed");
  const page = await openPage(t);
  await divide(page);
  await page.goto(`${jobsOf(project)}?after=second`);
  await shown(page.getByText("1 job on this page"));
  await button(page, "First page").click();
  await page.waitForURL((address) => !address.searchParams.has("after"));
});

test("choosing a state in a long list shows the first page", async (t) => {
  const project = await createProject("paged");
  await createJob(project, "Listed");
  const page = await openPage(t);
  await divide(page);
  await page.goto(jobsOf(project));
  await button(page, "Next page").click();
  await page.waitForURL((address) => address.searchParams.get("after") === "second");
  await button(page, "Disabled").click();
  await page.waitForURL((address) => address.searchParams.get("state") === "disabled");
  assert.equal(new URL(page.url()).searchParams.get("after"), null);
});

test("spaces around the filter do not matter", async (t) => {
  const project = await createProject("filtered");
  await createJob(project, "Nightly report");
  const page = await openPage(t);
  await page.goto(jobsOf(project));
  await page.getByRole("searchbox", { name: "Filter jobs" }).fill("report ");
  await page.waitForURL((address) => address.searchParams.get("q") === "report");
  await shown(page.getByRole("table", { name: "Jobs" }).getByRole("row").filter({ hasText: "Nightly report" }));
});

test("switch of a job shows that another tab has enabled the job again", async (t) => {
  const project = await createProject("switched");
  const { id } = await createJob(project, "Switched");
  const page = await openPage(t);
  await page.route(`**/admin/v1/jobs/${id}`, async (route) => {
    const response = await route.fetch();
    await admin("PATCH", `/jobs/${id}`, { enabled: true });
    await route.fulfill({ response });
  });
  await page.goto(jobsOf(project));
  const isSaved = page.waitForResponse((response) => response.request().method() === "PATCH");
  const control = page.getByRole("switch", { name: "Enable Switched" });
  await control.click();
  assert.equal((await (await isSaved).json()).enabled, false);
  await eventually(() => control.isChecked(), "the state that the other tab has set");
});

test("switch of a job shows the second of two quick choices while the first is saved", async (t) => {
  const project = await createProject("switched twice");
  const { id } = await createJob(project, "Switched twice");
  const page = await openPage(t);
  let release;
  const isReleased = new Promise((resolve) => (release = resolve));
  let note;
  const isChosenTwice = new Promise((resolve) => (note = resolve));
  await page.route(`**/admin/v1/jobs/${id}`, async (route) => {
    const { enabled } = route.request().postDataJSON();
    if (enabled) note();
    await (enabled ? isReleased : isChosenTwice);
    await route.continue();
  });
  await page.goto(jobsOf(project));
  const control = page.getByRole("switch", { name: "Enable Switched twice" });
  await control.click();
  await control.click();
  // The list is read again, with the first choice.
  const item = page.getByRole("table", { name: "Jobs" }).getByRole("row").filter({ hasText: "Switched twice" });
  await shown(item.getByText("Disabled"));
  assert.ok(await control.isChecked());
  release();
  await hidden(item.getByText("Disabled"));
  assert.ok(await control.isChecked());
  assert.equal((await admin("GET", `/jobs/${id}`)).enabled, true);
});

test("the key that selects a row does not switch its job off", async (t) => {
  const project = await createProject("keys");
  const job = await createJob(project, "Kept on");
  const page = await openPage(t);
  await page.goto(jobsOf(project));
  await shown(page.getByRole("table", { name: "Jobs" }).getByRole("row").filter({ hasText: "Kept on" }));
  await page.keyboard.press("j");
  await page.waitForFunction(() => document.activeElement?.textContent === "Kept on");
  await page.keyboard.press("x");
  // A key whose effect can be seen, so that the effect of `x` would be seen as well.
  await page.keyboard.press("?");
  await shown(page.getByRole("dialog", { name: "Keyboard shortcuts" }));
  assert.equal((await admin("GET", `/jobs/${job.id}`)).enabled, true);
  assert.ok(await page.getByRole("switch", { name: "Enable Kept on", includeHidden: true }).isChecked());
});
