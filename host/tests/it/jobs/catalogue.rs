//! Creating, changing and deleting jobs.

use std::sync::Arc;

use atlashub::{config::Role, secrets::MasterKey};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::{TestApp, TestRunner, code, eventually};

async fn start(runner: &Arc<TestRunner>) -> TestApp {
    TestApp::builder().runner(runner.node("a")).start().await
}

fn http_job() -> Value {
    json!({
        "name": "Ping", "type": "http", "scheduleCron": "0 3 * * 1", "timezone": "Europe/Berlin",
        "httpUrl": "https://example.com/ping", "httpMethod": "post",
        "httpHeaders": { "Authorization": "Bearer secret-of-the-header", "x-plain": "other-secret-value" },
        "httpBody": "body-that-is-secret",
    })
}

const SECRETS: [&str; 3] = ["secret-of-the-header", "other-secret-value", "body-that-is-secret"];

#[tokio::test]
async fn job_can_be_created_read_changed_and_deleted() {
    let runner = TestRunner::new();
    let app = start(&runner).await;
    let project = app.create_project("Jobs").await;
    let mut body = http_job();
    body["projectId"] = json!(project.id);
    let (status, job) = app.admin().post("/admin/v1/jobs", body).await;
    assert_eq!(status, StatusCode::CREATED, "{job}");
    assert_eq!(job["projectId"], project.id);
    assert_eq!((&job["type"], &job["httpMethod"], &job["enabled"]), (&json!("http"), &json!("POST"), &json!(true)));
    assert_eq!((&job["overlap"], &job["catchUp"], &job["timeoutMs"]), (&json!("skip"), &json!("once"), &json!(60000)));
    assert_eq!(job["nextRuns"].as_array().unwrap().len(), 5);
    assert_eq!(job["lastRun"], Value::Null);
    let path = format!("/admin/v1/jobs/{}", job["id"].as_str().unwrap());
    assert_eq!(app.admin().get(&path).await, (StatusCode::OK, job.clone()));

    let (status, changed) = app.admin().patch(&path, json!({ "name": "Pong", "enabled": false })).await;
    assert_eq!(status, StatusCode::OK, "{changed}");
    assert_eq!((&changed["name"], &changed["scheduleCron"]), (&json!("Pong"), &json!("0 3 * * 1")));
    assert_eq!(changed["nextRuns"], json!([]), "a disabled job has fire times");
    let (_, changed) =
        app.admin().patch(&path, json!({ "enabled": true, "timezone": "UTC", "overlap": "queue" })).await;
    assert_eq!((&changed["timezone"], &changed["overlap"]), (&json!("UTC"), &json!("queue")));
    assert!(changed["nextRuns"][0].as_str().unwrap().contains("T03:00:00"), "{changed}");

    let (_, list) = app.admin().get(&format!("/admin/v1/jobs?projectId={}", project.id)).await;
    assert_eq!(list["items"].as_array().unwrap().len(), 1);
    let (_, list) = app.admin().get("/admin/v1/jobs?projectId=other").await;
    assert_eq!(list["items"], json!([]));
    assert_eq!(app.admin().delete(&path).await.0, StatusCode::NO_CONTENT);
    assert_eq!(app.admin().get(&path).await.0, StatusCode::NOT_FOUND);
    assert_eq!(app.admin().delete(&path).await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn job_and_run_lists_are_paged() {
    let runner = TestRunner::new();
    let app = start(&runner).await;
    let mut made = Vec::new();
    for number in 0..5 {
        made.push(app.create_job(json!({ "name": format!("job {number}") })).await);
    }
    let (mut seen, mut path) = (Vec::new(), "/admin/v1/jobs?limit=2".to_owned());
    loop {
        let (_, page) = app.admin().get(&path).await;
        seen.extend(page["items"].as_array().unwrap().iter().map(|job| job["id"].as_str().unwrap().to_owned()));
        let Some(cursor) = page["nextCursor"].as_str() else { break };
        path = format!("/admin/v1/jobs?limit=2&cursor={cursor}");
    }
    assert_eq!(seen, made);
    let runs = [app.run_job(&made[0]).await, app.run_job(&made[0]).await, app.run_job(&made[0]).await];
    let (_, first) = app.admin().get("/admin/v1/runs?limit=2").await;
    let cursor = first["nextCursor"].as_str().unwrap();
    let (_, second) = app.admin().get(&format!("/admin/v1/runs?limit=2&cursor={cursor}")).await;
    assert_eq!(second["items"][0]["id"], runs[0]);
    assert_eq!(second["nextCursor"], Value::Null);
    assert_eq!(code(&app.admin().get("/admin/v1/runs?cursor=x").await.1), "invalid_cursor");
}

#[tokio::test]
async fn job_secrets_are_sealed_and_never_returned() {
    let runner = TestRunner::new();
    let app = start(&runner).await;
    let (_, job) = app.admin().post("/admin/v1/jobs", http_job()).await;
    let id = job["id"].as_str().unwrap();
    assert_eq!(job["httpHeaders"], json!({ "Authorization": null, "x-plain": null }));
    assert_eq!(job["httpBody"], "***");
    let run = app.run_job(id).await;
    let run = app.until_run(&run, "success").await;
    assert_eq!(run["httpStatus"], 200);
    // Parameters contain only names, the runner receives the values, and results are redacted.
    assert_eq!(run["result"]["params"]["headers"], json!(["Authorization", "x-plain"]));
    assert_eq!(run["result"]["params"]["hasBody"], true);
    assert_eq!(run["result"]["secrets"], json!(["body", "header.authorization", "header.x-plain"]));
    assert_eq!(run["result"]["secretValues"], json!(["***", "***", "***"]));
    let ran = runner.attempts_of(id).remove(0).call;
    assert_eq!(ran.secrets["header.authorization"].expose(), "Bearer secret-of-the-header");
    assert_eq!(ran.secrets["body"].expose(), "body-that-is-secret");

    let path = format!("/admin/v1/jobs/{id}");
    app.admin().patch(&path, json!({ "name": "renamed" })).await;
    let everything: Vec<String> = sqlx::query_scalar(
        "SELECT row_to_json(j)::text FROM cron_jobs j UNION ALL SELECT row_to_json(r)::text FROM cron_job_runs r
         UNION ALL SELECT row_to_json(a)::text FROM audit_logs a
         UNION ALL SELECT encode(http_headers_json || http_body_json, 'escape') FROM cron_jobs",
    )
    .fetch_all(app.app.platform())
    .await
    .unwrap();
    let (_, list) = app.admin().get("/admin/v1/jobs").await;
    for text in everything.iter().chain([&list.to_string()]) {
        assert!(SECRETS.iter().all(|secret| !text.contains(secret)), "{text}");
    }
}

#[tokio::test]
async fn headers_and_body_can_be_kept_replaced_and_removed() {
    let runner = TestRunner::new();
    let app = start(&runner).await;
    let (_, job) = app.admin().post("/admin/v1/jobs", http_job()).await;
    let id = job["id"].as_str().unwrap();
    let path = format!("/admin/v1/jobs/{id}");
    let change = json!({ "httpHeaders": { "authorization": null, "x-new": "new-value" }, "httpBody": "" });
    let (status, changed) = app.admin().patch(&path, change).await;
    assert_eq!(status, StatusCode::OK, "{changed}");
    assert_eq!(
        (&changed["httpHeaders"], &changed["httpBody"]),
        (&json!({ "authorization": null, "x-new": null }), &Value::Null)
    );
    let run = app.run_job(id).await;
    app.until_run(&run, "success").await;
    let ran = runner.attempts_of(id).remove(0).call;
    assert_eq!(ran.secrets["header.authorization"].expose(), "Bearer secret-of-the-header");
    assert_eq!(ran.secrets["header.x-new"].expose(), "new-value");
    assert_eq!((ran.secrets.len(), &ran.params["hasBody"]), (2, &json!(false)));
    let (status, _) = app.admin().patch(&path, json!({ "httpHeaders": { "x-unknown": null } })).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn sealed_values_are_resealed_with_a_new_master_key() {
    let (old, new) = (MasterKey::generate(), MasterKey::generate());
    let runner = TestRunner::new();
    let before = TestApp::builder().runner(runner.node("a")).role(Role::Gateway).master_keys(&old, None).start().await;
    let (_, job) = before.admin().post("/admin/v1/jobs", http_job()).await;
    let database = before.services.database_url.expose().to_owned();
    let node =
        TestApp::builder().role(Role::Gateway).database_url(&database).master_keys(&new, Some(&old)).start().await;
    let sealer = &node.app.projects().sealer;
    let report = atlashub::app::reseal_all(node.app.platform(), sealer).await.unwrap();
    assert_eq!((report.resealed, report.already_current), (2, 0));
    assert_eq!(atlashub::app::check_all_sealed(node.app.platform(), sealer).await.unwrap(), 2);
    let after =
        TestApp::builder().runner(runner.node("b")).database_url(&database).master_keys(&new, None).start().await;
    let id = job["id"].as_str().unwrap();
    let run = after.run_job(id).await;
    after.until_run(&run, "success").await;
    assert_eq!(runner.attempts_of(id)[0].call.secrets["body"].expose(), "body-that-is-secret");
}

#[tokio::test]
async fn invalid_job_is_rejected_with_reason() {
    let runner = TestRunner::new();
    let app = start(&runner).await;
    let check = async |change: Value, status: StatusCode, part: &str| {
        let mut body = json!({ "name": "x", "type": "platform", "plugin": "test", "scheduleCron": "* * * * *" });
        if change["type"] == "http" {
            body = json!({ "name": "x", "scheduleCron": "* * * * *", "httpUrl": "https://example.com" });
        }
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        body.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        let (actual, error) = app.admin().post("/admin/v1/jobs", body.clone()).await;
        assert_eq!(actual, status, "{body}: {error}");
        let message = error["error"]["message"].as_str().unwrap();
        assert!(message.contains(part), "{body}: {message}");
    };
    let bad = StatusCode::BAD_REQUEST;
    check(json!({ "name": "" }), bad, "`name`").await;
    check(json!({ "name": "x".repeat(121) }), bad, "`name`").await;
    check(json!({ "scheduleCron": "* * * *" }), bad, "4 fields").await;
    check(json!({ "scheduleCron": "0 0 30 2 *" }), bad, "never fires").await;
    check(json!({ "scheduleCron": "0 0 1 1 * * 2030" }), bad, "year").await;
    check(json!({ "timezone": "Mars/Olympus" }), bad, "Mars/Olympus").await;
    check(json!({ "timeoutMs": 99 }), bad, "`timeoutMs`").await;
    check(json!({ "retries": 101 }), bad, "`retries`").await;
    check(json!({ "retryBackoffMs": -1 }), bad, "`retryBackoffMs`").await;
    check(json!({ "plugin": null }), bad, "needs `plugin`").await;
    check(json!({ "plugin": "nobody" }), StatusCode::UNPROCESSABLE_ENTITY, "nobody").await;
    check(json!({ "pluginJob": "play" }), StatusCode::UNPROCESSABLE_ENTITY, "choose one of: work").await;
    check(json!({ "params": { "bad": true } }), bad, "must not be true").await;
    check(json!({ "params": [1] }), bad, "`params`").await;
    check(json!({ "params": { "a": "\u{0}" } }), bad, "NUL").await;
    check(json!({ "httpUrl": "https://example.com" }), bad, "has no `httpUrl`").await;
    check(json!({ "projectId": "nobody12" }), bad, "projectId").await;
    check(json!({ "colour": "red" }), bad, "colour").await;
    check(json!({ "overlap": "never" }), bad, "never").await;
    check(json!({ "type": "http", "httpUrl": null }), bad, "needs `httpUrl`").await;
    check(json!({ "type": "http", "httpUrl": "/relative" }), bad, "absolute").await;
    check(json!({ "type": "http", "httpUrl": "ftp://example.com" }), bad, "http://").await;
    check(json!({ "type": "http", "httpUrl": "https://user:pw@example.com" }), bad, "user or password").await;
    check(json!({ "type": "http", "httpMethod": "BREW" }), bad, "`httpMethod`").await;
    check(json!({ "type": "http", "httpBody": "x" }), bad, "no body").await;
    check(json!({ "type": "http", "httpHeaders": { "a b": "x" } }), bad, "not a valid header name").await;
    check(json!({ "type": "http", "httpHeaders": { "a": "x\r\ny: z" } }), bad, "value of `a`").await;
    check(json!({ "type": "http", "httpHeaders": { "Host": "x" } }), bad, "can't be set by a job").await;
    check(json!({ "type": "http", "httpHeaders": { "a": "x", "A": "y" } }), bad, "twice").await;
    check(json!({ "type": "http", "httpHeaders": { "a": null } }), bad, "needs a value").await;
}

#[tokio::test]
async fn concurrent_changes_do_not_overwrite_each_other() {
    let runner = TestRunner::new();
    // No scheduler of this test waits for the job, too.
    let app = TestApp::builder().role(Role::Gateway).runner(runner.node("a")).start().await;
    let job = app.create_job(json!({})).await;
    let path = format!("/admin/v1/jobs/{job}");
    let admin = app.admin();
    // The lock stops both requests after they have read the job, and before either has changed it.
    let mut transaction = app.app.platform().begin().await.unwrap();
    let lock = "SELECT FROM cron_jobs WHERE id = $1::uuid FOR UPDATE";
    sqlx::query(lock).bind(&job).execute(&mut *transaction).await.unwrap();
    let unlock = async {
        eventually("both changes wait for the lock", async || {
            let sql = "SELECT count(*) FROM pg_stat_activity
                       WHERE datname = current_database() AND wait_event_type = 'Lock'";
            sqlx::query_scalar::<_, i64>(sql).fetch_one(app.app.platform()).await.unwrap() == 2
        })
        .await;
        transaction.rollback().await.unwrap();
    };
    let (first, second, ()) = tokio::join!(
        admin.patch(&path, json!({ "retries": 7 })),
        admin.patch(&path, json!({ "timeoutMs": 7000 })),
        unlock
    );
    let statuses = [first.0, second.0];
    assert!(statuses.contains(&StatusCode::OK) && statuses.contains(&StatusCode::CONFLICT), "{statuses:?}");
    let (_, job) = app.admin().get(&path).await;
    let changed = [job["retries"] == 7, job["timeoutMs"] == 7000];
    for (status, changed) in statuses.iter().zip(changed) {
        assert_eq!(*status == StatusCode::OK, changed, "{statuses:?} {job}");
    }
}

#[tokio::test]
async fn cron_preview_returns_fire_times_and_description() {
    let runner = TestRunner::new();
    let app = start(&runner).await;
    let ask = async |body: Value| app.admin().post("/admin/v1/cron/preview", body).await;
    let (status, preview) = ask(json!({
        "scheduleCron": "30 2 * * *", "timezone": "Europe/Berlin", "from": "2026-03-28T12:00:00Z", "count": 3,
    }))
    .await;
    assert_eq!(status, StatusCode::OK, "{preview}");
    assert_eq!(preview["next"], json!(["2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z", "2026-03-31T00:30:00Z"]));
    assert_eq!(preview["description"], "At 02:30");
    let (_, preview) = ask(json!({ "scheduleCron": "@hourly" })).await;
    assert_eq!(preview["next"].as_array().unwrap().len(), 5);
    for body in [
        json!({ "scheduleCron": "* * * * * * *" }),
        json!({ "scheduleCron": "x" }),
        json!({ "scheduleCron": "* * * * *", "timezone": "Nowhere" }),
        json!({ "scheduleCron": "* * * * *", "count": 0 }),
        json!({ "scheduleCron": "* * * * *", "count": 101 }),
    ] {
        let (status, error) = ask(body.clone()).await;
        assert_eq!((status, code(&error)), (StatusCode::BAD_REQUEST, "invalid_request"), "{body}");
    }
}

#[tokio::test]
async fn deleting_a_job_cancels_its_running_run() {
    let runner = TestRunner::new();
    let app = TestApp::builder().runner(runner.node("a")).var("ATLASHUB_JOB_CONCURRENCY", "1").start().await;
    let job = app.create_job(json!({ "params": { "hang": true } })).await;
    let run = app.run_job(&job).await;
    app.until_run(&run, "running").await;
    assert_eq!(app.admin().delete(&format!("/admin/v1/jobs/{job}")).await.0, StatusCode::NO_CONTENT);
    assert_eq!(app.admin().get(&format!("/admin/v1/runs/{run}")).await.0, StatusCode::NOT_FOUND);
    // The only permit is free again.
    let other = app.create_job(json!({})).await;
    let run = app.run_job(&other).await;
    app.until_run(&run, "success").await;
    let actions = eventually("the deletion is in the audit log", async || {
        let (_, page) = app.admin().get("/admin/v1/audit?action=job.*").await;
        let actions: Vec<String> =
            page["items"].as_array()?.iter().map(|entry| entry["action"].as_str().unwrap().to_owned()).collect();
        actions.contains(&"job.delete".to_owned()).then_some(actions)
    })
    .await;
    assert!(actions.contains(&"job.create".to_owned()) && actions.contains(&"job.run".to_owned()), "{actions:?}");
}

#[tokio::test]
async fn created_job_is_audited_with_its_project() {
    let runner = TestRunner::new();
    let app = TestApp::builder().runner(runner.node("a")).start().await;
    let project = app.create_project("Shop").await;
    app.create_job(json!({ "name": "Ping stock", "projectId": project.id })).await;
    let (_, page) = app.admin().get("/admin/v1/audit?action=job.create").await;
    let entry = &page["items"][0];
    assert_eq!((&entry["projectId"], &entry["projectName"]), (&json!(project.id), &json!("Shop")), "{entry}");
}

#[tokio::test]
async fn job_with_an_invalid_stored_schedule_can_be_disabled() {
    let runner = TestRunner::new();
    let app = start(&runner).await;
    let job = app.create_job(json!({ "name": "Old" })).await;
    sqlx::query("UPDATE cron_jobs SET schedule_cron = 'never' WHERE id = $1::uuid")
        .bind(&job)
        .execute(app.app.platform())
        .await
        .unwrap();
    let path = format!("/admin/v1/jobs/{job}");
    let (status, disabled) = app.admin().patch(&path, json!({ "enabled": false })).await;
    assert_eq!((status, &disabled["enabled"]), (StatusCode::OK, &json!(false)), "{disabled}");
    let (status, error) = app.admin().patch(&path, json!({ "enabled": true })).await;
    assert_eq!((status, code(&error)), (StatusCode::BAD_REQUEST, "invalid_request"));
    let valid = json!({ "enabled": true, "scheduleCron": "0 3 * * *" });
    let (status, enabled) = app.admin().patch(&path, valid).await;
    assert_eq!((status, enabled["nextRuns"].as_array().map(Vec::len)), (StatusCode::OK, Some(5)), "{enabled}");
}
