// Rules for the sources, against mistakes with Dioxus and browsers that no compiler finds.

import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { join, relative } from "node:path";
import { test } from "node:test";

const folder = join(import.meta.dirname, "..");

function read(under, extension) {
  const names = readdirSync(join(folder, under), { recursive: true }).filter((name) => name.endsWith(extension));
  return names.map((name) => {
    const path = join(folder, under, name);
    return { path: relative(folder, path), text: readFileSync(path, "utf8") };
  });
}

const rust = read("src", ".rs").map(({ path, text }) => ({ path, text: text.replace(/^\s*\/\/.*$/gm, "") }));
const scripts = read("web", ".js");
const styles = read("style", ".css");
const manifest = readFileSync(join(folder, "Cargo.toml"), "utf8");

// Returns the paths of the files that match, except those in `allowed`.
function withMatch(files, pattern, allowed = []) {
  return files.filter(({ path, text }) => !allowed.includes(path) && pattern.test(text)).map(({ path }) => path);
}

test("nothing runs text as JavaScript", () => {
  assert.deepEqual(
    withMatch(rust, /\beval\s*\(|document::(eval|Title|Script|Link|Meta|Style|Stylesheet)\b|asset!/),
    [],
  );
  assert.deepEqual(withMatch(scripts, /\beval\s*\(|new Function\b|setTimeout\(\s*["'`]|document\.write/), []);
});

test("only drawings are inserted as HTML", () => {
  const drawings = ["src/ui/icon.rs", "src/ui/mark.rs"];
  assert.deepEqual(withMatch(rust, /dangerous_inner_html|set_inner_html|insert_adjacent_html/, drawings), []);
  assert.deepEqual(withMatch(scripts, /innerHTML|outerHTML|insertAdjacentHTML/), []);
});

test("routes are parsed without the router's derive macro", () => {
  // The macro would decode queries wrongly, and generate 30 KB of code.
  assert.deepEqual(withMatch(rust, /\bderive\([^)]*\bRoutable\b|#\[(route|child|nest)\(/), []);
  const source = rust.find(({ path }) => path === "src/route.rs").text;
  assert.match(source, /impl Routable for Route/);
});

test("pages receive their parameters as signals", () => {
  const source = rust.find(({ path }) => path === "src/route.rs").text;
  const pages = [...source.matchAll(/^\s*([A-Z]\w*) \{ ([^}]*) \},?$/gm)].map(([, name, fields]) => ({ name, fields }));
  const wrong = pages.filter(({ name, fields }) => {
    if (name === "NotFound") return false;
    const page = rust.find(({ text }) => new RegExp(`pub fn ${name}\\(`).test(text))?.text ?? "";
    const parameters = page.match(new RegExp(`pub fn ${name}\\(([^)]*)\\)`))?.[1] ?? "";
    return fields.split(",").some((field) => !parameters.includes(`${field.split(":")[0].trim()}: ReadSignal<`));
  });
  assert.ok(pages.length > 3);
  assert.deepEqual(wrong, []);
});

test("links use the component of this app", () => {
  const users = rust.filter(({ path, text }) => path !== "src/ui/link.rs" && /\bLink \{/.test(text));
  const imports = /(ui::|super::)\{[^}]*\bLink\b|(ui|super)::Link\b|ui::\*/;
  assert.deepEqual(users.filter(({ text }) => !imports.test(text)).map(({ path }) => path), []);
});

test("errors are values: no error boundaries, and lints against panics", () => {
  assert.deepEqual(withMatch(rust, /\bErrorBoundary\b/), []);
  for (const lint of ["unwrap_used", "expect_used", "indexing_slicing"]) assert.ok(manifest.includes(lint), lint);
});

test("the window does not scroll", () => {
  assert.deepEqual(withMatch(rust, /window\(\)[^;]*\.scroll(_to|_by)?_with|\.scroll_to_with_x_and_y/), []);
  assert.ok(styles.some(({ text }) => /html, body \{[^}]*overflow: hidden/.test(text)));
});

test("only the stream of events keeps a connection open", () => {
  // Browsers allow six connections to a host. The stream ends while the tab is hidden.
  assert.deepEqual(withMatch(rust, /EventSource::new/), ["src/remote/events/stream.rs"]);
});

test("previews are in a sandbox", () => {
  const frames = rust.flatMap(({ path, text }) =>
    [...text.matchAll(/\biframe \{.*/g)].map(([frame]) => ({ path, frame })),
  );
  assert.ok(frames.length > 0);
  assert.deepEqual(frames.filter(({ frame }) => !/"?sandbox"?: ""/.test(frame)).map(({ path }) => path), []);
});

test("the page loads only files with a hash in their name", () => {
  const page = readFileSync(join(folder, "web/index.html"), "utf8");
  const urls = [...page.matchAll(/\b(?:src|href)="([^"]*)"/g)].map(([, url]) => url);
  assert.deepEqual(urls.filter((url) => !/^(\{\{.*\}\}|data:,|\/openapi\.json)$/.test(url)), []);
});

test("only style/tokens.css contains colors", () => {
  const others = styles.filter(({ path }) => path !== "style/tokens.css");
  assert.deepEqual(withMatch(others, /#[0-9a-f]{3,8}\b(?![^{]*\{)|\brgba?\(|\bhsla?\(/i), []);
  assert.deepEqual(withMatch(rust, /style: "[^"]*(#[0-9a-f]{3,8}\b|rgba?\()/i), []);
});

test("crates that break the security policy or are too large are not used", () => {
  const avoided = [
    "dioxus-primitives", "dioxus-datagrid", "dioxus-sdk", "dioxus-charts", "dioxus-free-icons", "lucide-dioxus",
    "chrono-tz", "plotters", "charming", "regex",
  ];
  assert.deepEqual(avoided.filter((name) => new RegExp(`^${name}\\b`, "m").test(manifest)), []);
  assert.ok(!manifest.includes("arbitrary_precision"), "it breaks flattened types");
});
