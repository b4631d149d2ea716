//! Limits on the size of responses with rows, on each response and on all together, and on the values of a request.

use std::time::Duration;

use futures_util::future::join_all;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt as _, net::TcpStream};

use crate::support::{Client, TestApp, TestProject, code, eventually};

const LIMIT: usize = 1 << 20;

/// SQL that creates rows of which one fits into a response and two do not, a row that does not fit, and many small
/// rows.
const TABLES: &str = "
    create table texts (id int primary key, a text not null, n int not null default 0);
    create table parts (id int primary key, text_id int references texts, p text);
    insert into texts select g, repeat(md5(g::text), 20000) from generate_series(1, 30) g;
    insert into texts values (100, repeat('x', 100000000)), (101, 'small');
    insert into parts select g, 1 + g % 2, repeat('p', 600000) from generate_series(1, 4) g;
    create table small (id int primary key, t text);
    insert into small select g, 'row ' || g from generate_series(1, 1000) g;
    create function filler(bytes int) returns text language sql as $$ select repeat('f', bytes) $$;
    create view computed as select id, filler(id * 100000) as f, to_jsonb(filler(id * 100000)) as j,
        convert_to(filler(id * 100000), 'UTF8') as b from texts;
    create table documents (id int primary key, body text, words tsvector);
    insert into documents select g, string_agg('word' || h, ' '), to_tsvector('simple', string_agg('word' || h, ' '))
        from generate_series(1, 40) g, generate_series(1, 4000) h group by g;";

async fn start() -> (TestApp, TestProject) {
    let app = TestApp::builder().var("ATLASHUB_RESPONSE_LIMIT_BYTES", &LIMIT.to_string()).start().await;
    let project = app.create_project("limits").await;
    project.sql(TABLES).await;
    (app, project)
}

/// Checks that a response is refused because of its size.
fn check_too_large(request: &str, (status, body): (StatusCode, Value)) {
    let code = body["error"]["code"].as_str();
    assert_eq!((status.as_u16(), code), (422, Some("response_too_large")), "{request}: {body}");
    assert_eq!(body["error"]["details"], json!({ "maxBytes": LIMIT }), "{request}: {body}");
    assert!(body["error"]["message"].as_str().unwrap().contains(&LIMIT.to_string()), "{request}: {body}");
    assert!(body["error"]["hint"].is_string(), "{request}: {body}");
}

async fn check_rows(client: &Client, path: &str, expected: usize) {
    let (status, body) = client.get(path).await;
    assert_eq!(status, StatusCode::OK, "{path}: {body}");
    assert_eq!(body["rows"].as_array().unwrap().len(), expected, "{path}");
}

#[tokio::test]
async fn read_larger_than_the_limit_is_refused() {
    let (_app, project) = start().await;
    let secret = project.secret();
    for query in [
        "texts",
        "texts?select=a&limit=2",
        "texts?select=a&limit=2&order=id",
        "texts?select=a&limit=2&order=n,id",
        "texts?select=a&lt.id=3&count=exact",
        "texts?select=a&lt.id=3&count=estimated",
        "texts?eq.id=100",
        "texts?select=a&eq.id=100",
        "texts?select=n,one:a,two:a&eq.id=1",
        "texts?gte.id=100",
        "texts?select=id,parts(p)&eq.id=1",
        "texts?select=id,parts(p)&lt.id=3",
        "parts?select=id,texts(a)&limit=4",
        "computed?select=f&eq.id=15",
        "computed?select=j&eq.id=15",
        "computed?select=b&eq.id=6",
        "computed?select=f,j&lt.id=10",
        "documents?fts.words=word7",
    ] {
        check_too_large(query, secret.get(&format!("/v1/db/{query}")).await);
    }
    check_too_large("owner", owner_rows(&project, "texts").await);
    // Narrower requests for the same rows succeed, on connections whose reads were interrupted.
    check_rows(&secret, "/v1/db/texts?select=id,n", 32).await;
    check_rows(&secret, "/v1/db/texts?eq.id=1", 1).await;
    check_rows(&secret, "/v1/db/texts?select=a&limit=1&order=id", 1).await;
    check_rows(&secret, "/v1/db/texts?select=id&limit=30&order=n,id&count=exact", 30).await;
    check_rows(&secret, "/v1/db/texts?select=id,parts(id)&lt.id=3", 2).await;
    check_rows(&secret, "/v1/db/computed?select=f&lt.id=4", 3).await;
    check_rows(&secret, "/v1/db/documents?fts.words=word7&limit=1", 1).await;
    check_rows(&secret, "/v1/db/small?limit=1000", 1000).await;
}

async fn owner_rows(project: &TestProject, table: &str) -> (StatusCode, Value) {
    project.admin().get(&project.path(&format!("/tables/{table}/rows"))).await
}

#[tokio::test]
async fn column_can_be_selected_four_times_but_not_a_hundred_times() {
    let (_app, project) = start().await;
    let publishable = project.publishable();
    project.expose("small", "read", "none").await;
    check_rows(&publishable, "/v1/db/small?select=t,x1:t,x2:t,x3:t&limit=1", 1).await;
    let aliases: Vec<String> = (0..100).map(|number| format!("x{number}:t")).collect();
    let (status, body) = publishable.get(&format!("/v1/db/small?select={}&limit=5", aliases.join(","))).await;
    assert_eq!((status, &body["error"]["code"]), (StatusCode::BAD_REQUEST, &json!("invalid_request")), "{body}");
    assert!(body["error"]["message"].as_str().unwrap().contains("`t` 100 times"), "{body}");
}

#[tokio::test]
async fn write_whose_rows_exceed_the_limit_changes_nothing() {
    let (_app, project) = start().await;
    let secret = project.secret();
    let half = "y".repeat(400_000);
    let grown = "create function grow() returns trigger language plpgsql as $$
                   begin new.a := new.a || repeat('z', 2000000); return new; end $$;
                 create trigger grow before insert on texts for each row when (new.n = 7) execute function grow();";
    project.sql(grown).await;
    let values = Some(json!({ "values": { "n": 5 } }));
    let row = |id: u32, n: u32| json!({ "id": id, "a": half, "n": n });
    for (method, query, body) in [
        (Method::PATCH, "texts?eq.id=100", values.clone()),
        (Method::PATCH, "texts?eq.id=100&select=a", values.clone()),
        (Method::PATCH, "texts?gt.id=0", values.clone()),
        (Method::PATCH, "texts?in.id=1,2&select=a&maxAffected=2", values.clone()),
        (Method::DELETE, "texts?gt.id=3&returning=representation", None),
        (Method::DELETE, "texts?eq.id=100&returning=representation", None),
        (Method::POST, "texts", Some(json!({ "rows": [row(200, 7)] }))),
        (Method::POST, "texts?select=a", Some(json!({ "rows": [row(200, 7)] }))),
        (Method::POST, "texts", Some(json!({ "rows": [row(200, 0), row(201, 7)] }))),
        (Method::POST, "texts", Some(json!({ "rows": [row(200, 7), { "id": 201, "a": "b" }] }))),
        (Method::POST, "texts?select=n,a,b:a,c:a", Some(json!({ "rows": [row(200, 0)] }))),
    ] {
        let request = format!("{method} {query}");
        let (status, response) = secret.send(method, &format!("/v1/db/{query}"), body).await;
        assert!(response["error"]["hint"].as_str().is_some_and(|hint| hint.starts_with("Nothing")), "{response}");
        check_too_large(&request, (status, response));
        check_rows(&secret, "/v1/db/texts?select=id&eq.n=0&lt.id=200", 32).await;
        check_rows(&secret, "/v1/db/texts?select=id&gte.id=200", 0).await;
    }
    for (method, query, body, status) in [
        (Method::PATCH, "texts?eq.id=100&returning=minimal", values.clone(), 200),
        (Method::PATCH, "texts?gt.id=0&select=id,n", values, 200),
        (Method::POST, "texts?select=id", Some(json!({ "rows": [row(200, 7), row(201, 7)] })), 201),
        (Method::DELETE, "texts?gte.id=100", None, 200),
    ] {
        let request = format!("{method} {query}");
        let (received, response) = secret.send(method, &format!("/v1/db/{query}"), body).await;
        assert_eq!(received.as_u16(), status, "{request}: {response}");
    }
}

#[tokio::test]
async fn oversized_reads_do_not_affect_other_requests_of_their_connection() {
    let (_app, project) = start().await;
    let secret = project.secret();
    let oversized = join_all((0..12).map(|number| {
        let secret = secret.clone();
        async move {
            // Each request has a statement of its own, so the server does not know yet that its rows are large.
            let path = format!("/v1/db/texts?select=id,x{number}:a");
            check_too_large("concurrent", secret.get(&path).await);
        }
    }));
    let reads = join_all((0..200).map(|number| {
        let secret = secret.clone();
        async move { check_rows(&secret, &format!("/v1/db/small?eq.id={}", 1 + number), 1).await }
    }));
    let inserts = join_all((0..100).map(|number| {
        let secret = secret.clone();
        async move {
            let body = json!({ "rows": [{ "id": 5000 + number, "t": "new" }] });
            let (status, response) = secret.post("/v1/db/small", body).await;
            assert_eq!(status, StatusCode::CREATED, "{response}");
        }
    }));
    tokio::join!(oversized, reads, inserts);
    check_rows(&secret, "/v1/db/small?select=id&gte.id=5000", 100).await;
}

/// Sends a request, and does not read the response.
async fn request_without_reading(app: &TestApp, key: &str, path: &str) -> TcpStream {
    let mut stream = TcpStream::connect(app.public_url.trim_start_matches("http://")).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nx-api-key: {key}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

#[tokio::test]
async fn unread_responses_use_a_limited_share_of_memory() {
    let app = TestApp::builder()
        .var("ATLASHUB_RESPONSE_LIMIT_BYTES", "8388608")
        .var("ATLASHUB_MAX_RESPONSE_BYTES_IN_FLIGHT", "33554432")
        .start()
        .await;
    let table = "create table t (id int primary key, a text);
                 insert into t select g, repeat('x', 1000000) from generate_series(1, 7) g";
    let (busy, quiet) = (app.create_project("busy").await, app.create_project("quiet").await);
    busy.sql(table).await;
    quiet.sql(table).await;
    let mut unread = Vec::new();
    let refused = eventually("the project's share is used up", async || {
        unread.push(request_without_reading(&app, &busy.secret_key, "/v1/db/t").await);
        let response = busy.secret().request(Method::GET, "/v1/db/t?select=id,a").send().await.unwrap();
        (response.status() != StatusCode::OK).then_some(response)
    })
    .await;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(refused.headers().contains_key("retry-after"));
    assert_eq!(refused.json::<Value>().await.unwrap()["error"]["code"], "overloaded");
    // Small responses, other projects and the owner are not affected.
    check_rows(&busy.secret(), "/v1/db/t?select=id", 7).await;
    check_rows(&quiet.secret(), "/v1/db/t", 7).await;
    let sql = json!({ "sql": "select * from t limit 5" });
    let (status, response) = app.admin().post(&busy.path("/sql"), sql).await;
    assert_eq!((status, response["rows"].as_array().unwrap().len()), (StatusCode::OK, 5));
    drop(unread);
    eventually("the share is free again", async || {
        let (status, _) = busy.secret().get("/v1/db/t").await;
        (status == StatusCode::OK).then_some(())
    })
    .await;
}

#[tokio::test]
async fn long_responses_have_a_length_and_arrive_completely() {
    let app = TestApp::builder().var("ATLASHUB_RESPONSE_LIMIT_BYTES", "16777216").start().await;
    let project = app.create_project("long").await;
    let table = "create table t (id int, a text);
                 insert into t select g, repeat(g::text, 500) from generate_series(1, 900) g";
    project.sql(table).await;
    let response = project.secret().request(Method::GET, "/v1/db/t?limit=1000&order=id").send().await.unwrap();
    let length = response.content_length();
    let body = tokio::time::timeout(Duration::from_secs(60), response.bytes()).await.unwrap().unwrap();
    assert_eq!(length, Some(body.len() as u64));
    let rows: Vec<String> =
        (1..=900).map(|id: u32| format!("{{\"id\":{id},\"a\":\"{}\"}}", id.to_string().repeat(500))).collect();
    let page = "\"page\":{\"limit\":1000,\"offset\":0,\"nextOffset\":null}";
    assert!(body == format!("{{\"rows\":[{}],{page}}}", rows.join(", \n ")));
}

#[tokio::test]
async fn insert_with_more_values_than_a_statement_can_have_is_refused() {
    const COLUMNS: usize = 1400;
    const ROWS: usize = 50;
    let app = TestApp::start().await;
    let project = app.create_project("wide").await;
    let columns: Vec<String> = (0..COLUMNS).map(|column| format!("c{column} int")).collect();
    project.sql(&format!("CREATE TABLE wide ({})", columns.join(", "))).await;
    // Each row leaves out another column, so each needs values of its own.
    let row = |left_out: usize| {
        let values = (0..COLUMNS).filter(|column| *column != left_out).map(|column| (format!("c{column}"), json!(1)));
        values.collect::<serde_json::Map<_, _>>()
    };
    let rows: Vec<_> = (0..ROWS).map(row).collect();
    let path = "/v1/db/wide?returning=minimal";
    let (status, body) = project.secret().post(path, json!({ "rows": rows })).await;
    assert_eq!((status, code(&body)), (StatusCode::BAD_REQUEST, "invalid_request"), "{body}");
    assert!(body["error"]["message"].as_str().unwrap().contains("65535 values"), "{body}");
    let (status, body) = project.secret().post(path, json!({ "rows": rows[..40] })).await;
    assert_eq!((status, &body["count"]), (StatusCode::CREATED, &json!(40)), "{body}");
}
