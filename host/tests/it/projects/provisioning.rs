//! Creating a project when a step of it fails, when undoing fails too, and when the process is killed.

use atlashub::{
    config::Role,
    projects::{finish_unfinished_projects, unfinished_projects},
    secrets::MasterKey,
};
use reqwest::StatusCode;
use serde_json::json;

use crate::support::{ADMIN_TOKEN, Client, FaultProxy, Postgres, ProgramVars, TestApp, eventually};

/// A part of each statement that creates a project, in the order in which the statements run.
const DATABASE_STEPS: &[&str] = &[
    "INSERT INTO projects (",
    "INSERT INTO project_db_creds (",
    "INSERT INTO buckets (",
    "INSERT INTO api_keys (",
    "INSERT INTO signing_keys (",
    "COMMIT",
    "_owner\" LOGIN",
    "_app\" LOGIN",
    "_anon\" LOGIN",
    "_user\" LOGIN",
    "_backup\" LOGIN",
    "_owner\" TO \"proj_",
    "CREATE DATABASE",
    "REVOKE ALL ON DATABASE",
    "GRANT CONNECT, TEMPORARY, CREATE",
    "GRANT CONNECT ON DATABASE",
    "SET lc_messages",
    "CREATE SCHEMA IF NOT EXISTS auth",
    "UPDATE projects SET state",
];
const CREATE_BUCKET: &str = "PUT /proj-";

/// A platform whose connections to Postgres and to the store can be made to fail.
struct FaultyPlatform {
    app: TestApp,
    postgres: FaultProxy,
    store: FaultProxy,
    /// URL of the platform database without the proxy.
    direct_url: String,
}

async fn postgres_proxy(direct_url: &str) -> (FaultProxy, String) {
    let address = format!("127.0.0.1:{}", Postgres::shared().port);
    let proxy = FaultProxy::start(address.parse().unwrap()).await;
    let url = direct_url.replace(&address, &proxy.address().to_string());
    (proxy, url)
}

impl FaultyPlatform {
    async fn start() -> Self {
        let direct_url = Postgres::shared().platform_database().await;
        let (postgres, url) = postgres_proxy(&direct_url).await;
        let (store, endpoint) = FaultProxy::before_store().await;
        let app = TestApp::builder()
            .role(Role::Gateway)
            .database_url(&url)
            .var("ATLASHUB_S3_ENDPOINT", &endpoint)
            .start()
            .await;
        // The first sweep must not see the projects of the test.
        finish_unfinished_projects(app.app.projects()).await.unwrap();
        Self { app, postgres, store, direct_url }
    }

    /// Creates a project, which fails, and returns its id.
    async fn fail_to_create(&self, step: &str) -> String {
        self.postgres.take_project_ids();
        let (status, error) = self.app.admin().post("/admin/v1/projects", json!({ "name": "Half" })).await;
        assert!(status.is_server_error(), "{step}: {status} {error}");
        let mut missed = self.postgres.clear();
        missed.extend(self.store.clear());
        assert!(missed.is_empty(), "no request contained {missed:?}");
        let mut ids = self.postgres.take_project_ids();
        assert_eq!(ids.len(), 1, "{step}: {ids:?}");
        ids.pop_first().unwrap()
    }
}

/// Returns the existing parts of a project: rows, databases, roles and buckets.
async fn remains(app: &TestApp, id: &str) -> Vec<String> {
    let mut remains: Vec<String> = sqlx::query_scalar(
        "SELECT 'role ' || rolname FROM pg_roles WHERE rolname LIKE $1
         UNION ALL SELECT 'database ' || datname FROM pg_database WHERE datname LIKE $1
         UNION ALL SELECT 'row of projects' FROM projects WHERE id = $2
         UNION ALL SELECT 'row of project_db_creds' FROM project_db_creds WHERE project_id = $2
         UNION ALL SELECT 'row of api_keys' FROM api_keys WHERE project_id = $2
         UNION ALL SELECT 'row of signing_keys' FROM signing_keys WHERE project_id = $2
         UNION ALL SELECT 'row of buckets' FROM buckets WHERE project_id = $2",
    )
    .bind(format!("proj\\_{id}%"))
    .bind(id)
    .fetch_all(app.app.platform())
    .await
    .unwrap();
    if app.app.store().bucket_exists(&format!("proj-{id}")).await.unwrap() {
        remains.push("bucket".to_owned());
    }
    remains
}

#[tokio::test]
async fn failure_at_any_step_leaves_nothing_behind() {
    let platform = FaultyPlatform::start().await;
    for step in DATABASE_STEPS {
        platform.postgres.corrupt(step);
        let id = platform.fail_to_create(step).await;
        assert_eq!(remains(&platform.app, &id).await, [""; 0], "after {step}");
    }
    platform.store.corrupt(CREATE_BUCKET);
    let id = platform.fail_to_create(CREATE_BUCKET).await;
    assert_eq!(remains(&platform.app, &id).await, [""; 0], "after {CREATE_BUCKET}");
    assert_eq!(unfinished_projects(platform.app.app.platform()).await.unwrap(), []);
    // The name is free, and nothing prevents the next attempt.
    let project = platform.app.create_project("Half").await;
    assert_eq!(project.secret().get("/v1/db/tables").await.0, StatusCode::OK);
}

#[tokio::test]
async fn failed_undo_is_finished_at_next_start() {
    let platform = FaultyPlatform::start().await;
    let mut unfinished = Vec::new();
    for undo_step in ["DROP DATABASE", "DROP ROLE", "DELETE FROM projects"] {
        platform.postgres.corrupt("UPDATE projects SET state");
        platform.postgres.corrupt(undo_step);
        // Each attempt uses the same name.
        unfinished.push(platform.fail_to_create(undo_step).await);
    }
    platform.postgres.corrupt("UPDATE projects SET state");
    platform.store.corrupt("DELETE /proj-");
    unfinished.push(platform.fail_to_create("DELETE /proj-").await);
    for id in &unfinished {
        assert_ne!(remains(&platform.app, id).await, [""; 0]);
    }
    let listed = unfinished_projects(platform.app.app.platform()).await.unwrap();
    assert_eq!(listed.iter().map(|project| &project.id).collect::<Vec<_>>(), unfinished.iter().collect::<Vec<_>>());

    let restarted = TestApp::builder()
        .database_url(&platform.direct_url)
        .master_keys(&platform.app.services.master_key, None)
        .start()
        .await;
    for id in &unfinished {
        eventually("the project is removed", async || remains(&restarted, id).await.is_empty().then_some(())).await;
    }
}

#[tokio::test]
async fn project_that_can_not_be_removed_does_not_keep_others_from_being_removed() {
    let platform = FaultyPlatform::start().await;
    let app = &platform.app;
    let (first, second) = (app.create_project("First").await.id, app.create_project("Second").await.id);
    let deleting = "UPDATE projects SET state = 'deleting'";
    sqlx::query(deleting).execute(app.app.platform()).await.unwrap();
    platform.store.corrupt(format!("DELETE /proj-{first}").leak());
    let removed = async || {
        let removed = finish_unfinished_projects(app.app.projects()).await.unwrap();
        removed.into_iter().map(|project| project.id).collect::<Vec<_>>()
    };
    assert_eq!(removed().await, [second]);
    assert_eq!(platform.store.clear(), [""; 0]);
    assert_eq!(removed().await, [first]);
}

#[tokio::test]
async fn name_is_free_if_the_store_fails_until_creation_is_undone() {
    let platform = FaultyPlatform::start().await;
    let app = &platform.app;
    platform.store.cut("/proj-");
    let (status, error) = app.admin().post("/admin/v1/projects", json!({ "name": "Half" })).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{error}");
    let (_, listed) = app.admin().get("/admin/v1/projects").await;
    assert!(listed.to_string().contains("(not created)") && !listed.to_string().contains("Half"), "{listed}");
    platform.store.clear();

    let project = app.create_project("Half").await;
    assert_eq!(project.secret().get("/v1/db/tables").await.0, StatusCode::OK);
    finish_unfinished_projects(app.app.projects()).await.unwrap();
    assert_eq!(unfinished_projects(app.app.platform()).await.unwrap(), []);
    assert_eq!(app.admin().get(&project.path("")).await.0, StatusCode::OK);
}

#[tokio::test]
async fn name_of_an_interrupted_creation_is_free_at_once() {
    let app = TestApp::builder().role(Role::Gateway).start().await;
    // Another process is creating the second project.
    let mut lock = app.app.platform().acquire().await.unwrap();
    sqlx::query("SELECT pg_advisory_lock(hashtextextended('atlashub project inprogress', 0))")
        .execute(&mut *lock)
        .await
        .unwrap();
    for (id, name) in [("interrupted", "Interrupted"), ("inprogress", "In progress")] {
        let insert = sqlx::query("INSERT INTO projects (id, name) VALUES ($1, $2)").bind(id).bind(name);
        insert.execute(app.app.platform()).await.unwrap();
    }
    app.create_project("interrupted").await;
    let (status, error) = app.admin().post("/admin/v1/projects", json!({ "name": "in progress" })).await;
    assert_eq!(status, StatusCode::CONFLICT, "{error}");
    drop(lock);
}

#[tokio::test]
async fn new_project_can_be_deleted_before_postgres_has_closed_the_connection_that_created_it() {
    let platform = FaultyPlatform::start().await;
    // The message with which a client of Postgres ends its connection.
    platform.postgres.hold("X\0\0\0\u{4}");
    let project = platform.app.create_project("Brief").await;
    let (status, error) = platform.app.admin().delete_with(&project.path(""), json!({ "confirm": "Brief" })).await;
    assert_eq!(status, StatusCode::NO_CONTENT, "{error}");
    assert_eq!(platform.postgres.clear(), [""; 0], "no connection was closed");
}

// The proxy must run while the test waits for the process to start.
#[tokio::test(flavor = "multi_thread")]
async fn project_half_created_by_killed_process_is_removed_at_next_start() {
    let key = MasterKey::from_base64("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=").unwrap();
    let direct_url = Postgres::shared().platform_database().await;
    let mut unfinished = Vec::new();
    for (number, step) in
        ["_user\" LOGIN", "REVOKE ALL ON DATABASE", "UPDATE projects SET state"].into_iter().enumerate()
    {
        let (proxy, url) = postgres_proxy(&direct_url).await;
        let process = ProgramVars::external(&url).serve(&[]);
        proxy.hold(step);
        let admin = Client::new(&*process.admin_url).with_header("x-dev-admin-token", ADMIN_TOKEN);
        let body = json!({ "name": format!("Killed {number}") });
        let create = admin.request(reqwest::Method::POST, "/admin/v1/projects").json(&body).send();
        tokio::select! {
            response = create => panic!("{step} was not held: {:?}", response.map(|response| response.status())),
            () = proxy.wait_until_held() => {}
        }
        process.kill();
        let mut ids = proxy.take_project_ids();
        // A later process removes the leftovers of an earlier one, so the traffic also contains the earlier id.
        ids.retain(|id| !unfinished.contains(id));
        assert_eq!(ids.len(), 1, "{step}: {ids:?}");
        unfinished.extend(ids);
    }
    let restarted = TestApp::builder().database_url(&direct_url).master_keys(&key, None).start().await;
    eventually("the killed processes' locks are released", async || {
        finish_unfinished_projects(restarted.app.projects()).await.unwrap();
        unfinished_projects(restarted.app.platform()).await.unwrap().is_empty().then_some(())
    })
    .await;
    for id in &unfinished {
        assert_eq!(remains(&restarted, id).await, [""; 0]);
    }
}
