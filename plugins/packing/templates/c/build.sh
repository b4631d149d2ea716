#!/bin/sh
# Builds {name}.wasm in the folder `build`. Needs Python 3, which installs the compiler. The variable ATLASHUB can
# contain the path of the program `atlashub`, and PLUGIN_TOOLS a folder for the compiler (default `build/tools`).
set -eu
cd "$(dirname "$0")"
mkdir -p build
atlashub="${ATLASHUB:-atlashub}"
tools="${PLUGIN_TOOLS:-build/tools}"
if [ ! -x "$tools/bin/python" ]; then
  python3 -m venv "$tools"
  "$tools/bin/python" -m pip install --quiet --requirement requirements.txt
fi
"$atlashub" plugin bindings --language c --output build/bindings
"$tools/bin/python" -m ziglang cc -target wasm32-wasi -mexec-model=reactor -Wl,-z,stack-size=131072 -Os -s -Wall -Wextra \
  -I build/bindings main.c build/bindings/plugin.c build/bindings/plugin_component_type.o -o build/module.wasm
"$atlashub" plugin pack build/module.wasm --output build/{name}.wasm
