// Keys whose plugins are trusted.

import assert from "node:assert/strict";
import { rm, writeFile } from "node:fs/promises";
import { test } from "node:test";
import { createKey } from "./minisign.mjs";
import { admin, hidden, openPage, shown, url } from "./support.mjs";

test("dropped file is refused for its key until the key is trusted", async (t) => {
  const key = createKey();
  const name = `dropped-${key.id.toLowerCase()}`;
  const { pluginDir } = await admin("GET", "/system");
  const files = [`${pluginDir}/${name}.wasm`, `${pluginDir}/${name}.wasm.minisig`];
  t.after(async () => {
    await Promise.all(files.map((file) => rm(file, { force: true })));
    await admin("DELETE", `/plugins/${name}`).catch(() => {});
    await admin("DELETE", `/trusted-keys/${key.id}`);
  });
  const page = await openPage(t);
  await page.goto(`${url}/plugins`);
  await shown(page.getByRole("table", { name: "Plugins" }));
  const content = Buffer.from("not a component");
  await writeFile(files[1], key.sign(content));
  await writeFile(files[0], content);
  const row = page.getByRole("table", { name: "Plugins" }).getByRole("row").filter({ hasText: name });
  await shown(row.getByText(`Refused: it is signed by key ${key.id}, which is not trusted`));
  await shown(row.getByText("unknown key", { exact: true }));
  await row.getByRole("link", { name: "Trust key…" }).click();
  const dialog = page.getByRole("dialog", { name: "Trust key" });
  await dialog.getByRole("textbox", { name: "Name" }).fill(`key of ${name}`);
  await dialog.getByRole("textbox", { name: "Public key" }).fill(key.publicKey);
  await dialog.getByRole("button", { name: "Trust key" }).click();
  await hidden(dialog);
  await shown(row.getByText("Refused: the file is not a WebAssembly component"));
  await shown(row.getByText(`key of ${name}`, { exact: true }));
});

test("key is trusted and revoked", async (t) => {
  const { id, publicKey } = createKey();
  const name = `press ${id}`;
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
