// Runs the TypeScript of USAGE.md, compiled into the folder given, against a running AtlasHub, as an app would.
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

// To the browser a path is its own site's; here that is the app's route handler.
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
await assert.rejects(uploadCover(book.id, new File(["x"], "x.exe", { type: "application/exe" })), /please/);
await assert.rejects(
  actions.coverUrl("uploads/covers/nothing.png"),
  (error) => error instanceof AtlasHubError && error.status === 404 && error.code === "object_not_found",
);
console.log("every example ran");
