#!/usr/bin/env bash
# componentize-py 0.25.1: a component imports every interface of its world, also those that the program does not use.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/support/setup.bash"

python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet componentize-py==0.25.1
cat >"$work/world.wit" <<'WIT'
package test:imports@0.1.0;
interface used { get: func() -> string; }
interface unused { get: func() -> string; }
world program { import used; import unused; export run: func() -> string; }
WIT
cat >"$work/program.py" <<'PYTHON'
import wit_world
from wit_world.imports import used

class WitWorld(wit_world.WitWorld):
    def run(self) -> str:
        return used.get()
PYTHON
(cd "$work" && venv/bin/componentize-py --wit-path world.wit --world program componentize --stub-wasi program \
    --output program.wasm >/dev/null)

echo 'componentize-py 0.25.1, a program that uses one of two interfaces:'
# In an import section (10) of a component, names are in plain text.
python3 -c 'import re, sys
component, at = open(sys.argv[1], "rb").read(), 8
def number():
    global at
    value = shift = 0
    while True:
        byte, at = component[at], at + 1
        value, shift = value | (byte & 127) << shift, shift + 7
        if byte < 128:
            return value
while at < len(component):
    section, length = number(), number()
    if section == 10:
        for name in re.findall(rb"test:imports/[a-z]+", component[at:at + length]):
            print("imports", name.decode())
    at += length' "$work/program.wasm" | expect 'imports test:imports/used
imports test:imports/unused'
