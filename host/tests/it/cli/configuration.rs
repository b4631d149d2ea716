//! A wrong or missing variable stops the program with one line that names it.

use std::net::TcpListener;

use reqwest::StatusCode;

use crate::support::{ADMIN_TOKEN, Client, Postgres, ProgramVars};

const URL: &str = "postgres://u:p@127.0.0.1:1/platform";

#[test]
fn invalid_configuration_exits_2_with_one_line() {
    let empty = tempfile::tempdir().unwrap();
    let embedded = || ProgramVars::embedded(&empty.path().join("data"));
    let external = || ProgramVars::external(URL);
    let check = |vars: ProgramVars, variable: &str| {
        let ended = vars.run(&["serve"]);
        assert_eq!(ended.code, Some(2), "{variable}: {}", ended.stderr);
        assert_eq!(ended.stdout, "", "{variable}");
        let lines: Vec<_> = ended.stderr.lines().collect();
        assert_eq!(lines.len(), 1, "{variable}: {lines:?}");
        assert!(lines[0].starts_with(&format!("atlashub: {variable} ")), "{variable}: {lines:?}");
        assert!(!lines[0].contains("p@127.0.0.1"), "a password is shown: {lines:?}");
    };
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let folder = empty.path().to_str().unwrap();

    check(embedded().set("ATLASHUB_ENV", "staging"), "ATLASHUB_ENV");
    check(embedded().set("ATLASHUB_ENV", "production"), "ATLASHUB_DATABASE_URL");
    check(embedded().set("ATLASHUB_LOG", "a=b=c"), "ATLASHUB_LOG");
    check(embedded().set("ATLASHUB_PUBLIC_LISTEN", "8080"), "ATLASHUB_PUBLIC_LISTEN");
    check(embedded().set("PLATFORM_MASTER_KEY", "c2hvcnQ="), "PLATFORM_MASTER_KEY");
    check(embedded().set("PLATFORM_MASTER_KEY_PREVIOUS", "c2hvcnQ="), "PLATFORM_MASTER_KEY_PREVIOUS");
    check(embedded().set("DEV_ADMIN_TOKEN_FILE", "/nonexistent"), "DEV_ADMIN_TOKEN_FILE");
    check(embedded().set("ATLASHUB_CA_FILE", "/nonexistent"), "ATLASHUB_CA_FILE");
    check(embedded().set("ATLASHUB_S3_ENDPOINT", "http://localhost:1"), "ATLASHUB_DATABASE_URL");
    check(external().set("ATLASHUB_S3_ACCESS_KEY_ID", ""), "ATLASHUB_S3_ACCESS_KEY_ID");
    check(embedded().set("ATLASHUB_DATABASE_URL", URL), "ATLASHUB_S3_ENDPOINT");
    check(external().set("PLATFORM_MASTER_KEY", ""), "PLATFORM_MASTER_KEY");
    check(external().set("ATLASHUB_ENV", "production"), "DEV_ADMIN_TOKEN");
    check(external().set("ATLASHUB_PUBLIC_LISTEN", &address), "ATLASHUB_PUBLIC_LISTEN");
    check(external().set("ATLASHUB_ADMIN_LISTEN", &address), "ATLASHUB_ADMIN_LISTEN");
    check(embedded().set("ATLASHUB_EMBEDDED_S3_LISTEN", &address), "ATLASHUB_EMBEDDED_S3_LISTEN");
    check(embedded().set("ATLASHUB_POSTGRES_PORT", "70000"), "ATLASHUB_POSTGRES_PORT");
    check(embedded().set("ATLASHUB_POSTGRES_BIN_DIR", folder), "ATLASHUB_POSTGRES_BIN_DIR");
}

#[test]
fn refused_access_key_of_the_store_stops_the_start() {
    // Postgres can't be reached, so the program ends even if it does not check the access key.
    let external = || ProgramVars::external(URL);
    for vars in [
        external().set("ATLASHUB_S3_SECRET_ACCESS_KEY", "another-secret-key"),
        external().set("ATLASHUB_S3_ACCESS_KEY_ID", "another-key"),
    ] {
        let ended = vars.run(&["serve"]);
        let line = ended.stderr.lines().last().unwrap_or_default();
        assert_eq!(ended.code, Some(2), "{}", ended.stderr);
        assert!(line.starts_with("atlashub: ATLASHUB_S3_ACCESS_KEY_ID "), "{}", ended.stderr);
        assert!(line.contains("ATLASHUB_S3_SECRET_ACCESS_KEY") && !line.contains("another"), "{line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn store_that_does_not_respond_does_not_stop_the_start() {
    let url = Postgres::shared().platform_database().await;
    let process = ProgramVars::external(&url).set("ATLASHUB_S3_ENDPOINT", "http://127.0.0.1:1").serve(&[]);
    let admin = Client::new(&*process.admin_url).with_header("x-dev-admin-token", ADMIN_TOKEN);
    assert_eq!(admin.get("/healthz").await.0, StatusCode::OK);
    process.end();
}

#[test]
fn separate_roles_require_external_services() {
    let empty = tempfile::tempdir().unwrap();
    let ended = ProgramVars::embedded(&empty.path().join("data")).run(&["serve", "--role", "gateway"]);
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.starts_with("atlashub: ATLASHUB_DATABASE_URL "), "{}", ended.stderr);
    assert!(!empty.path().join("data").exists(), "a folder was created before the configuration was checked");
}

#[test]
fn commands_have_help() {
    let vars = ProgramVars::default();
    let check = |arguments: &[&str], part: &str| {
        let ended = vars.run(arguments);
        assert_eq!(ended.code, Some(0), "{arguments:?}");
        assert!(ended.stdout.contains(part), "{arguments:?}: {}", ended.stdout);
    };
    check(&["--help"], "docs/CONFIGURATION.md");
    check(&["serve", "--help"], "--role");
    check(&["migrate", "--help"], "--dry-run");
    check(&["doctor", "--help"], "with a remedy");
    check(&["backup", "verify", "--help"], "scratch database");
    check(&["openapi", "--help"], "OpenAPI");
    check(&["keys", "rotate-master", "--help"], "PLATFORM_MASTER_KEY_PREVIOUS");
    assert_eq!(vars.run(&[]).code, Some(2));
}

#[test]
fn openapi_needs_no_configuration() {
    let ended = ProgramVars::default().set("ATLASHUB_ENV", "nonsense").run(&["openapi"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let document: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    assert!(document["paths"]["/admin/v1/projects"]["post"].is_object());
}
