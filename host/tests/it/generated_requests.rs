//! Requests that Schemathesis generates from the OpenAPI document: none may return 5xx. Run by
//! `cargo xtask test --schemathesis`.

#![cfg(feature = "schemathesis")]

use std::{path::Path, process::Command};

use crate::support::{ADMIN_TOKEN, TestApp};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn generated_requests_never_return_a_server_error() {
    let app = TestApp::start().await;
    let project = app.create_project("Generated").await;
    project
        .sql(
            "CREATE TABLE items (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL, price numeric,
               tags text[], data jsonb, at timestamptz DEFAULT now(), UNIQUE (name));
             INSERT INTO items (name, price) SELECT 'item ' || i, i FROM generate_series(1, 50) AS i",
        )
        .await;
    let folder = tempfile::tempdir().unwrap();
    let surfaces = [
        ("/v1/", app.public_url.clone(), format!("x-api-key: {}", project.secret_key)),
        ("/admin/", app.admin_url.clone(), format!("x-dev-admin-token: {ADMIN_TOKEN}")),
    ];
    for (prefix, url, header) in surfaces {
        let document = folder.path().join(format!("{}.json", prefix.trim_matches('/')));
        std::fs::write(&document, openapi_of(prefix, &project.id)).unwrap();
        let status = tokio::task::spawn_blocking(move || schemathesis(&document, &url, &header)).await.unwrap();
        assert!(status, "Schemathesis found a server error under {prefix}; see its report above");
    }
}

/// Returns the OpenAPI document of one surface. Path parameters that can't be guessed are set to existing resources.
fn openapi_of(prefix: &str, project: &str) -> String {
    let mut document = serde_json::to_value(atlashub::router::openapi()).unwrap();
    let paths = document["paths"].as_object_mut().unwrap();
    // The response of `events` has no end.
    paths.retain(|path, _| path.starts_with(prefix) && path != "/admin/v1/events");
    for (_, item) in paths.iter_mut() {
        for operation in item.as_object_mut().unwrap().values_mut() {
            for parameter in operation.get_mut("parameters").and_then(|list| list.as_array_mut()).into_iter().flatten()
            {
                let known = match parameter["name"].as_str() {
                    Some("project") => serde_json::json!([project]),
                    Some("table") => serde_json::json!(["items"]),
                    Some("bucket") if parameter["in"] == "path" => serde_json::json!(["uploads"]),
                    _ => continue,
                };
                parameter["schema"] = serde_json::json!({ "type": "string", "enum": known });
            }
        }
    }
    document.to_string()
}

fn schemathesis(document: &Path, url: &str, header: &str) -> bool {
    let program = std::env::var_os("ATLASHUB_TEST_SCHEMATHESIS_BIN").expect("run `cargo xtask test --schemathesis`");
    let status = Command::new(program)
        .args(["run", "--url", url, "--header", header, "--checks", "not_a_server_error"])
        .args(["--phases", "examples,coverage,fuzzing", "--max-examples", "60", "--workers", "1", "--seed", "7"])
        .args(["--request-timeout", "20", "--suppress-health-check", "all", "--warnings", "off"])
        .arg(document)
        .status()
        .expect("Schemathesis should run");
    status.success()
}
