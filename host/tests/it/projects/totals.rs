//! The list of projects, their totals, and their protection from deletion.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::{TestApp, TestRunner, code};

async fn names(app: &TestApp, query: &str) -> Vec<String> {
    let (status, page) = app.admin().get(&format!("/admin/v1/projects?{query}")).await;
    assert_eq!(status, StatusCode::OK, "{page}");
    page["items"].as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn projects_are_searched_sorted_and_paged() {
    let app = TestApp::start().await;
    for name in ["beta", "Alpha", "Gamma 100%"] {
        app.create_project(name).await;
    }
    assert_eq!(names(&app, "").await, ["Gamma 100%", "Alpha", "beta"]);
    assert_eq!(names(&app, "order=createdAt").await, ["beta", "Alpha", "Gamma 100%"]);
    assert_eq!(names(&app, "order=name").await, ["Alpha", "beta", "Gamma 100%"]);
    assert_eq!(names(&app, "order=-name").await, ["Gamma 100%", "beta", "Alpha"]);
    assert_eq!(names(&app, "q=ALPH").await, ["Alpha"]);
    assert_eq!(names(&app, "q=%25").await, ["Gamma 100%"]);
    assert!(names(&app, "q=_").await.is_empty());
    for order in ["name", "-name", "createdAt", "-createdAt"] {
        let expected = names(&app, &format!("order={order}")).await;
        let (mut found, mut cursor) = (Vec::new(), String::new());
        loop {
            let path = format!("/admin/v1/projects?limit=1&order={order}{cursor}");
            let (status, page) = app.admin().get(&path).await;
            assert_eq!(status, StatusCode::OK, "{page}");
            found.push(page["items"][0]["name"].as_str().unwrap().to_owned());
            match page["nextCursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        assert_eq!(found, expected, "{order}");
        let (status, error) = app.admin().get(&format!("/admin/v1/projects?order=name{cursor}")).await;
        let is_same = order == "name";
        assert_eq!(status == StatusCode::OK, is_same, "{error}");
    }
    for query in ["order=size", "include=all", "limit=0", "colour=red"] {
        let (status, error) = app.admin().get(&format!("/admin/v1/projects?{query}")).await;
        assert_eq!((status, code(&error)), (StatusCode::BAD_REQUEST, "invalid_request"), "{query}");
    }
}

#[tokio::test]
async fn totals_are_included_on_request() {
    let runner = TestRunner::new();
    let app = TestApp::builder().runner(runner.node("a")).start().await;
    let project = app.create_project("Notebook").await;
    project.sql("CREATE TABLE books (id int); CREATE VIEW b AS SELECT 1").await;
    let job = app.create_job(json!({ "projectId": project.id, "params": { "fail": "no" } })).await;
    let run = app.run_job(&job).await;
    app.until_run(&run, "fail").await;
    sqlx::query(
        "INSERT INTO backups (id, target, created_at, size_bytes, sha256, object_key, manifest_key, state, failed_at)
         VALUES (gen_random_uuid(), $1, now() - interval '2 h', 1, repeat('0', 64), 'a', 'a.json', 'ready', NULL),
                (gen_random_uuid(), $1, now() - interval '1 h', 1, repeat('0', 64), 'b', 'b.json', 'ready', now()),
                (gen_random_uuid(), $1, now(), 1, repeat('0', 64), 'c', 'c.json', 'missing', NULL)",
    )
    .bind(format!("project:{}", project.id))
    .execute(app.app.platform())
    .await
    .unwrap();

    let (_, page) = app.admin().get("/admin/v1/projects").await;
    assert!(page["items"][0].get("databaseBytes").is_none(), "{page}");
    let (status, page) = app.admin().get("/admin/v1/projects?include=totals").await;
    assert_eq!(status, StatusCode::OK, "{page}");
    let item = &page["items"][0];
    assert_eq!((&item["id"], &item["tableCount"]), (&json!(project.id), &json!(1)));
    assert!(item["databaseBytes"].as_i64() > Some(1_000_000), "{item}");
    assert_eq!((&item["activeKeyCount"], &item["nextKeyExpiry"]), (&json!(2), &Value::Null));
    assert_eq!((&item["jobCount"], &item["backupCount"]), (&json!(1), &json!(2)));
    assert_eq!(item["runs24h"], json!({ "total": 1, "failed": 1 }));
    let good = &item["lastGoodBackup"];
    assert!(good["id"].is_string() && good["at"].is_string() && good["verifiedAt"].is_null(), "{good}");
    let (_, detail) = app.admin().get(&project.path("")).await;
    assert_eq!((&detail["lastGoodBackup"], &detail["runs24h"]), (good, &item["runs24h"]));
}

#[tokio::test]
async fn protected_project_is_not_deleted() {
    let app = TestApp::start().await;
    let project = app.create_project("Precious").await;
    let (status, changed) =
        app.admin().patch(&project.path(""), json!({ "protected": true, "note": "Ask first." })).await;
    assert_eq!(status, StatusCode::OK, "{changed}");
    assert_eq!((&changed["protected"], &changed["note"]), (&json!(true), &json!("Ask first.")));
    for body in [json!({ "confirm": "Precious" }), json!({ "confirm": "Precious", "finalBackup": true })] {
        let (status, error) = app.admin().delete_with(&project.path(""), body).await;
        assert_eq!((status, code(&error)), (StatusCode::CONFLICT, "conflict"), "{error}");
    }
    assert_eq!(project.secret().get("/v1/db/tables").await.0, StatusCode::OK);
    let (status, error) = app.admin().patch(&project.path(""), json!({ "note": "x".repeat(2001) })).await;
    assert_eq!((status, code(&error)), (StatusCode::BAD_REQUEST, "invalid_request"));
    app.admin().patch(&project.path(""), json!({ "protected": false })).await;
    let (status, _) = app.admin().delete_with(&project.path(""), json!({ "confirm": "Precious" })).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn delete_problem_can_be_dismissed() {
    let app = TestApp::start().await;
    let project = app.create_project("Kept").await;
    sqlx::query("UPDATE projects SET delete_problem = 'the backup failed' WHERE id = $1")
        .bind(&project.id)
        .execute(app.app.platform())
        .await
        .unwrap();
    let (_, overview) = app.admin().get("/admin/v1/overview").await;
    assert!(overview.to_string().contains("The project Kept was not deleted: the backup failed."), "{overview}");
    let (status, changed) = app.admin().patch(&project.path(""), json!({ "note": "hm" })).await;
    assert_eq!((status, &changed["deleteProblem"]), (StatusCode::OK, &json!("the backup failed")));
    let (_, changed) = app.admin().patch(&project.path(""), json!({ "dismissDeleteProblem": true })).await;
    assert_eq!(changed["deleteProblem"], Value::Null);
}

#[tokio::test]
async fn project_that_waits_for_its_final_backup_cannot_be_protected() {
    let app = TestApp::start().await;
    let project = app.create_project("Going").await;
    // The lease belongs to no scheduler, so the run does not end, and the project keeps waiting for it.
    sqlx::query(
        "WITH run AS (
             INSERT INTO cron_job_runs
                 (id, project_id, trigger, status, started_at, lease_token, lease_until, plugin, plugin_job)
             VALUES (gen_random_uuid(), $1, 'manual', 'running', now(), gen_random_uuid(), now() + interval '1 day',
                     'backup', 'backup')
             RETURNING id
         )
         UPDATE projects SET delete_after_run = run.id FROM run WHERE projects.id = $1",
    )
    .bind(&project.id)
    .execute(app.app.platform())
    .await
    .unwrap();
    let (status, error) = app.admin().patch(&project.path(""), json!({ "protected": true })).await;
    assert_eq!((status, code(&error)), (StatusCode::CONFLICT, "conflict"), "{error}");
    assert_eq!(app.admin().get(&project.path("")).await.1["protected"], false);
}
