//! Every change has an audit entry even if the process is killed, and entries name the changed resource.

use atlashub::config::Role;
use reqwest::StatusCode;
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection};
use uuid::Uuid;

use crate::support::{ADMIN_TOKEN, Client, Postgres, ProgramVars, Serving, TestApp, eventually};

/// SQL that makes every write of an outcome wait for the lock that the test holds.
const HANG_BEFORE_OUTCOMES: &str = "CREATE FUNCTION hang() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        PERFORM pg_advisory_xact_lock_shared(4711); RETURN NEW; END $$;
    CREATE TRIGGER hang BEFORE INSERT OR UPDATE ON audit_logs FOR EACH ROW WHEN (NOT NEW.pending)
        EXECUTE FUNCTION hang();";

fn admin(serving: &Serving) -> Client {
    Client::new(&*serving.admin_url).with_header("x-dev-admin-token", ADMIN_TOKEN)
}

async fn execute(connection: &mut PgConnection, sql: &'static str) {
    sqlx::raw_sql(sql).execute(connection).await.expect(sql);
}

async fn entries(client: &Client, query: &str) -> Vec<Value> {
    let (status, page) = client.get(&format!("/admin/v1/audit?limit=200{query}")).await;
    assert_eq!(status, StatusCode::OK, "{page}");
    page["items"].as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn change_of_a_killed_server_is_listed_with_unknown_outcome() {
    let url = Postgres::shared().platform_database().await;
    let vars = ProgramVars::external(&url);
    let serving = vars.serve(&[]);
    let (status, created) = admin(&serving).post("/admin/v1/projects", json!({ "name": "Shop" })).await;
    assert_eq!(status, StatusCode::CREATED, "{created}");
    let project = created["project"]["id"].as_str().unwrap().to_owned();
    let (_, plugins) = admin(&serving).get("/admin/v1/plugins").await;
    let first_party = plugins["items"].as_array().unwrap().len();
    eventually("first-party plugins are approved", async || {
        (entries(&admin(&serving), "&action=plugin.approve").await.len() == first_party).then_some(())
    })
    .await;
    let mut connection = PgConnection::connect(&url).await.unwrap();
    execute(&mut connection, HANG_BEFORE_OUTCOMES).await;
    execute(&mut connection, "SELECT pg_advisory_lock(4711)").await;

    // Each request makes its change, and then waits to write its outcome.
    let requests = [
        ("POST", format!("/admin/v1/projects/{project}/keys"), json!({ "type": "secret", "name": "ci" })),
        ("PATCH", format!("/admin/v1/projects/{project}"), json!({ "name": "Renamed" })),
        ("POST", format!("/admin/v1/projects/{project}/sql"), json!({ "sql": "CREATE TABLE made (id int)" })),
        ("POST", "/admin/v1/trusted-keys".to_owned(), trusted_key()),
        ("POST", "/admin/v1/plugins/backup/approve".to_owned(), json!({})),
    ];
    for (method, path, body) in requests.clone() {
        let client = admin(&serving);
        tokio::spawn(async move {
            let request = client.request(method.parse().unwrap(), &path).json(&body).send();
            let _ = request.await;
        });
    }
    eventually("all outcomes wait", async || {
        let waiting: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND objid = 4711
             AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
        )
        .fetch_one(&mut connection)
        .await
        .unwrap();
        (waiting as usize == requests.len()).then_some(())
    })
    .await;
    // Changes in progress are not listed yet.
    assert_eq!(entries(&admin(&serving), "").await.len(), 1 + first_party);
    serving.kill();
    // Postgres would finish the statements of the killed server once they get the lock.
    execute(
        &mut connection,
        "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND objid = 4711;
         DROP TRIGGER hang ON audit_logs; SELECT pg_advisory_unlock(4711);",
    )
    .await;

    let serving = vars.serve(&[]);
    let admin = admin(&serving);
    let (_, keys) = admin.get(&format!("/admin/v1/projects/{project}/keys")).await;
    assert!(keys["items"].as_array().unwrap().iter().any(|key| key["name"] == "ci"), "{keys}");
    let unknown = entries(&admin, "&result=unknown").await;
    let mut actions: Vec<&str> = unknown.iter().map(|entry| entry["action"].as_str().unwrap()).collect();
    actions.sort_unstable();
    assert_eq!(
        actions,
        ["key.create", "plugin.approve", "project.update", "sql.run", "trusted_key.add"],
        "{unknown:?}"
    );
    for entry in &unknown {
        assert_eq!((&entry["actor"], &entry["status"]), (&json!("dev-token"), &Value::Null), "{entry}");
        assert_eq!(entry["details"], json!({ "interrupted": true }), "{entry}");
    }
    assert_eq!(entries(&admin, "&result=failed").await, Vec::<Value>::new());
}

fn trusted_key() -> Value {
    json!({ "name": "author", "publicKey": "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3" })
}

#[tokio::test]
async fn nothing_is_changed_if_the_entry_cannot_be_written() {
    let app = TestApp::start().await;
    let project = app.create_project("Shop").await;
    let rename = |sql: &'static str| sqlx::raw_sql(sql).execute(app.app.platform());
    rename("ALTER TABLE audit_logs RENAME TO audit_logs_gone").await.unwrap();
    let requests = [
        (project.path("/keys"), json!({ "type": "secret", "name": "ci" })),
        (project.path("/sql"), json!({ "sql": "CREATE TABLE made (id int)" })),
        (project.path("/buckets"), json!({ "name": "photos" })),
        ("/admin/v1/projects".to_owned(), json!({ "name": "Another" })),
    ];
    for (path, body) in requests {
        let (status, response) = app.admin().post(&path, body).await;
        assert!(status.is_server_error(), "{path}: {response}");
    }
    let anonymous = Client::new(&*app.admin_url);
    let (status, _) = anonymous.post("/admin/v1/session", json!({ "token": ADMIN_TOKEN })).await;
    assert!(status.is_server_error());
    rename("ALTER TABLE audit_logs_gone RENAME TO audit_logs").await.unwrap();
    let count = async |path: &str| app.admin().get(path).await.1["items"].as_array().unwrap().len();
    assert_eq!(count(&project.path("/keys")).await, 2);
    assert_eq!(count(&project.path("/tables")).await, 0);
    assert_eq!(count(&project.path("/buckets")).await, 2);
    assert_eq!(count("/admin/v1/projects").await, 1);
    let sessions: i64 =
        sqlx::query_scalar("SELECT count(*) FROM admin_sessions").fetch_one(app.app.platform()).await.unwrap();
    assert_eq!(sessions, 0);
}

#[tokio::test]
async fn entries_name_the_changed_resource() {
    let app = TestApp::start().await;
    let project = app.create_project("Shop").await;
    let details = async |action: &str| entries(&app.admin(), &format!("&action={action}")).await[0]["details"].clone();
    let (_, key) = app.admin().post(&project.path("/keys"), json!({ "type": "secret", "name": "ci" })).await;
    let key = format!("/keys/{}", key["apiKey"]["id"].as_str().unwrap());
    app.admin().post(&project.path(&format!("{key}/rotate")), json!({ "overlapSeconds": 0 })).await;
    let rotated = details("key.rotate").await;
    assert_eq!((&rotated["name"], key.ends_with(rotated["replaces"].as_str().unwrap())), (&json!("ci"), true));
    app.admin().delete(&project.path(&key)).await;
    assert_eq!(details("key.revoke").await, json!({ "type": "secret", "name": "ci" }));
    app.admin().patch(&project.path(""), json!({ "name": "Store" })).await;
    assert_eq!(details("project.update").await, json!({ "name": "Store", "previousName": "Shop" }));

    let (_, added) = app.admin().post("/admin/v1/trusted-keys", trusted_key()).await;
    app.admin().delete(&format!("/admin/v1/trusted-keys/{}", added["id"].as_str().unwrap())).await;
    assert_eq!(details("trusted_key.remove").await, json!({ "name": "author" }));

    project.sql("CREATE TABLE items (id int PRIMARY KEY)").await;
    project.expose("items", "read", "none").await;
    assert_eq!(details("table.expose").await, json!({ "publishable": "read", "signedIn": "none" }));
    let upload = json!({ "path": "a.txt", "contentType": "text/plain", "maxSize": 100 });
    app.admin().post(&project.path("/buckets/uploads/signed-upload"), upload).await;
    assert_eq!(details("object.sign_upload").await, json!({ "objectKey": "uploads/a.txt" }));
}

#[tokio::test]
async fn entries_name_project_and_target_and_refused_changes_name_the_project() {
    let app = TestApp::builder().role(Role::Gateway).start().await;
    let project = app.create_project("Shop").await;
    project.sql("CREATE TABLE items (id int PRIMARY KEY)").await;
    let last = async |action: &str| entries(&app.admin(), &format!("&action={action}")).await[0].clone();
    app.admin().patch(&project.path(""), json!({ "name": "Store" })).await;
    app.admin().post(&project.path("/sql"), json!({ "sql": "INSERT INTO items VALUES (1)" })).await;
    for action in ["project.update", "sql.run"] {
        let entry = last(action).await;
        assert_eq!((&entry["target"], &entry["projectId"]), (&json!(project.id), &json!(project.id)), "{entry}");
    }
    app.admin().delete("/admin/v1/sessions").await;
    assert_eq!(last("admin.end_sessions").await["target"], "platform");

    let run = Uuid::now_v7();
    sqlx::query(
        "INSERT INTO cron_job_runs (id, project_id, plugin, plugin_job, trigger)
         VALUES ($1, $2, 'nobody', 'x', 'manual')",
    )
    .bind(run)
    .bind(&project.id)
    .execute(app.app.platform())
    .await
    .unwrap();
    let (status, cancelled) = app.admin().post(&format!("/admin/v1/runs/{run}/cancel"), json!({})).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{cancelled}");
    let cancelled = last("run.cancel").await;
    let found = (&cancelled["result"], &cancelled["projectId"], &cancelled["target"]);
    assert_eq!(found, (&json!("success"), &json!(project.id), &json!(run.to_string())), "{cancelled}");

    let import = json!({ "projectId": project.id, "table": "items", "format": "csv", "sizeBytes": 5 });
    let (_, created) = app.admin().post("/admin/v1/imports", import).await;
    let path = format!("/admin/v1/imports/{}/start", created["import"]["id"].as_str().unwrap());
    app.admin().post(&path, json!({})).await;
    let empty = json!({ "projectId": project.id, "table": "items", "format": "csv", "sizeBytes": -1 });
    app.admin().post("/admin/v1/imports", empty).await;
    let source = json!({ "kind": "query", "projectId": project.id, "sql": "SELECT nothing" });
    app.admin().post("/admin/v1/exports", json!({ "source": source, "format": "csv" })).await;
    for action in ["import.start", "import.create", "export.create"] {
        let entry = last(action).await;
        assert_eq!((&entry["result"], &entry["projectId"]), (&json!("denied"), &json!(project.id)), "{entry}");
    }
    let unknown = json!({ "projectId": "nowhere", "table": "items", "format": "csv", "sizeBytes": 5 });
    app.admin().post("/admin/v1/imports", unknown).await;
    assert_eq!(last("import.create").await["projectId"], Value::Null);
}
