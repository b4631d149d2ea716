#!/bin/sh
# Builds {name}.wasm in the folder `build`. Needs Rust with the target wasm32-unknown-unknown. The variable ATLASHUB
# can contain the path of the program `atlashub`.
set -eu
cd "$(dirname "$0")"
atlashub="${ATLASHUB:-atlashub}"
"$atlashub" plugin bindings --language rust --output build/wit
cargo build --quiet --release --target wasm32-unknown-unknown --target-dir build/target
"$atlashub" plugin pack build/target/wasm32-unknown-unknown/release/{library}.wasm --output build/{name}.wasm
