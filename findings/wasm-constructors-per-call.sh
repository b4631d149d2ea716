#!/usr/bin/env bash
# ziglang 0.16.0 (clang, LLVM's linker): a WebAssembly module that is linked without a start function runs its
# constructors again in each call of an export. Its global variables lose their values, even in the middle of a call, if
# the host allocates memory with an export.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/support/setup.bash"

python3 -m pip install --quiet --target "$work/python" ziglang==0.16.0 wasmtime==48.0.0 2>/dev/null
cat >"$work/counter.cc" <<'SOURCE'
struct Counter {
  volatile int value;
  Counter() { value = 0; }
};
static Counter calls;
static char buffer[64];

extern "C" __attribute__((import_module("host"), import_name("allocate"))) void host_allocate();
extern "C" __attribute__((export_name("allocate"))) char *allocate() { return buffer; }
extern "C" __attribute__((export_name("count"))) int count() { return ++calls.value; }
extern "C" __attribute__((export_name("count_and_ask"))) int count_and_ask() {
  calls.value = 41;
  host_allocate();
  return ++calls.value;
}
SOURCE
cat >"$work/call.py" <<'PYTHON'
"""Calls the exports of a module. Its import calls the export `allocate`, as a host does with `cabi_realloc`."""
import sys

from wasmtime import Engine, Func, FuncType, Instance, Module, Store

engine = Engine()
store = Store(engine)
module = Module.from_file(engine, sys.argv[1])
exports = {}
allocate = Func(store, FuncType([], []), lambda: exports["allocate"](store) and None)
exports = Instance(store, module, [allocate]).exports(store)
if "_initialize" in [export.name for export in module.exports]:
    exports["_initialize"](store)
    print("_initialize is called once")
print("count:", [exports["count"](store) for _ in range(3)], "count_and_ask:", exports["count_and_ask"](store))
PYTHON

run() {
    PYTHONPATH=$work/python ZIG_GLOBAL_CACHE_DIR=$work/zig python3 -m ziglang cc -x c++ -Os "$@" \
        "$work/counter.cc" -o "$work/counter.wasm"
    PYTHONPATH=$work/python python3 "$work/call.py" "$work/counter.wasm"
}

echo 'ziglang 0.16.0:'
{
    echo 'linked without a start function:'
    run -target wasm32-freestanding -Wl,--no-entry
    echo 'linked as a reactor:'
    run -target wasm32-wasi -mexec-model=reactor
} | expect 'linked without a start function:
count: [1, 1, 1] count_and_ask: 1
linked as a reactor:
_initialize is called once
count: [1, 2, 3] count_and_ask: 42'
