//! Uploads by browser forms.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use reqwest::multipart::{Form, Part};
use reqwest::redirect::Policy;
use time::OffsetDateTime;
use time::format_description::FormatItem;
use time::macros::format_description;

use crate::support::{ACCESS_KEY, BUCKET, REGION, TestServer, bytes, count_files, hmac, http, signing_key};

const AMZ_DATE: &[FormatItem<'_>] = format_description!("[year][month][day]T[hour][minute][second]Z");
const EXPIRATION: &[FormatItem<'_>] = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].000Z");

/// Returns a signed form that permits a text file of 3 to 10 bytes below `uploads/`.
fn form(key: &str, expires_in: i64, fields: &[(&'static str, &'static str)]) -> Form {
    form_for_sizes([3, 10], key, expires_in, fields)
}

/// Returns a signed form that permits a text file of these sizes (smallest and largest) below `uploads/`.
fn form_for_sizes(sizes: [u64; 2], key: &str, expires_in: i64, fields: &[(&'static str, &'static str)]) -> Form {
    let now = OffsetDateTime::now_utc();
    let date = now.format(AMZ_DATE).unwrap();
    let day = date[..8].to_owned();
    let credential = format!("{ACCESS_KEY}/{day}/{REGION}/s3/aws4_request");
    let expiration = (now + time::Duration::seconds(expires_in)).format(EXPIRATION).unwrap();
    let policy = serde_json::json!({"expiration": expiration, "conditions": [
        {"bucket": BUCKET},
        ["starts-with", "$key", "uploads/"],
        ["eq", "$Content-Type", "text/plain"],
        ["starts-with", "$success_action_status", ""],
        ["starts-with", "$success_action_redirect", ""],
        ["content-length-range", sizes[0], sizes[1]],
        {"x-amz-credential": credential}, {"x-amz-algorithm": "AWS4-HMAC-SHA256"}, {"x-amz-date": date},
    ]});
    let policy = BASE64_STANDARD.encode(policy.to_string());
    let signature = hex::encode(hmac(&signing_key(&day), &policy));
    let form = Form::new()
        .text("key", key.to_owned())
        .text("policy", policy)
        .text("x-amz-algorithm", "AWS4-HMAC-SHA256")
        .text("x-amz-credential", credential)
        .text("x-amz-date", date)
        .text("x-amz-signature", signature);
    fields.iter().fold(form, |form, (name, value)| form.text(*name, *value))
}

async fn submit(server: &TestServer, form: Form, file: &'static str) -> (u16, String) {
    let form = form.part("file", Part::text(file).file_name("picked.txt"));
    let response = http().post(server.url("/files")).multipart(form).send().await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

const PLAIN: (&str, &str) = ("Content-Type", "text/plain");

#[tokio::test]
async fn form_that_satisfies_its_policy_uploads_the_file() {
    let server = TestServer::start().await;
    let (status, _) = submit(&server, form("uploads/ä.txt", 60, &[PLAIN]), "12345").await;
    assert_eq!(status, 204);
    assert_eq!(server.get("uploads/ä.txt").await.unwrap(), b"12345");
    let head = server.client.head_object().bucket(BUCKET).key("uploads/ä.txt").send().await.unwrap();
    assert_eq!(head.content_type(), Some("text/plain"));
    let created = form("uploads/b", 60, &[PLAIN, ("success_action_status", "201")]);
    let (status, body) = submit(&server, created, "123").await;
    assert_eq!(status, 201);
    assert!(body.contains("<Key>uploads/b</Key>"), "{body}");
}

#[tokio::test]
async fn response_to_a_form_names_the_object() {
    let server = TestServer::start().await;
    let http = reqwest::Client::builder().redirect(Policy::none()).build().unwrap();
    let send = async |field: (&'static str, &'static str)| {
        let form = form("uploads/a b", 60, &[PLAIN, field]).part("file", Part::text("12345").file_name("picked.txt"));
        http.post(server.url("/files")).multipart(form).send().await.unwrap()
    };
    // The MD5 of `12345`.
    let etag = "827ccb0eea8a706c4c34a16891f84e7b";
    for status in ["200", "201", "204"] {
        let response = send(("success_action_status", status)).await;
        assert_eq!(response.status().as_str(), status);
        assert_eq!(response.headers()["etag"], format!("\"{etag}\""));
        assert_eq!(response.headers()["location"], "/files/uploads/a%20b");
        let body = response.text().await.unwrap();
        assert_eq!(body.contains(&format!("<ETag>&quot;{etag}&quot;</ETag>")), status == "201", "{body}");
    }
    let response = send(("success_action_redirect", "https://app.example/done?a=1")).await;
    assert_eq!(response.status(), 303);
    let expected = format!("https://app.example/done?a=1&bucket=files&key=uploads%2Fa+b&etag=%22{etag}%22");
    assert_eq!(response.headers()["location"], expected);
}

#[tokio::test]
async fn large_form_is_stored_on_a_connection_that_sent_a_large_object() {
    const SIZE: usize = 8 << 20;
    let server = TestServer::start().await;
    // One connection, which the server reads in larger pieces after the first object.
    let http = reqwest::Client::builder().pool_max_idle_per_host(1).build().unwrap();
    for _ in 0..3 {
        let signed = server.sign_put("uploads/before", |request| request).await;
        let response = http.put(signed.uri()).body(bytes(1, SIZE)).send().await.unwrap();
        assert_eq!(response.status(), 200);
        response.bytes().await.unwrap();
        let file = Part::bytes(bytes(2, SIZE)).file_name("large.txt");
        let form = form_for_sizes([0, SIZE as u64], "uploads/large", 60, &[PLAIN]).part("file", file);
        let response = http.post(server.url("/files")).multipart(form).send().await.unwrap();
        let status = response.status();
        assert_eq!(status, 204, "{}", response.text().await.unwrap());
    }
    assert_eq!(server.get("uploads/large").await.unwrap(), bytes(2, SIZE));
}

#[tokio::test]
async fn form_that_fails_a_policy_condition_returns_403() {
    let server = TestServer::start().await;
    for form in [
        form("elsewhere/a", 60, &[PLAIN]),
        form("uploads/a", 60, &[("Content-Type", "text/html")]),
        form("uploads/a", 60, &[]),
        form("uploads/a", 60, &[PLAIN, ("bucket", "another")]),
    ] {
        let (status, body) = submit(&server, form, "12345").await;
        assert_eq!(status, 403, "{body}");
        assert!(body.contains("<Code>AccessDenied</Code><Message>Invalid according to Policy: "), "{body}");
    }
}

#[tokio::test]
async fn placeholder_in_the_key_is_replaced_by_the_file_name() {
    let server = TestServer::start().await;
    let created = form("uploads/${filename}", 60, &[PLAIN, ("success_action_status", "201")]);
    let (status, body) = submit(&server, created, "12345").await;
    assert_eq!(status, 201, "{body}");
    assert!(body.contains("<Key>uploads/picked.txt</Key>"), "{body}");
    assert_eq!(server.get("uploads/picked.txt").await.unwrap(), b"12345");
    // The policy is checked after the replacement.
    let (status, body) = submit(&server, form("${filename}", 60, &[PLAIN]), "12345").await;
    assert!((400..=403).contains(&status), "{status} {body}");
    assert_eq!(server.get("picked.txt").await, None);
}

#[tokio::test]
async fn form_with_a_file_outside_the_size_range_returns_400() {
    let server = TestServer::start().await;
    for (file, code) in [("12345678901", "EntityTooLarge"), ("12", "EntityTooSmall"), ("", "EntityTooSmall")] {
        let (status, body) = submit(&server, form("uploads/a", 60, &[PLAIN]), file).await;
        assert_eq!(status, 400, "{file}");
        assert!(body.contains(code), "{body}");
    }
    assert_eq!(server.get("uploads/a").await, None);
    assert_eq!(submit(&server, form("uploads/a", 60, &[PLAIN]), "1234567890").await.0, 204);
}

#[tokio::test]
async fn rejected_forms_store_nothing() {
    let server = TestServer::start().await;
    let rejected = [
        (form("elsewhere/a", 60, &[PLAIN]), "other folder"),
        (form("uploads/a", 60, &[("Content-Type", "text/html")]), "other type"),
        (form("uploads/a", 60, &[]), "no type"),
        (form("uploads/a", 60, &[PLAIN, ("x-amz-meta-extra", "1")]), "field that is not in the policy"),
        (form("uploads/a", -60, &[PLAIN]), "expired"),
        (Form::new().text("key", "uploads/a"), "not signed"),
        (
            Form::new()
                .text("key", "uploads/a")
                .text("policy", "e30=")
                .text("awsaccesskeyid", ACCESS_KEY)
                .text("signature", "x"),
            "version 2",
        ),
    ];
    for (form, reason) in rejected {
        let (status, body) = submit(&server, form, "12345").await;
        assert!((400..=403).contains(&status), "{reason}: {status} {body}");
    }
    assert!(server.client.list_objects_v2().bucket(BUCKET).send().await.unwrap().contents().is_empty());
    assert_eq!(count_files(&server.folder.path().join("tmp")), 0);
}

#[tokio::test]
async fn form_with_too_long_key_is_rejected() {
    let server = TestServer::start().await;
    let key = format!("uploads/{}", "k".repeat(1020));
    let (status, body) = submit(&server, form(&key, 60, &[PLAIN]), "12345").await;
    assert!(status == 400 && body.contains("KeyTooLong"), "{status} {body}");
}
