//! The swap of databases: the rows that requests read, on every node, and the leftovers of a killed process.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    backups::end_to_end::ended_run,
    backups::restore::{confirm, plan, restore_of, start, until_no_other_database_is_left},
    backups::verify::create_backup,
    support::{Client, TestApp},
};

/// Sends a request every 20 ms until `stop` is true. Returns the values that were read, and the number of refused
/// requests.
async fn read_until(client: Client, stop: Arc<AtomicBool>) -> (Vec<i64>, u32) {
    let (mut seen, mut refused) = (Vec::new(), 0);
    // Without a pause, refused requests would leave the restore no time on a small machine.
    let mut pace = tokio::time::interval(std::time::Duration::from_millis(20));
    while !stop.load(Ordering::Relaxed) {
        pace.tick().await;
        let response = client.request(Method::GET, "/v1/db/items?select=version&limit=100").send().await.unwrap();
        match response.status() {
            StatusCode::OK => {
                let body: Value = response.json().await.unwrap();
                let rows = body["rows"].as_array().unwrap();
                assert_eq!(rows.len(), 100, "only a part of the rows was read");
                seen.push(rows[0]["version"].as_i64().unwrap());
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                assert!(response.headers().contains_key("retry-after"));
                refused += 1;
            }
            status => panic!("{status}: {}", response.text().await.unwrap()),
        }
    }
    (seen, refused)
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_during_the_swap_see_one_database_or_the_other() {
    let app = TestApp::builder().first_party_plugins().start().await;
    let second = TestApp::builder()
        .database_url(app.services.database_url.expose())
        .master_keys(&app.services.master_key, None)
        .role(atlashub::config::Role::Gateway)
        .start()
        .await;
    let project = app.create_project("busy").await;
    project.sql("CREATE TABLE items (id serial, version int)").await;
    project.sql("INSERT INTO items SELECT i, 1 FROM generate_series(1, 100) AS i").await;
    let backup = create_backup(&app, &format!("project:{}", project.id)).await;
    project.sql("UPDATE items SET version = 2").await;
    let planned = plan(&app, &backup, &project).await;
    let stop = Arc::new(AtomicBool::new(false));
    let clients = [project.secret(), second.public().with_header("x-api-key", &project.secret_key)];
    let readers = clients.clone().map(|client| tokio::spawn(read_until(client, stop.clone())));
    let run = ended_run(&app, &start(&app, &planned, "/confirm", &project).await).await;
    assert_eq!(run["status"], "success", "{run}");
    // After the run, every node reads the restored rows.
    for client in &clients {
        let (status, body) = client.get("/v1/db/items?select=version&limit=1").await;
        assert_eq!((status, &body["rows"]), (StatusCode::OK, &json!([{ "version": 1 }])), "{body}");
    }
    let run = ended_run(&app, &start(&app, &planned, "/rollback", &project).await).await;
    assert_eq!(run["status"], "success", "{run}");
    for client in &clients {
        let (status, body) = client.get("/v1/db/items?select=version&limit=1").await;
        assert_eq!((status, &body["rows"]), (StatusCode::OK, &json!([{ "version": 2 }])), "{body}");
    }
    stop.store(true, Ordering::Relaxed);
    for reader in readers {
        let (mut seen, _) = reader.await.unwrap();
        seen.dedup();
        assert!([vec![2, 1, 2], vec![2]].contains(&seen), "{seen:?}");
    }
}

#[tokio::test]
async fn idle_session_of_a_superuser_does_not_prevent_the_swap() {
    let app = TestApp::builder().first_party_plugins().start().await;
    let project = app.create_project("idle").await;
    project.sql("CREATE TABLE items (id int PRIMARY KEY)").await;
    let backup = create_backup(&app, &format!("project:{}", project.id)).await;
    let mut session = project.connect().await;
    sqlx::raw_sql("BEGIN; LOCK TABLE items").execute(&mut session).await.unwrap();
    let (done, run) = confirm(&app, &plan(&app, &backup, &project).await, &project).await;
    assert_eq!((&run["status"], &done["state"]), (&json!("success"), &json!("done")), "{run}");
    assert!(sqlx::raw_sql("SELECT 1").execute(&mut session).await.is_err());
}

#[tokio::test]
async fn restore_of_a_killed_process_has_failed_and_its_database_is_dropped() {
    let app = TestApp::builder().first_party_plugins().start().await;
    let project = app.create_project("killed").await;
    project.sql("CREATE TABLE items (id int PRIMARY KEY)").await;
    let backup = create_backup(&app, &format!("project:{}", project.id)).await;
    let planned = plan(&app, &backup, &project).await;
    let (run, name) = (Uuid::now_v7(), format!("proj_{}_restore_0123456789ab", project.id));
    sqlx::query(
        "INSERT INTO cron_job_runs (id, trigger, status, plugin, plugin_job, started_at, finished_at, error_text)
         VALUES ($1, 'manual', 'fail', 'restore', 'restore', now(), now(), 'its scheduler died')",
    )
    .bind(run)
    .execute(app.app.platform())
    .await
    .unwrap();
    sqlx::query("UPDATE restores SET state = 'loading', run_id = $2, new_database = $3 WHERE project_id = $1")
        .bind(&project.id)
        .bind(run)
        .bind(&name)
        .execute(app.app.platform())
        .await
        .unwrap();
    crate::support::Postgres::shared().execute(&format!("CREATE DATABASE {name}")).await;
    let failed = restore_of(&app, &planned).await;
    assert_eq!((&failed["state"], &failed["errorText"]), (&json!("failed"), &json!("its scheduler died")), "{failed}");
    app.app.backups().restores.sweep().await.unwrap();
    until_no_other_database_is_left(&project).await;
    // Another restore can begin.
    let (done, run) = confirm(&app, &plan(&app, &backup, &project).await, &project).await;
    assert_eq!((&run["status"], &done["state"]), (&json!("success"), &json!("done")), "{run}");
    assert_eq!(restore_of(&app, &planned).await["state"], "failed");
}
