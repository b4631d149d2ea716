//! Imports whose run lost its lease or never had it: they insert nothing, or every row once.

use serde_json::json;
use uuid::Uuid;

use super::{
    grants::guest,
    imports::{get, run, upload, value},
    start,
};
use crate::support::{TestApp, TestProject, eventually, expire_leases, guests::GuestRun, until_waiting_for};

const ROWS: i64 = 100;
const COUNT: &str = "SELECT count(*) FROM items";
/// The direct method loads the CSV file; the staged method loads the other one.
const FORMATS: [&str; 2] = ["csv", "ndjson"];

/// Creates an import that failed and can be run again: the constraint that its rows violated is gone. Returns its path
/// and id.
async fn failed_import(app: &TestApp, project: &TestProject, format: &str) -> (String, Uuid) {
    project.sql("DROP TABLE IF EXISTS items; CREATE TABLE items (id int CONSTRAINT negative CHECK (id < 0))").await;
    let file: String = match format {
        "csv" => std::iter::once("id\n".to_owned()).chain((0..ROWS).map(|id| format!("{id}\n"))).collect(),
        _ => (0..ROWS).map(|id| format!("{{\"id\": {id}}}\n")).collect(),
    };
    let path = upload(app, project, "items", format, file).await;
    let failed = run(app, &path, json!({})).await;
    assert_eq!((&failed["state"], &failed["rowsInserted"]), (&json!("failed"), &json!(0)), "{failed}");
    project.sql("ALTER TABLE items DROP CONSTRAINT negative").await;
    let id = failed["id"].as_str().unwrap().parse().unwrap();
    (path, id)
}

/// Prepares a run of the import.
async fn import_run(app: &TestApp, id: Uuid) -> GuestRun {
    guest(app, &["*"], &["exports", "imports"], "import", id).await
}

/// Locks the table, so that imports can't insert rows until the connection rolls back.
async fn lock_items(project: &TestProject) -> sqlx::PgConnection {
    let mut locker = project.connect().await;
    sqlx::raw_sql("BEGIN; LOCK TABLE items IN SHARE MODE").execute(&mut locker).await.unwrap();
    locker
}

async fn unlock(locker: &mut sqlx::PgConnection) {
    sqlx::raw_sql("ROLLBACK").execute(locker).await.unwrap();
}

#[tokio::test]
async fn run_without_its_lease_imports_nothing_and_does_not_change_the_import() {
    let app = start().await;
    let project = app.create_project("Shop").await;
    let (path, id) = failed_import(&app, &project, "csv").await;
    let before = get(&app, &path).await;
    let mut lost = import_run(&app, id).await;
    lost.call.lease = Uuid::new_v4();
    let message = lost.failure().await;
    assert!(message.contains("no longer holds its lease"), "{message}");
    assert_eq!(value(&project, COUNT).await, 0);
    assert_eq!(get(&app, &path).await, before);

    // A run with its lease inserts the rows, and a further run does not insert them again.
    let report = import_run(&app, id).await.run().await.unwrap();
    assert_eq!(report.result["rowsInserted"], ROWS);
    let message = import_run(&app, id).await.failure().await;
    assert!(message.contains("already been imported"), "{message}");
    assert_eq!(value(&project, COUNT).await, ROWS);
    assert_eq!(get(&app, &path).await["state"], "done");
}

#[tokio::test]
async fn import_that_loses_its_lease_before_its_commit_inserts_nothing_and_fails() {
    let app = start().await;
    let project = app.create_project("Shop").await;
    for format in FORMATS {
        let (path, id) = failed_import(&app, &project, format).await;
        let loses = import_run(&app, id).await;
        let mut locker = lock_items(&project).await;
        let take_lease = async {
            until_waiting_for(&mut locker, "items", 1).await;
            sqlx::query("UPDATE cron_job_runs SET lease_token = gen_random_uuid() WHERE id = $1")
                .bind(loses.call.run_id)
                .execute(app.app.platform())
                .await
                .unwrap();
            unlock(&mut locker).await;
        };
        let (message, ()) = tokio::join!(loses.failure(), take_lease);
        assert!(message.contains("no longer holds its lease"), "{format}: {message}");
        assert_eq!(value(&project, COUNT).await, 0, "{format}");

        // The import fails as soon as its run is ended, and can then be started again.
        assert_eq!(get(&app, &path).await["state"], "running", "{format}");
        expire_leases(&mut app.app.platform().acquire().await.unwrap()).await;
        let failed = eventually("the import is not running", async || {
            let import = get(&app, &path).await;
            (import["state"] != "running").then_some(import)
        })
        .await;
        assert_eq!((&failed["state"], &failed["rowsInserted"]), (&json!("failed"), &json!(0)), "{format}: {failed}");
        assert!(failed["errorText"].as_str().is_some_and(|text| !text.is_empty()), "{format}: {failed}");
        let done = run(&app, &path, json!({})).await;
        assert_eq!((&done["state"], &done["rowsInserted"]), (&json!("done"), &json!(ROWS)), "{format}: {done}");
        assert_eq!(value(&project, COUNT).await, ROWS, "{format}");
    }
}

#[tokio::test]
async fn two_runs_of_an_import_at_the_same_time_insert_its_rows_once() {
    let app = start().await;
    let project = app.create_project("Shop").await;
    for format in FORMATS {
        let (path, id) = failed_import(&app, &project, format).await;
        let (first, second) = (import_run(&app, id).await, import_run(&app, id).await);
        let mut locker = lock_items(&project).await;
        // The second run takes the import over while the first one inserts its rows.
        let take_over = async {
            until_waiting_for(&mut locker, "items", 1).await;
            let wait_and_unlock = async {
                until_waiting_for(&mut locker, "items", 2).await;
                unlock(&mut locker).await;
            };
            tokio::join!(second.run(), wait_and_unlock).0
        };
        let (message, outcome) = tokio::join!(first.failure(), take_over);
        assert!(message.contains("no longer holds its lease"), "{format}: {message}");
        assert_eq!(outcome.unwrap().result["rowsInserted"], ROWS, "{format}");
        assert_eq!(value(&project, COUNT).await, ROWS, "{format}");
        let import = get(&app, &path).await;
        let run = json!(second.call.run_id);
        assert_eq!((&import["state"], &import["runId"]), (&json!("done"), &run), "{format}: {import}");
    }
}
