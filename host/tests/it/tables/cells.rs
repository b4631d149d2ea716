//! Long values: cut in lists of rows, and complete values one at a time.

use reqwest::{Method, StatusCode, header};
use serde_json::{Value, json};

use crate::support::{TestApp, TestProject};

async fn rows(app: &TestApp, project: &TestProject, path: &str) -> Value {
    let (status, body) = app.admin().get(&project.path(path)).await;
    assert_eq!(status, StatusCode::OK, "{path}: {body}");
    body
}

const DOCS: &str = "
    CREATE TYPE mood AS ENUM ('a mood with a name that is rather long');
    CREATE TABLE docs (id int PRIMARY KEY, body text, data jsonb, raw bytea, tags text[], big numeric, fixed char(20),
        at timestamptz, feels mood, name varchar(50));
    INSERT INTO docs VALUES
        (1, 'short', '{\"a\": 1.10}', '\\x0001', '{a,b}', 1.50, 'abc', '2024-01-01Z',
            'a mood with a name that is rather long', 'n'),
        (2, repeat('é', 100), jsonb_build_object('a', repeat('x', 100)), decode(repeat('00ff', 100), 'hex'),
            ARRAY[repeat('y', 100)], repeat('9', 100)::numeric, 'abc', NULL, NULL, repeat('z', 30)),
        (3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
        (4, '', 'null', '', '{}', 'NaN', '', NULL, NULL, '');";

#[tokio::test]
async fn long_values_are_cut_and_listed() {
    let app = TestApp::start().await;
    let project = app.create_project("Docs").await;
    project.sql(DOCS).await;
    let whole = rows(&app, &project, "/tables/docs/rows?order=id").await;
    assert!(whole["page"].get("cut").is_none());
    let cut = rows(&app, &project, "/tables/docs/rows?order=id&maxCellBytes=20").await;
    assert_eq!(
        cut["page"]["cut"],
        json!([
            [0, "fixed", 22],
            [1, "body", 200],
            [1, "data", 109],
            [1, "raw", 402],
            [1, "tags", 104],
            [1, "big", 100],
            [1, "fixed", 22],
            [1, "name", 30],
            [3, "fixed", 22],
        ])
    );
    let row = &cut["rows"][1];
    assert_eq!(row["body"], json!("é".repeat(10)));
    assert_eq!(row["data"], json!("{\"a\": \"xxxxxxxxxxxxx"));
    assert_eq!(row["raw"], json!("\\x00ff00ff00ff00ff00"));
    assert_eq!(row["tags"], json!(format!("[\"{}", "y".repeat(18))));
    assert_eq!(row["big"], json!("9".repeat(20)));
    assert_eq!(row["name"], json!("z".repeat(20)));
    // Values within the limit are the same as without a limit.
    let large = rows(&app, &project, "/tables/docs/rows?order=id&maxCellBytes=1000").await;
    assert_eq!((&large["rows"], &large["page"]["cut"]), (&whole["rows"], &json!([])));
    for (query, total) in [("count=exact", 4), ("count=estimated&limit=10", 4), ("count=exact&eq.id=2", 1)] {
        let counted = rows(&app, &project, &format!("/tables/docs/rows?order=id&maxCellBytes=20&{query}")).await;
        assert_eq!(counted["page"]["total"], total, "{query}");
    }
}

#[tokio::test]
async fn reads_that_cut_values_have_cursors_and_no_embedded_tables() {
    let app = TestApp::start().await;
    let project = app.create_project("Pages").await;
    project
        .sql(
            "CREATE TABLE authors (name text PRIMARY KEY, bio text); CREATE TABLE books (id int PRIMARY KEY,
                author text REFERENCES authors);
             INSERT INTO authors SELECT repeat('n', 50) || g, repeat('b', 100) FROM generate_series(1, 3) g;
             INSERT INTO books SELECT g, repeat('n', 50) || g FROM generate_series(1, 3) g;",
        )
        .await;
    let first = rows(&app, &project, "/tables/authors/rows?order=name&limit=2&maxCellBytes=10").await;
    let cursor = first["page"]["nextCursor"].as_str().unwrap();
    let path = format!("/tables/authors/rows?order=name&limit=2&maxCellBytes=10&after={cursor}");
    let second = rows(&app, &project, &path).await;
    assert_eq!(second["rows"], json!([{ "name": "n".repeat(10), "bio": "b".repeat(10) }]));
    assert_eq!(second["page"]["cut"], json!([[0, "name", 51], [0, "bio", 100]]));
    let path = project.path("/tables/books/rows?select=id,author_row:authors(bio)&eq.id=1&maxCellBytes=16");
    let (status, error) = app.admin().get(&path).await;
    assert_eq!((status, &error["error"]["code"]), (StatusCode::BAD_REQUEST, &json!("invalid_request")), "{error}");
}

#[tokio::test]
async fn hundred_rows_with_five_megabytes_each_give_a_small_response() {
    let app = TestApp::start().await;
    let project = app.create_project("Large").await;
    project
        .sql(
            "CREATE TABLE large (id int PRIMARY KEY, body text); ALTER TABLE large ALTER body SET STORAGE EXTERNAL;
             INSERT INTO large SELECT g, repeat('x', 5000000) FROM generate_series(1, 100) g;",
        )
        .await;
    let response = app.admin().request(Method::GET, &project.path("/tables/large/rows?maxCellBytes=2048")).send().await;
    let body = response.unwrap().bytes().await.unwrap();
    assert!(body.len() < 300_000, "{}", body.len());
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body["page"]["cut"].as_array().unwrap().len(), 100);
    assert_eq!(body["page"]["cut"][0], json!([0, "body", 5_000_000]));
}

#[tokio::test]
async fn cell_limit_is_validated_and_accepted_only_from_the_owner() {
    let app = TestApp::start().await;
    let project = app.create_project("Limits").await;
    project.sql("CREATE TABLE docs (id int PRIMARY KEY)").await;
    for value in ["0", "1048577", "x", "-1"] {
        let (status, body) = app.admin().get(&project.path(&format!("/tables/docs/rows?maxCellBytes={value}"))).await;
        assert_eq!((status, &body["error"]["code"]), (StatusCode::BAD_REQUEST, &json!("invalid_request")), "{value}");
    }
    for value in ["1", "1048576"] {
        let (status, body) = app.admin().get(&project.path(&format!("/tables/docs/rows?maxCellBytes={value}"))).await;
        assert_eq!(status, StatusCode::OK, "{value}: {body}");
    }
    let (status, body) = project.secret().get("/v1/db/docs?maxCellBytes=10").await;
    assert_eq!((status, &body["error"]["code"]), (StatusCode::BAD_REQUEST, &json!("invalid_request")), "{body}");
}

struct Cell {
    status: StatusCode,
    content_type: String,
    disposition: Option<String>,
    length: Option<u64>,
    body: Vec<u8>,
}

async fn cell(app: &TestApp, project: &TestProject, query: &str) -> Cell {
    let path = project.path(&format!("/tables/docs/cell?{query}"));
    let response = app.admin().request(Method::GET, &path).send().await.unwrap();
    let text = |name| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
    Cell {
        status: response.status(),
        content_type: text(header::CONTENT_TYPE).unwrap_or_default(),
        disposition: text(header::CONTENT_DISPOSITION),
        length: response.content_length(),
        body: response.bytes().await.unwrap().to_vec(),
    }
}

#[tokio::test]
async fn single_value_is_returned_completely() {
    let app = TestApp::start().await;
    let project = app.create_project("Cells").await;
    project.sql(DOCS).await;
    project
        .sql(
            "INSERT INTO docs (id, body, raw) VALUES
                (5, repeat('é', 10000000), decode(repeat('00ff', 1500000), 'hex'));",
        )
        .await;
    let text = cell(&app, &project, "column=body&eq.id=2").await;
    assert_eq!((text.status, &*text.content_type), (StatusCode::OK, "text/plain; charset=utf-8"));
    assert_eq!((String::from_utf8(text.body).unwrap(), text.disposition), ("é".repeat(100), None));
    assert_eq!(cell(&app, &project, "column=tags&eq.id=1").await.body, b"{a,b}");
    assert_eq!(cell(&app, &project, "column=at&eq.id=1").await.body, b"2024-01-01 00:00:00+00");
    assert_eq!(cell(&app, &project, "column=data&eq.id=1").await.body, br#"{"a": 1.10}"#);
    // NULL differs from the empty string.
    assert_eq!(cell(&app, &project, "column=body&eq.id=3").await.status, StatusCode::NO_CONTENT);
    let empty = cell(&app, &project, "column=body&eq.id=4").await;
    assert_eq!((empty.status, empty.body.len()), (StatusCode::OK, 0));
    // A value larger than the limit of responses with rows.
    let large = cell(&app, &project, "column=body&eq.id=5&download=true").await;
    assert_eq!((large.status, large.length, large.body.len()), (StatusCode::OK, Some(20_000_000), 20_000_000));
    assert!(large.body.chunks(2).all(|character| character == "é".as_bytes()));
    assert_eq!(
        large.disposition.as_deref(),
        Some("attachment; filename=\"value.txt\"; filename*=UTF-8''docs%2Ebody%2Etxt")
    );
    let bytes = cell(&app, &project, "column=raw&eq.id=5").await;
    assert_eq!((&*bytes.content_type, bytes.body.len()), ("application/octet-stream", 3_000_000));
    assert!(bytes.body.chunks(2).all(|pair| pair == [0, 255]));
}

#[tokio::test]
async fn value_of_no_or_several_rows_is_an_error() {
    let app = TestApp::start().await;
    let project = app.create_project("Cells").await;
    project.sql(DOCS).await;
    for (query, status, code) in [
        ("column=body&eq.id=9", 404, "not_found"),
        ("column=body&gt.id=1", 400, "invalid_request"),
        ("column=body", 400, "filter_required"),
        ("eq.id=1", 400, "invalid_request"),
        ("column=nothing&eq.id=1", 400, "unknown_column"),
        ("column=body&eq.id=x", 400, "invalid_value"),
        ("column=body&eq.id=1&limit=1", 400, "invalid_request"),
    ] {
        let response = cell(&app, &project, query).await;
        let body: Value = serde_json::from_slice(&response.body).unwrap();
        assert_eq!((response.status.as_u16(), &body["error"]["code"]), (status, &json!(code)), "{query}: {body}");
    }
    let (status, body) = app.admin().get(&project.path("/tables/missing/cell?column=a&eq.id=1")).await;
    assert_eq!((status, &body["error"]["code"]), (StatusCode::NOT_FOUND, &json!("unknown_table")));
}
