//! Plugins as compilers of other languages write them: core modules with synchronous calls.

use std::time::Duration;

use atlashub::{jobs::RunFailure, plugins::runtime::CompileError};
use plugin_packing::pack;

use crate::support::{
    guests::{GuestRun, compile},
    plugin_files::manifest,
};

/// A module whose `run` executes `body` and returns `{}`. It exports `run` without the asynchronous ABI, and imports
/// the asynchronous function `clock.sleep` like a plain function, as C compilers do.
fn module(body: &str) -> Vec<u8> {
    let text = format!(
        r#"(module
  (import "atlashub:plugin/clock@0.1.0" "sleep" (func $sleep (param i64)))
  (import "atlashub:plugin/clock@0.1.0" "monotonic" (func $monotonic (result i64)))
  (memory (export "memory") 1)
  (global $next (mut i32) (i32.const 4096))
  (data (i32.const 16) "\00\00\00\00\20\00\00\00\02\00\00\00")
  (data (i32.const 32) "{{}}")
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    (global.set $next (i32.add (global.get $next) (i32.add (local.get 3) (i32.const 8))))
    (i32.and (i32.sub (global.get $next) (local.get 3)) (i32.const -8)))
  (func (export "atlashub:plugin/job@0.1.0#run")
    (param i32 i32 i32 i32 i32 i32 i64 i32 i32 i32 i32 i32) (result i32)
    (local $started i64)
    {body}
    (i32.const 16)))"#
    );
    wat::parse_str(text).unwrap_or_else(|error| panic!("{error}"))
}

async fn guest(body: &str) -> GuestRun {
    let packed = pack(&module(body), manifest("guest", 1).to_string().as_bytes()).unwrap();
    GuestRun::new(&packed.plugin).await
}

#[tokio::test]
async fn synchronous_run_waits_in_an_asynchronous_call() {
    let body = "
        (local.set $started (call $monotonic))
        (call $sleep (i64.const 50))
        (if (i64.lt_u (i64.sub (call $monotonic) (local.get $started)) (i64.const 50000000)) (then unreachable))";
    let report = guest(body).await.run().await.unwrap();
    assert_eq!(report.result, serde_json::json!({}));
}

#[tokio::test]
async fn synchronous_run_is_stopped_while_it_waits() {
    let mut guest = guest("(call $sleep (i64.const 3600000))").await;
    guest.call.timeout = Duration::from_millis(100);
    assert_eq!(guest.run().await, Err(RunFailure::TimedOut));
    guest.call.timeout = Duration::from_secs(60);
    guest.cancel.cancel();
    assert_eq!(guest.run().await, Err(RunFailure::Cancelled));
}

#[tokio::test]
async fn synchronous_run_that_computes_is_stopped() {
    let mut guest = guest("(loop (br 0))").await;
    guest.call.timeout = Duration::from_millis(100);
    assert_eq!(guest.run().await, Err(RunFailure::TimedOut));
}

/// A component cannot smuggle WASI past the check of its own imports: a nested component can only import what the outer
/// one gives it.
#[tokio::test]
async fn nested_component_can_not_import_wasi() {
    let nested = r#"(component
        (component $inner (import "wasi:random/random@0.2.0" (instance (export "get" (func)))))
        (import "wasi:random/random@0.2.0" (instance $random (export "get" (func))))
        (instance (instantiate $inner (with "wasi:random/random@0.2.0" (instance $random))))
        (instance $job) (export "atlashub:plugin/job@0.1.0" (instance $job)))"#;
    let error = compile(&wat::parse_str(nested).unwrap()).await.unwrap_err();
    assert_eq!(error, CompileError::ForeignImport("wasi:random/random@0.2.0".to_owned()));
}
