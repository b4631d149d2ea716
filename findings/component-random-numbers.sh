#!/usr/bin/env bash
# componentize-qjs 0.4.5, componentize-py 0.25.1: a component contains the state of its generators of random numbers.
# Each instance gets the same numbers from `Math.random()`, and from a Python generator that a module creates. Only the
# default generator of Python's module `random` is seeded again.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/support/setup.bash"

npm install --silent --no-audit --no-fund --prefix "$work/node" componentize-qjs@0.4.5
python3 -m pip install --quiet --target "$work/python" componentize-py==0.25.1 wasmtime==48.0.0 2>/dev/null
export PYTHONPATH=$work/python
printf 'package finding:draw;\nworld draw {\n  export draw: func(kind: string) -> string;\n}\n' >"$work/draw.wit"
cat >"$work/draw.js" <<'JAVASCRIPT'
export const draw = () => String(Math.random());
JAVASCRIPT
mkdir "$work/app"
cat >"$work/app/app.py" <<'PYTHON'
import random

import wit_world

OWN = random.Random()


class WitWorld(wit_world.WitWorld):
    def draw(self, kind: str) -> str:
        generator = {"default": random, "own": OWN, "new": random.Random()}[kind]
        return str(generator.random())
PYTHON
"$work/node/node_modules/.bin/componentize-qjs" --wit "$work/draw.wit" --js "$work/draw.js" \
    --output "$work/qjs.wasm" >/dev/null 2>&1
(cd "$work/app" && "$work/python/bin/componentize-py" --wit-path "$work/draw.wit" --world draw componentize app \
    --output "$work/py.wasm" >/dev/null)
cat >"$work/draw.py" <<'PYTHON'
"""Calls each component in three instances, which have a source of random numbers."""
import sys

from wasmtime import Config, Engine, Store, WasiConfig, component

config = Config()
config.cranelift_opt_level = "none"  # Compiles Python in less time.
engine = Engine(config)
linker = component.Linker(engine)
linker.add_wasip2()


def show(name, draw, kind):
    values = set()
    for _ in range(3):
        store = Store(engine)
        store.set_wasi(WasiConfig())
        values.add(linker.instantiate(store, draw).get_func(store, "draw")(store, kind))
    print(f"{name}: {len(values)} different values in 3 instances")


qjs, py = [component.Component.from_file(engine, path) for path in sys.argv[1:]]
show("Math.random()", qjs, "call")
show("random.random()", py, "default")
show("random.Random() of the module", py, "own")
show("random.Random() of the call", py, "new")
PYTHON

echo 'componentize-qjs 0.4.5, componentize-py 0.25.1, wasmtime 48.0.0:'
python3 "$work/draw.py" "$work/qjs.wasm" "$work/py.wasm" | expect 'Math.random(): 1 different values in 3 instances
random.random(): 3 different values in 3 instances
random.Random() of the module: 1 different values in 3 instances
random.Random() of the call: 3 different values in 3 instances'
