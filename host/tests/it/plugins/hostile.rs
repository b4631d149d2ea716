//! Hostile guests: the host stops only their own runs, and gives a reason.

use std::{sync::Arc, time::Duration};

use atlashub::{
    jobs::{RunFailure, RunReport},
    plugins::runtime::CompileError,
};
use plugin_manifest::{Capability, append_section};
use tokio_util::sync::CancellationToken;

use crate::support::guests::{Guest, GuestRun, compile, names};

const LOG: Guest = Guest {
    imports: r#"
  (import "atlashub:plugin/log@0.1.0" (instance $log
    (type $level (enum "debug" "info" "warn" "error"))
    (export "level" (type $level' (eq $level)))
    (export "write" (func (param "level" $level') (param "message" string) (param "fields" string)))))"#,
    lowered: r#"(core func $write (canon lower (func $log "write") (memory $memory)))"#,
    wired: r#"(export "write" (func $write))"#,
    core_imports: r#"(import "host" "write" (func $write (param i32 i32 i32 i32 i32)))"#,
    items: r#"(data (i32.const 64) "custom panic")"#,
    body: "",
};

const CLOCK: Guest = Guest {
    imports: r#"
  (import "atlashub:plugin/clock@0.1.0" (instance $clock
    (export "sleep" (func async (param "milliseconds" u64)))))"#,
    lowered: r#"(core func $sleep (canon lower (func $clock "sleep")))"#,
    wired: r#"(export "sleep" (func $sleep))"#,
    core_imports: r#"(import "host" "sleep" (func $sleep (param i64)))"#,
    items: "",
    body: "(call $sleep (i64.const -1))",
};

fn body(body: &str) -> Vec<u8> {
    Guest { body, ..Guest::default() }.bytes()
}

#[tokio::test]
async fn guest_returns_a_result() {
    let guest = GuestRun::new(&body("")).await;
    assert_eq!(guest.run().await, Ok(RunReport { result: serde_json::json!({}) }));
    // The second run uses the cache of linked components.
    assert_eq!(guest.run().await, Ok(RunReport { result: serde_json::json!({}) }));
}

#[tokio::test]
async fn endless_loop_stops_at_its_processor_time_limit() {
    let guest = GuestRun::new(&body("(loop (br 0))")).await.limit(|limits| limits.cpu_seconds = 1);
    assert_eq!(guest.failure().await, "Stopped: the run exceeded its processor time limit of 1 s.");
}

#[tokio::test]
async fn endless_loop_can_be_cancelled_and_times_out() {
    let write = "(call $write (i32.const 1) (i32.const 64) (i32.const 12) (i32.const 0) (i32.const 0)) (loop (br 0))";
    let mut guest = GuestRun::new(&Guest { body: write, ..LOG }.bytes()).await;
    let (outcome, ()) = tokio::join!(guest.run(), async {
        guest.recorded.until_logged().await;
        guest.cancel.cancel();
    });
    assert_eq!(outcome, Err(RunFailure::Cancelled));

    guest.cancel = CancellationToken::new();
    guest.call.timeout = Duration::from_millis(100);
    assert_eq!(guest.run().await, Err(RunFailure::TimedOut));
}

#[tokio::test]
async fn dropped_run_releases_its_permits() {
    let write = "(call $write (i32.const 1) (i32.const 64) (i32.const 12) (i32.const 0) (i32.const 0)) (loop (br 0))";
    let guest = GuestRun::new(&Guest { body: write, ..LOG }.bytes()).await.limit(|limits| limits.concurrent_runs = 1);
    for _ in 0..2 {
        tokio::select! {
            outcome = guest.run() => panic!("{outcome:?}"),
            () = guest.recorded.until_logged() => {}
        }
    }
}

#[tokio::test]
async fn sleeping_guest_can_be_cancelled() {
    let guest = GuestRun::new(&CLOCK.bytes()).await;
    let cancel = guest.cancel.clone();
    let (outcome, ()) = tokio::join!(guest.run(), async { cancel.cancel() });
    assert_eq!(outcome, Err(RunFailure::Cancelled));
    // The permits of the run are released, so another run can start.
    let mut guest = guest.limit(|limits| limits.wall_seconds = 1);
    guest.cancel = CancellationToken::new();
    assert_eq!(guest.run().await, Err(RunFailure::TimedOut));
    assert_eq!(guest.recorded.messages(), ["Stopped: the run exceeded its time limit of 1 s."]);
}

#[tokio::test]
async fn waiting_for_a_permit_does_not_count_toward_the_time_limit() {
    let write = "(call $write (i32.const 1) (i32.const 64) (i32.const 12) (i32.const 0) (i32.const 0)) (loop (br 0))";
    let guest = GuestRun::new(&Guest { body: write, ..LOG }.bytes()).await.limit(|limits| {
        limits.concurrent_runs = 1;
        limits.wall_seconds = 1;
    });
    // The second run starts after the first has timed out, and gets its full time limit.
    let outcomes = tokio::join!(guest.run(), guest.run());
    assert_eq!(outcomes, (Err(RunFailure::TimedOut), Err(RunFailure::TimedOut)));
    let timed_out = "Stopped: the run exceeded its time limit of 1 s.";
    assert_eq!(guest.recorded.messages(), ["custom panic", timed_out, "custom panic", timed_out]);
}

#[tokio::test]
async fn run_waiting_for_a_permit_can_be_cancelled() {
    let write = "(call $write (i32.const 1) (i32.const 64) (i32.const 12) (i32.const 0) (i32.const 0)) (loop (br 0))";
    let guest = GuestRun::new(&Guest { body: write, ..LOG }.bytes()).await.limit(|limits| limits.concurrent_runs = 1);
    let cancel = CancellationToken::new();
    let (call, output) = (guest.call.clone(), Arc::clone(&guest.recorded));
    let waiting = async {
        // The first run holds the only permit.
        guest.recorded.until_logged().await;
        cancel.cancel();
        let outcome = guest.runtime.run(&guest.plugin, call, output, cancel.clone()).await;
        guest.cancel.cancel();
        outcome
    };
    let outcomes = tokio::join!(guest.run(), waiting);
    assert_eq!(outcomes, (Err(RunFailure::Cancelled), Err(RunFailure::Cancelled)));
    assert_eq!(guest.recorded.messages(), ["custom panic"]);
}

#[tokio::test]
async fn memory_growth_stops_at_the_limit() {
    let bomb = body("(loop (drop (memory.grow (i32.const 1))) (br 0))");
    // Another module of the component exports the memory. Its growth counts as well.
    let guest = GuestRun::new(&bomb).await.limit(|limits| limits.memory_mib = 2);
    assert_eq!(guest.failure().await, "Stopped: the run exceeded its memory limit of 2 MiB.");
}

#[tokio::test]
async fn all_memories_of_a_run_count_towards_its_limit() {
    let second = Guest {
        items: "(memory $second 1)",
        body: "(loop (drop (memory.grow $second (i32.const 1))) (br 0))",
        ..Guest::default()
    };
    let guest = GuestRun::new(&second.bytes()).await.limit(|limits| limits.memory_mib = 2);
    assert_eq!(guest.failure().await, "Stopped: the run exceeded its memory limit of 2 MiB.");
    // Four memories are allowed: that of the guest's allocator, and three more.
    let three = "(memory 1)".repeat(3);
    assert!(GuestRun::new(&Guest { items: &three, ..Guest::default() }.bytes()).await.run().await.is_ok());
    let four = "(memory 1)".repeat(4);
    let reason = match compile(&Guest { items: &four, ..Guest::default() }.bytes()).await {
        Err(error) => error.to_string(),
        // Without pooled memory, the limit is only checked when the plugin runs.
        Ok(_) => GuestRun::new(&Guest { items: &four, ..Guest::default() }.bytes()).await.failure().await,
    };
    assert!(reason.contains("memor"), "{reason}");
}

#[tokio::test]
async fn infinite_recursion_stops_the_run() {
    let bomb =
        Guest { items: "(func $deeper (call $deeper) (call $deeper))", body: "(call $deeper)", ..Guest::default() };
    let failure = GuestRun::new(&bomb.bytes()).await.failure().await;
    assert!(failure.contains("call stack overflowed"), "{failure}");
}

#[tokio::test]
async fn panic_is_reported_with_its_message() {
    let write = "(call $write (i32.const 3) (i32.const 64) (i32.const 12) (i32.const 0) (i32.const 0)) unreachable";
    let guest = GuestRun::new(&Guest { body: write, ..LOG }.bytes()).await;
    assert_eq!(guest.failure().await, "The plugin panicked: custom panic");
    assert_eq!(GuestRun::new(&body("unreachable")).await.failure().await, "The plugin panicked.");
}

#[tokio::test]
async fn trap_is_reported_by_name() {
    let guest = GuestRun::new(&body("(drop (i32.load (i32.const -8)))")).await;
    assert_eq!(guest.failure().await, "Stopped by a trap: out of bounds memory access.");
}

#[tokio::test]
async fn dropped_log_lines_are_counted() {
    let write = "(loop
        (call $write (i32.const 1) (i32.const 64) (i32.const 12) (i32.const 0) (i32.const 0))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br_if 0 (i32.lt_u (local.get $i) (i32.const 1000))))";
    let guest = GuestRun::new(&Guest { body: write, ..LOG }.bytes()).await.limit(|limits| limits.log_kib = 1);
    assert!(guest.run().await.is_ok());
    // 12 bytes of text and 32 bytes of overhead per line.
    let kept = 1024 / 44;
    assert_eq!(guest.recorded.messages().len(), kept);
    let dropped = guest.recorded.dropped.lock().unwrap().clone();
    let [(count, reason)] = dropped.as_slice() else { panic!("{dropped:?}") };
    assert_eq!(*count, 1000 - kept as u64);
    assert!(reason.starts_with("the run exceeded its log limit of 1 KiB"), "{reason}");
}

#[tokio::test]
async fn dropped_log_lines_of_a_stopped_run_are_counted() {
    let write = "(loop
        (call $write (i32.const 1) (i32.const 64) (i32.const 12) (i32.const 0) (i32.const 0))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br_if 0 (i32.lt_u (local.get $i) (i32.const 1000))))
        (loop (br 0))";
    let mut guest = GuestRun::new(&Guest { body: write, ..LOG }.bytes()).await.limit(|limits| limits.log_kib = 1);
    guest.call.timeout = Duration::from_secs(1);
    assert_eq!(guest.run().await, Err(RunFailure::TimedOut));
    let dropped = guest.recorded.dropped.lock().unwrap().clone();
    let [(count, reason)] = dropped.as_slice() else { panic!("{dropped:?}") };
    assert!(*count > 0 && reason.starts_with("the run exceeded its log limit of 1 KiB"), "{count} {reason}");
}

#[tokio::test]
async fn endless_host_calls_stop_at_the_limit() {
    let write = "(loop (call $write (i32.const 1) (i32.const 64) (i32.const 12) (i32.const 0) (i32.const 0)) (br 0))";
    let guest = GuestRun::new(&Guest { body: write, ..LOG }.bytes()).await.limit(|limits| limits.host_call_mib = 1);
    assert_eq!(guest.failure().await, "Stopped: the run exceeded its limit of 1 MiB for host calls.");
}

#[tokio::test]
async fn result_that_is_not_json_fails_the_run() {
    let broken = Guest { items: r#"(data (i32.const 32) "{{")"#, ..Guest::default() };
    let failure = GuestRun::new(&broken.bytes()).await.failure().await;
    assert!(failure.contains("it is not JSON"), "{failure}");
}

#[tokio::test]
async fn result_outside_of_the_guest_memory_traps() {
    let guest = GuestRun::new(&body("(return (i32.const -4))")).await;
    assert!(guest.failure().await.starts_with("Stopped"));
}

#[tokio::test]
async fn import_without_grant_cannot_be_linked() {
    for capability in Capability::ALL {
        let interface = capability.as_str();
        // The refusal must not depend on the functions that are imported.
        let imports = format!(r#"(import "atlashub:plugin/{interface}@0.1.0" (instance (export "any" (func))))"#);
        let component = Guest { imports: &imports, ..Guest::default() }.bytes();
        let compiled = compile(&component).await.unwrap();
        assert_eq!(*compiled.imports(), names(&[interface]));
        let failure = GuestRun::new(&component).await.failure().await;
        let expected = format!("it imports `{interface}`, which the owner did not grant");
        assert!(failure.contains(&expected), "{failure}");
    }
}

#[tokio::test]
async fn files_that_are_not_plugins_and_unknown_imports_are_not_compiled() {
    let engine = wasmtime::Engine::default();
    let precompiled = engine.precompile_component(&body("")).unwrap();
    let check = async |file: &[u8], expected: CompileError| {
        assert_eq!(compile(file).await.unwrap_err(), expected);
    };
    check(&precompiled, CompileError::Precompiled).await;
    check(b"\0asm\x01\0\0\0", CompileError::CoreModule).await;
    check(b"\0asm", CompileError::NotAComponent).await;
    check(Guest::default().text().as_bytes(), CompileError::NotAComponent).await;
    check(&wat::parse_str("(component)").unwrap(), CompileError::NoJob).await;
    let (large, max) = (append_section(body(""), &vec![0; 64 << 20]), 64 << 20);
    check(&large, CompileError::TooLarge { bytes: large.len(), max }).await;
    for foreign in [
        "wasi:cli/environment@0.2.0",
        "wasi:random/random@0.2.6",
        "wasi:io/poll@0.3.0",
        "atlashub:plugin/log@0.2.0",
        "atlashub:plugin/shell@0.1.0",
        "atlashub:other/log@0.1.0",
    ] {
        let imports = format!(r#"(import "{foreign}" (instance (export "go" (func))))"#);
        let guest = Guest { imports: &imports, ..Guest::default() };
        check(&guest.bytes(), CompileError::ForeignImport(foreign.to_owned())).await;
    }
    // A core module is refused, whatever it imports.
    let items = r#"(import "wasi_snapshot_preview1" "proc_exit" (func (param i32)))"#;
    let module = wat::parse_str(format!("(module {items})")).unwrap();
    check(&module, CompileError::CoreModule).await;
    let mut cut = body("");
    cut.truncate(cut.len() / 2);
    assert!(matches!(compile(&cut).await, Err(CompileError::Invalid(_))));
}

#[tokio::test]
async fn import_with_another_signature_cannot_be_linked() {
    let other = Guest {
        imports: r#"(import "atlashub:plugin/log@0.1.0" (instance $log
            (export "write" (func (param "message" string)))))"#,
        ..Guest::default()
    };
    let failure = GuestRun::new(&other.bytes()).await.failure().await;
    assert!(failure.contains("its imports don't match"), "{failure}");
}
