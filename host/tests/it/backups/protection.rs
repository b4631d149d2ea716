//! Single backups with their manifests, and the protection of each database.

use atlashub::backups::backup_id;
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::catalogue::store_backup;
use crate::support::{TestApp, TestProject, code};

async fn protection(app: &TestApp, target: &str) -> Value {
    let (status, page) = app.admin().get("/admin/v1/backups/protection").await;
    assert_eq!(status, StatusCode::OK, "{page}");
    let items = page["items"].as_array().unwrap();
    assert_eq!(items[0]["target"], "platform");
    items.iter().find(|item| item["target"] == target).unwrap().clone()
}

async fn attention(app: &TestApp, target: &str) -> Value {
    let (_, overview) = app.admin().get("/admin/v1/overview").await;
    let items = overview["attention"].as_array().unwrap();
    items.iter().find(|item| item["id"] == format!("backupOverdue:{target}")).unwrap().clone()
}

async fn insert_job(app: &TestApp, name: &str, schedule: &str, target: &str) {
    sqlx::query(
        "INSERT INTO cron_jobs (id, name, type, schedule_cron, plugin, plugin_job, params)
         VALUES (gen_random_uuid(), $1, 'platform', $2, 'backup', 'backup', jsonb_build_object('target', $3::text))",
    )
    .bind(name)
    .bind(schedule)
    .bind(target)
    .execute(app.app.platform())
    .await
    .unwrap();
}

fn target(project: &TestProject) -> String {
    format!("project:{}", project.id)
}

#[tokio::test]
async fn protection_shows_backups_jobs_and_problems() {
    let app = TestApp::start().await;
    let project = app.create_project("Safe").await;
    let target = target(&project);
    let found = protection(&app, &target).await;
    assert_eq!((&found["title"], &found["projectId"]), (&json!("Safe"), &json!(project.id)));
    assert_eq!((&found["lastGood"], &found["job"], &found["keptCount"]), (&Value::Null, &Value::Null, &json!(0)));
    assert_eq!((&found["overdue"], &found["problem"]), (&json!(true), &json!("No enabled job backs it up.")));
    let never = attention(&app, &target).await;
    assert_eq!(never["reason"], "No enabled job backs it up, and it has no good backup.");

    insert_job(&app, "Weekly", "0 3 * * 1", &target).await;
    insert_job(&app, "Daily", "0 3 * * *", "all").await;
    insert_job(&app, "Other", "0 * * * *", "project:abcdefgh").await;
    let found = protection(&app, &target).await;
    assert_eq!((&found["job"]["name"], &found["job"]["intervalSeconds"]), (&json!("Daily"), &json!(86_400)));
    assert!(found["job"]["nextRunAt"].is_string(), "{found}");
    assert_eq!(found["overdue"], false, "overdue before the first backup is due: {found}");

    store_backup(&app, &project, 3).await;
    let found = protection(&app, &target).await;
    assert_eq!((&found["keptCount"], &found["overdue"]), (&json!(1), &json!(true)), "{found}");
    assert!(found["problem"].as_str().unwrap().contains("older than twice"), "{found}");
    let newest = store_backup(&app, &project, 0).await;
    let found = protection(&app, &target).await;
    assert_eq!((&found["lastGood"]["id"], &found["overdue"]), (&json!(backup_id(&newest.object_key)), &json!(false)));
    assert_eq!(found["keptBytes"], newest.size_bytes * 2);

    sqlx::query("UPDATE cron_jobs SET enabled = false").execute(app.app.platform()).await.unwrap();
    let (_, overview) = app.admin().get("/admin/v1/overview").await;
    let overdue = attention(&app, &target).await;
    assert_eq!(overdue["reason"], "No enabled job backs it up.");
    assert_eq!(overdue["since"], found["lastGood"]["at"]);
    assert_eq!(overdue["message"], "The database of Safe is not protected: no enabled job backs it up.");
    // Other tests share the bucket, so the catalogue may also have backups of the platform.
    assert!(overview["facts"]["oldestBackup"]["target"].is_string(), "{overview}");
}

#[tokio::test]
async fn backup_is_returned_with_its_manifest() {
    let app = TestApp::start().await;
    let project = app.create_project("Manifest").await;
    let other = app.create_project("Other").await;
    let backup = store_backup(&app, &project, 0).await;
    store_backup(&app, &other, 0).await;
    let path = format!("/admin/v1/backups?target={}", target(&project));
    let (status, page) = app.admin().get(&path).await;
    assert_eq!((status, page["items"].as_array().unwrap().len()), (StatusCode::OK, 1), "{page}");
    let (status, error) = app.admin().get("/admin/v1/backups?target=all").await;
    assert_eq!((status, code(&error)), (StatusCode::BAD_REQUEST, "invalid_request"));

    let path = format!("/admin/v1/backups/{}", backup_id(&backup.object_key));
    let (status, detail) = app.admin().get(&path).await;
    assert_eq!(status, StatusCode::OK, "{detail}");
    assert_eq!((&detail["target"], &detail["state"]), (&json!(target(&project)), &json!("ready")));
    let manifest = &detail["manifest"];
    assert_eq!((&manifest["serverVersion"], &manifest["rowCount"]), (&json!("15.14"), &json!(3)));
    assert_eq!(manifest["tables"], json!([{ "schema": "public", "table": "t", "rows": 3 }]));
    app.app.store().delete(atlashub::object_store::PLATFORM_BUCKET, &backup.manifest_key).await.unwrap();
    let (status, detail) = app.admin().get(&path).await;
    assert_eq!((status, &detail["manifest"]), (StatusCode::OK, &Value::Null));
    assert!(detail["manifestProblem"].is_string(), "{detail}");
    let (status, _) = app.admin().get(&format!("/admin/v1/backups/{}", uuid::Uuid::nil())).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn backups_are_listed_with_the_reasons_that_keep_them_and_their_removal_times() {
    let app = TestApp::start().await;
    let project = app.create_project("Kept").await;
    let target = target(&project);
    let newest = backup_id(&store_backup(&app, &project, 1).await.object_key);
    let (_, single) = app.admin().get(&format!("/admin/v1/backups?target={target}")).await;
    assert_eq!(single["items"][0]["onlyGood"], true, "{single}");
    let oldest = backup_id(&store_backup(&app, &project, 2).await.object_key);
    let list = async || -> Vec<Value> {
        let (status, page) = app.admin().get(&format!("/admin/v1/backups?target={target}")).await;
        assert_eq!(status, StatusCode::OK, "{page}");
        page["items"].as_array().unwrap().clone()
    };
    let unlimited = list().await;
    assert_eq!((&unlimited[0]["keptBy"], &unlimited[0]["goesAt"]), (&json!(["noPolicy"]), &Value::Null));
    assert_eq!((&unlimited[0]["rowCount"], &unlimited[0]["onlyGood"]), (&json!(3), &json!(false)));
    insert_job(&app, "Nightly", "0 3 * * *", &target).await;
    sqlx::query("UPDATE cron_jobs SET params = params || '{\"retention\": {\"keepLast\": 2}}'")
        .execute(app.app.platform())
        .await
        .unwrap();
    let found = protection(&app, &target).await;
    assert_eq!(found["retention"], json!({ "keepLast": 2, "daily": 0, "weekly": 0, "monthly": 0 }), "{found}");
    let next = &found["job"]["nextRunAt"];
    assert_eq!((&found["willGo"]["at"], &found["willGo"]["count"]), (next, &json!(1)), "{found}");
    let limited = list().await;
    assert_eq!((&limited[0]["id"], &limited[0]["keptBy"]), (&json!(newest), &json!(["last"])), "{limited:?}");
    assert_eq!((&limited[1]["id"], &limited[1]["goesAt"]), (&json!(oldest), next));
    let (_, detail) = app.admin().get(&format!("/admin/v1/backups/{oldest}")).await;
    assert_eq!((&detail["goesAt"], &detail["rowCount"]), (next, &json!(3)), "{detail}");
}

#[tokio::test]
async fn job_with_an_empty_retention_policy_is_refused_and_an_older_one_does_not_protect() {
    let app = TestApp::builder().first_party_plugins().start().await;
    let project = app.create_project("Unprotected").await;
    let target = target(&project);
    let body = |retention: Value| {
        json!({ "name": "nightly", "type": "platform", "scheduleCron": "0 3 * * *", "plugin": "backup",
            "pluginJob": "backup", "params": { "target": target, "retention": retention } })
    };
    for (retention, expected) in [
        (json!({}), "/retention: no rule is set; set at least one of keepLast"),
        (json!({ "keepLast": 0 }), "/retention: no rule is set; set at least one of keepLast"),
        (json!({ "keepLast": -1 }), "/retention/keepLast: value is less than the minimum of 0"),
        (json!({ "dayly": 3, "daily": 3 }), "'dayly' was unexpected"),
    ] {
        let (status, error) = app.admin().post("/admin/v1/jobs", body(retention.clone())).await;
        assert_eq!((status, code(&error)), (StatusCode::BAD_REQUEST, "invalid_request"), "{retention}");
        assert!(error["error"]["message"].as_str().unwrap().contains(expected), "{retention}: {error}");
    }
    let (status, job) = app.admin().post("/admin/v1/jobs", body(json!({ "keepLast": 0, "daily": 7 }))).await;
    assert_eq!(status, StatusCode::CREATED, "{job}");
    assert_eq!(protection(&app, &target).await["job"]["name"], "nightly");

    // An older version of AtlasHub accepted such a job.
    sqlx::query("UPDATE cron_jobs SET params = jsonb_set(params, '{retention}', '{}')")
        .execute(app.app.platform())
        .await
        .unwrap();
    let found = protection(&app, &target).await;
    assert_eq!((&found["job"], &found["overdue"]), (&Value::Null, &json!(true)), "{found}");
}

#[tokio::test]
async fn row_count_of_older_entries_is_read_from_the_manifest() {
    let app = TestApp::start().await;
    let project = app.create_project("Older").await;
    store_backup(&app, &project, 0).await;
    let path = format!("/admin/v1/backups?target={}", target(&project));
    app.admin().get(&path).await;
    sqlx::query("UPDATE backups SET row_count = NULL").execute(app.app.platform()).await.unwrap();
    assert_eq!(app.admin().get(&path).await.1["items"][0]["rowCount"], 3);
}
