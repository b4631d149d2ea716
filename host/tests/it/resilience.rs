//! Outages of Postgres, limits on connections and concurrency, rotation of the master key.

use atlashub::secrets::MasterKey;
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::support::{Postgres, Proxy, TestApp, eventually, until_status};

#[tokio::test]
async fn dead_postgres_returns_503_quickly_and_recovers() {
    let direct = Postgres::shared().platform_database().await;
    let address = format!("127.0.0.1:{}", Postgres::shared().port);
    let proxy = Proxy::start_to(address.parse().unwrap()).await;
    let app = TestApp::builder().database_url(&direct.replace(&address, &proxy.address().to_string())).start().await;
    let project = app.create_project("Outage").await;
    project.sql("CREATE TABLE items (id int PRIMARY KEY); INSERT INTO items VALUES (1)").await;
    assert_eq!(project.secret().get("/v1/db/items").await.0, StatusCode::OK);

    proxy.disconnect().await;
    // A 504 would mean that the request waited until its time limit.
    let (status, error) = project.secret().get("/v1/db/items").await;
    assert_eq!(
        (status, error["error"]["code"].as_str()),
        (StatusCode::SERVICE_UNAVAILABLE, Some("unavailable")),
        "{error}"
    );
    let requests =
        [app.public().request(Method::GET, "/readyz"), project.secret().request(Method::GET, "/v1/db/items")];
    for request in requests {
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(response.headers().contains_key("retry-after"));
    }
    assert_eq!(app.public().get("/healthz").await.0, StatusCode::OK);
    let text = error.to_string();
    assert!(!text.contains("127.0.0.1") && !text.contains("proj_"), "{text}");

    proxy.restore().await;
    eventually("requests succeed again", async || {
        (project.secret().get("/v1/db/items").await.0 == StatusCode::OK).then_some(())
    })
    .await;
    until_status(StatusCode::OK, async || app.public().get("/readyz").await).await;
}

#[tokio::test]
async fn hanging_postgres_returns_503_to_all_waiting_requests_and_recovers() {
    let direct = Postgres::shared().platform_database().await;
    let address = format!("127.0.0.1:{}", Postgres::shared().port);
    let proxy = Proxy::start_to(address.parse().unwrap()).await;
    let app = TestApp::builder().database_url(&direct.replace(&address, &proxy.address().to_string())).start().await;
    let project = app.create_project("Hanging").await;
    project.sql("CREATE TABLE items (id int PRIMARY KEY); INSERT INTO items VALUES (1)").await;
    assert_eq!(project.secret().get("/v1/db/items").await.0, StatusCode::OK);

    let check_unavailable = async || {
        let requests = futures_util::future::join_all((0..50).map(|number| {
            let client = if number % 2 == 0 { project.secret() } else { project.publishable() };
            async move {
                let response = client.request(Method::GET, "/v1/db/items").send().await.unwrap();
                let retry_after = response.headers().contains_key("retry-after");
                (response.status(), retry_after)
            }
        }));
        for (status, retry_after) in requests.await {
            assert_eq!((status, retry_after), (StatusCode::SERVICE_UNAVAILABLE, true));
        }
        let (status, error) = app.admin().get("/admin/v1/projects").await;
        assert_eq!((status, &error["error"]["code"]), (StatusCode::SERVICE_UNAVAILABLE, &json!("unavailable")));
    };
    let recover = async || {
        proxy.restore().await;
        eventually("requests succeed again", async || {
            (project.secret().get("/v1/db/items").await.0 == StatusCode::OK).then_some(())
        })
        .await;
    };
    // Connections stay open, but no response arrives.
    proxy.stall();
    check_unavailable().await;
    recover().await;
    // New connections are accepted, and get no response.
    proxy.accept_silently().await;
    check_unavailable().await;
    recover().await;
}

#[tokio::test]
async fn many_projects_share_few_connections() {
    let app = TestApp::builder().var("ATLASHUB_PROJECT_CONNECTIONS", "5").start().await;
    let mut projects = Vec::new();
    for number in 0..8 {
        let project = app.create_project(&format!("p{number}")).await;
        project.sql("CREATE TABLE items (id int PRIMARY KEY); INSERT INTO items VALUES (1)").await;
        projects.push(project);
    }
    for _ in 0..3 {
        for project in &projects {
            let (status, body) = project.secret().get("/v1/db/items").await;
            assert_eq!(status, StatusCode::OK, "{body}");
        }
    }
    let (used, budget) = app.app.projects().pools.usage();
    assert!(used <= budget && budget == 5, "{used} of {budget}");
}

#[tokio::test]
async fn requests_above_the_concurrency_limit_return_503() {
    let app = TestApp::builder().var("ATLASHUB_MAX_CONCURRENT_REQUESTS", "1").start().await;
    let project = app.create_project("Busy").await;
    project.sql("CREATE VIEW slow AS SELECT 1 AS a FROM pg_advisory_xact_lock_shared(7)").await;
    let mut lock = project.connect().await;
    sqlx::query("SELECT pg_advisory_lock(7)").execute(&mut lock).await.unwrap();
    let slow = tokio::spawn({
        let client = project.secret();
        async move { client.get("/v1/db/slow").await }
    });
    eventually("the request waits for the lock", async || {
        let waiting = "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted
                                      AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))";
        sqlx::query_scalar::<_, bool>(waiting).fetch_one(&mut lock).await.unwrap()
    })
    .await;
    let (status, error) = project.secret().get("/v1/db/tables").await;
    assert_eq!((status, &error["error"]["code"]), (StatusCode::SERVICE_UNAVAILABLE, &json!("overloaded")), "{error}");
    drop(lock);
    assert_eq!(slow.await.unwrap().0, StatusCode::OK);
}

#[tokio::test]
async fn master_key_is_rotated_while_a_node_runs() {
    let (old, new) = (MasterKey::generate(), MasterKey::generate());
    let before = TestApp::builder().master_keys(&old, None).start().await;
    let project = before.create_project("Sealed").await;
    project.sql("CREATE TABLE items (id int PRIMARY KEY); INSERT INTO items VALUES (1)").await;
    let database = before.services.database_url.expose().to_owned();
    let node = TestApp::builder().database_url(&database).master_keys(&new, Some(&old)).start().await;
    let sealer = &node.app.projects().sealer;
    let report = atlashub::app::reseal_all(node.app.platform(), sealer).await.unwrap();
    assert_eq!((report.resealed, report.already_current), (6, 0));
    let again = atlashub::app::reseal_all(node.app.platform(), sealer).await.unwrap();
    assert_eq!((again.resealed, again.already_current), (0, 6));
    let after = TestApp::builder().database_url(&database).master_keys(&new, None).start().await;
    let client = after.public().with_header("x-api-key", &project.secret_key);
    let (status, body) = client.get("/v1/db/items").await;
    assert_eq!((status, &body["rows"]), (StatusCode::OK, &json!([{ "id": 1 }])), "{body}");
    // With only the old key, no value can be opened.
    let late = TestApp::builder().database_url(&database).master_keys(&old, None).start().await;
    let client = late.public().with_header("x-api-key", &project.secret_key);
    assert_eq!(client.get("/v1/db/items").await.0, StatusCode::SERVICE_UNAVAILABLE);
}

/// Columns of type `bytea` that are not sealed: hashes, and the state that plugins keep.
const PLAIN_COLUMNS: &[(&str, &str)] = &[
    ("admin_sessions", "hash"),
    ("api_keys", "hash"),
    ("backup_object_cache", "sha256"),
    ("platform_migrations", "checksum"),
    ("plugin_revoked_hashes", "sha256"),
    ("plugin_serials", "sha256"),
    ("plugin_state", "value"),
];

#[tokio::test]
async fn every_sealed_column_takes_part_in_key_rotation() {
    let app = TestApp::start().await;
    let bytea_columns: Vec<(String, String)> = sqlx::query_as(
        "SELECT table_name::text, column_name::text FROM information_schema.columns
         WHERE table_schema = 'public' AND data_type = 'bytea'",
    )
    .fetch_all(app.app.platform())
    .await
    .unwrap();
    let rotated = atlashub::app::sealed_columns();
    let (mut sealed, mut plain) = (Vec::new(), Vec::new());
    for (table, column) in &bytea_columns {
        let kind = if PLAIN_COLUMNS.contains(&(table, column)) { &mut plain } else { &mut sealed };
        kind.push((table.as_str(), column.as_str()));
    }
    let mut rotated: Vec<_> = rotated.iter().map(|column| (column.table, column.column)).collect();
    sealed.sort_unstable();
    rotated.sort_unstable();
    assert_eq!(sealed, rotated, "list the column in its slice's `SEALED_COLUMNS`, or as a plain column in this test");
    assert_eq!(plain.len(), PLAIN_COLUMNS.len(), "{plain:?}");
}

#[tokio::test]
async fn store_that_refuses_the_access_key_returns_503() {
    let app = TestApp::builder().var("ATLASHUB_S3_SECRET_ACCESS_KEY", "another-secret-key").start().await;
    let (status, error) = app.admin().post("/admin/v1/projects", json!({ "name": "Refused" })).await;
    assert_eq!((status, &error["error"]["code"]), (StatusCode::SERVICE_UNAVAILABLE, &json!("unavailable")), "{error}");
    assert!(error["error"]["message"].as_str().unwrap().contains("access key"), "{error}");
    assert!(error["error"]["hint"].as_str().unwrap().contains("atlashub doctor"), "{error}");
}
