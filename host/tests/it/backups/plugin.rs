//! The first-party plugins `backup`, `cleanup` and `migrations`, as built into the binary.

use std::{collections::BTreeMap, sync::Arc};

use atlashub::{
    object_store::PLATFORM_BUCKET,
    plugins::{guest::Grants, runtime::HostLimits},
};
use futures_util::TryStreamExt as _;
use plugin_manifest::{Capability, Scope};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::{
    admin::migrations,
    backups::{
        dump::{LARGE, restored},
        objects::keys,
        restore::{confirm, other_databases, plan, restore_of},
        verify::create_backup,
    },
    plugins::transfers::built,
    support::{TestApp, TestProject, guests::GuestRun},
};

/// Returns grants for everything that the plugins request.
pub(crate) fn grants() -> Grants {
    let all = || vec!["*".to_owned()];
    let scopes = BTreeMap::from([
        (Capability::Databases, Scope { databases: all(), ..Scope::default() }),
        (Capability::Objects, Scope { stores: vec!["backups".to_owned()], ..Scope::default() }),
        (Capability::Backups, Scope { databases: all(), ..Scope::default() }),
        (Capability::Maintenance, Scope::default()),
        (Capability::Migrations, Scope::default()),
    ]);
    Grants { scopes, ..Grants::default() }
}

async fn plugin(app: &TestApp, name: &str, job: &str, params: Value) -> GuestRun {
    plugin_with(app, name, job, params, grants()).await
}

pub(crate) async fn plugin_with(app: &TestApp, name: &str, job: &str, params: Value, grants: Grants) -> GuestRun {
    let bytes = built(&format!("first-party/{name}.wasm"));
    let services = Arc::clone(app.app.capabilities());
    let mut run = GuestRun::with(&bytes, grants, HostLimits::default(), services).await;
    run.call.plugin = name.to_owned();
    run.call.job = job.to_owned();
    run.call.params = params;
    run.insert_as_running(app.app.platform()).await
}

async fn result(run: &GuestRun) -> Value {
    run.run().await.unwrap_or_else(|failure| panic!("{failure:?}: {:?}", run.recorded.messages())).result
}

async fn listed(app: &TestApp, project: &TestProject) -> Vec<Value> {
    let (status, page) = app.admin().get("/admin/v1/backups?limit=200").await;
    assert_eq!(status, StatusCode::OK, "{page}");
    let target = json!(format!("project:{}", project.id));
    page["items"].as_array().unwrap().iter().filter(|item| item["target"] == target).cloned().collect()
}

#[tokio::test]
async fn project_backup_is_complete_and_catalogued() {
    let app = TestApp::start().await;
    let project = app.create_project("Backed up").await;
    project.sql(LARGE).await;
    project.sql("CREATE TABLE small (x int); INSERT INTO small VALUES (1), (2)").await;
    let target = format!("project:{}", project.id);
    let run = plugin(&app, "backup", "backup", json!({ "target": target })).await;
    result(&run).await;
    let backups = listed(&app, &project).await;
    assert_eq!(backups.len(), 1);
    let backup = &backups[0];
    let megabytes = backup["sizeBytes"].as_u64().unwrap() / 1_000_000;
    let notes = run.recorded.notes.lock().unwrap().len() as u64;
    assert!((1..=megabytes).contains(&notes), "{notes} sizes were reported during a dump of {megabytes} MB");
    assert_eq!((&backup["title"], &backup["state"]), (&json!("Backed up"), &json!("ready")));
    assert_eq!(backup["runId"], run.call.run_id.to_string());

    let store = app.app.store();
    let manifest = store.get_small(PLATFORM_BUCKET, backup["manifestKey"].as_str().unwrap(), 1 << 20).await.unwrap();
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    assert_eq!((&manifest["sha256"], &manifest["sizeBytes"]), (&backup["sha256"], &backup["sizeBytes"]));
    assert_eq!(manifest["atlashubVersion"], env!("CARGO_PKG_VERSION"));
    let tables: Vec<_> = manifest["tables"].as_array().unwrap().iter().map(|t| (&t["table"], &t["rows"])).collect();
    assert_eq!(tables, [(&json!("large"), &json!(200_000)), (&json!("small"), &json!(2))]);

    let (_, bytes) = store.get(PLATFORM_BUCKET, backup["objectKey"].as_str().unwrap()).await.unwrap().unwrap();
    let archive = bytes.try_collect::<Vec<_>>().await.unwrap().concat();
    let rows: i64 =
        sqlx::query_scalar("SELECT count(*) FROM large").fetch_one(&mut restored(&archive).await).await.unwrap();
    assert_eq!(rows, 200_000);

    // The manifest is sufficient to rebuild the catalogue.
    sqlx::query("DELETE FROM backups").execute(app.app.platform()).await.unwrap();
    assert_eq!(listed(&app, &project).await, backups);
}

#[tokio::test]
async fn backups_that_failed_verification_do_not_count_for_retention() {
    let app = TestApp::start().await;
    let project = app.create_project("Failed later").await;
    let target = format!("project:{}", project.id);
    for _ in 0..3 {
        result(&plugin(&app, "backup", "backup", json!({ "target": target })).await).await;
    }
    let backups = listed(&app, &project).await;
    let ids: Vec<&str> = backups.iter().map(|backup| backup["id"].as_str().unwrap()).collect();
    sqlx::query("UPDATE backups SET failed_at = now(), failure = 'a table is missing' WHERE id = $1::uuid")
        .bind(ids[0])
        .execute(app.app.platform())
        .await
        .unwrap();
    // Tests share a store. The grant keeps this test away from the backups of the others.
    let mut grants = grants();
    let scope = Scope { databases: vec![target.clone()], ..Scope::default() };
    grants.scopes.insert(Capability::Backups, scope);
    let all = json!({ "kept": 1, "removed": 0 });
    for (pruned, expected) in [(target.as_str(), json!({ "kept": 1, "removed": 1 })), ("all", all)] {
        let params = json!({ "target": pruned, "retention": { "keepLast": 1 } });
        let run = plugin_with(&app, "backup", "prune", params, grants.clone()).await;
        assert_eq!(result(&run).await, expected, "{pruned}");
        let left: Vec<Value> = listed(&app, &project).await.iter().map(|backup| backup["id"].clone()).collect();
        assert_eq!(left, [json!(ids[0]), json!(ids[1])], "{pruned}");
    }
}

#[tokio::test]
async fn retention_keeps_the_configured_number_and_run_without_lease_fails() {
    let app = TestApp::start().await;
    let project = app.create_project("Kept").await;
    let target = format!("project:{}", project.id);
    let mut runs = Vec::new();
    for _ in 0..3 {
        let params = json!({ "target": target, "retention": { "keepLast": 2 } });
        let run = plugin(&app, "backup", "backup", params).await;
        result(&run).await;
        runs.push(run.call.run_id.to_string());
    }
    let newest = runs.split_off(1);
    let kept = async || {
        let backups = listed(&app, &project).await;
        let mut runs: Vec<String> = backups.iter().map(|item| item["runId"].as_str().unwrap().to_owned()).collect();
        runs.sort();
        runs
    };
    assert_eq!(kept().await, newest);

    let mut lost = plugin(&app, "backup", "backup", json!({ "target": target, "retention": { "keepLast": 1 } })).await;
    lost.call.lease = uuid::Uuid::new_v4();
    let failure = lost.failure().await;
    assert!(failure.contains("no longer holds its lease"), "{failure}");
    assert_eq!(kept().await, newest);
    // The dumps and manifests of both backups.
    assert_eq!(keys(&app, &format!("backups/project/{}/", project.id)).await.len(), 4);
}

#[tokio::test]
async fn cleanup_plugin_runs_sweeps_and_reports_what_they_removed() {
    let app = TestApp::start().await;
    let project = app.create_project("Swept").await;
    let body = json!({ "type": "secret", "name": "old" });
    assert_eq!(app.admin().post(&project.path("/keys"), body).await.0, StatusCode::CREATED);
    sqlx::raw_sql(
        "UPDATE api_keys SET revoked_at = now() - interval '1 year' WHERE name = 'old';
         UPDATE audit_logs SET at = now() - interval '2 years' WHERE action = 'key.create'",
    )
    .execute(app.app.platform())
    .await
    .unwrap();
    let cleaned = result(&plugin(&app, "cleanup", "cleanup", json!({})).await).await;
    let removed = |sweep: &str| {
        let sweeps = cleaned["sweeps"].as_array().unwrap();
        sweeps.iter().find(|swept| swept["sweep"] == sweep).unwrap_or_else(|| panic!("{cleaned}"))["removed"].clone()
    };
    assert_eq!(removed("expiredKeysDays"), 1, "{cleaned}");
    assert_eq!(removed("oldAuditEntriesDays"), 1, "{cleaned}");
    assert_eq!(removed("expiredSessions"), 0, "{cleaned}");
    // A plugin may not shorten the audit log to one day.
    let failure = plugin(&app, "cleanup", "cleanup", json!({ "oldAuditEntriesDays": 1 })).await.failure().await;
    assert!(failure.contains("oldAuditEntriesDays"), "{failure}");
}

#[tokio::test]
async fn migrations_plugin_applies_pending_migration_only_with_its_lease() {
    let app = TestApp::start().await;
    let status = result(&plugin(&app, "migrations", "status", json!({})).await).await;
    assert!(status.to_string().contains("create projects"), "{status}");
    assert_eq!(status["pending"], 0, "{status}");
    migrations::make_pending(&app).await;
    let mut lost = plugin(&app, "migrations", "apply", json!({})).await;
    lost.call.lease = uuid::Uuid::new_v4();
    let failure = lost.failure().await;
    assert!(failure.contains("no longer holds its lease"), "{failure}");
    assert!(!migrations::is_applied(&app).await);
    let applied = result(&plugin(&app, "migrations", "apply", json!({})).await).await;
    assert_eq!(applied["applied"][0]["version"], migrations::VERSION, "{applied}");
    assert!(migrations::is_applied(&app).await);
}

#[tokio::test]
async fn run_without_lease_changes_nothing_in_the_platform() {
    let app = TestApp::start().await;
    let project = app.create_project("Fenced").await;
    let lost = async |name: &str, job: &str, params: Value| {
        let mut run = plugin(&app, name, job, params).await;
        run.call.lease = uuid::Uuid::new_v4();
        run.failure().await
    };
    let body = json!({ "type": "secret", "name": "old" });
    assert_eq!(app.admin().post(&project.path("/keys"), body).await.0, StatusCode::CREATED);
    sqlx::query("UPDATE api_keys SET revoked_at = now() - interval '1 year' WHERE name = 'old'")
        .execute(app.app.platform())
        .await
        .unwrap();
    let failure = lost("cleanup", "cleanup", json!({})).await;
    assert!(failure.contains("no longer holds its lease"), "{failure}");
    let kept: i64 = sqlx::query_scalar("SELECT count(*) FROM api_keys WHERE name = 'old'")
        .fetch_one(app.app.platform())
        .await
        .unwrap();
    assert_eq!(kept, 1);
    // An expired lease doesn't count, even if no other scheduler has claimed the run.
    let expired = plugin(&app, "cleanup", "cleanup", json!({})).await;
    sqlx::query("UPDATE cron_job_runs SET lease_until = now() WHERE id = $1")
        .bind(expired.call.run_id)
        .execute(app.app.platform())
        .await
        .unwrap();
    let failure = expired.failure().await;
    assert!(failure.contains("no longer holds its lease"), "{failure}");
}

#[tokio::test]
async fn cleanup_plugin_drops_kept_databases_only_when_asked_and_old_enough() {
    let app = TestApp::builder().first_party_plugins().start().await;
    let project = app.create_project("Kept").await;
    project.sql("CREATE TABLE items (id int)").await;
    let backup = create_backup(&app, &format!("project:{}", project.id)).await;
    let (done, run) = confirm(&app, &plan(&app, &backup, &project).await, &project).await;
    assert!(done["previousDatabase"].is_string(), "{run}");
    let removed = async |params: Value| {
        let cleaned = result(&plugin(&app, "cleanup", "cleanup", params).await).await;
        let sweeps = cleaned["sweeps"].as_array().unwrap();
        sweeps.iter().find(|swept| swept["sweep"] == "supersededRestoresDays").map(|swept| swept["removed"].clone())
    };
    let after = json!({ "supersededRestoresDays": 14 });
    assert_eq!(removed(after.clone()).await, Some(json!(0)));
    sqlx::raw_sql("UPDATE restores SET finished_at = now() - interval '15 days'")
        .execute(app.app.platform())
        .await
        .unwrap();
    assert_eq!(removed(json!({})).await, None);
    assert_eq!(other_databases(&project).await.len(), 1);
    assert_eq!(removed(after).await, Some(json!(1)));
    assert_eq!(other_databases(&project).await, Vec::<String>::new());
    assert_eq!(restore_of(&app, &done).await["previousDatabase"], Value::Null);
}

#[tokio::test]
async fn check_of_a_backup_job_names_a_project_that_does_not_exist() {
    let app = TestApp::builder().first_party_plugins().start().await;
    let job = json!({ "name": "nightly", "type": "platform", "scheduleCron": "0 3 * * *", "plugin": "backup",
        "pluginJob": "backup", "params": { "target": "project:nosuchproject" } });
    let (_, check) = app.admin().post("/admin/v1/jobs/check", job).await;
    assert!(check["errors"].to_string().contains("no such project"), "{check}");
}
