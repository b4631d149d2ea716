//! Values are returned without loss.

use reqwest::{Method, StatusCode};

use crate::support::{TestApp, eventually};

const TYPES: &str = "
    create type mood as enum ('sad', 'it''s \"ok\"');
    create type pair as (a int8, b text);
    create domain email as text check (value like '%@%');
    create domain big as numeric(40, 10);
    create table t (
        id int generated always as identity, i8 int8, n numeric, n2 numeric(40, 10), f8 float8, f4 float4,
        tz timestamptz, ts timestamp, d date, tm time, iv interval, b bytea,
        u uuid, j json, jb jsonb, ta text[], ia int8[], na numeric[], ga int[], ja jsonb[], m mood, ma mood[], p pair,
        e email, g big,
        r int4range, mr int8multirange, c char(5), vc varchar(3), bo bool, x text, ip inet, bi bit(3), mo money,
        xm xml, pt point);";

/// Column, value as JSON in the request, and expected value in the response.
const VALUES: &[(&str, &str, &str)] = &[
    ("i8", "9223372036854775807", "9223372036854775807"),
    ("i8", "\"-9223372036854775808\"", "-9223372036854775808"),
    (
        "n",
        "123456789012345678901234567890.123456789012345678901234567890",
        "123456789012345678901234567890.123456789012345678901234567890",
    ),
    ("n", "1.10", "1.10"),
    ("n", "1e30", "1000000000000000000000000000000"),
    ("n", "\"NaN\"", "\"NaN\""),
    ("n", "\"Infinity\"", "\"Infinity\""),
    ("n2", "123456789012345678901234567890.1", "123456789012345678901234567890.1000000000"),
    ("f8", "0.1", "0.1"),
    ("f8", "1.7976931348623157e308", "1.7976931348623157e+308"),
    ("f8", "\"-Infinity\"", "\"-Infinity\""),
    ("f8", "\"NaN\"", "\"NaN\""),
    ("f8", "5e-324", "5e-324"),
    ("f4", "0.1", "0.1"),
    ("tz", "\"2024-02-29T23:59:59.999999+05:30\"", "\"2024-02-29T18:29:59.999999+00:00\""),
    ("tz", "\"infinity\"", "\"infinity\""),
    ("ts", "\"2024-02-29 23:59:59.000001\"", "\"2024-02-29T23:59:59.000001\""),
    ("d", "\"0044-03-15 BC\"", "\"0044-03-15 BC\""),
    ("tm", "\"24:00:00\"", "\"24:00:00\""),
    ("iv", "\"1 year 2 days 03:04:05.6\"", "\"1 year 2 days 03:04:05.6\""),
    ("b", "\"\\\\x00ff10\"", "\"\\\\x00ff10\""),
    ("u", "\"A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11\"", "\"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11\""),
    (
        "j",
        "{\"b\" : 1.0,\"a\":[1 , 12345678901234567890.10],\"b\":2}",
        "{\"b\" : 1.0,\"a\":[1 , 12345678901234567890.10],\"b\":2}",
    ),
    ("j", "\"text\"", "\"text\""),
    ("j", "false", "false"),
    ("jb", "{\"b\":1.0,\"a\":12345678901234567890.10}", "{\"a\": 12345678901234567890.10, \"b\": 1.0}"),
    ("jb", "\"text\"", "\"text\""),
    ("jb", "[null]", "[null]"),
    ("ta", "[\"a,b\",null,\"NULL\",\"q\\\"\\\\\",\"\",\"é\"]", "[\"a,b\",null,\"NULL\",\"q\\\"\\\\\",\"\",\"é\"]"),
    ("ta", "\"{a,b}\"", "[\"a\",\"b\"]"),
    ("ta", "[]", "[]"),
    ("ia", "[9223372036854775807,null]", "[9223372036854775807,null]"),
    ("na", "[0.10,\"NaN\"]", "[0.10,\"NaN\"]"),
    ("ga", "[[1,2],[3,4]]", "[[1,2],[3,4]]"),
    ("ja", "[{\"a\":1},[2]]", "[{\"a\": 1},[2]]"),
    ("m", "\"it's \\\"ok\\\"\"", "\"it's \\\"ok\\\"\""),
    ("ma", "[\"sad\",\"it's \\\"ok\\\"\"]", "[\"sad\",\"it's \\\"ok\\\"\"]"),
    ("p", "{\"a\":9223372036854775807,\"b\":\"x, \\\"y\\\"\"}", "{\"a\":9223372036854775807,\"b\":\"x, \\\"y\\\"\"}"),
    ("e", "\"a@b\"", "\"a@b\""),
    ("g", "123456789012345678901234567890.0123456789", "123456789012345678901234567890.0123456789"),
    ("r", "\"[1,5]\"", "\"[1,6)\""),
    ("mr", "\"{[1,3),[7,9)}\"", "\"{[1,3),[7,9)}\""),
    ("c", "\"ab\"", "\"ab   \""),
    ("vc", "\"abc\"", "\"abc\""),
    ("bo", "true", "true"),
    ("bo", "\"no\"", "false"),
    ("x", "\"a\\n\\u0001\\ud83d\\ude00\\\\ \\/, \\n {\"", "\"a\\n\\u0001😀\\\\ /, \\n {\""),
    ("x", "12.50", "\"12.50\""),
    ("x", "true", "\"true\""),
    ("x", "{\"a\":1}", "\"{\\\"a\\\":1}\""),
    ("ip", "\"10.0.0.1/24\"", "\"10.0.0.1/24\""),
    ("bi", "\"101\"", "\"101\""),
    ("xm", "\"<a>1</a>\"", "\"<a>1</a>\""),
    ("pt", "\"(1.5,2)\"", "\"(1.5,2)\""),
    ("x", "null", "null"),
    ("jb", "null", "null"),
    ("ta", "null", "null"),
];

#[tokio::test]
async fn values_are_returned_without_loss() {
    let app = TestApp::start().await;
    let project = app.create_project("types").await;
    project.sql(TYPES).await;
    let secret = project.secret();
    let send = async |method: Method, path: &str, body: String| {
        let request = secret.request(method, path).header("content-type", "application/json").body(body);
        let response = request.send().await.unwrap();
        (response.status(), response.text().await.unwrap())
    };
    for (column, sent, expected) in VALUES {
        // A single row is sent with a parameter per value; several rows are one JSON parameter.
        let path = format!("/v1/db/t?select={column}");
        let (status, body) = send(Method::POST, &path, format!("{{\"rows\":[{{\"{column}\":{sent}}}]}}")).await;
        assert_eq!(status, StatusCode::CREATED, "{column} {sent}: {body}");
        assert_eq!(body, format!("{{\"rows\":[{{\"{column}\":{expected}}}],\"count\":1}}"), "{column} {sent}");
        let (status, body) =
            send(Method::POST, &path, format!("{{\"rows\":[{{\"{column}\":{sent}}},{{\"{column}\":{sent}}}]}}")).await;
        assert_eq!(status, StatusCode::CREATED, "{column} {sent}: {body}");
        assert_eq!(
            body,
            format!("{{\"rows\":[{{\"{column}\":{expected}}}, \n {{\"{column}\":{expected}}}],\"count\":2}}"),
            "{column} {sent}, twice"
        );
        let body = format!("{{\"values\":{{\"{column}\":{sent}}}}}");
        let (status, body) = send(Method::PATCH, &format!("{path}&gt.id=0"), body).await;
        assert_eq!(status, StatusCode::OK, "{column} {sent}: {body}");
        assert!(body.starts_with(&format!("{{\"rows\":[{{\"{column}\":{expected}}}, \n ")), "{column} {sent}: {body}");
        let (status, body) = send(Method::GET, &format!("{path}&limit=2"), String::new()).await;
        assert_eq!(status, StatusCode::OK, "{column}: {body}");
        let rows = format!("{{\"rows\":[{{\"{column}\":{expected}}}, \n {{\"{column}\":{expected}}}],");
        assert!(body.starts_with(&rows), "{column} {sent}: {body}");
        project.sql("truncate t").await;
    }
}

#[tokio::test]
async fn value_of_wrong_type_is_rejected_with_its_column() {
    let app = TestApp::start().await;
    let project = app.create_project("wrong").await;
    project.sql(TYPES).await;
    let secret = project.secret();
    let send = async |method: Method, path: &str, body: String| {
        let request = secret.request(method, path).header("content-type", "application/json").body(body);
        let response = request.send().await.unwrap();
        let status = response.status();
        (status, response.json::<serde_json::Value>().await.unwrap())
    };
    for (column, value) in [
        ("i8", "\"abc\""),
        ("i8", "1.5"),
        ("i8", "9223372036854775808"),
        ("i8", "{\"a\":1}"),
        ("n", "true"),
        ("n2", "1e35"),
        ("tz", "\"yesterday-ish\""),
        ("tz", "\"2024-13-01\""),
        ("d", "\"2023-02-29\""),
        ("b", "\"\\\\xzz\""),
        ("u", "\"1234\""),
        ("ta", "{\"a\":1}"),
        ("ia", "[1,\"x\"]"),
        ("ga", "[[1],[2,3]]"),
        ("m", "\"angry\""),
        ("p", "\"x\""),
        ("p", "{\"a\":\"x\"}"),
        ("r", "\"[5,1]\""),
        ("c", "\"abcdef\""),
        ("vc", "\"abcd\""),
        ("bo", "\"maybe\""),
        ("x", "\"a\\u0000b\""),
        ("jb", "{\"a\":\"\\u0000\"}"),
        ("x", "\"\\ud800\""),
        ("bi", "\"1010\""),
        ("ip", "\"10.0.0.300\""),
        ("xm", "\"<a>\""),
    ] {
        let row = format!("{{\"bo\":true,\"{column}\":{value},\"x\":\"fine\"}}")
            .replace("{\"bo\":true,\"bo\"", "{\"bo\"")
            .replace(if column == "x" { ",\"x\":\"fine\"" } else { "\u{1}" }, "");
        for (method, path, body) in [
            (Method::POST, "/v1/db/t", format!("{{\"rows\":[{row}]}}")),
            (Method::POST, "/v1/db/t", format!("{{\"rows\":[{{}},{row},{row}]}}")),
            (Method::PATCH, "/v1/db/t?is.bo=true", format!("{{\"values\":{row}}}")),
        ] {
            project.sql("truncate t; insert into t (bo) values (true)").await;
            let (status, response) = send(method, path, body.clone()).await;
            assert_eq!(
                (status, response["error"]["code"].as_str()),
                (StatusCode::BAD_REQUEST, Some("invalid_value")),
                "{body}: {response}"
            );
            let message = response["error"]["message"].as_str().unwrap();
            assert!(message.contains(&format!("`{column}`")), "{body}: {message}");
            let (_, left) = secret.get("/v1/db/t?select=bo").await;
            assert_eq!(left["rows"], serde_json::json!([{ "bo": true }]), "{body}");
        }
    }
}

/// SQL that creates rows with random values over the whole range of their types, special values, and nulls. Two column
/// names need escapes in JSON.
const RANDOM_ROWS: &str = "
    create type mood as enum ('sad', 'it''s \"ok\"');
    create type pair as (a int8, b text);
    create domain positive as int4 check (value > 0);
    create domain label as text;
    create table words (id int primary key, \"w \"\"o\"\"\" text);
    insert into words select g, E'\\t\"' || g from generate_series(1, 20) g;
    create table r (
        id int primary key, word_id int references words, i2 int2, i4 int4, i8 int8, f4 float4, f8 float8, n numeric,
        n2 numeric(40, 10), bo bool, x text, vc varchar, c char(9), na name, u uuid, j json, jb jsonb, d date,
        ts timestamp, tz timestamptz, ts0 timestamp(0), tm time, tmz timetz, iv interval, b bytea, m mood, ma mood[],
        p pair, do_i positive, do_t label, ta text[], tza timestamptz[], na_a numeric[], r int4range, tr tstzrange,
        o oid, ip inet, bi bit(3), mo money, xm xml, \"tab\there \"\"and\"\" \\back\" text);
    insert into r select g, 1 + g % 20, (random() * 65535 - 32768)::int2, (random() * 4294967295 - 2147483648)::int4,
        ((random() - 0.5) * 1.8e19)::int8, (random() - 0.5) * 10.0 ^ (g % 70 - 35),
        (random() - 0.5) * 10.0 ^ (g % 600 - 300),
        (random() - 0.5)::numeric * 10::numeric ^ (g % 60 - 30), random()::numeric * 10 ^ 20, random() < 0.5,
        t.text, t.text, left(t.text, 7), 'name ' || g, md5(t.text)::uuid, to_json(t.text), to_jsonb(t.text),
        date '2000-01-01' + ((random() - 0.0012) * 2000000000)::int,
        timestamp '2000-01-01' + (random() - 0.02) * 106000000 * interval '1 day',
        timestamptz '2000-01-01Z' + (random() - 0.02) * 106000000 * interval '1 day',
        timestamp '2000-01-01' + random() * interval '50 years', '00:00'::time + random() * interval '1 day',
        '12:00+05:30', random() * interval '1000 days', decode(md5(g::text), 'hex'),
        case when g % 2 = 0 then 'sad' else 'it''s \"ok\"' end::mood, array['sad', null]::mood[], (g, t.text)::pair,
        g, t.text, array[t.text, null], array[now(), 'infinity'], array[1.10, 'NaN'], int4range(g, g + 5),
        tstzrange(now(), null), g, '10.0.0.1/8', b'101', 12.34, '<a/>', t.text
        from generate_series(1, 500) g,
        lateral (select string_agg(chr(1 + (random() * 400)::int), '') as text from generate_series(1, 30 + g * 0)) t;
    insert into r (id) values (1000);
    insert into r (id, f4, f8, n, d, ts, tz) values (1001, 'NaN', 'NaN', 'NaN', 'infinity', 'infinity', 'infinity'),
        (1002, 'Infinity', '-Infinity', 'Infinity', '-infinity', '-infinity', '-infinity'),
        (1003, '-0', '-0', '-Infinity', '0001-01-01 BC', '0001-12-31 23:59:59.999999 BC', '4713-01-01 BC'),
        (1004, 1e38, 5e-324, 0.00, '4713-01-01 BC', '294276-12-31 23:59:59.999999', '294276-12-31 23:59:59Z'),
        (1005, 1, 1e20, 100, '5874897-12-31', '2000-01-01', '1999-12-31 23:59:59.5Z');";

#[tokio::test]
async fn lists_contain_the_json_that_postgres_produces() {
    let app = TestApp::start().await;
    let project = app.create_project("random").await;
    project.sql(RANDOM_ROWS).await;
    let secret = project.secret();
    // With the exact total, Postgres makes the JSON of each row.
    let rows = async |query: &str| {
        let response = secret.request(Method::GET, &format!("/v1/db/r?{query}")).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK, "{query}");
        let body = response.text().await.unwrap();
        let (rows, page) = body.rsplit_once(",\"page\":").unwrap();
        let page: serde_json::Value = serde_json::from_str(page.strip_suffix('}').unwrap()).unwrap();
        (rows.to_owned(), page["nextCursor"].clone())
    };
    for query in [
        "order=id&limit=1000",
        "order=id&limit=7",
        "select=x,id,a:x&order=id&limit=1000",
        "select=x,y:tz,words(*),word_id&order=id.desc&limit=1000",
        "order=tz,id&limit=20",
        "order=n.desc,x,d,id&limit=20",
        "select=f8&order=f8,id&limit=100",
        "select=ts,u&order=u,ts,id&offset=3&limit=50",
        "select=id&gt.id=100000",
        "select=id&limit=0",
    ] {
        let (made_here, made_by_postgres) = (rows(query).await, rows(&format!("{query}&count=exact")).await);
        assert!(made_here == made_by_postgres, "{query}:\n{}\n{}", made_here.0, made_by_postgres.0);
        if let Some(cursor) = made_here.1.as_str() {
            let after = format!("{query}&after={cursor}");
            if !query.contains("offset") {
                assert!(rows(&after).await == rows(&format!("{after}&count=exact")).await, "{after}");
            }
        }
    }
    for id in [1, 1000, 1001, 1002, 1003] {
        let (by_key, listed) =
            (rows(&format!("eq.id={id}")).await, rows(&format!("gte.id={id}&order=id&limit=1&count=exact")).await);
        assert_eq!(by_key.0, listed.0, "{id}");
    }
}

#[tokio::test]
async fn list_follows_a_column_whose_type_changes() {
    let app = TestApp::start().await;
    let project = app.create_project("changing").await;
    project.sql("create table t (id int primary key, a int); insert into t values (1, 2)").await;
    let secret = project.secret();
    let rows = async || secret.get("/v1/db/t?select=a").await.1["rows"].clone();
    assert_eq!(rows().await, serde_json::json!([{ "a": 2 }]));
    for (data_type, expected) in [
        ("text", serde_json::json!([{ "a": "2" }])),
        ("numeric(10,2) using a::numeric", serde_json::json!([{ "a": 2.0 }])),
        ("text[] using array[a::text]", serde_json::json!([{ "a": ["2.00"] }])),
        ("jsonb using to_jsonb(a)", serde_json::json!([{ "a": ["2.00"] }])),
        ("point using point(1, 2)", serde_json::json!([{ "a": "(1,2)" }])),
    ] {
        project.sql(&format!("alter table t alter a type {data_type}")).await;
        eventually(&format!("{data_type}: {expected}"), async || rows().await == expected).await;
    }
}

#[tokio::test]
async fn array_of_a_domain_over_an_array_is_served() {
    let app = TestApp::start().await;
    let project = app.create_project("nested arrays").await;
    project
        .sql(
            "CREATE DOMAIN tags AS text[]; CREATE TABLE plain (id int PRIMARY KEY);
             CREATE TABLE nested (id int PRIMARY KEY, one tags, many tags[]);
             INSERT INTO nested VALUES (1, '{a,b}', ARRAY['{a}', '{b,c}']::tags[]);",
        )
        .await;
    let (status, body) = project.secret().get("/v1/db/nested").await;
    let row = serde_json::json!({ "id": 1, "one": ["a", "b"], "many": [["a"], ["b", "c"]] });
    assert_eq!((status, &body["rows"]), (StatusCode::OK, &serde_json::json!([row])), "{body}");
    assert_eq!(project.secret().get("/v1/db/plain").await.0, StatusCode::OK);
}
