//! Packs core modules and components as compilers of other languages write them.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use plugin_manifest::Capability;
use plugin_packing::{PackError, describe_request, pack};

const RUN: &str = r#"(func (export "atlashub:plugin/job@0.1.0#run")
    (param i32 i32 i32 i32 i32 i32 i64 i32 i32 i32 i32 i32) (result i32) i32.const 16)"#;
const MEMORY: &str = r#"(memory (export "memory") 1)"#;
const REALLOC: &str = r#"(func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 1024)"#;
const SLEEP: &str = r#"(import "atlashub:plugin/clock@0.1.0" "sleep" (func (param i64)))"#;
const SEND: &str = r#"(import "atlashub:plugin/http@0.1.0" "send"
    (func (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)))"#;

fn manifest(capabilities: &str) -> Vec<u8> {
    format!(
        r#"{{"name":"hello","version":"1.0.0","serial":1,"publisher":"Someone","description":"Says hello.",
        "jobs":[{{"name":"greet","description":"Greets.","paramsSchema":{{"type":"object"}}}}],
        "capabilities":[{capabilities}]}}"#
    )
    .into_bytes()
}

const HTTP: &str = r#"{"capability":"http","reason":"To greet.","scope":{"hosts":["api.example.com"]}}"#;

fn module(items: &[&str]) -> Vec<u8> {
    wat::parse_str(format!("(module {})", items.join(" "))).unwrap()
}

#[test]
fn module_becomes_a_component_that_imports_what_it_calls() {
    let packed = pack(&module(&[SLEEP, SEND, MEMORY, REALLOC, RUN]), &manifest(HTTP)).unwrap();
    assert_eq!(packed.imports, ["clock", "http"]);
    assert_eq!(packed.unused, []);
    let text = describe_request(&packed);
    for part in ["hello 1.0.0", "calls clock, http", "asked for http: To greet.", "hosts: api.example.com", "64 MiB"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let packed = pack(&module(&[MEMORY, REALLOC, RUN]), &manifest(HTTP)).unwrap();
    assert_eq!((packed.imports.len(), packed.unused.as_slice()), (0, &[Capability::Http][..]));
    assert!(describe_request(&packed).contains("requests http but does not use it"));
}

#[test]
fn unusable_modules_are_refused_with_a_remedy() {
    let check = |items: &[&str], expected: &[&str]| {
        let error = pack(&module(items), &manifest("")).unwrap_err().to_string();
        for part in expected {
            assert!(error.contains(part), "{part}: {error}");
        }
    };
    let wasi = r#"(import "wasi_snapshot_preview1" "fd_write" (func (param i32 i32 i32 i32) (result i32)))"#;
    check(&[wasi, MEMORY, REALLOC, RUN], &["`fd_write`", "no WASI", "define these functions"]);
    check(&[r#"(import "env" "foo" (func))"#, MEMORY, REALLOC, RUN], &["`foo`", "linker"]);
    check(&[MEMORY, REALLOC, r#"(func (export "main"))"#], &["job@0.1.0#run", "`main`", "export_name"]);
    check(&[REALLOC, RUN], &["`memory`"]);
    check(&[MEMORY, RUN], &["`cabi_realloc`", "realloc"]);
    check(&[SEND, MEMORY, REALLOC, RUN], &["uses `http` without requesting it", "capabilities"]);
    let unknown = r#"(import "atlashub:plugin/shell@0.1.0" "run" (func))"#;
    check(&[unknown, MEMORY, REALLOC, RUN], &["shell@0.1.0", "`wit`"]);
    let wrong = r#"(import "atlashub:plugin/clock@0.1.0" "sleep" (func (param i32)))"#;
    check(&[wrong, MEMORY, REALLOC, RUN], &["sleep"]);
    check(&[MEMORY, REALLOC, RUN, "(memory i64 1)"], &["The code is invalid", "64-bit memories"]);
}

#[test]
fn unusable_components_are_refused_with_a_remedy() {
    const JOB: &str = r#"(instance $job) (export "atlashub:plugin/job@0.1.0" (instance $job))"#;
    let check = |text: &str, expected: &[&str]| {
        let component = wat::parse_str(format!("(component {text})")).unwrap();
        let error = pack(&component, &manifest("")).unwrap_err().to_string();
        for part in expected {
            assert!(error.contains(part), "{part}: {error}");
        }
    };
    let wasi = r#"(import "wasi:cli/environment@0.2.0" (instance)) (import "wasi:io/poll@0.2.0" (instance))"#;
    check(&format!("{wasi} {JOB}"), &["`wasi:cli/environment@0.2.0`, `wasi:io/poll@0.2.0`", "--stub-wasi"]);
    check(&format!(r#"(import "other" (instance)) {JOB}"#), &["`other`"]);
    check("", &["does not export", "world"]);
}

#[test]
fn other_files_and_packed_plugins_are_refused() {
    for file in [&b""[..], b"#!/bin/sh", b"\0asm", b"\x7fELF"] {
        assert!(matches!(pack(file, &manifest("")), Err(PackError::NotWebAssembly(_))), "{file:?}");
    }
    assert!(matches!(pack(&module(&[MEMORY, REALLOC, RUN]), b"{}"), Err(PackError::Manifest(_))));
    let packed = pack(&module(&[MEMORY, REALLOC, RUN]), &manifest("")).unwrap();
    assert!(matches!(pack(&packed.plugin, &manifest("")), Err(PackError::AlreadyPacked)));
}
