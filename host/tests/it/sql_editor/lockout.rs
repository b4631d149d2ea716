//! SQL of a project can't lock out the project's owner or apps, and can't override the configuration.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::{TestApp, TestProject, eventually};

/// SQL that creates a function that runs its argument, which the editor's parser can't check.
const RUN: &str = "CREATE FUNCTION run(code text) RETURNS void LANGUAGE plpgsql AS $$ BEGIN EXECUTE code; END $$";

async fn run(app: &TestApp, project: &TestProject, sql: &str) -> (StatusCode, Value) {
    app.admin().post(&project.path("/sql"), json!({ "sql": sql })).await
}

async fn run_dynamically(app: &TestApp, project: &TestProject, code: &str) -> (StatusCode, Value) {
    run(app, project, &format!("SELECT run($code${code}$code$)")).await
}

async fn stored_settings(app: &TestApp, project: &TestProject) -> i64 {
    sqlx::query_scalar(
        "SELECT count(*) FROM pg_db_role_setting JOIN pg_roles ON pg_roles.oid = setrole
         WHERE starts_with(rolname, 'proj_' || $1)",
    )
    .bind(&project.id)
    .fetch_one(app.app.platform())
    .await
    .unwrap()
}

#[tokio::test]
async fn settings_that_the_owner_stores_do_not_outlive_the_statement() {
    let app = TestApp::start().await;
    let project = app.create_project("Shop").await;
    let (status, response) = run(&app, &project, RUN).await;
    assert_eq!(status, StatusCode::OK, "{response}");
    let database = format!("IN DATABASE proj_{}", project.id);
    for (number, setting) in [
        "SET default_transaction_read_only = on",
        "SET local_preload_libraries = 'no_such_library'",
        "SET search_path = nowhere",
        "SET role = none",
        "SET statement_timeout = 1",
        "SET default_transaction_isolation = serializable",
        "SET lock_timeout = 1",
        "SET transform_null_equals = on",
        "SET DateStyle = German",
        "SET default_table_access_method = no_such_method",
        "SET default_tablespace = no_such_tablespace",
        "SET temp_buffers = '8GB'",
        "SET log_statement_stats = off",
    ]
    .into_iter()
    .enumerate()
    {
        for scope in ["", &database] {
            // Some settings need a superuser; for these, nothing is stored.
            run_dynamically(&app, &project, &format!("ALTER ROLE CURRENT_USER {scope} {setting}")).await;
            let table = format!("after_{number}_{}", scope.len());
            let (status, response) =
                run(&app, &project, &format!("CREATE TABLE {table} AS SELECT date '2026-03-04' AS day")).await;
            assert_eq!(status, StatusCode::OK, "{scope} {setting}: {response}");
            let (_, response) = run(&app, &project, &format!("SELECT day, NULL = 1 FROM {table}")).await;
            assert_eq!(response["rows"], json!([["2026-03-04", null]]), "{scope} {setting}: {response}");
            assert_eq!(stored_settings(&app, &project).await, 0, "{scope} {setting}");
        }
    }
}

#[tokio::test]
async fn settings_stored_for_the_roles_of_keys_are_removed_at_the_next_connection() {
    let app = TestApp::start().await;
    let project = app.create_project("Shop").await;
    project.sql("CREATE TABLE items (id int PRIMARY KEY); INSERT INTO items VALUES (1)").await;
    project.expose("items", "read", "none").await;
    let mut superuser = project.connect().await;
    for role in ["app", "anon", "user", "backup"] {
        let role = format!("proj_{}_{role}", project.id);
        let script = format!(
            "SET ROLE {role}; ALTER ROLE {role} SET default_transaction_read_only = on;
             ALTER ROLE {role} SET local_preload_libraries = 'no_such_library'; RESET ROLE"
        );
        sqlx::raw_sql(sqlx::AssertSqlSafe(script)).execute(&mut superuser).await.unwrap();
    }
    let (status, response) = project.secret().post("/v1/db/items", json!({ "rows": [{ "id": 2 }] })).await;
    assert_eq!(status, StatusCode::CREATED, "{response}");
    let (status, response) = project.publishable().get("/v1/db/items?order=id").await;
    assert_eq!((status, &response["rows"]), (StatusCode::OK, &json!([{ "id": 1 }, { "id": 2 }])), "{response}");
    // The roles `user` and `backup` have not connected yet.
    assert_eq!(stored_settings(&app, &project).await, 2);
}

#[tokio::test]
async fn extensions_are_refused_in_dynamic_sql_unless_allowed() {
    let app = TestApp::start().await;
    let project = app.create_project("Shop").await;
    run(&app, &project, RUN).await;
    run(
        &app,
        &project,
        "CREATE FUNCTION install() RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN CREATE EXTENSION citext; \
         END $$",
    )
    .await;
    for sql in [
        "SELECT run('CREATE EXTENSION citext')",
        "SELECT run('CREATE EXTENSION IF NOT EXISTS hstore SCHEMA public CASCADE')",
        "SELECT run('DO $x$ BEGIN CREATE EXTENSION citext; END $x$')",
        "SELECT install()",
    ] {
        let (status, response) = run(&app, &project, sql).await;
        let error = &response["error"];
        assert_eq!((status, &error["code"]), (StatusCode::BAD_REQUEST, &json!("sql_error")), "{sql}: {response}");
        assert_eq!(error["details"]["sqlstate"], "42501", "{response}");
        assert!(error["hint"].as_str().unwrap().contains("ATLASHUB_SQL_CREATE_EXTENSION"), "{response}");
    }
    // The owner can't remove the event trigger that refuses extensions.
    for code in [
        "DROP EVENT TRIGGER atlashub_refuse_extension",
        "ALTER EVENT TRIGGER atlashub_refuse_extension DISABLE",
        "DROP SCHEMA atlashub_internal CASCADE",
        "DROP EXTENSION plpgsql CASCADE",
        "SET session_replication_role = replica",
    ] {
        assert_eq!(run_dynamically(&app, &project, code).await.0, StatusCode::BAD_REQUEST, "{code}");
    }
    let (status, response) = run(&app, &project, "CREATE SCHEMA \"of the owner\"").await;
    assert_eq!(status, StatusCode::OK, "{response}");

    // A start with the variable allows extensions in every project, a start without it refuses them again.
    let node = || TestApp::builder().database_url(app.services.database_url.expose());
    let keys = app.services.master_key.clone();
    let allowing = node().master_keys(&keys, None).var("ATLASHUB_SQL_CREATE_EXTENSION", "true").start().await;
    eventually("extensions can be created", async || {
        let (status, _) = run_dynamically(&allowing, &project, "CREATE EXTENSION citext").await;
        (status == StatusCode::OK).then_some(())
    })
    .await;
    let refusing = node().master_keys(&keys, None).start().await;
    eventually("extensions are refused again", async || {
        let (status, _) = run_dynamically(&refusing, &project, "CREATE EXTENSION IF NOT EXISTS citext").await;
        (status == StatusCode::BAD_REQUEST).then_some(())
    })
    .await;
}
