#!/usr/bin/env bash
# esbuild 0.28.2: minifying CSS moves a shorthand behind a logical property, so that the shorthand overrides the
# property. For example, a top margin that is written as `margin-block-start` is lost. The values are computed here for
# a page that is read from left to right.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/support/setup.bash"

npm install --silent --no-audit --no-fund --prefix "$work" esbuild@0.28.2
cat >"$work/minify.mjs" <<'JAVASCRIPT'
import { transformSync } from "esbuild";

const SIDES = ["top", "right", "bottom", "left"];
const CORNERS = ["top-left", "top-right", "bottom-right", "bottom-left"];
// Where a logical side or corner is in a page that is read from left to right.
const PHYSICAL = {
  "block-start": "top",
  "inline-end": "right",
  "block-end": "bottom",
  "inline-start": "left",
  "start-start": "top-left",
};

// The value of each side or corner after all declarations of a rule.
function computed(rule) {
  const values = {};
  for (const declaration of rule.match(/\{(.*)\}/)[1].split(";").filter(Boolean)) {
    const [property, value] = declaration.split(":").map((part) => part.trim());
    const part = property.replace(/^(margin|padding|inset|border)-?/, "").replace(/-?radius$/, "");
    const list = value.split(" ");
    const [first, second = first, third = first, fourth = second] = list;
    if (part === "") {
      const parts = property === "border-radius" ? CORNERS : SIDES;
      [first, second, third, fourth].forEach((each, index) => (values[parts[index]] = each));
    } else values[PHYSICAL[part] ?? part] = value;
  }
  return values;
}

for (const [rule, part] of [
  [".a{margin:0;margin-block-start:8px;margin-left:4px}", "top"],
  [".a{padding:0;padding-inline-end:8px;padding-left:4px}", "right"],
  [".a{inset:0;inset-block-end:8px;left:4px}", "bottom"],
  [".a{border-radius:4px;border-start-start-radius:0;border-top-left-radius:2px}", "top-left"],
  [".a{margin:0;margin-left:4px;margin-block-start:8px}", "top"],
]) {
  const minified = transformSync(rule, { loader: "css", minify: true }).code.trim();
  console.log(`${rule}\n  becomes ${minified}\n  ${part}: ${computed(rule)[part]} becomes ${computed(minified)[part]}`);
}
JAVASCRIPT

echo 'esbuild 0.28.2:'
node "$work/minify.mjs" | expect '.a{margin:0;margin-block-start:8px;margin-left:4px}
  becomes .a{margin-block-start:8px;margin:0 0 0 4px}
  top: 8px becomes 0
.a{padding:0;padding-inline-end:8px;padding-left:4px}
  becomes .a{padding-inline-end:8px;padding:0 0 0 4px}
  right: 8px becomes 0
.a{inset:0;inset-block-end:8px;left:4px}
  becomes .a{inset-block-end:8px;inset:0 0 0 4px}
  bottom: 8px becomes 0
.a{border-radius:4px;border-start-start-radius:0;border-top-left-radius:2px}
  becomes .a{border-radius:2px 4px 4px;border-start-start-radius:0}
  top-left: 2px becomes 0
.a{margin:0;margin-left:4px;margin-block-start:8px}
  becomes .a{margin:0 0 0 4px;margin-block-start:8px}
  top: 8px becomes 8px'
