//! `atlashub migrate`: lists migrations, applies each once, and stops at a changed one.

use reqwest::StatusCode;
use serde_json::json;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::support::{ADMIN_TOKEN, Client, Postgres, ProgramVars};

/// Creates a database that was never migrated.
async fn empty_database(name: &str) -> (ProgramVars, PgConnection) {
    let postgres = Postgres::shared();
    postgres.execute(&format!("CREATE DATABASE {name}")).await;
    let url = postgres.url(name);
    (ProgramVars::external(&url), PgConnection::connect(&url).await.unwrap())
}

async fn tables(connection: &mut PgConnection) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
        .fetch_one(connection)
        .await
        .unwrap()
}

async fn execute(connection: &mut PgConnection, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn migrations_are_listed_and_applied_once() {
    let (vars, mut connection) = empty_database("migrate_once").await;
    let status = vars.run(&["migrate", "--status"]);
    assert_eq!(status.code, Some(0), "{}", status.stderr);
    assert!(status.stdout.lines().all(|line| line.starts_with("pending")), "{}", status.stdout);
    let dry = vars.run(&["migrate", "--dry-run"]);
    assert!(dry.stdout.contains("CREATE TABLE projects"), "{}", dry.stdout);
    assert_eq!(tables(&mut connection).await, 0, "`--dry-run` created tables");

    let first = vars.run(&["migrate"]);
    assert_eq!(first.code, Some(0), "{}", first.stderr);
    assert!(first.stdout.lines().next().unwrap().starts_with("applied  0001"), "{}", first.stdout);
    assert!(tables(&mut connection).await > 4);
    let second = vars.run(&["migrate"]);
    assert_eq!((second.code, second.stdout.starts_with("No pending migrations")), (Some(0), true), "{}", second.stdout);
    assert!(vars.run(&["migrate", "--dry-run"]).stdout.contains("No pending migrations"));
    let status = vars.run(&["migrate", "--status"]).stdout;
    assert!(status.lines().all(|line| line.starts_with("applied")), "{status}");
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_migrations_are_applied_once() {
    let (vars, mut connection) = empty_database("migrate_together").await;
    let runs: Vec<_> = (0..4)
        .map(|_| {
            let vars = vars.clone();
            tokio::task::spawn_blocking(move || vars.run(&["migrate"]))
        })
        .collect();
    let mut applied = 0;
    for run in runs {
        let ended = run.await.unwrap();
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        applied += ended.stdout.lines().filter(|line| line.starts_with("applied")).count();
    }
    let recorded: i64 =
        sqlx::query_scalar("SELECT count(*) FROM platform_migrations").fetch_one(&mut connection).await.unwrap();
    assert_eq!(applied as i64, recorded, "not every migration was applied by exactly one process");
}

#[tokio::test(flavor = "multi_thread")]
async fn changed_migration_stops_serve_and_migrate() {
    let (vars, mut connection) = empty_database("migrate_changed").await;
    assert_eq!(vars.run(&["migrate"]).code, Some(0));
    execute(&mut connection, "UPDATE platform_migrations SET checksum = '\\x00' WHERE version = 2").await;
    for arguments in [["serve"].as_slice(), &["migrate"]] {
        let ended = vars.clone().set("ATLASHUB_LOG", "error").run(arguments);
        assert_eq!(ended.code, Some(1));
        assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
        assert!(ended.stderr.contains("Migration 2 ("), "{}", ended.stderr);
    }
    let status = vars.run(&["migrate", "--status"]);
    assert_eq!(status.code, Some(1));
    assert!(status.stdout.contains("changed  0002"), "{}", status.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn older_version_accepts_migrations_of_a_newer_one() {
    let (vars, mut connection) = empty_database("migrate_newer").await;
    assert_eq!(vars.run(&["migrate"]).code, Some(0));
    execute(
        &mut connection,
        "INSERT INTO platform_migrations (version, description, success, checksum, execution_time)
         VALUES (9999, 'of tomorrow', true, '\\x00', 0)",
    )
    .await;
    let ended = vars.run(&["migrate"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains("of tomorrow"), "no warning: {}", ended.stderr);
    assert!(vars.run(&["migrate", "--status"]).stdout.contains("unknown  9999 of tomorrow"));

    // A newer version may only add: columns that are nullable or have a default, and tables.
    let tables: Vec<String> = sqlx::query_scalar("SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'")
        .fetch_all(&mut connection)
        .await
        .unwrap();
    for table in tables.iter().filter(|table| *table != "platform_migrations") {
        execute(
            &mut connection,
            &format!(
                "ALTER TABLE {table} ADD COLUMN tomorrow_nullable text, ADD COLUMN tomorrow int NOT NULL DEFAULT 1"
            ),
        )
        .await;
    }
    let server = vars.serve(&[]);
    let admin = Client::new(&*server.admin_url).with_header("x-dev-admin-token", ADMIN_TOKEN);
    let (status, created) = admin.post("/admin/v1/projects", json!({ "name": "Old" })).await;
    assert_eq!(status, StatusCode::CREATED, "{created}");
    let key = created["secretKey"].as_str().unwrap();
    let (status, body) = Client::new(&*server.public_url).with_header("x-api-key", key).get("/v1/db/tables").await;
    assert_eq!(status, StatusCode::OK, "{body}");
    for list in [
        "projects",
        "jobs",
        "runs",
        "backups",
        "restores",
        "notifications",
        "plugins",
        "trusted-keys",
        "audit",
        "migrations",
    ] {
        let (status, body) = admin.get(&format!("/admin/v1/{list}")).await;
        assert_eq!(status, StatusCode::OK, "{list}: {body}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn serve_reports_a_missing_database_without_the_password() {
    let url = Postgres::shared().url("no_such_database");
    let ended = ProgramVars::external(&url).run(&["serve"]);
    assert_eq!(ended.code, Some(1));
    assert!(
        ended.stderr.contains("ATLASHUB_DATABASE_URL") && ended.stderr.contains("CREATE DATABASE"),
        "{}",
        ended.stderr
    );
    assert!(!ended.stderr.contains("password-of-the-tests"), "{}", ended.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn plugin_commands_name_the_command_that_migrates() {
    let (vars, _) = empty_database("migrate_for_plugins").await;
    let ended = vars.run(&["plugin", "list"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("run `atlashub migrate`"), "{ended:?}");
    assert_eq!(vars.run(&["migrate"]).code, Some(0));
    let ended = vars.run(&["plugin", "list"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
}
