//! Guests written with the SDK, in the real runtime: what they can do, and how those end that misbehave. The components
//! are built by `cargo xtask plugin testing`.

use std::{collections::BTreeMap, sync::Arc};

use atlashub::{
    config::Secret,
    jobs::{RunFailure, RunReport},
    plugins::{
        Grants, read_manifest,
        runtime::{CompiledPlugin, Compiler, Engine, HostLimits},
    },
};
use bytes::Bytes;
use plugin_manifest::{Capability, Scope};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;

use crate::support::{
    Store, TestApp, TestProject, WebAnswer, WebServer, eventually,
    guests::{GuestRun, built, call},
};

struct Platform {
    app: TestApp,
    project: TestProject,
}

impl Platform {
    async fn start() -> Self {
        Self::with(TestApp::start().await).await
    }

    async fn with(app: TestApp) -> Self {
        let project = app.create_project("guests").await;
        Self { app, project }
    }

    fn bucket(&self) -> String {
        format!("proj-{}", self.project.id)
    }

    fn store(&self) -> String {
        format!("project:{}", self.project.id)
    }

    /// The hostile guest with all it asks for, about to do a job.
    async fn guest(&self, job: &str, params: Value) -> GuestRun {
        let everything = Scope {
            databases: vec!["*".to_owned()],
            stores: vec!["*".to_owned()],
            hosts: vec!["*".to_owned()],
            secrets: vec!["*".to_owned()],
        };
        self.guest_within(everything, job, params).await
    }

    async fn guest_within(&self, scope: Scope, job: &str, params: Value) -> GuestRun {
        let (component, engine, code) = compiled().await;
        let asked = [Capability::Databases, Capability::Objects, Capability::Http, Capability::Secrets];
        let grants = Grants {
            scopes: asked.into_iter().map(|capability| (capability, scope.clone())).collect(),
            config: BTreeMap::from([("region".to_owned(), "north".to_owned())]),
            secrets: BTreeMap::from([("token".to_owned(), Secret::new("do-not-tell"))]),
        };
        let services = Arc::clone(self.app.app.capabilities());
        let manifest = read_manifest(component).unwrap();
        let sha256 = Sha256::digest(component).into();
        let mut guest = GuestRun::of(engine, code, manifest, sha256, grants, HostLimits::default(), services);
        guest.call = call(job, params);
        guest.under_way(self.app.app.platform()).await
    }

    async fn put(&self, key: &str, bytes: Vec<u8>) {
        let mut upload = self.app.app.store().begin_upload(&self.bucket(), key, "application/octet-stream");
        for chunk in bytes.chunks(1 << 20) {
            upload.write(Bytes::copy_from_slice(chunk)).await.unwrap();
        }
        upload.end().await.unwrap().commit().await.unwrap();
    }

    async fn read(&self, key: &str) -> Bytes {
        self.app.app.store().get_small(&self.bucket(), key, 64 << 20).await.unwrap()
    }

    /// Until no upload is under way and nothing has come of it.
    async fn until_nothing_is_left(&self, key: &str) {
        eventually("no upload is left", async || self.unfinished_uploads().await == 0).await;
        assert_eq!(self.app.app.store().head(&self.bucket(), key).await.unwrap(), None);
    }

    async fn unfinished_uploads(&self) -> usize {
        let uploads = Store::shared().client().list_multipart_uploads().bucket(self.bucket()).send().await.unwrap();
        uploads.uploads.unwrap_or_default().len()
    }

    /// Processes of pg_dump at work on the project's database.
    fn dumpers(&self) -> usize {
        let mark = format!("PGDATABASE=proj_{}", self.project.id);
        let ours = |entry: &std::fs::DirEntry| {
            std::fs::read(entry.path().join("environ"))
                .is_ok_and(|environment| environment.split(|byte| *byte == 0).any(|part| part == mark.as_bytes()))
        };
        std::fs::read_dir("/proc").unwrap().flatten().filter(ours).count()
    }

    async fn until_dumpers(&self, expected: usize) {
        eventually(&format!("{expected} processes of pg_dump"), async || self.dumpers() == expected).await;
    }

    /// Rows that keep pg_dump busy: more than any pipe or buffer on the way holds, and not to be compressed.
    async fn fill(&self) {
        let rows = "CREATE TABLE large AS SELECT i AS id, gen_random_uuid()::text || gen_random_uuid() AS noise
            FROM generate_series(1, 200000) AS i";
        self.project.sql(rows).await;
    }
}

/// The hostile guest, compiled once for all tests.
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

/// Bytes that don't repeat within a chunk.
fn bytes(count: usize) -> Vec<u8> {
    (0..count as u64).map(|at| (at.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect()
}

fn answer(outcome: Result<RunReport, RunFailure>) -> Value {
    outcome.unwrap_or_else(|failure| panic!("{failure:?}")).result
}

#[tokio::test]
async fn a_guest_knows_its_run_and_nothing_more() {
    let platform = Platform::start().await;
    let mut guest = platform.guest("echo", json!({"a": [1, "ä"]})).await;
    assert_eq!(answer(guest.run().await), json!({"a": [1, "ä"]}));

    guest.call.job = "context".to_owned();
    guest.call.params = json!({});
    guest.call.project = Some(platform.project.id.clone());
    guest.call.attempt = 3;
    let expected = json!({
        "runId": guest.call.run_id, "job": "context", "attempt": 3, "scheduledFor": null, "project": platform.project.id,
    });
    assert_eq!(answer(guest.run().await), expected);

    guest.call.job = "config".to_owned();
    guest.call.params = json!({"names": ["region", "other"]});
    assert_eq!(answer(guest.run().await), json!({"region": "north", "other": null}));

    guest.call.job = "log".to_owned();
    guest.call.params = json!({"lines": 2});
    answer(guest.run().await);
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
async fn guests_that_misbehave_end_with_a_reason() {
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
    check("loop", json!({}), "it reached its processor time of 1 s").await;
    check("spin-with-yields", json!({}), "it reached its processor time of 1 s").await;
    check("memory", json!({}), "it reached its memory limit of 16 MiB").await;
    check("stack", json!({}), "It ").await;
    check("panic", json!({"message": "lost my head"}), "It panicked: lost my head").await;
    check("trap", json!({}), "It panicked.").await;
    check("log-flood", json!({}), "it reached its").await;
    check("progress-flood", json!({}), "it reached its").await;
    check("handle-flood", json!({"secret": "token"}), "it reached its limit of 1000 open handles").await;
    check("too-large-result", json!({"bytes": 100_000}), "its result has 100002 bytes").await;
    check("invalid-json-result", json!({}), "its result is not JSON").await;
    check("huge-log-line", json!({"bytes": 5_000_000}), "it handed over more than 4 MiB in one call").await;
    check("stream-flood", json!({"store": platform.store(), "key": "uploads/flood"}), "8 MiB in calls to the host")
        .await;
    platform.until_nothing_is_left("uploads/flood").await;

    let guest = platform.guest("huge-message", json!({"bytes": 1_000_000})).await;
    assert_eq!(guest.failure().await.len(), 2000);
    let guest = platform.guest("huge-log-line", json!({"bytes": 1_000_000})).await;
    answer(guest.run().await);
    assert_eq!(guest.recorded.messages()[0].len(), 8 << 10);
}

#[tokio::test]
async fn a_stream_that_is_passed_on_costs_the_guest_nothing() {
    let platform = Platform::start().await;
    let body = bytes(20 << 20);
    platform.put("uploads/a", body.clone()).await;
    let copy = json!({
        "fromStore": platform.store(), "fromKey": "uploads/a", "toStore": platform.store(), "toKey": "uploads/b",
    });
    let guest = platform.guest("forward", copy.clone()).await.limit(|limits| limits.host_call_mib = 1);
    assert_eq!(answer(guest.run().await)["bytes"], body.len());
    assert!(platform.read("uploads/b").await == body);

    // Through its memory it counts.
    let mut guest = platform.guest("transform", copy).await.limit(|limits| limits.host_call_mib = 1);
    assert!(guest.failure().await.contains("1 MiB in calls to the host"));
    guest = guest.limit(|limits| limits.host_call_mib = 64);
    assert_eq!(answer(guest.run().await)["bytes"], body.len());
    let inverted: Vec<u8> = body.iter().map(|byte| byte ^ 0xff).collect();
    assert!(platform.read("uploads/b").await == inverted);
}

#[tokio::test]
async fn a_dump_is_an_object_only_once_it_is_committed() {
    let platform = Platform::start().await;
    platform.fill().await;
    let dump = json!({"database": platform.store(), "store": platform.store(), "key": "uploads/dump", "commit": false});
    let mut guest = platform.guest("dump", dump.clone()).await.limit(|limits| limits.host_call_mib = 1);
    assert_eq!(answer(guest.run().await)["committed"], false);
    platform.until_nothing_is_left("uploads/dump").await;

    guest.call.params["commit"] = true.into();
    let report = answer(guest.run().await);
    assert_eq!(report["rows"]["public.large"], 200_000);
    let object = platform.read("uploads/dump").await;
    assert_eq!(report["bytes"], object.len());
    assert!(object.starts_with(b"PGDMP"));
}

#[tokio::test]
async fn a_run_that_ends_in_a_dump_leaves_neither_process_nor_upload() {
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
    platform.until_nothing_is_left("uploads/dump").await;

    let half = json!({"of": "dump", "name": platform.store(), "bytes": 1_000_000});
    assert_eq!(platform.guest("trap-in-stream", half).await.failure().await, "It panicked.");
    platform.until_dumpers(0).await;
}

#[tokio::test]
async fn a_run_that_ends_in_an_upload_leaves_nothing() {
    let platform = Platform::start().await;
    let half = json!({"of": "put", "name": platform.store(), "key": "uploads/half", "bytes": 30 << 20});
    assert_eq!(platform.guest("trap-in-stream", half).await.failure().await, "It panicked.");
    platform.until_nothing_is_left("uploads/half").await;

    let flood = json!({"store": platform.store(), "key": "uploads/flood"});
    let guest = platform.guest("stream-flood", flood).await.limit(|limits| limits.host_call_mib = 4096);
    let (outcome, ()) = tokio::join!(guest.run(), async {
        while platform.unfinished_uploads().await == 0 {}
        guest.cancel.cancel();
    });
    assert_eq!(outcome, Err(RunFailure::Cancelled));
    platform.until_nothing_is_left("uploads/flood").await;

    platform.put("uploads/whole", bytes(10 << 20)).await;
    let half = json!({"of": "get", "name": platform.store(), "key": "uploads/whole", "bytes": 1_000_000});
    assert_eq!(platform.guest("trap-in-stream", half).await.failure().await, "It panicked.");
}

#[tokio::test]
async fn a_run_that_ends_in_an_exchange_closes_its_connection() {
    let server = WebServer::start(|request| match request.target.as_str() {
        "/nothing" => WebAnswer::Silence(Vec::new()),
        _ => WebAnswer::Silence(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhe".to_vec()),
    })
    .await;
    let app = TestApp::builder().var("ATLASHUB_HTTP_ALLOWED_HOSTS", &server.entry()).start().await;
    let platform = Platform::with(app).await;
    for path in ["/nothing", "/half"] {
        // Longer than anybody waits here.
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
async fn a_run_that_was_cancelled_gives_its_place_back() {
    let platform = Platform::start().await;
    for job in ["sleep-forever", "loop", "spin-with-yields"] {
        let mut guest = platform.guest(job, json!({})).await.limit(|limits| limits.concurrent_runs = 1);
        // The run is polled first, and gives the thread back when it sleeps or its turn is over.
        let (outcome, ()) = tokio::join!(guest.run(), async { guest.cancel.cancel() });
        assert_eq!(outcome, Err(RunFailure::Cancelled), "{job}");
        guest.cancel = CancellationToken::new();
        guest.call = call("echo", json!({"after": job}));
        assert_eq!(answer(guest.run().await), json!({"after": job}));
    }
}

#[tokio::test]
async fn beyond_its_scope_everything_is_denied() {
    let platform = Platform::start().await;
    let other = platform.app.create_project("other").await;
    let scope = Scope {
        databases: vec![platform.store()],
        stores: vec![platform.store()],
        hosts: vec!["allowed.example".to_owned()],
        secrets: vec!["token".to_owned()],
    };
    let check = async |job: &str, params: Value, expected: &str| {
        let guest = platform.guest_within(scope.clone(), job, params).await;
        match guest.run().await {
            Err(RunFailure::Failed { message, retryable: false, .. }) => {
                assert!(message.contains(expected), "{job}: {message}");
            }
            outcome => panic!("{job}: {outcome:?}"),
        }
    };
    let theirs = format!("project:{}", other.id);
    let dump = |database: &str, store: &str| json!({"database": database, "store": store, "key": "uploads/x"});
    check("dump", dump(&theirs, &platform.store()), &format!("leaves out database `{theirs}`")).await;
    check("dump", dump("platform", &platform.store()), "leaves out database `platform`").await;
    check("dump", dump(&platform.store(), &theirs), &format!("leaves out store `{theirs}`")).await;
    check("dump", dump(&platform.store(), "backups"), "leaves out store `backups`").await;
    check("objects", json!({"store": theirs}), "leaves out store").await;
    check("http", json!({"url": "https://other.example/"}), "other.example").await;
    let secrets = platform.guest_within(scope.clone(), "secrets", json!({"names": ["token", "other"]})).await;
    assert_eq!(answer(secrets.run().await), json!({"token": "open", "other": "ErrorCode::Denied"}));
    let listed = platform.guest_within(scope.clone(), "databases", json!({})).await;
    assert_eq!(answer(listed.run().await), json!([platform.store()]));
    platform.until_dumpers(0).await;
}

#[tokio::test]
async fn a_secret_goes_where_it_is_sent_and_is_not_seen() {
    // The server sends it back, in two ways.
    let server = WebServer::start(|request| {
        let token = request.header("token").unwrap_or_default();
        WebAnswer::with(200, &[("x-echo", token)], format!("you said {token}").as_bytes())
    })
    .await;
    let app = TestApp::builder().var("ATLASHUB_HTTP_ALLOWED_HOSTS", &server.entry()).start().await;
    let platform = Platform::with(app).await;
    let request = json!({"url": server.url("/hook"), "method": "POST", "secretHeaders": ["token"], "body": "hello"});
    let mut guest = platform.guest("http", request).await;
    let answered = answer(guest.run().await);
    assert_eq!((&answered["status"], &answered["body"]), (&json!(200), &json!("you said ***")));
    // What the guest itself counted: it never had the value.
    assert_eq!((&answered["bytes"], &answered["headers"]["x-echo"]), (&json!("you said ***".len()), &json!("***")));
    let request = server.next().await;
    assert_eq!(request.header("token"), Some("do-not-tell"));
    assert!(guest.recorded.messages().iter().all(|message| !message.contains("do-not-tell")));

    // As if it had got hold of it in some other way.
    let telling = json!({"code": "failed", "message": "it is do-not-tell", "details": {"token": "do-not-tell"}});
    guest.call = call("fail", telling);
    let details = Some(json!({"token": "***"}));
    let told = RunFailure::Failed { message: "it is ***".to_owned(), details, retryable: true };
    assert_eq!(guest.run().await, Err(told));
}
