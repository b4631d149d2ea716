//! Pending migrations of the platform database: listed, and applied through the API and by a job.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::{
    jobs::end_to_end::{begin, create, ended},
    support::TestApp,
};

/// Version of a migration that [`make_pending`] can undo: it only adds a column.
pub(crate) const VERSION: i64 = 31;
pub(crate) const NAME: &str = "list left out objects";

/// Undoes the migration [`VERSION`], as if this version of AtlasHub contained it for the first time.
pub(crate) async fn make_pending(app: &TestApp) {
    let undo = "ALTER TABLE restores DROP COLUMN left_out; DELETE FROM platform_migrations WHERE version = 31";
    sqlx::raw_sql(undo).execute(app.app.platform()).await.unwrap();
    assert!(!is_applied(app).await);
}

/// Returns whether the migration is recorded and its column exists. Panics if only one of both is true.
pub(crate) async fn is_applied(app: &TestApp) -> bool {
    let (recorded, has_column): (bool, bool) = sqlx::query_as(
        "SELECT EXISTS (SELECT FROM platform_migrations WHERE version = $1),
                EXISTS (SELECT FROM pg_attribute WHERE attrelid = 'restores'::regclass AND attname = 'left_out')",
    )
    .bind(VERSION)
    .fetch_one(app.app.platform())
    .await
    .unwrap();
    assert_eq!(recorded, has_column, "the list of migrations does not describe the tables");
    recorded
}

/// Returns the migrations that are not applied, as the API lists them.
async fn pending(app: &TestApp) -> Vec<Value> {
    let (status, page) = app.admin().get("/admin/v1/migrations?limit=200").await;
    assert_eq!(status, StatusCode::OK, "{page}");
    let items = page["items"].as_array().unwrap();
    assert!(items.len() > 1, "{page}");
    items.iter().filter(|migration| migration["state"] != "applied").cloned().collect()
}

fn assert_applied_only_the_pending_one(run: &Value) {
    assert_eq!(run["status"], "success", "{run}");
    let applied = run["result"]["applied"].as_array().unwrap();
    assert_eq!(applied.len(), 1, "{run}");
    assert_eq!((&applied[0]["version"], &applied[0]["name"]), (&json!(VERSION), &json!(NAME)), "{run}");
    assert_eq!(applied[0]["applied"], true, "{run}");
}

#[tokio::test]
async fn pending_migration_is_listed_and_applied_through_the_api() {
    let app = TestApp::builder().first_party_plugins().start().await;
    make_pending(&app).await;
    let expected = json!({ "version": VERSION, "name": NAME, "state": "pending", "appliedAt": null });
    assert_eq!(pending(&app).await, [expected]);

    let (status, started) = app.admin().post("/admin/v1/migrations/apply", json!({})).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{started}");
    let run = ended(&app.admin(), started["runId"].as_str().unwrap()).await;
    assert_applied_only_the_pending_one(&run);
    assert!(is_applied(&app).await);
    assert_eq!(pending(&app).await, Vec::<Value>::new());
    // What needs the migration works again.
    let (status, restores) = app.admin().get("/admin/v1/restores").await;
    assert_eq!(status, StatusCode::OK, "{restores}");
}

#[tokio::test]
async fn pending_migration_is_applied_by_a_job_of_the_plugin() {
    let app = TestApp::builder().first_party_plugins().start().await;
    let admin = app.admin();
    let job = async |name: &str| {
        let job = json!({
            "name": name, "type": "platform", "plugin": "migrations", "pluginJob": name, "scheduleCron": "@yearly",
        });
        create(&admin, job).await
    };
    let (status, apply) = (job("status").await, job("apply").await);
    make_pending(&app).await;

    let listed = ended(&admin, &begin(&admin, &status).await).await;
    assert_eq!((&listed["status"], &listed["result"]["pending"]), (&json!("success"), &json!(1)), "{listed}");
    assert!(!is_applied(&app).await, "the job `status` applied the migration");
    assert_applied_only_the_pending_one(&ended(&admin, &begin(&admin, &apply).await).await);
    assert!(is_applied(&app).await);

    // Nothing is left for another run.
    let again = ended(&admin, &begin(&admin, &apply).await).await;
    assert_eq!((&again["status"], &again["result"]), (&json!("success"), &json!({ "applied": [] })), "{again}");
    let listed = ended(&admin, &begin(&admin, &status).await).await;
    assert_eq!(listed["result"]["pending"], 0, "{listed}");
}
