//! Exports and imports that are cancelled, or for which the object store or the database fails, at each step.

use atlashub::object_store::PLATFORM_BUCKET;
use reqwest::StatusCode;
use serde_json::{Value, json};
use sqlx::PgConnection;

use super::{
    export, get_export,
    imports::{get, run, upload, value},
};
use crate::{
    jobs::end_to_end::ended,
    support::{
        FaultProxy, HANGING_QUERY, Hang, Store, TestApp, TestProject, create_hanging_query, end_sleeping, eventually,
        until_sleeping,
    },
};

/// A query whose export has 20 MB, which are sent in three parts.
const LARGE: &str = "SELECT repeat(md5(g::text), 100) FROM generate_series(1, 6500) g";
const SMALL: &str = "SELECT g FROM generate_series(1, 10) g";
/// The requests that store a file: the query of the export, and a string that the request contains.
const STORE_STEPS: [(&str, &str); 5] = [
    (SMALL, "x-id=PutObject"),
    (LARGE, ".csv?uploads"),
    (LARGE, "partNumber=1&"),
    (LARGE, "partNumber=3&"),
    (LARGE, ".csv?uploadId="),
];
/// The response of the embedded store if its disk is full.
const FULL: &str = "HTTP/1.1 507 Insufficient Storage\r\ncontent-type: application/xml\r\ncontent-length: 137\r\n\
    connection: close\r\n\r\n<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>InternalError</Code>\
    <Message>There is no space left for this object.</Message></Error>";

/// A platform whose connections to the store can be made to fail.
struct FaultyStore {
    app: TestApp,
    project: TestProject,
    store: FaultProxy,
}

impl FaultyStore {
    async fn start() -> Self {
        let (store, endpoint) = FaultProxy::before_store().await;
        let app = TestApp::builder().first_party_plugins().var("ATLASHUB_S3_ENDPOINT", &endpoint).start().await;
        let project = app.create_project("Shop").await;
        Self { app, project, store }
    }

    fn query(&self, sql: &str) -> Value {
        json!({ "source": { "kind": "query", "projectId": self.project.id, "sql": sql }, "format": "csv" })
    }

    async fn sweep(&self) {
        atlashub::transfers::sweep(self.app.app.transfers()).await.unwrap();
    }

    async fn start_run(&self, path: &str, request: Value) -> (Value, String) {
        let (status, started) = self.app.admin().post(path, request).await;
        assert_eq!(status, StatusCode::ACCEPTED, "{started}");
        let run = started["runId"].as_str().unwrap().to_owned();
        (started, run)
    }

    /// Cancels a run. If a statement hangs that holds the run's lock, the request waits for the statement, and the run
    /// may fail before the request cancels it.
    async fn cancel(&self, run: &str, step: &str) {
        let (status, body) = self.app.admin().post(&format!("/admin/v1/runs/{run}/cancel"), json!({})).await;
        assert!(status.is_success() || status == StatusCode::CONFLICT, "{step}: {body}");
        let run = ended(&self.app.admin(), run).await;
        assert!(run["status"] == "cancelled" || run["status"] == "fail", "{step}: {run}");
    }
}

/// Waits until neither an object nor an unfinished upload exists for an export or import.
pub(crate) async fn until_nothing_is_stored(folder: &str, id: &Value) {
    eventually("nothing remains in the store", async || is_nothing_stored(folder, id).await).await;
}

/// Returns whether neither an object nor an unfinished upload exists for an export or import.
pub(crate) async fn is_nothing_stored(folder: &str, id: &Value) -> bool {
    let prefix = format!("{folder}/{}", id.as_str().unwrap());
    let client = Store::shared().client();
    if client.head_bucket().bucket(PLATFORM_BUCKET).send().await.is_err() {
        // The bucket is created with its first object.
        return true;
    }
    let objects = client.list_objects_v2().bucket(PLATFORM_BUCKET).prefix(&prefix).send().await.unwrap();
    let uploads = client.list_multipart_uploads().bucket(PLATFORM_BUCKET).prefix(&prefix).send().await.unwrap();
    objects.contents().is_empty() && uploads.uploads().is_empty()
}

#[tokio::test]
async fn export_leaves_nothing_if_the_store_is_full_or_cuts_a_request() {
    let faulty = FaultyStore::start().await;
    for (sql, step) in STORE_STEPS {
        for (response, words) in [("", "can't be reached"), (FULL, "no space left")] {
            match response {
                "" => faulty.store.cut(step),
                response => faulty.store.respond(step, response),
            }
            let failed = export(&faulty.app, faulty.query(sql)).await;
            assert_eq!(faulty.store.clear(), [""; 0], "{failed}");
            assert_eq!(failed["state"], "failed", "{step}: {failed}");
            assert!(failed["errorText"].as_str().unwrap().contains(words), "{step}: {failed}");
            until_nothing_is_stored("exports", &failed["id"]).await;
        }
    }
    assert_eq!(export(&faulty.app, faulty.query(LARGE)).await["state"], "ready");
}

#[tokio::test]
async fn export_is_swept_if_the_store_is_unreachable_until_its_end() {
    let faulty = FaultyStore::start().await;
    let mut connection = faulty.project.connect().await;
    create_hanging_query(&mut connection).await;
    let (started, run) = faulty.start_run("/admin/v1/exports", faulty.query(HANGING_QUERY)).await;
    until_sleeping(&mut connection).await;
    faulty.store.cut("HTTP/1.1");
    end_sleeping(&mut connection).await;
    assert_eq!(ended(&faulty.app.admin(), &run).await["status"], "fail");
    faulty.store.clear();
    faulty.sweep().await;
    until_nothing_is_stored("exports", &started["exportId"]).await;
}

#[tokio::test]
async fn export_cancelled_at_any_step_leaves_nothing_after_a_sweep() {
    let faulty = FaultyStore::start().await;
    for (sql, step) in STORE_STEPS {
        faulty.store.hold(step);
        let (started, run) = faulty.start_run("/admin/v1/exports", faulty.query(sql)).await;
        faulty.store.wait_until_held().await;
        faulty.cancel(&run, step).await;
        assert_eq!(get_export(&faulty.app, &started["exportId"]).await["state"], "cancelled", "{step}");
        assert_eq!(faulty.store.clear(), [""; 0]);
        // A request that was on its way may still succeed.
        faulty.store.release();
        eventually("the sweep removes the file", async || {
            faulty.sweep().await;
            is_nothing_stored("exports", &started["exportId"]).await
        })
        .await;
    }
    let mut platform = platform(&faulty.app).await;
    for (condition, sql) in [("NEW.ready_at IS NULL", SMALL), ("NEW.ready_at IS NOT NULL", LARGE)] {
        let hang = Hang::at(&mut platform, "UPDATE", "exports", condition).await;
        let (started, run) = faulty.start_run("/admin/v1/exports", faulty.query(sql)).await;
        hang.reached(&mut platform).await;
        faulty.cancel(&run, condition).await;
        hang.end(&mut platform).await;
        let export = get_export(&faulty.app, &started["exportId"]).await;
        assert!(export["state"] == "cancelled" || export["state"] == "failed", "{condition}: {export}");
        until_nothing_is_stored("exports", &started["exportId"]).await;
    }
}

async fn platform(app: &TestApp) -> PgConnection {
    use sqlx::Connection as _;
    PgConnection::connect(app.services.database_url.expose()).await.unwrap()
}

/// Returns a CSV file with this number of rows, each about 1000 bytes long.
fn large_csv(rows: u32) -> String {
    std::iter::once("id,name\n".to_owned()).chain((0..rows).map(|id| format!("{id},{}\n", "x".repeat(1000)))).collect()
}

#[tokio::test]
async fn import_changes_nothing_if_the_store_or_the_database_fails_during_it() {
    let faulty = FaultyStore::start().await;
    faulty.project.sql("CREATE TABLE items (id int, name text)").await;
    let path = upload(&faulty.app, &faulty.project, "items", "csv", large_csv(6000)).await;
    for request in [json!({}), json!({ "onError": "skip" })] {
        // The start of the import reads fewer bytes, so the run gets the response that is cut.
        faulty.store.cut_response("GET /atlashub-platform/imports/", 4 << 20);
        let failed = run(&faulty.app, &path, request).await;
        assert_eq!(faulty.store.clear(), [""; 0]);
        assert_eq!(failed["state"], "failed", "{failed}");
        assert!(failed["errorText"].as_str().unwrap().contains("the object store"), "{failed}");
        assert_eq!(value(&faulty.project, "SELECT count(*) FROM items").await, 0);
    }
    let mut project = faulty.project.connect().await;
    let hang = Hang::at(&mut project, "INSERT", "items", "NEW.id = 5000").await;
    let (_, run_id) = faulty.start_run(&format!("{path}/start"), json!({ "onError": "skip" })).await;
    hang.reached(&mut project).await;
    hang.end(&mut project).await;
    assert_eq!(ended(&faulty.app.admin(), &run_id).await["status"], "fail");
    let failed = get(&faulty.app, &path).await;
    assert_eq!(failed["state"], "failed", "{failed}");
    assert!(failed["errorText"].as_str().unwrap().contains("the project's database"), "{failed}");
    assert_eq!(value(&faulty.project, "SELECT count(*) FROM items").await, 0);
    assert_eq!(run(&faulty.app, &path, json!({})).await["state"], "done");
    assert_eq!(value(&faulty.project, "SELECT count(*) FROM items").await, 6000);
}

#[tokio::test]
async fn cancelled_import_changes_nothing_or_everything_at_any_step() {
    let faulty = FaultyStore::start().await;
    let mut platform = platform(&faulty.app).await;
    faulty.project.sql("CREATE TABLE items (id int, name text)").await;
    let claimed = "OLD.state = 'running' AND NEW.state = 'running'";
    let steps = [
        ("imports", claimed, "cancelled"),
        ("items", "NEW.id = 50", "cancelled"),
        ("imports", "NEW.state = 'committing'", "cancelled"),
        ("imports", "NEW.state = 'done'", "done"),
    ];
    for (table, condition, state) in steps {
        faulty.project.sql("TRUNCATE items").await;
        let path = upload(&faulty.app, &faulty.project, "items", "csv", large_csv(100)).await;
        let mut project = faulty.project.connect().await;
        let (event, connection) = if table == "items" { ("INSERT", &mut project) } else { ("UPDATE", &mut platform) };
        let hang = Hang::at(connection, event, table, condition).await;
        let (_, run) = faulty.start_run(&format!("{path}/start"), json!({})).await;
        hang.reached(connection).await;
        faulty.cancel(&run, condition).await;
        hang.end(connection).await;
        let import = get(&faulty.app, &path).await;
        let is_expected = import["state"] == state || (state == "cancelled" && import["state"] == "failed");
        assert!(is_expected, "{condition}: {import}");
        let rows = if state == "done" { 100 } else { 0 };
        assert_eq!(value(&faulty.project, "SELECT count(*) FROM items").await, rows, "{condition}");
        assert_eq!(import["rowsInserted"], rows, "{condition}: {import}");
        if state == "done" {
            until_nothing_is_stored("imports", &import["id"]).await;
        } else {
            assert_eq!(super::imports::run(&faulty.app, &path, json!({})).await["rowsInserted"], 100, "{condition}");
        }
    }
}

#[tokio::test]
async fn import_cancelled_during_its_commit_is_cancelled_and_changes_nothing() {
    let faulty = FaultyStore::start().await;
    faulty.project.sql("CREATE TABLE items (id int, name text)").await;
    let path = upload(&faulty.app, &faulty.project, "items", "csv", large_csv(100)).await;
    let mut project = faulty.project.connect().await;
    let hang = Hang::at_commit(&mut project, "items", "NEW.id = 50").await;
    let (_, run_id) = faulty.start_run(&format!("{path}/start"), json!({})).await;
    hang.reached(&mut project).await;
    let stored: String =
        sqlx::query_scalar("SELECT state FROM imports").fetch_one(faulty.app.app.platform()).await.unwrap();
    assert_eq!(stored, "committing");
    assert!(faulty.app.admin().post(&format!("/admin/v1/runs/{run_id}/cancel"), json!({})).await.0.is_success());
    assert_eq!(ended(&faulty.app.admin(), &run_id).await["status"], "cancelled");
    hang.end(&mut project).await;
    let import = get(&faulty.app, &path).await;
    assert_eq!((&import["state"], &import["errorText"]), (&json!("cancelled"), &Value::Null), "{import}");
    assert_eq!(import["rowsInserted"], 0, "{import}");
    assert_eq!(value(&faulty.project, "SELECT count(*) FROM items").await, 0);
    assert_eq!(run(&faulty.app, &path, json!({})).await["rowsInserted"], 100);
}
