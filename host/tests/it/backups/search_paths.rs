//! Backups of schemas whose functions name tables without a schema: the owner is warned, and the backup can be
//! verified. A backup whose archive can't be loaded is marked as failed.

use reqwest::StatusCode;
use serde_json::json;

use crate::{
    backups::verify::{create_backup, state, verify},
    support::{TestApp, major_version},
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
