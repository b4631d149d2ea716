//! Restores of archives that the owner uploads.

use atlashub::db::restore::{Archive, Restorer};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::{
    backups::restore::{confirm, path_of},
    support::{Postgres, TestApp, TestProject, bin_dir, code, must_send},
};

/// Creates a database on the server of the tests, runs SQL in it, and dumps it.
async fn archive_of(name: &str, sql: &str, arguments: &[&str]) -> Vec<u8> {
    use sqlx::Connection as _;
    let server = Postgres::shared();
    server.execute(&format!("CREATE DATABASE {name}")).await;
    let mut connection = sqlx::PgConnection::connect(&server.url(name)).await.unwrap();
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned())).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    let output = std::process::Command::new(bin_dir().join("pg_dump"))
        .args(arguments)
        .arg(format!("--dbname={}", server.url(name)))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    server.execute(&format!("DROP DATABASE {name}")).await;
    output.stdout
}

async fn sign(app: &TestApp, project: &TestProject, size: usize) -> Value {
    let request = json!({ "projectId": project.id, "fileName": "shop.dump", "sizeBytes": size });
    let (status, signed) = app.admin().post("/admin/v1/restores/uploads", request).await;
    assert_eq!(status, StatusCode::CREATED, "{signed}");
    assert!(signed["uploadId"].is_string() && signed["expiresIn"].as_u64().unwrap() > 0, "{signed}");
    signed
}

/// Uploads an archive. Returns the response to the request to plan its restore.
pub(crate) async fn upload_and_plan(app: &TestApp, project: &TestProject, bytes: Vec<u8>) -> (StatusCode, Value) {
    let signed = sign(app, project, bytes.len()).await;
    must_send(&signed, bytes).await;
    let request = json!({ "projectId": project.id, "uploadId": signed["uploadId"] });
    app.admin().post("/admin/v1/restores", request).await
}

#[tokio::test]
async fn tables_from_another_database_are_reachable_only_with_the_secret_key() {
    let app = TestApp::start().await;
    let project = app.create_project("imported").await;
    project.sql("CREATE TABLE present (id int PRIMARY KEY)").await;
    let sql = "CREATE TABLE items (id serial PRIMARY KEY, name text); INSERT INTO items (name) VALUES ('a'), ('b');
        GRANT SELECT ON items TO PUBLIC; CREATE FUNCTION closed() RETURNS int LANGUAGE sql AS 'SELECT 1';
        REVOKE ALL ON FUNCTION closed() FROM PUBLIC;
        ALTER TABLE items ENABLE ROW LEVEL SECURITY; CREATE POLICY everyone ON items USING (true);
        CREATE POLICY only_postgres ON items TO postgres USING (true);";
    let bytes = archive_of(&format!("foreign_{}", project.id), sql, &["-Fc"]).await;
    let size = bytes.len();
    let (status, planned) = upload_and_plan(&app, &project, bytes).await;
    assert_eq!(status, StatusCode::CREATED, "{planned}");
    assert!(planned["source"]["uploadId"].is_string() && planned["source"].get("backupId").is_none(), "{planned}");
    assert_eq!(planned["plan"]["tables"], json!([{ "schema": "public", "table": "items", "rows": null }]));
    assert_eq!(planned["plan"]["sizeBytes"], size);
    assert!(planned["plan"]["warnings"].to_string().contains("secret key"), "{planned}");
    let (done, run) = confirm(&app, &planned, &project).await;
    assert_eq!((&run["status"], &done["state"]), (&json!("success"), &json!("done")), "{run} {done}");
    assert!(run["result"]["leftOut"].to_string().contains("only_postgres"), "{run}");
    assert_eq!(project.secret().get("/v1/db/items").await.1["rows"].as_array().unwrap().len(), 2);
    let (status, body) = project.secret().post("/v1/db/items", json!({ "rows": [{ "name": "c" }] })).await;
    assert_eq!((status, &body["rows"][0]["id"]), (StatusCode::CREATED, &json!(3)), "{body}");
    assert!(project.publishable().get("/v1/db/items").await.0.is_client_error());
    project.expose("items", "read", "none").await;
    assert_eq!(project.publishable().get("/v1/db/items").await.1["rows"].as_array().unwrap().len(), 3);
    let closed: bool = sqlx::query_scalar("SELECT NOT has_function_privilege($1, 'public.closed()', 'EXECUTE')")
        .bind(format!("proj_{}_anon", project.id))
        .fetch_one(&mut project.connect().await)
        .await
        .unwrap();
    assert!(closed);
    // The archive was removed after its restore.
    let request = json!({ "projectId": project.id, "uploadId": planned["source"]["uploadId"] });
    assert_eq!(app.admin().post("/admin/v1/restores", request).await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn only_archives_in_custom_format_are_planned() {
    let app = TestApp::start().await;
    let project = app.create_project("formats").await;
    let name = format!("formats_{}", project.id);
    for (arguments, sql) in [(&["-Fp"], "CREATE TABLE a (x int)"), (&["-Ft"], "CREATE TABLE a (x int)")] {
        let bytes = archive_of(&name, sql, arguments).await;
        let (status, body) = upload_and_plan(&app, &project, bytes).await;
        assert_eq!((status, code(&body)), (StatusCode::UNPROCESSABLE_ENTITY, "unprocessable"), "{body}");
        assert!(body["error"]["hint"].as_str().unwrap().contains("--format=custom"), "{body}");
    }
    for bytes in [b"PGDMP".to_vec(), b"x".to_vec(), b"PGDMP\x01\x0e\x00\x04\x08\x01garbage".to_vec()] {
        let (status, body) = upload_and_plan(&app, &project, bytes).await;
        assert_eq!((status, code(&body)), (StatusCode::UNPROCESSABLE_ENTITY, "unprocessable"), "{body}");
    }
    // An archive of a version that is newer than the installed programs.
    let mut newer = archive_of(&name, "CREATE TABLE a (x int)", &["-Fc"]).await;
    newer[6] = 99;
    let (status, body) = upload_and_plan(&app, &project, newer).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{body}");
}

#[tokio::test]
async fn archive_with_an_invalid_head_is_read_completely_by_a_restore() {
    let app = TestApp::start().await;
    let restorer = Restorer::new(&app.services.database_url, None).unwrap();
    // The last byte is the size of an integer. `pg_restore` accepts at most 32.
    let head = Bytes::from_static(b"PGDMP\x01\x0e\x00\xff");
    let chunks = std::iter::once(head).chain(std::iter::repeat_n(Bytes::from(vec![b'x'; 64 << 10]), 64));
    let mut bytes = stream::iter(chunks.map(Ok::<_, std::io::Error>));
    let archive = Archive { bytes: &mut bytes, dump_version: None };
    let error = restorer.load_platform("never_created", "password", archive).await.unwrap_err();
    // Without the rest, the SHA-256 would be that of the beginning, and the archive would seem to have been changed.
    assert!(error.is_of_content() && bytes.next().await.is_none(), "{error}");
}

#[tokio::test]
async fn dump_of_a_platform_database_is_not_planned() {
    let app = TestApp::start().await;
    let project = app.create_project("platform dump").await;
    let sql = "CREATE TABLE platform_migrations (x int); CREATE TABLE api_keys (x int);
        CREATE TABLE admin_sessions (x int)";
    let bytes = archive_of(&format!("platform_{}", project.id), sql, &["-Fc"]).await;
    let (status, body) = upload_and_plan(&app, &project, bytes).await;
    assert_eq!((status, code(&body)), (StatusCode::UNPROCESSABLE_ENTITY, "unprocessable"), "{body}");
    assert!(body["error"]["message"].as_str().unwrap().contains("platform database"), "{body}");
}

#[tokio::test]
async fn uploads_are_checked_before_their_restore_is_planned() {
    let app = TestApp::start().await;
    let (project, other) = (app.create_project("own").await, app.create_project("other").await);
    let signed = sign(&app, &project, 5).await;
    let plan = async |project: &TestProject, upload: Value| {
        let request = json!({ "projectId": project.id, "uploadId": upload });
        let (status, body) = app.admin().post("/admin/v1/restores", request).await;
        (status.as_u16(), code(&body).to_owned())
    };
    assert_eq!(plan(&project, signed["uploadId"].clone()).await, (404, "object_not_found".to_owned()));
    assert_eq!(plan(&other, signed["uploadId"].clone()).await, (404, "not_found".to_owned()));
    assert_eq!(plan(&project, json!("nothing")).await, (404, "not_found".to_owned()));
    for (name, size, expected) in [
        ("a.dump", 0_i64, StatusCode::BAD_REQUEST),
        ("", 5, StatusCode::BAD_REQUEST),
        ("a.dump", 6 << 30, StatusCode::PAYLOAD_TOO_LARGE),
    ] {
        let request = json!({ "projectId": project.id, "fileName": name, "sizeBytes": size });
        assert_eq!(app.admin().post("/admin/v1/restores/uploads", request).await.0, expected, "{name} {size}");
    }
}

#[tokio::test]
async fn upload_is_signed_again_until_the_archive_is_uploaded() {
    let app = TestApp::start().await;
    let project = app.create_project("again").await;
    let bytes = archive_of(&format!("again_{}", project.id), "CREATE TABLE a (x int)", &["-Fc"]).await;
    let first = sign(&app, &project, bytes.len()).await;
    let path = format!("/admin/v1/restores/uploads/{}/sign", first["uploadId"].as_str().unwrap());
    let (status, again) = app.admin().post(&path, Value::Null).await;
    assert_eq!(status, StatusCode::OK, "{again}");
    for field in ["uploadId", "method", "headers", "expiresIn"] {
        assert_eq!(again[field], first[field], "{again}");
    }
    must_send(&again, bytes).await;
    let (status, body) = app.admin().post(&path, Value::Null).await;
    assert_eq!((status, code(&body)), (StatusCode::CONFLICT, "conflict"), "{body}");
    let request = json!({ "projectId": project.id, "uploadId": first["uploadId"] });
    let (status, planned) = app.admin().post("/admin/v1/restores", request).await;
    assert_eq!((status, &planned["state"]), (StatusCode::CREATED, &json!("planned")), "{planned}");
    let unknown = "/admin/v1/restores/uploads/0198c0de-0000-7000-8000-000000000001/sign";
    assert_eq!(app.admin().post(unknown, Value::Null).await.0, StatusCode::NOT_FOUND);
    let (_, audit) = app.admin().get("/admin/v1/audit?action=restore.sign_upload").await;
    let entries = audit["items"].as_array().unwrap().iter().filter(|entry| entry["result"] == "success");
    let found: Vec<_> = entries.map(|entry| (&entry["target"], &entry["details"]["project"])).collect();
    assert_eq!(found, [(&first["uploadId"], &json!("again")); 2], "{audit}");
}

#[tokio::test]
async fn sweep_removes_old_uploads_and_their_plans() {
    let app = TestApp::start().await;
    let project = app.create_project("old").await;
    let bytes = archive_of(&format!("old_{}", project.id), "CREATE TABLE a (x int)", &["-Fc"]).await;
    let (status, planned) = upload_and_plan(&app, &project, bytes).await;
    assert_eq!(status, StatusCode::CREATED, "{planned}");
    app.app.backups().restores.sweep().await.unwrap();
    assert_eq!(app.admin().get(&path_of(&planned, "")).await.1["state"], "planned");
    sqlx::query("UPDATE restore_uploads SET created_at = now() - interval '2 days' WHERE project_id = $1")
        .bind(&project.id)
        .execute(app.app.platform())
        .await
        .unwrap();
    app.app.backups().restores.sweep().await.unwrap();
    assert_eq!(app.admin().get(&path_of(&planned, "")).await.1["state"], "cancelled");
    let bucket = atlashub::object_store::PLATFORM_BUCKET;
    let prefix = format!("restores/{}/", project.id);
    assert!(app.app.store().list_page(bucket, &prefix, 10, None).await.unwrap().objects.is_empty());
}

#[tokio::test]
async fn archive_is_kept_only_while_a_running_restore_reads_it() {
    let app = TestApp::start().await;
    let project = app.create_project("shared").await;
    let bytes = archive_of(&format!("shared_{}", project.id), "CREATE TABLE a (x int)", &["-Fc"]).await;
    let (status, read) = upload_and_plan(&app, &project, bytes).await;
    assert_eq!(status, StatusCode::CREATED, "{read}");
    let upload = read["source"]["uploadId"].as_str().unwrap();
    let request = json!({ "projectId": project.id, "uploadId": upload });
    let (status, planned) = app.admin().post("/admin/v1/restores", request).await;
    assert_eq!(status, StatusCode::CREATED, "{planned}");
    let run = uuid::Uuid::now_v7();
    sqlx::query(
        "INSERT INTO cron_job_runs (id, trigger, status, plugin, plugin_job, lease_token, lease_until, started_at)
         VALUES ($1, 'manual', 'running', 'restore', 'restore', gen_random_uuid(), now() + interval '1 day', now())",
    )
    .bind(run)
    .execute(app.app.platform())
    .await
    .unwrap();
    sqlx::query("UPDATE restores SET state = 'loading', run_id = $1 WHERE id::text = $2")
        .bind(run)
        .bind(read["id"].as_str().unwrap())
        .execute(app.app.platform())
        .await
        .unwrap();
    sqlx::query("UPDATE restore_uploads SET created_at = now() - interval '2 days' WHERE project_id = $1")
        .bind(&project.id)
        .execute(app.app.platform())
        .await
        .unwrap();
    let archives = async || {
        app.app.backups().restores.sweep().await.unwrap();
        let prefix = format!("restores/{}/", project.id);
        let page = app.app.store().list_page(atlashub::object_store::PLATFORM_BUCKET, &prefix, 10, None).await;
        page.unwrap().objects.len()
    };
    assert_eq!(app.admin().delete(&path_of(&planned, "")).await.0, StatusCode::NO_CONTENT);
    assert_eq!(archives().await, 1, "the archive was removed while a restore read it");
    // The process of the restore is killed.
    let killed = "UPDATE cron_job_runs SET status = 'fail', lease_token = NULL, lease_until = NULL, finished_at = now()
        WHERE id = $1";
    sqlx::query(killed).bind(run).execute(app.app.platform()).await.unwrap();
    assert_eq!(archives().await, 0);
}
