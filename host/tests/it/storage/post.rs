//! Browser forms: a POST policy limits the length, which a plain PUT can't.

use reqwest::{Response, StatusCode, multipart};
use serde_json::{Value, json};

use crate::support::{TestApp, Uploads, raw};

/// Submits a signed form, with some fields changed.
pub async fn submit(signed: &Value, bytes: &str, changed_fields: &[(&str, &str)]) -> Response {
    let mut form = multipart::Form::new();
    for (name, value) in signed["fields"].as_object().unwrap() {
        let changed = changed_fields.iter().find(|(field, _)| field == name).map(|(_, value)| *value);
        form = form.text(name.clone(), changed.unwrap_or(value.as_str().unwrap()).to_owned());
    }
    let file = multipart::Part::text(bytes.to_owned()).file_name("x").mime_str("text/plain").unwrap();
    raw().post(signed["uploadUrl"].as_str().unwrap()).multipart(form.part("file", file)).send().await.unwrap()
}

#[tokio::test]
async fn signed_form_accepts_only_its_length_type_and_key() {
    let app = TestApp::start().await;
    let project = app.create_project("forms").await;
    let signed = project.secret().sign("form/ü 1.txt", json!({ "mode": "post", "maxSize": 10 })).await;
    assert_eq!((signed["method"].as_str(), signed["objectKey"].as_str()), (Some("POST"), Some("uploads/form/ü 1.txt")));
    assert_eq!(signed["headers"], json!({}));

    assert!(submit(&signed, "12345678901", &[]).await.status().is_client_error(), "too long");
    assert!(submit(&signed, "1", &[("key", "uploads/other.txt")]).await.status().is_client_error(), "another key");
    assert!(submit(&signed, "1", &[("Content-Type", "text/html")]).await.status().is_client_error(), "another type");
    assert!(submit(&signed, "1", &[("x-amz-signature", &"0".repeat(64))]).await.status().is_client_error());
    assert_eq!(project.secret().sign_download("form/ü 1.txt").await.0, StatusCode::NOT_FOUND);

    let response = submit(&signed, "1234567890", &[]).await;
    assert!(response.status().is_success(), "{}", response.text().await.unwrap());
    assert_eq!(project.secret().download("form/ü 1.txt").await, b"1234567890");

    let exact = project.secret().sign("exact.txt", json!({ "mode": "post", "size": 3 })).await;
    assert!(submit(&exact, "12", &[]).await.status().is_client_error());
    assert!(submit(&exact, "1234", &[]).await.status().is_client_error());
    assert!(submit(&exact, "123", &[]).await.status().is_success());
}
