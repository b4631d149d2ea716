//! Inserts of rows with different keys: their order, their defaults, and the errors about their values.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::TestApp;

#[tokio::test]
async fn generated_ids_follow_the_order_of_rows_with_different_keys() {
    let app = TestApp::start().await;
    let project = app.create_project("order").await;
    project
        .sql(
            "create table ord (
                id serial primary key, name text unique, qty int default 1, tags text[] default '{}',
                at_identity int generated always as identity,
                half numeric(5, 2) generated always as (qty / 2.0) stored);
             create view ord_view as select id, name, qty from ord;
             create function skip_rows() returns trigger language plpgsql as $$ begin
                if new.name like 'skip%' then return null; end if; return new; end $$;
             create trigger skip_rows before insert on ord for each row execute function skip_rows();",
        )
        .await;
    let secret = project.secret();
    let post = async |path: &str, rows: &[Value]| {
        project.sql("truncate ord restart identity").await;
        let (status, body) = secret.post(path, json!({ "rows": rows })).await;
        assert_eq!(status, StatusCode::CREATED, "{path}: {body}");
        let (_, stored) = secret.get("/v1/db/ord?select=id,at_identity,name,qty&order=id&limit=1000").await;
        (body, stored["rows"].clone())
    };
    let rows = [json!({ "name": "a" }), json!({ "name": "b", "qty": 5 }), json!({ "name": "c" }), json!({})];
    let expected = json!([{ "id": 1, "name": "a", "qty": 1 }, { "id": 2, "name": "b", "qty": 5 },
        { "id": 3, "name": "c", "qty": 1 }, { "id": 4, "name": null, "qty": 1 }]);
    for path in [
        "/v1/db/ord?select=id,name,qty",
        "/v1/db/ord?select=id,name,qty&resolution=ignore",
        "/v1/db/ord?select=id,name,qty&onConflict=name",
        "/v1/db/ord_view?select=id,name,qty",
    ] {
        let (body, stored) = post(path, &rows).await;
        assert_eq!(body, json!({ "rows": expected, "count": 4 }), "{path}");
        assert_eq!(stored[3], json!({ "id": 4, "at_identity": 4, "name": null, "qty": 1 }), "{path}");
        let (body, stored) = post(&format!("{path}&returning=minimal"), &rows).await;
        assert_eq!((body, &stored[2]["name"]), (json!({ "rows": [], "count": 4 }), &json!("c")), "{path}");
    }
    // A skipped row leaves the order of the others.
    let skipping = [json!({ "name": "a" }), json!({ "name": "skip", "qty": 5 }), json!({ "name": "c" })];
    let (body, _) = post("/v1/db/ord?select=name", &skipping).await;
    assert_eq!(body, json!({ "rows": [{ "name": "a" }, { "name": "c" }], "count": 2 }));
    // Many rows with alternating keys.
    let alternating = |count: usize| -> Vec<Value> {
        let row = |n: usize| match n % 3 {
            0 => json!({ "name": format!("n{n}") }),
            1 => json!({ "name": format!("n{n}"), "qty": n % 500 }),
            _ => json!({ "qty": 7, "name": format!("n{n}"), "tags": null }),
        };
        (0..count).map(row).collect()
    };
    for (path, count) in [
        ("/v1/db/ord?select=id,at_identity,name", 10_000),
        ("/v1/db/ord?select=id,at_identity,name&onConflict=name", 200),
    ] {
        let (body, stored) = post(path, &alternating(count)).await;
        assert_eq!(body["count"], count, "{path}");
        for (index, row) in body["rows"].as_array().unwrap().iter().enumerate() {
            let (id, name) = (json!(index + 1), json!(format!("n{index}")));
            assert_eq!((&row["id"], &row["at_identity"], &row["name"]), (&id, &id, &name), "{path}");
        }
        assert_eq!((&stored[4]["qty"], &stored[5]["qty"]), (&json!(4), &json!(7)), "{path}");
    }
}

#[tokio::test]
async fn upserts_whose_keys_often_differ_return_rows_in_the_order_of_the_request() {
    let app = TestApp::start().await;
    let project = app.create_project("upsert").await;
    project.sql("create table pair (u int primary key, a text, b text)").await;
    let secret = project.secret();
    // The rows alternate between two sets of keys. The keys change more often than a request may have groups of rows
    // with the same keys.
    let alternating = |count: usize, name: &str| -> Vec<Value> {
        let row = |n: usize| match n % 2 {
            0 => json!({ "u": n, "b": name }),
            _ => json!({ "a": name, "u": n }),
        };
        (1..=count).rev().map(row).collect()
    };
    // The first request inserts the rows, the others update them.
    for (query, name) in [("onConflict=u", "x"), ("onConflict=u", "y"), ("resolution=merge", "z")] {
        let (status, body) =
            secret.post(&format!("/v1/db/pair?{query}"), json!({ "rows": alternating(402, name) })).await;
        assert_eq!((status, &body["count"]), (StatusCode::CREATED, &json!(402)), "{query}");
        for (row, n) in body["rows"].as_array().unwrap().iter().zip((1..=402).rev()) {
            let expected = match n % 2 {
                0 => json!({ "u": n, "a": null, "b": name }),
                _ => json!({ "u": n, "a": name, "b": null }),
            };
            assert_eq!(*row, expected, "{query}");
        }
    }
    // An array counts as 30 values. If the rows have more than 50 000 values together, they are grouped by their keys
    // with `ignore` too.
    project.sql("truncate pair; alter table pair add tags text[]").await;
    let mut rows = alternating(2100, "x");
    for row in &mut rows {
        row["tags"] = json!([]);
    }
    let (status, body) = secret.post("/v1/db/pair?resolution=ignore&select=u", json!({ "rows": rows })).await;
    assert_eq!((status, &body["count"]), (StatusCode::CREATED, &json!(2100)));
    let expected: Vec<Value> = (1..=2100).rev().map(|n| json!({ "u": n })).collect();
    assert_eq!(body["rows"], json!(expected));
    // If rows were skipped, the response contains the others.
    project.sql("delete from pair where u % 7 = 0").await;
    let (status, body) = secret.post("/v1/db/pair?resolution=ignore&select=u", json!({ "rows": rows })).await;
    assert_eq!((status, &body["count"]), (StatusCode::CREATED, &json!(300)));
    assert_eq!(body["rows"].as_array().unwrap().len(), 300);
}

#[tokio::test]
async fn rows_with_every_subset_of_eight_optional_columns_are_inserted_in_order() {
    let app = TestApp::start().await;
    let project = app.create_project("optional").await;
    project.sql("create table opt (id serial, c0 int, c1 int, c2 int, c3 int, c4 int, c5 int, c6 int, c7 int)").await;
    let row = |bits: i64| -> Value {
        (0..8_i64).filter(|bit| (bits >> *bit) & 1 == 1).map(|bit| (format!("c{bit}"), json!(bits))).collect()
    };
    let rows: Vec<Value> = (0..256).map(row).collect();
    let (status, body) = project.secret().post("/v1/db/opt", json!({ "rows": rows })).await;
    assert_eq!((status, &body["count"]), (StatusCode::CREATED, &json!(256)), "{body}");
    for (bits, stored) in (0..256_i64).zip(body["rows"].as_array().unwrap()) {
        let mut expected = json!({ "id": bits + 1 });
        for bit in 0..8_i64 {
            expected[format!("c{bit}")] = if (bits >> bit) & 1 == 1 { json!(bits) } else { Value::Null };
        }
        assert_eq!(*stored, expected);
    }
}

#[tokio::test]
async fn errors_of_rows_with_different_keys_name_the_column() {
    let app = TestApp::start().await;
    let project = app.create_project("mixed").await;
    project
        .sql(
            "create domain required_text as text not null;
             create table mixed (id serial primary key, n int, price numeric(5, 2), label required_text default 'x',
                tags int[], double_price numeric(5, 2) generated always as (price * 2) stored);",
        )
        .await;
    let secret = project.secret();
    let check = async |rows: Value, part: &str| {
        let (status, body) = secret.post("/v1/db/mixed", json!({ "rows": rows })).await;
        let code = body["error"]["code"].as_str();
        assert_eq!((status, code), (StatusCode::BAD_REQUEST, Some("invalid_value")), "{rows}: {body}");
        assert!(body["error"]["message"].as_str().unwrap().contains(part), "{rows}: {body}");
        assert_eq!(secret.get("/v1/db/mixed").await.1["rows"], json!([]));
    };
    check(json!([{ "n": 1 }, { "n": "x", "price": 1 }]), "Column `n` expects integer: `x` is not a valid integer")
        .await;
    check(json!([{ "n": 1, "label": "a" }, { "price": 1000 }]), "Column `price` expects numeric(5,2)").await;
    check(json!([{ "label": "a" }, { "tags": ["x"] }]), "Column `tags` expects integer[]").await;
    check(json!([{ "n": 1 }, { "label": "a\u{0}" }]), "Column `label`").await;
    check(json!([{ "n": 1 }, { "price": 900 }]), "or of a column computed from other columns: double_price.").await;
    // More sets of keys than columns.
    let rows =
        json!([{ "n": 1 }, { "label": "a" }, { "n": 1, "label": "a" }, { "price": 1 }, { "price": 1000, "n": 1 }]);
    check(rows, "Column `price` expects numeric(5,2)").await;
    check(json!([{ "price": 900 }]), "or of a column computed from other columns: double_price.").await;
}
