//! Capabilities: calls that a grant allows, and calls that it denies.

use std::{collections::BTreeMap, sync::Arc};

use atlashub::{
    config::Secret,
    jobs::RunReport,
    plugins::{guest::Grants, runtime::HostLimits},
};
use plugin_manifest::{Capability, Scope};
use serde_json::{Value, json};

use crate::{
    notifications::delivery::{app_for, create_channel},
    support::{
        TestApp, WebResponse, WebServer, eventually,
        guests::{Guest, GuestRun, names, unused_services},
    },
};

/// A guest that opens the secret `token`. Returns 0 on success, otherwise 1 plus the index of the `error-code`.
const SECRETS: Guest = Guest {
    imports: r#"
  (import "atlashub:plugin/secrets@0.1.0" (instance $secrets
    (alias outer 1 $error (type $error'))
    (export "error" (type $error (eq $error')))
    (export "secret" (type $secret (sub resource)))
    (export "open" (func (param "name" string) (result (result (own $secret) (error $error)))))))"#,
    lowered: r#"(core func $open (canon lower (func $secrets "open") (memory $memory) (realloc $realloc)))"#,
    wired: r#"(export "open" (func $open))"#,
    core_imports: r#"(import "host" "open" (func $open (param i32 i32 i32)))"#,
    items: r#"(data (i32.const 64) "token") (data (i32.const 24) "\01")"#,
    body: "(call $open (i32.const 64) (i32.const 5) (i32.const 128))
      (i32.store8 (i32.const 32) (i32.add (i32.const 48) (i32.mul
        (i32.load8_u (i32.const 128))
        (i32.add (i32.const 1) (i32.load8_u (i32.const 132))))))",
};

const OK: i32 = 0;
const DENIED: i32 = 1;
const NOT_FOUND: i32 = 2;
const CONFLICT: i32 = 4;
const TOO_LARGE: i32 = 5;

/// A guest that imports only the type `secret`, as guests that use `http` do.
const TYPE_ONLY: Guest = Guest {
    imports: r#"
  (import "atlashub:plugin/secrets@0.1.0" (instance $secrets (export "secret" (type $secret (sub resource)))))"#,
    lowered: "",
    wired: "",
    core_imports: "",
    items: "",
    body: "",
};

const CONFIG: Guest = Guest {
    imports: r#"
  (import "atlashub:plugin/config@0.1.0" (instance $config
    (export "get" (func (param "name" string) (result (option string))))))"#,
    lowered: r#"(core func $get (canon lower (func $config "get") (memory $memory) (realloc $realloc)))"#,
    wired: r#"(export "get" (func $get))"#,
    core_imports: r#"(import "host" "get" (func $get (param i32 i32 i32)))"#,
    items: r#"(data (i32.const 64) "count")"#,
    // Returns the setting's value, or `{}` if it is not set.
    body: "(call $get (i32.const 64) (i32.const 5) (i32.const 128))
      (if (i32.load8_u (i32.const 128)) (then
        (i32.store (i32.const 20) (i32.load (i32.const 132)))
        (i32.store (i32.const 24) (i32.load (i32.const 136)))))",
};

/// A guest that sends the message `ready` 25 times. Returns the outcome of the last call, like [`SECRETS`].
const NOTIFY: Guest = Guest {
    imports: r#"
  (import "atlashub:plugin/notify@0.1.0" (instance $notify
    (alias outer 1 $error (type $error'))
    (export "error" (type $error (eq $error')))
    (export "send" (func async (param "title" string) (param "message" string) (result (result (error $error)))))))"#,
    lowered: r#"(core func $send (canon lower (func $notify "send") (memory $memory) (realloc $realloc)))"#,
    wired: r#"(export "send" (func $send))"#,
    core_imports: r#"(import "host" "send" (func $send (param i32 i32 i32 i32 i32)))"#,
    items: r#"(data (i32.const 64) "ready") (data (i32.const 24) "\01")"#,
    body: "(loop
        (call $send (i32.const 64) (i32.const 5) (i32.const 64) (i32.const 5) (i32.const 128))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br_if 0 (i32.lt_u (local.get $i) (i32.const 25))))
      (i32.store8 (i32.const 32) (i32.add (i32.const 48) (i32.mul
        (i32.load8_u (i32.const 128))
        (i32.add (i32.const 1) (i32.load8_u (i32.const 132))))))",
};

fn result(value: impl Into<Value>) -> Result<RunReport, atlashub::jobs::RunFailure> {
    Ok(RunReport { result: value.into() })
}

fn grants(secrets: &[&str], values: &[&str]) -> Grants {
    let scope = Scope { secrets: secrets.iter().map(|name| (*name).to_owned()).collect(), ..Scope::default() };
    Grants {
        scopes: BTreeMap::from([(Capability::Secrets, scope)]),
        config: BTreeMap::new(),
        secrets: values.iter().map(|name| ((*name).to_owned(), Secret::new("hush"))).collect(),
    }
}

async fn open_secret(grants: Grants, job_secrets: &[&str]) -> GuestRun {
    let mut guest = GuestRun::with(&SECRETS.bytes(), grants, HostLimits::default(), unused_services()).await;
    guest.call.secrets = job_secrets.iter().map(|name| ((*name).to_owned(), Secret::new("hush"))).collect();
    guest
}

#[tokio::test]
async fn granted_and_job_secrets_can_be_opened() {
    let check = async |grants: Grants, job_secrets: &[&str], expected: i32| {
        let description = format!("{:?} {job_secrets:?}", grants.scopes);
        assert_eq!(open_secret(grants, job_secrets).await.run().await, result(expected), "{description}");
    };
    check(grants(&["token"], &["token"]), &[], OK).await;
    check(grants(&["to*"], &["token"]), &[], OK).await;
    check(grants(&["token"], &[]), &[], NOT_FOUND).await;
    check(grants(&[], &[]), &["token"], OK).await;
}

#[tokio::test]
async fn denial_is_recorded_in_the_audit_log() {
    let app = TestApp::start().await;
    let services = Arc::clone(app.app.capabilities());
    let grants = grants(&["other"], &["token"]);
    let guest = GuestRun::with(&SECRETS.bytes(), grants, HostLimits::default(), services).await;
    assert_eq!(guest.run().await, result(DENIED));
    let entry: (String, String, Value) = eventually("the denial is recorded", async || {
        sqlx::query_as("SELECT target, result, details FROM audit_logs WHERE action = 'plugin.denied'")
            .fetch_optional(app.app.platform())
            .await
            .unwrap()
    })
    .await;
    let details = json!({
        "capability": "secrets", "wanted": "secret `token`", "runId": guest.call.run_id, "job": "run",
    });
    assert_eq!(entry, ("guest".to_owned(), "denied".to_owned(), details));
}

#[tokio::test]
async fn type_import_of_secrets_needs_no_grant() {
    let guest = GuestRun::new(&TYPE_ONLY.bytes()).await;
    assert_eq!(*guest.plugin.code.imports(), names(&[]));
    assert!(guest.run().await.is_ok());
    // The import of a function needs a grant.
    let failure = GuestRun::new(&SECRETS.bytes()).await.failure().await;
    assert!(failure.contains("it imports `secrets`, which the owner did not grant"), "{failure}");
}

#[tokio::test]
async fn guest_reads_the_settings_of_its_approval() {
    let run = async |config: &[(&str, &str)]| {
        let config = config.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let grants = Grants { config, ..Grants::default() };
        GuestRun::with(&CONFIG.bytes(), grants, HostLimits::default(), unused_services()).await.run().await
    };
    assert_eq!(run(&[("count", "[1,2]")]).await, result(json!([1, 2])));
    assert_eq!(run(&[("other", "[1,2]")]).await, result(json!({})));
}

#[tokio::test]
async fn messages_reach_the_owner_up_to_the_maximum() {
    let server = WebServer::start(|_| WebResponse::status(204)).await;
    let app = app_for(&server.entry()).await;
    let channel = json!({
        "name": "Hook", "kind": "webhook", "events": ["plugin"], "url": server.url("/"),
        "secret": "a-secret-of-the-test",
    });
    create_channel(&app, channel).await;
    let grants = Grants { scopes: BTreeMap::from([(Capability::Notify, Scope::default())]), ..Grants::default() };
    let services = Arc::clone(app.app.capabilities());
    let guest = GuestRun::with(&NOTIFY.bytes(), grants, HostLimits::default(), services).await;
    let mut guest = guest.insert_as_running(app.app.platform()).await;
    let lease = std::mem::replace(&mut guest.call.lease, uuid::Uuid::new_v4());
    assert_eq!(guest.run().await, result(CONFLICT), "a run without its lease sent a message");
    guest.call.lease = lease;
    assert_eq!(guest.run().await, result(TOO_LARGE));
    let sent = server.next().await.json();
    assert_eq!((&sent["event"], &sent["title"]), (&json!("plugin"), &json!("ready")), "{sent}");
    assert!(sent.to_string().contains("guest"), "{sent}");
}
