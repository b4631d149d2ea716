//! Runs of one plugin leave permits for others.

use plugin_manifest::append_section;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::{
    backups::end_to_end::{ended_run, start_backup},
    support::{
        TestApp, eventually,
        guests::Guest,
        plugin_files::{Author, PluginFolder, approve, component, manifest, until_state},
    },
};

/// Returns a component whose job sleeps until it is stopped.
fn sleeping(manifest: &Value) -> Vec<u8> {
    let guest = Guest {
        imports: r#"
  (import "atlashub:plugin/clock@0.1.0" (instance $clock
    (export "sleep" (func async (param "milliseconds" u64)))))"#,
        lowered: r#"(core func $sleep (canon lower (func $clock "sleep")))"#,
        wired: r#"(export "sleep" (func $sleep))"#,
        core_imports: r#"(import "host" "sleep" (func $sleep (param i64)))"#,
        items: "",
        body: "(call $sleep (i64.const -1))",
    };
    append_section(guest.bytes(), manifest.to_string().as_bytes())
}

async fn create_job(app: &TestApp, plugin: &str) -> String {
    let job = json!({
        "name": plugin, "type": "platform", "plugin": plugin, "pluginJob": "run", "params": {},
        "scheduleCron": "0 9 * * 1", "enabled": false, "overlap": "allow",
    });
    let (status, job) = app.admin().post("/admin/v1/jobs", job).await;
    assert_eq!(status, StatusCode::CREATED, "{job}");
    job["id"].as_str().unwrap().to_owned()
}

async fn start(app: &TestApp, job: &str) -> String {
    let (status, run) = app.admin().post(&format!("/admin/v1/jobs/{job}/run"), json!({})).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{run}");
    run["runId"].as_str().unwrap().to_owned()
}

async fn count(app: &TestApp, job: &str, status: &str) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM cron_job_runs WHERE job_id = $1::uuid AND status = $2")
        .bind(job)
        .bind(status)
        .fetch_one(app.app.platform())
        .await
        .unwrap()
}

#[tokio::test]
async fn other_plugins_and_backups_run_while_one_plugin_fills_the_queue() {
    let (folder, author) = (PluginFolder::new(), Author::new());
    let app = TestApp::builder()
        .first_party_plugins()
        .var("ATLASHUB_PLUGIN_DIR", folder.path().to_str().unwrap())
        .var("ATLASHUB_JOB_CONCURRENCY", "4")
        .start()
        .await;
    author.trusted_by(&app).await;
    let mut greedy = manifest("greedy", 1);
    greedy["limits"] = json!({ "concurrentRuns": 64 });
    let mut narrow = manifest("narrow", 1);
    narrow["limits"] = json!({ "concurrentRuns": 1 });
    folder.add_signed("greedy", &sleeping(&greedy), &author);
    folder.add_signed("narrow", &sleeping(&narrow), &author);
    folder.add_signed("modest", &component(&manifest("modest", 1)), &author);
    for name in ["greedy", "narrow", "modest"] {
        until_state(&app.admin(), name, "pending").await;
        approve(&app, name, json!({})).await;
    }
    let narrow = create_job(&app, "narrow").await;
    for _ in 0..3 {
        start(&app, &narrow).await;
    }
    // Runs beyond the limit of a plugin stay queued, so they hold no permit.
    eventually("one run of the plugin with a limit of one", async || count(&app, &narrow, "running").await == 1).await;
    let modest = create_job(&app, "modest").await;
    let run = ended_run(&app, &start(&app, &modest).await).await;
    assert_eq!(run["status"], "success", "{run}");
    assert_eq!((count(&app, &narrow, "running").await, count(&app, &narrow, "queued").await), (1, 2));
    let (status, _) = app.admin().post("/admin/v1/plugins/narrow/revoke", json!({})).await;
    assert_eq!(status, StatusCode::OK);
    eventually("the runs of the revoked plugin end", async || {
        count(&app, &narrow, "running").await + count(&app, &narrow, "queued").await == 0
    })
    .await;

    let greedy = create_job(&app, "greedy").await;
    for _ in 0..12 {
        start(&app, &greedy).await;
    }
    eventually("the plugin uses its share", async || count(&app, &greedy, "running").await == 3).await;
    let run = ended_run(&app, &start(&app, &modest).await).await;
    assert_eq!(run["status"], "success", "{run}");
    let run = ended_run(&app, &start_backup(&app, "platform").await).await;
    assert_eq!(run["status"], "success", "{run}");
    assert_eq!((count(&app, &greedy, "running").await, count(&app, &greedy, "queued").await), (3, 9));
}
