//! The schema as the API describes it, and schema changes during requests.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::{Client, TestApp, until_status};

#[tokio::test]
async fn tables_endpoint_describes_tables_and_columns() {
    let app = TestApp::start().await;
    let project = app.create_project("described").await;
    project
        .sql(
            "create schema other; create table other.nothing (id int primary key);
             create table authors (id bigint generated always as identity primary key, name varchar(40) not null);
             create table books (a int, b int, author_id bigint references authors, title text default 'x',
                 price numeric(10, 2)[], seen timestamptz not null,
                owner int references other.nothing, primary key (b, a));
             create view titles as select title from books;
             create materialized view frozen as select title from books;
             create table events (at date, n int) partition by range (at);
             create table events_2024 partition of events for values from ('2024-01-01') to ('2025-01-01');",
        )
        .await;
    let (status, body) = project.secret().get("/v1/db/tables").await;
    assert_eq!(status, StatusCode::OK, "{body}");
    let tables = body["tables"].as_array().unwrap();
    let names: Vec<(&str, &str)> =
        tables.iter().map(|table| (table["name"].as_str().unwrap(), table["kind"].as_str().unwrap())).collect();
    assert_eq!(
        names,
        [
            ("authors", "table"),
            ("books", "table"),
            ("events", "table"),
            ("events_2024", "table"),
            ("frozen", "materialized_view"),
            ("titles", "view")
        ]
    );
    assert_eq!(
        tables[0],
        json!({ "name": "authors", "kind": "table", "primaryKey": ["id"], "foreignKeys": [], "columns": [
            { "name": "id", "type": "bigint", "nullable": false, "hasDefault": true, "primaryKey": true },
            { "name": "name", "type": "character varying(40)", "nullable": false, "hasDefault": false,
                "primaryKey": false }] })
    );
    assert_eq!(tables[1]["primaryKey"], json!(["b", "a"]));
    assert_eq!(
        tables[1]["foreignKeys"],
        json!([{ "name": "books_author_id_fkey", "columns": ["author_id"], "referencesTable": "authors",
            "referencesColumns": ["id"] }])
    );
    assert_eq!(tables[1]["columns"][4]["type"], "numeric(10,2)[]");
    let (status, body) =
        project.secret().post("/v1/db/events", json!({ "rows": [{ "at": "2024-05-01", "n": 1 }] })).await;
    assert_eq!(status, StatusCode::CREATED, "{body}");
    assert_eq!(project.secret().get("/v1/db/events_2024?select=n").await.1["rows"], json!([{ "n": 1 }]));
}

/// Waits until the description of the tables includes the column. Selecting the column itself would refresh the schema
/// cache at once.
async fn until_listed(client: &Client, column: &str) {
    until_status(StatusCode::OK, async || {
        let (status, body) = client.get("/v1/db/tables").await;
        let listed = body.to_string().contains(&format!("\"name\":\"{column}\""));
        (if listed { status } else { StatusCode::NOT_FOUND }, body)
    })
    .await;
}

#[tokio::test]
async fn schema_change_applies_to_the_next_request_or_soon_after() {
    let app = TestApp::start().await;
    let project = app.create_project("changing").await;
    let secret = project.secret();
    let rows = async |path: &str| {
        let (status, body) = secret.get(path).await;
        assert_eq!(status, StatusCode::OK, "{path}: {body}");
        body["rows"].clone()
    };
    let (status, _) = secret.get("/v1/db/t").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    // An unknown name makes the schema cache check for a newer schema, at most every 100 ms.
    project.sql("create table t (id int primary key, a text); insert into t values (1, 'x')").await;
    let body = until_status(StatusCode::OK, async || secret.get("/v1/db/t").await).await;
    assert_eq!(body["rows"], json!([{ "id": 1, "a": "x" }]));
    project.sql("alter table t add b int default 5").await;
    let body = until_status(StatusCode::OK, async || secret.get("/v1/db/t?select=b").await).await;
    assert_eq!(body["rows"], json!([{ "b": 5 }]));
    // Statements prepared for the previous schema are planned again.
    assert_eq!(rows("/v1/db/t?eq.id=1").await, json!([{ "id": 1, "a": "x", "b": 5 }]));
    project.sql("alter table t drop column a").await;
    assert_eq!(rows("/v1/db/t?eq.id=1").await, json!([{ "id": 1, "b": 5 }]));
    project.sql("alter table t alter id type text").await;
    assert_eq!(rows("/v1/db/t?eq.id=1").await, json!([{ "id": "1", "b": 5 }]));
    project.sql("alter table t rename b to c").await;
    assert_eq!(rows("/v1/db/t").await, json!([{ "id": "1", "c": 5 }]));
    let (status, body) = secret.post("/v1/db/t", json!({ "rows": [{ "id": "2", "c": 6 }] })).await;
    assert_eq!(status, StatusCode::CREATED, "{body}");
    project.sql("alter table t rename to u").await;
    let (status, _) = secret.get("/v1/db/t").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert_eq!(rows("/v1/db/u?eq.id=2").await, json!([{ "id": "2", "c": 6 }]));
    project.sql("drop table u; create type mood as enum ('ok'); create table u (id int primary key, m mood)").await;
    assert_eq!(rows("/v1/db/u").await, json!([]));
    // If no statement fails, a schema change takes effect within a second.
    project.sql("alter table u add d int").await;
    until_listed(&secret, "d").await;
    let (_, body) = secret.post("/v1/db/u", json!({ "rows": [{ "id": 1, "m": "ok" }] })).await;
    assert_eq!(body["rows"], json!([{ "id": 1, "m": "ok", "d": null }]));
    assert_eq!(rows("/v1/db/u?eq.m=ok").await, json!([{ "id": 1, "m": "ok", "d": null }]));
    project.sql("alter type mood rename to feeling").await;
    assert_eq!(rows("/v1/db/u?eq.m=ok&gt.id=0").await, json!([{ "id": 1, "m": "ok", "d": null }]));
    project.sql("create unique index u_d on u (d)").await;
    let row = json!({ "rows": [{ "id": 2, "d": 1 }] });
    until_status(StatusCode::CREATED, async || secret.post("/v1/db/u?onConflict=d", row.clone()).await).await;
    project.sql("drop index u_d").await;
    let (status, body) = secret.post("/v1/db/u?onConflict=d", json!({ "rows": [{ "id": 3, "d": 1 }] })).await;
    assert_eq!((status, body["error"]["code"].as_str()), (StatusCode::BAD_REQUEST, Some("invalid_request")), "{body}");
}

#[tokio::test]
async fn schema_change_by_the_sql_editor_applies_to_the_next_request() {
    let app = TestApp::start().await;
    let project = app.create_project("edited").await;
    project.sql("create table t (id int primary key); insert into t values (1)").await;
    let secret = project.secret();
    let mut expected = json!({ "id": 1 });
    let (_, body) = secret.get("/v1/db/t").await;
    assert_eq!(body["rows"], json!([expected]), "{body}");
    for column in ["a", "b", "c"] {
        let sql = json!({ "sql": format!("alter table t add {column} int default 2") });
        let (status, body) = app.admin().post(&project.path("/sql"), sql).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        expected[column] = json!(2);
        let (_, body) = secret.get("/v1/db/t").await;
        assert_eq!(body["rows"], json!([expected]), "{body}");
    }
}

#[tokio::test]
async fn concurrent_reads_survive_schema_changes() {
    let app = TestApp::start().await;
    let project = app.create_project("busy").await;
    project
        .sql("create table t (id int primary key, a int); insert into t select n, n from generate_series(1, 50) n")
        .await;
    let secret = project.secret();
    let reader = |number: usize| {
        let secret = secret.clone();
        async move {
            for round in 0..40 {
                let id = (number * 40 + round) % 50 + 1;
                let (status, body) = secret.get(&format!("/v1/db/t?eq.id={id}")).await;
                assert_eq!((status, body["rows"][0]["id"].as_u64()), (StatusCode::OK, Some(id as u64)), "{body}");
            }
        }
    };
    let readers: Vec<_> = (0..16).map(|number| tokio::spawn(reader(number))).collect();
    for column in ["b", "c", "d"] {
        project
            .sql(&format!(
                "alter table t add {column} int; alter table t drop column {column}; alter table t add {column} text"
            ))
            .await;
    }
    for reader in readers {
        reader.await.unwrap();
    }
    until_listed(&secret, "d").await;
    let (_, body) = secret.get("/v1/db/t?eq.id=1").await;
    assert_eq!(body["rows"][0].as_object().map(serde_json::Map::len), Some(5), "{body}");
    assert_eq!(body["rows"][0]["b"], Value::Null);
}

#[tokio::test]
async fn requests_of_signed_in_users_survive_schema_changes() {
    use atlashub::{
        data::{DataService, Identity},
        db::DbRole,
        http::Recipient,
    };
    use axum::extract::FromRef;

    let app = TestApp::start().await;
    let project = app.create_project("changing for users").await;
    project.sql("create table t (id int primary key, a text); insert into t values (1, 'x')").await;
    project.expose("t", "none", "write").await;
    let service = DataService::from_ref(&app.app);
    let recipient = Recipient::Project(&project.id);
    let user = Identity { project: &project.id, role: DbRole::User, claims: Some("{\"sub\":\"u\"}"), recipient };
    let body = |response: atlashub::data::RowsResponse| {
        serde_json::from_slice::<Value>(&response.body.to_vec()).unwrap()["rows"].clone()
    };
    assert_eq!(body(service.read(user, "t", "").await.unwrap()), json!([{ "id": 1, "a": "x" }]));
    project.sql("alter table t drop column a, add b int default 2").await;
    assert_eq!(body(service.read(user, "t", "").await.unwrap()), json!([{ "id": 1, "b": 2 }]));
    project.sql("alter table t alter b type text").await;
    assert_eq!(body(service.read(user, "t", "eq.b=2").await.unwrap()), json!([{ "id": 1, "b": "2" }]));
    project.sql("alter table t rename b to c").await;
    // Unknown names make the schema cache check for a newer schema, but not for every request.
    let inserted = until_status(StatusCode::CREATED, async || {
        match service.insert(user, "t", "", br#"{"rows":[{"id":2,"c":"y"}]}"#).await {
            Ok(response) => (StatusCode::CREATED, body(response)),
            Err(error) => (error.status(), json!(error.message())),
        }
    })
    .await;
    assert_eq!(inserted, json!([{ "id": 2, "c": "y" }]));
}

#[tokio::test]
async fn table_without_columns_is_readable() {
    let app = TestApp::start().await;
    let project = app.create_project("no columns").await;
    project.sql("create table empty ()").await;
    let secret = project.secret();
    let (status, body) = secret.post("/v1/db/empty", json!({ "rows": [{}] })).await;
    assert_eq!((status, body), (StatusCode::CREATED, json!({ "rows": [{}], "count": 1 })));
    let (status, body) = secret.post("/v1/db/empty", json!({ "rows": [{}, {}] })).await;
    assert_eq!((status, body), (StatusCode::CREATED, json!({ "rows": [{}, {}], "count": 2 })));
    for query in ["", "?select=*", "?count=exact&limit=2", "?offset=1"] {
        let (status, body) = secret.get(&format!("/v1/db/empty{query}")).await;
        assert_eq!(status, StatusCode::OK, "{query}: {body}");
        let rows = body["rows"].as_array().unwrap();
        assert!(rows.iter().all(|row| *row == json!({})) && rows.len() >= 2, "{query}: {body}");
    }
    let (_, body) = secret.get("/v1/db/tables").await;
    assert_eq!((&body["tables"][0]["name"], &body["tables"][0]["columns"]), (&json!("empty"), &json!([])));
    let (status, body) = app.admin().get(&project.path("/tables/empty/rows")).await;
    assert_eq!((status, body["rows"].as_array().map(Vec::len)), (StatusCode::OK, Some(3)));
}

#[tokio::test]
async fn keys_of_a_table_with_child_tables_do_not_identify_one_row() {
    let app = TestApp::start().await;
    let project = app.create_project("heirs").await;
    project
        .sql(
            "create table parent (id int primary key, n int); create table heir () inherits (parent);
             insert into parent select n, n from generate_series(1, 3) n;
             insert into heir select n, n + 10 from generate_series(2, 4) n",
        )
        .await;
    let secret = project.secret();
    let (_, body) = secret.get("/v1/db/parent?select=n&eq.id=2&order=n").await;
    assert_eq!(body["rows"], json!([{ "n": 2 }, { "n": 12 }]));
    let (_, body) = secret.get("/v1/db/parent?select=id&order=id&limit=2").await;
    assert_eq!(body["page"], json!({ "limit": 2, "offset": 0, "nextOffset": 2 }));
    let (status, body) = secret.send(reqwest::Method::DELETE, "/v1/db/parent?eq.id=2&maxAffected=1", None).await;
    assert_eq!((status, body["error"]["code"].as_str()), (StatusCode::BAD_REQUEST, Some("max_affected_exceeded")));
    let (status, body) = secret.post("/v1/db/parent?onConflict=id", json!({ "rows": [{ "id": 1, "n": 5 }] })).await;
    assert_eq!((status, body["rows"][0]["n"].as_i64()), (StatusCode::CREATED, Some(5)), "{body}");
}

#[tokio::test]
async fn errors_name_missing_partition_and_unpopulated_view() {
    let app = TestApp::start().await;
    let project = app.create_project("states").await;
    project
        .sql(
            "create table events (at date not null, kind text not null, n int) partition by range (at, kind);
             create table events_2024 partition of events for values from ('2024-01-01', 'a') to ('2025-01-01', 'a');
             create materialized view frozen as select 1 as id with no data;
             create view thawed as select * from frozen",
        )
        .await;
    let secret = project.secret();
    let check = async |response: (StatusCode, Value), status: StatusCode, expected: &str| {
        assert_eq!(response.0, status, "{}", response.1);
        let message = response.1["error"]["message"].as_str().unwrap();
        assert!(message.contains(expected), "{message}");
    };
    let outside = json!({ "rows": [{ "at": "2030-05-01", "kind": "x", "n": 1 }] });
    let response = secret.post("/v1/db/events", outside.clone()).await;
    assert_eq!(response.1["error"]["details"]["columns"], json!(["at", "kind"]));
    let message = "`events` has no partition for this row. Its partition key is (at, kind).";
    check(response, StatusCode::CONFLICT, message).await;
    let response = secret.post("/v1/db/events_2024", outside).await;
    check(response, StatusCode::CONFLICT, "does not belong to the partition `events_2024`").await;
    let response = secret.get("/v1/db/frozen").await;
    check(response, StatusCode::UNPROCESSABLE_ENTITY, "The materialized view `frozen` has not been populated.").await;
    let response = secret.get("/v1/db/thawed").await;
    check(response, StatusCode::UNPROCESSABLE_ENTITY, "`thawed` reads the materialized view `frozen`").await;
}

#[tokio::test]
async fn like_pattern_that_ends_in_a_single_backslash_is_rejected() {
    let app = TestApp::start().await;
    let project = app.create_project("patterns").await;
    project.sql("create table notes (id int primary key, body text); insert into notes values (1, 'a')").await;
    let secret = project.secret();
    for filter in ["like.body=a%5C", "ilike.body=%25%5C", "not.like.body=%5C", "or=(like.body:%22a%5C%5C%22,eq.id:1)"] {
        let (status, body) = secret.get(&format!("/v1/db/notes?{filter}")).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{filter}: {body}");
        let message = body["error"]["message"].as_str().unwrap();
        assert!(message.contains("ends in a single backslash"), "{filter}: {message}");
    }
    assert_eq!(secret.get("/v1/db/notes?like.body=a%5C%5C").await.0, StatusCode::OK);
}

#[tokio::test]
async fn constraint_errors_do_not_name_tables_of_other_schemas() {
    let app = TestApp::start().await;
    let project = app.create_project("private tables").await;
    // Each private table has the name of a public one.
    project
        .sql(
            "create schema private;
             create table required (id int primary key); create table private.required (internal int not null);
             create table events (id int primary key);
             create table private.events (internal int) partition by list (internal);
             create table events_1 (id int primary key);
             create table private.events_1 partition of private.events for values in (1);
             create function copy() returns trigger language plpgsql security definer as $$ begin
                 execute format('insert into private.%I values ($1)', tg_table_name) using nullif(new.id, 3);
                 return new; end $$;
             create trigger copy before insert on required for each row execute function copy();
             create trigger copy before insert on events for each row execute function copy();
             create trigger copy before insert on events_1 for each row execute function copy();",
        )
        .await;
    for (table, code, message) in [
        ("required", "not_null_violation", "A required column has no value."),
        ("events", "check_violation", "A partitioned table has no partition for this row."),
        ("events_1", "check_violation", "The row does not belong to the partition that it is written to."),
    ] {
        let (status, body) = project.secret().post(&format!("/v1/db/{table}"), json!({ "rows": [{ "id": 3 }] })).await;
        assert_eq!(status, StatusCode::CONFLICT, "{table}: {body}");
        assert_eq!((body["error"]["code"].as_str(), body["error"]["message"].as_str()), (Some(code), Some(message)));
        assert!(!body.to_string().contains("internal"), "{body}");
    }
}
