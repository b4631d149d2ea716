//! Scripts: several statements, in one transaction or each in its own.

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::limits::wait_for_statements;
use crate::support::{TestApp, TestProject};

async fn send(app: &TestApp, project: &TestProject, sql: &str, options: Value) -> (StatusCode, Value) {
    let mut body = json!({ "sql": sql, "script": true });
    body.as_object_mut().unwrap().extend(options.as_object().unwrap().clone());
    app.admin().post(&project.path("/sql"), body).await
}

async fn run(app: &TestApp, project: &TestProject, sql: &str, options: Value) -> Value {
    let (status, response) = send(app, project, sql, options).await;
    assert_eq!(status, StatusCode::OK, "{sql}: {response}");
    response
}

async fn value(app: &TestApp, project: &TestProject, sql: &str) -> Value {
    let (status, response) = app.admin().post(&project.path("/sql"), json!({ "sql": sql })).await;
    assert_eq!(status, StatusCode::OK, "{sql}: {response}");
    response["rows"][0][0].clone()
}

#[tokio::test]
async fn every_statement_has_its_result() {
    let app = TestApp::start().await;
    let project = app.create_project("Shop").await;
    let sql = "-- schema\nCREATE TABLE items (id int PRIMARY KEY, name text);\n\
        INSERT INTO items VALUES (1, 'a;b'), (2, 'é');\nSELECT * FROM items ORDER BY id;\n\
        SELECT count(*) FROM items; UPDATE items SET name = 'x' RETURNING id; /* end */;";
    let response = run(&app, &project, sql, json!({})).await;
    assert_eq!((&response["failure"], &response["committed"]), (&Value::Null, &json!(true)), "{response}");
    assert_eq!((&response["statementCount"], &response["committedStatements"]), (&json!(5), &json!(5)));
    let results = response["results"].as_array().unwrap();
    let commands: Vec<&Value> = results.iter().map(|result| &result["command"]).collect();
    assert_eq!(commands, ["CREATE TABLE", "INSERT", "SELECT", "SELECT", "UPDATE"]);
    assert_eq!((&results[1]["rowCount"], &results[1]["columns"]), (&json!(2), &json!([])));
    assert_eq!(results[2]["rows"], json!([[1, "a;b"], [2, "é"]]));
    assert_eq!(results[3]["rows"], json!([[2]]));
    assert_eq!(results[4]["rows"], json!([[1], [2]]));
    let characters: Vec<char> = sql.chars().collect();
    let (start, end) = (results[3]["start"].as_u64().unwrap() as usize, results[3]["end"].as_u64().unwrap() as usize);
    assert_eq!(characters[start..end].iter().collect::<String>(), "SELECT count(*) FROM items");
    assert!(response["durationMs"].as_f64().unwrap() > 0.0);
}

#[tokio::test]
async fn failure_in_one_transaction_changes_nothing() {
    let app = TestApp::start().await;
    let project = app.create_project("Shop").await;
    let sql = "CREATE TABLE items (id int);\nINSERT INTO items VALUES (1);\nSELECT é FROM items;\nSELECT 2";
    let response = run(&app, &project, sql, json!({})).await;
    assert_eq!(response["results"].as_array().unwrap().len(), 2);
    assert_eq!((&response["committed"], &response["committedStatements"]), (&json!(false), &json!(0)));
    let failure = &response["failure"];
    assert_eq!((&failure["statement"], &failure["code"]), (&json!(2), &json!("sql_error")), "{response}");
    assert_eq!(failure["details"]["sqlstate"], "42703");
    let position = failure["details"]["position"].as_u64().unwrap() as usize;
    assert_eq!((sql.chars().nth(position - 1), &failure["details"]["line"]), (Some('é'), &json!(3)));
    assert_eq!(value(&app, &project, "SELECT to_regclass('items')").await, Value::Null);
}

#[tokio::test]
async fn failure_without_transaction_keeps_earlier_statements() {
    let app = TestApp::start().await;
    let project = app.create_project("Shop").await;
    let sql = "CREATE TABLE items (id int); INSERT INTO items VALUES (1); VACUUM items; SELECT 1/0; DROP TABLE items";
    let response = run(&app, &project, sql, json!({ "transaction": false })).await;
    assert_eq!((&response["committed"], &response["committedStatements"]), (&json!(true), &json!(3)), "{response}");
    assert_eq!((&response["failure"]["statement"], &response["statementCount"]), (&json!(3), &json!(5)));
    assert_eq!(value(&app, &project, "SELECT count(*) FROM items").await, 1);
}

#[tokio::test]
async fn failed_commit_names_no_statement() {
    let app = TestApp::start().await;
    let project = app.create_project("Shop").await;
    let sql = "CREATE TABLE links (id int PRIMARY KEY, next int REFERENCES links DEFERRABLE INITIALLY DEFERRED);
        INSERT INTO links VALUES (1, 2)";
    let response = run(&app, &project, sql, json!({})).await;
    assert_eq!(
        (&response["failure"]["statement"], &response["committed"]),
        (&Value::Null, &json!(false)),
        "{response}"
    );
    assert_eq!(response["failure"]["details"]["sqlstate"], "23503");
    assert_eq!(value(&app, &project, "SELECT to_regclass('links')").await, Value::Null);
}

#[tokio::test]
async fn nothing_runs_if_any_statement_is_refused() {
    let app = TestApp::start().await;
    let project = app.create_project("Shop").await;
    for (sql, options, code, statement) in [
        ("CREATE TABLE made (); BEGIN", json!({}), "sql_refused", 1),
        ("CREATE TABLE made (); SELECT pg_sleep(1); SELECT 1", json!({}), "sql_refused", 1),
        ("CREATE TABLE made (); COPY made FROM '/etc/passwd'", json!({ "transaction": false }), "sql_refused", 1),
        ("CREATE TABLE made (); SET ROLE postgres", json!({}), "sql_refused", 1),
        ("CREATE TABLE made (); VACUUM", json!({}), "sql_refused", 1),
        ("CREATE TABLE made ();\nSELECT 1 frm t", json!({}), "sql_error", 1),
        ("CREATE TABLE made ();\nSELECT 'abc", json!({}), "sql_error", 1),
    ] {
        let (status, response) = send(&app, &project, sql, options).await;
        let error = &response["error"];
        assert_eq!((status, &error["code"]), (StatusCode::BAD_REQUEST, &json!(code)), "{sql}: {response}");
        assert_eq!(error["details"]["statement"], statement, "{sql}: {response}");
        assert_eq!(value(&app, &project, "SELECT to_regclass('made')").await, Value::Null, "{sql}");
    }
    for (sql, options) in [
        (" ; -- nothing", json!({})),
        ("SELECT 1", json!({ "explain": true })),
        ("SELECT 1", json!({ "script": false, "transaction": true })),
        ("SELECT 1", json!({ "explain": "some" })),
    ] {
        assert_eq!(send(&app, &project, sql, options.clone()).await.0, StatusCode::BAD_REQUEST, "{sql} {options}");
    }
}

#[tokio::test]
async fn read_only_script_changes_nothing() {
    let app = TestApp::start().await;
    let project = app.create_project("Shop").await;
    for transaction in [true, false] {
        let options = json!({ "readOnly": true, "transaction": transaction });
        let response = run(&app, &project, "SELECT 1; CREATE TABLE made ()", options).await;
        assert_eq!(response["failure"]["details"]["sqlstate"], "25006", "{response}");
        assert_eq!(response["results"][0]["rows"], json!([[1]]));
        assert_eq!(value(&app, &project, "SELECT to_regclass('made')::text").await, Value::Null);
    }
}

#[tokio::test]
async fn script_cannot_leave_its_read_only_transaction() {
    let app = TestApp::start().await;
    let project = app.create_project("Shop").await;
    project
        .sql(
            "CREATE TABLE t (id int);
             CREATE FUNCTION allow_writes() RETURNS void LANGUAGE plpgsql
                 AS $$ BEGIN SET LOCAL transaction_read_only = off; END $$",
        )
        .await;
    for setting in [
        "SET transaction_read_only = off",
        "RESET transaction_read_only",
        "SELECT set_config('transaction_read_only', NULL, true)",
        "SELECT set_config('transaction_read_' || 'only', 'off', true)",
        "SELECT allow_writes()",
    ] {
        for transaction in [true, false] {
            let sql = format!("{setting}; INSERT INTO t VALUES (1)");
            let body = json!({ "sql": sql, "script": true, "readOnly": true, "transaction": transaction });
            let (status, response) = project.admin().post(&project.path("/sql"), body).await;
            assert!(status.is_client_error() || response["failure"].is_object(), "{setting}: {response}");
        }
    }
    assert_eq!(value(&app, &project, "SELECT count(*) FROM t").await, json!(0));
}

#[tokio::test]
async fn settings_and_temporary_tables_last_for_the_script() {
    let app = TestApp::start().await;
    let project = app.create_project("Shop").await;
    let sql = "CREATE TEMP TABLE t (id int); SET timezone = 'Europe/Berlin'; INSERT INTO t VALUES (1);
        SELECT count(*), current_setting('timezone') FROM t";
    for transaction in [true, false] {
        let response = run(&app, &project, sql, json!({ "transaction": transaction })).await;
        assert_eq!(response["results"][3]["rows"], json!([[1, "Europe/Berlin"]]), "{response}");
    }
}

#[tokio::test]
async fn rows_of_all_results_share_the_maximum_size() {
    let app = TestApp::start().await;
    let project = app.create_project("Shop").await;
    let one = "SELECT repeat('x', 1000000) FROM generate_series(1, 6);";
    let response = run(&app, &project, &one.repeat(4), json!({})).await;
    let counts: Vec<u64> = response["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|result| result["rows"].as_array().unwrap().len() as u64)
        .collect();
    assert_eq!((counts[0], counts.len()), (6, 4), "{counts:?}");
    assert!(counts.iter().sum::<u64>() <= 16, "{counts:?}");
    assert_eq!(response["results"][3]["truncated"], true);
}

#[tokio::test]
async fn script_at_its_time_limit_reports_committed_statements() {
    let app = TestApp::start().await;
    let project = app.create_project("Shop").await;
    let endless = "SELECT count(*) FROM (SELECT generate_series(1, 100000000000)) AS s";
    let sql = format!("CREATE TABLE made (); {endless}; SELECT 1");
    for (transaction, committed) in [(true, 0), (false, 1)] {
        let options = json!({ "timeoutMs": 300, "transaction": transaction });
        let response = run(&app, &project, &sql, options).await;
        assert_eq!(
            (&response["failure"]["code"], &response["failure"]["statement"], &response["committedStatements"]),
            (&json!("timeout"), &json!(1), &json!(committed)),
            "{response}"
        );
        assert!(response["failure"]["message"].as_str().unwrap().contains("0.3 seconds"), "{response}");
        wait_for_statements(&app, &project.id, 0).await;
    }
}

#[tokio::test]
async fn cancelled_script_changes_nothing() {
    let app = TestApp::start().await;
    let project = app.create_project("Shop").await;
    let sql = "CREATE TABLE made (); SELECT count(*) FROM (SELECT generate_series(1, 100000000000)) AS s";
    let script = send(&app, &project, sql, json!({ "queryId": "run-1", "timeoutMs": 60000 }));
    let cancel = async {
        wait_for_statements(&app, &project.id, 1).await;
        app.admin().post(&project.path("/sql/run-1/cancel"), json!({})).await
    };
    let ((status, response), (cancelled, found)) = tokio::join!(script, cancel);
    assert_eq!((cancelled, &found["cancelled"]), (StatusCode::OK, &json!(true)), "{found}");
    assert_eq!((status, &response["failure"]["code"]), (StatusCode::OK, &json!("cancelled")), "{response}");
    assert_eq!(response["committed"], false);
    wait_for_statements(&app, &project.id, 0).await;
    assert_eq!(value(&app, &project, "SELECT to_regclass('made')::text").await, Value::Null);
}

#[tokio::test]
async fn error_of_a_too_large_response_says_what_the_script_changed() {
    let app = TestApp::builder().var("ATLASHUB_RESPONSE_LIMIT_BYTES", "65536").start().await;
    let project = app.create_project("Shop").await;
    let many = "SELECT 1;".repeat(500);
    for (table, end, transaction, hint, exists) in [
        ("a", "SELECT 1", true, "The statements were carried out.", true),
        ("b", "SELECT 1/0", true, "The script failed. Nothing was changed.", false),
        ("c", "SELECT 1/0", false, "The script failed. The statements before the failure were committed.", true),
    ] {
        let sql = format!("CREATE TABLE {table} (); {many} {end}");
        let (status, response) =
            send(&app, &project, &sql, json!({ "transaction": transaction, "timeoutMs": 60000 })).await;
        assert_eq!((status.as_u16(), &response["error"]["code"]), (422, &json!("response_too_large")), "{response}");
        assert!(response["error"]["hint"].as_str().unwrap().starts_with(hint), "{response}");
        let found = value(&app, &project, &format!("SELECT to_regclass('{table}') IS NOT NULL")).await;
        assert_eq!(found, exists, "{table}");
        let (_, page) = app.admin().get("/admin/v1/audit?action=sql.run").await;
        let has_status = |entry: &&Value| entry["status"] == 422;
        let entry = page["items"].as_array().unwrap().iter().find(has_status).unwrap();
        let (result, tables) = if exists { ("success", json!([table])) } else { ("denied", Value::Null) };
        assert_eq!((&entry["result"], &entry["details"]["tables"]), (&json!(result), &tables), "{entry}");
        assert_eq!(entry["details"]["error"], "response_too_large", "{entry}");
    }
    // The statement's name fits into the response, but its notices do not.
    let sql = "CREATE FUNCTION warn() RETURNS void LANGUAGE plpgsql AS $$ BEGIN
        FOR i IN 1..100 LOOP RAISE NOTICE '%', repeat('n', 4000); END LOOP; END $$";
    let (status, response) = send(&app, &project, sql, json!({})).await;
    assert_eq!(status, StatusCode::OK, "{response}");
    let (status, response) = app.admin().post(&project.path("/sql"), json!({ "sql": "SELECT warn()" })).await;
    assert_eq!((status.as_u16(), &response["error"]["code"]), (422, &json!("response_too_large")), "{response}");
    let (_, page) = app.admin().get("/admin/v1/audit?action=sql.run").await;
    let entry = &page["items"][0];
    assert_eq!(
        (&entry["result"], &entry["details"]),
        (
            &json!("success"),
            &json!({ "command": "SELECT", "tables": [], "rowCount": 1, "error": "response_too_large" })
        )
    );
    // The statement whose result is lost is committed, too.
    let sql = "CREATE TABLE d (); SELECT warn(); SELECT 1";
    let response = run(&app, &project, sql, json!({ "transaction": false })).await;
    assert_eq!(
        (&response["failure"]["statement"], &response["committedStatements"]),
        (&json!(1), &json!(2)),
        "{response}"
    );
}
