//! The address of the embedded store.

use std::{fs, net::TcpListener, path::Path};

use reqwest::StatusCode;
use serde_json::json;

use crate::support::{Client, ProgramVars, Serving, Uploads as _, open_folder};

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
    // If this fails, another program has the port.
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

    let serving = vars.serve(&[]);
    assert_eq!(address(), first);
    drop(serving);
}
