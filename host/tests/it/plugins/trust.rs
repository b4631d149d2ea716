//! Trust: signature, key, serial and approval decide whether a plugin may run.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    os::unix::fs::symlink,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use atlashub::{
    jobs::RunFailure,
    plugins::{
        self,
        package::{PluginKey, folder::read_signed_file},
        trust::{TrustView, verify_file},
    },
};
use base64::{Engine, engine::general_purpose::STANDARD};
use plugin_manifest::append_section;
use serde_json::{Value, json};

use crate::support::{
    TestApp, eventually,
    plugin_files::{
        Author, PluginFolder, Run, approve, component, endless, importing_http, manifest, run, until_plugin,
        until_state, with_body,
    },
};

/// Changes a signature's algorithm to the legacy one, which does not hash the file.
fn with_legacy_algorithm(signature: &str) -> String {
    let line = signature.lines().nth(1).unwrap();
    let mut bytes = STANDARD.decode(line).unwrap();
    bytes[..2].copy_from_slice(b"Ed");
    signature.replace(line, &STANDARD.encode(bytes))
}

#[tokio::test]
async fn rejected_plugins_are_listed_with_reason() {
    let (folder, author, stranger) = (PluginFolder::new(), Author::new(), Author::new());
    let good = |name: &str| component(&manifest(name, 1));
    let flipped = |bytes: &[u8], at: usize| {
        let mut bytes = bytes.to_vec();
        bytes[at] ^= 1;
        bytes
    };
    let mut expected: Vec<(String, String)> = Vec::new();
    let mut expect = |name: &str, reason: &str| expected.push((name.to_owned(), reason.to_owned()));

    folder.write("unsigned.wasm", &good("unsigned"));
    expect("unsigned", "`unsigned.wasm.minisig` is missing");
    folder.write("signature-only.wasm.minisig", author.sign(b"x").as_bytes());
    expect("signature-only", "`signature-only.wasm` is missing");
    folder.add_signed("stranger", &good("stranger"), &stranger);
    expect("stranger", &format!("signed by key {}, which is not trusted", stranger.key_id()));
    for at in [0, 40, good("flipped-0").len() - 1] {
        let name = format!("flipped-{at}");
        let bytes = good(&name);
        folder.add(&name, &flipped(&bytes, at.min(bytes.len() - 1)), &author.sign(&bytes));
        expect(&name, "was changed");
    }
    let signed = author.sign(&good("comment"));
    folder.add("comment", &good("comment"), &signed.replace("timestamp:", "timestamp:9"));
    expect("comment", "was changed");
    folder.add("legacy", &good("legacy"), &with_legacy_algorithm(&author.sign(&good("legacy"))));
    expect("legacy", "legacy");
    folder.add("nonsense", &good("nonsense"), "nonsense");
    expect("nonsense", "not a minisign signature");
    folder.add_signed("other-name", &good("its-name"), &author);
    expect("other-name", "the manifest names the plugin `its-name`");
    folder.add_signed("backup", &good("backup"), &author);
    expect("backup", "AtlasHub's own");
    let core_module = append_section(wat::parse_str("(module)").unwrap(), manifest("module", 1).to_string().as_bytes());
    folder.add_signed("module", &core_module, &author);
    expect("module", "core module");
    folder.add_signed("precompiled", b"\x7fELF\x02\x01\x01 and so on", &author);
    expect("precompiled", "precompiled");
    folder.add_signed("script", b"#!/bin/sh\nrm -rf /\n", &author);
    expect("script", "not a WebAssembly component");
    let bare = wat::parse_str("(component)").unwrap();
    folder.add_signed("bare", &bare, &author);
    expect("bare", "atlashub:manifest");
    let twice = append_section(good("twice"), manifest("twice", 2).to_string().as_bytes());
    folder.add_signed("twice", &twice, &author);
    expect("twice", "more than one");
    let wasi = r#"(component (import "wasi:cli/environment@0.2.0" (instance (export "f" (func)))) (instance $job)
        (export "atlashub:plugin/job@0.1.0" (instance $job)))"#;
    let wasi = append_section(wat::parse_str(wasi).unwrap(), manifest("wasi", 1).to_string().as_bytes());
    folder.add_signed("wasi", &wasi, &author);
    expect("wasi", "imports `wasi:cli/environment@0.2.0`");
    folder.add_signed("greedy", &importing_http(&manifest("greedy", 1)), &author);
    expect("greedy", "imports `http`, but its manifest does not request that capability");

    File::create(folder.path().join("huge.wasm")).unwrap().set_len(100 << 20).unwrap();
    folder.write("huge.wasm.minisig", author.sign(b"x").as_bytes());
    expect("huge", "104857600 bytes");
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("linked.wasm"), good("linked")).unwrap();
    symlink(outside.path().join("linked.wasm"), folder.path().join("linked.wasm")).unwrap();
    folder.write("linked.wasm.minisig", author.sign(&good("linked")).as_bytes());
    expect("linked", "symbolic link");
    nix::unistd::mkfifo(&folder.path().join("pipe.wasm"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    folder.write("pipe.wasm.minisig", author.sign(b"x").as_bytes());
    expect("pipe", "not a regular file");

    let app = folder.app().await;
    author.trusted_by(&app).await;
    let (_, list) = app.admin().get("/admin/v1/plugins?limit=200").await;
    let items = list["items"].as_array().unwrap();
    for (name, reason) in &expected {
        let plugin = items.iter().find(|plugin| plugin["name"] == **name).unwrap_or_else(|| panic!("{name}: {list}"));
        assert_eq!(plugin["state"], "rejected", "{plugin}");
        assert!(plugin["reason"].as_str().unwrap().contains(reason), "{name}: {plugin}");
        // The API returns no part of the manifest of a file that failed these checks.
        assert_eq!((&plugin["version"], &plugin["jobs"]), (&Value::Null, &json!([])), "{plugin}");
        assert_eq!(plugin["approvable"], false, "{plugin}");
        assert!(app.app.plugins().loaded(name).is_none(), "{name}");
    }
    assert_eq!(items.len(), expected.len());
    let (status, error) = app.admin().post("/admin/v1/plugins/flipped-40/approve", json!({})).await;
    assert_eq!((status.as_u16(), error["error"]["code"].as_str()), (409, Some("conflict")), "{error}");

    // Each rejection is recorded once in the audit log.
    let expected: BTreeSet<String> = expected.iter().map(|(name, _)| name.clone()).collect();
    eventually("every rejection is recorded", async || {
        let (_, audit) = app.admin().get("/admin/v1/audit?action=plugin.reject&limit=200").await;
        let entries = audit["items"].as_array().unwrap();
        let reported: Vec<String> = entries.iter().map(|entry| entry["target"].as_str().unwrap().to_owned()).collect();
        if reported.iter().cloned().collect::<BTreeSet<_>>() != expected {
            return None;
        }
        assert_eq!(reported.len(), expected.len(), "{reported:?}");
        Some(())
    })
    .await;
}

#[tokio::test]
async fn plugin_runs_only_after_approval() {
    let (folder, author) = (PluginFolder::new(), Author::new());
    folder.add_signed("hello", &component(&manifest("hello", 1)), &author);
    let app = folder.app().await;
    author.trusted_by(&app).await;
    let waiting = until_state(&app.admin(), "hello", "pending").await;
    assert_eq!(waiting["reason"], "it waits for your approval");
    assert_eq!(waiting["keyId"], author.key_id());
    assert_eq!(waiting["jobs"][0]["name"], "run");
    let Err(RunFailure::Failed { message, .. }) = run(&app, "hello").await else { panic!("it ran") };
    assert!(message.contains("waits for your approval"), "{message}");
    let active = approve(&app, "hello", json!({})).await;
    assert_eq!((active["state"].as_str(), &active["reason"]), (Some("active"), &Value::Null));
    assert_eq!(run(&app, "hello").await.unwrap().result, json!({}));
    // Approvals survive a restart.
    let again = start_another_node(&folder, &app).await;
    until_state(&again.admin(), "hello", "active").await;
}

/// Starts another node on the same database and folder, as after a restart.
async fn start_another_node(folder: &PluginFolder, app: &TestApp) -> TestApp {
    TestApp::builder()
        .var("ATLASHUB_PLUGIN_DIR", folder.path().to_str().unwrap())
        .database_url(app.services.database_url.expose())
        .master_keys(&app.services.master_key, None)
        .start()
        .await
}

fn requesting_http(name: &str, serial: u64, hosts: &[&str]) -> Value {
    let mut manifest = manifest(name, serial);
    manifest["capabilities"] = json!([{"capability": "http", "reason": "To greet.", "scope": {"hosts": hosts}}]);
    manifest
}

#[tokio::test]
async fn new_version_needs_approval_if_its_key_differs_or_its_request_is_wider() {
    let (folder, author, other) = (PluginFolder::new(), Author::new(), Author::new());
    let app = folder.app().await;
    author.trusted_by(&app).await;
    other.trusted_by(&app).await;
    folder.add_signed("hello", &component(&requesting_http("hello", 1, &["a.example", "b.example"])), &author);
    until_state(&app.admin(), "hello", "pending").await;
    let grant = json!({"granted": [{"capability": "http", "scope": {"hosts": ["a.example"]}}]});
    approve(&app, "hello", grant.clone()).await;

    folder.add_signed("hello", &component(&requesting_http("hello", 2, &["a.example"])), &author);
    let newer = until_plugin(&app.admin(), "hello", |plugin| plugin["serial"] == 2).await;
    assert_eq!(newer["state"], "active", "{newer}");

    folder.add_signed("hello", &component(&requesting_http("hello", 3, &["c.example"])), &author);
    let wider = until_plugin(&app.admin(), "hello", |plugin| plugin["serial"] == 3).await;
    assert_eq!(wider["state"], "pending", "{wider}");
    assert!(wider["reason"].as_str().unwrap().contains("c.example"), "{wider}");
    assert!(app.app.plugins().loaded("hello").is_none());

    folder.add_signed("hello", &component(&requesting_http("hello", 4, &["a.example"])), &other);
    let other_key = until_plugin(&app.admin(), "hello", |plugin| plugin["serial"] == 4).await;
    assert_eq!(other_key["state"], "pending", "{other_key}");
    assert!(other_key["reason"].as_str().unwrap().contains(&author.key_id()), "{other_key}");
    approve(&app, "hello", grant).await;
    until_state(&app.admin(), "hello", "active").await;
}

#[tokio::test]
async fn approval_with_another_sha256_returns_409() {
    let (folder, author) = (PluginFolder::new(), Author::new());
    folder.add_signed("hello", &component(&manifest("hello", 1)), &author);
    let app = folder.app().await;
    author.trusted_by(&app).await;
    let reviewed = until_state(&app.admin(), "hello", "pending").await;
    // The file is replaced before the owner approves it.
    folder.add_signed("hello", &component(&requesting_http("hello", 2, &["*"])), &author);
    let path = "/admin/v1/plugins/hello/approve";
    let (status, error) = app.admin().post(path, json!({"sha256": reviewed["sha256"]})).await;
    assert_eq!((status.as_u16(), error["error"]["code"].as_str()), (409, Some("conflict")), "{error}");
    let current = until_plugin(&app.admin(), "hello", |plugin| plugin["serial"] == 2).await;
    assert_eq!(current["state"], "pending", "{current}");
    assert!(error["error"]["message"].as_str().unwrap().contains(current["sha256"].as_str().unwrap()), "{error}");
    assert_eq!(approve(&app, "hello", json!({"sha256": current["sha256"]})).await["state"], "active");
}

#[tokio::test]
async fn plugin_without_grant_for_an_import_is_rejected() {
    let (folder, author) = (PluginFolder::new(), Author::new());
    folder.add_signed("caller", &importing_http(&requesting_http("caller", 1, &["a.example"])), &author);
    let app = folder.app().await;
    author.trusted_by(&app).await;
    let refused = approve(&app, "caller", json!({"granted": []})).await;
    assert_eq!((&refused["state"], &refused["approvable"]), (&json!("rejected"), &json!(true)), "{refused}");
    assert!(refused["reason"].as_str().unwrap().contains("imports `http`, which you did not grant"), "{refused}");
    let granted = approve(&app, "caller", json!({"granted": [{"capability": "http", "scope": {}}]})).await;
    assert_eq!((granted["state"].as_str(), &granted["imports"]), (Some("active"), &json!(["types", "http"])));
}

#[tokio::test]
async fn plugin_with_older_or_reused_serial_is_rejected() {
    let (folder, author) = (PluginFolder::new(), Author::new());
    let app = folder.app().await;
    author.trusted_by(&app).await;
    folder.add_signed("hello", &component(&manifest("hello", 5)), &author);
    until_state(&app.admin(), "hello", "pending").await;
    approve(&app, "hello", json!({})).await;

    let rejected = async |app: &TestApp, bytes: &[u8], reason: &str| {
        folder.add_signed("hello", bytes, &author);
        let has_reason = |plugin: &Value| plugin["reason"].as_str().is_some_and(|actual| actual.contains(reason));
        assert_eq!(until_plugin(&app.admin(), "hello", has_reason).await["state"], "rejected");
    };
    let older = component(&manifest("hello", 4));
    rejected(&app, &older, "below 5, which was loaded before").await;
    rejected(&app, &with_body(&manifest("hello", 5), "(nop)"), "another file with serial 5 was loaded").await;

    folder.remove("hello");
    until_plugin(&app.admin(), "hello", |response| response["error"]["code"] == "not_found").await;
    rejected(&app, &older, "below 5").await;
    // Neither deleting the approval nor a restart changes that.
    assert_eq!(app.admin().delete("/admin/v1/plugins/hello").await.0.as_u16(), 204);
    let again = start_another_node(&folder, &app).await;
    until_plugin(&again.admin(), "hello", |plugin| plugin["state"] == "rejected").await;
    let same = component(&manifest("hello", 5));
    folder.add_signed("hello", &same, &author);
    until_state(&again.admin(), "hello", "pending").await;
}

#[tokio::test]
async fn revoked_plugin_file_or_key_stops_runs_on_every_node() {
    let (folder, author) = (PluginFolder::new(), Author::new());
    let names = ["by-name", "by-file", "by-key"];
    for name in names {
        folder.add_signed(name, &endless(&manifest(name, 1)), &author);
    }
    let app = folder.app().await;
    author.trusted_by(&app).await;
    for name in names {
        approve(&app, name, json!({})).await;
    }
    let other = start_another_node(&folder, &app).await;
    for name in names {
        until_state(&other.admin(), name, "active").await;
        let (here, there) = (Run::start(&app, name).await, Run::start(&other, name).await);
        match name {
            "by-name" => {
                let (status, plugin) = app.admin().post("/admin/v1/plugins/by-name/revoke", json!({})).await;
                assert_eq!((status.as_u16(), plugin["state"].as_str()), (200, Some("revoked")), "{plugin}");
            }
            "by-file" => {
                let (_, plugin) = app.admin().get("/admin/v1/plugins/by-file").await;
                tools(&app, &folder).revoke_file(plugin["sha256"].as_str().unwrap()).await.unwrap();
            }
            _ => {
                let path = format!("/admin/v1/trusted-keys/{}", author.key_id());
                assert_eq!(app.admin().delete(&path).await.0.as_u16(), 204);
            }
        }
        for run in [here, there] {
            let outcome = run.outcome().await;
            let Err(RunFailure::Failed { message, retryable, .. }) = outcome else { panic!("{outcome:?}") };
            assert!(message.contains("was revoked") && !retryable, "{message}");
        }
        let revoked = until_state(&other.admin(), name, "revoked").await;
        // Nothing lifts the revocation of a key.
        assert_eq!(revoked["approvable"], name != "by-key", "{revoked}");
        assert!(app.app.plugins().loaded(name).is_none() && other.app.plugins().loaded(name).is_none());
    }
    // A revoked key can't be trusted again.
    let body = json!({ "name": "Again", "publicKey": author.public_key() });
    let (status, error) = app.admin().post("/admin/v1/trusted-keys", body).await;
    assert_eq!(status.as_u16(), 409, "{error}");
}

#[tokio::test]
async fn revoked_plugin_runs_again_only_after_approval() {
    let (folder, author) = (PluginFolder::new(), Author::new());
    folder.add_signed("hello", &component(&manifest("hello", 1)), &author);
    let app = folder.app().await;
    author.trusted_by(&app).await;
    approve(&app, "hello", json!({})).await;
    app.admin().post("/admin/v1/plugins/hello/revoke", json!({})).await;
    // Neither a new version nor deleting the approval lifts the revocation.
    folder.add_signed("hello", &component(&manifest("hello", 2)), &author);
    let newer = until_plugin(&app.admin(), "hello", |plugin| plugin["serial"] == 2).await;
    assert_eq!(newer["state"], "revoked", "{newer}");
    folder.add_signed("hello", &component(&manifest("hello", 1)), &author);
    assert_eq!(app.admin().delete("/admin/v1/plugins/hello").await.0.as_u16(), 204);
    let older = until_plugin(&app.admin(), "hello", |plugin| plugin["serial"] == 1).await;
    assert_eq!(older["state"], "revoked", "{older}");
    approve(&app, "hello", json!({})).await;
    assert!(run(&app, "hello").await.is_ok());
}

fn tools(app: &TestApp, folder: &PluginFolder) -> plugins::PluginTools {
    plugins::PluginTools {
        platform: app.app.platform().clone(),
        sealer: atlashub::secrets::Sealer::new(&app.services.master_key, None),
        folder: plugins::PluginFolder::new(folder.path(), 1 << 20),
        first_party: plugins::FirstParty::default(),
    }
}

#[test]
fn verified_bytes_are_the_bytes_read_once() {
    let (folder, author) = (PluginFolder::new(), Author::new());
    let (good, evil) = (component(&manifest("hello", 1)), with_body(&manifest("hello", 1), "unreachable"));
    folder.add_signed("hello", &good, &author);
    let file = read_signed_file(&plugins::PluginFolder::new(folder.path(), 1 << 20), "hello").unwrap();
    // The file is replaced right after its only read.
    folder.write("hello.wasm", &evil);
    let key = PluginKey::parse(&author.public_key()).unwrap();
    let mut trust = TrustView { keys: [(author.key_id(), key)].into(), ..TrustView::default() };
    let approval = plugins::trust::Approval { key_id: author.key_id(), ..Default::default() };
    trust.approvals.insert("hello".into(), approval);
    let (_, verified) = verify_file(file, &trust);
    assert_eq!(&*verified.unwrap().into_bytes(), good.as_slice());
}

#[tokio::test(flavor = "multi_thread")]
async fn constantly_swapped_files_never_load_unsigned_code() {
    let (folder, author) = (PluginFolder::new(), Author::new());
    let (good, evil) = (component(&manifest("hello", 1)), with_body(&manifest("hello", 1), "unreachable"));
    folder.add_signed("hello", &good, &author);
    let app = folder.app().await;
    author.trusted_by(&app).await;
    let approved = approve(&app, "hello", json!({})).await;
    let folder = Arc::new(folder);
    let stop = Arc::new(AtomicBool::new(false));
    let swapping = {
        let (folder, stop) = (Arc::clone(&folder), Arc::clone(&stop));
        tokio::task::spawn_blocking(move || {
            while !stop.load(Ordering::Relaxed) {
                // The file is written in place, so that a reader may see parts of both versions.
                fs::write(folder.path().join("hello.wasm"), &evil).unwrap();
                fs::write(folder.path().join("hello.wasm"), &good).unwrap();
            }
        })
    };
    for _ in 0..100 {
        app.app.plugins().refresh().await.unwrap();
        if let Some(active) = app.app.plugins().loaded("hello") {
            assert_eq!(approved["sha256"], hex::encode(active.runnable.sha256));
        }
    }
    stop.store(true, Ordering::Relaxed);
    swapping.await.unwrap();
    until_state(&app.admin(), "hello", "active").await;
}
