import assert from "node:assert/strict";
import { test } from "node:test";
import {
  admin, button, createProject, eventually, expectAccessible, expectNamesContainTexts, heading, hidden, openPage,
  refusal, shown, url,
} from "./support.mjs";

// Returns the server's overview with the given facts replaced, only the given items, and no problems.
async function overviewWith(change) {
  const overview = await admin("GET", "/overview");
  return {
    ...overview,
    facts: { ...overview.facts, ...change.facts },
    attention: change.attention ?? [],
    problems: [],
  };
}

const failingJob = (project) => ({
  id: "job-failing:1",
  kind: "jobFailing",
  severity: "warning",
  since: new Date().toISOString(),
  count: 3,
  projectId: project.id,
  projectName: project.name,
  target: "0199c1de-0000-7000-8000-000000000002",
  title: "Nightly backup",
  runId: "0199c1de-0000-7000-8000-000000000001",
  message: "Nightly backup failed 3 times.",
  reason: "The store is full.",
  missing: [],
  canSnooze: true,
});

test("the state consists of seven facts, each a link", async (t) => {
  await createProject("facts");
  const page = await openPage(t);
  await page.goto(`${url}/`);
  await shown(heading(page, "Overview"));
  const facts = page.getByRole("region", { name: "State" }).getByRole("link");
  await eventually(async () => (await facts.count()) === 7, "seven facts");
  for (const name of [
    /^Projects \d/,
    /^Databases /,
    /^Storage .*object/,
    /^Runs in 24 h \d/,
    /^Oldest last good backup /,
    /^Connections \d+ of \d+/,
    /^Disk .*(GB|TB|MB)/,
  ]) {
    await shown(page.getByRole("region", { name: "State" }).getByRole("link", { name }));
  }
  await expectAccessible(page);
  await expectNamesContainTexts(page);
  await page.getByRole("region", { name: "State" }).getByRole("link", { name: /^Oldest last good backup / }).click();
  await shown(heading(page, "Backups"));
});

test("items have actions that lead to the page where the problem can be fixed", async (t) => {
  const project = await createProject("acts");
  const page = await openPage(t);
  const base = { ...failingJob(project), runId: null, target: "x", title: "x", count: 1 };
  const expected = {
    postgresUnreachable: ["Open settings", "/settings"],
    storeUnreachable: ["Open settings", "/settings"],
    diskLow: ["Open settings", "/settings"],
    jobProblem: ["Open job", "/jobs/x"],
    jobBehind: ["Open job", "/jobs/x"],
    jobSkipping: ["Open job", "/jobs/x"],
    keyExpiring: ["Rotate key", `/projects/${project.id}/keys`],
    pluginPending: ["Review plugin", "/plugins?plugin=x"],
    pluginRejected: ["Open plugin", "/plugins?plugin=x"],
    tableOpen: ["Open access", `/projects/${project.id}/tables?table=x&tab=access`],
    channelFailing: ["Open channel", "/notifications?channel=x"],
    failuresUnheard: ["Open notifications", "/notifications"],
    migrations: ["Open migrations", "/settings?section=migrations"],
    projectStuck: ["Open projects", "/projects?q=x"],
    deleteProblem: ["Open project", `/projects/${project.id}/settings`],
    connectionsHigh: ["Open settings", "/settings"],
  };
  const attention = Object.keys(expected).map((kind) => ({ ...base, id: kind, kind }));
  const unprotected = {
    ...base,
    id: "backup",
    kind: "backupOverdue",
    target: `project:${project.id}`,
    reason: "No enabled job backs it up.",
    missing: ["backupJob"],
  };
  const overview = await overviewWith({ attention: [...attention, unprotected] });
  await page.route("**/admin/v1/overview", (route) => route.fulfill({ json: overview }));
  await page.goto(`${url}/`);
  const items = page.getByRole("region", { name: "Needs attention" }).getByRole("listitem");
  await eventually(async () => (await items.count()) === attention.length + 1, "the items");
  const found = await items.evaluateAll((items) =>
    items
      .slice(0, -1)
      .map((item) =>
        [...item.querySelectorAll(".acts a")].map((link) => [link.textContent, link.getAttribute("href")]).flat(),
      ),
  );
  assert.deepEqual(found, Object.values(expected));
  await shown(items.last().getByText("Backups are created only when you start them."));
  await shown(items.last().getByRole("button", { name: "Back up now" }));
  await items.last().getByRole("link", { name: "Schedule backups" }).click();
  await shown(heading(page, "New job"));
});

test("an installation without projects offers to create the first one", async (t) => {
  const page = await openPage(t);
  const empty = await overviewWith({ facts: { projectCount: 0 } });
  await page.route("**/admin/v1/overview", (route) => route.fulfill({ json: empty }));
  await page.goto(`${url}/`);
  await shown(heading(page, "Create your first project"));
  await shown(page.getByRole("textbox", { name: "Name" }));
  await shown(button(page, "Create project"));
  assert.equal(await page.getByRole("list", { name: "Next steps" }).getByRole("listitem").count(), 3);
  await expectAccessible(page);
});

test("one sentence reports that all is well", async (t) => {
  await createProject("well");
  const page = await openPage(t);
  const well = await overviewWith({});
  await page.route("**/admin/v1/overview", (route) => route.fulfill({ json: well }));
  await page.goto(`${url}/`);
  await shown(page.getByRole("status").filter({ hasText: /^All is well\. .*project/ }));
});

test("all is not well while a part could not be checked", async (t) => {
  const project = await createProject("unknown");
  const page = await openPage(t);
  const problem = "The state of the backups could not be determined.";
  const overview = { ...(await overviewWith({})), problems: [problem] };
  await page.route("**/admin/v1/overview", (route) => route.fulfill({ json: overview }));
  const note = page.getByText("Not known: not everything could be checked.");
  await page.goto(`${url}/`);
  await shown(page.getByRole("alert").filter({ hasText: problem }));
  await shown(note);
  assert.equal(await page.getByText("All is well.").count(), 0);
  await page.goto(`${url}/projects/${project.id}`);
  await shown(note);
  await page.unroute("**/admin/v1/overview");
  await page.route("**/admin/v1/overview", (route) => route.fulfill(refusal(500, "The state is not known.")));
  await page.reload();
  const region = page.getByRole("region", { name: "Needs attention" });
  await shown(region.getByRole("alert").filter({ hasText: "The state is not known." }));
});

test("an item that needs attention shows the reason and can be snoozed", async (t) => {
  const project = await createProject("attention");
  for (const narrow of [false, true]) {
    const page = await openPage(t, { narrow });
    const overview = await overviewWith({ attention: [failingJob(project)] });
    await page.route("**/admin/v1/overview", (route) => route.fulfill({ json: overview }));
    await page.goto(`${url}/`);
    const region = page.getByRole("region", { name: "Needs attention" });
    await shown(region.getByText("The store is full."));
    await shown(region.getByRole("heading", { name: /Nightly backup failed 3 times/ }));
    assert.equal(
      await region.getByRole("link", { name: "Open run" }).getAttribute("href"),
      "/runs/0199c1de-0000-7000-8000-000000000001",
    );
    await shown(region.getByRole("button", { name: "Run again" }));
    await expectAccessible(page);
    if (narrow) {
      const top = async (name) => (await page.getByRole("region", { name }).boundingBox()).y;
      assert.ok((await top("Needs attention")) < (await top("State")));
    }
    await region.getByRole("button", { name: "Snooze" }).click();
    await page.getByRole("menuitem", { name: "For 1 day" }).click();
    await shown(page.getByText("1 item is snoozed."));
    await hidden(region.getByText("The store is full."));
    assert.equal(await page.getByText("All is well.").count(), 0);
    await page.reload();
    await shown(page.getByText("1 item is snoozed."));
    assert.equal(await page.getByText("All is well.").count(), 0);
  }
});

test("snoozed items are not counted, and the focus moves to the next item", async (t) => {
  const project = await createProject("snoozed");
  const page = await openPage(t);
  const second = { ...failingJob(project), id: "job-failing:2", title: "Nightly export", reason: "No space." };
  const overview = await overviewWith({ attention: [failingJob(project), second] });
  await page.route("**/admin/v1/overview", (route) => route.fulfill({ json: overview }));
  await page.goto(`${url}/`);
  const region = page.getByRole("region", { name: "Needs attention" });
  await shown(page.getByText("· 2 items need attention"));
  const snooze = async (index) => {
    await region.getByRole("button", { name: "Snooze" }).nth(index).press("Enter");
    await shown(page.locator("[role=menuitem]:focus"));
    await page.keyboard.press("Enter");
  };
  await snooze(0);
  await shown(page.getByText("· 1 item needs attention"));
  await shown(region.locator("[aria-haspopup=menu]:focus"));
  await snooze(0);
  await hidden(page.getByText(/items? needs? attention/));
  await shown(region.locator("button:focus").filter({ hasText: "Show snoozed" }));
});

test("only the part that failed shows an error", async (t) => {
  await createProject("parts");
  const page = await openPage(t);
  await page.route("**/admin/v1/overview", (route) => route.fulfill(refusal(500, "The state is not known.")));
  await page.goto(`${url}/`);
  await shown(page.getByRole("alert").filter({ hasText: "The state is not known." }));
  await shown(page.getByRole("heading", { name: "Recent runs" }));
  await page.unroute("**/admin/v1/overview");
  await page.route("**/admin/v1/runs?limit=20", (route) => route.fulfill(refusal(500, "The runs are not known.")));
  await page.reload();
  await shown(page.getByRole("alert").filter({ hasText: "The runs are not known." }));
  await shown(page.getByRole("region", { name: "State" }));
});
