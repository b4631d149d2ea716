//! Requests for imports that are refused, and files of which no row can be imported.

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{
    imports::{ITEMS, counts, import, upload, value},
    start,
};
use crate::support::{TestApp, code, must_send};

#[tokio::test]
async fn row_that_can_not_be_read_is_reported_without_reading_the_file_again() {
    let app = start().await;
    let project = app.create_project("Shop").await;
    project.sql("CREATE TABLE pairs (a int PRIMARY KEY, b text)").await;
    // Postgres also refuses a row of the second file, and only then the file is read again.
    for (file, is_read_again) in [("a,b\n1,x\n2\n3,z\n", false), ("a,b\n1,x\n1,y\n2\n", true)] {
        let failed = import(&app, &project, "pairs", "csv", file, json!({})).await;
        let path = format!("/admin/v1/runs/{}/log", failed["runId"].as_str().unwrap());
        let (status, log) = app.admin().get(&path).await;
        assert_eq!((status, log.to_string().contains("staging its rows")), (StatusCode::OK, is_read_again), "{log}");
        if !is_read_again {
            let text = "Line 3: The row has 1 field, but must have 2. Nothing was imported.";
            assert_eq!((&failed["state"], &failed["errorText"]), (&json!("failed"), &json!(text)), "{failed}");
            assert_eq!(counts(&failed), [1, 0, 0, 0, 1], "{failed}");
            assert_eq!(
                (&failed["errors"][0]["line"], &failed["errors"][0]["code"]),
                (&json!(3), &json!("wrong_field_count"))
            );
        }
        assert_eq!(value(&project, "SELECT count(*) FROM pairs").await, 0);
    }
}

#[tokio::test]
async fn invalid_requests_are_refused() {
    let app = TestApp::start().await;
    let project = app.create_project("Shop").await;
    project.sql(ITEMS).await;
    project.sql("CREATE VIEW names AS SELECT name FROM items; CREATE TABLE bare (n int)").await;
    // Postgres cuts longer names to this length.
    let longest = "t".repeat(63);
    project.sql(&format!("CREATE TABLE {longest} (n int)")).await;
    let create =
        |table: &str, size: i64| json!({ "projectId": project.id, "table": table, "format": "csv", "sizeBytes": size });
    let cases = [
        (create("nowhere", 1), StatusCode::NOT_FOUND, "unknown_table"),
        (create("pg_class", 1), StatusCode::NOT_FOUND, "unknown_table"),
        (create(&format!("{longest}x"), 1), StatusCode::NOT_FOUND, "unknown_table"),
        (create("names", 1), StatusCode::UNPROCESSABLE_ENTITY, "unprocessable"),
        (create("items", 0), StatusCode::BAD_REQUEST, "invalid_request"),
        (create("items", 30 << 30), StatusCode::PAYLOAD_TOO_LARGE, "object_too_large"),
    ];
    for (request, status, expected) in cases {
        let (found, body) = app.admin().post("/admin/v1/imports", request.clone()).await;
        assert_eq!((found, code(&body)), (status, expected), "{request}");
    }
    let mut long = create("items", 1);
    long["fileName"] = "n".repeat(201).into();
    let unknown_format = json!({ "projectId": project.id, "table": "items", "format": "xlsx", "sizeBytes": 1 });
    for (request, field) in [(create("items", 0), "sizeBytes"), (long, "fileName"), (unknown_format, "format")] {
        let (status, body) = app.admin().post("/admin/v1/imports", request.clone()).await;
        let found = (status, &body["error"]["details"]["field"]);
        assert_eq!(found, (StatusCode::BAD_REQUEST, &json!(field)), "{request}: {body}");
    }
    let (_, created) = app.admin().post("/admin/v1/imports", create("items", 5)).await;
    let path = format!("/admin/v1/imports/{}", created["import"]["id"].as_str().unwrap());
    for action in ["preview", "start"] {
        let (status, body) = app.admin().post(&format!("{path}/{action}"), json!({})).await;
        assert_eq!((status, code(&body)), (StatusCode::CONFLICT, "conflict"), "{body}");
    }
    must_send(&created, "x,y\n1".to_owned()).await;
    for (request, words, details) in [
        (json!({}), "No field", json!({ "field": "mapping" })),
        (json!({ "mapping": { "z": "name" } }), "no field `z`", json!({ "field": "mapping", "source": "z" })),
        (json!({ "mapping": { "x": "nowhere" } }), "no column `nowhere`", json!({ "field": "mapping", "source": "x" })),
        (
            json!({ "mapping": { "x": "name", "y": "name" } }),
            "both mapped",
            json!({ "field": "mapping", "source": "y" }),
        ),
        (
            json!({ "mapping": { "x": "name" }, "mode": "upsert" }),
            "mapped to this column",
            json!({ "field": "mapping" }),
        ),
        (
            json!({ "mapping": { "x": "name" }, "mode": "upsert", "conflict": ["note"] }),
            "must name the columns",
            json!({ "field": "conflict" }),
        ),
        (
            json!({ "mapping": { "x": "name" }, "conflict": ["name"] }),
            "only for the mode",
            json!({ "field": "conflict" }),
        ),
        (json!({ "delimiter": "||" }), "one ASCII character", json!({ "field": "delimiter" })),
        (json!({ "nullText": "n".repeat(101) }), "at most 100 bytes", json!({ "field": "nullText" })),
        (json!({ "mode": "merge" }), "`mode` must be one of", json!({ "field": "mode" })),
        (json!({ "mapping": { "x": 1 } }), "`mapping.x` must be", json!({ "field": "mapping.x" })),
    ] {
        let (status, body) = app.admin().post(&format!("{path}/start"), request.clone()).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{request}: {body}");
        assert!(body["error"]["message"].as_str().unwrap().contains(words), "{body}");
        assert_eq!(body["error"]["details"], details, "{request}: {body}");
    }
    let (status, body) = app.admin().post(&format!("{path}/preview"), json!({ "delimiter": "\"" })).await;
    assert_eq!((status, &body["error"]["details"]["field"]), (StatusCode::BAD_REQUEST, &json!("delimiter")), "{body}");
    assert_eq!(app.admin().delete(&path).await.0, StatusCode::NO_CONTENT);
    assert_eq!(app.admin().get(&path).await.0, StatusCode::NOT_FOUND);
    let keyless = upload(&app, &project, "bare", "csv", "n\n1\n").await;
    let (status, body) = app.admin().post(&format!("{keyless}/start"), json!({ "mode": "upsert" })).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{body}");
    assert!(body["error"]["hint"].as_str().unwrap().starts_with("The table has no key. Add"), "{body}");
    assert_eq!(app.admin().delete(&keyless).await.0, StatusCode::NO_CONTENT);
    let empty = upload(&app, &project, "bare", "json", " ").await;
    let (status, body) = app.admin().post(&format!("{empty}/preview"), json!({})).await;
    assert_eq!((status, code(&body)), (StatusCode::UNPROCESSABLE_ENTITY, "unprocessable"), "{body}");
    let utf_16 = upload(&app, &project, "bare", "csv", b"\xff\xfen\0\n\0").await;
    let (status, body) = app.admin().post(&format!("{utf_16}/preview"), json!({})).await;
    assert_eq!(
        (status, &body["error"]["message"]),
        (StatusCode::UNPROCESSABLE_ENTITY, &json!("The file is in UTF-16."))
    );
    // The deleted import is not listed.
    let (_, page) = app.admin().get("/admin/v1/imports").await;
    assert_eq!(page["items"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn upload_is_signed_again_until_the_file_is_uploaded() {
    let app = TestApp::start().await;
    let project = app.create_project("Shop").await;
    project.sql(ITEMS).await;
    let content = "name\na\n";
    let request = json!({ "projectId": project.id, "table": "items", "format": "csv", "sizeBytes": content.len() });
    let (_, created) = app.admin().post("/admin/v1/imports", request).await;
    let id = created["import"]["id"].as_str().unwrap();
    let path = format!("/admin/v1/imports/{id}");
    let sign = async || app.admin().post(&format!("{path}/upload"), Value::Null).await;
    let (status, signed) = sign().await;
    assert_eq!(status, StatusCode::OK, "{signed}");
    assert_eq!((&signed["headers"], &signed["method"]), (&created["headers"], &created["method"]));
    assert_eq!(signed["expiresIn"], created["expiresIn"]);
    assert_eq!(app.admin().get(&path).await.1["state"], "awaitingUpload");

    // The URL expires with the import.
    sqlx::query("UPDATE imports SET expires_at = now() + interval '100 seconds' WHERE id = $1::uuid")
        .bind(id)
        .execute(app.app.platform())
        .await
        .unwrap();
    let (_, signed) = sign().await;
    assert!((1..=100).contains(&signed["expiresIn"].as_i64().unwrap()), "{signed}");
    must_send(&signed, content).await;
    assert_eq!(app.admin().get(&path).await.1["state"], "uploaded");
    let (status, body) = sign().await;
    assert_eq!((status, code(&body)), (StatusCode::CONFLICT, "conflict"), "{body}");
    let (status, preview) = app.admin().post(&format!("{path}/preview"), json!({})).await;
    assert_eq!((status, &preview["rows"]), (StatusCode::OK, &json!([["a"]])), "{preview}");
    let unknown = "/admin/v1/imports/0198c0de-0000-7000-8000-000000000001/upload";
    assert_eq!(app.admin().post(unknown, Value::Null).await.0, StatusCode::NOT_FOUND);

    let (_, audit) = app.admin().get("/admin/v1/audit?action=import.sign_upload").await;
    let signed: Vec<&Value> =
        audit["items"].as_array().unwrap().iter().filter(|entry| entry["result"] == "success").collect();
    assert_eq!(signed.len(), 2, "{audit}");
    assert_eq!((&signed[0]["target"], &signed[0]["details"]["table"]), (&json!(id), &json!("items")), "{audit}");
}

#[tokio::test]
async fn bad_rows_are_reported_even_if_the_file_contains_no_others() {
    let app = start().await;
    let project = app.create_project("Shop").await;
    project.sql("CREATE TABLE items (id int PRIMARY KEY, name text)").await;
    for (format, file, codes) in [
        ("json", r#"[{"id":219,"name":"a\u0000b"}]"#, vec!["nul_character"]),
        ("json", "[1,2]", vec!["invalid_json", "invalid_json"]),
        ("ndjson", r#"{"id":306} {"id":307}"#, vec!["invalid_json"]),
    ] {
        let done = import(&app, &project, "items", format, file, json!({ "onError": "skip" })).await;
        let found: Vec<&str> =
            done["errors"].as_array().unwrap().iter().map(|error| error["code"].as_str().unwrap()).collect();
        assert_eq!((&done["state"], found), (&json!("done"), codes), "{file}: {done}");
        let failed = import(&app, &project, "items", format, file, json!({})).await;
        assert_eq!((&failed["state"], &failed["errors"][0]["line"]), (&json!("failed"), &json!(1)), "{file}: {failed}");
    }
}
