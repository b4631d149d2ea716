//! Backups in the age format: they can be opened only with an identity. An identity from a request is used only for
//! that request, or for the run that it starts.

use std::{
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};

use age::{secrecy::ExposeSecret as _, x25519::Identity};
use atlashub::{config::Role, object_store::PLATFORM_BUCKET};
use bytes::Bytes;
use futures_util::TryStreamExt as _;
use reqwest::StatusCode;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    backups::{
        dump::restored,
        end_to_end::ended_run,
        restore::{path_of, restore_of},
        verify::{create_backup, state, verify},
    },
    support::{ProgramVars, TestApp, TestProject, bin_dir, code},
};

/// A platform that encrypts its backups, and a backup of its project.
struct Encrypted {
    app: TestApp,
    project: TestProject,
    backup: Value,
    /// Content of the identity file.
    identity: String,
    key: Identity,
}

impl Encrypted {
    async fn start() -> Self {
        let (key, other) = (Identity::generate(), Identity::generate());
        let recipients = format!("{}, {}", key.to_public(), other.to_public());
        let builder = TestApp::builder().first_party_plugins();
        let app = builder.var("ATLASHUB_BACKUP_AGE_RECIPIENTS", &recipients).start().await;
        let project = app.create_project("Sealed").await;
        project.sql("CREATE TABLE secret_ledger (id int, name text)").await;
        project.sql("INSERT INTO secret_ledger SELECT g, md5(g::text) FROM generate_series(1, 50000) AS g").await;
        let backup = create_backup(&app, &format!("project:{}", project.id)).await;
        let identity = format!("# a file of age-keygen\n{}\n", key.to_string().expose_secret());
        Self { app, project, backup, identity, key }
    }

    fn path(&self, rest: &str) -> String {
        format!("/admin/v1/backups/{}{rest}", self.backup["id"].as_str().unwrap())
    }

    async fn stored(&self, key: &str) -> Vec<u8> {
        let (_, bytes) = self.app.app.store().get(PLATFORM_BUCKET, key).await.unwrap().unwrap();
        bytes.try_collect::<Vec<Bytes>>().await.unwrap().concat()
    }

    async fn dump(&self) -> Vec<u8> {
        self.stored(self.backup["objectKey"].as_str().unwrap()).await
    }

    /// Changes a byte in the middle of the dump, or cuts the dump there.
    async fn damage_dump(&self, damage: Damage) {
        let mut dump = self.dump().await;
        let middle = dump.len() / 2;
        match damage {
            Damage::Changed => dump[middle] ^= 1,
            Damage::Cut => dump.truncate(middle),
        }
        let key = self.backup["objectKey"].as_str().unwrap();
        let put = self.app.app.store().put_small(PLATFORM_BUCKET, key, "application/octet-stream", dump.into());
        put.await.unwrap();
    }

    async fn verify_with(&self, identity: &str) -> Value {
        let (status, started) = self.app.admin().post(&self.path("/verify"), json!({ "identity": identity })).await;
        assert_eq!(status, StatusCode::ACCEPTED, "{started}");
        ended_run(&self.app, started["runId"].as_str().unwrap()).await
    }

    async fn plan(&self, identity: Option<&str>) -> (StatusCode, Value) {
        let request = json!({ "projectId": self.project.id, "identity": identity });
        self.app.admin().post(&self.path("/restore"), request).await
    }

    /// Confirms a restore. Returns the restore after its run.
    async fn confirm(&self, restore: &Value, identity: Option<&str>) -> Value {
        let request = json!({ "confirm": self.project.name, "identity": identity });
        let (status, started) = self.app.admin().post(&path_of(restore, "/confirm"), request).await;
        assert_eq!(status, StatusCode::ACCEPTED, "{started}");
        ended_run(&self.app, started["runId"].as_str().unwrap()).await;
        restore_of(&self.app, restore).await
    }

    async fn count(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql).fetch_one(self.app.app.platform()).await.unwrap()
    }
}

#[derive(Clone, Copy)]
enum Damage {
    Changed,
    Cut,
}

fn generated() -> String {
    Identity::generate().to_string().expose_secret().to_owned()
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

/// Runs a program with the given input. Returns its output.
fn output_of(command: &mut Command, input: &[u8]) -> Vec<u8> {
    let name = command.get_program().to_owned();
    let spawned = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut child = spawned.unwrap_or_else(|error| panic!("{name:?}: {error}; run `cargo xtask setup`"));
    let (mut stdin, input) = (child.stdin.take().unwrap(), input.to_vec());
    let writing = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{name:?}");
    // `pg_restore --list` does not read the whole input.
    drop(writing.join().unwrap());
    output.stdout
}

/// Decrypts with the program `age`.
fn decrypted(dump: &[u8], identity: &Path) -> Vec<u8> {
    output_of(Command::new("age").arg("-d").arg("-i").arg(identity), dump)
}

#[tokio::test]
async fn encrypted_backup_is_opened_by_age_and_pg_restore() {
    let encrypted = Encrypted::start().await;
    let Encrypted { app, project, backup, identity, .. } = &encrypted;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("identity.txt");
    std::fs::write(&file, identity).unwrap();
    let dump = encrypted.dump().await;
    let archive = decrypted(&dump, &file);
    // An unencrypted archive would reveal the names of tables to the store.
    assert!(contains(&archive, "CREATE TABLE public.secret_ledger"));
    assert!(!contains(&dump, "secret_ledger") && !contains(&dump, "PGDMP"));
    let list = output_of(Command::new(bin_dir().join("pg_restore")).arg("--list"), &archive);
    assert!(contains(&list, "TABLE DATA public secret_ledger"), "{}", String::from_utf8_lossy(&list));
    let mut connection = restored(&archive).await;
    let rows: i64 = sqlx::query_scalar("SELECT count(*) FROM secret_ledger").fetch_one(&mut connection).await.unwrap();
    assert_eq!(rows, 50000);

    let manifest: Value =
        serde_json::from_slice(&encrypted.stored(backup["manifestKey"].as_str().unwrap()).await).unwrap();
    assert_eq!((&manifest["encrypted"], &manifest["sizeBytes"]), (&json!(true), &json!(dump.len())), "{manifest}");
    assert_eq!(manifest["tables"], json!([{ "schema": "public", "table": "secret_ledger", "rows": 50000 }]));
    assert_eq!((&backup["encrypted"], &backup["sizeBytes"]), (&json!(true), &json!(dump.len())), "{backup}");
    // The catalogue is rebuilt from the manifests.
    sqlx::query("DELETE FROM backups").execute(app.app.platform()).await.unwrap();
    assert_eq!(state(app, backup).await["encrypted"], true);

    let platform = create_backup(app, "platform").await;
    let dump = encrypted.stored(platform["objectKey"].as_str().unwrap()).await;
    assert!(!contains(&dump, "cron_jobs") && contains(&decrypted(&dump, &file), "cron_jobs"));
    // Exports are for use elsewhere, so they are not encrypted.
    let source = json!({ "kind": "database", "projectId": project.id });
    let export = crate::transfers::export(app, json!({ "source": source, "format": "custom" })).await;
    assert!(crate::transfers::download(app, &export).await.starts_with(b"PGDMP"));
}

#[tokio::test]
async fn encrypted_backup_is_verified_with_its_identity_only() {
    let encrypted = Encrypted::start().await;
    let Encrypted { app, backup, identity, .. } = &encrypted;
    let run = verify(app, backup).await;
    assert_eq!(run["status"], "fail");
    let error = run["errorText"].as_str().unwrap();
    assert!(error.contains("an age identity is needed") && error.contains("--identity-file"), "{run}");
    let run = encrypted.verify_with(&generated()).await;
    assert!(run["errorText"].as_str().unwrap().contains("other recipients"), "{run}");
    // Neither failure marks the backup as bad.
    assert_eq!(state(app, backup).await["state"], "ready");
    let run = encrypted.verify_with(identity).await;
    assert_eq!(run["status"], "success", "{run}");
    assert_eq!(state(app, backup).await["state"], "verified");
    // The identity was used for that run only.
    assert_eq!(verify(app, backup).await["status"], "fail");
    let (status, body) = app.admin().post(&encrypted.path("/verify"), json!({ "identity": "age1x" })).await;
    assert_eq!((status, code(&body)), (StatusCode::BAD_REQUEST, "invalid_request"), "{body}");

    let intact = encrypted.dump().await;
    for damage in [Damage::Changed, Damage::Cut] {
        encrypted.damage_dump(damage).await;
        let run = encrypted.verify_with(identity).await;
        assert!(run["errorText"].as_str().unwrap().contains("was changed"), "{run}");
        assert_eq!(state(app, backup).await["state"], "failed");
        let key = backup["objectKey"].as_str().unwrap();
        let put = app.app.store().put_small(PLATFORM_BUCKET, key, "application/octet-stream", intact.clone().into());
        put.await.unwrap();
    }

    // These tables of the platform database do not contain the identity.
    assert_eq!(encrypted.count("SELECT count(*) FROM run_identities").await, 0);
    let secret = encrypted.key.to_string();
    for table in ["audit_logs", "cron_job_runs", "backups"] {
        let sql = format!("SELECT count(*) FROM {table} t WHERE t::text ILIKE '%' || $1 || '%'");
        let rows = sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).bind(secret.expose_secret());
        let rows: i64 = rows.fetch_one(app.app.platform()).await.unwrap();
        assert_eq!(rows, 0, "{table}");
    }
}

#[tokio::test]
async fn encrypted_backup_is_restored_with_its_identity() {
    let encrypted = Encrypted::start().await;
    let Encrypted { project, identity, .. } = &encrypted;
    let identity = Some(identity.as_str());
    project.sql("DELETE FROM secret_ledger").await;
    for (identity, words) in
        [(None, "an age identity is needed"), (Some(generated()), "does not belong to a recipient")]
    {
        let (status, body) = encrypted.plan(identity.as_deref()).await;
        assert_eq!((status, code(&body)), (StatusCode::UNPROCESSABLE_ENTITY, "unprocessable"), "{body}");
        assert!(body["error"]["message"].as_str().unwrap().contains(words), "{body}");
        assert!(body["error"]["hint"].as_str().unwrap().contains("identity"), "{body}");
    }
    let (_, planned) = encrypted.plan(identity).await;
    assert_eq!(planned["plan"]["encrypted"], true, "{planned}");
    // Without the identity, the confirmation is refused, and the plan stays.
    let confirm = json!({ "confirm": project.name });
    let (status, body) = encrypted.app.admin().post(&path_of(&planned, "/confirm"), confirm).await;
    assert_eq!((status, code(&body)), (StatusCode::UNPROCESSABLE_ENTITY, "unprocessable"), "{body}");
    assert!(body["error"]["message"].as_str().unwrap().contains("an age identity is needed"), "{body}");
    assert!(body["error"]["hint"].as_str().unwrap().contains("stored encrypted until"), "{body}");
    assert_eq!(restore_of(&encrypted.app, &planned).await["state"], "planned");
    let rows = async || {
        let (_, body) = project.secret().get("/v1/db/secret_ledger?count=exact&limit=1").await;
        body["page"]["total"].clone()
    };
    assert_eq!(rows().await, 0);

    let done = encrypted.confirm(&planned, identity).await;
    assert_eq!(done["state"], "done", "{done}");
    assert_eq!(rows().await, 50000);
    project.sql("DELETE FROM secret_ledger").await;
    for damage in [Damage::Changed, Damage::Cut] {
        encrypted.damage_dump(damage).await;
        let (status, planned) = encrypted.plan(identity).await;
        assert_eq!(status, StatusCode::CREATED, "{planned}");
        let failed = encrypted.confirm(&planned, identity).await;
        assert!(failed["errorText"].as_str().unwrap().contains("was changed"), "{failed}");
        assert_eq!(rows().await, 0);
    }
    assert_eq!(encrypted.count("SELECT count(*) FROM run_identities").await, 0);
}

#[tokio::test]
async fn configured_identity_is_used_for_verifications_and_restores() {
    let key = Identity::generate();
    let builder = TestApp::builder().first_party_plugins();
    let builder = builder.var("ATLASHUB_BACKUP_AGE_RECIPIENTS", &key.to_public().to_string());
    let app = builder.var("ATLASHUB_BACKUP_AGE_IDENTITY", key.to_string().expose_secret()).start().await;
    let project = app.create_project("Sealed").await;
    project.sql("CREATE TABLE t AS SELECT 1 AS x").await;
    let backup = create_backup(&app, &format!("project:{}", project.id)).await;
    assert_eq!(verify(&app, &backup).await["status"], "success");
    let path = format!("/admin/v1/backups/{}/restore", backup["id"].as_str().unwrap());
    let (status, planned) = app.admin().post(&path, json!({ "projectId": project.id })).await;
    assert_eq!(status, StatusCode::CREATED, "{planned}");
    let (_, started) = app.admin().post(&path_of(&planned, "/confirm"), json!({ "confirm": "Sealed" })).await;
    ended_run(&app, started["runId"].as_str().unwrap()).await;
    assert_eq!(restore_of(&app, &planned).await["state"], "done");
}

#[tokio::test]
async fn identity_of_a_run_that_does_not_begin_is_sealed_and_removed() {
    // Nothing executes runs on a gateway.
    let app = TestApp::builder().role(Role::Gateway).first_party_plugins().start().await;
    let secret = generated();
    let inserted = sqlx::query(
        "INSERT INTO backups (id, target, created_at, size_bytes, sha256, object_key, manifest_key)
         VALUES ($1, 'platform', now(), 1, repeat('0', 64), 'backups/x.dump', 'backups/x.json')",
    );
    let id = Uuid::now_v7();
    inserted.bind(id).execute(app.app.platform()).await.unwrap();
    let path = format!("/admin/v1/backups/{id}/verify");
    let (status, started) = app.admin().post(&path, json!({ "identity": secret })).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{started}");
    let sealed = async || -> Vec<Vec<u8>> {
        sqlx::query_scalar("SELECT sealed FROM run_identities").fetch_all(app.app.platform()).await.unwrap()
    };
    let stored = sealed().await;
    assert!(stored.len() == 1 && !contains(&stored[0], "AGE-SECRET-KEY"));
    app.app.backups().restores.sweep().await.unwrap();
    assert_eq!(sealed().await.len(), 1);
    let old = "UPDATE run_identities SET created_at = now() - interval '61 minutes'";
    sqlx::query(old).execute(app.app.platform()).await.unwrap();
    app.app.backups().restores.sweep().await.unwrap();
    assert_eq!(sealed().await.len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn command_verifies_an_encrypted_backup_with_an_identity_file() {
    let encrypted = Encrypted::start().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("identity.txt");
    std::fs::write(&file, &encrypted.identity).unwrap();
    let file = file.to_str().unwrap();
    let vars = || ProgramVars::external(encrypted.app.services.database_url.expose());
    let id = encrypted.backup["id"].as_str().unwrap();
    let ended = vars().run(&["backup", "verify", id]);
    assert!(ended.code == Some(1) && ended.stderr.contains("an age identity is needed"), "{ended:?}");
    let ended = vars().run(&["backup", "verify", id, "--identity-file", file]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let ended = vars().set("ATLASHUB_BACKUP_AGE_IDENTITY_FILE", file).run(&["backup", "verify", id]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let ended = vars().run(&["backup", "verify", id, "--identity-file", "/nowhere/identity.txt"]);
    assert!(ended.code == Some(1) && ended.stderr.contains("can't be used"), "{ended:?}");
    let ended = vars().set("ATLASHUB_BACKUP_AGE_RECIPIENTS", "age1x").run(&["backup", "list"]);
    assert!(ended.stderr.contains("`age1x`, which is not an age recipient"), "{ended:?}");
}
