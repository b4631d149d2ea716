//! Verification of backups: restores them, detects changes, and confines hostile archives.

use std::collections::BTreeMap;

use atlashub::{db::restore::ScratchName, object_store::PLATFORM_BUCKET};
use plugin_manifest::{Capability, Scope};
use reqwest::StatusCode;
use serde_json::{Value, json};
use sqlx::{ConnectOptions as _, postgres::PgConnectOptions};
use uuid::Uuid;

use crate::{
    backups::dump::LARGE,
    backups::end_to_end::{ended_run, listed, start_backup},
    backups::plugin::{grants, plugin_with},
    support::{Postgres, ProgramVars, TestApp, TestProject, eventually},
};

const OBJECTS: &str = "CREATE EXTENSION citext;
    CREATE TYPE mood AS ENUM ('fine', 'tired');
    CREATE TABLE people (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name citext NOT NULL UNIQUE, mood mood,
                         length int GENERATED ALWAYS AS (pg_catalog.length(name::text)) STORED, raw text);
    CREATE TABLE notes (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), person bigint REFERENCES people ON
        DELETE CASCADE,
                        text text);
    INSERT INTO people (name, mood, raw)
        SELECT 'p' || i, 'fine', CASE WHEN i = 1 THEN repeat('x', 5000000) END FROM generate_series(1, 20) AS i;
    INSERT INTO notes (person, text) SELECT id, 'note' FROM people;
    COMMENT ON TABLE notes IS 'what people wrote';
    CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
    CREATE TRIGGER touched BEFORE UPDATE ON notes FOR EACH ROW EXECUTE FUNCTION touch();
    CREATE TABLE hidden (id int PRIMARY KEY, owner_id uuid);
    INSERT INTO hidden SELECT i, gen_random_uuid() FROM generate_series(1, 50) AS i;
    ALTER TABLE hidden ENABLE ROW LEVEL SECURITY;
    ALTER TABLE hidden FORCE ROW LEVEL SECURITY;
    CREATE POLICY mine ON hidden TO {user} USING (owner_id = auth.uid());
    COMMENT ON POLICY mine ON hidden IS 'only ones own';
    CREATE SCHEMA \"Strange Schema\";
    CREATE TABLE \"Strange Schema\".\"Quoted \"\" POLICY Table\" (x int);
    INSERT INTO \"Strange Schema\".\"Quoted \"\" POLICY Table\" VALUES (1), (2);
    CREATE TABLE parts (day date NOT NULL, n int) PARTITION BY RANGE (day);
    CREATE TABLE parts_2026 PARTITION OF parts FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
    INSERT INTO parts SELECT '2026-05-05', i FROM generate_series(1, 7) AS i;
    CREATE VIEW seen WITH (security_invoker) AS SELECT id FROM people;
    CREATE MATERIALIZED VIEW counted AS SELECT count(*) AS n FROM people;
    CREATE PUBLICATION changes FOR TABLE notes;
    GRANT SELECT ON people TO {user};
    SELECT lo_from_bytea(0, 'large object');";

pub(crate) async fn project_with_objects(app: &TestApp, name: &str) -> TestProject {
    let project = app.create_project(name).await;
    project.sql(&OBJECTS.replace("{user}", &format!("proj_{}_user", project.id))).await;
    project
}

/// Creates a backup of the target. Returns the backup as listed.
pub(crate) async fn create_backup(app: &TestApp, target: &str) -> Value {
    let run = ended_run(app, &start_backup(app, target).await).await;
    assert_eq!(run["status"], "success", "{run}");
    let (_, page) = app.admin().get("/admin/v1/backups?limit=200").await;
    let items = page["items"].as_array().unwrap();
    items.iter().find(|item| item["runId"] == run["id"]).unwrap_or_else(|| panic!("{page}")).clone()
}

pub(super) async fn start_verification(app: &TestApp, backup: &Value) -> String {
    let path = format!("/admin/v1/backups/{}/verify", backup["id"].as_str().unwrap());
    let (status, body) = app.admin().post(&path, json!({})).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{body}");
    body["runId"].as_str().unwrap().to_owned()
}

/// Verifies the backup. Returns the ended run.
pub(crate) async fn verify(app: &TestApp, backup: &Value) -> Value {
    ended_run(app, &start_verification(app, backup).await).await
}

pub(crate) async fn state(app: &TestApp, backup: &Value) -> Value {
    let (_, page) = app.admin().get("/admin/v1/backups?limit=200").await;
    page["items"].as_array().unwrap().iter().find(|item| item["id"] == backup["id"]).cloned().unwrap()
}

pub(super) fn prefix(app: &TestApp) -> String {
    ScratchName::prefix(app.services.database_url.expose().rsplit('/').next().unwrap())
}

/// Returns the names of the app's scratch databases and roles.
async fn scratch_names(app: &TestApp) -> Vec<String> {
    sqlx::query_scalar(
        "SELECT name FROM (SELECT datname::text AS name FROM pg_database UNION ALL SELECT rolname::text FROM \
         pg_roles) AS names
         WHERE starts_with(name, $1)",
    )
    .bind(prefix(app))
    .fetch_all(app.app.platform())
    .await
    .unwrap()
}

async fn until_no_scratch_is_left(app: &TestApp) {
    eventually("the removal of scratch databases", async || scratch_names(app).await.is_empty().then_some(())).await;
}

#[tokio::test]
async fn tables_of_end_user_login_are_verified_but_not_counted() {
    let app = TestApp::builder().first_party_plugins().start().await;
    let project = app.create_project("with users").await;
    project.sql("CREATE TABLE items (id int); INSERT INTO items VALUES (1), (2)").await;
    let (status, settings) = project.admin().patch(&project.path("/auth"), json!({ "enabled": true })).await;
    assert_eq!(status, StatusCode::OK, "{settings}");
    let user = json!({ "email": "a@example.com" });
    assert_eq!(project.admin().post(&project.path("/users"), user).await.0, StatusCode::CREATED);
    let backup = create_backup(&app, &format!("project:{}", project.id)).await;
    let run = verify(&app, &backup).await;
    assert_eq!(run["status"], "success", "{run}");
    let created = app.run(backup["runId"].as_str().unwrap()).await;
    for counted in [&created["result"]["backups"][0], &run["result"]["verified"][0]] {
        assert_eq!((&counted["tables"], &counted["rows"]), (&json!(1), &json!(2)), "{counted}");
    }
    assert_eq!(state(&app, &backup).await["rowCount"], 2);
}

#[tokio::test]
async fn project_with_every_kind_of_object_is_verified() {
    let app = TestApp::builder().first_party_plugins().start().await;
    let project = project_with_objects(&app, "verified").await;
    let backup = create_backup(&app, &format!("project:{}", project.id)).await;
    assert_eq!((&backup["state"], &backup["verifiedAt"]), (&json!("ready"), &Value::Null));
    let run = verify(&app, &backup).await;
    assert_eq!(run["status"], "success", "{run}");
    assert_eq!(run["projectId"], project.id);
    let verified = &run["result"]["verified"][0];
    assert_eq!((&verified["tables"], &verified["rows"]), (&json!(5), &json!(20 + 20 + 50 + 2 + 7)), "{run}");
    let backup = state(&app, &backup).await;
    assert_eq!(backup["state"], "verified");
    assert!(backup["verifiedAt"].is_string(), "{backup}");
    assert_eq!(scratch_names(&app).await, Vec::<String>::new());
}

#[tokio::test]
async fn platform_backup_is_verified() {
    let app = TestApp::builder().first_party_plugins().start().await;
    let platform = create_backup(&app, "platform").await;
    let run = verify(&app, &platform).await;
    assert_eq!(run["status"], "success", "{run}");
    assert_eq!(state(&app, &platform).await["state"], "verified");
    assert_eq!(scratch_names(&app).await, Vec::<String>::new());
}

#[tokio::test]
async fn verification_fails_and_names_tables_that_differ() {
    let app = TestApp::builder().first_party_plugins().start().await;
    let project = app.create_project("differs").await;
    project.sql("CREATE TABLE items AS SELECT i FROM generate_series(1, 3) AS i; CREATE TABLE extra (x int)").await;
    let backup = create_backup(&app, &format!("project:{}", project.id)).await;
    let (store, key) = (app.app.store(), backup["manifestKey"].as_str().unwrap());
    let manifest = store.get_small(PLATFORM_BUCKET, key, 1 << 20).await.unwrap();
    let mut manifest: Value = serde_json::from_slice(&manifest).unwrap();
    manifest["tables"] =
        json!([{"schema": "public", "table": "items", "rows": 4}, {"schema": "public", "table": "lost", "rows": 0}]);
    let text = serde_json::to_vec(&manifest).unwrap();
    store.put_small(PLATFORM_BUCKET, key, "application/json", text.into()).await.unwrap();
    let run = verify(&app, &backup).await;
    assert_eq!(run["status"], "fail", "{run}");
    let error = run["errorText"].as_str().unwrap();
    for named in [
        "public.items: 4 rows expected, 3 rows found",
        "public.lost: 0 rows expected, no table",
        "public.extra: no table",
    ] {
        assert!(error.contains(named), "{error}");
    }
    let backup = state(&app, &backup).await;
    assert_eq!((&backup["state"], backup["failedAt"].is_string()), (&json!("failed"), true), "{backup}");
    let reason = backup["errorText"].as_str().unwrap();
    assert!(reason.contains("public.items: 4 rows expected, 3 rows found"), "{reason}");
    assert_eq!(scratch_names(&app).await, Vec::<String>::new());
}

#[tokio::test]
async fn flipped_byte_is_reported_as_digest_mismatch() {
    let app = TestApp::builder().first_party_plugins().start().await;
    let project = app.create_project("flipped").await;
    project.sql("CREATE TABLE items AS SELECT i, repeat('x', 100) AS x FROM generate_series(1, 3000) AS i").await;
    let backup = create_backup(&app, &format!("project:{}", project.id)).await;
    let (store, key) = (app.app.store(), backup["objectKey"].as_str().unwrap());
    let whole = store.get_small(PLATFORM_BUCKET, key, 16 << 20).await.unwrap().to_vec();
    for position in [3, whole.len() / 2, whole.len() - 1] {
        let mut flipped = whole.clone();
        flipped[position] ^= 0x10;
        store.put_small(PLATFORM_BUCKET, key, "application/octet-stream", flipped.into()).await.unwrap();
        let run = verify(&app, &backup).await;
        assert_eq!(run["status"], "fail", "{run}");
        let error = run["errorText"].as_str().unwrap();
        assert!(error.contains("SHA-256") && error.contains(backup["sha256"].as_str().unwrap()), "{position}: {error}");
    }
    assert_eq!(state(&app, &backup).await["state"], "failed");
    // A backup whose dump is intact again can be verified.
    store.put_small(PLATFORM_BUCKET, key, "application/octet-stream", whole.into()).await.unwrap();
    assert_eq!(verify(&app, &backup).await["status"], "success");
    let backup = state(&app, &backup).await;
    assert_eq!(backup["state"], "verified");
    assert_eq!((&backup["failedAt"], &backup["errorText"]), (&Value::Null, &Value::Null), "{backup}");
    assert_eq!(scratch_names(&app).await, Vec::<String>::new());
}

#[tokio::test]
async fn backup_of_deleted_project_is_verified() {
    let app = TestApp::builder().first_party_plugins().start().await;
    let project = project_with_objects(&app, "gone").await;
    let backup = create_backup(&app, &format!("project:{}", project.id)).await;
    let (status, body) = app.admin().delete_with(&project.path(""), json!({ "confirm": "gone" })).await;
    assert_eq!(status, StatusCode::NO_CONTENT, "{body}");
    let run = verify(&app, &backup).await;
    assert_eq!((&run["status"], &run["projectId"]), (&json!("success"), &Value::Null), "{run}");
    assert_eq!(state(&app, &backup).await["state"], "verified");
}

/// Returns SQL that creates an index whose function runs `body`, but only in a scratch database, when the index is
/// restored.
pub(super) fn hostile(body: &str) -> String {
    format!(
        "CREATE FUNCTION public.hostile(x int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $f$
         DECLARE worked int := 0; attempt text;
         BEGIN IF current_database() NOT LIKE 'verify%' THEN RETURN x; END IF; {body} RETURN x; END $f$;
         CREATE TABLE trap AS SELECT 1 AS x; CREATE INDEX trap_index ON trap (public.hostile(x));"
    )
}

#[tokio::test]
async fn hostile_sql_in_an_archive_fails_during_verification() {
    let app = TestApp::builder().first_party_plugins().start().await;
    let project = app.create_project("hostile").await;
    let (evil, file) = (format!("evil_{}", project.id), std::env::temp_dir().join(format!("evil-{}", project.id)));
    let attempts = format!(
        "FOREACH attempt IN ARRAY ARRAY['CREATE ROLE {evil} SUPERUSER', 'CREATE DATABASE {evil}',
             'ALTER ROLE postgres PASSWORD NULL',
             'COPY (SELECT 1) TO PROGRAM ''touch {file}''', 'COPY (SELECT 1) TO ''{file}''',
             'SELECT pg_catalog.pg_read_file(''PG_VERSION'')', 'SET ROLE proj_{id}_owner', 'CREATE EXTENSION dblink',
             'SELECT rolpassword FROM pg_catalog.pg_authid', 'GRANT proj_{id}_owner TO CURRENT_USER',
             'DROP DATABASE proj_{id}',
             'SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity WHERE usename <>
                 current_user']
         LOOP
             BEGIN EXECUTE attempt; worked := worked + 1; EXCEPTION WHEN OTHERS THEN NULL; END;
         END LOOP;
         RAISE EXCEPTION 'attempts that worked: %', worked;",
        file = file.display(),
        id = project.id
    );
    project.sql(&hostile(&attempts)).await;
    let backup = create_backup(&app, &format!("project:{}", project.id)).await;
    let run = verify(&app, &backup).await;
    assert_eq!(run["status"], "fail", "{run}");
    assert!(run["errorText"].as_str().unwrap().contains("attempts that worked: 0"), "{run}");
    let made: bool = sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)")
        .bind(&evil)
        .fetch_one(app.app.platform())
        .await
        .unwrap();
    assert!(!made && !file.exists());
    assert_eq!(scratch_names(&app).await, Vec::<String>::new());
}

#[tokio::test]
async fn cancelled_verification_leaves_no_scratch_database() {
    let app = TestApp::builder().first_party_plugins().start().await;
    let project = app.create_project("loops").await;
    project.sql(&hostile("LOOP PERFORM pg_catalog.pg_sleep(1); END LOOP;")).await;
    project.sql(LARGE).await;
    let backup = create_backup(&app, &format!("project:{}", project.id)).await;
    let run = start_verification(&app, &backup).await;
    eventually("the function of the index runs", async || {
        let looping: bool = sqlx::query_scalar(
            "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE starts_with(datname, $1) AND query LIKE '%trap_index%')",
        )
        .bind(prefix(&app))
        .fetch_one(app.app.platform())
        .await
        .unwrap();
        looping.then_some(())
    })
    .await;
    // The scratch role can't connect to any other database.
    let is_confined: bool = sqlx::query_scalar(
        "SELECT bool_and(NOT has_database_privilege(r.oid, d.oid, 'CONNECT')) FROM pg_roles r, pg_database d
         WHERE starts_with(r.rolname, $1) AND d.datname IN ($2, current_database())",
    )
    .bind(prefix(&app))
    .bind(format!("proj_{}", project.id))
    .fetch_one(app.app.platform())
    .await
    .unwrap();
    assert!(is_confined);
    let (status, body) = app.admin().post(&format!("/admin/v1/runs/{run}/cancel"), json!({})).await;
    assert!(status.is_success(), "{body}");
    assert_eq!(ended_run(&app, &run).await["status"], "cancelled");
    until_no_scratch_is_left(&app).await;
    assert_eq!(state(&app, &backup).await["state"], "ready");
}

#[tokio::test]
async fn sweep_removes_leftovers_but_keeps_running_verifications() {
    let app = TestApp::start().await;
    let (ended, running) = (Uuid::now_v7(), Uuid::now_v7());
    sqlx::query(
        "INSERT INTO cron_job_runs (id, trigger, status, plugin, plugin_job, lease_token, lease_until, started_at)
         VALUES ($1, 'manual', 'running', 'backup', 'verify', gen_random_uuid(), now() + interval '1 day', now())",
    )
    .bind(running)
    .execute(app.app.platform())
    .await
    .unwrap();
    let name = |run: Uuid| format!("{}{}_0123", prefix(&app), run.simple());
    for run in [ended, running] {
        Postgres::shared().execute(&format!("CREATE ROLE {}", name(run))).await;
        Postgres::shared().execute(&format!("CREATE DATABASE {}", name(run))).await;
    }
    // Any role can give its session the application name of a verification. Such a session must not prevent the removal
    // of leftovers.
    let project = app.create_project("Impostor").await;
    let role = format!("proj_{}_anon", project.id);
    Postgres::shared().execute(&format!("ALTER ROLE {role} PASSWORD 'impostor'")).await;
    let url = Postgres::shared().url(&format!("proj_{}", project.id));
    let options: PgConnectOptions = url.parse().unwrap();
    let options = options.username(&role).password("impostor").application_name(&name(ended));
    let _impostor = options.connect().await.unwrap();
    // The app's background sweep may remove the leftovers first.
    app.app.backups().catalogue.remove_leftover_scratch_databases().await.unwrap();
    eventually("the removal of leftovers", async || (!scratch_names(&app).await.contains(&name(ended))).then_some(()))
        .await;
    assert_eq!(scratch_names(&app).await, [name(running), name(running)]);
}

#[tokio::test]
async fn plugin_verifies_only_backups_within_its_grant() {
    let app = TestApp::builder().first_party_plugins().start().await;
    let (covered, other) = (app.create_project("covered").await, app.create_project("not covered").await);
    let backups = [
        create_backup(&app, &format!("project:{}", covered.id)).await,
        create_backup(&app, &format!("project:{}", other.id)).await,
    ];
    let only = |project: &TestProject| Scope { databases: vec![format!("project:{}", project.id)], ..Scope::default() };
    let mut granted = grants();
    granted.scopes = BTreeMap::from([
        (Capability::Databases, only(&covered)),
        (Capability::Objects, Scope::default()),
        (Capability::Backups, only(&covered)),
    ]);
    let run =
        plugin_with(&app, "backup", "verify", json!({ "target": format!("project:{}", covered.id) }), granted.clone())
            .await;
    run.run().await.unwrap();
    assert_eq!(state(&app, &backups[0]).await["state"], "verified");
    let run =
        plugin_with(&app, "backup", "verify", json!({ "target": format!("project:{}", other.id) }), granted).await;
    let failure = run.failure().await;
    assert!(failure.contains("does not include"), "{failure}");
    assert_eq!(state(&app, &backups[1]).await["state"], "ready");
    // A run without its lease doesn't mark a backup as verified.
    let mut lost = plugin_with(&app, "backup", "verify", json!({ "backup": backups[1]["id"] }), grants()).await;
    lost.call.lease = Uuid::new_v4();
    assert!(lost.run().await.is_err());
    assert_eq!(state(&app, &backups[1]).await["state"], "ready");
}

#[tokio::test(flavor = "multi_thread")]
async fn command_line_verifies_without_the_platform_database() {
    let app = TestApp::builder().first_party_plugins().start().await;
    let project = project_with_objects(&app, "by the command line").await;
    let backup = create_backup(&app, &format!("project:{}", project.id)).await;
    let id = backup["id"].as_str().unwrap();
    let gone = Postgres::shared().url(&format!("platform_gone_{}", project.id));
    let verified = ProgramVars::external(&gone).run(&["backup", "verify", id]);
    assert_eq!(verified.code, Some(0), "{verified:?}");
    assert!(verified.stdout.contains("verified") && verified.stdout.contains("99 rows"), "{verified:?}");
    assert_eq!(state(&app, &backup).await["state"], "ready", "the result was recorded without the platform database");

    let vars = ProgramVars::external(app.services.database_url.expose());
    let verified = vars.run(&["backup", "verify", id, "--json"]);
    assert_eq!(verified.code, Some(0), "{verified:?}");
    let result: Value = serde_json::from_str(verified.stdout.trim()).unwrap();
    assert_eq!((&result["verified"], &result["rows"]), (&json!(true), &json!(99)), "{result}");
    assert_eq!(state(&app, &backup).await["state"], "verified");
    assert_eq!(scratch_names(&app).await, Vec::<String>::new());

    let unknown = vars.run(&["backup", "verify", &Uuid::nil().to_string()]);
    assert_eq!(unknown.code, Some(1), "{unknown:?}");
    assert!(unknown.stderr.contains("backup list"), "{unknown:?}");
    assert_eq!(listed(&app, &project).await.len(), 1);
}
