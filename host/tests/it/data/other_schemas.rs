//! Columns whose types are in a schema other than `public`, where extensions and migration tools put them.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{Client, TestApp, TestProject};

const SCHEMA: &str = "
    create schema extensions; create schema \"Odd schema\";
    create extension citext schema extensions; create extension hstore schema extensions;
    create extension ltree schema extensions; create extension cube schema extensions;
    create extension isn schema extensions;
    create type \"Odd schema\".mood as enum ('sad', 'ok', 'happy');
    create type \"Odd schema\".pair as (label extensions.citext, extra extensions.hstore, n int);
    create domain \"Odd schema\".email as extensions.citext check (value like '%@%');
    create type \"Odd schema\".span as range (subtype = extensions.citext);
    create table users (
        id int primary key, email \"Odd schema\".email not null unique, name extensions.citext not null,
        mood \"Odd schema\".mood, moods \"Odd schema\".mood[], extra extensions.hstore, path extensions.ltree,
        spot extensions.cube, pair \"Odd schema\".pair, aliases extensions.citext[], span \"Odd schema\".span,
        book extensions.isbn13);
    create table posts (
        id int primary key, author extensions.citext not null references users (email) on update cascade,
        title text not null);";

async fn project_with_schema(app: &TestApp, name: &str) -> TestProject {
    let project = app.create_project(name).await;
    project.sql(SCHEMA).await;
    let rows = json!([
        { "id": 1, "email": "Ann@x", "name": "ann", "mood": "sad", "moods": ["sad", "ok"], "extra": { "a": "1" },
          "path": "top.left", "spot": "(1, 2)", "pair": { "label": "A", "extra": { "k": null }, "n": 1 },
          "aliases": ["A", "b"], "span": "[a,c)", "book": "978-0-393-04002-9" },
        { "id": 2, "email": "bob@x", "name": "Bob", "mood": "happy", "moods": [], "extra": { "a": "2", "b": null },
          "path": "top", "spot": "(0, 0),(5, 5)", "pair": null, "aliases": null, "span": null, "book": null },
        { "id": 3, "email": "Cat@x", "name": "CAT", "mood": null, "moods": null, "extra": null, "path": null,
          "spot": null, "pair": null, "aliases": null, "span": null, "book": null }
    ]);
    let (status, body) = project.secret().post("/v1/db/users?returning=minimal", json!({ "rows": rows })).await;
    assert_eq!(status, StatusCode::CREATED, "{body}");
    let posts = json!({ "rows": [{ "id": 1, "author": "ANN@X", "title": "x" },
        { "id": 2, "author": "ann@x", "title": "y" }, { "id": 3, "author": "bob@x", "title": "z" }] });
    let (status, body) = project.secret().post("/v1/db/posts?returning=minimal", posts).await;
    assert_eq!(status, StatusCode::CREATED, "{body}");
    project
}

async fn ids(client: &Client, query: &str) -> Vec<i64> {
    let (status, body) = client.get(&format!("/v1/db/users?select=id&{query}")).await;
    assert_eq!(status, StatusCode::OK, "{query}: {body}");
    body["rows"].as_array().unwrap().iter().map(|row| row["id"].as_i64().unwrap()).collect()
}

#[tokio::test]
async fn filters_use_the_operators_of_the_type() {
    let app = TestApp::start().await;
    let project = project_with_schema(&app, "other schemas").await;
    let secret = project.secret();
    for (query, expected) in [
        ("eq.email=ANN@X", &[1][..]),
        ("neq.email=ANN@X", &[2, 3]),
        ("in.email=ANN@X,BOB@x", &[1, 2]),
        ("gte.name=BOB", &[2, 3]),
        ("lt.name=BOB", &[1]),
        ("like.email=ann%25", &[1]),
        ("ilike.name=C%25", &[3]),
        ("not.like.name=B%25", &[1, 3]),
        ("fts.name=bob", &[2]),
        ("eq.mood=sad", &[1]),
        ("gt.mood=sad", &[2]),
        ("in.mood=sad,happy", &[1, 2]),
        ("cs.moods={ok}", &[1]),
        ("ov.moods={happy,ok}", &[1]),
        ("eq.extra={\"a\":\"1\"}", &[1]),
        ("eq.extra=a=>1", &[1]),
        ("cs.extra={\"a\":\"2\"}", &[2]),
        ("ov.extra={b,c}", &[2]),
        ("cs.path=top.left", &[1, 2]),
        ("cd.path=top.left", &[1]),
        ("gt.path=top", &[1]),
        ("ov.spot=(1,2)", &[1, 2]),
        ("eq.spot=(1,2)", &[1]),
        ("cs.aliases={a}", &[1]),
        ("eq.aliases={a,B}", &[1]),
        ("eq.pair=(a,k=>NULL,1)", &[1]),
        ("is.pair=null", &[2, 3]),
        ("cs.span=B", &[1]),
        ("eq.book=9780393040029", &[1]),
        ("or=(eq.email:BOB@X,and(eq.name:ANN,eq.mood:sad))", &[1, 2]),
    ] {
        assert_eq!(ids(&secret, &format!("order=id&{query}")).await, expected, "{query}");
    }
    let (_, body) = secret.get("/v1/db/users?select=name&eq.id=1&eq.email=ann@x").await;
    assert_eq!(body["rows"], json!([{ "name": "ann" }]));
    let changed = secret.send(Method::PATCH, "/v1/db/users?eq.name=ANN", Some(json!({ "values": { "mood": "ok" } })));
    assert_eq!(changed.await.1["count"], 1);
    let deleted = secret.send(Method::DELETE, "/v1/db/posts?eq.author=BOB@X", None).await;
    assert_eq!(deleted, (StatusCode::OK, json!({ "count": 1 })));
    // The admin API's route for rows uses the same code.
    let (status, body) = app.admin().get(&project.path("/tables/users/rows?select=id&eq.email=ANN@X")).await;
    assert_eq!((status, &body["rows"]), (StatusCode::OK, &json!([{ "id": 1 }])));
}

#[tokio::test]
async fn pages_and_embedded_rows_use_the_operators_of_the_type() {
    let app = TestApp::start().await;
    let project = project_with_schema(&app, "other schemas, paged").await;
    let secret = project.secret();
    for (order, expected) in [
        ("email", &[1, 2, 3][..]),
        ("email.desc", &[3, 2, 1]),
        ("name,id.desc", &[1, 2, 3]),
        ("name.desc,email", &[3, 2, 1]),
        ("mood,email", &[1, 2, 3]),
        ("mood.desc,email", &[3, 2, 1]),
        ("path,id", &[2, 1, 3]),
        ("extra.nullsfirst,id", &[3, 1, 2]),
        ("spot.desc.nullslast,id", &[1, 2, 3]),
        ("aliases,id", &[1, 2, 3]),
        ("pair.desc,id", &[2, 3, 1]),
        ("span,id", &[1, 2, 3]),
        ("book.nullsfirst,id", &[2, 3, 1]),
    ] {
        for select in ["id", "*"] {
            let mut seen = Vec::new();
            let mut after = String::new();
            loop {
                let path = format!("/v1/db/users?select={select}&order={order}&limit=1{after}");
                let (status, body) = secret.get(&path).await;
                assert_eq!(status, StatusCode::OK, "{path}: {body}");
                seen.extend(body["rows"].as_array().unwrap().iter().map(|row| row["id"].as_i64().unwrap()));
                assert!(seen.len() <= 3, "{order}: {seen:?}");
                match &body["page"]["nextCursor"] {
                    Value::String(cursor) => after = format!("&after={cursor}"),
                    Value::Null => break,
                    other => panic!("{order}: {other}"),
                }
            }
            assert_eq!(seen, expected, "{order}, select={select}");
        }
    }
    let (status, body) = secret.get("/v1/db/users?select=id,posts(id)&order=id").await;
    assert_eq!(status, StatusCode::OK, "{body}");
    assert_eq!(
        body["rows"],
        json!([{ "id": 1, "posts": [{ "id": 1 }, { "id": 2 }] }, { "id": 2, "posts": [{ "id": 3 }] },
            { "id": 3, "posts": [] }])
    );
    let (_, body) = secret.get("/v1/db/posts?select=id,users(id)&eq.id=1").await;
    assert_eq!(body["rows"], json!([{ "id": 1, "users": { "id": 1 } }]));
}

#[tokio::test]
async fn upsert_with_merge_writes_the_key_as_sent() {
    let app = TestApp::start().await;
    let project = project_with_schema(&app, "other schemas, upserted").await;
    project.sql("create table prices (amount numeric primary key, note text)").await;
    let secret = project.secret();
    for rows in [
        json!([{ "id": 9, "email": "ANN@x", "name": "Anna" }]),
        json!([{ "id": 9, "email": "aNN@x", "name": "Anna" }, { "id": 9, "email": "BOB@x", "name": "Bobby" }]),
    ] {
        let path = "/v1/db/users?onConflict=email&select=email,name&returning=representation";
        let sent = json!({ "rows": rows.as_array().unwrap().iter().enumerate().map(|(position, row)| {
            let mut row = row.clone();
            row["id"] = json!(position + 1);
            row
        }).collect::<Vec<_>>() });
        let (status, body) = secret.post(path, sent).await;
        assert_eq!(status, StatusCode::CREATED, "{body}");
        let expected: Vec<Value> =
            rows.as_array().unwrap().iter().map(|row| json!({ "email": row["email"], "name": row["name"] })).collect();
        assert_eq!(body["rows"], json!(expected));
    }
    for (amount, rows) in [("1.0", "[{\"amount\":1.0}]"), ("1.00", "[{\"amount\":1.00},{\"amount\":2}]")] {
        let request = secret.request(Method::POST, "/v1/db/prices?resolution=merge");
        let request = request.header("content-type", "application/json").body(format!("{{\"rows\":{rows}}}"));
        let body = request.send().await.unwrap().text().await.unwrap();
        assert!(body.contains(&format!("\"amount\":{amount},")), "{body}");
    }
}

#[tokio::test]
async fn upsert_with_merge_writes_every_part_of_a_composite_key() {
    let app = TestApp::start().await;
    let project = project_with_schema(&app, "composite keys").await;
    if !project.has_icu().await {
        return;
    }
    project
        .sql(
            "create collation any_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
             create table seats (
                tenant int, code extensions.citext, mail \"Odd schema\".email, word text collate any_case,
                amount numeric, label text, primary key (tenant, code, mail, word, amount));
             create table bookings (
                id int primary key, tenant int, code extensions.citext, mail \"Odd schema\".email,
                word text collate any_case, amount numeric,
                foreign key (tenant, code, mail, word, amount) references seats on update cascade);",
        )
        .await;
    let secret = project.secret();
    let row = |code: &str, mail: &str, word: &str, amount: &str, label: &str| {
        format!(
            "{{\"tenant\":1,\"code\":\"{code}\",\"mail\":\"{mail}\",\"word\":\"{word}\",\"amount\":{amount},\
             \"label\":\"{label}\"}}"
        )
    };
    let upsert = async |path: &str, rows: &[String]| {
        let request = secret.request(Method::POST, path).header("content-type", "application/json");
        let response = request.body(format!("{{\"rows\":[{}]}}", rows.join(","))).send().await.unwrap();
        let (status, text) = (response.status(), response.text().await.unwrap());
        assert_eq!(status, StatusCode::CREATED, "{text}");
        for row in rows {
            assert!(text.contains(row), "{row}: {text}");
        }
    };
    upsert("/v1/db/seats", &[row("ab", "a@x", "w", "1.0", "first")]).await;
    let booking = json!({ "rows": [{ "id": 1, "tenant": 1, "code": "AB", "mail": "A@X", "word": "W", "amount": 1 }] });
    assert_eq!(secret.post("/v1/db/bookings", booking).await.0, StatusCode::CREATED);
    let by_key = "/v1/db/seats?onConflict=tenant,code,mail,word,amount";
    for (path, rows) in [
        ("/v1/db/seats?resolution=merge", vec![row("AB", "a@X", "W", "1.00", "second")]),
        (by_key, vec![row("aB", "A@X", "w", "1", "third"), row("other", "b@x", "w", "2.50", "new")]),
        (
            "/v1/db/seats?onConflict=amount,word,mail,code,tenant",
            vec![row("OTHER", "B@x", "W", "2.5", "again"), row("Ab", "a@x", "W", "1.000", "fourth")],
        ),
    ] {
        upsert(path, &rows).await;
    }
    let (_, body) = secret.get("/v1/db/seats?select=code,label&order=code,mail,word,amount,tenant").await;
    assert_eq!(body["rows"], json!([{ "code": "Ab", "label": "fourth" }, { "code": "OTHER", "label": "again" }]));
    // Rows that contain only the columns of the key.
    let only_key = "{\"tenant\":1,\"code\":\"aB\",\"mail\":\"a@x\",\"word\":\"w\",\"amount\":1.0}".to_owned();
    upsert("/v1/db/seats?select=tenant,code,mail,word,amount&resolution=merge", &[only_key]).await;
    let (_, body) = secret.get("/v1/db/bookings?select=id,seats(code,label)").await;
    assert_eq!(body["rows"], json!([{ "id": 1, "seats": { "code": "aB", "label": "fourth" } }]));
    let (_, body) = secret.get("/v1/db/seats?select=code,bookings(id)&eq.code=AB").await;
    assert_eq!(body["rows"], json!([{ "code": "aB", "bookings": [{ "id": 1 }] }]));
}

#[tokio::test]
async fn publishable_key_reads_exposed_columns_with_types_of_other_schemas() {
    let app = TestApp::start().await;
    let project = project_with_schema(&app, "other schemas, exposed").await;
    project.expose("users", "read", "none").await;
    let publishable = project.publishable();
    assert_eq!(ids(&publishable, "eq.email=ANN@X").await, [1]);
    assert_eq!(ids(&publishable, "eq.mood=happy").await, [2]);
    // A type that is created later, and a type that is renamed.
    project
        .sql("create schema later; create type later.size as enum ('s', 'm'); alter table users add size later.size")
        .await;
    let (status, body) = project
        .secret()
        .post(
            "/v1/db/users?onConflict=id&select=size",
            json!({ "rows":
        [{ "id": 1, "email": "ann@x", "name": "ann", "size": "m" }] }),
        )
        .await;
    assert_eq!((status, &body["rows"]), (StatusCode::CREATED, &json!([{ "size": "m" }])));
    assert_eq!(ids(&publishable, "eq.size=m").await, [1]);
    project.sql("alter type later.size rename to width; alter schema later rename to \"even later\"").await;
    let listed = async || {
        let (_, body) = publishable.get("/v1/db/users?select=id&eq.size=m").await;
        body["rows"].as_array().is_some_and(|rows| rows.len() == 1)
    };
    crate::support::eventually("the renamed type is known", listed).await;
}

#[tokio::test]
async fn schema_of_another_owner_is_named_in_the_error() {
    use sqlx::Connection;
    let app = TestApp::start().await;
    let project = app.create_project("foreign schema").await;
    let mut connection = project.connect().await;
    sqlx::raw_sql("create schema vault; create type vault.kind as enum ('a')").execute(&mut connection).await.unwrap();
    let grant = format!("grant usage on schema vault to proj_{}_owner", project.id);
    sqlx::raw_sql(sqlx::AssertSqlSafe(grant)).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    project.sql("create table t (id int primary key, kind vault.kind); insert into t values (1, 'a')").await;
    let secret = project.secret();
    assert_eq!(secret.get("/v1/db/t").await.1["rows"], json!([{ "id": 1, "kind": "a" }]));
    let (status, body) = secret.get("/v1/db/t?eq.kind=a").await;
    assert_eq!((status, body["error"]["code"].as_str()), (StatusCode::FORBIDDEN, Some("forbidden")), "{body}");
    assert!(body["error"]["message"].as_str().unwrap().contains("schema `vault`"), "{body}");
}

#[tokio::test]
async fn values_as_read_match_the_row_until_it_changes() {
    let app = TestApp::start().await;
    let project = project_with_schema(&app, "unchanged").await;
    project.sql("create table paths (id int primary key, path jsonpath, seen pg_snapshot)").await;
    project.sql("insert into paths values (1, '$.a[*] ? (@ > 1)', '10:20:10,14')").await;
    for (table, column) in [("users", "name"), ("paths", "path")] {
        let (_, body) = app.admin().get(&project.path(&format!("/tables/{table}/rows?order=id"))).await;
        for row in body["rows"].as_array().unwrap() {
            let mut was = row.clone();
            was.as_object_mut().unwrap().remove("id");
            let change = |set: &str| {
                let key = json!({ "id": row["id"] });
                json!({ "changes": [{ "op": "update", "key": key, "set": { column: set }, "was": was }] })
            };
            let changes = project.path(&format!("/tables/{table}/changes"));
            let (status, body) = app.admin().post(&changes, change("$.b")).await;
            assert_eq!(status, StatusCode::OK, "{table} {row}: {body}");
            let (status, body) = app.admin().post(&changes, change("$.c")).await;
            assert_eq!(
                (status.as_u16(), &body["error"]["code"]),
                (409, &json!("row_changed")),
                "{table} {row}: {body}"
            );
        }
    }
}

#[tokio::test]
async fn filter_on_a_type_without_comparisons_names_the_column() {
    let app = TestApp::start().await;
    let project = app.create_project("no comparisons").await;
    project.sql("create table paths (id int primary key, path jsonpath)").await;
    for query in ["eq.path=$.a", "order=path"] {
        let (status, body) = project.secret().get(&format!("/v1/db/paths?{query}")).await;
        let message = body["error"]["message"].as_str().unwrap();
        assert!(status == StatusCode::BAD_REQUEST && message.contains("path"), "{query}: {body}");
    }
}
