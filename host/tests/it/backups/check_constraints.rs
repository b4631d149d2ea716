//! Restores of check constraints whose functions read tables that are loaded later.

use serde_json::{Value, json};

use crate::{
    backups::restore::{confirm, plan},
    backups::verify::{create_backup, state, verify},
    support::{TestApp, TestProject},
};

/// SQL that creates check constraints of every kind. Their functions read the table `zones`, whose rows come last.
const OBJECTS: &str = r#"CREATE TABLE zones (name text PRIMARY KEY, open boolean NOT NULL);
    INSERT INTO zones VALUES ('a', true), ('b', true);
    CREATE FUNCTION is_open(name text) RETURNS boolean LANGUAGE sql STABLE AS
        'SELECT EXISTS (SELECT FROM public.zones z WHERE z.name = $1 AND z.open)';
    CREATE FUNCTION is_open_or(name text, fallback boolean) RETURNS boolean LANGUAGE plpgsql STABLE AS
        $$ BEGIN RETURN fallback OR EXISTS (SELECT FROM zones z WHERE z.name = is_open_or.name AND z.open); END $$;
    CREATE OPERATOR ##> (LEFTARG = text, RIGHTARG = boolean, FUNCTION = is_open_or);
    CREATE FUNCTION is_short(tag text) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT pg_catalog.length(tag) < 9';
    CREATE DOMAIN zone_name AS text CONSTRAINT known CHECK (is_open(VALUE));
    COMMENT ON CONSTRAINT known ON DOMAIN zone_name IS 'name of an open zone';
    CREATE DOMAIN tag AS text CONSTRAINT short CHECK (is_short(VALUE));
    CREATE TABLE items (id int PRIMARY KEY, zone text CONSTRAINT "in a ""zone""" CHECK (is_open(zone)),
        by_operator text CONSTRAINT by_operator CHECK (by_operator ##> false), by_domain zone_name, tags tag[],
        CONSTRAINT plain CHECK (id > 0));
    COMMENT ON CONSTRAINT "in a ""zone""" ON items IS 'the "zone"; it''s open';
    INSERT INTO items VALUES (1, 'a', 'a', 'a', '{x}'), (2, 'b', 'b', 'b', NULL);
    CREATE TABLE parents (zone text, CONSTRAINT inherited CHECK (is_open(zone)),
        CONSTRAINT for_parents CHECK (is_open(zone)) NO INHERIT);
    CREATE TABLE children (CONSTRAINT inherited CHECK (is_open(zone))) INHERITS (parents);
    CREATE TABLE heirs () INHERITS (parents);
    INSERT INTO parents VALUES ('a'); INSERT INTO children VALUES ('a'); INSERT INTO heirs VALUES ('b');
    CREATE TABLE parts (day date NOT NULL, zone text, CONSTRAINT in_zone CHECK (is_open(zone)))
        PARTITION BY RANGE (day);
    CREATE TABLE parts_2026 PARTITION OF parts FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
    INSERT INTO parts VALUES ('2026-05-05', 'a');
    CREATE TABLE old (zone text); INSERT INTO old VALUES ('closed long ago');
    ALTER TABLE old ADD CONSTRAINT since_now CHECK (is_open(zone)) NOT VALID;
    COMMENT ON CONSTRAINT since_now ON old IS 'for new rows'"#;

/// Returns each check constraint with its table or domain, definition, validity, inheritance and comment.
async fn constraints(project: &TestProject) -> Vec<String> {
    sqlx::query_scalar(
        "SELECT concat_ws('|', conrelid::regclass, contypid::regtype, conname, pg_get_constraintdef(oid), convalidated,
                          conislocal, coninhcount, obj_description(oid, 'pg_constraint'))
         FROM pg_constraint WHERE contype = 'c' AND connamespace = 'public'::regnamespace ORDER BY 1",
    )
    .fetch_all(&mut project.connect().await)
    .await
    .unwrap()
}

/// Restores a backup. Returns the list of objects that were left out.
async fn restore(app: &TestApp, backup: &Value, project: &TestProject) -> Vec<String> {
    let (done, run) = confirm(app, &plan(app, backup, project).await, project).await;
    assert_eq!((&run["status"], &done["state"]), (&json!("success"), &json!("done")), "{run} {done}");
    let left_out = run["result"]["leftOut"].as_array().unwrap();
    left_out.iter().map(|item| item.as_str().unwrap().to_owned()).collect()
}

async fn assert_is_refused(project: &TestProject, sql: &str) {
    let (_, body) = project.admin().post(&project.path("/sql"), json!({ "sql": sql })).await;
    assert_eq!(body["error"]["details"]["sqlstate"], "23514", "{sql}: {body}");
}

#[tokio::test]
async fn check_constraints_whose_functions_read_later_tables_are_restored_unchanged() {
    let app = TestApp::builder().first_party_plugins().start().await;
    let project = app.create_project("zones").await;
    project.sql(OBJECTS).await;
    let backup = create_backup(&app, &format!("project:{}", project.id)).await;
    let verified = verify(&app, &backup).await;
    assert_eq!(verified["status"], "success", "{verified}");
    assert_eq!(state(&app, &backup).await["state"], "verified");
    let before = constraints(&project).await;
    assert_eq!(restore(&app, &backup, &project).await, Vec::<String>::new());
    assert_eq!(constraints(&project).await, before);
    assert_is_refused(&project, "INSERT INTO items (id, zone) VALUES (3, 'none')").await;
    assert_is_refused(&project, "INSERT INTO items (id, by_domain) VALUES (3, 'none')").await;
    assert_is_refused(&project, "INSERT INTO children VALUES ('none')").await;
    assert_is_refused(&project, "INSERT INTO parts VALUES ('2026-05-05', 'none')").await;
}

#[tokio::test]
async fn check_constraints_that_rows_violate_become_not_valid_and_are_listed() {
    let app = TestApp::builder().first_party_plugins().start().await;
    let project = app.create_project("closed zones").await;
    project.sql(OBJECTS).await;
    // Rows of other tables now violate their constraints, because Postgres does not check these again.
    project.sql("UPDATE zones SET open = false WHERE name = 'b'").await;
    let backup = create_backup(&app, &format!("project:{}", project.id)).await;
    let verified = verify(&app, &backup).await;
    assert_eq!(verified["status"], "success", "{verified}");
    let before = constraints(&project).await;
    let mut left_out = restore(&app, &backup, &project).await;
    left_out.sort();
    let expected = [
        "CHECK CONSTRAINT public.children inherited: ",
        "CHECK CONSTRAINT public.items by_operator: ",
        "CHECK CONSTRAINT public.items in a \"zone\": ",
        "CHECK CONSTRAINT public.parents inherited: ",
        "CHECK CONSTRAINT public.zone_name known: ",
    ];
    assert_eq!(left_out.len(), expected.len(), "{left_out:#?}");
    for (left_out, expected) in left_out.iter().zip(expected) {
        assert!(left_out.starts_with(expected) && left_out.ends_with("NOT VALID now"), "{left_out} {expected}");
    }
    // Only the listed constraints changed, and the one that `heirs` only inherits. The comments are kept.
    let after = constraints(&project).await;
    let changed: Vec<_> = before.iter().filter(|constraint| !after.contains(constraint)).collect();
    assert_eq!(changed.len(), expected.len() + 1, "{changed:#?}");
    assert!(after.iter().any(|constraint| constraint.ends_with("|the \"zone\"; it's open")), "{after:#?}");
    assert_is_refused(&project, "INSERT INTO items (id, zone) VALUES (3, 'b')").await;
    assert_is_refused(&project, "INSERT INTO items (id, by_domain) VALUES (3, 'b')").await;
    assert_is_refused(&project, "INSERT INTO heirs VALUES ('b')").await;
}

/// Returns the warnings in the log of the run that made a backup.
async fn warnings(app: &TestApp, backup: &Value) -> Vec<String> {
    let (_, log) = app.admin().get(&format!("/admin/v1/runs/{}/log", backup["runId"].as_str().unwrap())).await;
    let lines = log["items"].as_array().unwrap().iter().filter(|line| line["level"] == "warn");
    lines.map(|line| line["message"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn owner_is_warned_of_check_constraints_that_a_plain_pg_restore_cannot_load() {
    let app = TestApp::builder().first_party_plugins().start().await;
    let project = app.create_project("warned").await;
    project.sql(OBJECTS).await;
    // The table that this function reads is loaded before the table with the constraint, so no warning is needed.
    project
        .sql(
            "CREATE TABLE a_first (name text);
             CREATE FUNCTION is_first(name text) RETURNS boolean LANGUAGE sql STABLE AS
                 'SELECT EXISTS (SELECT FROM public.a_first f WHERE f.name = $1)';
             CREATE TABLE second (name text CONSTRAINT after_first CHECK (is_first(name)))",
        )
        .await;
    let backup = create_backup(&app, &format!("project:{}", project.id)).await;
    let warned = warnings(&app, &backup).await;
    let remedy = "ALTER TABLE public.items DROP CONSTRAINT \"in a \"\"zone\"\"\", ADD CONSTRAINT \"in a \"\"zone\"\"\" \
                  CHECK (public.is_open(zone)) NOT VALID";
    let of_items = warned.iter().find(|warning| warning.ends_with(remedy));
    let of_items = of_items.unwrap_or_else(|| panic!("{warned:#?}"));
    assert!(of_items.contains("public.items") && of_items.contains("public.zones"), "{of_items}");
    assert!(of_items.contains("function public.is_open(text)"), "{of_items}");
    for expected in ["ALTER DOMAIN public.zone_name DROP CONSTRAINT known;", "a row of public.parts_2026 needs"] {
        assert!(warned.iter().any(|warning| warning.contains(expected)), "{expected}: {warned:#?}");
    }
    for harmless in ["since_now", "after_first", "is_short", "plain"] {
        assert!(!warned.iter().any(|warning| warning.contains(&format!("constraint {harmless}"))), "{warned:#?}");
    }

    project.sql(remedy).await;
    let backup = create_backup(&app, &format!("project:{}", project.id)).await;
    let warned = warnings(&app, &backup).await;
    assert!(!warned.iter().any(|warning| warning.contains("in a")), "{warned:#?}");
}

#[tokio::test]
async fn backup_succeeds_without_warnings_if_the_queries_that_find_them_fail() {
    let app = TestApp::builder().first_party_plugins().start().await;
    let project = app.create_project("hardened").await;
    project.sql(OBJECTS).await;
    // `pg_dump` doesn't call this function, but the queries for warnings do.
    sqlx::raw_sql("REVOKE EXECUTE ON FUNCTION pg_catalog.pg_describe_object(oid, oid, int) FROM PUBLIC")
        .execute(&mut project.connect().await)
        .await
        .unwrap();
    let backup = create_backup(&app, &format!("project:{}", project.id)).await;
    assert_eq!(warnings(&app, &backup).await, Vec::<String>::new());
    let before = constraints(&project).await;
    assert_eq!(restore(&app, &backup, &project).await, Vec::<String>::new());
    assert_eq!(constraints(&project).await, before);
}
