//! Restores of archives with objects that can't be created after the rows were loaded.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::{
    backups::end_to_end::ended_run,
    backups::restore::{confirm, path_of, plan, restore_of, until_no_other_database_is_left},
    backups::verify::{create_backup, state, verify},
    support::{TestApp, TestProject, code},
};

/// SQL that creates objects whose function fails in a database that a restore loads, and others that work.
const OBJECTS: &str = "CREATE FUNCTION here(x int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN
        IF current_database() LIKE '%\\_restore\\_%' THEN RAISE EXCEPTION 'not at home'; END IF; RETURN x; END $$;
    CREATE TABLE items (x int PRIMARY KEY); INSERT INTO items VALUES (1), (2);
    CREATE INDEX at_home ON items (here(x)); COMMENT ON INDEX at_home IS 'an index';
    CREATE INDEX items_fine ON items ((x + 1));
    CREATE TABLE children (parent int REFERENCES items, again int REFERENCES items);
    CREATE TABLE checked (x int CONSTRAINT home CHECK (here(x) > 0)); INSERT INTO checked VALUES (1);
    CREATE MATERIALIZED VIEW seen AS SELECT here(x) AS x FROM items;
    CREATE MATERIALIZED VIEW fine AS SELECT x FROM items";

const LEFT_OUT: [&str; 5] = [
    "CHECK CONSTRAINT public.checked home: not at home; the constraint is NOT VALID now",
    "COMMENT public INDEX at_home: relation \"public.at_home\" does not exist",
    "FK CONSTRAINT public.children children_parent_fkey: insert or update on table \"children\" violates foreign key \
     constraint \"children_parent_fkey\"",
    "INDEX public.at_home: not at home",
    "MATERIALIZED VIEW DATA public.seen: not at home",
];

async fn project_with_objects(app: &TestApp, name: &str) -> TestProject {
    let project = app.create_project(name).await;
    project.sql(OBJECTS).await;
    // Only a superuser can insert a row that violates a foreign key.
    sqlx::raw_sql("SET session_replication_role = replica; INSERT INTO children VALUES (7, 1)")
        .execute(&mut project.connect().await)
        .await
        .unwrap();
    project
}

async fn names(project: &TestProject, sql: &'static str) -> Vec<String> {
    sqlx::query_scalar(sql).fetch_all(&mut project.connect().await).await.unwrap()
}

#[tokio::test]
async fn restore_that_fails_at_an_object_names_it_and_the_choice_to_leave_it_out() {
    let app = TestApp::builder().first_party_plugins().start().await;
    let project = project_with_objects(&app, "strict").await;
    let backup = create_backup(&app, &format!("project:{}", project.id)).await;
    let (failed, run) = confirm(&app, &plan(&app, &backup, &project).await, &project).await;
    assert_eq!((&run["status"], &failed["state"]), (&json!("fail"), &json!("failed")), "{run} {failed}");
    let error = failed["errorText"].as_str().unwrap();
    assert!(error.contains("INDEX public.at_home: not at home"), "{error}");
    assert!(error.contains("not changed") && error.contains("`skipFailedObjects`"), "{error}");
    assert_eq!(failed["leftOut"], json!([]), "{failed}");
    until_no_other_database_is_left(&project).await;
}

#[tokio::test]
async fn restore_leaves_failed_objects_out_and_lists_them_if_the_owner_chooses_so() {
    let app = TestApp::builder().first_party_plugins().start().await;
    let project = project_with_objects(&app, "lenient").await;
    let backup = create_backup(&app, &format!("project:{}", project.id)).await;
    let planned = plan(&app, &backup, &project).await;
    assert_eq!(planned["leftOut"], json!([]), "{planned}");
    let request = json!({ "confirm": "lenient", "skipFailedObjects": true });
    let (status, body) = app.admin().post(&path_of(&planned, "/confirm"), request.clone()).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{body}");
    let run = ended_run(&app, body["runId"].as_str().unwrap()).await;
    let done = restore_of(&app, &planned).await;
    assert_eq!((&run["status"], &done["state"]), (&json!("success"), &json!("done")), "{run} {done}");
    assert_eq!(done["leftOut"], run["result"]["leftOut"], "{run}");
    let mut left_out: Vec<&str> = done["leftOut"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    left_out.sort_unstable();
    assert_eq!(left_out, LEFT_OUT);
    let (_, log) = app.admin().get(&format!("/admin/v1/runs/{}/log", run["id"].as_str().unwrap())).await;
    assert!(log.to_string().contains("Not restored: INDEX public.at_home: not at home"), "{log}");

    // Everything else was restored, also what comes after the objects that failed.
    let indexes = names(
        &project,
        "SELECT indexrelid::regclass::text FROM pg_index WHERE indrelid = 'items'::regclass ORDER BY 1",
    );
    assert_eq!(indexes.await, ["items_fine", "items_pkey"]);
    let constraints = names(
        &project,
        "SELECT conname || ' ' || convalidated FROM pg_constraint
         WHERE contype IN ('c', 'f') AND connamespace = 'public'::regnamespace ORDER BY 1",
    );
    assert_eq!(constraints.await, ["children_again_fkey true", "home false"]);
    let views = names(
        &project,
        "SELECT relname || ' ' || relispopulated FROM pg_class
         WHERE relkind = 'm' AND relnamespace = 'public'::regnamespace ORDER BY 1",
    );
    assert_eq!(views.await, ["fine true", "seen false"]);
    let (_, body) = project.secret().get("/v1/db/items?order=x").await;
    assert_eq!(body["rows"], json!([{ "x": 1 }, { "x": 2 }]), "{body}");

    let audited = async |action: &str| {
        let (_, page) = app.admin().get(&format!("/admin/v1/audit?action={action}")).await;
        page["items"][0].clone()
    };
    let entry = audited("restore.confirm").await;
    assert_eq!(entry["details"]["skipFailedObjects"], true, "{entry}");
    let entry = audited("restore.finish").await;
    assert_eq!((&entry["details"]["leftOut"], &entry["target"]), (&json!(5), &planned["id"]), "{entry}");
    assert_eq!((&entry["actor"], &entry["projectId"]), (&json!("system"), &json!(project.id)), "{entry}");
    // A rollback loads nothing, so the option is refused. The list of objects that were left out stays, because it
    // describes the restored database, which is kept.
    let (status, body) = app.admin().post(&path_of(&planned, "/rollback"), request).await;
    assert_eq!((status, code(&body)), (StatusCode::BAD_REQUEST, "invalid_request"), "{body}");
    let rollback = json!({ "confirm": "lenient" });
    let (_, body) = app.admin().post(&path_of(&planned, "/rollback"), rollback).await;
    assert_eq!(ended_run(&app, body["runId"].as_str().unwrap()).await["status"], "success");
    assert_eq!(restore_of(&app, &planned).await["leftOut"], done["leftOut"]);
}

#[tokio::test]
async fn tables_and_rows_are_never_left_out() {
    let app = TestApp::builder().first_party_plugins().start().await;
    let project = app.create_project("complete").await;
    // Generated columns are computed while rows are loaded.
    project
        .sql(
            "CREATE FUNCTION here(x int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN
                 IF current_database() LIKE '%\\_restore\\_%' THEN RAISE EXCEPTION 'not at home'; END IF;
                 RETURN x;
             END $$;
             CREATE TABLE items (x int, y int GENERATED ALWAYS AS (here(x)) STORED); INSERT INTO items VALUES (1)",
        )
        .await;
    let backup = create_backup(&app, &format!("project:{}", project.id)).await;
    let planned = plan(&app, &backup, &project).await;
    let request = json!({ "confirm": "complete", "skipFailedObjects": true });
    let (status, body) = app.admin().post(&path_of(&planned, "/confirm"), request).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{body}");
    assert_eq!(ended_run(&app, body["runId"].as_str().unwrap()).await["status"], "fail");
    let failed = restore_of(&app, &planned).await;
    let error = failed["errorText"].as_str().unwrap();
    assert!(error.contains("not at home") && !error.contains("skipFailedObjects"), "{error}");
}

#[tokio::test]
async fn exhausted_resources_of_the_postgres_server_do_not_mark_the_backup_as_failed() {
    let app = TestApp::builder().first_party_plugins().start().await;
    let project = app.create_project("exhausted").await;
    // The constraint is added again after the rows, and fails in the database of a verification.
    project
        .sql(
            "CREATE FUNCTION need(id int) RETURNS boolean IMMUTABLE LANGUAGE plpgsql AS $$
             BEGIN
                 IF current_database() LIKE 'verify%' THEN
                     RAISE 'out of shared memory' USING ERRCODE = '53200';
                 END IF;
                 RETURN true;
             END $$;
             CREATE TABLE items (id int CONSTRAINT needs CHECK (need(id))); INSERT INTO items VALUES (1)",
        )
        .await;
    let backup = create_backup(&app, &format!("project:{}", project.id)).await;
    let run = verify(&app, &backup).await;
    assert_eq!(run["status"], "fail", "{run}");
    let error = run["errorText"].as_str().unwrap();
    assert!(error.contains("CHECK CONSTRAINT public.items needs: out of shared memory; try again"), "{run}");
    assert_eq!(state(&app, &backup).await["state"], "ready");
}

#[tokio::test]
async fn full_disk_of_the_postgres_server_is_reported_and_does_not_mark_the_backup_as_failed() {
    let app = TestApp::builder().first_party_plugins().start().await;
    let project = app.create_project("full disk").await;
    // Building the index fails in every other database.
    project
        .sql(&format!(
            "CREATE TABLE items AS SELECT 1 AS id;
             CREATE FUNCTION fill(id int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$
             BEGIN
                 IF current_database() <> 'proj_{}' THEN
                     RAISE 'could not extend file \"base/1/2\": No space left on device' USING ERRCODE = '53100';
                 END IF;
                 RETURN id;
             END $$;
             CREATE INDEX ON items (fill(id))",
            project.id
        ))
        .await;
    let backup = create_backup(&app, &format!("project:{}", project.id)).await;
    let run = verify(&app, &backup).await;
    assert_eq!(run["status"], "fail", "{run}");
    let is_named = |error: &str| error.contains("isk of the Postgres server is full; free space on it");
    assert!(is_named(run["errorText"].as_str().unwrap()), "{run}");
    assert_eq!(state(&app, &backup).await["state"], "ready");
    let (failed, _) = confirm(&app, &plan(&app, &backup, &project).await, &project).await;
    assert_eq!(failed["state"], "failed", "{failed}");
    assert!(is_named(failed["errorText"].as_str().unwrap()), "{failed}");
}
