//! The metrics, as Prometheus reads them.

use std::{
    collections::BTreeSet,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use reqwest::StatusCode;

use crate::{
    docs::markdown::workspace_root,
    openapi::{cache_folder, installed},
    support::{ADMIN_TOKEN, TestApp, eventually},
};

/// Adds the names of the metrics that the source files of a folder record to `names`.
fn recorded_metrics(folder: &Path, names: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            recorded_metrics(&path, names);
            continue;
        }
        let source = fs::read_to_string(&path).unwrap();
        for kind in ["counter!(", "gauge!(", "histogram!("] {
            for (_, rest) in source.match_indices(kind).map(|(at, _)| source[at..].split_once('(').unwrap()) {
                if let Some(name) = rest.trim_start().strip_prefix('"') {
                    names.insert(name.split('"').next().unwrap().to_owned());
                }
            }
        }
    }
}

#[test]
fn every_recorded_metric_has_a_help_text() {
    let source = workspace_root().join("host/src");
    let mut names = BTreeSet::new();
    recorded_metrics(&source, &mut names);
    assert!(names.len() > 8, "{names:?}");
    let described = fs::read_to_string(source.join("observability.rs")).unwrap();
    let missing: Vec<_> = names.iter().filter(|name| !described.contains(&format!("\"{name}\""))).collect();
    assert!(missing.is_empty(), "add them to METRICS in observability.rs: {missing:?}");
}

fn promtool() -> PathBuf {
    let in_path = std::env::var_os("PATH").and_then(|path| {
        std::env::split_paths(&path).map(|folder| folder.join("promtool")).find(|file| file.is_file())
    });
    in_path.unwrap_or_else(|| installed(cache_folder().join("promtool/promtool")))
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_pass_promtool() {
    let app = TestApp::builder().first_party_plugins().start().await;
    let project = app.create_project("metrics").await;
    assert_eq!(project.secret().get("/v1/db/tables").await.0, StatusCode::OK);
    let metrics = || async {
        let request = reqwest::Client::builder().no_proxy().build().unwrap().get(app.admin().url("/metrics"));
        request.header("x-dev-admin-token", ADMIN_TOKEN).send().await.unwrap().text().await.unwrap()
    };
    let text = eventually("the request is counted", async || {
        Some(metrics().await).filter(|text| text.contains("atlashub_http_requests_total{"))
    })
    .await;
    let of_kind = |kind: &str| -> BTreeSet<String> {
        let lines = text.lines().filter_map(|line| line.strip_prefix(&format!("# {kind} ")));
        lines.map(|line| line.split(' ').next().unwrap().to_owned()).collect()
    };
    assert_eq!(of_kind("TYPE"), of_kind("HELP"));
    let mut check = Command::new(promtool());
    check.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut check = check.spawn().unwrap();
    check.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = check.wait_with_output().unwrap();
    let problems = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && problems.is_empty(), "{problems}");
}
