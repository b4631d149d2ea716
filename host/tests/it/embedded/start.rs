//! `atlashub serve` without configuration: its output, its files, and its shutdown.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use atlashub::secrets::MasterKey;
use nix::{
    errno::Errno,
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use reqwest::StatusCode;
use serde_json::json;

use crate::support::{ADMIN_TOKEN, Client, ProgramVars, Serving, eventually, open_folder, until_status};

fn admin(serving: &Serving, data: &Path) -> Client {
    let token = fs::read_to_string(data.join("secrets/admin-token")).unwrap();
    Client::new(&*serving.admin_url).with_header("x-dev-admin-token", token.trim())
}

fn postgres_pid(data: &Path) -> Pid {
    let file = fs::read_to_string(data.join("postgres/cluster/postmaster.pid")).unwrap();
    Pid::from_raw(file.lines().next().unwrap().parse().unwrap())
}

async fn wait_until_gone(pid: Pid) {
    eventually("the process has ended", async || kill(pid, None) == Err(Errno::ESRCH)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn data_survives_a_killed_process() {
    let root = open_folder();
    let data = root.path().join("data");
    let vars = ProgramVars::embedded(&data);
    let serving = vars.serve(&[]);
    let (status, project) = admin(&serving, &data).post("/admin/v1/projects", json!({ "name": "kept" })).await;
    assert_eq!(status, StatusCode::CREATED, "{project}");
    let key = project["secretKey"].as_str().unwrap();
    let api = Client::new(&*serving.public_url).with_header("x-api-key", key);
    let upload = json!({ "bucket": "uploads", "path": "a.txt", "contentType": "text/plain", "maxSize": 100 });
    let (status, signed) = api.post("/v1/storage/signed-upload", upload).await;
    assert_eq!(status, StatusCode::OK, "{signed}");
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let put = http.put(signed["uploadUrl"].as_str().unwrap()).header("content-type", "text/plain").body("kept");
    assert_eq!(put.send().await.unwrap().status(), StatusCode::OK);
    serving.kill();

    let serving = vars.serve(&[]);
    let (status, projects) = admin(&serving, &data).get("/admin/v1/projects").await;
    assert_eq!(status, StatusCode::OK, "{projects}");
    assert_eq!(projects["items"][0]["name"], "kept", "{projects}");
    let api = Client::new(&*serving.public_url).with_header("x-api-key", key);
    let (status, signed) = api.get("/v1/storage/signed-download?bucket=uploads&objectKey=uploads/a.txt").await;
    assert_eq!(status, StatusCode::OK, "{signed}");
    let response = http.get(signed["downloadUrl"].as_str().unwrap()).send().await.unwrap();
    assert_eq!(response.text().await.unwrap(), "kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn second_start_fails_and_the_first_shuts_down_cleanly() {
    let root = open_folder();
    let data = root.path().join("data");
    let vars = ProgramVars::embedded(&data);
    let serving = vars.serve(&[]);
    let banner = serving.banner.join("\n");
    assert!(banner.contains(&format!("{}/#code=", serving.admin_url)), "{banner}");
    assert!(banner.contains(&serving.public_url) && banner.contains("secrets/admin-token"), "{banner}");
    until_status(StatusCode::OK, async || Client::new(&*serving.public_url).get("/readyz").await).await;

    let second = vars.run(&["serve"]);
    assert_eq!(second.code, Some(1));
    assert_eq!(second.stderr.lines().count(), 1, "{}", second.stderr);
    for part in [data.to_str().unwrap(), &format!("process {}", serving.pid()), "ATLASHUB_DATA_DIR"] {
        assert!(second.stderr.contains(part), "{} lacks {part}", second.stderr);
    }
    let doctor = vars.run(&["doctor"]);
    assert_eq!(doctor.code, Some(0), "{}{}", doctor.stdout, doctor.stderr);

    let postgres = postgres_pid(&data);
    serving.signal(Signal::SIGTERM);
    assert_eq!(serving.wait().code(), Some(0));
    assert_eq!(kill(postgres, None), Err(Errno::ESRCH), "Postgres still ran after the end of the program");
    let mode = |name: &str| fs::metadata(data.join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("secrets"), mode("objects"), mode("postgres")), (0o700, 0o700, 0o700));
    for secret in fs::read_dir(data.join("secrets")).unwrap() {
        assert_eq!(secret.unwrap().metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_next_to_a_server_need_its_master_key_but_not_its_admin_token() {
    let root = open_folder();
    let data = root.path().join("data");
    let vars = ProgramVars::embedded(&data);
    let serving = vars.clone().set("DEV_ADMIN_TOKEN", ADMIN_TOKEN).serve(&[]);
    assert!(!data.join("secrets/admin-token").exists());
    for arguments in [["plugin", "list"].as_slice(), &["migrate", "--status"], &["doctor"]] {
        let ended = vars.run(arguments);
        assert_eq!(ended.code, Some(0), "{arguments:?}: {ended:?}");
    }
    drop(serving);

    let data = root.path().join("with-key");
    let vars = ProgramVars::embedded(&data);
    let with_key = vars.clone().set("PLATFORM_MASTER_KEY", &MasterKey::generate().to_base64());
    let _serving = with_key.serve(&[]);
    assert_eq!(with_key.run(&["plugin", "list"]).code, Some(0));
    let ended = vars.run(&["plugin", "list"]);
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.stderr.contains("PLATFORM_MASTER_KEY"), "{ended:?}");
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn postgres_shuts_down_when_the_program_is_killed() {
    let root = open_folder();
    let data = root.path().join("data");
    let serving = ProgramVars::embedded(&data).serve(&[]);
    let postgres = postgres_pid(&data);
    serving.kill();
    wait_until_gone(postgres).await;
    assert!(!data.join("postgres/cluster/postmaster.pid").exists(), "the server was not shut down cleanly");
}

#[test]
fn folder_inaccessible_to_postgres_is_named_in_the_error() {
    if !nix::unistd::geteuid().is_root() {
        // Only root starts Postgres as another user.
        return;
    }
    let closed = tempfile::tempdir().unwrap();
    fs::set_permissions(closed.path(), fs::Permissions::from_mode(0o700)).unwrap();
    let ended = ProgramVars::embedded(&closed.path().join("data")).run(&["serve"]);
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    let lines: Vec<_> = ended.stderr.lines().collect();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains(closed.path().to_str().unwrap()) && lines[0].contains("ATLASHUB_DATA_DIR"), "{lines:?}");
}
