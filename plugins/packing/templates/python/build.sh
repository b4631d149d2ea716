#!/bin/sh
# Builds {name}.wasm in the folder `build`. Needs Python 3.10 or newer. The variable ATLASHUB can contain the path of
# the program `atlashub`, and PLUGIN_TOOLS a folder for the tools (default `build/tools`).
set -eu
cd "$(dirname "$0")"
mkdir -p build
atlashub="${ATLASHUB:-atlashub}"
tools="${PLUGIN_TOOLS:-build/tools}"
if [ ! -x "$tools/bin/componentize-py" ]; then
  python3 -m venv "$tools"
  "$tools/bin/python" -m pip install --quiet --requirement requirements.txt
fi
"$atlashub" plugin bindings --language python --output build/wit
"$tools/bin/componentize-py" --wit-path build/wit --world plugin componentize --stub-wasi main \
  --output build/component.wasm
"$atlashub" plugin pack build/component.wasm --output build/{name}.wasm
