// Runs the TypeScript of USAGE.md against a running AtlasHub, as an app does. The argument is the folder with the
// compiled files.
import assert from "node:assert/strict";
import { File } from "node:buffer";
import { createRequire } from "node:module";
import { resolve } from "node:path";

const folder = resolve(process.argv[2]);
const require = createRequire(import.meta.url);
const actions = require(`${folder}/src/app/books/actions.js`);
const { AtlasHubError } = require(`${folder}/src/server/atlashub.js`);
const { uploadCover } = require(`${folder}/src/app/books/upload-cover.js`);
const route = require(`${folder}/src/app/api/uploads/route.js`);

// In a browser, a path is a request to the app's own site. Here it calls the app's route handler.
const network = globalThis.fetch;
globalThis.fetch = (target, init) =>
  target === "/api/uploads" ? route.POST(new Request(`http://app.example${target}`, init)) : network(target, init);

const book = await actions.createBook(Number(process.env.AUTHOR_ID), "Fiasco");
assert.equal(book.title, "Fiasco");
assert.equal(book.cover_key, null);

const bytes = Buffer.from("not quite a picture");
const objectKey = await uploadCover(book.id, new File([bytes], "fiasco.png", { type: "image/png" }));
await actions.setCover(book.id, objectKey);

const [found] = await actions.listBooks("fias");
assert.equal(found.cover_key, objectKey);
assert.deepEqual(await actions.listBooks("no such book"), []);

const download = await network(await actions.coverUrl(found.cover_key));
assert.equal(download.status, 200);
assert.equal(download.headers.get("content-type"), "image/png");
assert.deepEqual(Buffer.from(await download.arrayBuffer()), bytes);

await assert.rejects(actions.setCover(book.id, "private/of/somebody/else"), /not a cover/);
await assert.rejects(uploadCover(book.id, new File(["x"], "x.exe", { type: "application/exe" })), /must be a PNG/);
await assert.rejects(
  actions.coverUrl("uploads/covers/nothing.png"),
  (error) => error instanceof AtlasHubError && error.status === 404 && error.code === "object_not_found",
);
const session = require(`${folder}/src/server/session.js`);
const jar = new Map();
const cookies = {
  get: (name) => (jar.has(name) ? { value: jar.get(name) } : undefined),
  set: (name, value) => jar.set(name, value),
  delete: (name) => jar.delete(name),
};
assert.equal(await session.logIn(cookies, "ada@example.com", "wrong"), null);
const user = await session.logIn(cookies, "ada@example.com", "correct horse battery");
assert.equal(user.email, "ada@example.com");
const first = jar.get("refresh-token");
jar.delete("access-token");
assert.ok(await session.accessToken(cookies));
assert.notEqual(jar.get("refresh-token"), first);
assert.deepEqual(await session.rowsOfUser(cookies, "todos?select=text"), []);
await session.logOut(cookies);
assert.equal(jar.size, 0);
await assert.rejects(session.rowsOfUser(cookies, "todos"), /Not signed in/);
console.log("every example ran");
