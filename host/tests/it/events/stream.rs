//! Events of every kind, the continuation of a stream, and the limit of open streams.

use std::sync::Arc;

use atlashub::config::Role;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{
    EventTail, TestApp, TestRunner, code,
    plugin_files::{Author, PluginFolder, component, manifest},
};

const PATH: &str = "/admin/v1/events";

async fn start(runner: &Arc<TestRunner>) -> TestApp {
    TestApp::builder().runner(runner.node("a")).start().await
}

/// Opens a stream, and waits until it has started.
async fn follow(app: &TestApp) -> EventTail {
    let mut tail = EventTail::open(&app.admin(), PATH, None).await;
    let first = tail.next().await.unwrap();
    assert_eq!((first.name.as_str(), &first.data), ("system", &system("started")));
    tail
}

fn system(state: &str) -> Value {
    json!({ "id": null, "projectId": null, "state": state })
}

#[tokio::test]
async fn changes_of_every_kind_are_events() {
    let (runner, folder) = (TestRunner::new(), PluginFolder::new());
    let plugin_dir = folder.path().to_str().unwrap();
    let app = TestApp::builder().runner(runner.node("a")).var("ATLASHUB_PLUGIN_DIR", plugin_dir).start().await;
    let admin = app.admin();
    let mut tail = follow(&app).await;
    let project = app.create_project("Shop").await;
    let event = tail.until("project", &json!({ "id": project.id, "state": "ready" })).await;
    assert_eq!(event.data, json!({ "id": project.id, "projectId": project.id, "state": "ready" }));

    let job = app.create_job(json!({ "projectId": project.id, "params": { "wait": true } })).await;
    let event = tail.until("job", &json!({ "id": job })).await;
    assert_eq!(event.data, json!({ "id": job, "projectId": project.id, "state": "enabled" }));
    let run = app.run_job(&job).await;
    let event = tail.until("run", &json!({ "id": run, "state": "running" })).await;
    assert_eq!(event.data, json!({ "id": run, "projectId": project.id, "state": "running" }));
    runner.open_gate();
    tail.until("run", &json!({ "id": run, "state": "success" })).await;
    admin.patch(&format!("/admin/v1/jobs/{job}"), json!({ "enabled": false })).await;
    tail.until("job", &json!({ "id": job, "state": "disabled" })).await;
    admin.delete(&format!("/admin/v1/jobs/{job}")).await;
    tail.until("job", &json!({ "id": job, "state": "deleted" })).await;

    let channel = json!({
        "name": "Hook", "kind": "webhook", "events": ["runFailed"], "url": "https://hooks.example/x",
        "secret": "0123456789abcdef",
    });
    let (status, channel) = admin.post("/admin/v1/notifications", channel).await;
    assert_eq!(status, StatusCode::CREATED, "{channel}");
    tail.until("channel", &json!({ "id": channel["id"], "projectId": null, "state": "enabled" })).await;
    for statement in [
        "INSERT INTO backups (id, target, created_at, size_bytes, sha256, object_key, manifest_key)
         VALUES ('00000000-0000-7000-8000-000000000001', 'project:shopshop', now(), 1, repeat('a', 64), 'a', 'b')",
        "UPDATE backups SET state = 'missing'",
        "DELETE FROM backups",
    ] {
        sqlx::query(statement).execute(app.app.platform()).await.unwrap();
        let state = match &statement[..6] {
            "INSERT" => "ready",
            "UPDATE" => "missing",
            _ => "deleted",
        };
        tail.until("backup", &json!({ "projectId": "shopshop", "state": state })).await;
    }
    for (statement, state) in [
        (
            "INSERT INTO restores (id, project_id, backup_id, object_key, plan)
             SELECT '00000000-0000-7000-8000-000000000003', id, gen_random_uuid(), 'a', '{}' FROM projects",
            "planned",
        ),
        // A restore without a run counts as failed.
        ("UPDATE restores SET state = 'loading'", "failed"),
        ("UPDATE restores SET state = 'done', previous_database = 'kept'", "done"),
        // The database that the restore kept was dropped.
        ("UPDATE restores SET previous_database = NULL", "done"),
        ("DELETE FROM restores", "deleted"),
    ] {
        sqlx::query(statement).execute(app.app.platform()).await.unwrap();
        tail.until("restore", &json!({ "projectId": project.id, "state": state })).await;
    }
    let author = Author::new();
    author.trusted_by(&app).await;
    folder.add_signed("hello", &component(&manifest("hello", 1)), &author);
    tail.until("plugin", &json!({ "id": "hello", "projectId": null, "state": "pending" })).await;
    folder.remove("hello");
    tail.until("plugin", &json!({ "id": "hello", "state": "deleted" })).await;
    let node = "INSERT INTO nodes (id, role, version, started_at)
                VALUES ('00000000-0000-7000-8000-000000000002', 'gateway', '0', now())";
    sqlx::query(node).execute(app.app.platform()).await.unwrap();
    tail.until("system", &json!({ "state": "joined" })).await;
    sqlx::query("DELETE FROM nodes WHERE role = 'gateway'").execute(app.app.platform()).await.unwrap();
    tail.until("system", &json!({ "state": "left" })).await;
}

#[tokio::test]
async fn progress_of_a_run_is_an_event() {
    let runner = TestRunner::new();
    let app = start(&runner).await;
    let mut tail = follow(&app).await;
    let job = app.create_job(json!({ "params": { "wait": true } })).await;
    let run = app.run_job(&job).await;
    let running = json!({ "id": run, "state": "running" });
    tail.until("run", &running).await;
    sqlx::query("UPDATE cron_job_runs SET progress = '{\"done\":1,\"total\":2,\"message\":\"\"}'")
        .execute(app.app.platform())
        .await
        .unwrap();
    tail.until("run", &running).await;
    runner.open_gate();
    tail.until("run", &json!({ "id": run, "state": "success" })).await;
}

#[tokio::test]
async fn stream_continues_after_the_last_event_id() {
    let app = start(&TestRunner::new()).await;
    let mut tail = follow(&app).await;
    let first = app.create_job(json!({ "name": "first" })).await;
    let event = tail.until("job", &json!({ "id": first })).await;
    drop(tail);
    // This event occurs while no stream is open.
    let second = app.create_job(json!({ "name": "second" })).await;
    let mut later = EventTail::open(&app.admin(), PATH, Some(&event.id)).await;
    assert_eq!(later.next().await.unwrap().data, system("resumed"));
    let next = later.until("job", &json!({})).await;
    assert_eq!(next.data["id"], second, "an earlier event was sent");
    // Clients that can't send the header can use the parameter.
    let mut other = EventTail::open(&app.admin(), &format!("{PATH}?lastEventId={}", event.id), None).await;
    assert_eq!(other.next().await.unwrap().data, system("resumed"));
    assert_eq!(other.until("job", &json!({})).await, next);
    // An id of another process, and a string that is not an id.
    for unknown in ["00000000-7", "x"] {
        let mut tail = EventTail::open(&app.admin(), PATH, Some(unknown)).await;
        assert_eq!(tail.next().await.unwrap().data, system("started"), "{unknown}");
    }
}

#[tokio::test]
async fn changes_by_another_node_are_events() {
    let runner = TestRunner::new();
    let app = start(&runner).await;
    let gateway = TestApp::builder()
        .database_url(app.services.database_url.expose())
        .master_keys(&app.services.master_key, None)
        .role(Role::Gateway)
        .runner(runner.node("b"))
        .start()
        .await;
    let mut tail = follow(&gateway).await;
    let job = app.create_job(json!({})).await;
    tail.until("job", &json!({ "id": job, "state": "enabled" })).await;
    let run = gateway.run_job(&job).await;
    tail.until("run", &json!({ "id": run, "state": "success" })).await;
}

#[tokio::test]
async fn streams_are_limited() {
    let app = start(&TestRunner::new()).await;
    let mut tails = Vec::new();
    for _ in 0..64 {
        tails.push(EventTail::open(&app.admin(), PATH, None).await);
    }
    let refused = app.admin().request(Method::GET, PATH).send().await.unwrap();
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused.headers()["retry-after"], "15");
    assert_eq!(code(&refused.json().await.unwrap()), "overloaded");
    // Requests and open streams still work. Each stream receives the changes since its start.
    for tail in &mut tails {
        tail.until("system", &system("started")).await;
    }
    let job = app.create_job(json!({})).await;
    for tail in &mut tails {
        tail.until("job", &json!({ "id": job })).await;
    }
    tails.pop();
    crate::support::eventually("a stream can be opened", async || {
        let response = app.admin().request(Method::GET, PATH).send().await.unwrap();
        (response.status() == StatusCode::OK).then_some(())
    })
    .await;
}

#[tokio::test]
async fn streams_end_at_shutdown() {
    let app = start(&TestRunner::new()).await;
    let mut tail = follow(&app).await;
    app.app.stop_jobs().await;
    tail.until("system", &system("stopping")).await;
    assert_eq!(tail.next().await, None);
}
