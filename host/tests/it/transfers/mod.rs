//! Exports and imports, through the plugin `import-export` in the real runtime.

mod export_selection;
pub mod exports;
pub mod faults;
pub mod grants;
mod import_discarded;
mod import_leases;
mod import_requests;
mod import_rows;
mod import_upserts;
pub mod imports;

use reqwest::StatusCode;
use serde_json::Value;

use crate::{
    jobs::end_to_end::ended,
    support::{TestApp, raw},
};

pub(crate) async fn start() -> TestApp {
    TestApp::builder().first_party_plugins().start().await
}

/// Starts an export, waits for the end of its run and returns the export.
pub(crate) async fn export(app: &TestApp, request: Value) -> Value {
    let (status, started) = app.admin().post("/admin/v1/exports", request).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{started}");
    ended(&app.admin(), started["runId"].as_str().unwrap()).await;
    get_export(app, &started["exportId"]).await
}

pub(crate) async fn get_export(app: &TestApp, id: &Value) -> Value {
    let (status, export) = app.admin().get(&format!("/admin/v1/exports/{}", id.as_str().unwrap())).await;
    assert_eq!(status, StatusCode::OK, "{export}");
    export
}

/// Downloads the file of an export that must be ready.
pub(crate) async fn download(app: &TestApp, export: &Value) -> Vec<u8> {
    assert_eq!(export["state"], "ready", "{export}");
    let path = format!("/admin/v1/exports/{}/download", export["id"].as_str().unwrap());
    let (status, signed) = app.admin().post(&path, Value::Null).await;
    assert_eq!(status, StatusCode::OK, "{signed}");
    let response = raw().get(signed["downloadUrl"].as_str().unwrap()).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let disposition = response.headers()["content-disposition"].to_str().unwrap().to_owned();
    assert!(disposition.contains(export["fileName"].as_str().unwrap()), "{disposition}");
    let bytes = response.bytes().await.unwrap().to_vec();
    assert_eq!(export["sizeBytes"], bytes.len());
    bytes
}

pub(crate) async fn download_text(app: &TestApp, export: &Value) -> String {
    String::from_utf8(download(app, export).await).unwrap()
}
