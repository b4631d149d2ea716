//! End-user login: `host/src/auth`.

mod attacks;
mod limits;
mod magic_link;
mod mails;
mod overload;
mod owner;
mod password_races;
mod recovery_codes;
mod refresh;
mod row_level_security;
mod schema;
mod second_factor;
mod sign_in;
mod tokens;

pub use mails::next as next_mail;
use reqwest::StatusCode;
pub use second_factor::totp;
use serde_json::{Value, json};

use crate::support::{Client, TestApp, TestProject};

pub const PASSWORD: &str = "correct horse battery";

/// Switches login on for a project.
pub async fn enable(project: &TestProject) {
    change_settings(project, json!({ "enabled": true })).await;
}

pub async fn change_settings(project: &TestProject, settings: Value) -> Value {
    let (status, body) = project.admin().patch(&project.path("/auth"), settings).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    body
}

/// Starts a platform with a project that has login switched on.
pub async fn start(name: &str) -> (TestApp, TestProject) {
    let app = TestApp::start().await;
    let project = app.create_project(name).await;
    enable(&project).await;
    (app, project)
}

/// Signs a user up. Returns user and session.
pub async fn sign_up(project: &TestProject, email: &str) -> Value {
    let request = json!({ "email": email, "password": PASSWORD });
    let (status, body) = project.publishable().post("/v1/auth/signup", request).await;
    assert_eq!(status, StatusCode::CREATED, "{body}");
    body
}

pub async fn log_in(project: &TestProject, email: &str, password: &str) -> (StatusCode, Value) {
    project.publishable().post("/v1/auth/login", json!({ "email": email, "password": password })).await
}

pub async fn refresh(project: &TestProject, token: &Value) -> (StatusCode, Value) {
    project.publishable().post("/v1/auth/refresh", json!({ "refreshToken": token })).await
}

/// Returns a client with the publishable key and the session's access token.
pub fn signed_in(project: &TestProject, body: &Value) -> Client {
    let token = body["session"]["accessToken"].as_str().expect("an access token");
    project.publishable().with_header("authorization", &format!("Bearer {token}"))
}

/// Runs statements as superuser in the project's database.
pub async fn execute(project: &TestProject, sql: &str) {
    use sqlx::Connection as _;
    let mut connection = project.connect().await;
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned())).execute(&mut connection).await.expect(sql);
    connection.close().await.expect("close");
}

/// Runs a query as superuser in the project's database. Returns the first column of its first row.
pub async fn query<T>(project: &TestProject, sql: &str) -> T
where
    T: for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres> + Send + Unpin,
{
    use sqlx::Connection as _;
    let mut connection = project.connect().await;
    let value =
        sqlx::query_scalar(sqlx::AssertSqlSafe(sql.to_owned())).fetch_one(&mut connection).await.expect("a value");
    connection.close().await.expect("close");
    value
}

/// Returns the actions and results of the project's login events, oldest first.
pub async fn events(app: &TestApp, project: &TestProject) -> Vec<(String, String)> {
    let query = sqlx::query_as(
        "SELECT action, result FROM audit_logs WHERE project_id = $1 AND action LIKE 'auth.%' AND action NOT IN
             ('auth.update', 'auth.rotate_key') ORDER BY id",
    );
    query.bind(&project.id).fetch_all(app.app.platform()).await.expect("entries")
}
