//! The overview, and system information about services, disks, nodes and configuration.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{Client, TestApp, TestRunner, eventually};

/// Returns the overview. On a busy machine, a part of it may first be missing because it took too long.
async fn overview(app: &TestApp) -> Value {
    eventually("an overview without problems", async || {
        let (status, overview) = app.admin().get("/admin/v1/overview").await;
        assert_eq!(status, StatusCode::OK, "{overview}");
        (overview["problems"] == json!([])).then_some(overview)
    })
    .await
}

fn items<'a>(overview: &'a Value, kind: &str) -> Vec<&'a Value> {
    overview["attention"].as_array().unwrap().iter().filter(|item| item["kind"] == kind).collect()
}

#[tokio::test]
async fn empty_installation_has_no_projects_and_lacks_backups_and_channels() {
    let app = TestApp::start().await;
    let overview = overview(&app).await;
    let facts = &overview["facts"];
    assert_eq!((&facts["projectCount"], &facts["databaseBytes"]), (&json!(0), &json!(0)));
    assert_eq!(facts["runs24h"], json!({ "total": 0, "failed": 0 }));
    assert_eq!((&facts["oldestBackup"], &facts["withoutBackupCount"]), (&Value::Null, &json!(1)));
    assert_eq!(facts["disk"], Value::Null, "a disk is shown for an external Postgres");
    assert_eq!((&facts["postgres"]["reachable"], &facts["store"]["reachable"]), (&json!(true), &json!(true)));
    assert_eq!(facts["connections"]["budget"], 80);
    let overdue = items(&overview, "backupOverdue");
    assert_eq!((&overdue[0]["target"], &overdue[0]["canSnooze"]), (&json!("platform"), &json!(false)));
    assert_eq!(overdue[0]["missing"], json!(["backupJob", "goodBackup"]));
    let unheard = items(&overview, "failuresUnheard");
    assert_eq!((unheard.len(), &unheard[0]["missing"]), (1, &json!(["runFailedChannel", "backupFailedChannel"])));
    let kinds: Vec<_> = overview["attention"].as_array().unwrap().iter().map(|item| &item["kind"]).collect();
    assert_eq!(kinds, ["backupOverdue", "failuresUnheard"]);
}

#[tokio::test]
async fn failing_job_needs_attention_until_it_succeeds() {
    let runner = TestRunner::new();
    let app = TestApp::builder().runner(runner.node("a")).start().await;
    let job = app.create_job(json!({ "name": "Nightly", "params": { "fail": "the store is full" } })).await;
    for _ in 0..2 {
        let run = app.run_job(&job).await;
        app.until_run(&run, "fail").await;
    }
    let found = overview(&app).await;
    assert_eq!(found["facts"]["runs24h"], json!({ "total": 2, "failed": 2 }));
    let failing = items(&found, "jobFailing")[0];
    assert_eq!((&failing["target"], &failing["title"]), (&json!(job), &json!("Nightly")));
    assert_eq!((&failing["count"], &failing["id"]), (&json!(2), &json!(format!("jobFailing:{job}"))));
    assert_eq!(failing["message"], "The job Nightly failed 2 times: the store is full.");
    assert_eq!(failing["reason"], "the store is full");
    let (_, runs) = app.admin().get("/admin/v1/runs?status=fail&limit=1").await;
    assert_eq!(failing["runId"], runs["items"][0]["id"]);

    app.admin().patch(&format!("/admin/v1/jobs/{job}"), json!({ "params": {} })).await;
    let run = app.run_job(&job).await;
    app.until_run(&run, "success").await;
    assert!(items(&overview(&app).await, "jobFailing").is_empty());
}

#[tokio::test]
async fn table_that_publishable_keys_can_change_needs_attention() {
    let app = TestApp::start().await;
    let project = app.create_project("Open").await;
    project.sql("CREATE TABLE safe (id int PRIMARY KEY); CREATE TABLE guests (id int PRIMARY KEY)").await;
    let exposure = json!({ "publishable": "write", "confirm": true });
    let (status, body) = app.admin().put(&project.path("/tables/guests/exposure"), exposure.clone()).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    project.sql("ALTER TABLE safe ENABLE ROW LEVEL SECURITY").await;
    app.admin().put(&project.path("/tables/safe/exposure"), exposure).await;
    let found = overview(&app).await;
    let open = items(&found, "tableOpen");
    assert_eq!(open.len(), 1, "{found}");
    assert_eq!((&open[0]["target"], &open[0]["projectId"]), (&json!("guests"), &json!(project.id)));
    assert_eq!(open[0]["projectName"], "Open");
}

#[tokio::test]
async fn expiring_key_needs_attention_if_it_is_used() {
    let app = TestApp::start().await;
    let project = app.create_project("Keys").await;
    let soon = (chrono::Utc::now() + chrono::TimeDelta::days(3)).to_rfc3339();
    let new = json!({ "type": "secret", "name": "worker", "expiresAt": soon });
    let (_, created) = app.admin().post(&project.path("/keys"), new).await;
    assert!(items(&overview(&app).await, "keyExpiring").is_empty());
    app.public().with_header("x-api-key", created["key"].as_str().unwrap()).get("/v1/db/tables").await;
    let expiring = eventually("the last use is stored", async || {
        let found = overview(&app).await;
        items(&found, "keyExpiring").first().map(|item| (*item).clone())
    })
    .await;
    assert_eq!((&expiring["title"], &expiring["projectName"]), (&json!("worker"), &json!("Keys")));
    assert_eq!(expiring["target"], created["apiKey"]["id"]);
    assert!(expiring["message"].as_str().unwrap().contains("in 2 days"), "{expiring}");
}

#[tokio::test]
async fn system_reports_services_disks_nodes_and_configuration() {
    let app = TestApp::start().await;
    let system = eventually("the node reports", async || {
        let (status, system) = app.admin().get("/admin/v1/system").await;
        assert_eq!(status, StatusCode::OK, "{system}");
        (!system["nodes"].as_array().unwrap().is_empty()).then_some(system)
    })
    .await;
    for service in ["postgres", "store"] {
        assert_eq!(system[service]["reachable"], true, "{system}");
        assert!(system[service]["latencyMs"].as_f64() > Some(0.0), "{system}");
    }
    assert!(system["platformDatabaseBytes"].as_i64() > Some(1_000_000), "{system}");
    let disk = &system["disks"][0];
    assert!(
        disk["totalBytes"].as_i64() >= disk["freeBytes"].as_i64() && disk["freeBytes"].as_i64() > Some(0),
        "{disk}"
    );
    let node = &system["nodes"][0];
    assert_eq!((&node["role"], &node["alive"], &node["current"]), (&json!("all"), &json!(true), &json!(true)));
    assert_eq!(node["version"], system["version"]);
    let variable = |name: &str| {
        let variables = system["configuration"].as_array().unwrap();
        variables.iter().find(|variable| variable["name"] == name).unwrap().clone()
    };
    let token = variable("DEV_ADMIN_TOKEN");
    assert_eq!((&token["value"], &token["set"], &token["secret"]), (&Value::Null, &json!(true), &json!(true)));
    let limit = variable("ATLASHUB_ROWS_MAX_LIMIT");
    assert_eq!((&limit["value"], &limit["source"]), (&json!("1000"), &json!("default")));
    assert_eq!(variable("ATLASHUB_RATE_LIMIT_SECRET")["source"], "environment");
    let text = system.to_string();
    for secret in [crate::support::ADMIN_TOKEN, app.services.storage.secret_access_key.expose()] {
        assert!(!text.contains(secret), "a secret is shown");
    }
    assert!(!text.contains(&app.services.master_key.to_base64().to_string()));
}

#[tokio::test]
async fn responses_of_both_surfaces_name_the_version() {
    let app = TestApp::start().await;
    for url in [&app.admin_url, &app.public_url] {
        for path in ["/healthz", "/nothing"] {
            let response = Client::new(&**url).request(Method::GET, path).send().await.unwrap();
            assert_eq!(response.headers()["x-atlashub-version"], env!("CARGO_PKG_VERSION"), "{url}{path}");
        }
    }
}
