//! Plugins as the compilers of other languages produce them: core modules with synchronous calls.

use std::{sync::Arc, time::Duration};

use atlashub::{
    jobs::RunFailure,
    plugins::{
        guest::Grants,
        runtime::{CompileError, HostLimits},
    },
};
use plugin_manifest::{Capability, Scope};
use plugin_packing::pack;

use crate::support::{
    TestApp,
    guests::{GuestRun, compile},
    plugin_files::manifest,
};

/// Imports of `clock.monotonic`, and of the async function `clock.sleep` as a plain function, as C compilers write
/// them.
const CLOCK: &str = r#"
  (import "atlashub:plugin/clock@0.1.0" "sleep" (func $sleep (param i64)))
  (import "atlashub:plugin/clock@0.1.0" "monotonic" (func $monotonic (result i64)))"#;

/// Returns a module whose `run` executes `body` and returns `{}`. The module exports `run` without the async ABI.
fn module(imports: &str, body: &str) -> Vec<u8> {
    let text = format!(
        r#"(module
  {imports}
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
    let packed = pack(&module(CLOCK, body), manifest("guest", 1).to_string().as_bytes()).unwrap();
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

/// Calls async functions of `query` and `state` as plain functions.
#[tokio::test]
async fn plain_calls_query_and_keep_state() {
    let app = TestApp::start().await;
    let project = app.create_project("plain").await;
    let store = format!("project:{}", project.id);
    let imports = format!(
        r#"
  (import "atlashub:plugin/state@0.1.0" "put" (func $put (param i32 i32 i32 i32 i32 i32 i32 i64 i32)))
  (import "atlashub:plugin/query@0.1.0" "open" (func $open (param i32 i32 i32 i32 i32 i32 i32 i32 i32)))
  (data (i32.const 512) "{store}") (data (i32.const 768) "key") (data (i32.const 800) "value")
  (data (i32.const 896) "SELECT 1 AS a, 2 AS b")"#
    );
    // `put` without a condition, then a query without parameters and with the default timeout. Both must succeed, and
    // the list of columns, which follows the result's discriminant, has two items.
    let body = format!(
        "(call $put (i32.const 512) (i32.const {length}) (i32.const 768) (i32.const 3) (i32.const 800) (i32.const 5)
            (i32.const 0) (i64.const 0) (i32.const 256))
        (if (i32.load8_u (i32.const 256)) (then unreachable))
        (call $open (i32.const 512) (i32.const {length}) (i32.const 896) (i32.const 21) (i32.const 0) (i32.const 0)
            (i32.const 0) (i32.const 0) (i32.const 320))
        (if (i32.load8_u (i32.const 320)) (then unreachable))
        (if (i32.ne (i32.load (i32.const 328)) (i32.const 2)) (then unreachable))",
        length = store.len()
    );
    let scope = Scope { databases: vec![store], ..Scope::default() };
    let requested = ["query", "state"]
        .map(|name| serde_json::json!({ "capability": name, "reason": "To be tested.", "scope": &scope }));
    let mut manifest = manifest("guest", 1);
    manifest["capabilities"] = requested.to_vec().into();
    let packed = pack(&module(&imports, &body), manifest.to_string().as_bytes()).unwrap();
    assert_eq!(packed.imports, ["query", "state"]);
    let scopes = [Capability::Query, Capability::State].map(|capability| (capability, scope.clone()));
    let grants = Grants { scopes: scopes.into(), ..Grants::default() };
    let services = Arc::clone(app.app.capabilities());
    let guest = GuestRun::with(&packed.plugin, grants, HostLimits::default(), services).await;
    let report = guest.insert_as_running(app.app.platform()).await.run().await.unwrap();
    assert_eq!(report.result, serde_json::json!({}));
    let value: Vec<u8> = sqlx::query_scalar("SELECT value FROM plugin_state WHERE plugin = 'guest' AND key = 'key'")
        .fetch_one(app.app.platform())
        .await
        .unwrap();
    assert_eq!(value, b"value");
}

/// A component can't hide an import of WASI in a nested component, because a nested component can only import what the
/// outer component gives it.
#[tokio::test]
async fn nested_component_cannot_import_wasi() {
    let nested = r#"(component
        (component $inner (import "wasi:random/random@0.2.0" (instance (export "get" (func)))))
        (import "wasi:random/random@0.2.0" (instance $random (export "get" (func))))
        (instance (instantiate $inner (with "wasi:random/random@0.2.0" (instance $random))))
        (instance $job) (export "atlashub:plugin/job@0.1.0" (instance $job)))"#;
    let error = compile(&wat::parse_str(nested).unwrap()).await.unwrap_err();
    assert_eq!(error, CompileError::ForeignImport("wasi:random/random@0.2.0".to_owned()));
}
