//! A schema `public` that a migration tool drops and creates again, and tables that are moved to it.

use reqwest::StatusCode;
use serde_json::json;

use crate::support::{TestApp, TestProject, eventually};

/// Runs statements in the SQL editor, one by one, as the project's owner.
async fn edit(project: &TestProject, statements: &[&str]) {
    for sql in statements {
        let (status, body) = project.admin().post(&project.path("/sql"), json!({ "sql": sql })).await;
        assert_eq!(status, StatusCode::OK, "{sql}: {body}");
    }
}

async fn until_insertable(project: &TestProject, table: &str) {
    eventually("the table is known", async || {
        let rows = json!({ "rows": [{ "a": 1 }] });
        let (status, _) = project.secret().post(&format!("/v1/db/{table}"), rows).await;
        (status == StatusCode::CREATED).then_some(())
    })
    .await;
}

#[tokio::test]
async fn recreated_schema_public_is_usable_by_the_keys() {
    let app = TestApp::start().await;
    let project = app.create_project("reset").await;
    edit(
        &project,
        &["create table old (a int)", "drop schema public cascade", "create schema public", "create table t (a int)"],
    )
    .await;
    until_insertable(&project, "t").await;
    project.expose("t", "read", "none").await;
    assert_eq!(project.publishable().get("/v1/db/t").await.0, StatusCode::OK);
    // Later tables have the default privileges again.
    edit(&project, &["create table later (id serial primary key, a int)"]).await;
    until_insertable(&project, "later").await;
    let anyone = "select count(*) from information_schema.role_table_grants where grantee = 'PUBLIC' \
                  and table_schema = 'public'";
    let (_, body) = project.admin().post(&project.path("/sql"), json!({ "sql": anyone })).await;
    assert_eq!(body["rows"], json!([[0]]), "{body}");
}

#[tokio::test]
async fn table_moved_to_schema_public_is_usable_by_the_secret_key() {
    let app = TestApp::start().await;
    let project = app.create_project("moved").await;
    edit(
        &project,
        &[
            "create table kept (a int)",
            "create schema s",
            "create table s.m (id serial primary key, a int)",
            "alter table s.m set schema public",
        ],
    )
    .await;
    until_insertable(&project, "m").await;
    assert_eq!(project.publishable().get("/v1/db/m").await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn revoked_privileges_of_the_secret_key_stay_revoked() {
    let app = TestApp::start().await;
    let project = app.create_project("revoked").await;
    let app_role = format!("proj_{}_app", project.id);
    edit(
        &project,
        &["create table open (a int)", "create table closed (a int)", &format!("revoke all on closed from {app_role}")],
    )
    .await;
    until_insertable(&project, "open").await;
    assert_eq!(project.secret().get("/v1/db/closed").await.0, StatusCode::NOT_FOUND);
}
