//! Limits of the SQL editor: time, rows, bytes. Cancellation, read-only mode, plans, notices.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::{ADMIN_TOKEN, Client, Postgres, ProgramVars, TestApp, TestProject, eventually, until_sleeping};

/// A statement that runs until it is cancelled.
const ENDLESS: &str = "SELECT count(*) FROM (SELECT generate_series(1, 100000000000)) AS s";

async fn send(app: &TestApp, project: &TestProject, body: Value) -> (StatusCode, Value) {
    app.admin().post(&project.path("/sql"), body).await
}

async fn run(app: &TestApp, project: &TestProject, body: Value) -> Value {
    let (status, response) = send(app, project, body.clone()).await;
    assert_eq!(status, StatusCode::OK, "{body}: {response}");
    response
}

/// Waits until this number of statements run as the owner in the project's database.
pub(crate) async fn wait_for_statements(app: &TestApp, project: &str, count: i64) {
    eventually(&format!("{count} statements run"), async || {
        let running: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM pg_stat_activity
             WHERE datname = $1 AND usename = $1 || '_owner' AND state = 'active'",
        )
        .bind(format!("proj_{project}"))
        .fetch_one(app.app.platform())
        .await
        .unwrap();
        (running == count).then_some(())
    })
    .await;
}

#[tokio::test]
async fn statement_is_stopped_after_five_seconds() {
    let app = TestApp::start().await;
    let project = app.create_project("Shop").await;
    run(&app, &project, json!({"sql": "CREATE TABLE t (id bigint)"})).await;
    // The first batch of the cursor removes Postgres's time limit for the next ones.
    let lifted = "SELECT CASE WHEN g < 500 THEN set_config('statement_timeout', '0', false)::bigint \
                  ELSE (SELECT count(*) FROM (SELECT generate_series(1, 100000000000 + g)) AS s) END \
                  FROM generate_series(1, 1000) AS g /* lifted */";
    let changing = format!("INSERT INTO t SELECT count FROM ({ENDLESS}) AS s /* changing */");
    let endless = format!("{ENDLESS} /* endless */");
    let attempts = [(&*endless, "endless"), (lifted, "lifted"), (&*changing, "changing")];
    let all = attempts.map(|(sql, mark)| {
        let (app, project) = (&app, &project);
        async move {
            let (status, response) = send(app, project, json!({ "sql": sql })).await;
            assert_eq!(
                (status, &response["error"]["code"]),
                (StatusCode::GATEWAY_TIMEOUT, &json!("timeout")),
                "{mark}"
            );
            assert!(response["error"]["message"].as_str().unwrap().contains("5 seconds"), "{mark}: {response}");
        }
    });
    futures_util::future::join_all(all).await;
    wait_for_statements(&app, &project.id, 0).await;
    assert_eq!(run(&app, &project, json!({"sql": "SELECT count(*) FROM t"})).await["rows"], json!([[0]]));
}

#[tokio::test]
async fn statement_is_cancelled_when_its_client_disconnects() {
    let app = TestApp::start().await;
    let project = app.create_project("Shop").await;
    // The function stores why it was stopped. A sequence keeps its value when the transaction is rolled back.
    project
        .sql(
            "CREATE SEQUENCE reason; CREATE FUNCTION endless() RETURNS int LANGUAGE plpgsql AS $$
             BEGIN
                 PERFORM pg_sleep(600);
                 RETURN 1;
             EXCEPTION WHEN query_canceled THEN
                 PERFORM setval('reason', CASE WHEN SQLERRM LIKE '%user request%' THEN 2 ELSE 3 END);
                 RAISE;
             END $$",
        )
        .await;
    let (client, path) = (app.admin(), project.path("/sql"));
    let body = json!({ "sql": "SELECT endless()", "timeoutMs": 60000 });
    let waiting = tokio::spawn(async move { client.post(&path, body).await });
    let mut connection = project.connect().await;
    until_sleeping(&mut connection).await;
    waiting.abort();
    wait_for_statements(&app, &project.id, 0).await;
    let reason: i64 = sqlx::query_scalar("SELECT last_value FROM reason").fetch_one(&mut connection).await.unwrap();
    assert_eq!(reason, 2, "the statement was stopped by its time limit");
}

#[tokio::test]
async fn every_run_uses_a_new_connection_and_closes_it() {
    let app = TestApp::start().await;
    let project = app.create_project("Shop").await;
    let pid = json!({"sql": "SELECT pg_backend_pid() /* own */"});
    let (first, second) = (run(&app, &project, pid.clone()).await, run(&app, &project, pid).await);
    assert_ne!(first["rows"], second["rows"]);
    run(&app, &project, json!({"sql": "SET search_path = pg_catalog"})).await;
    let path = run(&app, &project, json!({"sql": "SHOW search_path"})).await;
    assert_eq!(path["rows"], json!([["public"]]));
    eventually("all connections are closed", async || {
        let open: i64 =
            sqlx::query_scalar("SELECT count(*) FROM pg_stat_activity WHERE usename = $1 AND strpos(query, 'own') > 0")
                .bind(format!("proj_{}_owner", project.id))
                .fetch_one(app.app.platform())
                .await
                .unwrap();
        (open == 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn rows_beyond_the_limits_are_truncated_and_reported() {
    let app = TestApp::start().await;
    let project = app.create_project("Shop").await;
    let series = |count: u32| format!("SELECT g FROM generate_series(1, {count}) AS g");
    for (body, rows, truncated) in [
        (json!({"sql": series(10), "maxRows": 10}), 10, false),
        (json!({"sql": series(11), "maxRows": 10}), 10, true),
        (json!({"sql": series(5000)}), 5000, false),
        (json!({"sql": series(6000)}), 5000, true),
        (json!({"sql": series(2000), "maxRows": 1001}), 1001, true),
        (json!({"sql": series(0)}), 0, false),
        (json!({"sql": series(200), "maxRows": 200}), 200, false),
        (json!({"sql": series(201), "maxRows": 200}), 200, true),
        // Only the returned rows are computed.
        (json!({"sql": "SELECT generate_series(1, 100000000000)", "maxRows": 300}), 300, true),
    ] {
        let response = run(&app, &project, body.clone()).await;
        assert_eq!(response["rows"].as_array().unwrap().len(), rows, "{body}");
        assert_eq!((&response["truncated"], &response["rowCount"]), (&json!(truncated), &json!(rows)), "{body}");
    }
    // A change is completed even if only a part of its rows is returned.
    run(&app, &project, json!({"sql": "CREATE TABLE t (id int)"})).await;
    let insert = json!({"sql": format!("INSERT INTO t {} RETURNING id", series(3000)), "maxRows": 5});
    let response = run(&app, &project, insert).await;
    assert_eq!(response["rows"], json!([[1], [2], [3], [4], [5]]));
    assert_eq!((&response["truncated"], &response["rowCount"]), (&json!(true), &json!(3000)));
    assert_eq!(run(&app, &project, json!({"sql": "SELECT count(*) FROM t"})).await["rows"], json!([[3000]]));

    let wide = json!({"sql": "SELECT repeat('x', 1000000) FROM generate_series(1, 100000)"});
    let response = run(&app, &project, wide).await;
    assert_eq!((response["rows"].as_array().unwrap().len(), &response["truncated"]), (8, &json!(true)));
    assert!(response["notices"][0]["message"].as_str().unwrap().contains("8 MiB"), "{}", response["notices"]);
}

#[tokio::test]
async fn read_only_run_rejects_changes() {
    let app = TestApp::start().await;
    let project = app.create_project("Shop").await;
    run(&app, &project, json!({"sql": "CREATE TABLE t (id int)"})).await;
    for sql in [
        "INSERT INTO t VALUES (1)",
        "WITH a AS (INSERT INTO t VALUES (1) RETURNING id) SELECT * FROM a",
        "CREATE TABLE u (id int)",
        "SELECT set_config('transaction_read_' || 'only', 'off', true)",
        "SELECT nextval(pg_get_serial_sequence('t', 'id')), * FROM t FOR UPDATE",
    ] {
        let (status, response) = send(&app, &project, json!({"sql": sql, "readOnly": true})).await;
        assert_eq!(
            (status, &response["error"]["code"]),
            (StatusCode::BAD_REQUEST, &json!("sql_error")),
            "{sql}: {response}"
        );
    }
    let response = run(&app, &project, json!({"sql": "SELECT count(*) FROM t", "readOnly": true})).await;
    assert_eq!(response["rows"], json!([[0]]));
    run(&app, &project, json!({"sql": "EXPLAIN SELECT 1", "readOnly": true})).await;
}

#[tokio::test]
async fn explain_returns_the_plan_without_running() {
    let app = TestApp::start().await;
    let project = app.create_project("Shop").await;
    run(&app, &project, json!({"sql": "CREATE TABLE t (id int)"})).await;
    let response = run(&app, &project, json!({"sql": "INSERT INTO t VALUES (1)", "explain": true})).await;
    assert_eq!(response["columns"], json!([{"name": "QUERY PLAN", "type": "json"}]));
    assert_eq!(response["command"], "EXPLAIN");
    assert_eq!(response["rows"][0][0][0]["Plan"]["Node Type"], "ModifyTable", "{response}");
    assert_eq!(run(&app, &project, json!({"sql": "SELECT count(*) FROM t"})).await["rows"], json!([[0]]));
    let response = run(&app, &project, json!({"sql": "-- all\nSELECT * FROM t;", "explain": true})).await;
    assert_eq!(response["rows"][0][0][0]["Plan"]["Node Type"], "Seq Scan", "{response}");
}

#[tokio::test]
async fn notices_are_returned() {
    let app = TestApp::start().await;
    let project = app.create_project("Shop").await;
    let response = run(&app, &project, json!({"sql": "DROP TABLE IF EXISTS nothing"})).await;
    assert_eq!(
        response["notices"],
        json!([{"severity": "NOTICE", "message": "table \"nothing\" does not exist, skipping"}])
    );
    let talkative = "CREATE FUNCTION talk() RETURNS int LANGUAGE plpgsql AS $$ BEGIN \
                     FOR i IN 1..1000 LOOP RAISE WARNING 'line %', i; END LOOP; RETURN 1; END $$";
    run(&app, &project, json!({ "sql": talkative })).await;
    let response = run(&app, &project, json!({"sql": "SELECT talk()"})).await;
    let notices = response["notices"].as_array().unwrap();
    assert!((1..=200).contains(&notices.len()), "{}", notices.len());
    assert_eq!(notices.last().unwrap(), &json!({"severity": "WARNING", "message": "line 1000"}));
}

#[tokio::test]
async fn rows_larger_than_a_response_are_dropped_and_changes_kept() {
    let app = TestApp::start().await;
    let project = app.create_project("Shop").await;
    run(&app, &project, json!({"sql": "CREATE TABLE t (id int, a text)"})).await;
    let warning = |response: &Value| response["notices"].to_string().contains("truncated");
    // One value of 40 MB, after a small row.
    let sql = "SELECT g, repeat('x', CASE g WHEN 1 THEN 10 ELSE 40000000 END) FROM generate_series(1, 2) g";
    let response = run(&app, &project, json!({ "sql": sql })).await;
    assert_eq!((response["rows"].as_array().unwrap().len(), &response["truncated"]), (1, &json!(true)), "{response}");
    assert!(warning(&response), "{response}");
    let sql = "INSERT INTO t SELECT g, repeat('x', 17000000) FROM generate_series(1, 3) g RETURNING *";
    let response = run(&app, &project, json!({ "sql": sql })).await;
    assert_eq!(
        (&response["rows"], &response["rowCount"], &response["truncated"]),
        (&json!([]), &json!(3), &json!(true))
    );
    assert_eq!(run(&app, &project, json!({"sql": "SELECT count(*) FROM t"})).await["rows"], json!([[3]]));
    // Long messages of errors and notices are also cut.
    let raise = "CREATE FUNCTION raise() RETURNS int LANGUAGE plpgsql AS $$ BEGIN
        RAISE NOTICE '%', repeat('n', 20000000); RAISE NOTICE 'short'; RETURN 1; END $$";
    run(&app, &project, json!({ "sql": raise })).await;
    let response = run(&app, &project, json!({"sql": "SELECT raise()"})).await;
    assert_eq!((&response["rows"], &response["notices"][0]["message"]), (&json!([[1]]), &json!("short")));
    let raise = "CREATE FUNCTION fail() RETURNS int LANGUAGE plpgsql AS $$ BEGIN
        RAISE EXCEPTION '%', repeat('e', 20000000); END $$";
    run(&app, &project, json!({ "sql": raise })).await;
    let (status, response) = send(&app, &project, json!({"sql": "SELECT fail()"})).await;
    assert_eq!((status, &response["error"]["code"]), (StatusCode::BAD_REQUEST, &json!("sql_error")), "{response}");
}

#[tokio::test]
async fn time_limit_can_be_up_to_a_minute() {
    let app = TestApp::start().await;
    let project = app.create_project("Shop").await;
    let (status, response) = send(&app, &project, json!({ "sql": ENDLESS, "timeoutMs": 200 })).await;
    assert_eq!((status, &response["error"]["code"]), (StatusCode::GATEWAY_TIMEOUT, &json!("timeout")), "{response}");
    assert!(response["error"]["message"].as_str().unwrap().contains("0.2 seconds"), "{response}");
    let limit = run(&app, &project, json!({ "sql": "SHOW statement_timeout", "timeoutMs": 60000 })).await;
    assert_eq!(limit["rows"], json!([["1min"]]));
    for limit in [0, 60001] {
        let (status, response) = send(&app, &project, json!({ "sql": "SELECT 1", "timeoutMs": limit })).await;
        assert_eq!(
            (status, &response["error"]["code"]),
            (StatusCode::BAD_REQUEST, &json!("invalid_request")),
            "{limit}"
        );
    }
}

#[tokio::test]
async fn run_is_cancelled_by_its_id() {
    let app = TestApp::start().await;
    let project = app.create_project("Shop").await;
    let run = send(&app, &project, json!({ "sql": ENDLESS, "queryId": "tab-1_a", "timeoutMs": 60000 }));
    let cancel = async {
        wait_for_statements(&app, &project.id, 1).await;
        let again = send(&app, &project, json!({ "sql": "SELECT 1", "queryId": "tab-1_a" })).await;
        assert_eq!((again.0, &again.1["error"]["code"]), (StatusCode::CONFLICT, &json!("conflict")));
        app.admin().post(&project.path("/sql/tab-1_a/cancel"), json!({})).await
    };
    let ((status, response), (cancelled, _)) = tokio::join!(run, cancel);
    assert_eq!(cancelled, StatusCode::OK);
    assert_eq!((status, &response["error"]["code"]), (StatusCode::CONFLICT, &json!("cancelled")), "{response}");
    wait_for_statements(&app, &project.id, 0).await;
    // The run has ended, so no run has this id, and the id can be used again.
    let (status, _) = app.admin().post(&project.path("/sql/tab-1_a/cancel"), json!({})).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let (status, _) = send(&app, &project, json!({ "sql": "SELECT 1", "queryId": "tab-1_a" })).await;
    assert_eq!(status, StatusCode::OK);
    for id in ["", "a b", "x\u{e9}"] {
        let (status, _) = send(&app, &project, json!({ "sql": "SELECT 1", "queryId": id })).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{id}");
    }
}

#[tokio::test]
async fn another_node_cancels_a_run() {
    let app = TestApp::start().await;
    let project = app.create_project("Shop").await;
    let other = TestApp::builder()
        .database_url(app.services.database_url.expose())
        .master_keys(&app.services.master_key, None)
        .start()
        .await;
    let id = "a".repeat(64);
    let run = send(&app, &project, json!({ "sql": ENDLESS, "queryId": id, "timeoutMs": 60000 }));
    let cancel = async {
        wait_for_statements(&app, &project.id, 1).await;
        other.admin().post(&project.path(&format!("/sql/{id}/cancel")), json!({})).await
    };
    let ((status, response), (cancelled, _)) = tokio::join!(run, cancel);
    assert_eq!(cancelled, StatusCode::OK);
    assert_eq!((status, &response["error"]["code"]), (StatusCode::CONFLICT, &json!("cancelled")), "{response}");
}

#[tokio::test]
async fn analyze_measures_and_rolls_back() {
    let app = TestApp::start().await;
    let project = app.create_project("Shop").await;
    run(&app, &project, json!({ "sql": "CREATE TABLE t (id int)" })).await;
    let body = json!({ "sql": "INSERT INTO t SELECT generate_series(1, 10)", "explain": "analyze" });
    let response = run(&app, &project, body).await;
    assert_eq!((&response["command"], &response["rolledBack"]), (&json!("EXPLAIN"), &json!(true)));
    let plan = &response["rows"][0][0][0];
    assert_eq!(plan["Plan"]["Operation"], "Insert", "{response}");
    assert!(plan["Execution Time"].is_number() && plan["Plan"]["Shared Hit Blocks"].is_number(), "{response}");
    let count = run(&app, &project, json!({ "sql": "SELECT count(*) FROM t" })).await;
    assert_eq!((&count["rows"], &count["rolledBack"]), (&json!([[0]]), &json!(false)));
    let response = run(&app, &project, json!({ "sql": "SELECT * FROM t", "explain": "plan" })).await;
    assert!(response["rows"][0][0][0]["Plan"].is_object() && response["rows"][0][0][0]["Execution Time"].is_null());
    let body = json!({ "sql": "INSERT INTO t VALUES (1)", "explain": "analyze", "readOnly": true });
    assert_eq!(send(&app, &project, body).await.1["error"]["details"]["sqlstate"], "25006");
}

#[tokio::test(flavor = "multi_thread")]
async fn deeply_nested_types_do_not_stop_the_server() {
    // A stack overflow ends the process, so the server is a process of its own.
    let serving = ProgramVars::external(&Postgres::shared().platform_database().await).serve(&[]);
    let admin = Client::new(&*serving.admin_url).with_header("x-dev-admin-token", ADMIN_TOKEN);
    let (status, created) = admin.post("/admin/v1/projects", json!({ "name": "Shop" })).await;
    assert_eq!(status, StatusCode::CREATED, "{created}");
    let path = format!("/admin/v1/projects/{}/sql", created["project"]["id"].as_str().unwrap());
    let run = async |sql: &str| {
        let (status, response) = admin.post(&path, json!({ "sql": sql, "timeoutMs": 60000 })).await;
        (status.as_u16(), response)
    };
    let nest = "CREATE FUNCTION nest(first int, last int) RETURNS void LANGUAGE plpgsql AS $$ BEGIN
        FOR i IN first..last LOOP EXECUTE format('CREATE TYPE level%s AS (a level%s)', i, i - 1); END LOOP; END $$";
    for sql in ["CREATE TYPE level0 AS (a int)", nest] {
        assert_eq!(run(sql).await.0, 200, "{sql}");
    }
    let (status, response) = run("SELECT nest(1, 250)").await;
    assert_eq!(status, 200, "{response}");
    let (status, response) = run("SELECT NULL::level250 AS v").await;
    assert_eq!((status, &response["rows"]), (200, &json!([[null]])), "{response}");
    let (status, response) = run("SELECT NULL::level250::text AS v").await;
    assert_eq!((status, &response["rows"]), (200, &json!([[null]])), "{response}");
}
