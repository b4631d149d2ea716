import { test } from "node:test";
import { admin, createProject, hidden, openPage, shown, url } from "./support.mjs";

test("objects are shown although the first page of the list is empty", async (t) => {
  const { id } = await createProject("storage lists");
  const bucket = `/projects/${id}/buckets/uploads`;
  const upload = { path: "a.txt", contentType: "text/plain", size: 1 };
  const signed = await admin("POST", `${bucket}/signed-upload`, upload);
  await fetch(signed.uploadUrl, { method: "PUT", body: "a", headers: signed.headers });
  const page = await openPage(t);
  // The server returns such a page while it moves uploads that have just arrived.
  await page.route(`**${bucket}/objects?*`, async (route) => {
    const address = new URL(route.request().url());
    if (address.searchParams.get("cursor") !== "again") {
      return route.fulfill({ json: { items: [], prefixes: [], nextCursor: "again" } });
    }
    address.searchParams.delete("cursor");
    return route.fulfill({ response: await route.fetch({ url: address.href }) });
  });
  await page.goto(`${url}/projects/${id}/storage/uploads`);
  const objects = page.getByRole("table", { name: "Objects in uploads" });
  await shown(objects.getByRole("link", { name: "a.txt", exact: true }));
  await hidden(page.getByRole("heading", { level: 2, name: "No objects" }));
});

test("spaces around the filter of buckets do not matter", async (t) => {
  const { id } = await createProject("storage filter");
  const page = await openPage(t);
  await page.goto(`${url}/projects/${id}/storage`);
  await page.getByRole("searchbox", { name: "Filter buckets" }).fill("uploads ");
  await shown(page.getByRole("table", { name: "Buckets" }).getByRole("link", { name: "uploads" }));
  await hidden(page.getByRole("heading", { name: "No bucket matches" }));
});
