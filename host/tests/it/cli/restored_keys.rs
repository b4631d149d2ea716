//! `atlashub restore`: keys, approvals and master keys of an installation whose platform database still exists.

use atlashub::secrets::MasterKey;
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::restore::{back_up, create_project, keyed, path, run_sql};
use crate::support::{ADMIN_TOKEN, Client, Ended, Postgres, ProgramVars, Serving, eventually};

fn admin(serving: &Serving) -> Client {
    Client::new(&*serving.admin_url).with_header("x-dev-admin-token", ADMIN_TOKEN)
}

/// Runs a command once the sessions of the server that was stopped have ended.
async fn run_when_stopped(vars: &ProgramVars, arguments: &[&str]) -> Ended {
    eventually("the server's sessions have ended", async || {
        let ended = vars.run(arguments);
        (!ended.stderr.contains("stop all servers")).then_some(ended)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn restored_platform_revives_no_key_of_a_deleted_project() {
    let vars = ProgramVars::external(&Postgres::shared().platform_database().await);
    let serving = vars.serve(&[]);
    let owner = admin(&serving);
    let project = create_project(&owner, "Deleted later").await;
    let id = project["project"]["id"].as_str().unwrap();
    run_sql(&owner, &project, "CREATE TABLE items (id int PRIMARY KEY)").await;
    let (_, revoked) = owner.post(&path(&project, "/keys"), json!({ "type": "secret", "name": "revoked" })).await;
    let backup = back_up(&owner, "platform").await;
    back_up(&owner, &format!("project:{id}")).await;
    let revoke = path(&project, &format!("/keys/{}", revoked["apiKey"]["id"].as_str().unwrap()));
    assert_eq!(owner.delete(&revoke).await.0, StatusCode::NO_CONTENT);
    // No project is left, and the platform database no longer records which keys of this project were revoked.
    let (status, body) = owner.delete_with(&path(&project, ""), json!({ "confirm": "Deleted later" })).await;
    assert_eq!(status, StatusCode::NO_CONTENT, "{body}");
    serving.end();

    let arguments = ["restore", "platform", "--backup", backup["id"].as_str().unwrap(), "--yes"];
    let restored = run_when_stopped(&vars, &arguments).await;
    assert_eq!(restored.code, Some(0), "{restored:?}");
    assert!(restored.stdout.contains("create new keys for Deleted later"), "{restored:?}");
    let restored = run_when_stopped(&vars, &["restore", "project", id, "--yes"]).await;
    assert_eq!(restored.code, Some(0), "{restored:?}");

    let serving = vars.serve(&[]);
    for key in [&revoked["key"], &project["secretKey"], &project["publishableKey"]] {
        let (status, body) = keyed(&serving, key).get("/v1/db/items").await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{body}");
    }
    let new = json!({ "type": "secret", "name": "new" });
    let (status, created) = admin(&serving).post(&path(&project, "/keys"), new).await;
    assert_eq!(status, StatusCode::CREATED, "{created}");
    let (status, body) = keyed(&serving, &created["key"]).get("/v1/db/items").await;
    assert_eq!(status, StatusCode::OK, "{body}");
}

#[tokio::test(flavor = "multi_thread")]
async fn restore_over_a_database_of_another_installation_says_that_revoked_keys_are_valid() {
    let url = Postgres::shared().platform_database().await;
    let vars = ProgramVars::external(&url);
    let serving = vars.serve(&[]);
    let owner = admin(&serving);
    let project = create_project(&owner, "Old machine").await;
    let backup = back_up(&owner, "platform").await;
    serving.end();
    // A server that was started on a new machine before the restore has a database that knows no project.
    let mut connection = <sqlx::PgConnection as sqlx::Connection>::connect(&url).await.unwrap();
    let forget = "TRUNCATE projects CASCADE; DELETE FROM audit_logs";
    sqlx::raw_sql(forget).execute(&mut connection).await.expect(forget);
    sqlx::Connection::close(connection).await.unwrap();

    let arguments = ["restore", "platform", "--backup", backup["id"].as_str().unwrap(), "--yes"];
    let restored = run_when_stopped(&vars, &arguments).await;
    assert_eq!(restored.code, Some(0), "{restored:?}");
    assert!(restored.stdout.contains("has none of the restored projects"), "{restored:?}");
    assert!(!restored.stdout.contains("stays revoked"), "{restored:?}");
    let serving = vars.serve(&[]);
    let (status, body) = admin(&serving).get(&path(&project, "")).await;
    assert_eq!(status, StatusCode::OK, "{body}");
}

#[tokio::test(flavor = "multi_thread")]
async fn restored_platform_keeps_narrowed_grants() {
    let vars = ProgramVars::external(&Postgres::shared().platform_database().await);
    let serving = vars.serve(&[]);
    let owner = admin(&serving);
    create_project(&owner, "Narrowed").await;
    let backup = back_up(&owner, "platform").await;
    let (_, plugin) = owner.get("/admin/v1/plugins/http-job").await;
    assert_eq!(plugin["approval"]["approvedBy"], "system", "{plugin}");
    let narrowed: Vec<Value> = plugin["requested"]
        .as_array()
        .unwrap()
        .iter()
        .map(|request| {
            let mut scope = request["scope"].clone();
            if request["capability"] == "http" {
                scope["hosts"] = json!(["a.example"]);
            }
            json!({ "capability": request["capability"], "scope": scope })
        })
        .collect();
    let approve = "/admin/v1/plugins/http-job/approve";
    let (status, approved) = owner.post(approve, json!({ "granted": narrowed })).await;
    assert_eq!(status, StatusCode::OK, "{approved}");
    assert_ne!(approved["approval"]["granted"], plugin["approval"]["granted"], "{approved}");
    serving.end();

    let arguments = ["restore", "platform", "--backup", backup["id"].as_str().unwrap(), "--yes"];
    let restored = run_when_stopped(&vars, &arguments).await;
    assert_eq!(restored.code, Some(0), "{restored:?}");
    let serving = vars.serve(&[]);
    let kept = eventually("the plugin is loaded", async || {
        let (_, plugin) = admin(&serving).get("/admin/v1/plugins/http-job").await;
        (plugin["state"] == "active").then_some(plugin)
    })
    .await;
    assert_eq!(kept["approval"], approved["approval"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn restore_of_all_projects_needs_the_master_key_of_their_backups() {
    let vars = ProgramVars::external(&Postgres::shared().platform_database().await);
    let serving = vars.serve(&[]);
    let owner = admin(&serving);
    let project = create_project(&owner, "Rotated").await;
    back_up(&owner, &format!("project:{}", project["project"]["id"].as_str().unwrap())).await;
    serving.end();
    let new = vars.set("PLATFORM_MASTER_KEY", "BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBA=");
    let both = new.clone().set("PLATFORM_MASTER_KEY_PREVIOUS", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
    let rotated = both.run(&["keys", "rotate-master"]);
    assert_eq!(rotated.code, Some(0), "{rotated:?}");

    let all = ["restore", "project", "--all", "--yes"];
    let refused = run_when_stopped(&new, &all).await;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("(Rotated) was not restored. The backup needs the master key"), "{refused:?}");
    assert!(!refused.stdout.contains("(Rotated) restored"), "{refused:?}");
    let restored = run_when_stopped(&both, &all).await;
    assert_eq!(restored.code, Some(0), "{restored:?}");
    assert!(restored.stdout.contains("(Rotated) restored"), "{restored:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn backup_during_a_rotation_needs_both_master_keys() {
    const OLD: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    const NEW: &str = "BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBA=";
    let id = |key: &str| MasterKey::from_base64(key).unwrap().id().to_string();
    let vars = ProgramVars::external(&Postgres::shared().platform_database().await);
    let old = vars.clone().set("PLATFORM_MASTER_KEY", OLD);
    let new = vars.set("PLATFORM_MASTER_KEY", NEW);
    let both = new.clone().set("PLATFORM_MASTER_KEY_PREVIOUS", OLD);
    let serving = old.serve(&[]);
    create_project(&admin(&serving), "Before").await;
    serving.end();
    let serving = both.serve(&[]);
    let owner = admin(&serving);
    create_project(&owner, "During").await;
    let backup = back_up(&owner, "platform").await;
    let backup = backup["id"].as_str().unwrap();
    let (_, detail) = owner.get(&format!("/admin/v1/backups/{backup}")).await;
    assert_eq!(detail["manifest"]["masterKeyId"], json!(id(OLD)), "{detail}");
    serving.end();

    let restore = ["restore", "platform", "--backup", backup, "--yes"];
    let refused = run_when_stopped(&new, &restore).await;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains(&format!("needs the master key {}", id(OLD))), "{refused:?}");
    // The manifest does not name the new key. The loaded database shows that it is needed.
    let refused = run_when_stopped(&old, &restore).await;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains(&format!("encrypted with the master key {}", id(NEW))), "{refused:?}");
    assert!(refused.stderr.contains("nothing was changed"), "{refused:?}");
    let restored = run_when_stopped(&both, &restore).await;
    assert_eq!(restored.code, Some(0), "{restored:?}");
    // A lost key does not make the rest of a backup useless.
    let accepting = [&restore[..], &["--accept-unreadable-values"]].concat();
    let restored = run_when_stopped(&old, &accepting).await;
    assert_eq!(restored.code, Some(0), "{restored:?}");
}
