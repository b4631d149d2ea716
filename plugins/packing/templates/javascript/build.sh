#!/bin/sh
# Builds {name}.wasm in the folder `build`. Needs Node.js 18 or newer. The variable ATLASHUB can contain the path of
# the program `atlashub`, and PLUGIN_TOOLS a folder for the npm packages (default `build/tools`).
set -eu
cd "$(dirname "$0")"
mkdir -p build
atlashub="${ATLASHUB:-atlashub}"
tools="${PLUGIN_TOOLS:-build/tools}"
if [ ! -e "$tools/node_modules/.bin/componentize-qjs" ]; then
  mkdir -p "$tools"
  cp package.json "$tools"
  npm install --prefix "$tools" --no-audit --no-fund --silent
fi
"$atlashub" plugin bindings --language javascript --output build/wit
"$tools/node_modules/.bin/componentize-qjs" --wit build/wit --world plugin --js main.js --stub-wasi --opt-size \
  --output build/component.wasm
"$atlashub" plugin pack build/component.wasm --output build/{name}.wasm
