#!/bin/sh
# Builds schema-watch.wasm in the folder `build`. Needs Node.js 18 or newer. The variable ATLASHUB can contain the
# path of the program `atlashub`, and PLUGIN_TOOLS a folder for the npm packages (default `build/tools`).
set -eu
cd "$(dirname "$0")"
mkdir -p build
tools="${PLUGIN_TOOLS:-build/tools}"
if [ ! -e "$tools/node_modules/.bin/componentize-qjs" ]; then
  mkdir -p "$tools"
  cp package.json "$tools"
  npm install --prefix "$tools" --no-audit --no-fund --silent
fi
"${ATLASHUB:-atlashub}" plugin bindings --language javascript --manifest manifest.json --output build/wit
"$tools/node_modules/.bin/componentize-qjs" --wit build/wit --world plugin --js schema-watch.js --stub-wasi --opt-size \
  --output build/component.wasm
"${ATLASHUB:-atlashub}" plugin pack build/component.wasm --manifest manifest.json
