//! Verifying backups: what was made can be restored, what was changed is found, and an archive can do no harm.

use std::collections::BTreeMap;

use atlashub::{db::restore::ScratchName, object_store::PLATFORM_BUCKET};
use plugin_manifest::{Capability, Scope};
use reqwest::StatusCode;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    backups::dump::LARGE,
    backups::end_to_end::{begin, ended, listed},
    backups::plugin::{grants, plugin_with},
    support::{Postgres, ProgramVars, TestApp, TestProject, eventually},
};

const THINGS: &str = "CREATE EXTENSION citext;
    CREATE TYPE mood AS ENUM ('fine', 'tired');
    CREATE TABLE people (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name citext NOT NULL UNIQUE, mood mood,
                         length int GENERATED ALWAYS AS (pg_catalog.length(name::text)) STORED, raw text);
    CREATE TABLE notes (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), person bigint REFERENCES people ON DELETE CASCADE, text text);
    INSERT INTO people (name, mood, raw) SELECT 'p' || i, 'fine', CASE WHEN i = 1 THEN repeat('x', 5000000) END FROM generate_series(1, 20) AS i;
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

async fn project_with_things(app: &TestApp, name: &str) -> TestProject {
    let project = app.create_project(name).await;
    project.sql(&THINGS.replace("{user}", &format!("proj_{}_user", project.id))).await;
    project
}

/// A backup of the target as the list has it.
async fn backed_up(app: &TestApp, target: &str) -> Value {
    let run = ended(app, &begin(app, target).await).await;
    assert_eq!(run["status"], "success", "{run}");
    let (_, page) = app.admin().get("/admin/v1/backups?limit=200").await;
    let items = page["items"].as_array().unwrap();
    items.iter().find(|item| item["runId"] == run["id"]).unwrap_or_else(|| panic!("{page}")).clone()
}

async fn begin_verify(app: &TestApp, backup: &Value) -> String {
    let path = format!("/admin/v1/backups/{}/verify", backup["id"].as_str().unwrap());
    let (status, answer) = app.admin().post(&path, json!({})).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{answer}");
    answer["runId"].as_str().unwrap().to_owned()
}

/// The run that verified it.
async fn verify(app: &TestApp, backup: &Value) -> Value {
    ended(app, &begin_verify(app, backup).await).await
}

async fn state(app: &TestApp, backup: &Value) -> Value {
    let (_, page) = app.admin().get("/admin/v1/backups?limit=200").await;
    let found = page["items"].as_array().unwrap().iter().find(|item| item["id"] == backup["id"]).cloned();
    found.unwrap()
}

fn prefix(app: &TestApp) -> String {
    ScratchName::prefix(app.services.database_url.expose().rsplit('/').next().unwrap())
}

/// Scratch databases and roles of the app.
async fn scratches(app: &TestApp) -> Vec<String> {
    sqlx::query_scalar(
        "SELECT name FROM (SELECT datname::text AS name FROM pg_database UNION ALL SELECT rolname::text FROM pg_roles) AS names
         WHERE starts_with(name, $1)",
    )
    .bind(prefix(app))
    .fetch_all(app.app.platform())
    .await
    .unwrap()
}

async fn until_no_scratches(app: &TestApp) {
    eventually("no scratch database is left", async || {
        let left = scratches(app).await;
        left.is_empty()
    })
    .await;
}

#[tokio::test]
async fn a_project_with_all_kinds_of_things_is_verified() {
    let app = TestApp::builder().first_party_plugins().start().await;
    let project = project_with_things(&app, "verified").await;
    let backup = backed_up(&app, &format!("project:{}", project.id)).await;
    assert_eq!((&backup["state"], &backup["verifiedAt"]), (&json!("ready"), &Value::Null));
    let run = verify(&app, &backup).await;
    assert_eq!(run["status"], "success", "{run}");
    assert_eq!(run["projectId"], project.id);
    let verified = &run["result"]["verified"][0];
    assert_eq!((&verified["tables"], &verified["rows"]), (&json!(5), &json!(20 + 20 + 50 + 2 + 7)), "{run}");
    let backup = state(&app, &backup).await;
    assert_eq!(backup["state"], "verified");
    assert!(backup["verifiedAt"].is_string(), "{backup}");
    assert_eq!(scratches(&app).await, Vec::<String>::new());
}

#[tokio::test]
async fn the_platform_is_verified() {
    let app = TestApp::builder().first_party_plugins().start().await;
    let platform = backed_up(&app, "platform").await;
    let run = verify(&app, &platform).await;
    assert_eq!(run["status"], "success", "{run}");
    assert_eq!(state(&app, &platform).await["state"], "verified");
    assert_eq!(scratches(&app).await, Vec::<String>::new());
}

#[tokio::test]
async fn what_differs_is_named_and_stays_unverified() {
    let app = TestApp::builder().first_party_plugins().start().await;
    let project = app.create_project("differs").await;
    project.sql("CREATE TABLE items AS SELECT i FROM generate_series(1, 3) AS i; CREATE TABLE extra (x int)").await;
    let backup = backed_up(&app, &format!("project:{}", project.id)).await;
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
    assert_eq!(state(&app, &backup).await["state"], "ready");
    assert_eq!(scratches(&app).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_flipped_byte_is_said_as_such() {
    let app = TestApp::builder().first_party_plugins().start().await;
    let project = app.create_project("flipped").await;
    project.sql("CREATE TABLE items AS SELECT i, repeat('x', 100) AS x FROM generate_series(1, 3000) AS i").await;
    let backup = backed_up(&app, &format!("project:{}", project.id)).await;
    let (store, key) = (app.app.store(), backup["objectKey"].as_str().unwrap());
    let whole = store.get_small(PLATFORM_BUCKET, key, 16 << 20).await.unwrap().to_vec();
    for place in [3, whole.len() / 2, whole.len() - 1] {
        let mut flipped = whole.clone();
        flipped[place] ^= 0x10;
        store.put_small(PLATFORM_BUCKET, key, "application/octet-stream", flipped.into()).await.unwrap();
        let run = verify(&app, &backup).await;
        assert_eq!(run["status"], "fail", "{run}");
        let error = run["errorText"].as_str().unwrap();
        assert!(error.contains("SHA-256") && error.contains(backup["sha256"].as_str().unwrap()), "{place}: {error}");
    }
    assert_eq!(state(&app, &backup).await["state"], "ready");
    assert_eq!(scratches(&app).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_backup_of_a_project_that_is_gone_is_verified() {
    let app = TestApp::builder().first_party_plugins().start().await;
    let project = project_with_things(&app, "gone").await;
    let backup = backed_up(&app, &format!("project:{}", project.id)).await;
    let (status, answer) = app.admin().delete_with(&project.path(""), json!({ "confirm": "gone" })).await;
    assert_eq!(status, StatusCode::NO_CONTENT, "{answer}");
    let run = verify(&app, &backup).await;
    assert_eq!((&run["status"], &run["projectId"]), (&json!("success"), &Value::Null), "{run}");
    assert_eq!(state(&app, &backup).await["state"], "verified");
}

/// An index that runs a function when it is made, which does something in a scratch database alone.
fn hostile(body: &str) -> String {
    format!(
        "CREATE FUNCTION public.hostile(x int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $f$
         DECLARE worked int := 0; attempt text;
         BEGIN IF current_database() NOT LIKE 'verify%' THEN RETURN x; END IF; {body} RETURN x; END $f$;
         CREATE TABLE trap AS SELECT 1 AS x; CREATE INDEX trap_index ON trap (public.hostile(x));"
    )
}

#[tokio::test]
async fn an_archive_with_hostile_sql_does_no_harm() {
    let app = TestApp::builder().first_party_plugins().start().await;
    let project = app.create_project("hostile").await;
    let (evil, file) = (format!("evil_{}", project.id), std::env::temp_dir().join(format!("evil-{}", project.id)));
    let attempts = format!(
        "FOREACH attempt IN ARRAY ARRAY['CREATE ROLE {evil} SUPERUSER', 'CREATE DATABASE {evil}', 'ALTER ROLE postgres PASSWORD NULL',
             'COPY (SELECT 1) TO PROGRAM ''touch {file}''', 'COPY (SELECT 1) TO ''{file}''',
             'SELECT pg_catalog.pg_read_file(''PG_VERSION'')', 'SET ROLE proj_{id}_owner', 'CREATE EXTENSION dblink',
             'SELECT rolpassword FROM pg_catalog.pg_authid', 'GRANT proj_{id}_owner TO CURRENT_USER',
             'DROP DATABASE proj_{id}', 'SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity WHERE usename <> current_user']
         LOOP
             BEGIN EXECUTE attempt; worked := worked + 1; EXCEPTION WHEN OTHERS THEN NULL; END;
         END LOOP;
         RAISE EXCEPTION 'of all attempts % worked', worked;",
        file = file.display(),
        id = project.id
    );
    project.sql(&hostile(&attempts)).await;
    let backup = backed_up(&app, &format!("project:{}", project.id)).await;
    let run = verify(&app, &backup).await;
    assert_eq!(run["status"], "fail", "{run}");
    assert!(run["errorText"].as_str().unwrap().contains("of all attempts 0 worked"), "{run}");
    let made: bool = sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)")
        .bind(&evil)
        .fetch_one(app.app.platform())
        .await
        .unwrap();
    assert!(!made && !file.exists());
    assert_eq!(scratches(&app).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_cancelled_verification_leaves_nothing() {
    let app = TestApp::builder().first_party_plugins().start().await;
    let project = app.create_project("loops").await;
    project.sql(&hostile("LOOP PERFORM pg_catalog.pg_sleep(1); END LOOP;")).await;
    project.sql(LARGE).await;
    let backup = backed_up(&app, &format!("project:{}", project.id)).await;
    let run = begin_verify(&app, &backup).await;
    eventually("the verification loops", async || {
        let looping: bool = sqlx::query_scalar(
            "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE starts_with(datname, $1) AND query LIKE '%trap_index%')",
        )
        .bind(prefix(&app))
        .fetch_one(app.app.platform())
        .await
        .unwrap();
        looping
    })
    .await;
    // The role can log in nowhere else.
    let closed: bool = sqlx::query_scalar(
        "SELECT bool_and(NOT has_database_privilege(r.oid, d.oid, 'CONNECT')) FROM pg_roles r, pg_database d
         WHERE starts_with(r.rolname, $1) AND d.datname IN ($2, current_database())",
    )
    .bind(prefix(&app))
    .bind(format!("proj_{}", project.id))
    .fetch_one(app.app.platform())
    .await
    .unwrap();
    assert!(closed);
    let (status, answer) = app.admin().post(&format!("/admin/v1/runs/{run}/cancel"), json!({})).await;
    assert!(status.is_success(), "{answer}");
    assert_eq!(ended(&app, &run).await["status"], "cancelled");
    until_no_scratches(&app).await;
    assert_eq!(state(&app, &backup).await["state"], "ready");
}

#[tokio::test]
async fn what_a_killed_process_left_is_swept_and_what_is_at_work_stays() {
    let app = TestApp::start().await;
    let (dead, alive) = (Uuid::now_v7(), Uuid::now_v7());
    sqlx::query(
        "INSERT INTO cron_job_runs (id, trigger, status, plugin, plugin_job, lease_token, lease_until, started_at)
         VALUES ($1, 'manual', 'running', 'backup', 'verify', gen_random_uuid(), now() + interval '1 day', now())",
    )
    .bind(alive)
    .execute(app.app.platform())
    .await
    .unwrap();
    let name = |run: Uuid| format!("{}{}_0123", prefix(&app), run.simple());
    for run in [dead, alive] {
        Postgres::shared().execute(&format!("CREATE ROLE {}", name(run))).await;
        Postgres::shared().execute(&format!("CREATE DATABASE {}", name(run))).await;
    }
    // The app's own sweep may have been faster.
    app.app.backups().catalogue.remove_leftover_scratches().await.unwrap();
    eventually("the scratch database is removed", async || !scratches(&app).await.contains(&name(dead))).await;
    assert_eq!(scratches(&app).await, [name(alive), name(alive)]);
}

#[tokio::test]
async fn a_plugin_verifies_what_its_grant_covers_and_nothing_else() {
    let app = TestApp::builder().first_party_plugins().start().await;
    let (ours, other) = (app.create_project("covered").await, app.create_project("not covered").await);
    let backups = [
        backed_up(&app, &format!("project:{}", ours.id)).await,
        backed_up(&app, &format!("project:{}", other.id)).await,
    ];
    let only = |project: &TestProject| Scope { databases: vec![format!("project:{}", project.id)], ..Scope::default() };
    let mut granted = grants();
    granted.scopes = BTreeMap::from([
        (Capability::Databases, only(&ours)),
        (Capability::Objects, Scope::default()),
        (Capability::Backups, only(&ours)),
    ]);
    let run =
        plugin_with(&app, "backup", "verify", json!({ "target": format!("project:{}", ours.id) }), granted.clone())
            .await;
    run.run().await.unwrap();
    assert_eq!(state(&app, &backups[0]).await["state"], "verified");
    let run =
        plugin_with(&app, "backup", "verify", json!({ "target": format!("project:{}", other.id) }), granted).await;
    let failure = run.failure().await;
    assert!(failure.contains("does not include"), "{failure}");
    assert_eq!(state(&app, &backups[1]).await["state"], "ready");
    // Without its lease a run says nothing in the catalogue.
    let mut lost = plugin_with(&app, "backup", "verify", json!({ "backup": backups[1]["id"] }), grants()).await;
    lost.call.lease = Uuid::new_v4();
    assert!(lost.run().await.is_err());
    assert_eq!(state(&app, &backups[1]).await["state"], "ready");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_verifies_where_the_platform_database_is_gone() {
    let app = TestApp::builder().first_party_plugins().start().await;
    let project = project_with_things(&app, "by the command line").await;
    let backup = backed_up(&app, &format!("project:{}", project.id)).await;
    let id = backup["id"].as_str().unwrap();
    let gone = Postgres::shared().url(&format!("platform_gone_{}", project.id));
    let verified = ProgramVars::external(&gone).run(&["backup", "verify", id]);
    assert_eq!(verified.code, Some(0), "{verified:?}");
    assert!(verified.stdout.contains("verified") && verified.stdout.contains("99 rows"), "{verified:?}");
    assert_eq!(state(&app, &backup).await["state"], "ready", "that platform has no catalogue");

    let vars = ProgramVars::external(app.services.database_url.expose());
    let verified = vars.run(&["backup", "verify", id, "--json"]);
    assert_eq!(verified.code, Some(0), "{verified:?}");
    let outcome: Value = serde_json::from_str(verified.stdout.trim()).unwrap();
    assert_eq!((&outcome["verified"], &outcome["rows"]), (&json!(true), &json!(99)), "{outcome}");
    assert_eq!(state(&app, &backup).await["state"], "verified");
    assert_eq!(scratches(&app).await, Vec::<String>::new());

    let unknown = vars.run(&["backup", "verify", &Uuid::nil().to_string()]);
    assert_eq!(unknown.code, Some(1), "{unknown:?}");
    assert!(unknown.stderr.contains("backup list"), "{unknown:?}");
    assert_eq!(listed(&app, &project).await.len(), 1);
}
