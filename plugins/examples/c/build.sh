#!/bin/sh
# Builds page-check.wasm in the folder `build`. Needs Python 3. The variable ATLASHUB can contain the path of the
# program `atlashub`, and PLUGIN_TOOLS a folder for the compiler (default `build/tools`).
set -eu
cd "$(dirname "$0")"
mkdir -p build
tools="${PLUGIN_TOOLS:-build/tools}"
if [ ! -x "$tools/bin/python" ]; then
  python3 -m venv "$tools"
  "$tools/bin/python" -m pip install --quiet --requirement requirements.txt
fi
"${ATLASHUB:-atlashub}" plugin bindings --language c --manifest manifest.json --output build/bindings
"$tools/bin/python" -m ziglang cc -target wasm32-wasi -mexec-model=reactor -Wl,-z,stack-size=131072 -Os -s -Wall -Wextra \
  -I build/bindings page_check.c build/bindings/plugin.c build/bindings/plugin_component_type.o \
  -o build/module.wasm
"${ATLASHUB:-atlashub}" plugin pack build/module.wasm --manifest manifest.json
