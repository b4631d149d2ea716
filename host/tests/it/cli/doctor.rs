//! `atlashub doctor`: reports problems with their remedies, and none on a healthy installation.

use atlashub::secrets::{MasterKey, Sealer};
use sqlx::{Connection, PgConnection};

use crate::support::{Postgres, ProgramVars};

/// Creates a migrated platform database on a server where projects' roles can't connect to the shared databases.
async fn healthy_installation() -> (String, ProgramVars) {
    let postgres = Postgres::start();
    // The server runs until the test process ends.
    let postgres: &'static Postgres = Box::leak(Box::new(postgres));
    let url = postgres.platform_database().await;
    let database = url.rsplit('/').next().unwrap();
    postgres.execute(&format!("REVOKE CONNECT ON DATABASE {database}, postgres, template1 FROM PUBLIC")).await;
    let vars = ProgramVars::external(&url);
    (url, vars)
}

#[track_caller]
fn check(vars: &ProgramVars, expected: &str) {
    let ended = vars.run(&["doctor"]);
    assert_eq!(ended.code, Some(1), "{expected}: {}{}", ended.stdout, ended.stderr);
    let is_reported = ended.stdout.lines().any(|line| line.starts_with("problem") && line.contains(expected));
    assert!(is_reported, "{expected} is not in:\n{}{}", ended.stdout, ended.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn problems_are_reported_with_remedies() {
    let (url, vars) = healthy_installation().await;
    let ended = vars.run(&["doctor"]);
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
    assert!(ended.stdout.lines().all(|line| !line.starts_with("problem")), "{}", ended.stdout);

    check(&ProgramVars::default().set("ATLASHUB_ENV", "production"), "ATLASHUB_DATABASE_URL");
    check(&vars.clone().set("ATLASHUB_DATABASE_URL", "postgres://u:p@127.0.0.1:1/platform"), "ATLASHUB_DATABASE_URL");
    check(&vars.clone().set("ATLASHUB_S3_ENDPOINT", "http://127.0.0.1:1"), "ATLASHUB_S3_ENDPOINT");
    check(&vars.clone().set("ATLASHUB_S3_SECRET_ACCESS_KEY", "wrong"), "ATLASHUB_S3_SECRET_ACCESS_KEY");
    check(&vars.clone().set("ATLASHUB_PROJECT_CONNECTIONS", "1000"), "max_connections");

    let mut connection = PgConnection::connect(&url).await.unwrap();
    sqlx::raw_sql(
        "CREATE ROLE hub LOGIN PASSWORD 'hub'; GRANT ALL ON SCHEMA public TO hub; GRANT ALL ON ALL TABLES \
        IN SCHEMA public TO hub",
    )
    .execute(&mut connection)
    .await
    .unwrap();
    sqlx::raw_sql("DO $$ BEGIN EXECUTE format('GRANT CONNECT ON DATABASE %I TO hub', current_database()); END $$")
        .execute(&mut connection)
        .await
        .unwrap();
    check(
        &vars.clone().set("ATLASHUB_DATABASE_URL", &url.replace("postgres:password-of-the-tests", "hub:hub")),
        "ALTER ROLE hub",
    );

    let sealed = Sealer::new(&MasterKey::generate(), None).seal(b"secret", "project_db_creds/abcdefgh/owner").unwrap();
    sqlx::query("INSERT INTO projects (id, name, state) VALUES ('abcdefgh', 'half made', 'creating')")
        .execute(&mut connection)
        .await
        .unwrap();
    sqlx::query("INSERT INTO project_db_creds (project_id, role, sealed) VALUES ('abcdefgh', 'owner', $1)")
        .bind(sealed)
        .execute(&mut connection)
        .await
        .unwrap();
    check(&vars, "master key");
    assert!(vars.run(&["doctor"]).stdout.contains("half made (creating)"));

    sqlx::query("INSERT INTO projects (id, name, state) VALUES ('bcdefghi', 'without database', 'ready')")
        .execute(&mut connection)
        .await
        .unwrap();
    sqlx::raw_sql("CREATE DATABASE proj_cdefghij").execute(&mut connection).await.unwrap();
    check(&vars, "project bcdefghi (without database) has no database");
    assert!(vars.run(&["doctor"]).stdout.contains("no project of this installation has these: proj_cdefghij"));

    sqlx::raw_sql("CREATE ROLE proj_abcdefgh_app; GRANT CONNECT ON DATABASE template1 TO PUBLIC")
        .execute(&mut connection)
        .await
        .unwrap();
    check(&vars, "REVOKE CONNECT ON DATABASE template1");

    // Settings that a project's SQL stored for its role are removed.
    sqlx::raw_sql(
        "CREATE ROLE proj_abcdefgh_owner; ALTER ROLE proj_abcdefgh_owner SET default_transaction_read_only = on",
    )
    .execute(&mut connection)
    .await
    .unwrap();
    let reported = |text: &str| vars.run(&["doctor"]).stdout.lines().any(|line| line.contains(text));
    assert!(reported("removed settings that a project stored for proj_abcdefgh_owner: default_transaction_read_only"));
    assert!(reported("none has settings of its own"));
}

#[tokio::test(flavor = "multi_thread")]
async fn installation_that_was_only_migrated_is_in_order() {
    let postgres = Postgres::start();
    let vars = ProgramVars::external(&postgres.platform_database().await);
    assert_eq!(vars.run(&["migrate"]).code, Some(0));
    let ended = vars.run(&["doctor"]);
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
    let note = ended.stdout.lines().find(|line| line.starts_with("note") && line.contains("postgres databases"));
    assert!(note.is_some_and(|note| note.contains("at its next start")), "{}", ended.stdout);
}
