//! Plugin authors, plugin files and plugin folders.

use std::{fs, path::Path, sync::Arc};

use atlashub::jobs::{JobRunner, RunFailure, RunReport};
use minisign::KeyPair;
use plugin_manifest::append_section;
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::{
    Client, TestApp, eventually,
    guests::{self, Guest, Recorded},
};

/// A plugin author with a minisign key.
pub struct Author {
    keys: KeyPair,
}

impl Author {
    pub fn new() -> Self {
        Self { keys: KeyPair::generate_unencrypted_keypair().expect("a key") }
    }

    /// Returns the key as in the second line of a `.pub` file.
    pub fn public_key(&self) -> String {
        self.keys.pk.to_base64()
    }

    pub fn key_id(&self) -> String {
        let big_endian: Vec<u8> = self.keys.pk.keynum().iter().rev().copied().collect();
        hex::encode_upper(big_endian)
    }

    /// Returns the content of a `.minisig` file.
    pub fn sign(&self, bytes: &[u8]) -> String {
        minisign::sign(Some(&self.keys.pk), &self.keys.sk, bytes, None, None).expect("a signature").into_string()
    }

    /// Adds the author's key to the trusted keys.
    pub async fn trusted_by(&self, app: &TestApp) {
        let body = json!({ "name": "Author", "publicKey": self.public_key() });
        let (status, key) = app.admin().post("/admin/v1/trusted-keys", body).await;
        assert_eq!(status, StatusCode::CREATED, "{key}");
    }
}

/// Returns a manifest with one job and no capabilities.
pub fn manifest(name: &str, serial: u64) -> Value {
    json!({
        "name": name, "version": format!("{serial}.0.0"), "serial": serial, "publisher": "Tests",
        "description": "A plugin of the tests.",
        "jobs": [{"name": "run", "description": "Runs.", "paramsSchema": {
            "type": "object", "additionalProperties": false, "properties": {"times": {"type": "integer"}},
        }}],
    })
}

/// Returns a component whose job returns `{}`.
pub fn component(manifest: &Value) -> Vec<u8> {
    with_body(manifest, "")
}

/// Returns a component whose job executes `body`, see [`Guest`].
pub fn with_body(manifest: &Value, body: &str) -> Vec<u8> {
    append_section(Guest { body, ..Guest::default() }.bytes(), manifest.to_string().as_bytes())
}

/// Returns a component that imports `http` without calling it.
pub fn importing_http(manifest: &Value) -> Vec<u8> {
    let imports = r#"(import "atlashub:plugin/http@0.1.0" (instance (export "send" (func async))))"#;
    append_section(Guest { imports, ..Guest::default() }.bytes(), manifest.to_string().as_bytes())
}

/// The plugin folder of one test.
pub struct PluginFolder(tempfile::TempDir);

impl PluginFolder {
    pub fn new() -> Self {
        Self(tempfile::tempdir().expect("temporary folder"))
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Starts an app with this plugin folder.
    pub async fn app(&self) -> TestApp {
        TestApp::builder().var("ATLASHUB_PLUGIN_DIR", self.path().to_str().expect("UTF-8")).start().await
    }

    /// Adds both files, each atomically like `mv`.
    pub fn add(&self, name: &str, component: &[u8], signature: &str) {
        self.write(&format!("{name}.wasm.minisig"), signature.as_bytes());
        self.write(&format!("{name}.wasm"), component);
    }

    pub fn add_signed(&self, name: &str, component: &[u8], author: &Author) {
        self.add(name, component, &author.sign(component));
    }

    pub fn write(&self, file: &str, content: &[u8]) {
        let hidden = self.path().join(format!(".{file}"));
        fs::write(&hidden, content).expect("written");
        fs::rename(hidden, self.path().join(file)).expect("renamed");
    }

    pub fn remove(&self, name: &str) {
        fs::remove_file(self.path().join(format!("{name}.wasm"))).expect("removed");
        fs::remove_file(self.path().join(format!("{name}.wasm.minisig"))).expect("removed");
    }
}

/// Waits until the plugin meets the condition, and returns it.
pub async fn until_plugin(admin: &Client, name: &str, condition: impl Fn(&Value) -> bool) -> Value {
    let path = format!("/admin/v1/plugins/{name}");
    eventually(&format!("plugin {name} meets the condition"), async || {
        let (_, plugin) = admin.get(&path).await;
        condition(&plugin).then_some(plugin)
    })
    .await
}

/// Waits until the plugin is in this state, and returns it.
pub async fn until_state(admin: &Client, name: &str, state: &str) -> Value {
    until_plugin(admin, name, |plugin| plugin["state"] == state).await
}

pub async fn approve(app: &TestApp, name: &str, body: Value) -> Value {
    let (status, plugin) = app.admin().post(&format!("/admin/v1/plugins/{name}/approve"), body).await;
    assert_eq!(status, StatusCode::OK, "{plugin}");
    plugin
}

/// Returns a component that logs a line and then never ends.
pub fn endless(manifest: &Value) -> Vec<u8> {
    let guest = Guest {
        imports: r#"
  (import "atlashub:plugin/log@0.1.0" (instance $log
    (type $level (enum "debug" "info" "warn" "error"))
    (export "level" (type $level' (eq $level)))
    (export "write" (func (param "level" $level') (param "message" string) (param "fields" string)))))"#,
        lowered: r#"(core func $write (canon lower (func $log "write") (memory $memory)))"#,
        wired: r#"(export "write" (func $write))"#,
        core_imports: r#"(import "host" "write" (func $write (param i32 i32 i32 i32 i32)))"#,
        items: r#"(data (i32.const 64) "here")"#,
        body: "(call $write (i32.const 1) (i32.const 64) (i32.const 4) (i32.const 0) (i32.const 0)) (loop (br 0))",
    };
    append_section(guest.bytes(), manifest.to_string().as_bytes())
}

/// A run of a plugin that has started and logged a line.
pub struct Run {
    pub cancel: CancellationToken,
    outcome: tokio::task::JoinHandle<Result<RunReport, RunFailure>>,
}

impl Run {
    pub async fn start(app: &TestApp, plugin: &str) -> Self {
        let (runner, recorded, cancel) =
            (app.app.job_runner(), Arc::new(Recorded::default()), CancellationToken::new());
        let mut call = guests::call("run", json!({}));
        call.plugin = plugin.to_owned();
        let (output, token) = (Arc::clone(&recorded), cancel.clone());
        let outcome = tokio::spawn(async move { runner.run(call, output, token).await });
        recorded.until_logged().await;
        Self { cancel, outcome }
    }

    pub async fn outcome(self) -> Result<RunReport, RunFailure> {
        self.outcome.await.expect("the run should end")
    }
}

/// Runs a plugin until it ends.
pub async fn run(app: &TestApp, plugin: &str) -> Result<RunReport, RunFailure> {
    let mut call = guests::call("", json!({}));
    call.plugin = plugin.to_owned();
    app.app.job_runner().run(call, Arc::new(Recorded::default()), CancellationToken::new()).await
}
