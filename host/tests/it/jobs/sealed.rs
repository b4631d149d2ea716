//! Sealed headers and bodies of jobs when the master key changes or is lost.

use atlashub::{config::Role, secrets::MasterKey};
use reqwest::StatusCode;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{TestApp, TestRunner, code, eventually};

fn http_job(name: &str) -> Value {
    json!({
        "name": name, "type": "http", "scheduleCron": "0 3 * * 1", "httpUrl": "https://example.com/ping",
        "httpMethod": "POST", "httpHeaders": { "authorization": "Bearer first-value" }, "httpBody": "first-body",
    })
}

async fn create(app: &TestApp, job: Value) -> String {
    let (status, job) = app.admin().post("/admin/v1/jobs", job).await;
    assert_eq!(status, StatusCode::CREATED, "{job}");
    job["id"].as_str().unwrap().to_owned()
}

/// Runs a job. Returns the secrets that its runner received.
async fn secrets(app: &TestApp, runner: &TestRunner, job: &str) -> Vec<(String, String)> {
    let run = app.run_job(job).await;
    app.until_run(&run, "success").await;
    let call = runner.attempts_of(job).pop().unwrap().call;
    call.secrets.iter().map(|(name, value)| (name.clone(), value.expose().to_owned())).collect()
}

fn secret(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

#[tokio::test]
async fn job_with_unreadable_headers_is_listed_and_can_be_repaired() {
    let runner = TestRunner::new();
    let app = TestApp::builder().runner(runner.node("a")).start().await;
    let (broken, whole) = (create(&app, http_job("broken")).await, create(&app, http_job("whole")).await);
    sqlx::query("UPDATE cron_jobs SET http_headers_json = '\\x00' WHERE id = $1")
        .bind(broken.parse::<Uuid>().unwrap())
        .execute(app.app.platform())
        .await
        .unwrap();
    let (status, list) = app.admin().get("/admin/v1/jobs").await;
    assert_eq!(status, StatusCode::OK, "{list}");
    let items = list["items"].as_array().unwrap();
    let of = |id: &str| items.iter().find(|job| job["id"] == id).unwrap();
    assert_eq!(of(&broken)["httpHeaders"], json!({}));
    assert_eq!(of(&broken)["problem"], "The job's headers can't be opened with the current master key.");
    assert_eq!((&of(&whole)["httpHeaders"], &of(&whole)["problem"]), (&json!({ "authorization": null }), &Value::Null));

    // The job can be disabled and renamed, but not run, and no header value can be kept.
    let path = format!("/admin/v1/jobs/{broken}");
    let (status, changed) = app.admin().patch(&path, json!({ "enabled": false, "name": "still broken" })).await;
    assert_eq!((status, &changed["enabled"]), (StatusCode::OK, &json!(false)), "{changed}");
    for change in [
        json!({ "httpHeaders": { "authorization": null } }),
        json!({ "enabled": true }),
        json!({ "httpUrl": "https://example.com/other" }),
    ] {
        let (status, error) = app.admin().patch(&path, change.clone()).await;
        assert_eq!((status, code(&error)), (StatusCode::UNPROCESSABLE_ENTITY, "unprocessable"), "{change}: {error}");
    }
    let (status, error) = app.admin().post(&format!("{path}/run"), json!({})).await;
    assert_eq!((status, code(&error)), (StatusCode::UNPROCESSABLE_ENTITY, "unprocessable"), "{error}");

    let change = json!({ "enabled": true, "httpHeaders": { "authorization": "Bearer second-value" } });
    let (status, mended) = app.admin().patch(&path, change).await;
    assert_eq!((status, &mended["problem"]), (StatusCode::OK, &Value::Null), "{mended}");
    let expected = [secret("body", "first-body"), secret("header.authorization", "Bearer second-value")];
    assert_eq!(secrets(&app, &runner, &broken).await, expected);
}

#[tokio::test]
async fn body_placeholder_keeps_the_stored_body() {
    let runner = TestRunner::new();
    let app = TestApp::builder().runner(runner.node("a")).start().await;
    let job = create(&app, http_job("job")).await;
    let path = format!("/admin/v1/jobs/{job}");
    let (_, shown) = app.admin().get(&path).await;
    let change = json!({ "httpHeaders": shown["httpHeaders"], "httpBody": shown["httpBody"] });
    let (status, changed) = app.admin().patch(&path, change).await;
    assert_eq!((status, &changed["httpBody"]), (StatusCode::OK, &json!("***")), "{changed}");
    let expected = [secret("body", "first-body"), secret("header.authorization", "Bearer first-value")];
    assert_eq!(secrets(&app, &runner, &job).await, expected);
    app.admin().patch(&path, json!({ "httpBody": "" })).await;
    let (status, error) = app.admin().patch(&path, json!({ "httpBody": "***" })).await;
    assert_eq!((status, code(&error)), (StatusCode::BAD_REQUEST, "invalid_request"), "{error}");
}

#[tokio::test]
async fn concurrent_change_does_not_undo_resealing() {
    let (old, new) = (MasterKey::generate(), MasterKey::generate());
    let runner = TestRunner::new();
    let before = TestApp::builder().role(Role::Gateway).runner(runner.node("a")).master_keys(&old, None).start().await;
    let job = create(&before, http_job("job")).await;
    let database = before.services.database_url.expose().to_owned();
    let node =
        TestApp::builder().role(Role::Gateway).database_url(&database).master_keys(&new, Some(&old)).start().await;
    let platform = node.app.platform();
    // The change reads the job, then waits for the row, which the rotation has locked.
    let mut rotation = platform.begin().await.unwrap();
    sqlx::query("SELECT FROM cron_jobs FOR UPDATE").execute(&mut *rotation).await.unwrap();
    let (admin, path) = (before.admin(), format!("/admin/v1/jobs/{job}"));
    let change = tokio::spawn(async move { admin.patch(&path, json!({ "name": "renamed" })).await });
    eventually("the change waits for the row", async || {
        let waiting: bool = sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM pg_stat_activity WHERE datname = current_database()
                            AND wait_event_type = 'Lock' AND query LIKE 'WITH updated%')",
        )
        .fetch_one(platform)
        .await
        .unwrap();
        waiting
    })
    .await;
    let (headers, body): (Vec<u8>, Vec<u8>) =
        sqlx::query_as("SELECT http_headers_json, http_body_json FROM cron_jobs").fetch_one(platform).await.unwrap();
    let sealer = &node.app.projects().sealer;
    let id: Uuid = job.parse().unwrap();
    let reseal =
        |sealed: &[u8], identity: &str| sealer.seal(&sealer.open(sealed, identity).unwrap(), identity).unwrap();
    sqlx::query("UPDATE cron_jobs SET http_headers_json = $1, http_body_json = $2")
        .bind(reseal(&headers, &atlashub::jobs::job_headers_identity(id)))
        .bind(reseal(&body, &atlashub::jobs::job_body_identity(id)))
        .execute(&mut *rotation)
        .await
        .unwrap();
    rotation.commit().await.unwrap();
    assert_eq!(change.await.unwrap().0, StatusCode::OK);

    // The previous key is no longer needed.
    let after =
        TestApp::builder().runner(runner.node("b")).database_url(&database).master_keys(&new, None).start().await;
    let expected = [secret("body", "first-body"), secret("header.authorization", "Bearer first-value")];
    assert_eq!(secrets(&after, &runner, &job).await, expected);
    let (_, shown) = after.admin().get(&format!("/admin/v1/jobs/{job}")).await;
    assert_eq!(shown["name"], "renamed");
}
