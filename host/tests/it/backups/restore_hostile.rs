//! An archive can contain arbitrary SQL. It can't damage the project, other projects or the server.

use reqwest::StatusCode;
use serde_json::json;

use crate::{
    backups::end_to_end::ended_run,
    backups::restore::{
        confirm, other_databases, path_of, plan, restore_of, start, until_no_other_database_is_left,
        until_no_restore_database_is_left,
    },
    backups::verify::create_backup,
    support::{TestApp, TestProject, eventually},
};

/// Returns SQL that creates a check constraint whose function runs `body`, but only in a database that a restore loads.
/// The function is volatile, because Postgres lets only volatile functions change anything.
fn hostile(body: &str) -> String {
    format!(
        "CREATE FUNCTION public.hostile(x int) RETURNS boolean VOLATILE LANGUAGE plpgsql AS $f$
         DECLARE worked text := ''; attempt text;
         BEGIN IF current_database() NOT LIKE '%\\_restore\\_%' THEN RETURN true; END IF; {body} RETURN true; END $f$;
         CREATE TABLE trap (x int CHECK (public.hostile(x))); INSERT INTO trap VALUES (1);"
    )
}

async fn project_with_rows(app: &TestApp, name: &str) -> TestProject {
    let project = app.create_project(name).await;
    project.sql("CREATE TABLE items (id int PRIMARY KEY); INSERT INTO items VALUES (1)").await;
    project.expose("items", "read", "none").await;
    project
}

async fn assert_all_keys_work(project: &TestProject) {
    for client in [project.secret(), project.publishable()] {
        let (status, body) = client.get("/v1/db/items").await;
        assert_eq!((status, &body["rows"]), (StatusCode::OK, &json!([{ "id": 1 }])), "{body}");
    }
    let (status, body) = project.admin().post(&project.path("/sql"), json!({ "sql": "SELECT id FROM items" })).await;
    assert_eq!(status, StatusCode::OK, "{body}");
}

#[tokio::test]
async fn hostile_sql_in_an_archive_fails_and_the_restore_changes_nothing() {
    let app = TestApp::builder().first_party_plugins().start().await;
    let (project, other) = (project_with_rows(&app, "hostile").await, project_with_rows(&app, "other").await);
    let (evil, file) = (format!("evil_{}", project.id), std::env::temp_dir().join(format!("evil-{}", project.id)));
    let attempts = format!(
        "FOREACH attempt IN ARRAY ARRAY['CREATE ROLE {evil} SUPERUSER', 'CREATE DATABASE {evil}',
             'ALTER ROLE postgres PASSWORD NULL', 'ALTER ROLE CURRENT_USER CREATEROLE',
             'COPY (SELECT 1) TO PROGRAM ''touch {file}''', 'COPY (SELECT 1) TO ''{file}''',
             'SELECT pg_catalog.pg_read_file(''PG_VERSION'')', 'SET ROLE proj_{id}_app',
             'SET ROLE proj_{other}_owner', 'CREATE EXTENSION dblink', 'CREATE EXTENSION file_fdw',
             'SELECT rolpassword FROM pg_catalog.pg_authid', 'GRANT proj_{other}_owner TO CURRENT_USER',
             'DROP DATABASE proj_{id}', 'ALTER DATABASE proj_{id} RENAME TO {evil}',
             'CREATE EVENT TRIGGER {evil} ON ddl_command_start EXECUTE FUNCTION pg_catalog.trigger_in()',
             'GRANT CONNECT ON DATABASE proj_{other} TO CURRENT_USER']
         LOOP
             BEGIN EXECUTE attempt; worked := worked || attempt; EXCEPTION WHEN OTHERS THEN NULL; END;
         END LOOP;
         RAISE EXCEPTION 'these attempts worked: <%>', worked;",
        file = file.display(),
        id = project.id,
        other = other.id,
    );
    project.sql(&hostile(&attempts)).await;
    let backup = create_backup(&app, &format!("project:{}", project.id)).await;
    let (failed, _) = confirm(&app, &plan(&app, &backup, &project).await, &project).await;
    assert_eq!(failed["state"], "failed", "{failed}");
    assert!(failed["errorText"].as_str().unwrap().contains("these attempts worked: <>"), "{failed}");
    assert!(!file.exists());
    until_no_other_database_is_left(&project).await;
    assert_all_keys_work(&project).await;
    assert_all_keys_work(&other).await;
}

#[tokio::test]
async fn archive_that_locks_its_owner_out_leaves_the_project_usable() {
    let app = TestApp::builder().first_party_plugins().start().await;
    let project = project_with_rows(&app, "locked out").await;
    let role = format!("proj_{}_owner", project.id);
    // Postgres allows any role to change itself in this way.
    let change = format!(
        "EXECUTE 'ALTER ROLE {role} PASSWORD ''x'''; EXECUTE 'ALTER ROLE {role} SET role = nobody';
         EXECUTE 'ALTER ROLE {role} SET statement_timeout = 1';"
    );
    project.sql(&hostile(&change)).await;
    let backup = create_backup(&app, &format!("project:{}", project.id)).await;
    let (done, run) = confirm(&app, &plan(&app, &backup, &project).await, &project).await;
    assert_eq!((&run["status"], &done["state"]), (&json!("success"), &json!("done")), "{run}");
    assert_all_keys_work(&project).await;
    // `DROP OWNED` revokes the access to all databases.
    let change = "EXECUTE 'DROP OWNED BY CURRENT_USER'; RAISE EXCEPTION 'after DROP OWNED';";
    project.sql(&format!("DROP TABLE trap; DROP FUNCTION hostile(int); {}", hostile(change))).await;
    let backup = create_backup(&app, &format!("project:{}", project.id)).await;
    let (failed, _) = confirm(&app, &plan(&app, &backup, &project).await, &project).await;
    assert_eq!(failed["state"], "failed", "{failed}");
    until_no_restore_database_is_left(&project).await;
    assert_all_keys_work(&project).await;
}

#[tokio::test]
async fn cancelled_restore_leaves_no_database_and_an_unchanged_project() {
    let app = TestApp::builder().first_party_plugins().start().await;
    let project = project_with_rows(&app, "endless").await;
    project.sql(&hostile("LOOP PERFORM pg_catalog.pg_sleep(1); END LOOP;")).await;
    let backup = create_backup(&app, &format!("project:{}", project.id)).await;
    let planned = plan(&app, &backup, &project).await;
    let run = start(&app, &planned, "/confirm", &project).await;
    eventually("the function of the constraint runs", async || {
        let looping: bool = sqlx::query_scalar(
            "SELECT EXISTS (SELECT FROM pg_stat_activity
                            WHERE starts_with(datname, $1) AND query LIKE 'ALTER TABLE public.trap ADD CONSTRAINT%')",
        )
        .bind(format!("proj_{}_restore_", project.id))
        .fetch_one(app.app.platform())
        .await
        .unwrap();
        looping.then_some(())
    })
    .await;
    assert_eq!(restore_of(&app, &planned).await["state"], "loading");
    // The project works. Only its owner and its backup role may connect to the new database.
    assert_all_keys_work(&project).await;
    let allowed: Vec<String> = sqlx::query_scalar(
        "SELECT rolname::text FROM pg_roles WHERE NOT rolsuper AND starts_with(rolname, 'proj_')
             AND has_database_privilege(oid, $1, 'CONNECT') ORDER BY 1",
    )
    .bind(&other_databases(&project).await[0])
    .fetch_all(app.app.platform())
    .await
    .unwrap();
    assert_eq!(allowed, ["backup", "owner"].map(|role| format!("proj_{}_{role}", project.id)));
    // Meanwhile, a second restore and the removal of this restore are refused.
    let second = plan(&app, &backup, &project).await;
    let path = path_of(&second, "/confirm");
    assert_eq!(app.admin().post(&path, json!({ "confirm": "endless" })).await.0, StatusCode::CONFLICT);
    let path = path_of(&planned, "");
    assert_eq!(app.admin().delete(&path).await.0, StatusCode::CONFLICT);

    let (status, body) = app.admin().post(&format!("/admin/v1/runs/{run}/cancel"), json!({})).await;
    assert!(status.is_success(), "{body}");
    assert_eq!(ended_run(&app, &run).await["status"], "cancelled");
    assert_eq!(restore_of(&app, &planned).await["state"], "cancelled");
    let (_, body) = app.admin().post(&format!("/admin/v1/runs/{run}/again"), json!({})).await;
    assert_eq!(body["error"]["message"], "The restore can't be started: it was cancelled.");
    until_no_other_database_is_left(&project).await;
    assert_all_keys_work(&project).await;
}

#[tokio::test]
async fn progress_says_that_indexes_are_created_after_the_archive_was_read() {
    let app = TestApp::builder().first_party_plugins().start().await;
    let project = app.create_project("indexes").await;
    project
        .sql(
            "CREATE FUNCTION slow(x int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN
                 IF current_database() LIKE '%_restore_%' THEN PERFORM pg_catalog.pg_sleep(600); END IF;
                 RETURN x;
             END $$;
             CREATE TABLE items AS SELECT 1 AS id; CREATE INDEX ON items (slow(id))",
        )
        .await;
    let backup = create_backup(&app, &format!("project:{}", project.id)).await;
    let run = start(&app, &plan(&app, &backup, &project).await, "/confirm", &project).await;
    let progress = eventually("the index is created", async || {
        let (_, run) = app.admin().get(&format!("/admin/v1/runs/{run}")).await;
        (run["progress"]["message"] == "Creating indexes and constraints").then(|| run["progress"].clone())
    })
    .await;
    assert_eq!((&progress["done"], &progress["total"]), (&backup["sizeBytes"], &backup["sizeBytes"]));
    let (status, body) = app.admin().post(&format!("/admin/v1/runs/{run}/cancel"), json!({})).await;
    assert!(status.is_success(), "{body}");
    assert_eq!(ended_run(&app, &run).await["status"], "cancelled");
}
