// The text that filters a list, and its parameter in the page's URL.
import assert from "node:assert/strict";
import { test } from "node:test";
import { admin, button, createProject, eventually, heading, hidden, openPage, shown, url } from "./support.mjs";

const search = (page) => new URL(page.url()).searchParams.get("q");

test("filter of a list follows the address, and the address follows the filter", async (t) => {
  const { id } = await createProject("filtered");
  // An empty list has no filter.
  await admin("POST", "/jobs", {
    name: "filtered", projectId: id, scheduleCron: "0 3 1 1 *", type: "platform", plugin: "backup",
    pluginJob: "backup", params: { target: `project:${id}` },
  });
  const page = await openPage(t);
  for (const [path, name] of [
    ["/projects", "Filter projects"],
    ["/jobs", "Filter jobs"],
    ["/runs", "Filter runs"],
  ]) {
    await page.goto(`${url}${path}?q=first`);
    const field = page.getByRole("searchbox", { name });
    await eventually(async () => (await field.inputValue()) === "first", `the text of ${path}`);
    await field.fill("second");
    await eventually(() => search(page) === "second", `the address of ${path}`);
    // Opens the same page without a filter.
    const link = { "/projects": "Projects", "/jobs": "Jobs", "/runs": "Runs" }[path];
    const navigation = path === "/runs" ? "Jobs and runs" : "Platform";
    await page.getByRole("navigation", { name: navigation }).getByRole("link", { name: link }).click();
    await eventually(async () => (await field.inputValue()) === "", `the empty text of ${path}`);
    assert.equal(search(page), null);
    await page.goBack();
    await eventually(async () => (await field.inputValue()) === "second", `the text of ${path} after Back`);
  }
});

test("a list of users without a match offers to clear the filter, which is in the address", async (t) => {
  const { id } = await createProject("filtered users");
  await admin("PATCH", `/projects/${id}/auth`, { enabled: true });
  await admin("POST", `/projects/${id}/users`, { email: "ann@example.com", password: "a long enough password" });
  const page = await openPage(t);
  await page.goto(`${url}/projects/${id}/users?q=bob`);
  await shown(heading(page, "Users"));
  await shown(page.getByRole("heading", { level: 2, name: "No user matches" }));
  await button(page, "Clear filters").click();
  await shown(page.getByRole("link", { name: "ann@example.com" }));
  assert.equal(search(page), null);
  await page.getByRole("searchbox", { name: "Filter users" }).fill("ann");
  await eventually(() => search(page) === "ann", "the address");
});

test("a list of buckets without a match offers to clear the filter", async (t) => {
  const { id } = await createProject("filtered buckets");
  await admin("POST", `/projects/${id}/buckets`, { name: "covers" });
  const page = await openPage(t);
  await page.goto(`${url}/projects/${id}/storage`);
  const covers = page.getByRole("link", { name: "covers" });
  await shown(covers);
  await page.getByRole("searchbox", { name: "Filter buckets" }).fill("nothing");
  await shown(page.getByRole("heading", { level: 2, name: "No bucket matches" }));
  await hidden(covers);
  await button(page, "Clear filters").click();
  await shown(covers);
});
