//! Plugins built with the pinned tools of each language, signed, approved and run as jobs: those in `plugins/examples`,
//! and those that `atlashub plugin new` creates. Started by `cargo xtask test --languages`, which installs the tools.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::examples::{create_job, run_job};
use crate::support::{
    TestApp, WebResponse, WebServer, eventually,
    plugin_files::{Author, PluginFolder, approve, until_state},
};

/// A language, and the environment variable that contains the path of its tools.
type Tools = (&'static str, &'static str);

const C: Tools = ("c", "ATLASHUB_TEST_C_TOOLS");
const PYTHON: Tools = ("python", "ATLASHUB_TEST_PYTHON_TOOLS");
const JAVASCRIPT: Tools = ("javascript", "ATLASHUB_TEST_JAVASCRIPT_TOOLS");
/// Cargo is in `PATH`.
const RUST: Tools = ("rust", "PATH");

/// Builds the plugin in a folder with the folder's script, as the README says, and returns the content of the plugin's
/// file.
fn build((language, tools): Tools, folder: &Path, name: &str) -> Vec<u8> {
    let tools =
        std::env::var_os(tools).unwrap_or_else(|| panic!("{tools} is not set; run `cargo xtask test --languages`"));
    let started = Instant::now();
    let output = Command::new(folder.join("build.sh"))
        .env("ATLASHUB", env!("CARGO_BIN_EXE_atlashub"))
        .env("PLUGIN_TOOLS", tools)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    let plugin = fs::read(folder.join(format!("build/{name}.wasm"))).unwrap();
    report(language, &format!("{name}, {} KiB,", plugin.len() >> 10), "was built", started.elapsed());
    plugin
}

/// Copies an example to a temporary folder and builds it.
fn build_example(tools: Tools, name: &str) -> Vec<u8> {
    let source = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../plugins/examples")).join(tools.0);
    let folder = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(&source).unwrap().map(Result::unwrap).filter(|entry| entry.path().is_file()) {
        fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
    }
    build(tools, folder.path(), name)
}

/// Prints a duration for docs/PERFORMANCE.md.
fn report(language: &str, subject: &str, action: &str, duration: Duration) {
    eprintln!("{language}: {subject} {action} in {} ms", duration.as_millis());
}

/// Installs and approves a plugin.
async fn install(folder: &PluginFolder, app: &TestApp, language: &str, name: &str, plugin: &[u8]) {
    let author = Author::new();
    author.trusted_by(app).await;
    folder.add_signed(name, plugin, &author);
    until_state(&app.admin(), name, "pending").await;
    let started = Instant::now();
    let approved = approve(app, name, json!({})).await;
    assert_ne!(approved["state"], "rejected", "{approved}");
    until_state(&app.admin(), name, "active").await;
    report(language, name, "was approved and compiled", started.elapsed());
}

/// Runs a job three times and returns the result of the last run.
async fn run_often(app: &TestApp, language: &str, job: &str) -> Value {
    for _ in 0..2 {
        let started = Instant::now();
        run_job(app, job).await;
        report(language, "a run", "finished", started.elapsed());
    }
    run_job(app, job).await
}

/// Runs a job that fails, and returns the reason.
async fn failure(app: &TestApp, job: &str) -> String {
    let run = app.run_job(job).await;
    let run = eventually("the run finishes", async || {
        let run = app.run(&run).await;
        (!run["finishedAt"].is_null()).then_some(run)
    })
    .await;
    assert_eq!(run["status"], "fail", "{run}");
    run["errorText"].as_str().unwrap().to_owned()
}

async fn app(folder: &PluginFolder, allowed_hosts: &str) -> TestApp {
    TestApp::builder()
        .var("ATLASHUB_PLUGIN_DIR", folder.path().to_str().unwrap())
        .var("ATLASHUB_HTTP_ALLOWED_HOSTS", allowed_hosts)
        .start()
        .await
}

#[tokio::test]
async fn plugin_in_c_checks_a_page() {
    let plugin = build_example(C, "page-check");
    let server = WebServer::start(|_| WebResponse::status(200)).await;
    let folder = PluginFolder::new();
    let app = app(&folder, &server.entry()).await;
    install(&folder, &app, "c", "page-check", &plugin).await;
    let job = create_job(&app, "page-check", "check", json!({ "url": server.url("/health") })).await;
    let result = run_often(&app, "c", &job).await;
    assert_eq!((&result["status"], &result["truncated"]), (&json!(200), &json!(false)), "{result}");

    // The second text has more than 200 bytes. A message that ended within one of its characters would stop the run.
    for text in ["not on the page".to_owned(), "頁".repeat(67)] {
        let params = json!({ "url": server.url("/health"), "text": text });
        let missing = create_job(&app, "page-check", "check", params).await;
        let reason = failure(&app, &missing).await;
        assert!(reason.contains(&format!("does not contain \"{text}\"")), "{reason}");
    }
}

#[tokio::test]
async fn plugin_in_python_summarizes_a_csv_file() {
    let plugin = build_example(PYTHON, "csv-summary");
    let folder = PluginFolder::new();
    let app = app(&folder, "").await;
    let project = app.create_project("numbers").await;
    let bucket = format!("proj-{}", project.id);
    let csv = "city,people\nOslo,700000\nRome,2800000\nBern,\n";
    let mut upload = app.app.store().begin_upload(&bucket, "uploads/cities.csv", "text/csv");
    upload.write(bytes::Bytes::from_static(csv.as_bytes())).await.unwrap();
    upload.end().await.unwrap().commit().await.unwrap();
    install(&folder, &app, "python", "csv-summary", &plugin).await;
    let params = json!({ "project": project.id, "key": "uploads/cities.csv" });
    let job = create_job(&app, "csv-summary", "summarize", params).await;
    let result = run_often(&app, "python", &job).await;
    assert_eq!(result, json!({ "key": "uploads/cities.csv.summary.json", "rows": 3, "columns": 2 }));
    let summary = app.app.store().get_small(&bucket, "uploads/cities.csv.summary.json", 1 << 20).await.unwrap();
    let summary: Value = serde_json::from_slice(&summary).unwrap();
    assert_eq!(summary["columns"]["people"]["max"], json!(2_800_000.0), "{summary}");
    assert_eq!(summary["columns"]["people"]["empty"], json!(1), "{summary}");
}

/// Uses databases, objects and HTTP from JavaScript. Every call is synchronous for the plugin, except the reading of a
/// stream.
#[tokio::test]
async fn plugin_in_javascript_reports_changed_tables() {
    let plugin = build_example(JAVASCRIPT, "schema-watch");
    let server = WebServer::start(|_| WebResponse::status(204)).await;
    let folder = PluginFolder::new();
    let app = app(&folder, &server.entry()).await;
    let project = app.create_project("shop").await;
    project.sql("create table items (id bigint primary key, name text)").await;
    install(&folder, &app, "javascript", "schema-watch", &plugin).await;
    let params = json!({ "project": project.id, "bucket": "uploads", "webhook": server.url("/changes") });
    let job = create_job(&app, "schema-watch", "watch", params).await;
    assert_eq!(run_job(&app, &job).await, json!({ "tables": 1, "isFirst": true, "changes": [] }));
    let result = run_often(&app, "javascript", &job).await;
    assert_eq!(result, json!({ "tables": 1, "isFirst": false, "changes": [] }));
    assert_eq!(server.count(), 0);

    project.sql("alter table items add price numeric not null default 0; create table ünits (id int)").await;
    let changes = json!(["public.items.price was added (numeric)", "public.ünits was created"]);
    assert_eq!(run_job(&app, &job).await["changes"], changes);
    let posted: Value = serde_json::from_str(&server.next().await.body).unwrap();
    assert!(posted["text"].as_str().unwrap().ends_with("public.ünits was created"), "{posted}");
    assert_eq!(run_job(&app, &job).await["changes"], json!([]));

    let params = json!({ "project": project.id, "bucket": "missing" });
    let reason = failure(&app, &create_job(&app, "schema-watch", "watch", params).await).await;
    assert!(reason.contains("bucket"), "{reason}");
}

/// Creates a plugin with `atlashub plugin new` in every language, builds it, and runs its job.
#[tokio::test]
async fn new_plugins_build_load_and_run() {
    let (projects, folder) = (tempfile::tempdir().unwrap(), PluginFolder::new());
    let app = app(&folder, "").await;
    for tools in [RUST, C, PYTHON, JAVASCRIPT] {
        let name = format!("hello-{}", tools.0);
        let created = Command::new(env!("CARGO_BIN_EXE_atlashub"))
            .args(["plugin", "new", &name, "--language", tools.0, "--path"])
            .arg(projects.path())
            .output()
            .unwrap();
        assert!(created.status.success(), "{}", String::from_utf8_lossy(&created.stderr));
        let plugin = build(tools, &projects.path().join(&name), &name);
        install(&folder, &app, tools.0, &name, &plugin).await;
        let job = create_job(&app, &name, "greet", json!({ "name": "Åda" })).await;
        assert_eq!(run_often(&app, tools.0, &job).await, json!({ "greeting": "Hello, Åda!" }));
    }
}
