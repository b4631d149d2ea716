import assert from "node:assert/strict";
import { test } from "node:test";
import {
  admin, button, createProject, eventually, expectAccessible, heading, hidden, openPage, refusal, shown, url,
} from "./support.mjs";

const EVIL = `<img src=x onerror=alert(1)> for\u202e pictures`;

// A plugin in the form in which the server describes it. The tests of the host load real plugins.
const plugin = (fields) => ({
  name: "thumbnails", version: "1.3.0", serial: 8, publisher: "Pixel Press", description: "Makes small pictures.",
  sha256: "9f".repeat(32), keyId: "AABBCCDDEEFF0011", keyName: "pixel-press", file: "/plugins/thumbnails.wasm",
  firstParty: false, state: "pending", reason: "It waits for approval.", approvable: true,
  compiling: false, imports: [],
  requested: [{ capability: "http", reason: EVIL, scope: { hosts: ["cdn.example.com", "stats.example.com"] } }],
  granted: [], approval: null, limits: null, effectiveLimits: null, jobs: [], usedBy: [], usedByCount: 0,
  runs24h: { total: 0, failed: 0 }, activeRunCount: 0, secrets: [], config: {}, loadedAt: null, ...fields,
});

// Shows this plugin beside the server's own, and responds to approvals with `status`. Returns the bodies of approvals.
async function offer(page, offered, { status = 200 } = {}) {
  const approvals = [];
  const current = { plugin: offered };
  await page.route("**/admin/v1/plugins?limit=200", async (route) => {
    const response = await (await route.fetch()).json();
    await route.fulfill({ json: { ...response, items: [...response.items, current.plugin] } });
  });
  await page.route("**/admin/v1/plugins/thumbnails", (route) => route.fulfill({ json: current.plugin }));
  await page.route("**/admin/v1/plugins/thumbnails/approve", async (route) => {
    const approval = route.request().postDataJSON();
    approvals.push(approval);
    const refused = { error: { code: "conflict", message: "The file has been replaced.", requestId: "r" } };
    if (status === 200) current.plugin = { ...offered, state: "active", reason: null, granted: approval.granted };
    await route.fulfill(status === 200 ? { json: current.plugin } : { status, json: refused });
  });
  return approvals;
}

test("plugins of AtlasHub are listed as such", async (t) => {
  const page = await openPage(t);
  await page.goto(`${url}/plugins`);
  const row = page.getByRole("table", { name: "Plugins" }).getByRole("row").filter({ hasText: "http-job" });
  await shown(row.getByText("comes with AtlasHub"));
  await shown(row.getByText("Active"));
});

test("waiting plugin is approved with fewer hosts than it requests", async (t) => {
  const page = await openPage(t);
  const approvals = await offer(page, plugin());
  await page.goto(`${url}/plugins`);
  const waiting = page.getByRole("region", { name: "Waits for your approval" });
  await waiting.getByRole("link", { name: "Review thumbnails" }).click();
  const sheet = page.getByRole("dialog", { name: "Plugin thumbnails" });
  await shown(sheet.getByRole("checkbox", { name: "Allow calling hosts: cdn.example.com, stats.example.com" }));
  await shown(sheet.getByText(`“${EVIL}”`));
  await sheet.getByRole("checkbox", { name: "Allow stats.example.com", exact: true }).uncheck();
  await shown(sheet.getByText(/You left out stats\.example\.com/));
  await sheet.getByRole("button", { name: "Approve thumbnails" }).click();
  await eventually(() => approvals.length === 1, "the approval");
  assert.deepEqual(approvals[0].granted, [{ capability: "http", scope: { hosts: ["cdn.example.com"] } }]);
  assert.equal(approvals[0].sha256, "9f".repeat(32));
  const row = page.getByRole("table", { name: "Plugins" }).getByRole("row").filter({ hasText: "thumbnails" });
  await shown(row.getByText("Active"));
});

test("plugin that was refused for a missing grant is approved with that grant", async (t) => {
  const page = await openPage(t);
  const approval = {
    approvedAt: "2025-11-09T12:00:00Z", approvedBy: "owner", keyId: "AABBCCDDEEFF0011",
    granted: [], requested: [{ capability: "http", scope: plugin().requested[0].scope }], revokedAt: null,
  };
  const reason = "it imports `http`, which you did not grant; approve it with that capability to run it";
  const approvals = await offer(page, plugin({ state: "rejected", reason, approval }));
  await page.goto(`${url}/plugins?plugin=thumbnails`);
  const sheet = page.getByRole("dialog", { name: "Plugin thumbnails" });
  await sheet.getByRole("checkbox", { name: "Allow calling hosts: cdn.example.com, stats.example.com" }).check();
  await sheet.getByRole("button", { name: "Approve thumbnails" }).click();
  await eventually(() => approvals.length === 1, "the approval");
  assert.deepEqual(approvals[0].granted.map((grant) => grant.capability), ["http"]);
});

test("plugin with a revoked key can't be approved", async (t) => {
  const page = await openPage(t);
  const reason = "it is signed by key AABBCCDDEEFF0011, which was revoked";
  await offer(page, plugin({ state: "revoked", reason, approvable: false }));
  await page.goto(`${url}/plugins?plugin=thumbnails`);
  const sheet = page.getByRole("dialog", { name: "Plugin thumbnails" });
  await shown(sheet.getByText(/^Its key was revoked\. The plugin runs again only if it is signed by another key/));
  await hidden(sheet.getByRole("button", { name: "Approve thumbnails" }));
});

test("plugin that is being compiled does not wait for the owner", async (t) => {
  const page = await openPage(t);
  const approval = {
    approvedAt: "2025-11-09T12:00:00Z", approvedBy: "owner", keyId: "AABBCCDDEEFF0011",
    granted: [{ capability: "http", scope: plugin().requested[0].scope }],
    requested: [{ capability: "http", scope: plugin().requested[0].scope }], revokedAt: null,
  };
  await offer(page, plugin({ compiling: true, reason: "the server is preparing it", approval }));
  await page.goto(`${url}/plugins?plugin=thumbnails`);
  const sheet = page.getByRole("dialog", { name: "Plugin thumbnails" });
  await shown(sheet.getByText("The plugin runs once it is compiled. You don't have to do anything."));
  assert.ok(await sheet.getByRole("button", { name: "Approve thumbnails" }).isDisabled());
  await page.goto(`${url}/plugins`);
  const row = page.getByRole("table", { name: "Plugins" }).getByRole("row").filter({ hasText: "thumbnails" });
  await shown(row.getByText("Being compiled"));
  await hidden(page.getByRole("region", { name: "Waits for your approval" }));
});

test("unsaved settings of a plugin are kept over a reload, but no secrets", async (t) => {
  const page = await openPage(t);
  await offer(page, plugin({ state: "active", secrets: ["token"] }));
  await page.goto(`${url}/plugins?plugin=thumbnails`);
  const sheet = page.getByRole("dialog", { name: "Plugin thumbnails" });
  await sheet.getByRole("button", { name: "Add setting" }).click();
  await sheet.getByRole("textbox", { name: "Setting name" }).fill("width");
  await sheet.getByRole("textbox", { name: "Value of width" }).fill("120");
  await sheet.getByLabel("token", { exact: true }).fill("a-secret-of-the-tests");
  await shown(sheet.getByRole("status").getByText("Not saved"));
  await page.reload();
  const value = sheet.getByRole("textbox", { name: "Value of width" });
  await eventually(async () => (await value.inputValue()) === "120", "the setting after a reload");
  assert.equal(await sheet.getByLabel("token", { exact: true }).inputValue(), "");
  assert.ok(!(await page.evaluate(() => JSON.stringify({ ...sessionStorage }))).includes("a-secret-of-the-tests"));
  await sheet.getByRole("button", { name: "Discard changes" }).click();
  await hidden(value);
  await hidden(sheet.getByRole("status").getByText("Not saved"));
  await page.reload();
  await shown(sheet.getByRole("button", { name: "Add setting" }));
  await hidden(value);
});

test("setting that another tab has saved is kept when other settings are approved", async (t) => {
  const page = await openPage(t);
  const offered = plugin({ state: "active", config: { depth: "8", width: "120" } });
  const approvals = await offer(page, offered);
  await page.goto(`${url}/plugins?plugin=thumbnails`);
  const sheet = page.getByRole("dialog", { name: "Plugin thumbnails" });
  const value = (name) => sheet.getByRole("textbox", { name: `Value of ${name}` });
  await value("width").fill("240");
  await shown(sheet.getByRole("status").getByText("Not saved"));
  offered.config = { depth: "16", width: "120" };
  await page.reload();
  await eventually(async () => (await value("depth").inputValue()) === "16", "the setting of the other tab");
  assert.equal(await value("width").inputValue(), "240");
  await sheet.getByRole("button", { name: "Approve thumbnails" }).click();
  await shown(page.getByText("Plugin approved"));
  assert.deepEqual(approvals[0].config, { depth: "16", width: "240" });
});

test("setting that another tab has just saved is kept when other settings are approved", async (t) => {
  const page = await openPage(t);
  const offered = plugin({ state: "active", config: { depth: "8", width: "120" } });
  const approvals = await offer(page, offered);
  // The list does not show the other tab's change before the approval.
  const json = { ...offered, config: { color: "red", depth: "16", width: "120" } };
  await page.route("**/admin/v1/plugins/thumbnails", (route) => route.fulfill({ json }));
  await page.goto(`${url}/plugins?plugin=thumbnails`);
  await page.getByRole("textbox", { name: "Value of width" }).fill("240");
  await button(page, "Approve thumbnails").click();
  await shown(page.getByText("Plugin approved"));
  assert.deepEqual(approvals[0].config, { color: "red", depth: "16", width: "240" });
});

test("keystrokes stay in their setting when another tab removes an earlier one", async (t) => {
  const page = await openPage(t);
  await page.clock.install();
  const offered = plugin({ state: "active", config: { color: "red", depth: "8", width: "120" } });
  await offer(page, offered);
  await page.goto(`${url}/plugins?plugin=thumbnails`);
  const value = (name) => page.getByRole("textbox", { name: `Value of ${name}` });
  await value("depth").fill("1");
  offered.config = { depth: "8", width: "120" };
  // The page reads the plugins at intervals.
  await eventually(async () => {
    await page.clock.fastForward(20_000);
    return (await value("color").count()) === 0;
  }, "the change of the other tab");
  await page.keyboard.press("End");
  await page.keyboard.type("6");
  assert.deepEqual([await value("depth").inputValue(), await value("width").inputValue()], ["16", "120"]);
});

test("address of an unknown plugin says that there is none", async (t) => {
  const page = await openPage(t);
  await page.goto(`${url}/plugins?plugin=mistyped`);
  await shown(page.getByRole("dialog", { name: "Plugin mistyped" }).getByText("No such plugin"));
});

test("queries and state are granted for single projects", async (t) => {
  const project = await createProject("queried");
  const page = await openPage(t);
  const requested = [
    { capability: "query", reason: "To count orders.", scope: { databases: ["*"] } },
    { capability: "state", reason: "To remember the last order.", scope: { databases: ["*"] } },
  ];
  const approvals = await offer(page, plugin({ requested }));
  await page.goto(`${url}/plugins?plugin=thumbnails`);
  const sheet = page.getByRole("dialog", { name: "Plugin thumbnails" });
  await shown(sheet.getByRole("checkbox", { name: "Allow querying rows of databases: all" }));
  await shown(sheet.getByRole("checkbox", { name: "Allow keeping state between runs: all" }));
  const databases = sheet.getByRole("group", { name: "Databases" });
  await databases.getByRole("checkbox", { name: "Allow all (*)" }).uncheck();
  await databases.getByRole("checkbox", { name: `Allow ${project.name} (project:${project.id})` }).check();
  // The platform's database can't be queried, but a plugin can keep state about the platform.
  await hidden(databases.getByRole("checkbox", { name: "Allow Platform (platform)" }));
  const about = sheet.getByRole("group", { name: "About" });
  await about.getByRole("checkbox", { name: "Allow all (*)" }).uncheck();
  await about.getByRole("checkbox", { name: "Allow Platform (platform)" }).check();
  await sheet.getByRole("button", { name: "Approve thumbnails" }).click();
  await eventually(() => approvals.length === 1, "the approval");
  assert.deepEqual(approvals[0].granted, [
    { capability: "query", scope: { databases: [`project:${project.id}`] } },
    { capability: "state", scope: { databases: ["platform"] } },
  ]);
});

test("wildcards of hosts are narrowed to single hosts, and a note says what that means", async (t) => {
  const page = await openPage(t);
  const requested = [{ capability: "http", reason: "To call.", scope: { hosts: ["*.example.com"] } }];
  const approvals = await offer(page, plugin({ requested }));
  await page.goto(`${url}/plugins?plugin=thumbnails`);
  const sheet = page.getByRole("dialog", { name: "Plugin thumbnails" });
  await sheet.getByRole("checkbox", { name: "Allow *.example.com", exact: true }).uncheck();
  await sheet.getByRole("textbox", { name: /^Only these hosts/ }).fill("cdn.example.com");
  await shown(sheet.getByText("The plugin requested *.example.com, which you did not allow in full."));
  await sheet.getByRole("button", { name: "Approve thumbnails" }).click();
  await eventually(() => approvals.length === 1, "the approval");
  assert.deepEqual(approvals[0].granted, [{ capability: "http", scope: { hosts: ["cdn.example.com"] } }]);
});

test("wider version shows what is new since the approval", async (t) => {
  const page = await openPage(t);
  const before = [{ capability: "http", scope: { hosts: ["cdn.example.com"] } }];
  const approval = {
    approvedAt: "2025-11-09T12:00:00Z", approvedBy: "owner", keyId: "AABBCCDDEEFF0011",
    granted: before, requested: before, revokedAt: null,
  };
  await offer(page, plugin({ approval }));
  await page.goto(`${url}/plugins?plugin=thumbnails`);
  const region = page.getByRole("region", { name: "New since your approval" });
  await shown(region.getByRole("checkbox", { name: "Allow stats.example.com", exact: true }));
  await shown(region.getByText("Until now you allowed calling hosts: cdn.example.com."));
});

test("file that was replaced is not approved, and a message says why", async (t) => {
  const page = await openPage(t);
  await offer(page, plugin(), { status: 409 });
  await page.goto(`${url}/plugins?plugin=thumbnails`);
  await button(page, "Approve thumbnails").click();
  const alert = page.getByRole("alert").filter({ hasText: "The file has been replaced." });
  await shown(alert);
  // The file of this sheet is the same as before.
  assert.doesNotMatch(await alert.textContent(), /new file/);
});

test("file that is replaced while its sheet is open must be reviewed again", async (t) => {
  const page = await openPage(t);
  const current = { plugin: plugin() };
  await page.route("**/admin/v1/plugins?limit=200", (route) =>
    route.fulfill({ json: { items: [current.plugin], nextCursor: null } }));
  await page.goto(`${url}/plugins?plugin=thumbnails`);
  await page.getByRole("checkbox", { name: "Allow stats.example.com", exact: true }).uncheck();
  current.plugin = plugin({ sha256: "1a".repeat(32) });
  await shown(page.getByRole("alert").filter({ hasText: "The file was replaced while this sheet was open." }));
  assert.ok(await page.getByRole("checkbox", { name: "Allow stats.example.com", exact: true }).isChecked());
});

test("wildcard is explained and can be narrowed to one project", async (t) => {
  const { id, name } = await createProject("narrowed");
  const page = await openPage(t);
  const requested = [{ capability: "databases", reason: "Reads orders.", scope: { databases: ["*"] } }];
  const approvals = await offer(page, plugin({ requested }));
  await page.goto(`${url}/plugins?plugin=thumbnails`);
  const sheet = page.getByRole("dialog", { name: "Plugin thumbnails" });
  await shown(sheet.getByText("That is every database, including those of projects that you create later."));
  await sheet.getByRole("checkbox", { name: "Allow all (*)" }).uncheck();
  await sheet.getByRole("checkbox", { name: `Allow ${name} (project:${id})` }).check();
  await sheet.getByRole("button", { name: "Approve thumbnails" }).click();
  await eventually(() => approvals.length === 1, "the approval");
  assert.deepEqual(approvals[0].granted, [{ capability: "databases", scope: { databases: [`project:${id}`] } }]);
});

test("phone reads a plugin and revokes it, but changes no grants", async (t) => {
  const page = await openPage(t, { narrow: true });
  await offer(page, plugin({ state: "active" }));
  const revoked = page.waitForRequest((request) => request.url().endsWith("/plugins/thumbnails/revoke"));
  const response = { json: plugin({ state: "revoked" }) };
  await page.route("**/admin/v1/plugins/thumbnails/revoke", (route) => route.fulfill(response));
  await page.goto(`${url}/plugins?plugin=thumbnails`);
  const sheet = page.getByRole("dialog", { name: "Plugin thumbnails" });
  await shown(sheet.getByText("Approve plugins and change grants on a wider screen."));
  assert.equal(await sheet.getByRole("button", { name: "Approve thumbnails" }).count(), 0);
  assert.ok(await sheet.getByRole("checkbox").first().isDisabled());
  await sheet.getByRole("button", { name: "Revoke thumbnails" }).tap();
  await page.getByRole("dialog", { name: "Revoke plugin" }).getByRole("button", { name: "Revoke plugin" }).tap();
  await revoked;
  await shown(page.getByRole("region", { name: "Messages" }).getByText("Plugin revoked"));
});

test("revoking counts the runs and jobs that it stops", async (t) => {
  const page = await openPage(t);
  const used = (id) => ({
    jobId: id,
    jobName: id,
    pluginJob: "make",
    projectId: null,
    projectName: null,
    enabled: true,
  });
  await offer(page, plugin({ state: "active", activeRunCount: 2, usedBy: ["a", "b", "c"].map(used), usedByCount: 3 }));
  await page.goto(`${url}/plugins?plugin=thumbnails`);
  await shown(page.getByRole("dialog", { name: "Plugin thumbnails" }).getByText("Forget", { exact: true }));
  await button(page, "Revoke thumbnails").click();
  await shown(page.getByRole("dialog", { name: "Revoke plugin" }).getByText(/2 runs end now, 3 jobs can't run\./));
});

test("dialog that forgets a plugin says whether the plugin needs approval again", async (t) => {
  const page = await openPage(t);
  for (const [fields, text] of [
    [{ state: "active" }, "the plugin waits for your approval again."],
    [{ state: "active", firstParty: true }, "it is approved again with everything it asks for."],
    [{ state: "revoked" }, "Its file stays revoked."],
  ]) {
    await offer(page, plugin(fields));
    await page.goto(`${url}/plugins?plugin=thumbnails`);
    await button(page, "Forget thumbnails").click();
    await shown(page.getByRole("dialog", { name: "Forget plugin" }).getByText(text, { exact: false }));
  }
});

test("dialog for another plugin does not show an earlier failure", async (t) => {
  const page = await openPage(t);
  await offer(page, plugin());
  const refused = refusal(409, "The plugin is being loaded.");
  await page.route("**/admin/v1/plugins/thumbnails/revoke", (route) => route.fulfill(refused));
  await page.goto(`${url}/plugins`);
  const open = async (name) => {
    await button(page, `Actions for ${name}`).click();
    await page.getByRole("menuitem", { name: "Revoke plugin" }).click();
    return page.getByRole("dialog", { name: "Revoke plugin" });
  };
  const dialog = await open("thumbnails");
  await dialog.getByRole("button", { name: "Revoke plugin" }).click();
  await shown(dialog.getByRole("alert").filter({ hasText: "The plugin is being loaded." }));
  await dialog.getByRole("button", { name: "Cancel" }).click();
  await hidden(dialog);
  await shown((await open("http-job")).getByText(/^http-job: /));
  assert.equal(await dialog.getByRole("alert").count(), 0);
});

test("secret that is added twice has one field, whose name but not value is kept over a reload", async (t) => {
  const page = await openPage(t);
  const requested = [{ capability: "secrets", reason: "It calls an API.", scope: { secrets: ["*"] } }];
  await offer(page, plugin({ requested }));
  await page.goto(`${url}/plugins?plugin=thumbnails`);
  const name = page.getByRole("textbox", { name: "Name of a new secret" });
  for (let count = 0; count < 2; count += 1) {
    await name.fill("TOKEN");
    await button(page, "Add secret").click();
  }
  await eventually(async () => (await name.inputValue()) === "", "the added secret");
  const secrets = page.getByRole("region", { name: "Secrets" });
  assert.equal(await secrets.locator("input[type=password]").count(), 1);
  const value = secrets.getByLabel("TOKEN", { exact: true });
  await value.fill("a-secret-of-the-tests");
  await page.reload();
  await shown(value);
  assert.equal(await value.inputValue(), "");
  assert.ok(!(await page.evaluate(() => JSON.stringify({ ...sessionStorage }))).includes("a-secret-of-the-tests"));
});

test("page of plugins is accessible", async (t) => {
  for (const narrow of [false, true]) {
    const page = await openPage(t, { narrow });
    await offer(page, plugin());
    await page.goto(`${url}/plugins`);
    await shown(heading(page, "Plugins"));
    await shown(page.getByRole(narrow ? "list" : "table", { name: "Plugins" }));
    await expectAccessible(page);
    await page.goto(`${url}/plugins?plugin=thumbnails`);
    await shown(page.getByRole("dialog", { name: "Plugin thumbnails" }));
    await expectAccessible(page);
  }
});
