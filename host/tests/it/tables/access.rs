//! Findings about tables with too much access.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::{TestApp, TestProject};

async fn findings(app: &TestApp, project: &TestProject) -> Vec<Value> {
    let (status, body) = app.admin().get(&project.path("/access")).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    body["findings"].as_array().unwrap().clone()
}

#[tokio::test]
async fn only_access_that_a_caller_has_is_reported() {
    let app = TestApp::start().await;
    let project = app.create_project("Access").await;
    project
        .sql(
            "CREATE TABLE hidden (id int PRIMARY KEY); CREATE TABLE readable (id int PRIMARY KEY);
             CREATE TABLE guarded (id int PRIMARY KEY); ALTER TABLE guarded ENABLE ROW LEVEL SECURITY;
             CREATE POLICY own ON guarded USING (id < 10);
             CREATE VIEW closed_view AS TABLE hidden;",
        )
        .await;
    project.expose("readable", "read", "none").await;
    project.expose("guarded", "write", "write").await;
    assert_eq!(findings(&app, &project).await, Vec::<Value>::new());

    project
        .sql(&format!(
            "CREATE TABLE open_table (id int PRIMARY KEY);
             CREATE POLICY everyone ON guarded FOR DELETE USING (true);
             GRANT SELECT ON closed_view TO proj_{0}_anon;
             CREATE TABLE members (id int PRIMARY KEY); GRANT SELECT ON members TO proj_{0}_user;",
            project.id
        ))
        .await;
    project.expose("open_table", "write", "none").await;
    let found: Vec<Value> = findings(&app, &project)
        .await
        .into_iter()
        .map(|finding| json!([finding["kind"], finding["table"], finding["caller"], finding["operations"]]))
        .collect();
    assert_eq!(
        found,
        [
            json!(["writeWithoutRowSecurity", "open_table", "publishable", ["insert", "update", "delete"]]),
            json!(["writeThroughOpenPolicy", "guarded", "publishable", ["delete"]]),
            json!(["writeThroughOpenPolicy", "guarded", "signedIn", ["delete"]]),
            json!(["securityDefinerView", "closed_view", "publishable", ["select"]]),
            json!(["readWithoutRowSecurity", "members", "signedIn", ["select"]]),
        ]
    );
    for finding in findings(&app, &project).await {
        project.sql(finding["remedy"].as_str().unwrap()).await;
        if finding["kind"] == "writeThroughOpenPolicy" {
            break;
        }
    }
    let left = findings(&app, &project).await;
    assert_eq!(left.iter().map(|finding| &finding["table"]).collect::<Vec<_>>(), ["closed_view", "members"]);
}
