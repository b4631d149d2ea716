//! Responses of the server match the document.

use jsonschema::Draft;
use reqwest::StatusCode;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    support::TestApp,
    transfers::{imports::upload, start},
};

/// Panics if the response does not match this schema of the document.
fn check(schema: &str, response: &Value) {
    let document = serde_json::to_value(atlashub::router::openapi()).unwrap();
    let source = json!({ "$ref": format!("#/components/schemas/{schema}"), "components": document["components"] });
    let validator = jsonschema::options().with_draft(Draft::Draft202012).build(&source).unwrap();
    let errors: Vec<String> =
        validator.iter_errors(response).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert_eq!(errors, Vec::<String>::new(), "{schema}: {response}");
}

async fn get(app: &TestApp, path: &str) -> Value {
    let (status, response) = app.admin().get(path).await;
    assert_eq!(status, StatusCode::OK, "{path}: {response}");
    response
}

#[tokio::test]
async fn cells_of_sql_results_and_previews_are_any_json() {
    let app = start().await;
    let project = app.create_project("Shop").await;
    project.sql("CREATE TABLE items (id int, name text, tags jsonb)").await;
    let sql = "SELECT 1 AS a, 'x' AS b, NULL AS c, '{\"k\": [1]}'::jsonb AS d, true AS e, '[1, null]'::jsonb AS f";
    let (status, result) = app.admin().post(&project.path("/sql"), json!({ "sql": sql })).await;
    assert_eq!(status, StatusCode::OK, "{result}");
    assert_eq!(result["rows"], json!([[1, "x", null, { "k": [1] }, true, [1, null]]]));
    check("SqlResult", &result);
    let file = "{\"id\": 1, \"name\": null, \"tags\": [1]}\n{\"id\": 2, \"name\": \"x\", \"tags\": {\"a\": true}}\n";
    let path = upload(&app, &project, "items", "ndjson", file).await;
    let (status, preview) = app.admin().post(&format!("{path}/preview"), json!({})).await;
    assert_eq!(status, StatusCode::OK, "{preview}");
    assert_eq!(preview["rows"].as_array().map(Vec::len), Some(2), "{preview}");
    check("ImportPreview", &preview);
}

#[tokio::test]
async fn listed_projects_may_lack_their_totals() {
    let app = TestApp::start().await;
    app.create_project("Shop").await;
    for query in ["", "?include=totals"] {
        let page = get(&app, &format!("/admin/v1/projects{query}")).await;
        assert_eq!(page["items"][0]["jobCount"].is_number(), !query.is_empty(), "{page}");
        check("Page_ListedProject", &page);
    }
}

#[tokio::test]
async fn results_of_runs_are_any_json() {
    let app = TestApp::start().await;
    for result in [json!([1, "a"]), json!("done"), json!({ "rows": 1 })] {
        let run = Uuid::now_v7();
        sqlx::query(
            "INSERT INTO cron_job_runs (id, plugin, plugin_job, trigger, status, started_at, finished_at, result)
             VALUES ($1, 'nobody', 'x', 'manual', 'success', now(), now(), $2)",
        )
        .bind(run)
        .bind(&result)
        .execute(app.app.platform())
        .await
        .unwrap();
        let detail = get(&app, &format!("/admin/v1/runs/{run}")).await;
        assert_eq!(detail["result"], result, "{detail}");
        check("RunDetail", &detail);
    }
}
