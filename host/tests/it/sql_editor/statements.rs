//! The SQL editor: results, errors, rejected statements, and the privileges of its role.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::{TestApp, TestProject};

async fn send(app: &TestApp, project: &TestProject, body: Value) -> (StatusCode, Value) {
    app.admin().post(&project.path("/sql"), body).await
}

async fn run(app: &TestApp, project: &TestProject, sql: &str) -> Value {
    let (status, response) = send(app, project, json!({ "sql": sql })).await;
    assert_eq!(status, StatusCode::OK, "{sql}: {response}");
    response
}

async fn fail(app: &TestApp, project: &TestProject, sql: &str) -> (u16, String, Value) {
    let (status, response) = send(app, project, json!({ "sql": sql })).await;
    let code = response["error"]["code"].as_str().unwrap_or_default().to_owned();
    (status.as_u16(), code, response["error"].clone())
}

#[tokio::test]
async fn statements_with_the_same_text_as_the_servers_own_are_treated_like_others() {
    let app = TestApp::start().await;
    let project = app.create_project("Shop").await;
    let selected = run(&app, &project, "SELECT 1 AS end_of_shared_transaction").await;
    assert_eq!(selected["rows"], json!([[1]]));
    for setting in ["lock_timeout", "request.jwt.claims"] {
        let sql = format!("SELECT 1 WHERE pg_catalog.set_config('{setting}', $1, true) IS NULL");
        let (status, code, error) = fail(&app, &project, &sql).await;
        assert_eq!((status, code.as_str()), (400, "sql_refused"), "{error}");
    }
}

#[tokio::test]
async fn statements_of_different_kinds_run() {
    let app = TestApp::start().await;
    let project = app.create_project("Shop").await;
    let created = run(&app, &project, "CREATE TABLE items (id serial PRIMARY KEY, name text NOT NULL);").await;
    assert_eq!((&created["command"], &created["rowCount"]), (&json!("CREATE TABLE"), &json!(0)));
    assert_eq!((&created["columns"], &created["rows"]), (&json!([]), &json!([])));

    let inserted = run(&app, &project, "INSERT INTO items (name) SELECT 'n' || g FROM generate_series(1, 5) g").await;
    assert_eq!((&inserted["command"], &inserted["rowCount"]), (&json!("INSERT"), &json!(5)));
    let updated = run(&app, &project, "UPDATE items SET name = upper(name) WHERE id < 3 RETURNING id, name").await;
    assert_eq!(updated["rows"], json!([[1, "N1"], [2, "N2"]]));
    assert_eq!(updated["columns"], json!([{"name": "id", "type": "integer"}, {"name": "name", "type": "text"}]));
    let selected = run(&app, &project, "-- how many\nSELECT count(*) FROM items -- all").await;
    assert_eq!((&selected["rows"], &selected["command"]), (&json!([[5]]), &json!("SELECT")));
    assert!(selected["durationMs"].as_f64().is_some_and(|ms| ms > 0.0));
    let moved =
        run(&app, &project, "WITH gone AS (DELETE FROM items WHERE id = 5 RETURNING id) SELECT id FROM gone").await;
    assert_eq!(moved["rows"], json!([[5]]));

    for (sql, command) in [
        ("VALUES (1), (2)", "SELECT"),
        ("TABLE items", "SELECT"),
        ("CREATE INDEX CONCURRENTLY items_name ON items (name)", "CREATE INDEX"),
        ("VACUUM ANALYZE items", "VACUUM"),
        (
            "CREATE PROCEDURE tidy() LANGUAGE plpgsql AS $$ BEGIN DELETE FROM items WHERE id = 4; COMMIT; END $$",
            "CREATE PROCEDURE",
        ),
        ("CALL tidy()", "CALL"),
        ("SHOW search_path", "SHOW"),
        ("EXPLAIN ANALYZE SELECT * FROM items", "EXPLAIN"),
        ("SELECT", "SELECT"),
        ("DROP TABLE items", "DROP TABLE"),
    ] {
        assert_eq!(run(&app, &project, sql).await["command"], command, "{sql}");
    }
    let who = run(&app, &project, "SELECT current_database(), current_user, session_user").await;
    let (database, owner) = (format!("proj_{}", project.id), format!("proj_{}_owner", project.id));
    assert_eq!(who["rows"], json!([[database, owner, owner]]));
}

#[tokio::test]
async fn values_are_returned_as_typed_json() {
    let app = TestApp::start().await;
    let project = app.create_project("Shop").await;
    run(&app, &project, "CREATE TYPE mood AS ENUM ('sad', 'ok')").await;
    run(&app, &project, "CREATE DOMAIN price AS numeric(10,2)").await;
    run(&app, &project, "CREATE TYPE pair AS (a int, b text)").await;
    for (expression, data_type, expected) in [
        ("NULL::int", "integer", json!(null)),
        ("true", "boolean", json!(true)),
        ("1::int2", "smallint", json!(1)),
        ("9007199254740993::int8", "bigint", json!("9007199254740993")),
        ("9007199254740991::int8", "bigint", json!(9_007_199_254_740_991_i64)),
        ("12.5::numeric(10,2)", "numeric(10,2)", json!(12.5)),
        // Postgres reports the base type of a domain.
        ("12.5::price", "numeric(10,2)", json!(12.5)),
        ("123456789012345678901234567890.5::numeric", "numeric", json!("123456789012345678901234567890.5")),
        ("'NaN'::numeric", "numeric", json!("NaN")),
        ("0.1::float8", "double precision", json!(0.1)),
        ("'Infinity'::float8", "double precision", json!("Infinity")),
        ("0.1::real", "real", json!(0.1)),
        (r#"'{"a": [1, null]}'::jsonb"#, "jsonb", json!({"a": [1, null]})),
        (r#"'{"a": 12345678901234567890}'::jsonb"#, "jsonb", json!({"a": 12_345_678_901_234_567_890_u64})),
        (r#"'"12"'::jsonb"#, "jsonb", json!("12")),
        ("'é\u{1F600}'", "text", json!("é\u{1F600}")),
        ("'abc'::varchar(20)", "character varying(20)", json!("abc")),
        (
            "'2024-02-29 12:30:00.123456+02'::timestamptz",
            "timestamp with time zone",
            json!("2024-02-29 10:30:00.123456+00"),
        ),
        ("'infinity'::timestamp", "timestamp without time zone", json!("infinity")),
        ("'1 year 2 days'::interval", "interval", json!("1 year 2 days")),
        ("'\\x00ff'::bytea", "bytea", json!("\\x00ff")),
        ("'{1,NULL,3}'::int[]", "integer[]", json!("{1,NULL,3}")),
        ("'sad'::mood", "mood", json!("sad")),
        ("'{sad,ok}'::mood[]", "mood[]", json!("{sad,ok}")),
        ("row(1, 'x y')::pair", "pair", json!("(1,\"x y\")")),
        ("row(1, 2)", "record", json!("(1,2)")),
        ("'[1,5)'::int4range", "int4range", json!("[1,5)")),
        ("'10.0.0.0/8'::cidr", "cidr", json!("10.0.0.0/8")),
        ("'a'::\"char\"", "\"char\"", json!("a")),
        ("'public'::regnamespace", "regnamespace", json!("public")),
        ("'(1,2)'::point", "point", json!("(1,2)")),
        ("'fat & rat'::tsquery", "tsquery", json!("'fat' & 'rat'")),
        ("'<a/>'::xml", "xml", json!("<a/>")),
        ("12.3::text::money", "money", json!("$12.30")),
        ("B'101'", "bit(3)", json!("101")),
    ] {
        let (status, response) = send(&app, &project, json!({ "sql": format!("SELECT {expression} AS value") })).await;
        assert_eq!(status, StatusCode::OK, "{expression}: {response}");
        assert_eq!(response["rows"], json!([[expected]]), "{expression}");
        assert_eq!(response["columns"][0]["name"], "value");
        // In some versions, `B'101'` is an unconstrained bit string.
        if !expression.starts_with("B'") {
            assert_eq!(response["columns"][0]["type"], data_type, "{expression}");
        }
    }
    let same_names = run(&app, &project, "SELECT 1 AS a, 2 AS a, 3 AS \"A b\"").await;
    assert_eq!((&same_names["rows"], &same_names["columns"][1]["name"]), (&json!([[1, 2, 3]]), &json!("a")));
}

#[tokio::test]
async fn sql_error_reports_position_and_line() {
    let app = TestApp::start().await;
    let project = app.create_project("Shop").await;
    run(&app, &project, "CREATE TABLE items (id int PRIMARY KEY)").await;
    run(&app, &project, "INSERT INTO items VALUES (1)").await;
    for (sql, sqlstate, position, line) in [
        ("SELEC 1", "42601", json!(1), json!(1)),
        ("SELECT *\nFROM missing", "42P01", json!(15), json!(2)),
        ("SELECT 'é\u{1F600}', missing", "42703", json!(14), json!(1)),
        ("SELECT *\n\nFROM items\nWHERE id = 'x'", "22P02", json!(33), json!(4)),
        ("(SELECT id FROM items) UNION SELECT nothing FROM items", "42703", json!(37), json!(1)),
        ("UPDATE items SET nothing = 1", "42703", json!(18), json!(1)),
        ("SELECT 1 FROM items WHERE", "42601", json!(26), json!(1)),
        ("SELECT 1/0", "22012", json!(null), json!(null)),
        ("INSERT INTO items VALUES (1)", "23505", json!(null), json!(null)),
        ("EXPLAIN SELECT * FROM missing", "42P01", json!(23), json!(1)),
        ("SELECT id::date FROM items", "42846", json!(10), json!(1)),
    ] {
        let (status, code, error) = fail(&app, &project, sql).await;
        assert_eq!((status, &*code), (400, "sql_error"), "{sql}: {error}");
        let details = &error["details"];
        assert_eq!(
            (&details["sqlstate"], &details["position"], &details["line"]),
            (&json!(sqlstate), &position, &line),
            "{sql}"
        );
    }
    let (_, _, duplicate) = fail(&app, &project, "INSERT INTO items VALUES (1)").await;
    assert!(duplicate["details"]["detail"].as_str().unwrap().contains("already exists"), "{duplicate}");
    run(
        &app,
        &project,
        "CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $$ BEGIN RAISE 'no' USING HINT = 'try'; END $$",
    )
    .await;
    let (_, _, raised) = fail(&app, &project, "SELECT f()").await;
    assert_eq!((&raised["message"], &raised["hint"]), (&json!("no"), &json!("try")));
    assert!(raised["details"]["where"].as_str().unwrap().contains("function f()"), "{raised}");
    let plan = json!({"sql": "SELECT * FROM missing", "explain": true});
    let (_, response) = send(&app, &project, plan).await;
    assert_eq!(response["error"]["details"]["position"], 15, "{response}");
}

#[tokio::test]
async fn plans_are_not_audited_but_analyzed_statements_are() {
    let app = TestApp::start().await;
    let project = app.create_project("Shop").await;
    run(&app, &project, "CREATE TABLE items (id serial PRIMARY KEY)").await;
    let audited = async || {
        let (_, page) = app.admin().get("/admin/v1/audit?action=sql.*").await;
        page["items"].as_array().unwrap().len()
    };
    assert_eq!(audited().await, 1);
    for (explain, expected) in [(json!(true), 1), (json!("plan"), 1), (json!("analyze"), 2)] {
        let request = json!({ "sql": "INSERT INTO items DEFAULT VALUES", "explain": explain });
        let (status, response) = send(&app, &project, request).await;
        assert_eq!(status, StatusCode::OK, "{response}");
        assert_eq!(audited().await, expected, "{explain}");
    }
}

#[tokio::test]
async fn functions_that_the_planner_calls_cannot_write_during_unaudited_plans() {
    let app = TestApp::start().await;
    let project = app.create_project("Shop").await;
    project
        .sql(
            "CREATE TABLE notes (id int);
             CREATE FUNCTION note() RETURNS int LANGUAGE plpgsql AS
               'BEGIN INSERT INTO notes VALUES (1); RETURN 1; END';
             CREATE FUNCTION constant() RETURNS int IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN note(); END'",
        )
        .await;
    for read_only in [false, true] {
        let request = json!({ "sql": "SELECT constant()", "explain": "plan", "readOnly": read_only });
        let (status, response) = send(&app, &project, request).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{response}");
        assert_eq!(response["error"]["details"]["sqlstate"], "25006", "{response}");
    }
    // Changes can be planned, because planning does not execute them.
    for sql in ["INSERT INTO notes VALUES (2)", "DELETE FROM notes", "CREATE TABLE more AS SELECT 1 AS x"] {
        let (status, response) = send(&app, &project, json!({ "sql": sql, "explain": "plan" })).await;
        assert_eq!(status, StatusCode::OK, "{sql}: {response}");
    }
    let has_notes = async || run(&app, &project, "SELECT count(*) > 0 FROM notes").await["rows"].clone();
    assert_eq!(has_notes().await, json!([[false]]));
    // The statement itself is audited, so the function can write when Postgres plans it.
    run(&app, &project, "SELECT constant()").await;
    assert_eq!(has_notes().await, json!([[true]]));
}

#[tokio::test]
async fn unsupported_statements_are_rejected() {
    let app = TestApp::start().await;
    let project = app.create_project("Shop").await;
    for (sql, status, code, part) in [
        ("", 400, "invalid_request", "no statement"),
        (" -- nothing\n;", 400, "invalid_request", "no statement"),
        ("SELECT 1; SELECT 2; SELECT 3", 400, "sql_refused", "3 statements"),
        ("SELECT $1::int", 400, "sql_refused", "parameters"),
        ("BEGIN", 400, "sql_refused", "transaction control"),
        ("COPY pg_class TO '/tmp/x'", 400, "sql_refused", "server file"),
        ("COPY pg_class TO PROGRAM 'id'", 400, "sql_refused", "PROGRAM"),
        ("COPY pg_class TO STDOUT", 400, "sql_refused", "COPY"),
        ("DO $$ BEGIN END $$", 400, "sql_refused", "DO"),
        ("CREATE EXTENSION citext", 400, "sql_refused", "CREATE EXTENSION"),
        ("ALTER SYSTEM SET work_mem = '1GB'", 400, "sql_refused", "ALTER SYSTEM"),
        ("SET ROLE postgres", 400, "sql_refused", "SET ROLE"),
        ("SET SESSION AUTHORIZATION postgres", 400, "sql_refused", "SESSION AUTHORIZATION"),
        ("LOAD 'auto_explain'", 400, "sql_refused", "LOAD"),
        ("SELECT pg_read_file('/etc/passwd')", 400, "sql_refused", "pg_read_file"),
        ("WITH a AS (SELECT pg_sleep(1)) SELECT * FROM a", 400, "sql_refused", "pg_sleep"),
        ("ALTER ROLE CURRENT_USER PASSWORD 'x'", 400, "sql_refused", "ALTER ROLE"),
        ("CREATE DATABASE x", 400, "sql_refused", "CREATE DATABASE"),
    ] {
        let (actual, actual_code, error) = fail(&app, &project, sql).await;
        assert_eq!((actual, &*actual_code), (status, code), "{sql}: {error}");
        assert!(error["message"].as_str().unwrap().contains(part), "{sql}: {error}");
    }
    for body in [
        json!({"sql": "SELECT 1", "maxRows": 0}),
        json!({"sql": "SELECT 1", "maxRows": 5001}),
        json!({"sql": "SELECT '\0'"}),
    ] {
        let (status, response) = send(&app, &project, body).await;
        assert_eq!(
            (status, &response["error"]["code"]),
            (StatusCode::BAD_REQUEST, &json!("invalid_request")),
            "{response}"
        );
    }
    let (status, response) = send(&app, &project, json!({"sql": "VACUUM", "explain": true})).await;
    assert_eq!((status, &response["error"]["code"]), (StatusCode::BAD_REQUEST, &json!("sql_refused")), "{response}");
    let (status, _) = app.admin().post("/admin/v1/projects/nosuchproject/sql", json!({"sql": "SELECT 1"})).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn create_extension_can_be_allowed() {
    let app = TestApp::builder().var("ATLASHUB_SQL_CREATE_EXTENSION", "true").start().await;
    let project = app.create_project("Shop").await;
    assert_eq!(run(&app, &project, "CREATE EXTENSION citext").await["command"], "CREATE EXTENSION");
    // Postgres allows only trusted extensions.
    let (status, code, error) = fail(&app, &project, "CREATE EXTENSION dblink").await;
    assert_eq!((status, &*code), (400, "sql_error"), "{error}");
}

#[tokio::test]
async fn role_privileges_stop_dynamic_sql() {
    let app = TestApp::start().await;
    let (project, other) = (app.create_project("One").await, app.create_project("Two").await);
    // This function runs SQL that is built at run time, which the parser can't check.
    run(
        &app,
        &project,
        "CREATE FUNCTION run(code text) RETURNS void LANGUAGE plpgsql AS $$ BEGIN EXECUTE code; END $$",
    )
    .await;
    let platform: String = sqlx::query_scalar("SELECT current_database()").fetch_one(app.app.platform()).await.unwrap();
    for code in [
        "SET ROLE postgres".to_owned(),
        "SET SESSION AUTHORIZATION postgres".to_owned(),
        format!("SET ROLE proj_{}_owner", other.id),
        "COPY pg_class TO PROGRAM 'id'".to_owned(),
        "COPY pg_class TO '/tmp/atlashub-test'".to_owned(),
        "SELECT pg_read_file('/etc/passwd')".to_owned(),
        "SELECT lo_import('/etc/passwd')".to_owned(),
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'postgres'".to_owned(),
        "ALTER SYSTEM SET work_mem = '1GB'".to_owned(),
        "CREATE ROLE intruder".to_owned(),
        "CREATE DATABASE intruder".to_owned(),
        "CREATE EXTENSION dblink".to_owned(),
        "LOAD '/tmp/x.so'".to_owned(),
        format!("SELECT * FROM {platform}.public.api_keys"),
        format!("SELECT * FROM proj_{}.public.items", other.id),
        format!("DROP DATABASE proj_{}", other.id),
        format!("ALTER ROLE proj_{}_owner PASSWORD 'x'", other.id),
        "SELECT rolpassword FROM pg_authid".to_owned(),
    ] {
        let sql = format!("SELECT run($code${code}$code$)");
        let (status, actual_code, error) = fail(&app, &project, &sql).await;
        assert_eq!((status, &*actual_code), (400, "sql_error"), "{code}: {error}");
        let sqlstate = error["details"]["sqlstate"].as_str().unwrap();
        assert!(["42501", "0A000", "0LP01", "58P01", "25001", "22023"].contains(&sqlstate), "{code}: {error}");
    }
    // A role may change its own password. The platform resets it when the next login fails.
    run(&app, &project, "SELECT run('ALTER ROLE CURRENT_USER PASSWORD ''mine''')").await;
    assert_eq!(run(&app, &project, "SELECT 1").await["rows"], json!([[1]]));
}

#[tokio::test]
async fn json_and_numbers_keep_their_digits() {
    let app = TestApp::start().await;
    let project = app.create_project("Shop").await;
    let check = async |sql: &str, row: &str| {
        let request = app.admin().request(reqwest::Method::POST, &project.path("/sql")).json(&json!({ "sql": sql }));
        let text = request.send().await.unwrap().text().await.unwrap();
        assert!(text.contains(&format!(r#""rows":[{row}],"rowCount":1,"#)), "{sql}: {text}");
    };
    check(
        r#"SELECT '{"b" : 1.10,"a":[2e0]}'::json, '{"b": 1.10}'::jsonb, 12.50::numeric, 1e20::float8"#,
        r#"[{"b" : 1.10,"a":[2e0]},{"b": 1.10},12.50,1e+20]"#,
    )
    .await;
    // A JSON document keeps numbers that no double can represent. Outside of a document, such a number is a string.
    check(
        "SELECT '1e400'::json, '[-1e-400, 0.1000000000000000055, 123456789012345678901234567890]'::json,
             '{\"n\": 9007199254740993}'::jsonb, 9007199254740993",
        "[1e400,[-1e-400, 0.1000000000000000055, 123456789012345678901234567890],\
         {\"n\": 9007199254740993},\"9007199254740993\"]",
    )
    .await;
    let large = format!("{{\"n\": 1{}}}", "0".repeat(400));
    check("SELECT '{\"n\": 1e400}'::jsonb", &format!("[{large}]")).await;
}
