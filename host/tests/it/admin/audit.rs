//! The audit log, and system information.

use std::collections::BTreeSet;

use atlashub::admin::audit::{action_of, is_read, listed_requests, without_parameter_names};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{ADMIN_TOKEN, Client, Socket, TestApp, eventually, until_waiting_for};

async fn entries(app: &TestApp, query: &str) -> Vec<Value> {
    let (status, page) = app.admin().get(&format!("/admin/v1/audit{query}")).await;
    assert_eq!(status, StatusCode::OK, "{page}");
    page["items"].as_array().unwrap().clone()
}

#[test]
fn every_write_route_has_an_audit_action() {
    let document = serde_json::to_value(atlashub::router::openapi()).unwrap();
    let mut unnamed = Vec::new();
    let mut writes = 0;
    for (path, methods) in document["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            let method = method.to_uppercase();
            if path.starts_with("/admin/v1") && matches!(&*method, "POST" | "PUT" | "PATCH" | "DELETE") {
                writes += 1;
                if action_of(&method, path).is_none() && !is_read(&method, path) {
                    unnamed.push(format!("{method} {path}"));
                }
            }
        }
    }
    assert!(writes > 8, "{writes}");
    assert!(unnamed.is_empty(), "give these an action in admin/audit/actions.rs: {unnamed:#?}");
}

#[test]
fn every_audit_action_has_a_route() {
    let document = serde_json::to_value(atlashub::router::openapi()).unwrap();
    let routes: BTreeSet<(String, String)> = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, methods)| {
            let methods = methods.as_object().unwrap().keys();
            methods.map(|method| (method.to_uppercase(), without_parameter_names(path)))
        })
        .collect();
    let is_route = |(method, path): &(&str, &str)| routes.contains(&((*method).to_owned(), (*path).to_owned()));
    let dead: Vec<_> = listed_requests().filter(|request| !is_route(request)).collect();
    assert!(dead.is_empty(), "remove these from admin/audit/actions.rs: {dead:#?}");
}

#[tokio::test]
async fn changes_are_audited_including_refused_ones() {
    let app = TestApp::start().await;
    let project = app.create_project("Shop").await;
    let (_, key) = app.admin().post(&project.path("/keys"), json!({"type": "secret", "name": "ci"})).await;
    let key_id = key["apiKey"]["id"].as_str().unwrap();
    app.admin().delete(&project.path(&format!("/keys/{key_id}"))).await;
    app.admin().patch(&project.path(""), json!({"name": ""})).await;
    app.admin().delete_with(&project.path(""), json!({"confirm": "wrong"})).await;
    let foreign = app.admin().with_header("origin", "https://evil.test");
    foreign.delete_with(&project.path(""), json!({"confirm": "Shop"})).await;
    app.admin().get(&project.path("")).await;

    let seen: Vec<_> = entries(&app, "")
        .await
        .iter()
        .map(|entry| {
            let text = |name: &str| entry[name].as_str().unwrap_or_default().to_owned();
            (text("action"), text("result"), entry["status"].as_i64().unwrap_or_default())
        })
        .collect();
    let expected = [
        ("project.delete", "denied", 403),
        ("project.delete", "denied", 400),
        ("project.update", "denied", 400),
        ("key.revoke", "success", 204),
        ("key.create", "success", 201),
        ("project.create", "success", 201),
    ];
    assert_eq!(seen, expected.map(|(action, result, status)| (action.to_owned(), result.to_owned(), status)));

    let revoked = &entries(&app, "?action=key.revoke").await[0];
    assert_eq!(revoked["actor"], "dev-token");
    assert_eq!(revoked["projectId"], json!(project.id));
    assert_eq!(revoked["target"], json!(key_id));
    assert_eq!(revoked["address"], "127.0.0.1");
    assert!(revoked["requestId"].as_str().is_some_and(|id| id.len() == 32), "{revoked}");
    let created = &entries(&app, "?action=key.create").await[0];
    assert_eq!(created["target"], json!(key_id));
    assert_eq!(created["details"], json!({"type": "secret", "name": "ci"}));
    app.admin().post(&project.path("/buckets"), json!({"name": "photos"})).await;
    assert_eq!(entries(&app, "?action=bucket.create").await[0]["target"], "photos");
    let created = &entries(&app, "?action=project.create").await[0];
    assert_eq!((&created["projectId"], &created["details"]), (&json!(project.id), &json!({"name": "Shop"})));
    let refused = &entries(&app, "?action=project.update").await[0];
    assert_eq!(refused["details"]["error"], "invalid_request");
}

#[tokio::test]
async fn audit_log_contains_no_secrets() {
    let app = TestApp::start().await;
    let project = app.create_project("Shop").await;
    let (_, key) = app.admin().post(&project.path("/keys"), json!({"type": "secret", "name": "ci"})).await;
    let sql = "CREATE TABLE secrets AS SELECT 'hunter2-in-the-statement' AS value";
    let (status, response) = app.admin().post(&project.path("/sql"), json!({ "sql": sql })).await;
    assert_eq!(status, StatusCode::OK, "{response}");
    app.admin().post(&project.path("/sql"), json!({ "sql": "SELECT 'hunter2-in-the-statement'::int" })).await;
    let anonymous = Client::new(&*app.admin_url);
    anonymous.post("/admin/v1/session", json!({"token": "guessed-secret-token"})).await;
    anonymous.post("/admin/v1/session", json!({"code": "guessed-secret-code"})).await;
    anonymous.with_header("cf-access-jwt-assertion", "guessed.secret.assertion").get("/admin/v1/session").await;
    let signed_in =
        anonymous.request(Method::POST, "/admin/v1/session").json(&json!({"token": "admin-token-of-the-tests"}));
    let cookie = signed_in.send().await.unwrap().headers()["set-cookie"].to_str().unwrap().to_owned();
    let cookie = cookie.split(['=', ';']).nth(1).unwrap();

    let rows: Vec<String> =
        sqlx::query_scalar("SELECT a::text FROM audit_logs a").fetch_all(app.app.platform()).await.unwrap();
    assert!(rows.len() >= 7, "{rows:#?}");
    let all = rows.join("\n");
    for secret in [
        &*project.secret_key,
        &project.publishable_key,
        key["key"].as_str().unwrap(),
        "admin-token-of-the-tests",
        "hunter2",
        "guessed",
        cookie,
    ] {
        assert!(!all.contains(secret), "{secret} is in the log:\n{all}");
    }
    assert!(all.contains("admin.sign_in"));
    let run = &entries(&app, "?action=sql.run&result=success").await[0];
    assert_eq!(run["details"], json!({"command": "CREATE TABLE AS", "tables": ["secrets"], "rowCount": 1}));
}

#[tokio::test]
async fn audit_log_is_paged_and_filtered() {
    let app = TestApp::start().await;
    let project = app.create_project("Shop").await;
    for number in 0..5 {
        let body = json!({"type": "secret", "name": format!("key {number}")});
        app.admin().post(&project.path("/keys"), body).await;
    }
    let mut seen = Vec::new();
    let mut cursor = None;
    loop {
        let after = cursor.map(|cursor: String| format!("&cursor={cursor}")).unwrap_or_default();
        let (_, page) = app.admin().get(&format!("/admin/v1/audit?limit=4{after}")).await;
        seen.extend(page["items"].as_array().unwrap().iter().map(|entry| entry["id"].as_str().unwrap().to_owned()));
        match page["nextCursor"].as_str() {
            Some(next) => cursor = Some(next.to_owned()),
            None => break,
        }
    }
    assert_eq!(seen.len(), 6);
    assert!(seen.is_sorted_by(|newer, older| newer > older), "{seen:?}");

    let project_id = &project.id;
    assert_eq!(entries(&app, &format!("?projectId={project_id}&action=key.*")).await.len(), 5);
    assert_eq!(entries(&app, "?actor=nobody").await.len(), 0);
    assert_eq!(entries(&app, "?actor=dev-token&result=success").await.len(), 6);
    let third = entries(&app, "").await[3]["at"].as_str().unwrap().replace('+', "%2B");
    assert_eq!(entries(&app, &format!("?from={third}")).await.len(), 4);
    assert_eq!(entries(&app, &format!("?to={third}")).await.len(), 2);
    for wrong in ["?limit=0", "?limit=201", "?cursor=x", "?from=yesterday", "?result=maybe", "?project=x"] {
        let (status, response) = app.admin().get(&format!("/admin/v1/audit{wrong}")).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{wrong} {response}");
    }
}

#[tokio::test]
async fn change_of_disconnected_client_is_audited() {
    let app = TestApp::start().await;
    let project = app.create_project("Shop").await;
    let slow = "SELECT count(*) FROM (SELECT generate_series(1, 100000000000)) AS s /* interrupted */";
    let (client, path) = (app.admin(), project.path("/sql"));
    // With the default limit, the statement could time out before the client disconnects.
    let body = json!({ "sql": slow, "timeoutMs": 60000 });
    let running = tokio::spawn(async move { client.post(&path, body).await });
    crate::sql_editor::limits::wait_for_statements(&app, &project.id, 1).await;
    running.abort();
    let entry =
        eventually("the change is audited", async || entries(&app, "?action=sql.run").await.first().cloned()).await;
    assert_eq!((&entry["result"], &entry["details"]), (&json!("failed"), &json!({"interrupted": true})));
}

#[tokio::test]
async fn known_outcome_is_recorded_if_the_client_disconnects_before_the_outcome_is_written() {
    let app = TestApp::start().await;
    let project = app.create_project("Shop").await;
    project.sql("CREATE TABLE items (id int PRIMARY KEY)").await;
    // This node has not yet prepared the statement that stores an outcome. Preparing it waits for the lock below. So
    // the statement is executed only if the node still waits for it when the lock is released.
    let node = TestApp::builder()
        .database_url(app.services.database_url.expose())
        .master_keys(&app.services.master_key, None)
        .start()
        .await;
    let mut locker = project.connect().await;
    sqlx::raw_sql("BEGIN; LOCK TABLE items IN SHARE MODE").execute(&mut locker).await.unwrap();
    let mut client = Socket::connect(&node.admin_url).await;
    let body = json!({ "changes": [{ "op": "insert", "set": { "id": 1 } }] }).to_string();
    let request = format!(
        "POST {path} HTTP/1.1\r\nhost: {host}\r\nx-dev-admin-token: {ADMIN_TOKEN}\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}",
        path = project.path("/tables/items/changes"),
        host = node.admin_url.trim_start_matches("http://"),
        length = body.len()
    );
    client.send(request).await;
    until_waiting_for(&mut locker, "items", 1).await;
    let mut audit_locker = app.app.platform().begin().await.unwrap();
    sqlx::raw_sql("LOCK TABLE audit_logs IN SHARE MODE").execute(&mut *audit_locker).await.unwrap();
    sqlx::raw_sql("ROLLBACK").execute(&mut locker).await.unwrap();
    // The statement that stores the outcome waits for the lock on the audit log.
    until_waiting_for(&mut audit_locker, "audit_logs", 1).await;
    client.reset();
    // The server notices that the client is gone before it receives this request.
    assert_eq!(node.admin().get("/healthz").await.0, StatusCode::OK);
    audit_locker.rollback().await.unwrap();
    eventually("the outcome is recorded", async || {
        let entries = entries(&app, "?action=rows.change").await;
        entries.len() == 1 && entries[0]["result"] == "success"
    })
    .await;
}

#[tokio::test]
async fn system_info_and_migrations_are_listed() {
    let app = TestApp::start().await;
    app.create_project("Shop").await;
    let (status, system) = app.admin().get("/admin/v1/system").await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(system["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!((&system["environment"], &system["role"]), (&json!("development"), &json!("all")));
    assert_eq!((&system["embedded"], &system["publicUrl"]), (&json!(false), &json!(app.public_url)));
    assert!(
        system["postgresVersion"].as_str().is_some_and(|version| version.starts_with(char::is_numeric)),
        "{system}"
    );
    assert_eq!(system["projectConnectionBudget"], 80);

    let (status, migrations) = app.admin().get("/admin/v1/migrations").await;
    assert_eq!(status, StatusCode::OK);
    let items = migrations["items"].as_array().unwrap();
    assert!(items.len() >= 4, "{migrations}");
    assert!(items.iter().all(|migration| migration["state"] == "applied" && migration["appliedAt"].is_string()));
    assert_eq!(items[0]["name"], "create projects");
    let (_, first) = app.admin().get("/admin/v1/migrations?limit=1").await;
    assert_eq!(first["items"], json!([items[0]]), "{first}");
    let cursor = first["nextCursor"].as_str().unwrap();
    let (_, second) = app.admin().get(&format!("/admin/v1/migrations?limit=200&cursor={cursor}")).await;
    assert_eq!((&second["items"], &second["nextCursor"]), (&json!(items[1..]), &Value::Null), "{second}");
}

#[tokio::test]
async fn reads_with_post_are_not_audited() {
    let app = TestApp::start().await;
    let (status, _) = app.admin().post("/admin/v1/cron/preview", json!({ "scheduleCron": "0 3 * * *" })).await;
    assert_eq!(status, StatusCode::OK);
    app.admin().post("/admin/v1/cron/preview", json!({ "scheduleCron": "x" })).await;
    assert_eq!(entries(&app, "").await, Vec::<Value>::new());
}

#[tokio::test]
async fn actions_of_the_log_are_listed() {
    let app = TestApp::start().await;
    sqlx::query(
        "INSERT INTO audit_logs (id, actor, action, result) VALUES (gen_random_uuid(), 'x', 'old.act', 'success')",
    )
    .execute(app.app.platform())
    .await
    .unwrap();
    let (status, page) = app.admin().get("/admin/v1/audit/actions").await;
    assert_eq!(status, StatusCode::OK, "{page}");
    let actions: Vec<&str> = page["items"].as_array().unwrap().iter().map(|action| action.as_str().unwrap()).collect();
    assert!(actions.contains(&"key.revoke") && actions.contains(&"old.act"), "{actions:?}");
    assert!(actions.is_sorted_by(|a, b| a < b), "{actions:?}");
}

#[tokio::test]
async fn applying_migrations_starts_a_run_and_is_audited() {
    let app = TestApp::builder().first_party_plugins().start().await;
    let (status, started) = app.admin().post("/admin/v1/migrations/apply", json!({})).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{started}");
    let path = format!("/admin/v1/runs/{}", started["runId"].as_str().unwrap());
    let ended = eventually("the run ends", async || {
        let (_, run) = app.admin().get(&path).await;
        run["finishedAt"].is_string().then_some(run)
    })
    .await;
    assert_eq!((&ended["status"], &ended["plugin"]), (&json!("success"), &json!("migrations")), "{ended}");
    let audited = &entries(&app, "?action=migration.apply").await[0];
    assert_eq!((&audited["details"], &audited["result"]), (&started, &json!("success")));
}
