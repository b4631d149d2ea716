//! Who may run as a plugin: by signature, key, serial and approval; everything else is listed with its reason.

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
        folder::read_pair,
        trust::{PluginKey, TrustView, inspect},
    },
};
use base64::{Engine, engine::general_purpose::STANDARD};
use plugin_manifest::append_section;
use serde_json::{Value, json};

use crate::support::{
    TestApp,
    plugin_files::{
        Author, PluginFolder, Run, approve, component, endless, importing_http, manifest, run, until_plugin,
        until_state, with_body,
    },
};

/// The signature with its algorithm changed to the one that covers the file unhashed.
fn legacy(signature: &str) -> String {
    let line = signature.lines().nth(1).unwrap();
    let mut bytes = STANDARD.decode(line).unwrap();
    bytes[..2].copy_from_slice(b"Ed");
    signature.replace(line, &STANDARD.encode(bytes))
}

#[tokio::test]
async fn what_is_refused_is_listed_with_its_reason() {
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
    expect("unsigned", "there is no `unsigned.wasm.minisig`");
    folder.write("lonely.wasm.minisig", author.sign(b"x").as_bytes());
    expect("lonely", "there is no `lonely.wasm`");
    folder.drop_signed("stranger", &good("stranger"), &stranger);
    expect("stranger", &format!("signed by key {}, which is not trusted", stranger.key_id()));
    for at in [0, 40, good("flipped-0").len() - 1] {
        let name = format!("flipped-{at}");
        let bytes = good(&name);
        folder.drop(&name, &flipped(&bytes, at.min(bytes.len() - 1)), &author.sign(&bytes));
        expect(&name, "was changed");
    }
    let signed = author.sign(&good("comment"));
    folder.drop("comment", &good("comment"), &signed.replace("timestamp:", "timestamp:9"));
    expect("comment", "was changed");
    folder.drop("legacy", &good("legacy"), &legacy(&author.sign(&good("legacy"))));
    expect("legacy", "legacy");
    folder.drop("nonsense", &good("nonsense"), "nonsense");
    expect("nonsense", "no minisign signature");
    folder.drop_signed("other-name", &good("its-name"), &author);
    expect("other-name", "its manifest says `its-name`");
    folder.drop_signed("backup", &good("backup"), &author);
    expect("backup", "AtlasHub's own");
    let core_module = append_section(wat::parse_str("(module)").unwrap(), manifest("module", 1).to_string().as_bytes());
    folder.drop_signed("module", &core_module, &author);
    expect("module", "core module");
    folder.drop_signed("precompiled", b"\x7fELF\x02\x01\x01 and so on", &author);
    expect("precompiled", "precompiled");
    folder.drop_signed("script", b"#!/bin/sh\nrm -rf /\n", &author);
    expect("script", "no WebAssembly component");
    let bare = wat::parse_str("(component)").unwrap();
    folder.drop_signed("bare", &bare, &author);
    expect("bare", "atlashub:manifest");
    let twice = append_section(good("twice"), manifest("twice", 2).to_string().as_bytes());
    folder.drop_signed("twice", &twice, &author);
    expect("twice", "more than one");
    let wasi = r#"(component (import "wasi:cli/environment@0.2.0" (instance (export "f" (func)))) (instance $job)
        (export "atlashub:plugin/job@0.1.0" (instance $job)))"#;
    let wasi = append_section(wat::parse_str(wasi).unwrap(), manifest("wasi", 1).to_string().as_bytes());
    folder.drop_signed("wasi", &wasi, &author);
    expect("wasi", "imports `wasi:cli/environment@0.2.0`");
    folder.drop_signed("greedy", &importing_http(&manifest("greedy", 1)), &author);
    expect("greedy", "imports `http` and its manifest does not ask for that");

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
        // Of a manifest that nobody vouches for, nothing is shown.
        assert_eq!((&plugin["version"], &plugin["jobs"]), (&Value::Null, &json!([])), "{plugin}");
    }
    assert_eq!(items.len(), expected.len());
    let (status, error) = app.admin().post("/admin/v1/plugins/flipped-40/approve", json!({})).await;
    assert_eq!((status.as_u16(), error["error"]["code"].as_str()), (409, Some("conflict")), "{error}");
    assert!(app.app.plugins().active("flipped-40").is_none());

    // Each is told once, when it lasts.
    let wanted: BTreeSet<String> = expected.iter().map(|(name, _)| name.clone()).collect();
    loop {
        let (_, audit) = app.admin().get("/admin/v1/audit?action=plugin.reject&limit=200").await;
        let told: Vec<String> = audit["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|entry| entry["target"].as_str().unwrap().to_owned())
            .collect();
        if told.iter().cloned().collect::<BTreeSet<_>>() == wanted {
            assert_eq!(told.len(), wanted.len(), "{told:?}");
            break;
        }
    }
}

#[tokio::test]
async fn a_plugin_waits_for_approval_and_then_runs() {
    let (folder, author) = (PluginFolder::new(), Author::new());
    folder.drop_signed("hello", &component(&manifest("hello", 1)), &author);
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
    // Approvals last over a restart.
    let again = folder_app_on(&folder, &app).await;
    until_state(&again.admin(), "hello", "active").await;
}

/// A second node, or the first after a restart.
async fn folder_app_on(folder: &PluginFolder, app: &TestApp) -> TestApp {
    TestApp::builder()
        .var("ATLASHUB_PLUGIN_DIR", folder.path().to_str().unwrap())
        .database_url(app.services.database_url.expose())
        .master_keys(&app.services.master_key, None)
        .start()
        .await
}

fn asking(name: &str, serial: u64, hosts: &[&str]) -> Value {
    let mut manifest = manifest(name, serial);
    manifest["capabilities"] = json!([{"capability": "http", "reason": "To greet.", "scope": {"hosts": hosts}}]);
    manifest
}

#[tokio::test]
async fn a_new_version_within_the_approval_loads_by_itself_and_any_other_waits() {
    let (folder, author, other) = (PluginFolder::new(), Author::new(), Author::new());
    let app = folder.app().await;
    author.trusted_by(&app).await;
    other.trusted_by(&app).await;
    folder.drop_signed("hello", &component(&asking("hello", 1, &["a.example", "b.example"])), &author);
    until_state(&app.admin(), "hello", "pending").await;
    let grant = json!({"granted": [{"capability": "http", "scope": {"hosts": ["a.example"]}}]});
    approve(&app, "hello", grant.clone()).await;

    folder.drop_signed("hello", &component(&asking("hello", 2, &["a.example"])), &author);
    let newer = until_plugin(&app.admin(), "hello", |plugin| plugin["serial"] == 2).await;
    assert_eq!(newer["state"], "active", "{newer}");

    folder.drop_signed("hello", &component(&asking("hello", 3, &["c.example"])), &author);
    let wider = until_plugin(&app.admin(), "hello", |plugin| plugin["serial"] == 3).await;
    assert_eq!(wider["state"], "pending", "{wider}");
    assert!(wider["reason"].as_str().unwrap().contains("c.example"), "{wider}");
    assert!(app.app.plugins().active("hello").is_none());

    folder.drop_signed("hello", &component(&asking("hello", 4, &["a.example"])), &other);
    let foreign = until_plugin(&app.admin(), "hello", |plugin| plugin["serial"] == 4).await;
    assert_eq!(foreign["state"], "pending", "{foreign}");
    assert!(foreign["reason"].as_str().unwrap().contains(&author.key_id()), "{foreign}");
    approve(&app, "hello", grant).await;
    until_state(&app.admin(), "hello", "active").await;
}

#[tokio::test]
async fn an_approval_is_of_the_file_that_was_looked_at() {
    let (folder, author) = (PluginFolder::new(), Author::new());
    folder.drop_signed("hello", &component(&manifest("hello", 1)), &author);
    let app = folder.app().await;
    author.trusted_by(&app).await;
    let seen = until_state(&app.admin(), "hello", "pending").await;
    // Another one takes its place before the owner has decided.
    folder.drop_signed("hello", &component(&asking("hello", 2, &["*"])), &author);
    let path = "/admin/v1/plugins/hello/approve";
    let (status, error) = app.admin().post(path, json!({"sha256": seen["sha256"]})).await;
    assert_eq!((status.as_u16(), error["error"]["code"].as_str()), (409, Some("conflict")), "{error}");
    let now = until_plugin(&app.admin(), "hello", |plugin| plugin["serial"] == 2).await;
    assert_eq!(now["state"], "pending", "{now}");
    assert!(error["error"]["message"].as_str().unwrap().contains(now["sha256"].as_str().unwrap()), "{error}");
    assert_eq!(approve(&app, "hello", json!({"sha256": now["sha256"]})).await["state"], "active");
}

#[tokio::test]
async fn a_plugin_does_not_run_without_a_power_that_it_imports() {
    let (folder, author) = (PluginFolder::new(), Author::new());
    folder.drop_signed("caller", &importing_http(&asking("caller", 1, &["a.example"])), &author);
    let app = folder.app().await;
    author.trusted_by(&app).await;
    let refused = approve(&app, "caller", json!({"granted": []})).await;
    assert_eq!(refused["state"], "rejected", "{refused}");
    assert!(refused["reason"].as_str().unwrap().contains("imports `http`, which you did not grant"), "{refused}");
    let granted = approve(&app, "caller", json!({"granted": [{"capability": "http", "scope": {}}]})).await;
    assert_eq!((granted["state"].as_str(), &granted["imports"]), (Some("active"), &json!(["types", "http"])));
}

#[tokio::test]
async fn no_older_serial_comes_back() {
    let (folder, author) = (PluginFolder::new(), Author::new());
    let app = folder.app().await;
    author.trusted_by(&app).await;
    folder.drop_signed("hello", &component(&manifest("hello", 5)), &author);
    until_state(&app.admin(), "hello", "pending").await;
    approve(&app, "hello", json!({})).await;

    let rejected = async |app: &TestApp, bytes: &[u8], reason: &str| {
        folder.drop_signed("hello", bytes, &author);
        let told = |plugin: &Value| plugin["reason"].as_str().is_some_and(|found| found.contains(reason));
        assert_eq!(until_plugin(&app.admin(), "hello", told).await["state"], "rejected");
    };
    let older = component(&manifest("hello", 4));
    rejected(&app, &older, "below 5").await;
    rejected(&app, &with_body(&manifest("hello", 5), "(nop)"), "another file with serial 5").await;

    folder.remove("hello");
    until_plugin(&app.admin(), "hello", |answer| answer["error"]["code"] == "not_found").await;
    rejected(&app, &older, "below 5").await;
    // Not by forgetting the approval, nor by a restart.
    assert_eq!(app.admin().delete("/admin/v1/plugins/hello").await.0.as_u16(), 204);
    let again = folder_app_on(&folder, &app).await;
    until_plugin(&again.admin(), "hello", |plugin| plugin["state"] == "rejected").await;
    let same = component(&manifest("hello", 5));
    folder.drop_signed("hello", &same, &author);
    until_state(&again.admin(), "hello", "pending").await;
}

#[tokio::test]
async fn a_revocation_ends_runs_on_every_node() {
    let (folder, author) = (PluginFolder::new(), Author::new());
    let names = ["by-name", "by-file", "by-key"];
    for name in names {
        folder.drop_signed(name, &endless(&manifest(name, 1)), &author);
    }
    let app = folder.app().await;
    author.trusted_by(&app).await;
    for name in names {
        approve(&app, name, json!({})).await;
    }
    let other = folder_app_on(&folder, &app).await;
    for name in names {
        until_state(&other.admin(), name, "active").await;
        let (here, there) = (Run::begin(&app, name).await, Run::begin(&other, name).await);
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
        until_state(&other.admin(), name, "revoked").await;
        assert!(app.app.plugins().active(name).is_none() && other.app.plugins().active(name).is_none());
    }
    // A key does not come back; a plugin does, when the owner says so.
    let body = json!({ "name": "Again", "publicKey": author.public_key() });
    let (status, error) = app.admin().post("/admin/v1/trusted-keys", body).await;
    assert_eq!(status.as_u16(), 409, "{error}");
}

#[tokio::test]
async fn a_revoked_plugin_comes_back_by_approval_alone() {
    let (folder, author) = (PluginFolder::new(), Author::new());
    folder.drop_signed("hello", &component(&manifest("hello", 1)), &author);
    let app = folder.app().await;
    author.trusted_by(&app).await;
    approve(&app, "hello", json!({})).await;
    app.admin().post("/admin/v1/plugins/hello/revoke", json!({})).await;
    // Neither by a new version, nor by forgetting.
    folder.drop_signed("hello", &component(&manifest("hello", 2)), &author);
    let newer = until_plugin(&app.admin(), "hello", |plugin| plugin["serial"] == 2).await;
    assert_eq!(newer["state"], "revoked", "{newer}");
    folder.drop_signed("hello", &component(&manifest("hello", 1)), &author);
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
        folder: plugins::PluginFolder::new(folder.path()),
        first_party: plugins::FirstParty::default(),
    }
}

#[test]
fn what_is_loaded_is_what_was_checked() {
    let (folder, author) = (PluginFolder::new(), Author::new());
    let (good, evil) = (component(&manifest("hello", 1)), with_body(&manifest("hello", 1), "unreachable"));
    folder.drop_signed("hello", &good, &author);
    let file = read_pair(&plugins::PluginFolder::new(folder.path()), "hello").unwrap();
    // Right after the only read.
    folder.write("hello.wasm", &evil);
    let key = PluginKey::parse(&author.public_key()).unwrap();
    let mut trust = TrustView { keys: [(author.key_id(), key)].into(), ..TrustView::default() };
    let approval = plugins::trust::Approval { key_id: author.key_id(), ..Default::default() };
    trust.approvals.insert("hello".into(), approval);
    let (_, inspected) = inspect(&file, &trust);
    let verified = Arc::new(inspected.unwrap()).verify(file.bytes, &trust).unwrap();
    assert_eq!(&*verified.into_bytes().0, good.as_slice());
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_are_swapped_all_the_time_never_load_what_is_not_signed() {
    let (folder, author) = (PluginFolder::new(), Author::new());
    let (good, evil) = (component(&manifest("hello", 1)), with_body(&manifest("hello", 1), "unreachable"));
    folder.drop_signed("hello", &good, &author);
    let app = folder.app().await;
    author.trusted_by(&app).await;
    let approved = approve(&app, "hello", json!({})).await;
    let folder = Arc::new(folder);
    let stop = Arc::new(AtomicBool::new(false));
    let swapping = {
        let (folder, stop) = (Arc::clone(&folder), Arc::clone(&stop));
        tokio::task::spawn_blocking(move || {
            while !stop.load(Ordering::Relaxed) {
                // In place, so that a reader may see a part of each.
                fs::write(folder.path().join("hello.wasm"), &evil).unwrap();
                fs::write(folder.path().join("hello.wasm"), &good).unwrap();
            }
        })
    };
    for _ in 0..100 {
        app.app.plugins().refresh().await.unwrap();
        if let Some(active) = app.app.plugins().active("hello") {
            let hash: String = active.plugin.sha256.iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(approved["sha256"], hash);
        }
    }
    stop.store(true, Ordering::Relaxed);
    swapping.await.unwrap();
    until_state(&app.admin(), "hello", "active").await;
}
