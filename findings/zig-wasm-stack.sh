#!/usr/bin/env bash
# zig 0.16.0: `zig cc` gives a WebAssembly program a stack of 16 MiB, and all of it is in its memory from the start.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/support/setup.bash"

python3 -m pip install --quiet --target "$work/zig" ziglang==0.16.0 2>/dev/null
printf '__attribute__((export_name("answer"))) int answer(void) { return 42; }\n' >"$work/answer.c"

# pages FLAGS…: compiles the file and prints the size of its memory. A memory section is: id 5, length, count, flags, pages.
pages() {
    PYTHONPATH=$work/zig python3 -m ziglang cc -target wasm32-wasi -mexec-model=reactor -Os "$@" "$work/answer.c" \
        -o "$work/answer.wasm"
    python3 -c 'import sys
module, at = open(sys.argv[1], "rb").read(), 8
def number():
    global at
    value = shift = 0
    while True:
        byte, at = module[at], at + 1
        value, shift = value | (byte & 127) << shift, shift + 7
        if byte < 128:
            return value
while at < len(module):
    section, length = number(), number()
    end = at + length
    if section == 5:
        number(), number()
        print("memory of", number(), "pages")
    at = end' "$work/answer.wasm"
}

echo 'zig 0.16.0, a function without variables:'
{
    printf 'default: '
    pages
    printf 'with a stack of 64 KiB: '
    pages -Wl,-z,stack-size=65536
} | expect 'default: memory of 257 pages
with a stack of 64 KiB: memory of 2 pages'
