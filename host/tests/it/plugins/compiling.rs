//! Compiling plugins: bounded, done once, and without delaying other requests.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use atlashub::jobs::RunFailure;
use plugin_manifest::append_section;
use serde_json::json;

use crate::support::{
    TestApp, WAIT_TIMEOUT, eventually, eventually_blocking,
    guests::Guest,
    plugin_files::{Author, PluginFolder, Run, approve, component, endless, manifest, run, until_plugin, until_state},
};

/// A compiler that never ends for the plugin `slow`, refuses `broken`, crashes for `crashing`, and compiles all others.
/// It appends a line to the file `started` for each compilation.
struct Compiler(tempfile::TempDir);

impl Compiler {
    fn new() -> Self {
        let compiler = Self(tempfile::tempdir().unwrap());
        let (folder, program) = (compiler.0.path().display(), env!("CARGO_BIN_EXE_atlashub"));
        let script = format!(
            r#"#!/bin/sh
PATH=/usr/bin:/bin
file="{folder}/$$"
cat > "$file"
echo started >> {folder}/started
if grep -aq '"name":"slow"' "$file"; then exec sleep 1000; fi
if grep -aq '"name":"broken"' "$file"; then echo "it is broken" >&2; exit 3; fi
if grep -aq '"name":"crashing"' "$file"; then echo "it has crashed" >&2; exit 1; fi
exec "{program}" "$@" < "$file"
"#
        );
        fs::write(compiler.program(), script).unwrap();
        fs::set_permissions(compiler.program(), fs::Permissions::from_mode(0o755)).unwrap();
        compiler
    }

    fn program(&self) -> PathBuf {
        self.0.path().join("compiler")
    }

    /// Returns the number of compilations that were started.
    fn started(&self) -> usize {
        fs::read_to_string(self.0.path().join("started")).unwrap_or_default().lines().count()
    }

    async fn app(&self, folder: &PluginFolder) -> TestApp {
        TestApp::builder()
            .var("ATLASHUB_PLUGIN_DIR", folder.path().to_str().unwrap())
            .compiler(&self.program())
            .start()
            .await
    }
}

/// Returns the plugins that the overview lists as waiting for the owner's approval.
async fn plugins_waiting_for_approval(app: &TestApp) -> Vec<String> {
    let (_, overview) = app.admin().get("/admin/v1/overview").await;
    let items = overview["attention"].as_array().unwrap().iter().filter(|item| item["kind"] == "pluginPending");
    items.map(|item| item["target"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn plugins_can_be_listed_and_revoked_during_compilation() {
    let (folder, author, compiler) = (PluginFolder::new(), Author::new(), Compiler::new());
    let app = compiler.app(&folder).await;
    author.trusted_by(&app).await;
    folder.add_signed("hello", &endless(&manifest("hello", 1)), &author);
    until_state(&app.admin(), "hello", "pending").await;
    approve(&app, "hello", json!({})).await;
    let run = Run::start(&app, "hello").await;

    folder.add_signed("slow", &component(&manifest("slow", 1)), &author);
    let waiting = until_state(&app.admin(), "slow", "pending").await;
    assert_eq!(waiting["compiling"], false, "{waiting}");
    assert_eq!(plugins_waiting_for_approval(&app).await, ["slow"]);
    let admin = app.admin();
    let approving = tokio::spawn(async move { admin.post("/admin/v1/plugins/slow/approve", json!({})).await });
    let compiling = until_plugin(&app.admin(), "slow", |plugin| plugin["compiling"] == true).await;
    assert_eq!(compiling["state"], "pending", "{compiling}");
    assert_eq!(compiling["reason"], "it is being compiled");
    assert!(plugins_waiting_for_approval(&app).await.is_empty());

    // Neither revocation waits for the compiler.
    let revoked = async {
        let (status, hello) = app.admin().post("/admin/v1/plugins/hello/revoke", json!({})).await;
        assert_eq!((status.as_u16(), hello["state"].as_str()), (200, Some("revoked")), "{hello}");
        let outcome = run.outcome().await.unwrap_err();
        assert!(format!("{outcome:?}").contains("was revoked"), "{outcome:?}");
        let (status, slow) = app.admin().post("/admin/v1/plugins/slow/revoke", json!({})).await;
        assert_eq!((status.as_u16(), slow["state"].as_str()), (200, Some("revoked")), "{slow}");
        assert_eq!(slow["compiling"], false, "{slow}");
    };
    tokio::time::timeout(WAIT_TIMEOUT.min(Duration::from_secs(60)), revoked)
        .await
        .expect("the revocation should not wait for the compiler");
    assert!(app.app.plugins().loaded("hello").is_none());
    approving.abort();
}

#[tokio::test]
async fn run_after_a_start_does_not_wait_for_other_plugins_to_be_compiled() {
    let (folder, author, compiler) = (PluginFolder::new(), Author::new(), Compiler::new());
    let app = compiler.app(&folder).await;
    author.trusted_by(&app).await;
    folder.add_signed("hello", &component(&manifest("hello", 1)), &author);
    until_state(&app.admin(), "hello", "pending").await;
    approve(&app, "hello", json!({})).await;
    folder.add_signed("slow", &component(&manifest("slow", 1)), &author);
    until_state(&app.admin(), "slow", "pending").await;
    let admin = app.admin();
    let approving = tokio::spawn(async move { admin.post("/admin/v1/plugins/slow/approve", json!({})).await });
    until_plugin(&app.admin(), "slow", |plugin| plugin["compiling"] == true).await;
    approving.abort();

    // This server never finishes its first pass through the folder, because `slow` is never compiled.
    let restarted = TestApp::builder()
        .var("ATLASHUB_PLUGIN_DIR", folder.path().to_str().unwrap())
        .compiler(&compiler.program())
        .database_url(app.services.database_url.expose())
        .master_keys(&app.services.master_key, None)
        .start()
        .await;
    let running = async {
        run(&restarted, "hello").await.expect("the run should succeed");
        Instant::now()
    };
    let loading = async {
        eventually("hello is loaded", async || restarted.app.plugins().loaded("hello").is_some()).await;
        Instant::now()
    };
    let (ended_at, loaded_at) = tokio::join!(running, loading);
    let waited = ended_at.saturating_duration_since(loaded_at);
    assert!(waited < Duration::from_secs(15), "the run waited for {waited:?}");
}

#[tokio::test]
async fn file_that_fails_to_compile_is_not_compiled_again() {
    let (folder, author, compiler) = (PluginFolder::new(), Author::new(), Compiler::new());
    let app = compiler.app(&folder).await;
    author.trusted_by(&app).await;
    folder.add_signed("broken", &component(&manifest("broken", 1)), &author);
    until_state(&app.admin(), "broken", "pending").await;
    let refused = approve(&app, "broken", json!({})).await;
    assert_eq!(refused["state"], "rejected", "{refused}");
    assert!(refused["reason"].as_str().unwrap().contains("it is broken"), "{refused}");
    assert_eq!(compiler.started(), 1);
    // After each change of trust, refused plugins are inspected again, but not compiled.
    for _ in 0..3 {
        Author::new().trusted_by(&app).await;
    }
    assert_eq!(compiler.started(), 1);
    folder.add_signed("broken", &component(&manifest("broken", 2)), &author);
    until_plugin(&app.admin(), "broken", |plugin| plugin["serial"] == 2).await;
    assert_eq!(compiler.started(), 2);
}

#[tokio::test]
async fn compiler_failure_has_a_reason_and_is_tried_again_only_when_its_file_changes() {
    let (folder, author, compiler) = (PluginFolder::new(), Author::new(), Compiler::new());
    let app = compiler.app(&folder).await;
    author.trusted_by(&app).await;
    let crashing = component(&manifest("crashing", 1));
    folder.add_signed("crashing", &crashing, &author);
    until_state(&app.admin(), "crashing", "pending").await;
    let refused = approve(&app, "crashing", json!({})).await;
    let reason = refused["reason"].as_str().unwrap();
    assert!(reason.contains("exit status: 1: it has crashed"), "{reason}");
    assert_eq!(compiler.started(), 1);
    folder.add_signed("other", &component(&manifest("other", 1)), &author);
    until_state(&app.admin(), "other", "pending").await;
    approve(&app, "other", json!({})).await;
    until_state(&app.admin(), "other", "active").await;
    Author::new().trusted_by(&app).await;
    assert_eq!(compiler.started(), 2);
    folder.add_signed("crashing", &crashing, &author);
    eventually("the file is compiled again", async || compiler.started() == 3).await;
}

#[test]
fn compiler_process_has_resource_limits() {
    let mut process = Command::new(env!("CARGO_BIN_EXE_atlashub"))
        .args(["compile-plugin", "512"])
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let limits = format!("/proc/{}/limits", process.id());
    let limit = |name: &str| {
        let text = fs::read_to_string(&limits).unwrap();
        let line = text.lines().find(|line| line.starts_with(name)).unwrap();
        line[name.len()..].split_whitespace().next().unwrap().to_owned()
    };
    // The process waits for a component on its standard input.
    eventually_blocking("the process has limits", || {
        limit("Max core file size") == "0" && limit("Max cpu time") != "unlimited"
    });
    assert_eq!(limit("Max data size"), (512_u64 << 20).to_string());
    assert_eq!(limit("Max address space"), ((2_u64 << 30) + (512 << 20)).to_string());
    assert_eq!(limit("Max cpu time"), "300");
    process.kill().unwrap();
    process.wait().unwrap();
}

#[tokio::test]
async fn component_that_needs_too_much_memory_to_compile_is_rejected_and_the_reason_names_the_limit() {
    let (folder, author) = (PluginFolder::new(), Author::new());
    let app = TestApp::builder()
        .var("ATLASHUB_PLUGIN_DIR", folder.path().to_str().unwrap())
        .var("ATLASHUB_PLUGIN_COMPILE_MEMORY_MIB", "128")
        .start()
        .await;
    author.trusted_by(&app).await;
    let data = format!("(data \"{}\")", "x".repeat(48 << 20));
    folder.add_signed("large", &with_items("large", &data), &author);
    folder.add_signed("small", &component(&manifest("small", 1)), &author);
    for name in ["large", "small"] {
        until_state(&app.admin(), name, "pending").await;
    }
    let large = approve(&app, "large", json!({})).await;
    assert_eq!(large["state"], "rejected", "{large}");
    let reason = large["reason"].as_str().unwrap();
    assert!(reason.contains("more than 128 MiB") && reason.contains("COMPILE_MEMORY_MIB"), "{reason}");
    approve(&app, "small", json!({})).await;
    assert!(run(&app, "small").await.is_ok());
}

#[tokio::test]
async fn file_above_the_configured_size_is_rejected_and_the_reason_names_the_limit() {
    let (folder, author) = (PluginFolder::new(), Author::new());
    let app = TestApp::builder()
        .var("ATLASHUB_PLUGIN_DIR", folder.path().to_str().unwrap())
        .var("ATLASHUB_PLUGIN_MAX_FILE_MIB", "1")
        .start()
        .await;
    let data = format!("(data \"{}\")", "x".repeat(1 << 20));
    folder.add_signed("large", &with_items("large", &data), &author);
    let large = until_state(&app.admin(), "large", "rejected").await;
    assert!(large["reason"].as_str().unwrap().contains("the maximum is 1048576"), "{large}");
}

/// Returns a component whose module has additional items.
fn with_items(name: &str, items: &str) -> Vec<u8> {
    append_section(Guest { items, ..Guest::default() }.bytes(), manifest(name, 1).to_string().as_bytes())
}

#[tokio::test]
async fn component_beyond_the_limits_of_a_run_is_rejected_and_compiled_once() {
    let (compiler, folder, author) = (Compiler::new(), PluginFolder::new(), Author::new());
    let app = compiler.app(&folder).await;
    author.trusted_by(&app).await;
    // Many tables are allowed, but not a huge one. The compiler process does not check this limit.
    folder.add_signed("tables", &with_items("tables", &"(table 1000 funcref)".repeat(20)), &author);
    folder.add_signed("huge", &with_items("huge", "(table 1000000 funcref)"), &author);
    for name in ["tables", "huge"] {
        until_state(&app.admin(), name, "pending").await;
    }
    approve(&app, "tables", json!({})).await;
    assert!(run(&app, "tables").await.is_ok());
    let approved = approve(&app, "huge", json!({})).await;
    // Without pooled memory, the limit is only checked when the plugin runs.
    let reason = match run(&app, "huge").await {
        _ if approved["state"] == "rejected" => approved["reason"].as_str().unwrap().to_owned(),
        Err(RunFailure::Failed { message, .. }) => message,
        outcome => panic!("{approved}: {outcome:?}"),
    };
    assert!(reason.contains("table"), "{reason}");
    let started = compiler.started();
    Author::new().trusted_by(&app).await;
    assert_eq!(compiler.started(), started, "compiled again");
}
