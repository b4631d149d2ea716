// Pages of lists whose entries are gone.

import { test } from "node:test";
import { button, createProject, eventually, openPage, shown, url } from "./support.mjs";

test("a later page whose entries are gone does not say that there are none", async (t) => {
  const { id } = await createProject("empty pages");
  const page = await openPage(t);
  await page.route(
    ({ pathname, searchParams }) => pathname.startsWith("/admin/v1/") && searchParams.get("cursor") === "gone",
    (route) => route.fulfill({ json: { items: [], prefixes: [], nextCursor: null } }),
  );
  for (const [path, entries] of [
    ["/runs", "runs"],
    ["/jobs", "jobs"],
    ["/audit", "audit entries"],
    ["/backups", "backups"],
    [`/projects/${id}/storage`, "buckets"],
    [`/projects/${id}/storage/uploads`, "objects"],
  ]) {
    await page.goto(`${url}${path}?after=gone&offset=50`);
    await shown(page.getByRole("heading", { name: `No ${entries} on this page` }));
    await button(page, "First page").click();
    await eventually(() => !new URL(page.url()).searchParams.has("after"), `the first page of ${path}`);
  }
});
