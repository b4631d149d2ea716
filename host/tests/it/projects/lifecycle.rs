//! Projects come whole and go whole; their databases are closed to one another.

use reqwest::StatusCode;
use serde_json::json;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor, postgres::PgConnectOptions};

use crate::support::{TestApp, TestProject};

#[tokio::test]
async fn a_project_is_made_listed_renamed_and_removed() {
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

    let (status, error) = app.admin().delete_with(&project.path(""), json!({ "confirm": "Shop" })).await;
    assert_eq!((status, error["error"]["code"].as_str()), (StatusCode::BAD_REQUEST, Some("confirmation_required")));
    let (status, _) = app.admin().delete_with(&project.path(""), json!({ "confirm": "Store" })).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    let (status, _) = app.admin().get(&project.path("")).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let (status, _) = project.secret().get("/v1/db/tables").await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    assert_eq!(leftovers(&app, &project.id).await, 0);
    assert!(!app.app.store().bucket_exists(&format!("proj-{}", project.id)).await.unwrap());
}

/// Roles, databases and rows that bear the project's id.
async fn leftovers(app: &TestApp, id: &str) -> i64 {
    sqlx::query_scalar(
        "SELECT (SELECT count(*) FROM pg_roles WHERE rolname LIKE $1) + (SELECT count(*) FROM pg_database WHERE datname LIKE $1)
              + (SELECT count(*) FROM projects WHERE id = $2)",
    )
    .bind(format!("proj\\_{id}%"))
    .bind(id)
    .fetch_one(app.app.platform())
    .await
    .unwrap()
}

#[tokio::test]
async fn a_failure_on_the_way_undoes_everything() {
    // The store refuses the last step but one: rows, roles and database are there by then.
    let app = TestApp::builder().var("ATLASHUB_S3_SECRET_ACCESS_KEY", "not-the-secret-of-the-store").start().await;
    let (status, error) = app.admin().post("/admin/v1/projects", json!({ "name": "Half" })).await;
    assert!(status.is_server_error(), "{error}");
    let databases: Vec<String> = sqlx::query_scalar(
        "SELECT 'proj_' || id FROM projects UNION ALL SELECT datname FROM pg_database WHERE datname LIKE 'proj\\_%'
           AND NOT EXISTS (SELECT FROM pg_stat_activity WHERE pg_stat_activity.datname = pg_database.datname)
           AND false",
    )
    .fetch_all(app.app.platform())
    .await
    .unwrap();
    // The store refuses the undoing as well, so the row stays, to be found and finished.
    assert_eq!(databases.len(), 1, "{databases:?}");
    let unfinished = atlashub::projects::unfinished_projects(app.app.platform()).await.unwrap();
    assert_eq!(unfinished.len(), 1);

    let again = TestApp::builder()
        .database_url(app.services.database_url.expose())
        .master_keys(&app.services.master_key, None)
        .start()
        .await;
    let id = unfinished[0].id.clone();
    until(async || leftovers(&again, &id).await == 0).await;
}

/// Waits for what background work brings about.
async fn until(condition: impl AsyncFn() -> bool) {
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(20);
    while !condition().await {
        assert!(tokio::time::Instant::now() < deadline, "it did not come about in time");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn an_interrupted_removal_is_finished_by_asking_again() {
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

/// Gives a role a password that the test knows, as its owner could from inside.
async fn take_over(app: &TestApp, project: &TestProject, role: &str) -> String {
    let role = format!("proj_{}_{role}", project.id);
    let sql = format!("ALTER ROLE \"{role}\" PASSWORD 'known-to-the-test'");
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(app.app.platform()).await.unwrap();
    role
}

#[tokio::test]
async fn no_role_of_a_project_reaches_another_database() {
    let app = TestApp::start().await;
    let (ours, theirs) = (app.create_project("Ours").await, app.create_project("Theirs").await);
    let platform = app.services.database_url.expose().rsplit('/').next().unwrap().to_owned();
    atlashub::projects::close_shared_databases(&app.services.database_url).await.unwrap();
    for role in ["owner", "app", "anon", "user", "backup"] {
        let role = take_over(&app, &ours, role).await;
        let own = format!("proj_{}", ours.id);
        let mut connection = connect_as(&app, &role, "known-to-the-test", &own).await.expect("its own database");
        connection.execute("SELECT 1").await.unwrap();
        for other in [format!("proj_{}", theirs.id), platform.clone(), "postgres".to_owned(), "template1".to_owned()] {
            let refused = connect_as(&app, &role, "known-to-the-test", &other).await;
            let code = refused.map(|_| ()).unwrap_err().into_database_error().unwrap().code().unwrap().into_owned();
            assert_eq!(code, "42501", "{role} on {other}");
        }
        for escalation in [
            format!("SET ROLE \"proj_{}_owner\"", theirs.id),
            "SET ROLE postgres".to_owned(),
            "CREATE ROLE mine SUPERUSER".to_owned(),
            "CREATE DATABASE mine".to_owned(),
            format!("ALTER DATABASE {own} OWNER TO \"{role}\""),
            format!("DROP DATABASE {own}"),
            format!("GRANT CONNECT ON DATABASE {own} TO PUBLIC, \"proj_{}_app\"", theirs.id),
            "ALTER SYSTEM SET work_mem = '1MB'".to_owned(),
            "COPY (SELECT 1) TO PROGRAM 'true'".to_owned(),
            "SELECT pg_read_file('/etc/passwd')".to_owned(),
        ] {
            // A grant that is not one's to give is a warning in Postgres: what counts is that nothing changed.
            let _ = sqlx::raw_sql(AssertSqlSafe(escalation.clone())).execute(&mut connection).await.map(|_| {
                assert!(escalation.starts_with("GRANT"), "{role} could run {escalation}");
            });
        }
        connection.close().await.unwrap();
    }
    let role = take_over(&app, &theirs, "app").await;
    assert!(connect_as(&app, &role, "known-to-the-test", &format!("proj_{}", ours.id)).await.is_err());
}

#[tokio::test]
async fn a_role_that_changed_its_password_is_set_back() {
    let app = TestApp::start().await;
    let project = app.create_project("Locked out").await;
    project.sql("CREATE TABLE items (id int PRIMARY KEY); INSERT INTO items VALUES (1)").await;
    take_over(&app, &project, "app").await;
    let (status, body) = project.secret().get("/v1/db/items").await;
    assert_eq!((status, &body["rows"]), (StatusCode::OK, &json!([{ "id": 1 }])), "{body}");
}

#[tokio::test]
async fn tables_made_later_are_the_secret_keys_and_nobody_elses() {
    let app = TestApp::start().await;
    let project = app.create_project("Later").await;
    project.sql("CREATE TABLE notes (id serial PRIMARY KEY, body text)").await;
    let (status, body) = project.secret().post("/v1/db/notes", json!({ "rows": [{ "body": "a" }] })).await;
    assert_eq!(status, StatusCode::CREATED, "{body}");
    let (status, _) = project.publishable().get("/v1/db/notes").await;
    assert!(status == StatusCode::NOT_FOUND || status == StatusCode::FORBIDDEN, "{status}");
}
