//! Values are returned exactly as they were written.

use reqwest::{Method, StatusCode};

use crate::support::TestApp;

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
async fn values_round_trip_exactly() {
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
