import assert from "node:assert/strict";
import { test } from "node:test";
import {
  admin, button, createProject, eventually, expectAccessible, expectNamesContainTexts, heading, hidden, openPage,
  refusal, shown, url,
} from "./support.mjs";

test("the page of a project shows how to connect an app", async (t) => {
  const { id } = await createProject("connect", ["create table notes (id int primary key)"]);
  const page = await openPage(t);
  await page.goto(`${url}/projects/${id}`);
  const connect = page.getByRole("region", { name: "Connect" });
  for (const [tab, text] of [
    [".env", "ATLASHUB_API_URL=http"],
    ["curl", "/v1/db/notes"],
    ["Next.js", "ATLASHUB_SECRET_KEY"],
  ]) {
    await connect.getByRole("tab", { name: tab, exact: true }).click();
    await shown(connect.getByText(text));
  }
  await connect.getByRole("button", { name: "Copy browser snippet" }).click();
  await eventually(async () =>
    (await page.evaluate(() => navigator.clipboard.readText())).includes("NEXT_PUBLIC_ATLASHUB_PUBLISHABLE_KEY"),
  );
  await shown(connect.getByRole("note").getByRole("link", { name: "Allow an origin…" }));
  const steps = page.getByRole("region", { name: "Next steps" });
  await shown(steps.getByRole("listitem").filter({ hasText: "Done: Create a table" }));
  await shown(steps.getByRole("link", { name: "Put the keys into your app" }));
  assert.match(
    await steps.getByRole("link", { name: "Schedule a backup" }).getAttribute("href"),
    new RegExp(`^/jobs/new\\?.*${id}`),
  );
  await page.getByRole("region", { name: "Holds" }).getByRole("button", { name: "Copy project id" }).click();
  await eventually(async () => (await page.evaluate(() => navigator.clipboard.readText())) === id);
});

test("settings without changes are not saved after the server was unreachable", async (t) => {
  const { id, name: saved } = await createProject("unreachable");
  const page = await openPage(t);
  const changes = [];
  page.on("request", (request) => request.method() === "PATCH" && changes.push(request.postDataJSON().name));
  await page.goto(`${url}/projects/${id}/settings`);
  const name = page.getByRole("textbox", { name: "Name" });
  const save = button(page, "Save settings");
  await name.fill("typed");
  await page.route(/\/(healthz|admin\/v1\/.*)$/, (route) => route.abort());
  await eventually(async () => (await save.getAttribute("title")) !== null, "the act that is disabled");
  await name.fill(saved);
  await hidden(page.getByRole("status").getByText("Not saved", { exact: true }));
  await page.unroute(/\/(healthz|admin\/v1\/.*)$/);
  await eventually(async () => (await save.getAttribute("title")) === null, "the end of the outage");
  await save.dispatchEvent("click");
  await name.fill(`${saved} changed`);
  await eventually(() => save.isEnabled(), "the enabled act");
  await save.click();
  await shown(page.getByText("Settings saved"));
  assert.deepEqual(changes, [`${saved} changed`]);
});

test("an invalid name is an error at its field, and Ctrl-Enter saves from a field with several lines", async (t) => {
  const { id } = await createProject("ctrl enter");
  const page = await openPage(t);
  await page.goto(`${url}/projects/${id}/settings`);
  const name = page.getByRole("textbox", { name: "Name", exact: true });
  const note = page.getByRole("textbox", { name: "Note" });
  const valid = await name.inputValue();
  await name.fill("n".repeat(65));
  await note.fill("typed");
  await note.press("Control+Enter");
  await eventually(async () => (await name.getAttribute("aria-invalid")) === "true", "the error at the field");
  await name.fill(valid);
  await note.press("Control+Enter");
  await eventually(async () => (await admin("GET", `/projects/${id}`)).note === "typed", "the saved note");
});

test("form of a new project says that it is not saved, and can be cancelled", async (t) => {
  const page = await openPage(t);
  await page.goto(`${url}/projects/new`);
  const name = page.getByRole("textbox", { name: "Name", exact: true });
  await name.fill("half typed");
  await shown(page.getByRole("status").filter({ hasText: "Not saved" }));
  await page.reload();
  await eventually(async () => (await name.inputValue()) === "half typed", "the name after a reload");
  await button(page, "Cancel").click();
  await shown(heading(page, "Projects"));
  await page.goto(`${url}/projects/new`);
  await shown(name);
  assert.equal(await name.inputValue(), "");
});

test("settings are checked, kept and saved", async (t) => {
  const { id, name } = await createProject("settings");
  const page = await openPage(t);
  await page.goto(`${url}/projects/${id}/settings`);
  const origins = page.getByRole("textbox", { name: "Allowed origins" });
  await origins.fill("app.example.com/path");
  await shown(page.getByText("is not an origin"));
  assert.ok(await button(page, "Save settings").isDisabled());
  // A slash at the end is left out when the settings are saved.
  await origins.fill("https://app.example.com/");
  await hidden(page.getByText("is not an origin"));
  await origins.fill("*");
  await shown(page.getByText("Any site can call the API from a browser."));
  await origins.fill("https://app.example.com/");
  await page.getByRole("switch", { name: "Protect from deletion", exact: true }).check();
  await page.reload();
  await shown(page.getByRole("status").filter({ hasText: "Not saved" }));
  assert.equal(await origins.inputValue(), "https://app.example.com/");
  await button(page, "Save settings").click();
  await eventually(async () => (await admin("GET", `/projects/${id}`)).corsOrigins?.[0] === "https://app.example.com");
  await eventually(() => button(page, "Delete project").isDisabled());
  await page.getByRole("switch", { name: "Protect from deletion", exact: true }).uncheck();
  await button(page, "Save settings").click();
  await eventually(() => button(page, "Delete project").isEnabled());
  assert.ok(name);
});

test("a project that waits for its last backup has a button that cancels the deletion", async (t) => {
  const { id, name } = await createProject("kept");
  const page = await openPage(t);
  await page.route("**/admin/v1/projects?*", async (route) => {
    const response = await route.fetch();
    const list = await response.json();
    for (const item of list.items)
      if ((item.project ?? item).id === id)
        (item.project ?? item).deleteAfterRun = "00000000-0000-7000-8000-000000000000";
    await route.fulfill({ response, json: list });
  });
  await page.goto(`${url}/projects`);
  const row = page.getByRole("row").filter({ hasText: name });
  await shown(row.getByText("Will be deleted after its final backup"));
  await shown(row.getByRole("button", { name: "Cancel deletion" }));
  await shown(row.getByRole("link", { name: "Open run" }));
});

test("markup in a name is shown as text", async (t) => {
  const { id, name } = await createProject("<img src=x onerror=alert(1)>");
  const page = await openPage(t);
  page.on("dialog", () => assert.fail("a script ran"));
  await page.goto(`${url}/projects`);
  await page.getByRole("link", { name, exact: true }).click();
  await shown(heading(page, name));
  assert.equal(new URL(page.url()).pathname, `/projects/${id}`);
});

test("deleting a project requires its name", async (t) => {
  const { id, name } = await createProject("to delete");
  const page = await openPage(t);
  await page.goto(`${url}/projects/${id}/settings`);
  await shown(heading(page, "Project settings"));
  await button(page, "Delete project").click();
  const dialog = page.getByRole("dialog", { name: "Delete project" });
  await shown(dialog);
  const confirm = dialog.getByRole("button", { name: "Delete project" });
  assert.ok(await confirm.isDisabled());
  await dialog.getByRole("textbox", { name: `Type ${name} to confirm` }).fill("something else");
  assert.ok(await confirm.isDisabled());
  await dialog.getByRole("switch", { name: "Make a final backup first" }).uncheck();
  await dialog.getByRole("textbox", { name: `Type ${name} to confirm` }).fill(name);
  await confirm.click();
  await shown(heading(page, "Projects"));
  await hidden(page.getByRole("link", { name, exact: true }));
});

test("projects are cards on a phone", async (t) => {
  const { name } = await createProject("phone");
  const page = await openPage(t, { narrow: true });
  await page.goto(`${url}/projects`);
  await shown(page.getByRole("list", { name: "Projects" }).getByRole("listitem").filter({ hasText: name }));
  await expectAccessible(page);
});

test("pages open from their addresses and are accessible", async (t) => {
  const { id, name } = await createProject("cold");
  const page = await openPage(t);
  for (const [path, title] of [
    ["/projects", "Projects"],
    ["/projects/new", "New project"],
    [`/projects/${id}`, name],
    [`/projects/${id}/settings`, "Project settings"],
    ["/nowhere/at/all", "Nothing here"],
  ]) {
    await page.goto(`${url}${path}`);
    await shown(heading(page, title));
    await eventually(async () => (await page.title()).includes("AtlasHub"));
    await expectAccessible(page);
    await expectNamesContainTexts(page);
  }
});

test("the address of a missing project links to all projects", async (t) => {
  const page = await openPage(t);
  for (const path of ["", "/settings", "/database?tab=restore"]) {
    await page.goto(`${url}/projects/nosuchproject${path}`);
    await shown(page.getByRole("heading", { name: "No such project" }));
    await expectAccessible(page);
  }
  await page.getByRole("link", { name: "All projects" }).click();
  await shown(heading(page, "Projects"));
});

test("the list is read again on demand", async (t) => {
  await createProject("refreshed");
  const page = await openPage(t);
  await page.goto(`${url}/projects`);
  await shown(page.getByText(/^Updated \d\d:\d\d:\d\d$/));
  const { name } = await createProject("made meanwhile");
  await button(page, "Refresh").click();
  await shown(page.getByRole("link", { name, exact: true }));
});

test("projects show their state, also on a phone", async (t) => {
  const { name } = await createProject("states");
  const states = [
    ["creating", { state: "creating" }, "Being created…"],
    ["deleting", { state: "deleting" }, "Being deleted"],
    [
      "problem",
      { deleteProblem: "The backup failed: the object store did not answer within 30 seconds." },
      "Not deleted: The backup failed",
    ],
    ["waiting", { deleteAfterRun: "0199c1de-0000-7000-8000-000000000000" }, "Will be deleted after its final backup"],
  ];
  for (const narrow of [false, true]) {
    const page = await openPage(t, { narrow });
    await page.route("**/admin/v1/projects?*", async (route) => {
      const response = await route.fetch();
      const list = await response.json();
      const model = list.items.find((item) => item.name === name);
      if (model) list.items = states.map(([id, change]) => ({ ...model, id, name: id, ...change }));
      await route.fulfill({ response, json: list });
    });
    await page.goto(`${url}/projects`);
    for (const [id, , words] of states) {
      const entry = page.getByRole(narrow ? "listitem" : "row").filter({ hasText: id }).filter({ hasText: words });
      await shown(entry);
      assert.equal(
        await entry.getByRole("link", { name: id, exact: true }).count(),
        ["problem", "waiting"].includes(id) ? 1 : 0,
        id,
      );
    }
    await shown(button(page, "Keep the project"));
    await expectAccessible(page);
    const excess = await page.evaluate(() => {
      const main = document.getElementById("main-content");
      return main.scrollWidth - main.clientWidth;
    });
    assert.ok(excess <= 0, `the content is ${excess} px too wide`);
  }
});

test("list from the cache is shown with the time at which it was read", async (t) => {
  await createProject("earlier");
  const page = await openPage(t);
  // Requests for the stream of events get no response, because the start of the stream would make lists outdated.
  await page.route("**/admin/v1/events*", () => {});
  await page.clock.install();
  await page.goto(`${url}/projects`);
  const updated = page.getByText(/^Updated \d\d:\d\d:\d\d$/);
  await shown(updated);
  await page.getByRole("navigation", { name: "Platform" }).getByRole("link", { name: "Overview" }).click();
  await shown(heading(page, "Overview"));
  const before = await page.evaluate(() => Date.now());
  await page.clock.fastForward(60_000);
  await page.route("**/admin/v1/projects?limit=200&include=totals", () => {});
  await page.getByRole("navigation", { name: "Platform" }).getByRole("link", { name: "Projects" }).click();
  await shown(updated);
  const [hours, minutes, seconds] = (await updated.textContent()).match(/\d\d/g).map(Number);
  const shownAt = new Date(before).setHours(hours, minutes, seconds, 0);
  assert.ok(Math.abs(before - shownAt) < 30_000, await updated.textContent());
});

test("origin is added to the origins that another tab has allowed", async (t) => {
  const { id } = await createProject("origins");
  const other = "https://other.example.com";
  const page = await openPage(t);
  await page.route("**/admin/v1/events*", () => {});
  let isStale = true;
  await page.route(`**/admin/v1/projects/${id}`, async (route) => {
    if (!isStale || route.request().method() !== "GET") return route.continue();
    const response = await route.fetch();
    return route.fulfill({ response, json: { ...(await response.json()), corsOrigins: [] } });
  });
  await page.goto(`${url}/projects/${id}`);
  const allow = button(page, "Allow http://localhost:3000");
  await shown(allow);
  await admin("PATCH", `/projects/${id}`, { corsOrigins: [other] });
  isStale = false;
  await allow.click();
  const allowed = async () => (await admin("GET", `/projects/${id}`)).corsOrigins.toSorted().join();
  await eventually(async () => (await allowed()) === `http://localhost:3000,${other}`, "both origins");
});

test("deletion says that the contents could not be counted, instead of showing no users", async (t) => {
  const { id } = await createProject("uncounted");
  const page = await openPage(t);
  await page.route(`**/admin/v1/projects/${id}/users?*`, (route) => route.fulfill(refusal(403, "Not allowed here.")));
  await page.goto(`${url}/projects/${id}/settings`);
  await button(page, "Delete project").click();
  const dialog = page.getByRole("dialog", { name: "Delete project" });
  await shown(dialog.getByText("Its contents could not be counted. Not allowed here."));
});

test("an empty list explains what appears there", async (t) => {
  for (const narrow of [false, true]) {
    const page = await openPage(t, { narrow });
    await page.route("**/admin/v1/projects?*", (route) => route.fulfill({ json: { items: [], nextCursor: null } }));
    await page.goto(`${url}/projects`);
    await shown(page.getByRole("heading", { level: 2, name: "No projects yet" }));
    await expectAccessible(page);
    const more = page.getByRole("link", { name: "Read more" });
    await more.click();
    const sheet = page.getByRole("dialog", { name: "About projects" });
    await shown(sheet);
    await expectAccessible(page);
    await page.goBack();
    await hidden(sheet);
    await more.click();
    await page.keyboard.press("Escape");
    await hidden(sheet);
    await page.goto(`${url}/projects?help=keys`);
    await shown(page.getByRole("dialog", { name: "About API keys" }));
  }
});

test("total sizes say that they cover only the newest projects if there are more", async (t) => {
  const page = await openPage(t);
  await page.route("**/admin/v1/projects?limit=200&include=totals", async (route) => {
    const first = await (await route.fetch()).json();
    await route.fulfill({ json: { ...first, nextCursor: "more" } });
  });
  await createProject("one of many");
  await page.goto(`${url}/projects`);
  await shown(page.getByText(/^Newest 200 projects: .+ in databases, .+ in storage$/));
});
