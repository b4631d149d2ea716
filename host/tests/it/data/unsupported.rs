//! Requests that Postgres does not support: their errors name the column or constraint that is the reason.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{Client, TestApp};

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
        // The schema does not contain exclusion constraints, so Postgres finds this one.
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
