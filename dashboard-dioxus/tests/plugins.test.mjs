import assert from "node:assert/strict";
import { test } from "node:test";
import { admin, button, eventually, expectAccessible, heading, hidden, openPage, shown, url } from "./support.mjs";

const EVIL = `<img src=x onerror=alert(1)> for\u202e pictures`;

// A plugin as the server describes it. The tests of the host load real ones.
const plugin = (fields) => ({
  name: "thumbnails", version: "1.3.0", serial: 8, publisher: "Pixel Press", description: "Makes small pictures.",
  sha256: "9f".repeat(32), keyId: "AABBCCDDEEFF0011", keyName: "pixel-press", file: "/plugins/thumbnails.wasm",
  firstParty: false, state: "pending", reason: "It waits for approval.", imports: [],
  requested: [{ capability: "http", reason: EVIL, scope: { hosts: ["cdn.example.com", "stats.example.com"] } }],
  granted: [], approval: null, limits: null, effectiveLimits: null, jobs: [], usedBy: [],
  runs24h: { total: 0, failed: 0 }, activeRunCount: 0, secrets: [], config: {}, loadedAt: null, ...fields,
});

// Shows this plugin beside the server's own. Returns the bodies of approvals.
async function offer(page, offered, { status = 200 } = {}) {
  const approvals = [];
  const current = { plugin: offered };
  await page.route("**/admin/v1/plugins?limit=200", async (route) => {
    const answer = await (await route.fetch()).json();
    await route.fulfill({ json: { ...answer, items: [...answer.items, current.plugin] } });
  });
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

test("waiting plugin is approved with fewer hosts than it asks for", async (t) => {
  const page = await openPage(t);
  const approvals = await offer(page, plugin());
  await page.goto(`${url}/plugins`);
  await page.getByRole("region", { name: "Waits for your approval" }).getByRole("link", { name: "Review thumbnails" }).click();
  const sheet = page.getByRole("dialog", { name: "Plugin thumbnails" });
  await shown(sheet.getByRole("checkbox", { name: "Allow calling hosts: cdn.example.com, stats.example.com" }));
  await shown(sheet.getByText(`“${EVIL}”`));
  await sheet.getByRole("checkbox", { name: "Allow stats.example.com", exact: true }).uncheck();
  await shown(sheet.getByText(/You left out stats\.example\.com/));
  await sheet.getByRole("button", { name: "Approve thumbnails" }).click();
  await eventually(() => approvals.length === 1, "the approval");
  assert.deepEqual(approvals[0].granted, [{ capability: "http", scope: { hosts: ["cdn.example.com"] } }]);
  assert.equal(approvals[0].sha256, "9f".repeat(32));
  await shown(page.getByRole("table", { name: "Plugins" }).getByRole("row").filter({ hasText: "thumbnails" }).getByText("Active"));
});

test("wider version shows what is new since the approval", async (t) => {
  const page = await openPage(t);
  const before = [{ capability: "http", scope: { hosts: ["cdn.example.com"] } }];
  const approval = { approvedAt: "2025-11-09T12:00:00Z", approvedBy: "owner", keyId: "AABBCCDDEEFF0011", granted: before, requested: before, revokedAt: null };
  await offer(page, plugin({ approval }));
  await page.goto(`${url}/plugins?plugin=thumbnails`);
  const region = page.getByRole("region", { name: "New since your approval" });
  await shown(region.getByRole("checkbox", { name: "Allow stats.example.com", exact: true }));
  await shown(region.getByText("Until now you allowed calling hosts: cdn.example.com."));
});

test("file that was replaced is not approved and says so", async (t) => {
  const page = await openPage(t);
  await offer(page, plugin(), { status: 409 });
  await page.goto(`${url}/plugins?plugin=thumbnails`);
  await button(page, "Approve thumbnails").click();
  await shown(page.getByRole("alert").filter({ hasText: "The file has been replaced." }));
});

test("revoking counts what ends", async (t) => {
  const page = await openPage(t);
  const used = (id) => ({ jobId: id, jobName: id, pluginJob: "make", projectId: null, projectName: null, enabled: true });
  await offer(page, plugin({ state: "active", activeRunCount: 2, usedBy: ["a", "b", "c"].map(used) }));
  await page.goto(`${url}/plugins?plugin=thumbnails`);
  await button(page, "Revoke thumbnails").click();
  await shown(page.getByRole("dialog", { name: "Revoke plugin" }).getByText(/2 runs end now, 3 jobs can't run\./));
});

test("key is trusted and revoked for good", async (t) => {
  // A minisign public key: the algorithm, 8 bytes of id, 32 bytes of key.
  const id = Buffer.from(Array.from({ length: 8 }, () => Math.floor(Math.random() * 256)));
  const publicKey = Buffer.concat([Buffer.from("Ed"), id, Buffer.alloc(32, 7)]).toString("base64");
  const name = `press ${id.toString("hex")}`;
  const page = await openPage(t);
  await page.goto(`${url}/plugins`);
  await page.getByRole("link", { name: "Add key" }).click();
  const dialog = page.getByRole("dialog", { name: "Trust key" });
  await dialog.getByRole("textbox", { name: "Name" }).fill(name);
  await dialog.getByRole("textbox", { name: "Public key" }).fill(publicKey);
  await dialog.getByRole("button", { name: "Trust key" }).click();
  await hidden(dialog);
  const row = page.getByRole("table", { name: "Trusted keys" }).getByRole("row").filter({ hasText: name });
  await shown(row.getByText("Trusted", { exact: true }));
  await row.getByRole("button", { name: `Revoke key ${name}` }).click();
  await page.getByRole("dialog", { name: "Revoke key" }).getByRole("button", { name: "Revoke key" }).click();
  await shown(row.getByText(/^Revoked/));
  const { items } = await admin("GET", "/trusted-keys?limit=200");
  assert.ok(items.find((key) => key.name === name).revokedAt);
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
