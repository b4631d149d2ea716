//! The address of the embedded store, and its limit on forms.

use std::{fs, net::TcpListener, path::Path};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::{
    storage::post::submit,
    support::{Client, ProgramVars, Serving, Uploads as _, open_folder, upload_request},
};

const DEFAULT_ADDRESS: &str = "127.0.0.1:8082";

/// Creates a project, and returns a client with its secret key.
async fn project(serving: &Serving, data: &Path) -> Client {
    let token = fs::read_to_string(data.join("secrets/admin-token")).unwrap();
    let admin = Client::new(&*serving.admin_url).with_header("x-dev-admin-token", token.trim());
    let (status, project) = admin.post("/admin/v1/projects", json!({ "name": "files" })).await;
    assert_eq!(status, StatusCode::CREATED, "{project}");
    Client::new(&*serving.public_url).with_header("x-api-key", project["secretKey"].as_str().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn store_uses_and_keeps_a_free_port_if_the_default_one_is_taken() {
    // If this fails, another program has the port, so it is taken anyway.
    let _taken = TcpListener::bind(DEFAULT_ADDRESS);
    let root = open_folder();
    let data = root.path().join("data");
    let vars = ProgramVars::embedded(&data).set("ATLASHUB_EMBEDDED_S3_LISTEN", "");
    let serving = vars.serve(&[]);
    let address = || fs::read_to_string(data.join("store-address")).unwrap().trim().to_owned();
    let first = address();
    assert_ne!(first, DEFAULT_ADDRESS);
    let secret = project(&serving, &data).await;
    let signed = secret.sign("a.txt", json!({})).await;
    assert!(signed["uploadUrl"].as_str().unwrap().starts_with(&format!("http://{first}/")), "{signed}");
    secret.upload("b.txt", "bytes").await;
    assert_eq!(secret.download("b.txt").await, b"bytes");
    let log = serving.end().join("\n");
    assert!(log.contains(DEFAULT_ADDRESS) && log.contains(&first), "{log}");
    // The end of the embedded Postgres is not logged as an error.
    assert!(!log.contains("does not respond") && !log.contains("closed pool"), "{log}");

    let serving = vars.serve(&[]);
    assert_eq!(address(), first);
    drop(serving);
}

#[tokio::test(flavor = "multi_thread")]
async fn form_larger_than_the_store_accepts_is_refused_when_it_is_signed() {
    let root = open_folder();
    let data = root.path().join("data");
    let serving = ProgramVars::embedded(&data).serve(&[]);
    let secret = project(&serving, &data).await;
    let limit = 64 << 20;
    let sign = async |extra| secret.post("/v1/storage/signed-upload", upload_request("a.txt", extra)).await;
    for field in ["maxSize", "size"] {
        let (status, error) = sign(json!({ "mode": "post", field: limit + 1 })).await;
        let found = (status, &error["error"]["details"]["field"]);
        assert_eq!(found, (StatusCode::BAD_REQUEST, &json!(field)), "{error}");
        assert!(error["error"]["hint"].as_str().unwrap().contains("`multipart`"), "{error}");
        let (status, signed) = sign(json!({ "mode": "put", field: limit + 1 })).await;
        assert_eq!(status, StatusCode::OK, "{signed}");
    }
    // Without `maxSize`, the policy has the store's limit, not that of the bucket.
    let (explicit, default) = (json!({ "mode": "post", "maxSize": limit }), json!({ "mode": "post" }));
    for extra in [explicit, default] {
        let signed = secret.sign("a.txt", extra).await;
        let policy = STANDARD.decode(signed["fields"]["policy"].as_str().unwrap()).unwrap();
        let policy: Value = serde_json::from_slice(&policy).unwrap();
        assert_eq!(policy["conditions"][1], json!(["content-length-range", 0, limit]), "{policy}");
    }
    // The store accepts the largest form.
    let signed = secret.sign("a.txt", json!({ "mode": "post", "size": limit })).await;
    let response = submit(&signed, &"x".repeat(limit), &[]).await;
    assert!(response.status().is_success(), "{}", response.text().await.unwrap());
}
