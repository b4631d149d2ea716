//! `atlashub backup create` next to other runs, `atlashub backup list` without the platform database, and commands that
//! find no data in their folder.

use atlashub::config::Role;
use serde_json::{Value, json};

use crate::{
    backups::catalogue::store_backup,
    support::{ProgramVars, TestApp, TestRunner, open_folder},
};

#[tokio::test(flavor = "multi_thread")]
async fn backup_create_changes_no_other_run_and_creates_none_for_due_jobs() {
    let runner = TestRunner::new();
    let app = TestApp::builder().role(Role::Gateway).runner(runner.node("gateway")).start().await;
    let due = app.create_job(json!({ "scheduleCron": "* * * * * *", "overlap": "allow" })).await;
    let queued = app.run_job(&app.create_job(json!({})).await).await;
    let crashed = app.run_job(&app.create_job(json!({})).await).await;
    sqlx::query(
        "UPDATE cron_job_runs SET status = 'running', started_at = now(), worker = 'crashed',
             lease_token = gen_random_uuid(), lease_until = now() - interval '1 minute' WHERE id = $1::text::uuid",
    )
    .bind(&crashed)
    .execute(app.app.platform())
    .await
    .unwrap();

    let vars = ProgramVars::external(app.services.database_url.expose())
        .set("PLATFORM_MASTER_KEY", &app.services.master_key.to_base64());
    let ended = tokio::task::spawn_blocking(move || vars.run(&["backup", "create", "platform"])).await.unwrap();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stdout.contains("platform"), "{ended:?}");
    assert_eq!(app.run(&queued).await["status"], "queued");
    assert_eq!(app.run(&crashed).await["status"], "running");
    assert_eq!(app.runs_of(&due).await.len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn backup_list_works_without_a_database() {
    let app = TestApp::start().await;
    let project = app.create_project("listed by the program").await;
    let older = store_backup(&app, &project, 2).await;
    let newer = store_backup(&app, &project, 1).await;
    let target = format!("project:{}", project.id);
    let vars = ProgramVars::external("postgres://nobody:nothing@127.0.0.1:1/platform");
    let ended = vars.run(&["backup", "list", "--target", &target]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let lines: Vec<&str> = ended.stdout.lines().collect();
    assert_eq!(lines.len(), 2, "{ended:?}");
    assert!(lines[0].contains(&newer.object_key) && lines[1].contains(&older.object_key), "{ended:?}");
    assert!(lines[0].contains("listed by the program"), "{ended:?}");

    let ended = vars.run(&["backup", "list", "--target", &target, "--json"]);
    let first: Value = serde_json::from_str(ended.stdout.lines().next().unwrap()).unwrap();
    assert_eq!(first["sha256"], newer.sha256);
    assert_eq!(first["tables"][0]["rows"], 3);

    let ended = vars.clone().set("ATLASHUB_MAX_CONECTIONS", "5").run(&["backup", "list", "--target", &target]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stderr.contains("ATLASHUB_MAX_CONECTIONS"), "{ended:?}");
    assert!(ended.stderr.contains("ATLASHUB_MAX_CONNECTIONS"), "{ended:?}");

    let ended = vars.set("ATLASHUB_S3_ENDPOINT", "http://127.0.0.1:1").run(&["backup", "list"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("ATLASHUB_S3_ENDPOINT"), "{ended:?}");
}

#[test]
fn backup_list_starts_only_the_embedded_store() {
    let folder = open_folder();
    std::fs::create_dir(folder.path().join("objects")).unwrap();
    let ended = ProgramVars::embedded(folder.path()).run(&["backup", "list"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stderr.contains("No backups found"), "{ended:?}");
    let made: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(made.iter().all(|name| !name.to_string_lossy().contains("postgres")), "Postgres was started: {made:?}");
}

#[test]
fn commands_that_need_data_create_no_installation_in_a_wrong_folder() {
    let folder = open_folder();
    let wrong = folder.path().join("wrong");
    for arguments in [
        ["backup", "list"].as_slice(),
        &["restore", "--list"],
        &["restore", "everything", "--yes"],
        &["plugin", "list"],
        &["migrate", "--status"],
    ] {
        let ended = ProgramVars::embedded(&wrong).run(arguments);
        assert_eq!(ended.code, Some(1), "{arguments:?}: {ended:?}");
        let message = format!("no AtlasHub data in {}: set ATLASHUB_DATA_DIR", wrong.display());
        assert!(ended.stderr.contains(&message), "{arguments:?}: {ended:?}");
        assert!(!wrong.exists(), "{arguments:?} created {}", wrong.display());
    }
}
