//! Exports and imports outside the plugin's grant, and runs without a lease.

use std::{collections::BTreeMap, sync::Arc};

use atlashub::plugins::{guest::Grants, runtime::HostLimits};
use plugin_manifest::{Capability, Scope};
use serde_json::json;
use uuid::Uuid;

use super::faults::is_nothing_stored;
use crate::{
    plugins::transfers::built,
    support::{TestApp, TestProject, guests::GuestRun},
};

/// Prepares a run of the plugin.
pub(super) async fn guest(app: &TestApp, databases: &[&str], stores: &[&str], job: &str, id: Uuid) -> GuestRun {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let scopes = BTreeMap::from([
        (Capability::Transfers, Scope { databases: names(databases), ..Scope::default() }),
        (Capability::Objects, Scope { stores: names(stores), ..Scope::default() }),
    ]);
    let grants = Grants { scopes, ..Grants::default() };
    let services = Arc::clone(app.app.capabilities());
    let bytes = built("first-party/import-export.wasm");
    let mut guest = GuestRun::with(&bytes, grants, HostLimits::default(), services).await;
    guest.call.job = job.to_owned();
    guest.call.params = json!({ job: id });
    guest.insert_as_running(app.app.platform()).await
}

/// Inserts an export of a table, or of the platform database.
async fn insert_export(app: &TestApp, project: Option<&TestProject>) -> Uuid {
    let id = Uuid::now_v7();
    let project = project.map(|project| project.id.as_str());
    let source = match project {
        Some(project) => json!({ "kind": "table", "projectId": project, "table": "items" }),
        None => json!({ "kind": "database", "projectId": null }),
    };
    let format = if project.is_some() { "csv" } else { "custom" };
    sqlx::query(
        "INSERT INTO exports (id, project_id, source, format, object_key, file_name, run_id, expires_at)
         VALUES ($1, $2, $3, $4, 'exports/' || $1 || '.csv', 'items.csv', $1, now() + interval '1 hour')",
    )
    .bind(id)
    .bind(project)
    .bind(source)
    .bind(format)
    .execute(app.app.platform())
    .await
    .unwrap();
    id
}

async fn create_import(app: &TestApp, project: &TestProject) -> Uuid {
    let request = json!({ "projectId": project.id, "table": "items", "format": "csv", "sizeBytes": 5 });
    let (_, created) = app.admin().post("/admin/v1/imports", request).await;
    created["import"]["id"].as_str().unwrap().parse().unwrap()
}

#[tokio::test]
async fn transfers_outside_the_granted_scope_are_denied() {
    let app = TestApp::start().await;
    let (granted, other) = (app.create_project("ours").await, app.create_project("other").await);
    for project in [&granted, &other] {
        project.sql("CREATE TABLE items (id int)").await;
    }
    let (ours, stores) = (format!("project:{}", granted.id), ["exports", "imports"]);
    let of_ours = insert_export(&app, Some(&granted)).await;
    let of_other = insert_export(&app, Some(&other)).await;
    let of_platform = insert_export(&app, None).await;
    let import_of_other = create_import(&app, &other).await;
    let not_included = format!("does not include database `project:{}`", other.id);
    let denied = async |databases: &[&str], stores: &[&str], job: &str, id: Uuid, words: &str| {
        let message = guest(&app, databases, stores, job, id).await.failure().await;
        assert!(message.contains(words), "{message}");
        assert!(is_nothing_stored("exports", &json!(id)).await);
    };
    denied(&[&ours], &stores, "export", of_other, &not_included).await;
    denied(&[&ours], &stores, "export", of_platform, "does not include database `platform`").await;
    denied(&["project:*"], &stores, "export", of_platform, "does not include database `platform`").await;
    denied(&[], &stores, "export", of_ours, "does not include the transfer").await;
    denied(&[&ours], &["imports"], "export", of_ours, "does not include store `exports`").await;
    denied(&[&ours], &stores, "import", import_of_other, &not_included).await;
    let entries: i64 = sqlx::query_scalar("SELECT count(*) FROM audit_logs WHERE action = 'plugin.denied'")
        .fetch_one(app.app.platform())
        .await
        .unwrap();
    assert_eq!(entries, 6);
    let exported = guest(&app, &[&ours], &stores, "export", of_ours).await.run().await.unwrap();
    assert_eq!(exported.result["rowCount"], 0);
}

#[tokio::test]
async fn run_without_its_lease_exports_nothing_and_an_unknown_import_fails() {
    let app = TestApp::start().await;
    let project = app.create_project("fenced").await;
    project.sql("CREATE TABLE items (id int)").await;
    let id = insert_export(&app, Some(&project)).await;
    let mut lost = guest(&app, &["*"], &["exports", "imports"], "export", id).await;
    lost.call.lease = Uuid::new_v4();
    let message = lost.failure().await;
    assert!(message.contains("no longer holds its lease"), "{message}");
    assert!(is_nothing_stored("exports", &json!(id)).await);
    let (_, export) = app.admin().get(&format!("/admin/v1/exports/{id}")).await;
    assert_eq!((&export["state"], &export["sizeBytes"]), (&json!("running"), &json!(0)), "{export}");
    let unknown = guest(&app, &["*"], &["exports", "imports"], "import", Uuid::now_v7()).await.failure().await;
    assert!(unknown.contains("import"), "{unknown}");
}
