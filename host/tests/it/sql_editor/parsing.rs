//! `POST sql/parse` splits SQL into its statements. The tables of cases are in `host/src/sql_editor/script_tests.rs`.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::TestApp;

#[tokio::test]
async fn statements_are_described_without_a_database_or_an_audit_entry() {
    let app = TestApp::start().await;
    let project = app.create_project("Shop").await;
    // Nothing can connect to the project's database.
    sqlx::query(sqlx::AssertSqlSafe(format!("ALTER DATABASE proj_{} ALLOW_CONNECTIONS false", project.id)))
        .execute(app.app.platform())
        .await
        .unwrap();
    let sql = "-- é\nDELETE FROM items;\nSELECT 1 frm t;\nVACUUM";
    let (status, response) = app.admin().post(&project.path("/sql/parse"), json!({ "sql": sql })).await;
    assert_eq!(status, StatusCode::OK, "{response}");
    assert_eq!(
        response["statements"],
        json!([
            { "start": 5, "end": 22, "command": "DELETE", "explainable": true, "readOnly": false,
              "inTransaction": true, "refused": null, "error": null,
              "destroys": [{ "action": "deleteAll", "kind": "table", "schema": null, "name": "items",
                             "column": null, "cascade": false }] },
            { "start": 24, "end": 38, "command": "", "explainable": false, "readOnly": false,
              "inTransaction": true, "refused": null, "destroys": [],
              "error": { "message": "syntax error at or near \"t\"", "position": 38, "line": 3 } },
            { "start": 40, "end": 46, "command": "VACUUM", "explainable": false, "readOnly": false,
              "inTransaction": false, "refused": null, "error": null, "destroys": [] },
        ])
    );
    let (_, entries) = app.admin().get("/admin/v1/audit").await;
    let actions: Vec<&Value> = entries["items"].as_array().unwrap().iter().map(|entry| &entry["action"]).collect();
    assert_eq!(actions, ["project.create"]);
    let (status, _) = app.admin().post(&project.path("/sql/parse"), json!({ "sql": "\0" })).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
}
