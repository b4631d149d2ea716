//! Backups of schemas whose functions name tables without a schema: the owner is warned, and the backup can be verified
//! and restored. A backup whose archive can't be loaded is marked as failed.

use reqwest::StatusCode;
use serde_json::json;

use crate::{
    backups::{
        end_to_end::ended_run,
        restore::{confirm, path_of, plan, restore_of},
        verify::{create_backup, state, verify},
    },
    support::{TestApp, TestProject, major_version},
};

/// SQL that creates functions that name tables without a schema, for a check constraint, a generated column and a
/// domain. Its functions that need no search path cause no warning.
const OBJECTS: &str = "CREATE TABLE bounds (name text PRIMARY KEY, most int NOT NULL);
    INSERT INTO bounds VALUES ('price', 100);
    CREATE TYPE mood AS ENUM ('fine', 'tired');
    CREATE FUNCTION most(text) RETURNS int LANGUAGE sql STABLE AS 'SELECT most FROM bounds WHERE name = $1';
    CREATE FUNCTION allowed(price int) RETURNS boolean LANGUAGE plpgsql AS
        $$ BEGIN RETURN price <= most('price'); END $$;
    CREATE FUNCTION doubled(price int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS
        $$ BEGIN RETURN 2 * coalesce((SELECT price FROM bounds LIMIT 1), price); END $$;
    CREATE FUNCTION mood_of(price int) RETURNS text IMMUTABLE LANGUAGE plpgsql AS
        $$ BEGIN RETURN CASE WHEN price > 5 THEN 'fine'::mood ELSE 'tired'::mood END::text; END $$;
    CREATE FUNCTION known(name text) RETURNS boolean LANGUAGE plpgsql AS
        $$ BEGIN RETURN EXISTS (SELECT FROM bounds AS l WHERE l.name = known.name); END $$;
    CREATE FUNCTION harmless(price int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT abs(price)';
    CREATE FUNCTION qualified(price int) RETURNS boolean LANGUAGE sql AS
        'SELECT price <= (SELECT max(l.most) FROM public.bounds l)';
    CREATE FUNCTION with_path(price int) RETURNS boolean LANGUAGE sql SET search_path = public AS
        'SELECT price <= (SELECT max(bounds.most) FROM bounds)';
    CREATE DOMAIN limit_name AS text CHECK (known(VALUE));
    CREATE TABLE items (id int PRIMARY KEY, price int CONSTRAINT affordable CHECK (allowed(price)),
        twice int GENERATED ALWAYS AS (doubled(price)) STORED, limited_by limit_name,
        CHECK (qualified(price) AND with_path(price) AND harmless(price) > 0));
    INSERT INTO items (id, price, limited_by) SELECT i, i, 'price' FROM generate_series(1, 10) AS i";

/// Uses such functions in an index and in a materialized view. Since version 17, Postgres refuses to create these,
/// because it does not use the search path for them.
const OBJECTS_BEFORE_17: &str = "CREATE INDEX items_mood ON items (mood_of(price));
    CREATE MATERIALIZED VIEW expensive AS SELECT id, most('price') FROM items";

#[tokio::test]
async fn schema_with_unqualified_names_is_verified_and_the_owner_is_warned() {
    let app = TestApp::builder().first_party_plugins().start().await;
    let project = app.create_project("unqualified").await;
    project.sql(OBJECTS).await;
    let mut expected = vec![
        ("public.allowed(integer)", "constraint affordable on table public.items"),
        ("public.doubled(integer)", "default value for column twice of table public.items"),
        ("public.known(text)", "constraint limit_name_check"),
    ];
    if major_version() < 17 {
        project.sql(OBJECTS_BEFORE_17).await;
        expected.push(("public.mood_of(integer)", "index public.items_mood"));
        expected.push(("public.most(text)", "materialized view public.expensive"));
    }
    let backup = create_backup(&app, &format!("project:{}", project.id)).await;
    let path = format!("/admin/v1/runs/{}/log", backup["runId"].as_str().unwrap());
    let (status, log) = app.admin().get(&path).await;
    assert_eq!(status, StatusCode::OK, "{log}");
    let lines = log["items"].as_array().unwrap();
    let warnings: Vec<&str> =
        lines.iter().filter(|line| line["level"] == "warn").map(|line| line["message"].as_str().unwrap()).collect();
    for &(function, used_by) in &expected {
        let warning = warnings.iter().find(|warning| warning.contains(&format!("function {function}")));
        let warning = warning.unwrap_or_else(|| panic!("{function} is not in {warnings:#?}"));
        assert!(warning.contains(used_by), "{warning}");
        assert!(warning.contains(&format!("ALTER FUNCTION {function} SET search_path = public")), "{warning}");
    }
    assert_eq!(warnings.len(), expected.len(), "{warnings:#?}");

    let run = verify(&app, &backup).await;
    assert_eq!(run["status"], "success", "{run}");
    assert_eq!(run["result"]["verified"][0]["rows"], json!(11), "{run}");
    assert_eq!(state(&app, &backup).await["state"], "verified");

    // The project is unchanged: the warning about a function ends only when the owner sets its search path.
    project.sql("ALTER FUNCTION allowed(int) SET search_path = public").await;
    let backup = create_backup(&app, &format!("project:{}", project.id)).await;
    let path = format!("/admin/v1/runs/{}/log", backup["runId"].as_str().unwrap());
    let (_, log) = app.admin().get(&path).await;
    assert!(!log.to_string().contains("public.allowed(integer)"), "{log}");
    assert!(log.to_string().contains("public.doubled(integer)"), "{log}");
}

/// Returns the functions of schema `public` that have settings, each with its settings.
async fn functions_with_settings(project: &TestProject) -> Vec<String> {
    sqlx::query_scalar(
        "SELECT proname || ' ' || array_to_string(proconfig, ',') FROM pg_proc
         WHERE pronamespace = 'public'::regnamespace AND proconfig IS NOT NULL ORDER BY 1",
    )
    .fetch_all(&mut project.connect().await)
    .await
    .unwrap()
}

async fn count(project: &TestProject, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(&mut project.connect().await).await.unwrap()
}

/// Runs a statement that must fail, and returns the error.
async fn refusal(project: &TestProject, sql: &'static str) -> String {
    sqlx::raw_sql(sql).execute(&mut project.connect().await).await.unwrap_err().to_string()
}

#[tokio::test]
async fn schema_with_unqualified_names_is_restored_and_its_functions_keep_their_settings() {
    let app = TestApp::builder().first_party_plugins().start().await;
    let project = app.create_project("restored").await;
    project.sql(OBJECTS).await;
    if major_version() < 17 {
        project.sql(OBJECTS_BEFORE_17).await;
    }
    project.sql("ALTER FUNCTION allowed(int) SET search_path = public").await;
    let settings = ["allowed search_path=public", "with_path search_path=public"];
    assert_eq!(functions_with_settings(&project).await, settings);
    let backup = create_backup(&app, &format!("project:{}", project.id)).await;
    project.sql("DELETE FROM items WHERE id > 3; ALTER FUNCTION doubled(int) SET search_path = public").await;

    let (done, run) = confirm(&app, &plan(&app, &backup, &project).await, &project).await;
    assert_eq!((&run["status"], &done["state"]), (&json!("success"), &json!("done")), "{run} {done}");
    assert_eq!(done["leftOut"], json!([]), "{done}");
    assert_eq!(functions_with_settings(&project).await, settings);
    assert_eq!(count(&project, "SELECT count(*) FROM items WHERE twice = 2 * price").await, 10);
    assert_eq!(count(&project, "SELECT count(*) FROM pg_constraint WHERE NOT convalidated").await, 0);
    // The functions work: a price above the limit and an unknown limit are refused.
    let error = refusal(&project, "INSERT INTO items (id, price, limited_by) VALUES (11, 101, 'price')").await;
    assert!(error.contains("violates check constraint \"affordable\""), "{error}");
    let error = refusal(&project, "INSERT INTO items (id, price, limited_by) VALUES (11, 1, 'weight')").await;
    assert!(error.contains("violates check constraint \"limit_name_check\""), "{error}");
}

#[tokio::test]
async fn constraint_that_needs_another_schema_is_left_out_until_its_function_sets_the_search_path() {
    let app = TestApp::builder().first_party_plugins().start().await;
    let project = app.create_project("other schema").await;
    // While a restore loads, functions without a `search_path` find only the tables of schema `public`.
    project
        .sql(
            "CREATE SCHEMA other; CREATE TABLE other.rates (rate int); INSERT INTO other.rates VALUES (2);
             CREATE FUNCTION rated(x int) RETURNS int LANGUAGE plpgsql AS
                 $$ BEGIN RETURN x * (SELECT rate FROM rates); END $$;
             CREATE TABLE items (x int CONSTRAINT rated CHECK (rated(x) > 0));
             SET search_path = other, public; INSERT INTO items VALUES (1), (2)",
        )
        .await;
    let target = format!("project:{}", project.id);
    let backup = create_backup(&app, &target).await;
    let reason = "CHECK CONSTRAINT public.items rated: relation \"rates\" does not exist";
    let (failed, _) = confirm(&app, &plan(&app, &backup, &project).await, &project).await;
    assert_eq!((&failed["state"], &failed["leftOut"]), (&json!("failed"), &json!([])), "{failed}");
    assert!(failed["errorText"].as_str().unwrap().contains(reason), "{failed}");

    let planned = plan(&app, &backup, &project).await;
    let request = json!({ "confirm": project.name, "skipFailedObjects": true });
    let (status, body) = app.admin().post(&path_of(&planned, "/confirm"), request).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{body}");
    assert_eq!(ended_run(&app, body["runId"].as_str().unwrap()).await["status"], "success");
    let done = restore_of(&app, &planned).await;
    assert_eq!(done["state"], "done", "{done}");
    assert_eq!(done["leftOut"], json!([format!("{reason}; the constraint is NOT VALID now")]), "{done}");
    let not_valid = "SELECT count(*) FROM pg_constraint WHERE conname = 'rated' AND NOT convalidated";
    assert_eq!(count(&project, not_valid).await, 1);
    assert_eq!(count(&project, "SELECT count(*) FROM items").await, 2);

    // With the setting, nothing is left out, and the constraint is checked again.
    project
        .sql(
            "ALTER FUNCTION rated(int) SET search_path = other;
             ALTER TABLE items VALIDATE CONSTRAINT rated",
        )
        .await;
    let backup = create_backup(&app, &target).await;
    let (done, run) = confirm(&app, &plan(&app, &backup, &project).await, &project).await;
    assert_eq!((&done["state"], &done["leftOut"]), (&json!("done"), &json!([])), "{run} {done}");
    assert_eq!(count(&project, not_valid).await, 0);
    assert_eq!(functions_with_settings(&project).await, ["rated search_path=other"]);
    let error = refusal(&project, "INSERT INTO items VALUES (-1)").await;
    assert!(error.contains("violates check constraint \"rated\""), "{error}");
}

#[tokio::test]
async fn archive_that_cannot_be_loaded_marks_the_backup_as_failed() {
    let app = TestApp::builder().first_party_plugins().start().await;
    let project = app.create_project("broken").await;
    // The function fails outside of the project's own database.
    project
        .sql(
            "CREATE FUNCTION here(x int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN
                 IF current_database() NOT LIKE 'proj_%' THEN RAISE EXCEPTION 'not at home'; END IF; RETURN x; END $$;
             CREATE TABLE items AS SELECT 1 AS x; CREATE INDEX at_home ON items (here(x));",
        )
        .await;
    let backup = create_backup(&app, &format!("project:{}", project.id)).await;
    sqlx::query("UPDATE backups SET state = 'verified', verified_at = now() WHERE id = $1::uuid")
        .bind(backup["id"].as_str().unwrap())
        .execute(app.app.platform())
        .await
        .unwrap();
    assert_eq!(verify(&app, &backup).await["status"], "fail");
    let failed = state(&app, &backup).await;
    assert_eq!(failed["state"], "failed", "{failed}");
    assert!(failed["errorText"].as_str().unwrap().contains("not at home"), "{failed}");
    assert!(failed["failedAt"].is_string(), "{failed}");
}
