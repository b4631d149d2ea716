//! Errors of the project's own SQL: errors that it raises reach the caller; only the secret key gets the details of its
//! faults.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::{Client, TestApp, TestProject};

async fn insert(client: &Client, table: &str) -> (StatusCode, Value) {
    let (status, body) =
        client.post(&format!("/v1/db/{table}?returning=minimal"), json!({ "rows": [{ "id": 1 }] })).await;
    (status, body["error"].clone())
}

/// Creates a table that every key can write, with a trigger that runs the code.
async fn create_table(project: &TestProject, table: &str, code: &str, deferred: bool) {
    let trigger = if deferred {
        format!("CREATE CONSTRAINT TRIGGER t AFTER INSERT ON {table} DEFERRABLE INITIALLY DEFERRED")
    } else {
        format!("CREATE TRIGGER t BEFORE INSERT ON {table}")
    };
    project
        .sql(&format!(
            "CREATE TABLE {table} (id int);
             CREATE FUNCTION {table}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {code}; RETURN NEW; END $$;
             {trigger} FOR EACH ROW EXECUTE FUNCTION {table}();"
        ))
        .await;
    project.expose(table, "write", "write").await;
}

#[tokio::test]
async fn raised_errors_reach_every_caller() {
    let app = TestApp::start().await;
    let project = app.create_project("raising").await;
    let cases = [
        ("P0001", 400, "invalid_request"),
        ("PT402", 400, "invalid_request"),
        ("45000", 400, "invalid_request"),
        ("ZZ999", 400, "invalid_request"),
        ("P0002", 400, "invalid_request"),
        ("02000", 400, "invalid_request"),
        ("42P01", 400, "invalid_request"),
        ("28000", 400, "invalid_request"),
        ("55000", 400, "invalid_request"),
        ("22023", 400, "invalid_value"),
        ("42501", 403, "forbidden"),
        ("23505", 409, "unique_violation"),
        ("23503", 409, "foreign_key_violation"),
        ("23502", 409, "not_null_violation"),
        ("23514", 409, "check_violation"),
        ("40001", 409, "conflict"),
    ];
    for (number, (state, status, code)) in cases.into_iter().enumerate() {
        let raise = format!(
            "RAISE EXCEPTION 'Out of %', 'stock' USING ERRCODE = '{state}', HINT = 'Order more.', DETAIL = 'None left.'"
        );
        for deferred in [false, true] {
            let table = format!("raising_{number}_{deferred}");
            create_table(&project, &table, &raise, deferred).await;
            for client in [project.secret(), project.publishable()] {
                let (actual, error) = insert(&client, &table).await;
                assert_eq!((actual.as_u16(), &error["code"]), (status, &json!(code)), "{state}: {error}");
                assert_eq!(
                    (&error["message"], &error["hint"], &error["details"]["sqlState"], &error["details"]["detail"]),
                    (&json!("Out of stock"), &json!("Order more."), &json!(state), &json!("None left.")),
                );
            }
        }
    }
    // Errors are also raised in views and defaults.
    project
        .sql(
            "CREATE FUNCTION refuse() RETURNS int LANGUAGE plpgsql AS $$ BEGIN
               RAISE EXCEPTION 'Closed' USING ERRCODE = 'PT423'; END $$;
             CREATE VIEW closed AS SELECT refuse() AS a;
             CREATE TABLE defaulted (id int, a int DEFAULT refuse());",
        )
        .await;
    let (status, body) = project.secret().get("/v1/db/closed").await;
    assert_eq!((status, &body["error"]["message"]), (StatusCode::BAD_REQUEST, &json!("Closed")), "{body}");
    let (status, error) = insert(&project.secret(), "defaulted").await;
    assert_eq!((status, &error["details"]["sqlState"]), (StatusCode::BAD_REQUEST, &json!("PT423")), "{error}");
}

#[tokio::test]
async fn errors_with_too_long_texts_are_reported_without_the_text() {
    let app = TestApp::start().await;
    let project = app.create_project("long-errors").await;
    let check = |status: StatusCode, error: &Value, expected: (StatusCode, &str)| {
        assert_eq!((status, error["code"].as_str().unwrap()), expected, "{error}");
        let message = "The statement failed, but the text of the error has more than 4 MiB, so it was not read.";
        assert_eq!((&error["message"], &error["details"]), (&json!(message), &Value::Null));
    };
    for (table, code) in [
        ("raised", "RAISE EXCEPTION '%', repeat('x', 5000000)"),
        // Postgres quotes the value.
        ("quoted", "NEW.id := repeat('x', 5000000)::int"),
    ] {
        create_table(&project, table, code, false).await;
        for client in [project.secret(), project.publishable()] {
            let (status, error) = insert(&client, table).await;
            check(status, &error, (StatusCode::UNPROCESSABLE_ENTITY, "unprocessable"));
        }
    }
    let sql = json!({ "sql": "SELECT repeat('x', 5000000)::int" });
    let (status, body) = project.admin().post(&project.path("/sql"), sql).await;
    check(status, &body["error"], (StatusCode::BAD_REQUEST, "sql_error"));
    // AtlasHub uses these SQLSTATEs itself, for rows and texts that are too long. SQL can raise them like any others.
    for (table, code) in [("imitated_row", "AH413"), ("imitated_text", "AH414")] {
        create_table(&project, table, &format!("RAISE EXCEPTION 'short' USING ERRCODE = '{code}'"), false).await;
        let (status, error) = insert(&project.secret(), table).await;
        assert_eq!((status, &error["message"]), (StatusCode::BAD_REQUEST, &json!("short")), "{error}");
    }
}

#[tokio::test]
async fn only_the_secret_key_gets_the_details_of_faults_in_the_projects_sql() {
    let app = TestApp::start().await;
    let project = app.create_project("faulty").await;
    let cases = [
        ("missing_table", "INSERT INTO nowhere_known VALUES (1)", "42P01"),
        ("missing_column", "NEW.nothing := 1", "42703"),
        ("missing_function", "PERFORM unknown_function(1)", "42883"),
        ("division", "NEW.id := 1 / (NEW.id - 1)", "22012"),
        ("cast_error", "NEW.id := 'marker'::int", "22P02"),
        ("no_rows", "SELECT 1 INTO STRICT NEW.id WHERE false", "P0002"),
        ("assertion", "ASSERT false, 'marker'", "P0004"),
        ("recursion", "INSERT INTO recursion VALUES (1)", "54001"),
        ("commits", "COMMIT", "2D000"),
        ("no_privilege", "PERFORM * FROM pg_catalog.pg_authid", "42501"),
    ];
    for (table, code, state) in cases {
        create_table(&project, table, code, false).await;
        let (status, error) = insert(&project.secret(), table).await;
        assert!(status.is_client_error(), "{table}: {status} {error}");
        assert_eq!(error["details"]["sqlState"], state, "{table}: {error}");
        assert!(error["details"]["where"].as_str().is_some_and(|text| text.contains(table)), "{table}: {error}");
        let (status, error) = insert(&project.publishable(), table).await;
        assert!(status.is_client_error(), "{table}: {status} {error}");
        let text = error.to_string();
        assert!(error["message"].as_str().unwrap().contains("rule"), "{text}");
        for internal in ["nowhere_known", "unknown_function", "marker", "PL/pgSQL", "pg_authid", state] {
            assert!(!text.contains(internal), "{table}: {text}");
        }
    }
    project
        .sql(
            "CREATE TABLE circular (id int); ALTER TABLE circular ENABLE ROW LEVEL SECURITY;
             CREATE POLICY p ON circular USING (EXISTS (SELECT FROM circular));
             CREATE TABLE zero (id int); INSERT INTO zero VALUES (0);
             CREATE VIEW divided AS SELECT 1 / id AS a FROM zero;
             ALTER VIEW divided SET (security_invoker);
             CREATE VIEW converted AS SELECT ('abc' || id)::int AS a FROM zero;
             ALTER VIEW converted SET (security_invoker);",
        )
        .await;
    for table in ["circular", "zero", "divided", "converted"] {
        project.expose(table, "read", "read").await;
    }
    for table in ["circular", "divided", "converted"] {
        let (status, body) = project.publishable().get(&format!("/v1/db/{table}")).await;
        assert_eq!(
            (status, &body["error"]["code"]),
            (StatusCode::UNPROCESSABLE_ENTITY, &json!("unprocessable")),
            "{body}"
        );
        assert!(!["recursion", "zero", "abc"].iter().any(|text| body.to_string().contains(text)), "{body}");
    }
    let (status, body) = project.secret().get("/v1/db/divided").await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{body}");
    assert!(body["error"]["message"].as_str().unwrap().contains("division by zero"), "{body}");
}

#[tokio::test]
async fn server_errors_raised_by_sql_return_503() {
    let app = TestApp::start().await;
    let project = app.create_project("server-errors").await;
    for (number, (state, code)) in
        [("53100", "disk_full"), ("53200", "overloaded"), ("57P01", "unavailable"), ("08006", "unavailable")]
            .into_iter()
            .enumerate()
    {
        let table = format!("server_error_{number}");
        create_table(&project, &table, &format!("RAISE EXCEPTION 'x' USING ERRCODE = '{state}'"), false).await;
        let (status, error) = insert(&project.secret(), &table).await;
        assert_eq!((status, &error["code"]), (StatusCode::SERVICE_UNAVAILABLE, &json!(code)), "{state}: {error}");
    }
}
