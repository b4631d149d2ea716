//! Restores of backups: plan, confirmation, swap, rollback, removal.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::{
    backups::end_to_end::ended_run,
    backups::verify::{create_backup, project_with_objects},
    projects::gate::user_token,
    support::{Postgres, TestApp, TestProject, bin_dir, code, eventually, major_version},
};

/// Plans the restore of a backup into a project.
pub(crate) async fn plan(app: &TestApp, backup: &Value, project: &TestProject) -> Value {
    let path = format!("/admin/v1/backups/{}/restore", backup["id"].as_str().unwrap());
    let (status, restore) = app.admin().post(&path, json!({ "projectId": project.id })).await;
    assert_eq!(status, StatusCode::CREATED, "{restore}");
    restore
}

pub(crate) fn path_of(restore: &Value, rest: &str) -> String {
    format!("/admin/v1/restores/{}{rest}", restore["id"].as_str().unwrap())
}

/// Starts `confirm` or `rollback` of a restore. Returns the id of its run.
pub(crate) async fn start(app: &TestApp, restore: &Value, action: &str, project: &TestProject) -> String {
    let (status, body) = app.admin().post(&path_of(restore, action), json!({ "confirm": project.name })).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{body}");
    body["runId"].as_str().unwrap().to_owned()
}

pub(crate) async fn restore_of(app: &TestApp, restore: &Value) -> Value {
    let (status, restore) = app.admin().get(&path_of(restore, "")).await;
    assert_eq!(status, StatusCode::OK, "{restore}");
    restore
}

/// Confirms a restore and waits for its end. Returns the restore and its run.
pub(crate) async fn confirm(app: &TestApp, restore: &Value, project: &TestProject) -> (Value, Value) {
    let run = ended_run(app, &start(app, restore, "/confirm", project).await).await;
    (restore_of(app, restore).await, run)
}

/// Returns the names of the databases that belong to a project, besides its own.
pub(crate) async fn other_databases(project: &TestProject) -> Vec<String> {
    let mut connection = project.connect().await;
    sqlx::query_scalar("SELECT datname::text FROM pg_database WHERE starts_with(datname, $1) ORDER BY 1")
        .bind(format!("proj_{}_", project.id))
        .fetch_all(&mut connection)
        .await
        .unwrap()
}

pub(crate) async fn until_no_other_database_is_left(project: &TestProject) {
    eventually("the removal of the restore's database", async || {
        other_databases(project).await.is_empty().then_some(())
    })
    .await;
}

/// Waits until no database is left that a restore was loading.
pub(crate) async fn until_no_restore_database_is_left(project: &TestProject) {
    eventually("the removal of the restore's database", async || {
        let databases = other_databases(project).await;
        databases.iter().all(|name| !name.contains("_restore_")).then_some(())
    })
    .await;
}

/// Dumps a database as SQL.
fn sql_of(database: &str) -> String {
    let output = std::process::Command::new(bin_dir().join("pg_dump"))
        .args(["--no-publications", &format!("--dbname={}", Postgres::shared().url(database))])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with("\\restrict") && !line.starts_with("\\unrestrict"));
    lines.collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn backup_is_restored_after_confirmation_and_rolled_back() {
    let app = TestApp::builder().first_party_plugins().start().await;
    let project = app.create_project("Shop").await;
    project.sql("CREATE TABLE items (id int PRIMARY KEY, name text); INSERT INTO items VALUES (1, 'old')").await;
    let backup = create_backup(&app, &format!("project:{}", project.id)).await;
    project
        .sql("UPDATE items SET name = 'new'; INSERT INTO items VALUES (2, 'newer'); CREATE TABLE later (x int)")
        .await;
    let names = async || {
        let (status, body) = project.secret().get("/v1/db/items?select=name&order=id").await;
        assert_eq!(status, StatusCode::OK, "{body}");
        body["rows"].clone()
    };

    let planned = plan(&app, &backup, &project).await;
    assert_eq!((&planned["state"], &planned["projectId"]), (&json!("planned"), &json!(project.id)), "{planned}");
    assert_eq!(planned["source"], json!({ "backupId": backup["id"] }));
    assert_eq!(planned["plan"]["tables"], json!([{ "schema": "public", "table": "items", "rows": 1 }]));
    assert_eq!(planned["plan"]["sizeBytes"], backup["sizeBytes"]);
    assert!(planned["plan"]["serverVersion"].is_string() && planned["plan"]["warnings"].is_array(), "{planned}");
    for field in ["previousDatabase", "runId", "errorText", "finishedAt"] {
        assert_eq!(planned[field], Value::Null, "{field}");
    }
    assert_eq!(other_databases(&project).await, Vec::<String>::new());
    for request in [Some(json!({ "confirm": "shop" })), Some(json!({})), None] {
        for action in ["/confirm", "/rollback"] {
            let path = path_of(&planned, action);
            let (status, body) = app.admin().send(reqwest::Method::POST, &path, request.clone()).await;
            assert_eq!((status, code(&body)), (StatusCode::BAD_REQUEST, "confirmation_required"), "{body}");
        }
    }

    let (done, run) = confirm(&app, &planned, &project).await;
    assert_eq!((&run["status"], &run["projectId"]), (&json!("success"), &json!(project.id)), "{run}");
    assert_eq!((&done["state"], &done["runId"]), (&json!("done"), &run["id"]), "{done}");
    let previous = done["previousDatabase"].as_str().unwrap();
    assert!(previous.starts_with(&format!("proj_{}_before_", project.id)), "{done}");
    assert_eq!(names().await, json!([{ "name": "old" }]));
    assert_eq!(project.secret().get("/v1/db/later").await.0, StatusCode::NOT_FOUND);
    let (status, body) = project.secret().post("/v1/db/items", json!({ "rows": [{ "id": 3, "name": "after" }] })).await;
    assert_eq!(status, StatusCode::CREATED, "{body}");
    let (status, body) = app.admin().post(&path_of(&planned, "/confirm"), json!({ "confirm": "Shop" })).await;
    assert_eq!((status, code(&body)), (StatusCode::CONFLICT, "conflict"), "{body}");

    let run = ended_run(&app, &start(&app, &planned, "/rollback", &project).await).await;
    assert_eq!(run["status"], "success", "{run}");
    let rolled_back = restore_of(&app, &planned).await;
    assert_eq!(rolled_back["state"], "rolledBack", "{rolled_back}");
    let (_, page) = app.admin().get("/admin/v1/audit?action=restore.finish").await;
    let details: Vec<_> = page["items"].as_array().unwrap().iter().map(|entry| &entry["details"]).collect();
    assert_eq!(details, [&json!({ "rolledBack": true }), &json!({ "leftOut": 0 })]);
    assert_eq!(names().await, json!([{ "name": "new" }, { "name": "newer" }]));
    // The database with the changes since the restore is kept until the owner removes it.
    assert_eq!(other_databases(&project).await, [rolled_back["previousDatabase"].as_str().unwrap()]);
    let (status, body) = app.admin().delete(&path_of(&planned, "")).await;
    assert_eq!(status, StatusCode::NO_CONTENT, "{body}");
    assert_eq!(other_databases(&project).await, Vec::<String>::new());
    assert_eq!(restore_of(&app, &planned).await["previousDatabase"], Value::Null);
    let (status, body) = app.admin().post(&path_of(&planned, "/rollback"), json!({ "confirm": "Shop" })).await;
    assert_eq!(status, StatusCode::CONFLICT, "{body}");
    assert_eq!(body["error"]["message"], "The restore was rolled back; there is nothing to roll back.");
    let (_, page) = app.admin().get(&format!("/admin/v1/restores?projectId={}", project.id)).await;
    assert_eq!(page["items"].as_array().unwrap().len(), 1, "{page}");
    assert_eq!(app.admin().get("/admin/v1/restores?projectId=another").await.1["items"], json!([]));
}

#[tokio::test]
async fn every_kind_of_object_is_restored_unchanged() {
    let app = TestApp::builder().first_party_plugins().start().await;
    let project = project_with_objects(&app, "complete").await;
    project
        .sql(&format!(
            "CREATE FUNCTION private() RETURNS int LANGUAGE sql AS 'SELECT 1';
             REVOKE ALL ON FUNCTION private() FROM PUBLIC;
             CREATE TABLE unreachable (id serial PRIMARY KEY); REVOKE ALL ON unreachable FROM proj_{id}_app;
             INSERT INTO unreachable DEFAULT VALUES;
             ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO proj_{id}_anon;
             CREATE POLICY closed ON notes AS RESTRICTIVE FOR SELECT TO proj_{id}_anon, proj_{id}_user
                 USING (text <> ';');
             ALTER TABLE notes ENABLE ROW LEVEL SECURITY; GRANT SELECT (id) ON notes TO proj_{id}_anon;
             GRANT USAGE ON SCHEMA \"Strange Schema\" TO proj_{id}_app; COMMENT ON SCHEMA public IS 'mine';
             CREATE RULE nothing AS ON DELETE TO unreachable DO INSTEAD NOTHING;
             CREATE SEQUENCE numbers START 5; SELECT nextval('numbers')",
            id = project.id
        ))
        .await;
    // Since version 17, Postgres creates no such view, because it does not use the search path for materialized views.
    if major_version() < 17 {
        project
            .sql(
                "CREATE FUNCTION most() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM people';
                 CREATE MATERIALIZED VIEW unqualified AS SELECT most() AS n",
            )
            .await;
    }
    let backup = create_backup(&app, &format!("project:{}", project.id)).await;
    let before = sql_of(&format!("proj_{}", project.id));
    let (done, run) = confirm(&app, &plan(&app, &backup, &project).await, &project).await;
    assert_eq!(run["status"], "success", "{run}");
    assert_eq!(run["result"]["leftOut"], json!([]), "{run}");
    let after = sql_of(&format!("proj_{}", project.id));
    let difference: Vec<_> = before.lines().zip(after.lines()).filter(|(before, after)| before != after).collect();
    assert!(before == after, "{difference:#?}");
    assert!(done["plan"]["warnings"].to_string().contains("PUBLICATION changes"), "{done}");
    let mut connection = project.connect().await;
    let owners: Vec<String> = sqlx::query_scalar(
        "SELECT DISTINCT pg_get_userbyid(relowner)::text FROM pg_class
         WHERE relnamespace IN ('public'::regnamespace, '\"Strange Schema\"'::regnamespace)",
    )
    .fetch_all(&mut connection)
    .await
    .unwrap();
    assert_eq!(owners, [format!("proj_{}_owner", project.id)]);
    // The project's owner still can't create extensions.
    let refused = app.admin().post(&project.path("/sql"), json!({ "sql": "CREATE EXTENSION hstore" })).await;
    assert_eq!(refused.0, StatusCode::BAD_REQUEST, "{refused:?}");
}

#[tokio::test]
async fn exposure_and_policies_apply_to_the_roles_of_another_project() {
    let app = TestApp::builder().first_party_plugins().start().await;
    let (source, target) = (app.create_project("source").await, app.create_project("target").await);
    source
        .sql(&format!(
            "CREATE TABLE open (id int PRIMARY KEY); INSERT INTO open VALUES (1);
             CREATE TABLE closed (id int PRIMARY KEY); GRANT SELECT ON open TO pg_monitor;
             CREATE TABLE notes (id int PRIMARY KEY, owner uuid);
             INSERT INTO notes VALUES (1, '7b0f8a4e-36c1-4c0b-9d4e-0a1c2e3f4a5b'), (2, gen_random_uuid());
             ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
             CREATE POLICY own ON notes TO proj_{}_user USING (owner = auth.uid())",
            source.id
        ))
        .await;
    source.expose("open", "read", "none").await;
    source.expose("notes", "none", "read").await;
    target.sql("CREATE TABLE present (id int PRIMARY KEY)").await;
    let backup = create_backup(&app, &format!("project:{}", source.id)).await;
    let planned = plan(&app, &backup, &target).await;
    assert!(planned["plan"]["warnings"].to_string().contains("`source`"), "{planned}");
    let (_, run) = confirm(&app, &planned, &target).await;
    assert_eq!(run["status"], "success", "{run}");
    let lost = "`GRANT SELECT ON TABLE public.open TO pg_monitor`: pg_monitor is not a role of the dumped project";
    assert_eq!(run["result"]["leftOut"], json!([lost]), "{run}");

    let (status, body) = target.publishable().get("/v1/db/open").await;
    assert_eq!((status, &body["rows"]), (StatusCode::OK, &json!([{ "id": 1 }])), "{body}");
    for table in ["closed", "notes", "present"] {
        assert!(target.publishable().get(&format!("/v1/db/{table}")).await.0.is_client_error(), "{table}");
    }
    let bearer = format!("Bearer {}", user_token(&app, &target, |_, _| {}).await);
    let user = target.publishable().with_header("authorization", &bearer);
    let (status, body) = user.get("/v1/db/notes?select=id").await;
    assert_eq!((status, &body["rows"]), (StatusCode::OK, &json!([{ "id": 1 }])), "{body}");
    assert_eq!(target.secret().get("/v1/db/notes").await.1["rows"].as_array().unwrap().len(), 2);
    // The secret key can use a table that is created after the restore.
    target.sql("CREATE TABLE later (id int PRIMARY KEY)").await;
    let body = eventually("the new table is known", async || {
        let (status, body) = target.secret().post("/v1/db/later", json!({ "rows": [{ "id": 1 }] })).await;
        (status == StatusCode::CREATED).then_some(body)
    })
    .await;
    assert_eq!(body["count"], 1, "{body}");
    // The source is unchanged, and none of its roles can connect to the target.
    assert_eq!(source.publishable().get("/v1/db/open").await.0, StatusCode::OK);
    let reachable: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM pg_roles r, pg_database d WHERE starts_with(r.rolname, $1) AND starts_with(d.datname, $2)
             AND has_database_privilege(r.oid, d.oid, 'CONNECT')",
    )
    .bind(format!("proj_{}_", source.id))
    .bind(format!("proj_{}", target.id))
    .fetch_one(&mut target.connect().await)
    .await
    .unwrap();
    assert_eq!(reachable, 0);
}

#[tokio::test]
async fn kept_database_is_closed_and_dropped_with_its_project() {
    let app = TestApp::builder().first_party_plugins().start().await;
    let project = app.create_project("deleted").await;
    project.sql("CREATE TABLE items (id int PRIMARY KEY)").await;
    let backup = create_backup(&app, &format!("project:{}", project.id)).await;
    let (done, run) = confirm(&app, &plan(&app, &backup, &project).await, &project).await;
    assert_eq!(run["status"], "success", "{run}");
    let previous = done["previousDatabase"].as_str().unwrap();
    let mut connection = project.connect().await;
    let reachable: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM pg_roles WHERE starts_with(rolname, $1) AND has_database_privilege(oid, $2, 'CONNECT')",
    )
    .bind(format!("proj_{}_", project.id))
    .bind(previous)
    .fetch_one(&mut connection)
    .await
    .unwrap();
    assert_eq!(reachable, 0);
    drop(connection);
    let planned = plan(&app, &backup, &project).await;
    let (status, body) = app.admin().delete_with(&project.path(""), json!({ "confirm": "deleted" })).await;
    assert_eq!(status, StatusCode::NO_CONTENT, "{body}");
    let left: i64 = sqlx::query_scalar(
        "SELECT (SELECT count(*) FROM pg_database WHERE starts_with(datname, $1))
              + (SELECT count(*) FROM pg_roles WHERE starts_with(rolname, $1))",
    )
    .bind(format!("proj_{}", project.id))
    .fetch_one(app.app.platform())
    .await
    .unwrap();
    assert_eq!(left, 0);
    assert_eq!(app.admin().get(&path_of(&planned, "")).await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn restore_does_not_count_a_table_into_which_postgres_inserted_the_expected_rows() {
    let app = TestApp::builder().first_party_plugins().start().await;
    let project = app.create_project("uncounted").await;
    project.sql("CREATE TABLE vacant (id int); CREATE TABLE items (id int); INSERT INTO items VALUES (1), (2)").await;
    // The materialized view is filled last, and waits until the inserted rows are in the statistics.
    project
        .sql(
            "CREATE FUNCTION inserted() RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN
               WHILE pg_stat_get_tuples_inserted('public.items'::regclass) < 2 LOOP
                 PERFORM pg_sleep(0.01); PERFORM pg_stat_clear_snapshot();
               END LOOP;
               RETURN 2;
             END $$;
             CREATE MATERIALIZED VIEW waits AS SELECT inserted()",
        )
        .await;
    let backup = create_backup(&app, &format!("project:{}", project.id)).await;
    let (restored, run) = confirm(&app, &plan(&app, &backup, &project).await, &project).await;
    assert_eq!((&run["result"]["rows"], &restored["state"]), (&json!(2), &json!("done")), "{run} {restored}");
    let scans = async |table: &str| -> i64 {
        let scans = "SELECT seq_scan FROM pg_stat_user_tables WHERE relname = $1";
        sqlx::query_scalar(scans).bind(table).fetch_one(&mut project.connect().await).await.unwrap()
    };
    assert_eq!(scans("items").await, 0);
    // Missing statistics look like those of a table without rows.
    eventually("the table without rows was counted", async || (scans("vacant").await > 0).then_some(())).await;
}

#[tokio::test]
async fn failed_check_leaves_the_project_unchanged() {
    let app = TestApp::builder().first_party_plugins().start().await;
    let project = app.create_project("checked").await;
    project.sql("CREATE TABLE items (id int PRIMARY KEY); INSERT INTO items VALUES (1)").await;
    let backup = create_backup(&app, &format!("project:{}", project.id)).await;
    project.sql("INSERT INTO items VALUES (2)").await;
    let planned = plan(&app, &backup, &project).await;
    sqlx::query("UPDATE restores SET plan = jsonb_set(plan, '{tables,0,rows}', '7') WHERE project_id = $1")
        .bind(&project.id)
        .execute(app.app.platform())
        .await
        .unwrap();
    let (failed, run) = confirm(&app, &planned, &project).await;
    assert_eq!((&run["status"], &failed["state"]), (&json!("fail"), &json!("failed")), "{run} {failed}");
    let error = failed["errorText"].as_str().unwrap();
    assert!(error.contains("public.items: 7 rows expected, 1 found") && error.contains("not changed"), "{error}");
    assert!(failed["finishedAt"].is_string() && failed["previousDatabase"].is_null(), "{failed}");
    until_no_other_database_is_left(&project).await;
    assert_eq!(project.secret().get("/v1/db/items").await.1["rows"].as_array().unwrap().len(), 2);

    // A dump that was changed after the plan is not loaded.
    let planned = plan(&app, &backup, &project).await;
    let (store, key) = (app.app.store(), backup["objectKey"].as_str().unwrap());
    let bucket = atlashub::object_store::PLATFORM_BUCKET;
    let mut bytes = store.get_small(bucket, key, 16 << 20).await.unwrap().to_vec();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    store.put_small(bucket, key, "application/octet-stream", bytes.into()).await.unwrap();
    let (failed, _) = confirm(&app, &planned, &project).await;
    assert!(failed["errorText"].as_str().unwrap().contains("changed since the restore was planned"), "{failed}");
    until_no_other_database_is_left(&project).await;
}

#[tokio::test]
async fn restores_that_cannot_be_planned_confirmed_or_rolled_back_are_refused() {
    let app = TestApp::builder().first_party_plugins().start().await;
    let project = app.create_project("refused").await;
    let backup = create_backup(&app, &format!("project:{}", project.id)).await;
    let platform = create_backup(&app, "platform").await;
    let unknown = "/admin/v1/restores/00000000-0000-7000-8000-000000000000";
    let post = async |path: &str, body: Value| {
        let (status, body) = app.admin().post(path, body).await;
        (status.as_u16(), code(&body).to_owned())
    };
    let restore_path = |backup: &Value| format!("/admin/v1/backups/{}/restore", backup["id"].as_str().unwrap());
    let into = |project: &str| json!({ "projectId": project });
    assert_eq!(post(&restore_path(&platform), into(&project.id)).await, (422, "unprocessable".to_owned()));
    assert_eq!(post(&restore_path(&backup), into("nosuchproject")).await, (404, "not_found".to_owned()));
    assert_eq!(post("/admin/v1/backups/x/restore", into(&project.id)).await, (404, "not_found".to_owned()));
    assert_eq!(post(&format!("{unknown}/confirm"), json!({ "confirm": "x" })).await, (404, "not_found".to_owned()));
    assert_eq!(post(&format!("{unknown}/rollback"), json!({ "confirm": "x" })).await, (404, "not_found".to_owned()));
    assert_eq!(app.admin().get(unknown).await.0, StatusCode::NOT_FOUND);
    assert_eq!(app.admin().delete(unknown).await.0, StatusCode::NOT_FOUND);

    // A planned restore can be cancelled.
    let planned = plan(&app, &backup, &project).await;
    assert_eq!(
        post(&path_of(&planned, "/rollback"), json!({ "confirm": "refused" })).await,
        (409, "conflict".to_owned())
    );
    assert_eq!(app.admin().delete(&path_of(&planned, "")).await.0, StatusCode::NO_CONTENT);
    assert_eq!(restore_of(&app, &planned).await["state"], "cancelled");
    assert_eq!(
        post(&path_of(&planned, "/confirm"), json!({ "confirm": "refused" })).await,
        (409, "conflict".to_owned())
    );
    let key = backup["objectKey"].as_str().unwrap();
    app.app.store().delete(atlashub::object_store::PLATFORM_BUCKET, key).await.unwrap();
    assert_eq!(post(&restore_path(&backup), into(&project.id)).await, (404, "object_not_found".to_owned()));
    let (_, audit) = app.admin().get("/admin/v1/audit?action=backup.restore&limit=200").await;
    let planned = audit["items"].as_array().unwrap().iter().find(|entry| entry["result"] == "success").unwrap();
    assert_eq!(planned["details"]["project"], "refused", "{planned}");
    assert_eq!(planned["projectId"], project.id, "{planned}");
    let (_, audit) = app.admin().get("/admin/v1/audit?action=restore.delete").await;
    assert_eq!(audit["items"][0]["details"]["project"], "refused", "{audit}");
}
