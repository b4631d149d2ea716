//! `atlashub restore`, while no server runs: the platform database, projects, and a whole machine.

use std::{fs, path::Path, process::Command};

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::{ADMIN_TOKEN, Client, Postgres, ProgramVars, Serving, eventually, must_send, open_folder, raw};

/// Waits until the run has ended with success.
async fn succeeded(admin: &Client, run: &Value) -> Value {
    let run = run["runId"].as_str().unwrap();
    let ended = eventually(&format!("the end of run {run}"), async || {
        let (_, run) = admin.get(&format!("/admin/v1/runs/{run}")).await;
        (!run["finishedAt"].is_null()).then_some(run)
    })
    .await;
    assert_eq!(ended["status"], "success", "{ended}");
    ended
}

/// Backs up `target`, once the plugin is loaded.
pub(super) async fn back_up(admin: &Client, target: &str) -> Value {
    let started = eventually("the start of a backup", async || {
        let (status, body) = admin.post("/admin/v1/backups", json!({ "target": target })).await;
        (status == StatusCode::ACCEPTED).then_some(body)
    })
    .await;
    let run = succeeded(admin, &started).await;
    let (_, page) = admin.get("/admin/v1/backups?limit=200").await;
    page["items"].as_array().unwrap().iter().find(|item| item["runId"] == run["id"]).unwrap().clone()
}

pub(super) async fn create_project(admin: &Client, name: &str) -> Value {
    let (status, created) = admin.post("/admin/v1/projects", json!({ "name": name })).await;
    assert_eq!(status, StatusCode::CREATED, "{created}");
    created
}

pub(super) fn path(project: &Value, rest: &str) -> String {
    format!("/admin/v1/projects/{}{rest}", project["project"]["id"].as_str().unwrap())
}

pub(super) async fn run_sql(admin: &Client, project: &Value, sql: &str) {
    let (status, body) = admin.post(&path(project, "/sql"), json!({ "sql": sql, "script": true })).await;
    assert_eq!((status, &body["failure"]), (StatusCode::OK, &Value::Null), "{body}");
}

pub(super) fn keyed(serving: &Serving, key: &Value) -> Client {
    Client::new(&*serving.public_url).with_header("x-api-key", key.as_str().unwrap())
}

pub(super) fn admin_of(serving: &Serving, data: &Path) -> Client {
    let token = fs::read_to_string(data.join("secrets/admin-token")).unwrap();
    Client::new(&*serving.admin_url).with_header("x-dev-admin-token", token.trim())
}

pub(super) fn copy_folder(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").args([from, to]).status().unwrap();
    assert!(copied.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn new_machine_is_restored_from_the_object_store_and_the_master_key() {
    let (old, new) = (open_folder(), open_folder());
    let (old, new) = (old.path().join("data"), new.path().join("data"));
    let serving = ProgramVars::embedded(&old).serve(&[]);
    let admin = admin_of(&serving, &old);
    let shop = create_project(&admin, "Shop").await;
    let sql = "CREATE TABLE items (id int PRIMARY KEY, name text); INSERT INTO items VALUES (1, 'tea'), (2, 'mate')";
    run_sql(&admin, &shop, sql).await;
    let exposure = json!({ "publishable": "read", "confirm": true });
    let (status, body) = admin.put(&path(&shop, "/tables/items/exposure"), exposure).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    let (_, revoked) = admin.post(&path(&shop, "/keys"), json!({ "type": "secret", "name": "revoked" })).await;
    let revoke = path(&shop, &format!("/keys/{}", revoked["apiKey"]["id"].as_str().unwrap()));
    assert_eq!(admin.delete(&revoke).await.0, StatusCode::NO_CONTENT);
    let upload = json!({ "bucket": "uploads", "path": "a.txt", "contentType": "text/plain", "maxSize": 100 });
    let (_, signed) = keyed(&serving, &shop["secretKey"]).post("/v1/storage/signed-upload", upload).await;
    must_send(&signed, "kept").await;
    let (status, job) = admin
        .post(
            "/admin/v1/jobs",
            json!({ "name": "nightly", "type": "platform", "scheduleCron": "0 3 * * *", "timezone": "UTC",
                    "plugin": "backup", "pluginJob": "backup", "params": { "target": "all" } }),
        )
        .await;
    assert_eq!(status, StatusCode::CREATED, "{job}");
    back_up(&admin, "all").await;
    let late = create_project(&admin, "Late").await;
    run_sql(&admin, &late, "CREATE TABLE t (x int)").await;
    back_up(&admin, &format!("project:{}", late["project"]["id"].as_str().unwrap())).await;
    serving.kill();

    // Only the object store, and the secrets with the master key, are left.
    fs::create_dir(&new).unwrap();
    copy_folder(&old.join("objects"), &new);
    copy_folder(&old.join("secrets"), &new);
    let vars = ProgramVars::embedded(&new);
    let listed = vars.run(&["restore", "--list"]);
    assert_eq!((listed.code, listed.stdout.lines().count()), (Some(0), 3), "{listed:?}");
    let refused = vars.run(&["restore", "everything"]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("--yes"), "{refused:?}");
    let platform = vars.run(&["restore", "platform", "--yes"]);
    let id = shop["project"]["id"].as_str().unwrap();
    assert_eq!(platform.code, Some(0), "{platform:?}");
    assert!(platform.stdout.contains(&format!("project {id} (Shop) has no database")), "{platform:?}");
    // The command can be repeated, for example after it was interrupted.
    for _ in 0..3 {
        let restored = vars.run(&["restore", "everything", "--yes"]);
        assert_eq!(restored.code, Some(0), "{restored:?}");
        for expected in ["platform  restored", "(Shop) restored", "1 table, 2 rows", "(Late) is not in the platform"] {
            assert!(restored.stdout.contains(expected), "{expected}: {restored:?}");
        }
    }

    let serving = vars.serve(&[]);
    let admin = admin_of(&serving, &new);
    // The databases that the repeated commands kept are listed, so that they can be removed.
    let (_, page) = admin.get("/admin/v1/restores").await;
    let kept = page["items"].as_array().unwrap().iter().filter(|restore| !restore["previousDatabase"].is_null());
    assert_eq!(kept.count(), 2, "{page}");
    let (_, body) = keyed(&serving, &shop["secretKey"]).get("/v1/db/items?order=id").await;
    assert_eq!(body["rows"], json!([{ "id": 1, "name": "tea" }, { "id": 2, "name": "mate" }]), "{body}");
    let (status, body) = keyed(&serving, &shop["publishableKey"]).get("/v1/db/items").await;
    assert_eq!(status, StatusCode::OK, "{body}");
    assert_eq!(keyed(&serving, &revoked["key"]).get("/v1/db/items").await.0, StatusCode::UNAUTHORIZED);
    let download = "/v1/storage/signed-download?bucket=uploads&objectKey=uploads/a.txt";
    let (_, signed) = keyed(&serving, &shop["secretKey"]).get(download).await;
    let file = raw().get(signed["downloadUrl"].as_str().unwrap()).send().await.unwrap();
    assert_eq!(file.text().await.unwrap(), "kept");
    let (_, jobs) = admin.get("/admin/v1/jobs").await;
    assert_eq!(jobs["items"][0]["name"], "nightly", "{jobs}");
    run_sql(&admin, &shop, "CREATE TABLE more (id int PRIMARY KEY)").await;
    // A project that is not in the platform's backup can be restored into another project.
    let copy = create_project(&admin, "Late again").await;
    let (_, page) = admin.get("/admin/v1/backups?limit=200").await;
    let target = json!(format!("project:{}", late["project"]["id"].as_str().unwrap()));
    let backup = page["items"].as_array().unwrap().iter().find(|item| item["target"] == target).unwrap();
    let plan = format!("/admin/v1/backups/{}/restore", backup["id"].as_str().unwrap());
    let (status, restore) = admin.post(&plan, json!({ "projectId": copy["project"]["id"] })).await;
    assert_eq!(status, StatusCode::CREATED, "{restore}");
    let confirm = format!("/admin/v1/restores/{}/confirm", restore["id"].as_str().unwrap());
    let (status, run) = admin.post(&confirm, json!({ "confirm": "Late again" })).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{run}");
    succeeded(&admin, &run).await;
    let (_, body) = keyed(&serving, &copy["secretKey"]).get("/v1/db/t").await;
    assert_eq!(body["rows"], json!([]), "{body}");
}

/// The records in the backup don't contain the size for which a newer object was signed.
#[tokio::test(flavor = "multi_thread")]
async fn restored_platform_keeps_objects_that_are_newer_than_its_backup() {
    let vars = ProgramVars::external(&Postgres::shared().platform_database().await);
    let serving = vars.serve(&[]);
    let admin = Client::new(&*serving.admin_url).with_header("x-dev-admin-token", ADMIN_TOKEN);
    let project = create_project(&admin, "Newer").await;
    let secret = keyed(&serving, &project["secretKey"]);
    let upload = async |path: &str, max_size: i64, bytes: &'static str| {
        let request = json!({ "bucket": "uploads", "path": path, "contentType": "text/plain", "maxSize": max_size,
                              "upsert": true });
        let (status, signed) = secret.post("/v1/storage/signed-upload", request).await;
        assert_eq!(status, StatusCode::OK, "{signed}");
        must_send(&signed, bytes).await;
    };
    upload("replaced.txt", 4, "1234").await;
    upload("removed.txt", 4, "1234").await;
    assert_eq!(secret.delete("/v1/storage/object?objectKey=uploads/removed.txt").await.0, StatusCode::OK);
    let backup = back_up(&admin, "platform").await;
    for path in ["replaced.txt", "removed.txt"] {
        upload(path, 100, "newer than the backup").await;
    }
    serving.end();
    let restored = eventually("the server's sessions have ended", async || {
        let restored = vars.run(&["restore", "platform", "--backup", backup["id"].as_str().unwrap(), "--yes"]);
        (!restored.stderr.contains("stop all servers")).then_some(restored)
    })
    .await;
    assert_eq!(restored.code, Some(0), "{restored:?}");

    let serving = vars.serve(&[]);
    for path in ["replaced.txt", "removed.txt"] {
        let download = format!("/v1/storage/signed-download?objectKey=uploads/{path}");
        let (status, signed) = keyed(&serving, &project["secretKey"]).get(&download).await;
        assert_eq!(status, StatusCode::OK, "{path}: {signed}");
        let file = raw().get(signed["downloadUrl"].as_str().unwrap()).send().await.unwrap();
        assert_eq!(file.text().await.unwrap(), "newer than the backup", "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn restored_platform_keeps_revoked_keys_revoked() {
    let url = Postgres::shared().platform_database().await;
    let vars = ProgramVars::external(&url);
    let serving = vars.serve(&[]);
    let admin = Client::new(&*serving.admin_url).with_header("x-dev-admin-token", ADMIN_TOKEN);
    let project = create_project(&admin, "Revoking").await;
    let (_, revoked) = admin.post(&path(&project, "/keys"), json!({ "type": "secret", "name": "revoked later" })).await;
    let (_, gone) = admin.post(&path(&project, "/keys"), json!({ "type": "secret", "name": "removed later" })).await;
    run_sql(&admin, &project, "CREATE TABLE items (id int PRIMARY KEY)").await;
    let backup = back_up(&admin, "platform").await;
    let of_project = back_up(&admin, &format!("project:{}", project["project"]["id"].as_str().unwrap())).await;
    let key_path = |key: &Value| path(&project, &format!("/keys/{}", key["apiKey"]["id"].as_str().unwrap()));
    for key in [&revoked, &gone] {
        assert_eq!(admin.delete(&key_path(key)).await.0, StatusCode::NO_CONTENT);
    }
    let mut connection = <sqlx::PgConnection as sqlx::Connection>::connect(&url).await.unwrap();
    sqlx::query("DELETE FROM api_keys WHERE id = $1::uuid")
        .bind(gone["apiKey"]["id"].as_str().unwrap())
        .execute(&mut connection)
        .await
        .unwrap();
    sqlx::Connection::close(connection).await.unwrap();
    let (status, _) = admin.post("/admin/v1/plugins/http-job/revoke", json!({})).await;
    assert!(status.is_success(), "{status}");
    let id = backup["id"].as_str().unwrap();
    let arguments = ["restore", "platform", "--backup", id, "--yes"];
    let refused = vars.run(&arguments);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("stop all servers"), "{refused:?}");
    serving.end();

    let other_key = vars.clone().set("PLATFORM_MASTER_KEY", "BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBA=");
    let refused = other_key.run(&arguments);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("needs the master key"), "{refused:?}");
    let restored = eventually("the server's sessions have ended", async || {
        let restored = vars.run(&arguments);
        (!restored.stderr.contains("stop all servers")).then_some(restored)
    })
    .await;
    assert_eq!(restored.code, Some(0), "{restored:?}");
    assert!(restored.stdout.contains("stays revoked") && restored.stdout.contains("_before_"), "{restored:?}");
    let project_id = project["project"]["id"].as_str().unwrap();
    let arguments = ["restore", "project", project_id, "--backup", of_project["id"].as_str().unwrap(), "--yes"];
    let restored = vars.run(&arguments);
    assert_eq!(restored.code, Some(0), "{restored:?}");
    assert!(restored.stdout.contains(&format!("proj_{project_id}_before_")), "{restored:?}");

    let serving = vars.serve(&[]);
    let admin = Client::new(&*serving.admin_url).with_header("x-dev-admin-token", ADMIN_TOKEN);
    for key in [&revoked, &gone] {
        let (status, body) = keyed(&serving, &key["key"]).get("/v1/db/items").await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{body}");
    }
    assert_eq!(keyed(&serving, &project["secretKey"]).get("/v1/db/items").await.0, StatusCode::OK);
    let (_, plugins) = admin.get("/admin/v1/plugins/http-job").await;
    assert_eq!(plugins["state"], "revoked", "{plugins}");
    let (_, restores) = admin.get(&format!("/admin/v1/restores?projectId={project_id}")).await;
    assert_eq!(restores["items"][0]["state"], "done", "{restores}");
    let path = format!("/admin/v1/restores/{}", restores["items"][0]["id"].as_str().unwrap());
    assert_eq!(admin.delete(&path).await.0, StatusCode::NO_CONTENT);
    // The platform can't be restored from a project's backup, and a project can't be restored from the platform's. An
    // unknown project can't be restored.
    serving.end();
    let wrong = eventually("the server's sessions have ended", async || {
        let wrong = vars.run(&["restore", "project", project_id, "--backup", id, "--yes"]);
        (!wrong.stderr.contains("stop all servers")).then_some(wrong)
    })
    .await;
    assert_eq!(wrong.code, Some(1), "{wrong:?}");
    assert!(wrong.stderr.contains("the backup is of `platform`, not of a project"), "{wrong:?}");
    let wrong = vars.run(&["restore", "platform", "--backup", of_project["id"].as_str().unwrap(), "--yes"]);
    assert_eq!(wrong.code, Some(1), "{wrong:?}");
    let unknown = vars.run(&["restore", "project", "nosuchproject", "--yes"]);
    assert_eq!(unknown.code, Some(1), "{unknown:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn command_brings_back_the_objects_of_a_backup() {
    let folder = open_folder();
    let data = folder.path().join("data");
    let vars = ProgramVars::embedded(&data);
    let serving = vars.serve(&[]);
    let admin = admin_of(&serving, &data);
    let shop = create_project(&admin, "Shop").await;
    let id = shop["project"]["id"].as_str().unwrap().to_owned();
    let upload = json!({ "bucket": "uploads", "path": "a.txt", "contentType": "text/plain", "maxSize": 100 });
    let (_, signed) = keyed(&serving, &shop["secretKey"]).post("/v1/storage/signed-upload", upload).await;
    must_send(&signed, "kept").await;
    serving.kill();
    let created = vars.run(&["backup", "create", &format!("project:{id}"), "--objects"]);
    assert_eq!(created.code, Some(0), "{created:?}");
    // The end of the embedded Postgres is not reported as an error.
    assert!(!created.stderr.contains("does not respond") && !created.stderr.contains("closed pool"), "{created:?}");

    let serving = vars.serve(&[]);
    let secret = keyed(&serving, &shop["secretKey"]);
    let removed = secret.delete("/v1/storage/object?bucket=uploads&objectKey=uploads/a.txt").await;
    assert_eq!(removed.0, StatusCode::OK);
    serving.kill();
    for expected in ["objects: 1 written, 0 unchanged", "objects: 0 written, 1 unchanged"] {
        let restored = vars.run(&["restore", "project", &id, "--yes"]);
        assert_eq!((restored.code, restored.stdout.contains(expected)), (Some(0), true), "{restored:?}");
    }
    let serving = vars.serve(&[]);
    let download = "/v1/storage/signed-download?bucket=uploads&objectKey=uploads/a.txt";
    let (_, signed) = keyed(&serving, &shop["secretKey"]).get(download).await;
    let file = raw().get(signed["downloadUrl"].as_str().unwrap()).send().await.unwrap();
    assert_eq!(file.text().await.unwrap(), "kept");
    serving.kill();
}
