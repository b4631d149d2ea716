#!/usr/bin/env bash
# componentize-qjs 0.4.5: a `u32` from 2^31 on arrives in JavaScript as a negative number. If JavaScript returns 2^31 or
# more, the host gets 2^31 - 1, without an error. The largest `u64` arrives as -1. A BigInt stops the component.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/support/setup.bash"

npm install --silent --no-audit --no-fund --prefix "$work/node" componentize-qjs@0.4.5
python3 -m pip install --quiet --target "$work/python" wasmtime==48.0.0 2>/dev/null
cat >"$work/numbers.wit" <<'WIT'
package finding:numbers;
world numbers {
  export see-u32: func(value: u32) -> string;
  export see-u64: func(value: u64) -> string;
  export return-u32: func(digits: string) -> u32;
  export return-u64: func(digits: string) -> u64;
  export return-big: func(digits: string) -> u64;
}
WIT
cat >"$work/numbers.js" <<'JAVASCRIPT'
export const seeU32 = (value) => `${typeof value} ${value}`;
export const seeU64 = (value) => `${typeof value} ${value}`;
export const returnU32 = (digits) => Number(digits);
export const returnU64 = (digits) => Number(digits);
export const returnBig = (digits) => BigInt(digits);
JAVASCRIPT
"$work/node/node_modules/.bin/componentize-qjs" --wit "$work/numbers.wit" --js "$work/numbers.js" \
    --output "$work/numbers.wasm" >/dev/null 2>&1
cat >"$work/call.py" <<'PYTHON'
import sys

from wasmtime import Engine, Store, WasiConfig, WasmtimeError, component

engine = Engine()
numbers = component.Component.from_file(engine, sys.argv[1])
linker = component.Linker(engine)
linker.add_wasip2()


def call(name, value):
    store = Store(engine)
    store.set_wasi(WasiConfig())
    try:
        outcome = repr(linker.instantiate(store, numbers).get_func(store, name)(store, value))
    except WasmtimeError:
        outcome = "stops the component"
    print(f"{name} {value}: {outcome}")


for value in [2**31 - 1, 2**31, 2**32 - 1]:
    call("see-u32", value)
for value in [2**32 - 1, 2**63, 2**64 - 1]:
    call("see-u64", value)
for value in ["2147483647", "2147483648", "4294967295"]:
    call("return-u32", value)
call("return-u64", "4294967295")
call("return-big", "1")
PYTHON

echo 'componentize-qjs 0.4.5, wasmtime 48.0.0:'
PYTHONPATH=$work/python python3 "$work/call.py" "$work/numbers.wasm" | expect "see-u32 2147483647: 'number 2147483647'
see-u32 2147483648: 'number -2147483648'
see-u32 4294967295: 'number -1'
see-u64 4294967295: 'number 4294967295'
see-u64 9223372036854775808: 'number 9223372036854776000'
see-u64 18446744073709551615: 'number -1'
return-u32 2147483647: 2147483647
return-u32 2147483648: 2147483647
return-u32 4294967295: 2147483647
return-u64 4294967295: 4294967295
return-big 1: stops the component"
