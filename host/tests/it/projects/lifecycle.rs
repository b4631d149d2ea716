//! Creating and deleting projects, and the isolation of their databases.

use reqwest::StatusCode;
use serde_json::json;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor, postgres::PgConnectOptions};

use crate::support::{TestApp, TestProject};

#[tokio::test]
async fn project_is_created_listed_renamed_and_deleted() {
    let app = TestApp::start().await;
    let project = app.create_project("Shop").await;
    assert!(project.id.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()));
    assert!(project.publishable_key.starts_with("ah_pub_") && project.secret_key.starts_with("ah_sec_"));

    let (status, list) = app.admin().get("/admin/v1/projects").await;
    assert_eq!((status, list["items"][0]["name"].as_str()), (StatusCode::OK, Some("Shop")));
    let (status, detail) = app.admin().get(&project.path("")).await;
    assert_eq!((status, detail["activeKeyCount"].as_i64()), (StatusCode::OK, Some(2)));
    assert!(detail["databaseBytes"].as_i64() > Some(1_000_000), "{detail}");

    let (status, error) = app.admin().post("/admin/v1/projects", json!({ "name": "shop" })).await;
    assert_eq!((status, error["error"]["code"].as_str()), (StatusCode::CONFLICT, Some("conflict")));

    let (status, renamed) = app.admin().patch(&project.path(""), json!({ "name": "Store" })).await;
    assert_eq!((status, renamed["name"].as_str()), (StatusCode::OK, Some("Store")));

    for body in [Some(json!({ "confirm": "Shop" })), Some(json!({})), None] {
        let (status, error) = app.admin().send(reqwest::Method::DELETE, &project.path(""), body).await;
        assert_eq!((status, error["error"]["code"].as_str()), (StatusCode::BAD_REQUEST, Some("confirmation_required")));
        assert_eq!(error["error"]["hint"], r#"Send {"confirm":"Store"}."#, "{error}");
    }
    let (status, _) = app.admin().delete_with(&project.path(""), json!({ "confirm": "Store" })).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    let (status, _) = app.admin().get(&project.path("")).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let (status, _) = project.secret().get("/v1/db/tables").await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    assert_eq!(leftovers(&app, &project.id).await, 0);
    assert!(!app.app.store().bucket_exists(&format!("proj-{}", project.id)).await.unwrap());
}

/// Returns the number of roles, databases and rows with the project's id.
async fn leftovers(app: &TestApp, id: &str) -> i64 {
    sqlx::query_scalar(
        "SELECT (SELECT count(*) FROM pg_roles WHERE rolname LIKE $1)
              + (SELECT count(*) FROM pg_database WHERE datname LIKE $1)
              + (SELECT count(*) FROM projects WHERE id = $2)",
    )
    .bind(format!("proj\\_{id}%"))
    .bind(id)
    .fetch_one(app.app.platform())
    .await
    .unwrap()
}

#[tokio::test]
async fn interrupted_deletion_is_finished_by_repeating_it() {
    let app = TestApp::start().await;
    let project = app.create_project("Going").await;
    sqlx::query("UPDATE projects SET state = 'deleting' WHERE id = $1")
        .bind(&project.id)
        .execute(app.app.platform())
        .await
        .unwrap();
    let (status, _) = app.admin().delete_with(&project.path(""), json!({ "confirm": "Going" })).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    assert_eq!(leftovers(&app, &project.id).await, 0);
}

async fn connect_as(
    app: &TestApp,
    role: &str,
    password: &str,
    database: &str,
) -> Result<sqlx::PgConnection, sqlx::Error> {
    let options: PgConnectOptions = app.services.database_url.expose().parse().unwrap();
    options.username(role).password(password).database(database).connect().await
}

/// Gives a role a password that the test knows, as the role itself could. Returns the role's name.
async fn set_known_password(app: &TestApp, project: &TestProject, role: &str) -> String {
    let role = format!("proj_{}_{role}", project.id);
    let sql = format!("ALTER ROLE \"{role}\" PASSWORD 'known-to-the-test'");
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(app.app.platform()).await.unwrap();
    role
}

#[tokio::test]
async fn project_roles_cannot_connect_to_other_databases() {
    let app = TestApp::start().await;
    let (own, other) = (app.create_project("Own").await, app.create_project("Other").await);
    let platform = app.services.database_url.expose().rsplit('/').next().unwrap().to_owned();
    atlashub::projects::close_shared_databases(&app.services.database_url).await.unwrap();
    for role in ["owner", "app", "anon", "user", "backup"] {
        let role = set_known_password(&app, &own, role).await;
        let own_database = format!("proj_{}", own.id);
        let mut connection = connect_as(&app, &role, "known-to-the-test", &own_database)
            .await
            .expect("its own database should admit it");
        connection.execute("SELECT 1").await.unwrap();
        for database in [format!("proj_{}", other.id), platform.clone(), "postgres".to_owned(), "template1".to_owned()]
        {
            let refused = connect_as(&app, &role, "known-to-the-test", &database).await;
            let code = refused.map(|_| ()).unwrap_err().into_database_error().unwrap().code().unwrap().into_owned();
            assert_eq!(code, "42501", "{role} on {database}");
        }
        for escalation in [
            format!("SET ROLE \"proj_{}_owner\"", other.id),
            "SET ROLE postgres".to_owned(),
            "CREATE ROLE mine SUPERUSER".to_owned(),
            "CREATE DATABASE mine".to_owned(),
            format!("ALTER DATABASE {own_database} OWNER TO \"{role}\""),
            format!("DROP DATABASE {own_database}"),
            format!("GRANT CONNECT ON DATABASE {own_database} TO PUBLIC, \"proj_{}_app\"", other.id),
            "ALTER SYSTEM SET work_mem = '1MB'".to_owned(),
            "COPY (SELECT 1) TO PROGRAM 'true'".to_owned(),
            "SELECT pg_read_file('/etc/passwd')".to_owned(),
        ] {
            // Postgres only warns about a grant without grant option; the connection test below checks its effect.
            let result = sqlx::raw_sql(AssertSqlSafe(escalation.clone())).execute(&mut connection).await;
            assert!(result.is_err() || escalation.starts_with("GRANT"), "{role} could run {escalation}");
        }
        connection.close().await.unwrap();
    }
    let role = set_known_password(&app, &other, "app").await;
    assert!(connect_as(&app, &role, "known-to-the-test", &format!("proj_{}", own.id)).await.is_err());
}

#[tokio::test]
async fn changed_role_password_is_reset() {
    let app = TestApp::start().await;
    let project = app.create_project("Locked out").await;
    project.sql("CREATE TABLE items (id int PRIMARY KEY); INSERT INTO items VALUES (1)").await;
    set_known_password(&app, &project, "app").await;
    let (status, body) = project.secret().get("/v1/db/items").await;
    assert_eq!((status, &body["rows"]), (StatusCode::OK, &json!([{ "id": 1 }])), "{body}");
}

#[tokio::test]
async fn new_table_is_accessible_only_with_the_secret_key() {
    let app = TestApp::start().await;
    let project = app.create_project("Later").await;
    project.sql("CREATE TABLE notes (id serial PRIMARY KEY, body text)").await;
    let (status, body) = project.secret().post("/v1/db/notes", json!({ "rows": [{ "body": "a" }] })).await;
    assert_eq!(status, StatusCode::CREATED, "{body}");
    let publishable = project.publishable();
    for (status, body) in [
        publishable.get("/v1/db/notes").await,
        publishable.post("/v1/db/notes", json!({ "rows": [{ "body": "b" }] })).await,
        publishable.patch("/v1/db/notes?eq.id=1", json!({ "values": { "body": "b" } })).await,
        publishable.delete("/v1/db/notes?eq.id=1").await,
    ] {
        assert!(status == StatusCode::NOT_FOUND || status == StatusCode::FORBIDDEN, "{status}: {body}");
    }
    let (_, body) = project.secret().get("/v1/db/notes?select=body").await;
    assert_eq!(body["rows"], json!([{ "body": "a" }]), "{body}");
}
