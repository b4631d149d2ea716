#!/bin/sh
# Builds csv-summary.wasm in the folder `build`. Needs Python 3.10 or newer. The variable ATLASHUB can contain the
# path of the program `atlashub`, and PLUGIN_TOOLS a folder for the tools (default `build/tools`).
set -eu
cd "$(dirname "$0")"
mkdir -p build
tools="${PLUGIN_TOOLS:-build/tools}"
if [ ! -x "$tools/bin/componentize-py" ]; then
  python3 -m venv "$tools"
  "$tools/bin/python" -m pip install --quiet --requirement requirements.txt
fi
"${ATLASHUB:-atlashub}" plugin bindings --language python --manifest manifest.json --output build/wit
"$tools/bin/componentize-py" --wit-path build/wit --world plugin componentize --stub-wasi csv_summary \
  --output build/component.wasm
"${ATLASHUB:-atlashub}" plugin pack build/component.wasm --manifest manifest.json
