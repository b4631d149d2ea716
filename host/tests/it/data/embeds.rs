//! Limits, order and filters of embedded tables.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::{Client, TestApp, TestProject, major_version};

const SCHEMA: &str = "
    create table parent (id int primary key, name text, kid int);
    create table kid (id int primary key, parent_id int references parent, n int, \"odd.name\" text);
    create table toy (id int primary key, kid_id int references kid, label text);
    create table passport (parent_id int primary key references parent, code text);
    create index on kid (parent_id); create index on toy (kid_id);
    insert into parent select n, 'p' || n, n from generate_series(1, 3) n;
    insert into kid select n, case when n <= 5 then 1 else 2 end, n % 4, 'o' || n from generate_series(1, 7) n;
    insert into toy select n, 1 + n % 3, 't' || n from generate_series(1, 9) n;
    insert into passport values (1, 'a'), (2, 'b');";

async fn project(app: &TestApp, name: &str) -> TestProject {
    let project = app.create_project(name).await;
    project.sql(SCHEMA).await;
    project
}

async fn read(client: &Client, query: &str) -> (Value, Value) {
    let (status, body) = client.get(&format!("/v1/db/parent?order=id&{query}")).await;
    assert_eq!(status, StatusCode::OK, "{query}: {body}");
    (body["rows"].clone(), body["page"]["embedsCapped"].clone())
}

/// Returns the ids of the kids of each parent.
fn kids(rows: &Value) -> Vec<Vec<i64>> {
    let ids = |row: &Value| row["kid"].as_array().unwrap().iter().map(|kid| kid["id"].as_i64().unwrap()).collect();
    rows.as_array().unwrap().iter().map(ids).collect()
}

#[tokio::test]
async fn embedded_lists_take_limit_order_offset_and_filters() {
    let app = TestApp::start().await;
    let project = project(&app, "embedded lists").await;
    let secret = project.secret();
    let check = async |query: &str, expected: &[&[i64]], capped: Value| {
        let (rows, reported) = read(&secret, &format!("select=id,kid(id)&{query}")).await;
        assert_eq!(kids(&rows), expected, "{query}");
        assert_eq!(reported, capped, "{query}");
    };
    check("", &[&[1, 2, 3, 4, 5], &[6, 7], &[]], Value::Null).await;
    check("kid.limit=2", &[&[1, 2], &[6, 7], &[]], json!(["kid"])).await;
    check("kid.limit=5", &[&[1, 2, 3, 4, 5], &[6, 7], &[]], Value::Null).await;
    check("kid.limit=0", &[&[], &[], &[]], json!(["kid"])).await;
    check("kid.limit=2&kid.offset=3", &[&[4, 5], &[], &[]], Value::Null).await;
    check("kid.order=n.desc", &[&[3, 2, 1, 5, 4], &[7, 6], &[]], Value::Null).await;
    check("kid.order=n.desc&kid.limit=1", &[&[3], &[7], &[]], json!(["kid"])).await;
    check("gt.kid.n=1", &[&[2, 3], &[6, 7], &[]], Value::Null).await;
    check("gt.kid.n=1&not.eq.kid.n=3", &[&[2], &[6], &[]], Value::Null).await;
    check("in.kid.id=1,7", &[&[1], &[7], &[]], Value::Null).await;
    check("eq.kid.odd.name=o4", &[&[4], &[], &[]], Value::Null).await;
    check("kid.or=(eq.id:1,and(gt.id:4,lt.n:3))", &[&[1, 5], &[6], &[]], Value::Null).await;
    check("kid.not.or=(eq.id:1,eq.id:7)", &[&[2, 3, 4, 5], &[6], &[]], Value::Null).await;
    check("gt.kid.n=1&eq.id=1&limit=1", &[&[2, 3]], Value::Null).await;
    check("eq.id=1&kid.limit=1", &[&[1]], json!(["kid"])).await;
    check("count=exact&limit=1&kid.limit=1", &[&[1]], json!(["kid"])).await;
    // Lists of rows that are not on the page are not reported as cut.
    check("limit=1&offset=1&kid.limit=2", &[&[6, 7]], Value::Null).await;
    check("limit=1&offset=2&kid.limit=0", &[&[]], Value::Null).await;
    // The table has a column with the name of the embedded table.
    let (rows, _) = read(&secret, "select=id,kid(id)&eq.kid=2").await;
    assert_eq!(kids(&rows), [[6, 7]]);
    let (rows, capped) = read(&secret, "select=id,youngest:kid(id)&youngest.limit=1&youngest.order=id.desc").await;
    assert_eq!(rows[0], json!({ "id": 1, "youngest": [{ "id": 5 }] }));
    assert_eq!(capped, json!(["youngest"]));
    // The cursor still works when the column of its key is not selected.
    let (_, body) = secret.get("/v1/db/parent?select=name,kid(id)&order=id&limit=2&kid.limit=1").await;
    let cursor = body["page"]["nextCursor"].as_str().unwrap();
    assert_eq!(body["page"]["embedsCapped"], json!(["kid"]));
    let next = format!("/v1/db/parent?select=name,kid(id)&order=id&limit=2&kid.limit=1&after={cursor}");
    assert_eq!(secret.get(&next).await.1["rows"], json!([{ "name": "p3", "kid": [] }]));
}

#[tokio::test]
async fn tables_embedded_two_levels_deep_take_parameters() {
    let app = TestApp::start().await;
    let project = project(&app, "deep lists").await;
    let secret = project.secret();
    let (rows, capped) = read(
        &secret,
        "select=id,kid(id,toys:toy(id)),passport(code)&kid.limit=2&kid.toys.limit=1&kid.toys.order=id.desc\
         &gt.kid.toys.id=3&eq.passport.code=b",
    )
    .await;
    assert_eq!(
        rows,
        json!([
            { "id": 1, "kid": [{ "id": 1, "toys": [{ "id": 9 }] }, { "id": 2, "toys": [{ "id": 7 }] }],
              "passport": null },
            { "id": 2, "kid": [{ "id": 6, "toys": [] }, { "id": 7, "toys": [] }], "passport": { "code": "b" } },
            { "id": 3, "kid": [], "passport": null }
        ])
    );
    assert_eq!(capped, json!(["kid", "kid.toys"]));
    // An embedded object in an embedded object, and an embedded array in an embedded object.
    let (status, body) = secret.get("/v1/db/toy?select=id,kid(id,parent(id,name))&eq.id=1&eq.kid.parent.id=9").await;
    assert_eq!((status, &body["rows"]), (StatusCode::OK, &json!([{ "id": 1, "kid": { "id": 2, "parent": null } }])));
    let (status, body) =
        secret.get("/v1/db/passport?select=code,parent(name,kid(id))&order=parent_id&parent.kid.limit=1").await;
    assert_eq!(status, StatusCode::OK, "{body}");
    assert_eq!(
        body["rows"],
        json!([{ "code": "a", "parent": { "name": "p1", "kid": [{ "id": 1 }] } },
            { "code": "b", "parent": { "name": "p2", "kid": [{ "id": 6 }] } }])
    );
    assert_eq!(body["page"]["embedsCapped"], json!(["parent.kid"]));
}

#[tokio::test]
async fn list_cut_at_the_maximum_is_reported() {
    let app =
        TestApp::builder().var("ATLASHUB_ROWS_MAX_LIMIT", "3").var("ATLASHUB_ROWS_DEFAULT_LIMIT", "3").start().await;
    let project = project(&app, "cut lists").await;
    for query in ["", "&kid.limit=50"] {
        let (rows, capped) = read(&project.secret(), &format!("select=id,kid(id){query}")).await;
        assert_eq!(kids(&rows), [vec![1, 2, 3], vec![6, 7], vec![]]);
        assert_eq!(capped, json!(["kid"]));
    }
}

#[tokio::test]
async fn errors_of_parameters_of_embedded_tables_name_the_invalid_part() {
    let app = TestApp::start().await;
    let project = project(&app, "embedded errors").await;
    let secret = project.secret();
    let check = async |query: &str, code: &str, expected: &str| {
        let (status, body) = secret.get(&format!("/v1/db/parent?{query}")).await;
        assert_eq!((status, body["error"]["code"].as_str()), (StatusCode::BAD_REQUEST, Some(code)), "{query}: {body}");
        let message = body["error"]["message"].as_str().unwrap();
        assert!(message.contains(expected), "{query}: {message}");
    };
    let invalid = "invalid_request";
    check("select=id,kid(id)&kids.limit=1", invalid, "Unknown parameter `kids.limit`").await;
    check("select=id,kid(id)&kids.limit=1", invalid, "Embedded tables: kid.").await;
    check("select=id,k:kid(id)&kid.limit=1", invalid, "Embedded tables: k.").await;
    check("kid.limit=1", invalid, "Embedded tables: none.").await;
    check("select=id,kid(id,toy(id))&toy.limit=1", invalid, "Embedded tables: kid, kid.toy.").await;
    check("select=id,kid(id)&kid.limit=x", invalid, "`kid.limit` must be a whole number").await;
    check("select=id,kid(id)&kid.limit=-1", invalid, "`kid.limit` must be a whole number").await;
    check("select=id,kid(id)&kid.order=nothing", "unknown_column", "`kid` has no column `nothing`. Columns: id,").await;
    check("select=id,kid(id)&gt.kid.nothing=1", "unknown_column", "`kid` has no column `nothing`. Columns: id,").await;
    check("select=id,kid(id)&gt.kids.n=1", "unknown_column", "`parent` has no column `kids.n`.").await;
    check("select=id,kid(id)&gt.kid.n=x", "invalid_value", "Column `n` expects integer").await;
    check("select=id,kid(id)&kid.gt.n=1", "unknown_operator", "Unknown operator `kid`").await;
    check("select=id,passport(code)&passport.limit=1", invalid, "at most one row of `passport` is embedded").await;
    check("select=id,kid(id)&kid.after=x", "unknown_operator", "Unknown operator `kid`").await;
    check("select=id,kid(id)&or=(eq.kid.n:1,eq.id:1)", "unknown_column", "`parent` has no column `kid.n`").await;
}

#[tokio::test]
async fn choices_between_foreign_keys_of_one_column_can_be_used() {
    let app = TestApp::start().await;
    let project = project(&app, "choices").await;
    project.sql("ALTER TABLE kid ADD CONSTRAINT again FOREIGN KEY (parent_id) REFERENCES parent").await;
    let secret = project.secret();
    let (status, error) = secret.get("/v1/db/kid?select=id,parent(name)").await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{error}");
    let choices = error["error"]["details"]["choices"].as_array().unwrap();
    assert_eq!(choices.len(), 2, "{error}");
    for choice in choices {
        let item = choice.as_str().unwrap().replace("(…)", "(name)");
        let (status, body) = secret.get(&format!("/v1/db/kid?select=id,{item}&eq.id=1")).await;
        assert_eq!((status, &body["rows"][0]["parent"]), (StatusCode::OK, &json!({ "name": "p1" })), "{item}: {body}");
    }
}

#[tokio::test]
async fn foreign_keys_with_a_period_are_not_embedded() {
    if major_version() < 18 {
        return;
    }
    let app = TestApp::start().await;
    let project = app.create_project("periods").await;
    project
        .sql(
            "create table prices (item int4range, valid daterange, primary key (item, valid without overlaps));
             create table orders (id int primary key, item int4range, valid daterange,
                 foreign key (item, period valid) references prices (item, period valid));
             insert into prices values ('[1,2)', '[2026-01-01,2026-02-01)'), ('[1,2)', '[2026-02-01,2026-03-01)');
             insert into orders values (1, '[1,2)', '[2026-01-15,2026-02-15)');",
        )
        .await;
    let secret = project.secret();
    let (status, error) = secret.get("/v1/db/orders?select=id,prices(valid)").await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{error}");
    let (status, body) = secret.get("/v1/db/orders?select=id").await;
    assert_eq!((status, &body["rows"]), (StatusCode::OK, &json!([{ "id": 1 }])), "{body}");
}
