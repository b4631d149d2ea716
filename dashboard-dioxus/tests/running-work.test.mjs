// The list of runs in progress.

import { test } from "node:test";
import { button, openPage, shown, url } from "./support.mjs";

test("running work says that there are more runs than it lists", async (t) => {
  const page = await openPage(t);
  const run = (number) => ({
    id: `00000000-0000-4000-8000-${String(number).padStart(12, "0")}`,
    jobName: `Job ${number}`,
    plugin: "backup",
    pluginJob: "backup",
    startedAt: "2026-02-03T14:31:02.114Z",
    progress: null,
  });
  const items = [...Array(50).keys()].map(run);
  const json = { items, nextCursor: "more" };
  await page.route("**/admin/v1/runs?*status=running*", (route) => route.fulfill({ json }));
  await page.goto(`${url}/projects`);
  await button(page, "Running work: 50+").click();
  const list = page.getByRole("dialog", { name: "Running work" }).getByRole("list", { name: "Running work" });
  await shown(list.getByText("More runs are in progress."));
  await shown(list.getByRole("link", { name: "All running" }));
});
