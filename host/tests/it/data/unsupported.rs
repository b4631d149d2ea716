//! Requests that Postgres does not support: their errors name the column or constraint that is the reason.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{Client, TestApp, major_version};

async fn check(client: &Client, method: Method, path: &str, body: Option<Value>, message: &str) {
    let (status, response) = client.send(method, path, body).await;
    assert_eq!((status, &response["error"]["message"]), (StatusCode::BAD_REQUEST, &json!(message)), "{path}");
}

#[tokio::test]
async fn ignore_on_a_table_with_a_deferrable_constraint_names_the_constraint() {
    let app = TestApp::start().await;
    let project = app.create_project("deferrable").await;
    project
        .sql(
            "create table emp (id int primary key, code text unique deferrable, note text);
             create table slot (id int primary key, during int4range,
                constraint no_overlap exclude using gist (during with &&) deferrable);
             create view emp_view as select id, note from emp;",
        )
        .await;
    let secret = project.secret();
    let ignore = |table: &str, constraint: &str, supported: &str| {
        format!(
            "`resolution=ignore` without `onConflict` can't be used on `{table}`, because its constraint \
             `{constraint}` is deferrable. Supported: {supported}."
        )
    };
    let rows = Some(json!({ "rows": [{ "id": 1 }, { "id": 2 }] }));
    for (table, message) in [
        ("emp", ignore("emp", "emp_code_key", "onConflict=id")),
        // The cached schema does not contain exclusion constraints, so Postgres finds this one.
        ("slot", ignore("slot", "no_overlap", "onConflict=id")),
        ("emp_view", ignore("emp_view", "emp_code_key", "none")),
    ] {
        check(&secret, Method::POST, &format!("/v1/db/{table}?resolution=ignore"), rows.clone(), &message).await;
    }
    for table in ["emp", "slot"] {
        let path = format!("/v1/db/{table}?resolution=ignore&onConflict=id");
        let (status, body) = secret.send(Method::POST, &path, rows.clone()).await;
        assert_eq!((status, &body["count"]), (StatusCode::CREATED, &json!(2)), "{body}");
    }
}

#[tokio::test]
async fn computed_column_of_a_view_is_named() {
    let app = TestApp::start().await;
    let project = app.create_project("computed").await;
    project
        .sql(
            "create table item (id int primary key, price int);
             insert into item values (1, 1);
             create view doubled as select id, price, price * 2 as \"the \"\"double\"\"\" from item;",
        )
        .await;
    let secret = project.secret();
    let message = "Column `the \"double\"` can't be set: it is computed by the view. Omit it.";
    let (one, several) = (json!([{ "id": 2, "the \"double\"": 1 }]), json!([{ "id": 2 }, { "the \"double\"": 1 }]));
    for rows in [one, several] {
        check(&secret, Method::POST, "/v1/db/doubled", Some(json!({ "rows": rows })), message).await;
    }
    let values = json!({ "values": { "the \"double\"": 1 } });
    check(&secret, Method::PATCH, "/v1/db/doubled?eq.id=1", Some(values), message).await;
    let (status, body) = secret.patch("/v1/db/doubled?eq.id=1", json!({ "values": { "price": 3 } })).await;
    assert_eq!((status, &body["rows"][0]["the \"double\""]), (StatusCode::OK, &json!(6)), "{body}");
}

#[tokio::test]
async fn pattern_on_a_column_with_a_nondeterministic_collation_names_the_collation() {
    let app = TestApp::start().await;
    let project = app.create_project("collations").await;
    project
        .sql(
            "create collation any_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
             create domain word as text collate any_case;
             create table words (a text collate any_case, b word, c text);",
        )
        .await;
    let secret = project.secret();
    let message = |operator: &str, column: &str, data_type: &str| {
        format!(
            "`{operator}` can't be used on column `{column}` of type {data_type}: its collation `any_case` is not \
             deterministic, so Postgres can't match patterns."
        )
    };
    // The table is empty, so Postgres itself would find nothing to refuse.
    for (column, data_type) in [("a", "text"), ("b", "word")] {
        let path = format!("/v1/db/words?ilike.{column}=x%25");
        check(&secret, Method::GET, &path, None, &message("ilike", column, data_type)).await;
        let path = format!("/v1/db/words?like.{column}=x%25");
        if major_version() < 18 {
            check(&secret, Method::GET, &path, None, &message("like", column, data_type)).await;
        } else {
            assert_eq!(secret.get(&path).await.0, StatusCode::OK, "{column}");
        }
    }
    for operator in ["like", "ilike"] {
        assert_eq!(secret.get(&format!("/v1/db/words?{operator}.c=x%25")).await.0, StatusCode::OK, "{operator}");
    }
}
