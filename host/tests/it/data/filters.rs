//! Every filter against a real database, and hostile filters and names.

use reqwest::StatusCode;
use serde_json::json;

use crate::support::TestApp;

#[tokio::test]
async fn every_operator_selects_the_matching_rows() {
    let app = TestApp::start().await;
    let project = app.create_project("filters").await;
    project
        .sql(
            "create type mood as enum ('sad', 'ok', 'happy');
             create domain positive as int check (value > 0);
             create table t (id int primary key, name text, code char(5), price numeric, tags text[], grid int[],
                 details jsonb, raw json,
                span int4range, days daterange, seen timestamptz, active bool, mood mood, size positive,
                words tsvector, bin bytea, place point);
             insert into t values
                (1, 'apple', 'ab', 1.5, '{red,\"a,b\"}', '{{1,2},{3,4}}', '{\"k\": 1, \"l\": [1, 2]}', '{\"a\":1}',
                    '[1,5)', '[2024-01-01,2024-02-01)',
                    '2024-01-01T10:00:00Z', true, 'sad', 3, to_tsvector('big red'), '\\x01ff', '(1,2)'),
                (2, 'Banana (big)', 'abcde', 2, '{yellow}', null, '{\"k\": 2}', null, '[10,20)', null,
                    '2024-06-01T00:00:00Z', false, 'ok', 4, null, null, null),
                (3, 'a,b:c\"d\\e', null, null, '{}', '{}', '[\"x\", \"y\"]', null, 'empty', null, null, null, 'happy',
                    null, null, null, null),
                (4, '100% 50_50', 'x', 1e20, null, null, 'null', null, null, null, 'infinity', true, null, null, null,
                    null, null);",
        )
        .await;
    let secret = project.secret();
    let check = async |query: &str, expected: &[i64]| {
        let (status, body) = secret.get(&format!("/v1/db/t?select=id&order=id&{query}")).await;
        assert_eq!(status, StatusCode::OK, "{query}: {body}");
        let ids: Vec<i64> = body["rows"].as_array().unwrap().iter().map(|row| row["id"].as_i64().unwrap()).collect();
        assert_eq!(ids, expected, "{query}");
    };
    check("eq.id=2", &[2]).await;
    check("neq.id=2", &[1, 3, 4]).await;
    check("gt.id=1&lte.id=3", &[2, 3]).await;
    check("gte.id=2&lt.id=4", &[2, 3]).await;
    check("gt.id=1&gt.id=2", &[3, 4]).await;
    check("not.eq.id=2", &[1, 3, 4]).await;
    check("eq.price=1.50", &[1]).await;
    check("gt.price=9007199254740993", &[4]).await;
    check("eq.name=Banana%20(big)", &[2]).await;
    check("eq.name=a,b:c%22d%5Ce", &[3]).await;
    check("like.name=%25an%25", &[2]).await;
    check("like.name=B%25", &[2]).await;
    check("ilike.name=BANANA%25", &[2]).await;
    check("not.like.name=a%25", &[2, 4]).await;
    check("like.name=100%5C%25%25", &[4]).await;
    check("in.id=1,3,9", &[1, 3]).await;
    check("not.in.id=1,3", &[2, 4]).await;
    check("in.id=", &[]).await;
    check("in.name=apple,%22a,b:c%5C%22d%5C%5Ce%22", &[1, 3]).await;
    check("in.mood=sad,happy", &[1, 3]).await;
    check("is.price=null", &[3]).await;
    check("not.is.price=null", &[1, 2, 4]).await;
    check("is.active=true", &[1, 4]).await;
    check("is.active=false", &[2]).await;
    check("is.active=unknown", &[3]).await;
    check("not.is.active=true", &[2, 3]).await;
    // char(5) is padded, and a longer value is not truncated.
    check("eq.code=ab", &[1]).await;
    check("eq.code=abcdefgh", &[]).await;
    check("in.code=ab,x", &[1, 4]).await;
    check("eq.mood=ok", &[2]).await;
    check("gt.mood=sad", &[2, 3]).await;
    // The check of a domain does not apply to filter values.
    check("eq.size=-1", &[]).await;
    check("eq.size=3", &[1]).await;
    check("eq.seen=2024-01-01T12:00:00%2B02:00", &[1]).await;
    check("eq.seen=infinity", &[4]).await;
    check("eq.bin=%5Cx01FF", &[1]).await;
    check("eq.tags={yellow}", &[2]).await;
    check("cs.tags={red}", &[1]).await;
    check("cs.tags=[\"a,b\"]", &[1]).await;
    check("cd.tags={yellow,red}", &[2, 3]).await;
    check("ov.tags={yellow,red}", &[1, 2]).await;
    check("cs.grid=[[3]]", &[1]).await;
    check("cs.details={\"k\":1}", &[1]).await;
    check("cs.details={\"l\":[2]}", &[1]).await;
    check("cd.details={\"k\":2,\"z\":0}", &[2]).await;
    check("ov.details=[\"x\",\"l\"]", &[1, 3]).await;
    check("ov.details={k}", &[1, 2]).await;
    check("eq.details=null", &[4]).await;
    check("cs.span=3", &[1]).await;
    check("cs.span=[11,12)", &[2]).await;
    check("cd.span=[0,100]", &[1, 2, 3]).await;
    check("ov.span=[4,10]", &[1, 2]).await;
    check("cs.days=2024-01-15", &[1]).await;
    check("fts.name=banana", &[2]).await;
    check("fts.name=banana -big", &[]).await;
    check("fts.words=\"big red\"", &[1]).await;
    check("is.raw=null", &[2, 3, 4]).await;
    check("is.place=null", &[2, 3, 4]).await;
    check("or=(eq.id:1,eq.id:3)", &[1, 3]).await;
    check("not.or=(eq.id:1,eq.id:3)", &[2, 4]).await;
    check("or=(and(gt.id:1,lt.id:3),eq.name:\"a,b:c\\\"d\\\\e\")", &[2, 3]).await;
    check("or=(in.id:(1,2),not.is.price:null)&or=(eq.id:2,eq.id:4)", &[2, 4]).await;
    check("or=(cs.tags:{red},is.active:unknown)", &[1, 3]).await;
    check("and=(gt.id:1,or(eq.id:2,eq.id:4))", &[2, 4]).await;
    let many: Vec<String> = (0..1000).map(|number| number.to_string()).collect();
    check(&format!("in.id={}", many.join(",")), &[1, 2, 3, 4]).await;

    let check_error = async |query: &str, code: &str, part: &str| {
        let (status, body) = secret.get(&format!("/v1/db/t?{query}")).await;
        assert_eq!((status, body["error"]["code"].as_str()), (StatusCode::BAD_REQUEST, Some(code)), "{query}: {body}");
        assert!(body["error"]["message"].as_str().unwrap().contains(part), "{query}: {body}");
    };
    check_error("eq.raw={}", "invalid_request", "`raw` of type json").await;
    check_error("eq.place=(1,2)", "invalid_request", "`place`").await;
    check_error("eq.mood=angry", "invalid_value", "Column `mood` expects mood: `angry` is not a value of this enum.")
        .await;
    check_error("cs.tags={a", "invalid_value", "`tags`").await;
    check_error("cs.details={a", "invalid_value", "`details`").await;
    check_error("eq.span=[5,1)", "invalid_value", "`span`").await;
    check_error("in.mood=sad,angry", "invalid_value", "`mood`").await;
    check_error("or=(eq.id:1", "invalid_request", "parenthesis").await;
    check_error("eq.id=1%00", "invalid_request", "NUL").await;
    check_error("eq.name=%ff", "invalid_request", "UTF-8").await;
}

#[tokio::test]
async fn values_are_accepted_in_filters_as_they_are_returned() {
    let app = TestApp::start().await;
    let project = app.create_project("values").await;
    project
        .sql(
            "create type point2 as (x int, label text);
             create type address as (street text, no int, tags text[], extra jsonb, bin bytea, at point2);
             create table t (id int primary key, ints int[], texts text[], grid int[], docs jsonb[], home address,
                 others address[], doc jsonb, note text);
             insert into t values
                (1, '{1,NULL,3}', '{a,\"b c\",NULL,\"NULL\"}', '{{1,2},{3,4}}', array['{\"a\": 1}', '[1, 2]']::jsonb[],
                    row('Main \"st\", \\x (1)', 5, '{a,\"b,c\"}', '{\"k\": [1]}', '\\x01ff', row(1, 'p')),
                    array[row('a', null, null, null, null, null)::address], '{\"pages\": 304}', '[1]'),
                (2, '{}', '{}', '{}', '{}', row(null, null, null, null, null, null), '{}', '{}', '{\"a\":1}'),
                (3, null, null, null, null, null, null, null, null);",
        )
        .await;
    let secret = project.secret();
    let (_, body) = secret.get("/v1/db/t?order=id").await;
    let ids = async |query: &str| {
        let (status, body) = secret.get(&format!("/v1/db/t?select=id&order=id&{query}")).await;
        assert_eq!(status, StatusCode::OK, "{query}: {body}");
        body["rows"].as_array().unwrap().iter().map(|row| row["id"].as_i64().unwrap()).collect::<Vec<_>>()
    };
    let encoded = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    for (row, id, other) in [(&body["rows"][0], 1_i64, 2_i64), (&body["rows"][1], 2, 1)] {
        for column in ["ints", "texts", "grid", "docs", "home", "others"] {
            let value = row[column].to_string();
            assert_eq!(ids(&format!("eq.{column}={}", encoded(&value))).await, [id], "{column}: {value}");
            assert_eq!(ids(&format!("neq.{column}={}", encoded(&value))).await, [other], "{column}: {value}");
            let quoted = format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""));
            assert_eq!(ids(&format!("in.{column}={}", encoded(&quoted))).await, [id], "{column}: {quoted}");
            assert_eq!(ids(&format!("not.in.{column}={}", encoded(&quoted))).await, [other], "{column}: {quoted}");
            let group = format!("(eq.{column}:{quoted})");
            assert_eq!(ids(&format!("or={}", encoded(&group))).await, [id], "{group}");
        }
        let note = row["note"].as_str().unwrap();
        assert_eq!(ids(&format!("eq.note={}", encoded(note))).await, [id], "a text was not compared as text");
    }
    assert_eq!(ids("in.ints=%22[1,null,3]%22,%22{}%22").await, [1, 2]);
    assert_eq!(ids("in.ints=").await, [0_i64; 0]);
    assert_eq!(ids("not.in.ints=").await, [1, 2, 3]);
    assert_eq!(ids("cs.docs=[{\"a\":1}]").await, [1]);
    assert_eq!(ids("cd.docs=[{\"a\":1},[1,2],3]").await, [1, 2]);
    assert_eq!(ids("ov.docs=[[1,2]]").await, [1]);
    assert_eq!(ids("is.ints=NULL").await, [3]);
    let check_error = async |query: &str, part: &str| {
        let (status, body) = secret.get(&format!("/v1/db/t?{query}")).await;
        let code = body["error"]["code"].as_str();
        assert_eq!((status, code), (StatusCode::BAD_REQUEST, Some("invalid_value")), "{query}: {body}");
        assert!(body["error"]["message"].as_str().unwrap().contains(part), "{query}: {body}");
    };
    check_error("eq.ints=[\"x\"]", "Column `ints` expects integer[]").await;
    check_error("eq.ints=[1", "`eq.ints` requires an array").await;
    check_error("eq.home={\"street\":\"a\",\"zip\":1}", "Column `home` expects address: unknown member `zip`").await;
    check_error("eq.home={\"no\":\"x\"}", "Column `home`").await;
    check_error("ov.doc={\"pages\":304}", "`ov.doc` requires an array of keys").await;
}

#[tokio::test]
async fn names_with_special_characters_are_never_executed() {
    let app = TestApp::start().await;
    let project = app.create_project("odd").await;
    project
        .sql(
            r#"create table "odd ""table; --" ("select" int primary key, "a b" text, "Größe,n" int, "x""y" int,
                "r" int, "t" int, "g0" int,
                "json" int, "a.b:c!(d)" text);
               create table "ПРИВЕТ/1" (id int primary key, "id""; drop table victims; --" int);
               create table victims (id int primary key);
               insert into victims values (1);"#,
        )
        .await;
    let secret = project.secret();
    let table = "/v1/db/odd%20%22table;%20--";
    let row = json!({ "select": 1, "a b": "x", "Größe,n": 2, "x\"y": 3, "r": 4, "t": 5, "g0": 6, "json": 7,
        "a.b:c!(d)": "z" });
    let (status, body) =
        secret.post(table, json!({ "rows": [row, { "select": 2, "r": 1 }, { "select": 3, "r": 1 }] })).await;
    assert_eq!(status, StatusCode::CREATED, "{body}");
    assert_eq!(body["rows"][0], row);
    let check = async |query: &str, expected: serde_json::Value| {
        let (status, body) = secret.get(&format!("{table}?{query}")).await;
        assert_eq!((status, &body["rows"]), (StatusCode::OK, &expected), "{query}: {body}");
    };
    check("eq.select=1", json!([row])).await;
    check("eq.a%20b=x", json!([row])).await;
    check("eq.Größe,n=2&gt.x%22y=0&eq.a.b:c!(d)=z", json!([row])).await;
    check("or=(eq.\"Größe,n\":2,eq.\"a.b:c!(d)\":q)&select=r", json!([{ "r": 4 }])).await;
    check(
        "select=\"Größe,n\",\"x\"\"y\",\"a.b:c!(d)\"&limit=1&order=select",
        json!([{ "Größe,n": 2, "x\"y": 3, "a.b:c!(d)": "z" }]),
    )
    .await;
    check("select=r,x%20y:t&order=\"a.b:c!(d)\".desc.nullslast,g0&limit=1", json!([{ "r": 4, "x y": 5 }])).await;
    let (status, body) =
        secret.patch(&format!("{table}?gt.select=1&maxAffected=5"), json!({ "values": { "x\"y": 9 } })).await;
    assert_eq!((status, body["count"].as_i64()), (StatusCode::OK, Some(2)), "{body}");
    let (status, body) = secret.delete(&format!("{table}?eq.select=3")).await;
    assert_eq!((status, body["count"].as_i64()), (StatusCode::OK, Some(1)), "{body}");
    let (status, body) =
        secret.get("/v1/db/%D0%9F%D0%A0%D0%98%D0%92%D0%95%D0%A2%2F1?eq.id%22;%20drop%20table%20victims;%20--=1").await;
    assert_eq!((status, &body["rows"]), (StatusCode::OK, &json!([])), "{body}");

    for attempt in [
        "eq.select=1;drop%20table%20victims",
        "select=select;drop%20table%20victims",
        "order=select;drop%20table%20victims",
        "order=(select%201)",
        "select=count(*)",
        "select=pg_sleep(10)",
        "eq.select)%20or%20(1=1",
        "limit=1;drop%20table%20victims",
        "or=(eq.select:1)%20or%20true)",
        "select=select::text",
        "eq.select::text=1",
    ] {
        let (status, body) = secret.get(&format!("{table}?{attempt}")).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{attempt}: {body}");
    }
    let (_, body) = secret.get("/v1/db/victims").await;
    assert_eq!(body["rows"], json!([{ "id": 1 }]));
}
