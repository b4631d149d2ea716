//! Restores of row-level security, and of the users of the project's app.

use atlashub::config::Role;
use reqwest::StatusCode;
use serde_json::json;

use crate::{
    auth::{change_settings, sign_up, signed_in},
    backups::end_to_end::ended_run,
    backups::restore::{confirm, plan, start},
    backups::verify::create_backup,
    support::TestApp,
};

#[tokio::test]
async fn materialized_view_over_a_table_that_forces_row_level_security_is_restored() {
    let app = TestApp::builder().first_party_plugins().start().await;
    let project = app.create_project("forced").await;
    project
        .sql(
            "CREATE TABLE items (id int PRIMARY KEY); INSERT INTO items VALUES (1), (2);
             ALTER TABLE items ENABLE ROW LEVEL SECURITY; ALTER TABLE items FORCE ROW LEVEL SECURITY;
             CREATE POLICY all_rows ON items USING (true);
             CREATE MATERIALIZED VIEW numbers AS SELECT count(*) AS count FROM items",
        )
        .await;
    let backup = create_backup(&app, &format!("project:{}", project.id)).await;
    let (_, run) = confirm(&app, &plan(&app, &backup, &project).await, &project).await;
    assert_eq!(run["status"], "success", "{run}");
    let count: (i64, bool) = sqlx::query_as(
        "SELECT count, (SELECT relforcerowsecurity AND relrowsecurity FROM pg_class WHERE relname = 'items')
         FROM numbers",
    )
    .fetch_one(&mut project.connect().await)
    .await
    .unwrap();
    assert_eq!(count, (2, true));
}

#[tokio::test]
async fn restored_login_tables_belong_to_the_platform_even_while_login_is_off() {
    let app = TestApp::builder().first_party_plugins().start().await;
    let (source, target) = (app.create_project("with users").await, app.create_project("copy").await);
    assert_eq!(source.admin().patch(&source.path("/auth"), json!({ "enabled": true })).await.0, StatusCode::OK);
    let user = json!({ "email": "a@example.com", "password": "correct horse battery" });
    assert_eq!(source.admin().post(&source.path("/users"), user).await.0, StatusCode::CREATED);
    let backup = create_backup(&app, &format!("project:{}", source.id)).await;
    let (_, run) = confirm(&app, &plan(&app, &backup, &target).await, &target).await;
    assert_eq!(run["status"], "success", "{run}");
    for (sql, expected) in [
        ("SELECT email FROM auth.users", None),
        ("SELECT hash FROM auth.passwords", Some("42501")),
        ("UPDATE auth.users SET role = 'owner'", Some("42501")),
        ("GRANT SELECT ON auth.passwords TO PUBLIC", Some("42501")),
    ] {
        let (_, body) = target.admin().post(&target.path("/sql"), json!({ "sql": sql })).await;
        assert_eq!(body["error"]["details"]["sqlstate"].as_str(), expected, "{sql}: {body}");
    }
    // The copy can be backed up with its users, and restored again.
    let copy = create_backup(&app, &format!("project:{}", target.id)).await;
    let (_, run) = confirm(&app, &plan(&app, &copy, &target).await, &target).await;
    assert_eq!(run["status"], "success", "{run}");
    assert_eq!(target.admin().patch(&target.path("/auth"), json!({ "enabled": true })).await.0, StatusCode::OK);
    let (status, body) = target
        .publishable()
        .post("/v1/auth/login", json!({ "email": "a@example.com", "password": "correct horse battery" }))
        .await;
    assert_eq!(status, StatusCode::OK, "{body}");
}

#[tokio::test]
async fn checked_sessions_end_with_a_restore_and_return_with_its_rollback() {
    let app = TestApp::builder().first_party_plugins().start().await;
    let other = TestApp::builder()
        .role(Role::Gateway)
        .database_url(app.services.database_url.expose())
        .master_keys(&app.services.master_key, None)
        .start()
        .await;
    let project = app.create_project("checked").await;
    // Both nodes accept this issuer.
    let settings = json!({ "enabled": true, "checkSession": true, "issuer": "https://id.example.com" });
    change_settings(&project, settings).await;
    let session = sign_up(&project, "a@example.com").await;
    let here = signed_in(&project, &session);
    let token = session["session"]["accessToken"].as_str().unwrap();
    let there = other
        .public()
        .with_header("x-api-key", &project.publishable_key)
        .with_header("authorization", &format!("Bearer {token}"));
    for node in [&here, &there] {
        assert_eq!(node.get("/v1/db/tables").await.0, StatusCode::OK);
    }
    let backup = create_backup(&app, &format!("project:{}", project.id)).await;
    let planned = plan(&app, &backup, &project).await;
    assert!(planned["plan"]["warnings"].to_string().contains("All users are signed out"), "{planned}");
    let (_, run) = confirm(&app, &planned, &project).await;
    assert_eq!(run["status"], "success", "{run}");
    // The backup contains the session, but the session is not accepted, because it may have ended since the backup.
    for node in [&there, &here] {
        let (status, body) = node.get("/v1/db/tables").await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{body}");
    }
    let run = ended_run(&app, &start(&app, &planned, "/rollback", &project).await).await;
    assert_eq!(run["status"], "success", "{run}");
    let (status, body) = here.get("/v1/db/tables").await;
    assert_eq!(status, StatusCode::OK, "{body}");
}
