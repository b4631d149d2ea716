#!/usr/bin/env bash
# jsonschema 0.49.9: if any crate of the build switches on serde_json's feature `preserve_order`, `const`, `enum` and
# `uniqueItems` take objects with the same members in another order for different ones.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/support/setup.bash"

source_code='
use serde_json::{Value, json};

fn main() {
    let members: Value = serde_json::from_str(r#"{"a": 1, "b": 2}"#).unwrap();
    let swapped: Value = serde_json::from_str(r#"{"b": 2, "a": 1}"#).unwrap();
    println!("serde_json: equal is {}", members == swapped);
    let show = |name: &str, schema: Value, instance: Value| {
        println!("{name}: valid is {}", jsonschema::is_valid(&schema, &instance));
    };
    show("const", json!({ "const": members }), swapped.clone());
    show("enum", json!({ "enum": [members] }), swapped.clone());
    show("uniqueItems", json!({ "uniqueItems": true }), json!([members, swapped]));
}'
packages='jsonschema = { version = "=0.49.9", default-features = false }
serde_json = { version = "=1.0.154", default-features = false, features = ["std"FEATURE] }'

echo 'jsonschema 0.49.9, serde_json 1.0.154:'
rust_program "${packages/FEATURE/}" "$source_code"
run_rust_program | expect 'serde_json: equal is true
const: valid is true
enum: valid is true
uniqueItems: valid is false'
echo 'the same with preserve_order:'
rust_program "${packages/FEATURE/, \"preserve_order\"}" "$source_code"
run_rust_program | expect 'serde_json: equal is true
const: valid is false
enum: valid is false
uniqueItems: valid is true'
