//! A guest written with the SDK, run in the real runtime. `cargo xtask plugin testing` builds its component.

use std::{collections::BTreeMap, sync::Arc};

use atlashub::{
    config::Secret,
    jobs::{RunFailure, RunReport},
    plugins::{
        guest::Grants,
        package::read_manifest,
        runtime::{CompiledPlugin, Compiler, Engine, HostLimits, RunnablePlugin},
    },
};
use bytes::Bytes;
use plugin_manifest::{Capability, Scope};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;

use crate::support::{
    Store, TestApp, TestProject, WebResponse, WebServer, eventually,
    guests::{GuestRun, built, call},
};

pub(super) struct Platform {
    pub(super) app: TestApp,
    pub(super) project: TestProject,
}

impl Platform {
    pub(super) async fn start() -> Self {
        Self::with(TestApp::start().await).await
    }

    pub(super) async fn with(app: TestApp) -> Self {
        let project = app.create_project("guests").await;
        Self { app, project }
    }

    pub(super) fn bucket(&self) -> String {
        format!("proj-{}", self.project.id)
    }

    pub(super) fn store(&self) -> String {
        format!("project:{}", self.project.id)
    }

    /// Prepares a run of the hostile guest with access to everything.
    pub(super) async fn guest(&self, job: &str, params: Value) -> GuestRun {
        self.guest_with(HostLimits::default(), everything(), job, params).await
    }

    pub(super) async fn guest_with(&self, limits: HostLimits, scope: Scope, job: &str, params: Value) -> GuestRun {
        let (component, engine, code) = compiled().await;
        let grants = Grants {
            scopes: Capability::ALL.into_iter().map(|capability| (capability, scope.clone())).collect(),
            config: BTreeMap::from([("region".to_owned(), "north".to_owned())]),
            secrets: BTreeMap::from([("token".to_owned(), Secret::new("do-not-tell"))]),
        };
        let services = Arc::clone(self.app.app.capabilities());
        let plugin = RunnablePlugin {
            manifest: Arc::new(read_manifest(component).unwrap()),
            sha256: Sha256::digest(component).into(),
            grants: Arc::new(grants),
            code,
        };
        let mut guest = GuestRun::with_code(engine, plugin, limits, services);
        guest.call = call(job, params);
        guest.insert_as_running(self.app.app.platform()).await
    }

    pub(super) async fn put(&self, key: &str, bytes: Vec<u8>) {
        let mut upload = self.app.app.store().begin_upload(&self.bucket(), key, "application/octet-stream");
        for chunk in bytes.chunks(1 << 20) {
            upload.write(Bytes::copy_from_slice(chunk)).await.unwrap();
        }
        upload.end().await.unwrap().commit().await.unwrap();
    }

    async fn read(&self, key: &str) -> Bytes {
        self.app.app.store().get_small(&self.bucket(), key, 64 << 20).await.unwrap()
    }

    /// Waits until no upload is in progress, and checks that the object does not exist.
    async fn until_no_upload_remains(&self, key: &str) {
        eventually("no upload is in progress", async || self.unfinished_uploads().await == 0).await;
        assert_eq!(self.app.app.store().head(&self.bucket(), key).await.unwrap(), None);
    }

    async fn unfinished_uploads(&self) -> usize {
        let uploads = Store::shared().client().list_multipart_uploads().bucket(self.bucket()).send().await.unwrap();
        uploads.uploads.unwrap_or_default().len()
    }

    /// Counts the pg_dump processes on the project's database.
    pub(super) fn count_dumpers(&self) -> usize {
        let mark = format!("PGDATABASE=proj_{}", self.project.id);
        let ours = |entry: &std::fs::DirEntry| {
            std::fs::read(entry.path().join("environ"))
                .is_ok_and(|environment| environment.split(|byte| *byte == 0).any(|part| part == mark.as_bytes()))
        };
        std::fs::read_dir("/proc").unwrap().flatten().filter(ours).count()
    }

    pub(super) async fn until_dumpers(&self, expected: usize) {
        eventually(&format!("{expected} pg_dump processes run"), async || self.count_dumpers() == expected).await;
    }

    /// Creates a table that keeps pg_dump busy. It is larger than all pipes and buffers, and hard to compress.
    pub(super) async fn fill(&self) {
        let rows = "CREATE TABLE large AS SELECT i AS id, gen_random_uuid()::text || gen_random_uuid() AS noise
            FROM generate_series(1, 200000) AS i";
        self.project.sql(rows).await;
    }
}

/// Returns a scope that allows everything.
pub(super) fn everything() -> Scope {
    let [databases, stores, hosts, secrets] = std::array::from_fn(|_| vec!["*".to_owned()]);
    Scope { databases, stores, hosts, secrets }
}

/// Returns the hostile guest, compiled once for all tests.
async fn compiled() -> (&'static [u8], Engine, CompiledPlugin) {
    static COMPILED: OnceCell<(Vec<u8>, Engine, CompiledPlugin)> = OnceCell::const_new();
    let compiled = async || {
        let component = built("hostile.wasm");
        let engine = Engine::new(&HostLimits::default(), Compiler::Here).unwrap();
        let code = engine.compile(component.as_slice().into()).await.unwrap();
        (component, engine, code)
    };
    let (component, engine, code) = COMPILED.get_or_init(compiled).await;
    (component, engine.clone(), code.clone())
}

/// Returns bytes without a short period, so that a missing or swapped chunk is noticed.
fn bytes(count: usize) -> Vec<u8> {
    (0..count as u64).map(|index| (index.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect()
}

pub(super) fn result_of(outcome: Result<RunReport, RunFailure>) -> Value {
    outcome.unwrap_or_else(|failure| panic!("{failure:?}")).result
}

#[tokio::test]
async fn guest_sees_its_params_context_and_settings() {
    let platform = Platform::start().await;
    let mut guest = platform.guest("echo", json!({"a": [1, "ä"]})).await;
    assert_eq!(result_of(guest.run().await), json!({"a": [1, "ä"]}));

    guest.call.job = "context".to_owned();
    guest.call.params = json!({});
    guest.call.project = Some(platform.project.id.clone());
    guest.call.attempt = 3;
    let expected = json!({
        "runId": guest.call.run_id, "job": "context", "attempt": 3, "scheduledFor": null,
        "project": platform.project.id,
    });
    assert_eq!(result_of(guest.run().await), expected);

    guest.call.job = "config".to_owned();
    guest.call.params = json!({"names": ["region", "other"]});
    assert_eq!(result_of(guest.run().await), json!({"region": "north", "other": null}));

    guest.call.job = "log".to_owned();
    guest.call.params = json!({"lines": 2});
    result_of(guest.run().await);
    assert_eq!(guest.recorded.messages(), ["line 0", "line 1"]);
    assert_eq!(guest.recorded.lines.lock().unwrap()[1].2, json!({"line": 1}));
    assert_eq!(guest.recorded.progress.lock().unwrap()[1], (2, Some(2), "lines".to_owned()));

    guest.call.job = "fail".to_owned();
    guest.call.params = json!({"code": "unavailable", "message": "gone", "details": {"httpStatus": 503}});
    let failure =
        RunFailure::Failed { message: "gone".to_owned(), details: Some(json!({"httpStatus": 503})), retryable: true };
    assert_eq!(guest.run().await, Err(failure));
}

#[tokio::test]
async fn misbehaving_guests_are_stopped_with_a_reason() {
    let platform = Platform::start().await;
    let check = async |job: &str, params: Value, expected: &str| {
        let guest = platform.guest(job, params).await.limit(|limits| {
            limits.cpu_seconds = 1;
            limits.memory_mib = 16;
            limits.host_call_mib = 8;
            limits.log_kib = 64;
        });
        let failure = guest.failure().await;
        assert!(failure.contains(expected), "{job}: {failure}");
    };
    check("spin-with-yields", json!({}), "its processor time limit of 1 s").await;
    check("memory", json!({}), "its memory limit of 16 MiB").await;
    check("stack", json!({}), "").await;
    check("panic", json!({"message": "custom panic"}), "The plugin panicked: custom panic").await;
    check("trap", json!({}), "The plugin panicked.").await;
    check("log-flood", json!({}), "the run exceeded its").await;
    check("progress-flood", json!({}), "the run exceeded its").await;
    check("handle-flood", json!({"secret": "token"}), "its limit of 1000 open handles").await;
    check("too-large-result", json!({"bytes": 100_000}), "it has 100002 bytes").await;
    check("invalid-json-result", json!({}), "it is not JSON").await;
    check("huge-log-line", json!({"bytes": 5_000_000}), "one host call passed more than 4 MiB").await;
    check("stream-flood", json!({"store": platform.store(), "key": "uploads/flood"}), "8 MiB for host calls").await;
    platform.until_no_upload_remains("uploads/flood").await;

    // Another run of the same runtime is unaffected.
    let [looping, other] = [platform.guest("loop", json!({})).await, platform.guest("echo", json!({"a": 1})).await]
        .map(|guest| guest.limit(|limits| (limits.cpu_seconds, limits.concurrent_runs) = (1, 2)));
    let run = looping.runtime.run(&other.plugin, other.call.clone(), other.recorded.clone(), other.cancel.clone());
    let (failure, outcome) = tokio::join!(looping.failure(), run);
    assert!(failure.contains("its processor time limit of 1 s"), "{failure}");
    assert_eq!(result_of(outcome), json!({"a": 1}));

    let guest = platform.guest("huge-message", json!({"bytes": 1_000_000})).await;
    assert_eq!(guest.failure().await.len(), 2000);
    let guest = platform.guest("huge-log-line", json!({"bytes": 1_000_000})).await;
    result_of(guest.run().await);
    assert_eq!(guest.recorded.messages()[0].len(), 8 << 10);
}

#[tokio::test]
async fn forwarded_stream_does_not_count_as_host_calls() {
    let platform = Platform::start().await;
    let body = bytes(20 << 20);
    platform.put("uploads/a", body.clone()).await;
    let copy = json!({
        "fromStore": platform.store(), "fromKey": "uploads/a", "toStore": platform.store(), "toKey": "uploads/b",
    });
    let guest = platform.guest("forward", copy.clone()).await.limit(|limits| limits.host_call_mib = 1);
    assert_eq!(result_of(guest.run().await)["bytes"], body.len());
    assert!(platform.read("uploads/b").await == body);

    // Bytes that pass through the guest's memory count.
    let mut guest = platform.guest("transform", copy).await.limit(|limits| limits.host_call_mib = 1);
    assert!(guest.failure().await.contains("1 MiB for host calls"));
    guest = guest.limit(|limits| limits.host_call_mib = 64);
    assert_eq!(result_of(guest.run().await)["bytes"], body.len());
    let inverted: Vec<u8> = body.iter().map(|byte| byte ^ 0xff).collect();
    assert!(platform.read("uploads/b").await == inverted);
}

#[tokio::test]
async fn dump_becomes_an_object_only_when_committed() {
    let platform = Platform::start().await;
    platform.fill().await;
    let dump = json!({"database": platform.store(), "store": platform.store(), "key": "uploads/dump", "commit": false});
    let mut guest = platform.guest("dump", dump.clone()).await.limit(|limits| limits.host_call_mib = 1);
    assert_eq!(result_of(guest.run().await)["committed"], false);
    platform.until_no_upload_remains("uploads/dump").await;

    guest.call.params["commit"] = true.into();
    let report = result_of(guest.run().await);
    assert_eq!(report["rows"]["public.large"], 200_000);
    let object = platform.read("uploads/dump").await;
    assert_eq!(report["bytes"], object.len());
    assert!(object.starts_with(b"PGDMP"));
}

#[tokio::test]
async fn run_stopped_during_a_dump_leaves_no_process_or_upload() {
    let platform = Platform::start().await;
    platform.fill().await;
    let dump =
        json!({"database": platform.store(), "store": platform.store(), "key": "uploads/dump", "compression": 9});
    let guest = platform.guest("dump", dump).await;
    let (outcome, ()) = tokio::join!(guest.run(), async {
        platform.until_dumpers(1).await;
        guest.cancel.cancel();
    });
    assert_eq!(outcome, Err(RunFailure::Cancelled));
    platform.until_dumpers(0).await;
    platform.until_no_upload_remains("uploads/dump").await;

    let half = json!({"of": "dump", "name": platform.store(), "bytes": 1_000_000});
    assert_eq!(platform.guest("trap-in-stream", half).await.failure().await, "The plugin panicked.");
    platform.until_dumpers(0).await;
}

#[tokio::test]
async fn run_stopped_during_a_transfer_leaves_no_upload() {
    let platform = Platform::start().await;
    let half = json!({"of": "put", "name": platform.store(), "key": "uploads/half", "bytes": 30 << 20});
    assert_eq!(platform.guest("trap-in-stream", half).await.failure().await, "The plugin panicked.");
    platform.until_no_upload_remains("uploads/half").await;

    let flood = json!({"store": platform.store(), "key": "uploads/flood"});
    let guest = platform.guest("stream-flood", flood).await.limit(|limits| limits.host_call_mib = 4096);
    let (outcome, ()) = tokio::join!(guest.run(), async {
        eventually("an upload is in progress", async || platform.unfinished_uploads().await > 0).await;
        guest.cancel.cancel();
    });
    assert_eq!(outcome, Err(RunFailure::Cancelled));
    platform.until_no_upload_remains("uploads/flood").await;

    platform.put("uploads/whole", bytes(10 << 20)).await;
    let half = json!({"of": "get", "name": platform.store(), "key": "uploads/whole", "bytes": 1_000_000});
    assert_eq!(platform.guest("trap-in-stream", half).await.failure().await, "The plugin panicked.");
}

#[tokio::test]
async fn run_stopped_during_a_request_closes_its_connection() {
    let server = WebServer::start(|request| match request.target.as_str() {
        "/nothing" => WebResponse::Hang(Vec::new()),
        _ => WebResponse::Hang(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhe".to_vec()),
    })
    .await;
    let app = TestApp::builder().var("ATLASHUB_HTTP_ALLOWED_HOSTS", &server.entry()).start().await;
    let platform = Platform::with(app).await;
    for path in ["/nothing", "/half"] {
        // The timeout is longer than the test.
        let guest = platform.guest("http", json!({"url": server.url(path), "timeoutMs": 3_600_000})).await;
        let (outcome, ()) = tokio::join!(guest.run(), async {
            server.next().await;
            guest.cancel.cancel();
        });
        assert_eq!(outcome, Err(RunFailure::Cancelled), "{path}");
        server.until_disconnected().await;
    }
}

#[tokio::test]
async fn cancelled_run_releases_its_permit() {
    let platform = Platform::start().await;
    for job in ["sleep-forever", "loop", "spin-with-yields"] {
        let mut guest = platform.guest(job, json!({})).await.limit(|limits| limits.concurrent_runs = 1);
        // The run is polled first, and yields when it sleeps or at an epoch tick.
        let (outcome, ()) = tokio::join!(guest.run(), async { guest.cancel.cancel() });
        assert_eq!(outcome, Err(RunFailure::Cancelled), "{job}");
        guest.cancel = CancellationToken::new();
        guest.call = call("echo", json!({"after": job}));
        assert_eq!(result_of(guest.run().await), json!({"after": job}));
    }
}

#[tokio::test]
async fn calls_outside_the_granted_scope_are_denied() {
    let platform = Platform::start().await;
    let within = async |scope: Scope, job: &str, params: Value| {
        platform.guest_with(HostLimits::default(), scope, job, params).await
    };
    let other = platform.app.create_project("other").await;
    let scope = Scope {
        databases: vec![platform.store()],
        stores: vec![platform.store()],
        hosts: vec!["allowed.example".to_owned()],
        secrets: vec!["token".to_owned()],
    };
    let check = async |job: &str, params: Value, expected: &str| {
        let guest = within(scope.clone(), job, params).await;
        match guest.run().await {
            Err(RunFailure::Failed { message, retryable: false, .. }) => {
                assert!(message.contains(expected), "{job}: {message}");
            }
            outcome => panic!("{job}: {outcome:?}"),
        }
    };
    let other_store = format!("project:{}", other.id);
    let dump = |database: &str, store: &str| json!({"database": database, "store": store, "key": "uploads/x"});
    check("dump", dump(&other_store, &platform.store()), &format!("does not include database `{other_store}`")).await;
    check("dump", dump("platform", &platform.store()), "does not include database `platform`").await;
    check("dump", dump(&platform.store(), &other_store), &format!("does not include store `{other_store}`")).await;
    check("dump", dump(&platform.store(), "backups"), "does not include store `backups`").await;
    check("objects", json!({"store": other_store}), "does not include store").await;
    check("http", json!({"url": "https://other.example/"}), "other.example").await;
    let secrets = within(scope.clone(), "secrets", json!({"names": ["token", "other"]})).await;
    assert_eq!(result_of(secrets.run().await), json!({"token": "open", "other": "ErrorCode::Denied"}));
    let listed = within(scope.clone(), "databases", json!({})).await;
    assert_eq!(result_of(listed.run().await), json!([platform.store()]));
    platform.until_dumpers(0).await;
}

#[tokio::test]
async fn secret_reaches_the_server_and_is_redacted_for_the_guest_and_in_its_outcome() {
    // The server echoes the secret in a header and in the body.
    let server = WebServer::start(|request| {
        let token = request.header("token").unwrap_or_default();
        WebResponse::with(200, &[("x-echo", token)], format!("received {token}").as_bytes())
    })
    .await;
    let app = TestApp::builder().var("ATLASHUB_HTTP_ALLOWED_HOSTS", &server.entry()).start().await;
    let platform = Platform::with(app).await;
    let request = json!({"url": server.url("/hook"), "method": "POST", "secretHeaders": ["token"], "body": "hello"});
    let mut guest = platform.guest("http", request).await;
    let response = result_of(guest.run().await);
    assert_eq!((&response["status"], &response["body"]), (&json!(200), &json!("received ***")));
    // The guest computed this length from the redacted text, so it never had the value.
    assert_eq!((&response["bytes"], &response["headers"]["x-echo"]), (&json!("received ***".len()), &json!("***")));
    let request = server.next().await;
    assert_eq!(request.header("token"), Some("do-not-tell"));
    assert!(guest.recorded.messages().iter().all(|message| !message.contains("do-not-tell")));

    // The guest fails with the secret's value, as if it had obtained the value in another way.
    let params = json!({"code": "failed", "message": "it is do-not-tell", "details": {"token": "do-not-tell"}});
    guest.call = call("fail", params);
    let details = Some(json!({"token": "***"}));
    let redacted = RunFailure::Failed { message: "it is ***".to_owned(), details, retryable: true };
    assert_eq!(guest.run().await, Err(redacted));
}
