//! Retention of runs and their logs.

use atlashub::object_store::PLATFORM_BUCKET;
use serde_json::json;

use crate::support::{TestApp, TestRunner};

async fn age(app: &TestApp, days: i32) {
    sqlx::query("UPDATE cron_job_runs SET finished_at = finished_at - make_interval(days => $1)")
        .bind(days)
        .execute(app.app.platform())
        .await
        .unwrap();
}

#[tokio::test]
async fn old_runs_and_logs_are_removed_except_the_newest_of_each_job() {
    let runner = TestRunner::new();
    let app = TestApp::builder().runner(runner.node("a")).start().await;
    let job = app.create_job(json!({ "params": { "lines": 400 } })).await;
    let quiet = app.create_job(json!({})).await;
    let mut keys = Vec::new();
    for _ in 0..3 {
        let run = app.run_job(&job).await;
        keys.push(app.until_run(&run, "success").await["logObjectKey"].as_str().unwrap().to_owned());
    }
    let only = app.run_job(&quiet).await;
    app.until_run(&only, "success").await;
    let runs = app.app.jobs().runs();
    assert_eq!(runs.remove_old_runs(30).await.unwrap().removed, 0);
    age(&app, 31).await;
    let report = runs.remove_old_runs(30).await.unwrap();
    assert_eq!((report.removed, report.more), (2, false));
    assert!(report.freed_bytes > 2 * 65_536, "{report:?}");
    assert_eq!((app.runs_of(&job).await.len(), app.runs_of(&quiet).await.len()), (1, 1));
    let store = app.app.store();
    assert!(store.head(PLATFORM_BUCKET, &keys[0]).await.unwrap().is_none());
    assert!(store.head(PLATFORM_BUCKET, &keys[2]).await.unwrap().is_some());
}

#[tokio::test]
async fn surplus_runs_of_a_job_are_removed() {
    let runner = TestRunner::new();
    let app = TestApp::builder().runner(runner.node("a")).start().await;
    let job = app.create_job(json!({})).await;
    let mut runs = Vec::new();
    for _ in 0..5 {
        let run = app.run_job(&job).await;
        app.until_run(&run, "success").await;
        runs.push(run);
    }
    assert_eq!(app.app.jobs().runs().remove_surplus_runs(2).await.unwrap().removed, 3);
    let left: Vec<_> = app.runs_of(&job).await.iter().map(|run| run["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(left, [runs[4].clone(), runs[3].clone()]);
}

#[tokio::test]
async fn skipped_runs_do_not_displace_other_runs() {
    let runner = TestRunner::new();
    let app = TestApp::builder().runner(runner.node("a")).start().await;
    let job = app.create_job(json!({})).await;
    let mut ran = Vec::new();
    for _ in 0..3 {
        let run = app.run_job(&job).await;
        app.until_run(&run, "success").await;
        ran.push(run);
    }
    sqlx::query(
        "INSERT INTO cron_job_runs (id, job_id, plugin, plugin_job, trigger, status, finished_at)
         SELECT ('ffffffff-ffff-7fff-bfff-' || lpad(n::text, 12, '0'))::uuid, id, plugin, plugin_job, 'schedule',
             'skipped',
             now()
         FROM cron_jobs, generate_series(1, 10) n",
    )
    .execute(app.app.platform())
    .await
    .unwrap();
    let path = format!("/admin/v1/jobs/{job}");
    let last_run = async || app.admin().get(&path).await.1["lastRun"].clone();
    assert_eq!(last_run().await["id"], ran[2]);
    let (_, list) = app.admin().get("/admin/v1/jobs").await;
    assert_eq!(list["items"][0]["lastRun"]["id"], ran[2]);

    let count = async |skipped: bool| {
        app.runs_of(&job).await.iter().filter(|run| (run["status"] == "skipped") == skipped).count()
    };
    assert_eq!(app.app.jobs().runs().remove_surplus_runs(2).await.unwrap().removed, 1 + 8);
    assert_eq!((count(false).await, count(true).await), (2, 2));
    age(&app, 31).await;
    assert_eq!(app.app.jobs().runs().remove_old_runs(30).await.unwrap().removed, 2);
    assert_eq!((count(false).await, count(true).await), (1, 1));
    assert_eq!(last_run().await["id"], ran[2]);
    sqlx::query("DELETE FROM cron_job_runs WHERE status <> 'skipped'").execute(app.app.platform()).await.unwrap();
    assert_eq!(last_run().await["status"], "skipped", "the skipped run is not shown, although there is no other");
}

#[tokio::test]
async fn orphaned_logs_are_removed() {
    let runner = TestRunner::new();
    let app = TestApp::builder().runner(runner.node("a")).start().await;
    let job = app.create_job(json!({ "params": { "lines": 400 } })).await;
    let run = app.run_job(&job).await;
    let key = app.until_run(&run, "success").await["logObjectKey"].as_str().unwrap().to_owned();
    let store = app.app.store();
    sqlx::query("DELETE FROM cron_job_runs WHERE id = $1")
        .bind(run.parse::<uuid::Uuid>().unwrap())
        .execute(app.app.platform())
        .await
        .unwrap();
    let kept = app.run_job(&job).await;
    let kept = app.until_run(&kept, "success").await["logObjectKey"].as_str().unwrap().to_owned();
    // Young logs are kept, because they may belong to runs whose row is not visible yet.
    while app.app.jobs().runs().remove_orphan_logs().await.unwrap().more {}
    assert!(store.head(PLATFORM_BUCKET, &key).await.unwrap().is_some());
    let soon = chrono::Utc::now() + chrono::TimeDelta::hours(1);
    let report =
        app.app.jobs().runs().remove_orphan_logs_below(&format!("logs/{job}/"), soon, 1000, &mut None).await.unwrap();
    assert_eq!((report.removed, report.more), (1, false));
    assert!(store.head(PLATFORM_BUCKET, &key).await.unwrap().is_none());
    assert!(store.head(PLATFORM_BUCKET, &kept).await.unwrap().is_some());
}

#[tokio::test]
async fn orphaned_logs_are_found_after_pages_without_any() {
    let runner = TestRunner::new();
    let app = TestApp::builder().runner(runner.node("a")).start().await;
    let job = app.create_job(json!({ "params": { "lines": 400 } })).await;
    let mut keys = Vec::new();
    let mut last = String::new();
    for _ in 0..4 {
        last = app.run_job(&job).await;
        keys.push(app.until_run(&last, "success").await["logObjectKey"].as_str().unwrap().to_owned());
    }
    assert!(keys.is_sorted());
    sqlx::query("DELETE FROM cron_job_runs WHERE id = $1")
        .bind(last.parse::<uuid::Uuid>().unwrap())
        .execute(app.app.platform())
        .await
        .unwrap();
    let soon = chrono::Utc::now() + chrono::TimeDelta::hours(1);
    // One log per page: three pages contain nothing to remove.
    let below = format!("logs/{job}/");
    let report = app.app.jobs().runs().remove_orphan_logs_below(&below, soon, 1, &mut None).await.unwrap();
    assert_eq!((report.removed, report.more), (1, false));
    let store = app.app.store();
    assert!(store.head(PLATFORM_BUCKET, &keys[3]).await.unwrap().is_none());
    assert!(store.head(PLATFORM_BUCKET, &keys[2]).await.unwrap().is_some());
}

#[tokio::test]
async fn sweep_of_orphaned_logs_starts_again_if_the_store_rejects_its_position() {
    let runner = TestRunner::new();
    let app = TestApp::builder().runner(runner.node("a")).start().await;
    let job = app.create_job(json!({ "params": { "lines": 400 } })).await;
    let run = app.run_job(&job).await;
    app.until_run(&run, "success").await;
    let runs = app.app.jobs().runs();
    let (below, now) = (format!("logs/{job}/"), chrono::Utc::now());
    let mut cursor = Some("not a position".to_owned());
    assert!(runs.remove_orphan_logs_below(&below, now, 1000, &mut cursor).await.is_err());
    assert!(runs.remove_orphan_logs_below(&below, now, 1000, &mut cursor).await.is_ok());
}
