//! The admin API for plugins: grants, settings, secrets, keys, the audit log, and first-party plugins.

use std::{sync::Arc, time::Duration};

use atlashub::{
    app::{check_all_sealed, reseal_all},
    jobs::{JobRunner as _, RunFailure},
    plugins::{
        FirstParty, PluginFolder as Folder, PluginRunner, Plugins, PluginsParts,
        package::{PluginKey, embedded::EmbeddedPlugin},
        runtime::{Compiler, Engine, HostLimits, Runtime},
    },
    secrets::{MasterKey, Sealer},
};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::support::{
    TestApp, code,
    guests::{Recorded, call, unused_services},
    plugin_files::{Author, PluginFolder, approve, component, manifest, until_state},
};

fn requesting(name: &str, serial: u64) -> Value {
    let mut manifest = manifest(name, serial);
    manifest["capabilities"] = json!([
        {"capability": "http", "reason": "To greet.", "scope": {"hosts": ["*.example"]}},
        {"capability": "secrets", "reason": "To sign in.", "scope": {"secrets": ["token"]}},
    ]);
    manifest
}

async fn app_with_pending_plugin() -> (TestApp, PluginFolder) {
    let (folder, author) = (PluginFolder::new(), Author::new());
    folder.add_signed("hello", &component(&requesting("hello", 1)), &author);
    let app = folder.app().await;
    author.trusted_by(&app).await;
    until_state(&app.admin(), "hello", "pending").await;
    (app, folder)
}

#[tokio::test]
async fn grant_wider_than_the_request_is_rejected() {
    let (app, _folder) = app_with_pending_plugin().await;
    let path = "/admin/v1/plugins/hello/approve";
    let refused = async |body: Value, word: &str| {
        let (status, error) = app.admin().post(path, body).await;
        assert_eq!(
            (status, error["error"]["code"].as_str()),
            (StatusCode::BAD_REQUEST, Some("invalid_request")),
            "{error}"
        );
        assert!(error["error"]["message"].as_str().unwrap().contains(word), "{error}");
    };
    refused(json!({"granted": [{"capability": "http", "scope": {"hosts": ["*"]}}]}), "wider").await;
    refused(json!({"granted": [{"capability": "databases", "scope": {"databases": ["*"]}}]}), "databases").await;
    refused(json!({"granted": [{"capability": "shell"}]}), "shell").await;
    refused(json!({"secrets": {"not a name": "x"}}), "not a name").await;
    refused(json!({"config": {"big": "x".repeat(9000)}}), "config.big").await;
    let (status, error) = app.admin().post(path, json!({"everything": true})).await;
    assert_eq!((status, error["error"]["code"].as_str()), (StatusCode::BAD_REQUEST, Some("invalid_json")), "{error}");
    let (status, _) = app.admin().post("/admin/v1/plugins/nothing/approve", json!({})).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert_eq!(app.admin().get("/admin/v1/plugins/hello").await.1["state"], "pending");

    let narrow = json!([{"capability": "http", "scope": {"hosts": ["api.example"]}}]);
    let plugin = approve(&app, "hello", json!({"granted": narrow})).await;
    assert_eq!((&plugin["granted"], plugin["state"].as_str()), (&narrow, Some("active")));
    // Changing a setting keeps the grants.
    let plugin = approve(&app, "hello", json!({"config": {"greeting": "Hello"}})).await;
    assert_eq!((&plugin["granted"], &plugin["config"]), (&narrow, &json!({"greeting": "Hello"})));
    // The component imports neither interface, so its runs get no scope.
    assert!(app.app.plugins().loaded("hello").unwrap().runnable.grants.scopes.is_empty());
}

#[tokio::test]
async fn approval_that_names_no_grants_grants_everything_requested() {
    let (app, _folder) = app_with_pending_plugin().await;
    let plugin = approve(&app, "hello", json!({})).await;
    let expected = json!([
        {"capability": "secrets", "scope": {"secrets": ["token"]}},
        {"capability": "http", "scope": {"hosts": ["*.example"]}},
    ]);
    assert_eq!(plugin["granted"], expected, "{plugin}");
}

#[tokio::test]
async fn more_than_64_secrets_of_a_plugin_are_rejected() {
    let (app, _folder) = app_with_pending_plugin().await;
    let secrets = |numbers: std::ops::Range<usize>| -> Value {
        let secrets: serde_json::Map<_, _> = numbers.map(|number| (format!("s{number}"), json!("x"))).collect();
        json!({ "secrets": secrets })
    };
    approve(&app, "hello", secrets(0..40)).await;
    let (status, error) = app.admin().post("/admin/v1/plugins/hello/approve", secrets(40..65)).await;
    assert_eq!((status, error["error"]["code"].as_str()), (StatusCode::BAD_REQUEST, Some("invalid_request")));
    assert!(error["error"]["message"].as_str().unwrap().contains("more than 64 secrets"), "{error}");
    let (_, plugin) = app.admin().get("/admin/v1/plugins/hello").await;
    assert_eq!(plugin["secrets"].as_array().map(Vec::len), Some(40), "{plugin}");
    // Values of existing secrets can be replaced, and removed secrets make room.
    let mut exchange = secrets(30..65);
    exchange["secrets"]["s0"] = Value::Null;
    let plugin = approve(&app, "hello", exchange).await;
    assert_eq!(plugin["secrets"].as_array().map(Vec::len), Some(64), "{plugin}");
}

#[tokio::test]
async fn secrets_are_write_only_and_can_be_resealed() {
    let (app, _folder) = app_with_pending_plugin().await;
    let secret = "correct horse battery staple";
    let body = json!({"secrets": {"token": secret, "other": "x"}});
    let plugin = approve(&app, "hello", body).await;
    assert_eq!(plugin["secrets"], json!(["other", "token"]));
    let plugin = approve(&app, "hello", json!({"secrets": {"other": null}})).await;
    assert_eq!(plugin["secrets"], json!(["token"]));
    let plugin = app.app.plugins().loaded("hello").unwrap();
    assert_eq!(plugin.runnable.grants.secrets["token"].expose(), secret);

    let (_, list) = app.admin().get("/admin/v1/plugins").await;
    let (_, audit) = app.admin().get("/admin/v1/audit?action=plugin.approve").await;
    assert!(!list.to_string().contains(secret) && !audit.to_string().contains(secret));
    assert_eq!(audit["items"][1]["details"]["secrets"], json!(["other", "token"]), "{audit}");
    let sealed: Vec<Vec<u8>> =
        sqlx::query_scalar("SELECT sealed FROM plugin_secrets").fetch_all(app.app.platform()).await.unwrap();
    assert!(sealed.len() == 1 && !sealed[0].windows(7).any(|part| part == b"correct"));

    let new = MasterKey::generate();
    let report = reseal_all(app.app.platform(), &Sealer::new(&new, Some(&app.services.master_key))).await.unwrap();
    assert_eq!(report.resealed, 1);
    assert_eq!(check_all_sealed(app.app.platform(), &Sealer::new(&new, None)).await.unwrap(), 1);
}

#[tokio::test]
async fn params_are_checked_against_the_schema() {
    use atlashub::jobs::{JobRunner, RunRefusal};
    let (app, _folder) = app_with_pending_plugin().await;
    approve(&app, "hello", json!({})).await;
    let runner = app.app.job_runner();
    assert_eq!(runner.check("hello", "", &json!({"times": 3})).await, Ok("run".to_owned()));
    let Err(RunRefusal::Params { problems }) = runner.check("hello", "run", &json!({"times": "x"})).await else {
        panic!("accepted");
    };
    assert_eq!(problems[0].0, "/times");
    assert!(matches!(runner.check("hello", "walk", &json!({})).await, Err(RunRefusal::UnknownJob { .. })));
    let unknown = runner.check("nothing", "", &json!({})).await;
    assert!(matches!(unknown, Err(RunRefusal::UnknownPlugin { .. })), "{unknown:?}");
}

#[tokio::test]
async fn plugin_list_is_paginated_and_changes_are_audited() {
    let (folder, author) = (PluginFolder::new(), Author::new());
    for name in ["alpha", "beta", "gamma"] {
        folder.add_signed(name, &component(&manifest(name, 1)), &author);
    }
    let app = folder.app().await;
    author.trusted_by(&app).await;
    let (_, first) = app.admin().get("/admin/v1/plugins?limit=2").await;
    let names = |page: &Value| -> Vec<String> {
        page["items"].as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&first), ["alpha", "beta"]);
    let cursor = first["nextCursor"].as_str().unwrap();
    let (_, second) = app.admin().get(&format!("/admin/v1/plugins?limit=2&cursor={cursor}")).await;
    assert_eq!((names(&second), &second["nextCursor"]), (vec!["gamma".to_owned()], &Value::Null));

    approve(&app, "alpha", json!({})).await;
    app.admin().post("/admin/v1/plugins/alpha/revoke", json!({})).await;
    app.admin().delete("/admin/v1/plugins/alpha").await;
    assert_eq!(app.admin().delete("/admin/v1/plugins/alpha").await.0, StatusCode::NOT_FOUND);
    assert_eq!(app.admin().post("/admin/v1/plugins/nothing/revoke", json!({})).await.0, StatusCode::NOT_FOUND);
    let (_, audit) = app.admin().get("/admin/v1/audit").await;
    let entries: Vec<_> = audit["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| {
            (entry["action"].as_str().unwrap(), entry["target"].as_str().unwrap(), entry["result"].as_str().unwrap())
        })
        .collect();
    let key = author.key_id();
    let expected = [
        ("plugin.revoke", "nothing", "denied"),
        ("plugin.remove", "alpha", "denied"),
        ("plugin.remove", "alpha", "success"),
        ("plugin.revoke", "alpha", "success"),
        ("plugin.approve", "alpha", "success"),
        ("trusted_key.add", key.as_str(), "success"),
    ];
    assert_eq!(entries, expected);
    assert_eq!(audit["items"][4]["details"]["keyId"], json!(key));
}

#[tokio::test]
async fn revoked_key_cannot_be_trusted_again() {
    let app = TestApp::start().await;
    let author = Author::new();
    let add = async |name: &str, key: &str| {
        app.admin().post("/admin/v1/trusted-keys", json!({"name": name, "publicKey": key})).await
    };
    let file = format!("untrusted comment: minisign public key\n{}\n", author.public_key());
    let (status, key) = add("Somebody", &file).await;
    assert_eq!((status, key["id"].as_str()), (StatusCode::CREATED, Some(author.key_id().as_str())), "{key}");
    assert_eq!(
        (&key["publicKey"], &key["firstParty"], &key["proposed"]),
        (&json!(author.public_key()), &json!(false), &json!(false))
    );
    assert_eq!(add("Again", &author.public_key()).await.0, StatusCode::CONFLICT);
    for (name, key) in [("x", "nonsense"), ("", author.public_key().as_str()), ("x", "")] {
        assert_eq!(add(name, key).await.0, StatusCode::BAD_REQUEST, "{name} {key}");
    }
    let path = format!("/admin/v1/trusted-keys/{}", author.key_id());
    assert_eq!(app.admin().delete(&path).await.0, StatusCode::NO_CONTENT);
    assert_eq!(app.admin().delete(&path).await.0, StatusCode::NO_CONTENT);
    assert_eq!(app.admin().delete("/admin/v1/trusted-keys/0000000000000000").await.0, StatusCode::NOT_FOUND);
    let (_, keys) = app.admin().get("/admin/v1/trusted-keys").await;
    let revoked = keys["items"].as_array().unwrap().iter().find(|key| key["id"] == author.key_id()).unwrap();
    assert!(revoked["revokedAt"].is_string(), "{keys}");
    let (status, error) = add("Again", &author.public_key()).await;
    assert_eq!(status, StatusCode::CONFLICT, "{error}");
    assert!(error["error"]["message"].as_str().unwrap().contains("can't be trusted again"), "{error}");
}

/// Creates the plugin service of a binary that embeds the plugin `cleanup`, on the app's database.
fn with_first_party(app: &TestApp, author: &Author, manifest: &Value) -> Plugins {
    let bytes = component(manifest);
    let minisig = author.sign(&bytes).leak();
    let plugin = EmbeddedPlugin { name: "cleanup", wasm: bytes.leak(), minisig };
    let limits = HostLimits::default();
    Plugins::new(PluginsParts {
        platform: app.app.platform().clone(),
        sealer: Sealer::new(&app.services.master_key, None),
        folder: Folder::new("/nonexistent/plugins", 1 << 20),
        first_party: FirstParty::new(Some(PluginKey::parse(&author.public_key()).unwrap()), vec![plugin]),
        runtime: Arc::new(Runtime::new(Engine::new(&limits, Compiler::Here).unwrap(), limits, unused_services())),
        on_rejected: Arc::new(|_| {}),
    })
}

#[tokio::test]
async fn first_party_plugins_are_approved_by_default_until_the_owner_decides() {
    let (app, author) = (TestApp::start().await, Author::new());
    let plugins = with_first_party(&app, &author, &requesting("cleanup", 1));
    plugins.refresh().await.unwrap();
    let own = plugins.get("cleanup").await.unwrap();
    assert!(own.first_party && own.state == api_types::PluginState::Active, "{own:?}");
    assert_eq!(own.granted.len(), 2);
    let key = plugins.keys().await.unwrap().into_iter().find(|key| key.id == author.key_id()).unwrap();
    assert!(key.first_party && key.name == "AtlasHub");
    let (_, audit) = app.admin().get("/admin/v1/audit?action=plugin.approve").await;
    assert_eq!((&audit["items"][0]["actor"], &audit["items"][0]["target"]), (&json!("system"), &json!("cleanup")));

    // A newer version that requests more is approved too. An older binary on the same database keeps its version.
    let mut wider = requesting("cleanup", 2);
    wider["capabilities"].as_array_mut().unwrap().push(json!({"capability": "notify", "reason": "To tell."}));
    let newer = with_first_party(&app, &author, &wider);
    newer.refresh().await.unwrap();
    plugins.refresh().await.unwrap();
    for plugins in [&newer, &plugins] {
        assert!(plugins.loaded("cleanup").is_some(), "{:?}", plugins.get("cleanup").await);
    }

    // A decision of the owner is kept.
    let narrowed = api_types::ApprovePlugin { granted: Some(Vec::new()), ..Default::default() };
    newer.approve("cleanup", &narrowed, "owner").await.unwrap();
    plugins.revoke("cleanup").await.unwrap();
    let restarted = with_first_party(&app, &author, &wider);
    restarted.refresh().await.unwrap();
    let own = restarted.get("cleanup").await.unwrap();
    assert_eq!((own.state, own.granted.len()), (api_types::PluginState::Revoked, 0), "{own:?}");
}

#[tokio::test]
async fn key_of_the_first_party_plugins_is_revoked_only_after_confirmation() {
    let (app, author) = (TestApp::start().await, Author::new());
    let plugins = with_first_party(&app, &author, &requesting("cleanup", 1));
    plugins.refresh().await.unwrap();
    let path = format!("/admin/v1/trusted-keys/{}", author.key_id());
    for body in [json!({}), json!({ "confirm": "atlashub" })] {
        let (status, error) = app.admin().delete_with(&path, body).await;
        assert_eq!((status, code(&error)), (StatusCode::BAD_REQUEST, "confirmation_required"), "{error}");
        assert!(error["error"]["hint"].as_str().unwrap().contains(r#"{"confirm":"AtlasHub"}"#), "{error}");
        let message = error["error"]["message"].as_str().unwrap();
        for stopped in ["backups", "cleanups", "imports", "exports", "HTTP jobs", "`migrations`"] {
            assert!(message.contains(stopped), "{stopped}: {message}");
        }
    }
    let (status, error) = app.admin().delete(&path).await;
    assert_eq!((status, code(&error)), (StatusCode::BAD_REQUEST, "confirmation_required"), "{error}");
    plugins.refresh().await.unwrap();
    assert!(plugins.loaded("cleanup").is_some());

    let (status, error) = app.admin().delete_with(&path, json!({ "confirm": "AtlasHub" })).await;
    assert_eq!(status, StatusCode::NO_CONTENT, "{error}");
    assert_eq!(app.admin().delete(&path).await.0, StatusCode::NO_CONTENT, "the second revocation was refused");
    plugins.refresh().await.unwrap();
    assert!(plugins.loaded("cleanup").is_none());
}

#[tokio::test]
async fn run_can_be_cancelled_before_the_plugins_are_loaded() {
    let (app, author) = (TestApp::start().await, Author::new());
    // Nothing refreshes these plugins, so they are never loaded.
    let runner = PluginRunner::new(with_first_party(&app, &author, &requesting("cleanup", 1)));
    let cancel = CancellationToken::new();
    cancel.cancel();
    let run = runner.run(call("greet", json!({})), Arc::new(Recorded::default()), cancel);
    assert_eq!(tokio::time::timeout(Duration::from_secs(5), run).await, Ok(Err(RunFailure::Cancelled)));
}

#[tokio::test]
async fn first_party_key_of_another_binary_is_not_trusted() {
    let (app, author, folder) = (TestApp::start().await, Author::new(), PluginFolder::new());
    with_first_party(&app, &author, &requesting("cleanup", 1)).refresh().await.unwrap();
    folder.add_signed("hello", &component(&manifest("hello", 1)), &author);
    let other = TestApp::builder()
        .var("ATLASHUB_PLUGIN_DIR", folder.path().to_str().unwrap())
        .database_url(app.services.database_url.expose())
        .master_keys(&app.services.master_key, None)
        .start()
        .await;
    let plugin = until_state(&other.admin(), "hello", "rejected").await;
    assert!(plugin["reason"].as_str().unwrap().contains("not trusted"), "{plugin}");
}
