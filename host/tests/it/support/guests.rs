//! Small components in text form, and a runtime to run them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use atlashub::{
    app::{self, App},
    config::{Config, Role, Secret, StorageConfig, Vars},
    jobs::{LineLevel, RunCall, RunFailure, RunOutput, RunReport},
    plugins::{
        guest::{Grants, Services},
        runtime::{CompileError, CompiledPlugin, Compiler, Engine, HostLimits, RunnablePlugin, Runtime},
    },
    secrets::MasterKey,
};
use plugin_manifest::{Limits, Manifest};
use sha2::{Digest, Sha256};
use sqlx::PgPool;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::ADMIN_TOKEN;

/// A component in the text format of WebAssembly, whose function `run` executes `body`.
///
/// The function ignores its arguments and returns the result `{}`, which is at address 16 of memory 0.
#[derive(Debug, Default, Clone, Copy)]
pub struct Guest<'a> {
    /// Instances that the component imports.
    pub imports: &'a str,
    /// Core functions `(core func …)` for functions of these instances.
    pub lowered: &'a str,
    /// Exports of these core functions, which the module imports from `host`.
    pub wired: &'a str,
    /// The module's imports from `host`.
    pub core_imports: &'a str,
    /// Additional items of the module: functions, data.
    pub items: &'a str,
    /// Instructions of `run`.
    pub body: &'a str,
}

impl Guest<'_> {
    pub fn text(&self) -> String {
        let Guest { imports, lowered, wired, core_imports, items, body } = self;
        format!(
            r#"(component
  (import "atlashub:plugin/types@0.1.0" (instance $types
    (type $code (enum "denied" "not-found" "invalid" "conflict" "too-large" "timeout" "unavailable" "failed"))
    (export "error-code" (type $code' (eq $code)))
    (type $error (record (field "code" $code') (field "message" string) (field "details" (option string))))
    (export "error" (type (eq $error)))))
  (alias export $types "error" (type $error))
  {imports}
  (core module $store
    (memory (export "memory") 1)
    (global $next (mut i32) (i32.const 4096))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (local $at i32)
      (local.set $at (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
      (global.set $next (i32.add (local.get $at) (local.get 3)))
      (if (i32.gt_u (global.get $next) (i32.const 65536)) (then unreachable))
      (local.get $at)))
  (core instance $store (instantiate $store))
  (alias core export $store "memory" (core memory $memory))
  (alias core export $store "realloc" (core func $realloc))
  {lowered}
  (core module $code
    (import "store" "memory" (memory 1))
    {core_imports}
    ;; The result: ok, a string of two bytes at 32.
    (data (i32.const 16) "\00\00\00\00\20\00\00\00\02\00\00\00")
    (data (i32.const 32) "{{}}")
    {items}
    (func (export "run") (param i32 i32 i32 i32 i32 i32 i64 i32 i32 i32 i32 i32) (result i32)
      (local $i i32)
      {body}
      (i32.const 16)))
  (core instance $code (instantiate $code
    (with "store" (instance $store))
    (with "host" (instance {wired}))))
  (type $context' (record (field "run-id" string) (field "job" string) (field "attempt" u32)
    (field "scheduled-for" (option u64)) (field "project" (option string))))
  (export $context "run-context" (type $context'))
  (type $run (func async (param "context" $context) (param "params" string) (result (result string (error $error)))))
  (func $run (type $run) (canon lift (core func $code "run") (memory $memory) (realloc $realloc)))
  (instance $job (export "run" (func $run)))
  (export "atlashub:plugin/job@0.1.0" (instance $job)))"#
        )
    }

    pub fn bytes(&self) -> Vec<u8> {
        wat::parse_str(self.text()).unwrap_or_else(|error| panic!("{error}"))
    }
}

/// The recorded output of a run.
#[derive(Debug, Default)]
pub struct Recorded {
    pub lines: Mutex<Vec<(LineLevel, String, serde_json::Value)>>,
    pub progress: Mutex<Vec<(u64, Option<u64>, String)>>,
    pub notes: Mutex<Vec<String>>,
    /// Number of dropped lines, and the reason.
    pub dropped: Mutex<Vec<(u64, String)>>,
    logged: Notify,
}

impl Recorded {
    pub fn messages(&self) -> Vec<String> {
        self.lines.lock().unwrap().iter().map(|(_, message, _)| message.clone()).collect()
    }

    /// Waits until the guest has logged a line.
    pub async fn until_logged(&self) {
        self.logged.notified().await;
    }
}

impl RunOutput for Recorded {
    fn log(&self, level: LineLevel, message: &str, fields: serde_json::Value) {
        self.lines.lock().unwrap().push((level, message.to_owned(), fields));
        self.logged.notify_one();
    }

    fn lines_dropped(&self, count: u64, reason: &str) {
        self.dropped.lock().unwrap().push((count, reason.to_owned()));
    }

    fn progress(&self, done: u64, total: Option<u64>, message: &str) {
        self.progress.lock().unwrap().push((done, total, message.to_owned()));
    }

    fn progress_note(&self, note: &str) {
        self.notes.lock().unwrap().push(note.to_owned());
    }
}

/// A runtime and a plugin to run in it.
pub struct GuestRun {
    pub runtime: Runtime,
    pub plugin: RunnablePlugin,
    pub recorded: Arc<Recorded>,
    pub cancel: CancellationToken,
    pub call: RunCall,
}

/// Returns services without a database or store, for runs that use neither.
pub fn unused_services() -> Arc<Services> {
    let vars = [
        ("ATLASHUB_DATABASE_URL", "postgres://nobody@127.0.0.1:1/none"),
        ("ATLASHUB_S3_ENDPOINT", "http://127.0.0.1:1"),
        ("ATLASHUB_S3_ACCESS_KEY_ID", "nobody"),
        ("ATLASHUB_S3_SECRET_ACCESS_KEY", "nothing"),
        ("PLATFORM_MASTER_KEY", &MasterKey::generate().to_base64()),
        ("DEV_ADMIN_TOKEN", ADMIN_TOKEN),
    ];
    let config = Config::from_vars(&Vars::from_pairs(vars), Role::All).unwrap();
    let StorageConfig::External(storage) = config.storage.clone() else { panic!() };
    let services = app::Services {
        database_url: Secret::new("postgres://nobody@127.0.0.1:1/none"),
        storage,
        master_key: MasterKey::generate(),
        previous_master_key: None,
        admin_token: None,
        postgres_programs: std::env::var_os("ATLASHUB_POSTGRES_BIN_DIR").map(Into::into),
        plugin_compiler: Compiler::Here,
    };
    Arc::clone(App::build(config, &services).unwrap().capabilities())
}

pub async fn compile(component: &[u8]) -> Result<CompiledPlugin, CompileError> {
    Engine::new(&HostLimits::default(), Compiler::Here).unwrap().compile(component.into()).await
}

impl GuestRun {
    pub async fn new(component: &[u8]) -> Self {
        Self::with(component, Grants::default(), HostLimits::default(), unused_services()).await
    }

    pub async fn with(component: &[u8], grants: Grants, limits: HostLimits, services: Arc<Services>) -> Self {
        let engine = Engine::new(&limits, Compiler::Here).unwrap();
        let code = engine.compile(component.into()).await.unwrap();
        let manifest = serde_json::json!({
            "name": "guest", "version": "1.0.0", "serial": 1, "publisher": "Tests", "description": "A guest.",
            "jobs": [{"name": "run", "description": "Runs.", "paramsSchema": {"type": "object"}}],
        });
        let manifest = Manifest::from_json(manifest.to_string().as_bytes()).unwrap();
        let plugin = RunnablePlugin {
            manifest: Arc::new(manifest),
            sha256: Sha256::digest(component).into(),
            grants: Arc::new(grants),
            code,
        };
        Self::with_code(engine, plugin, limits, services)
    }

    /// Creates a run of code that `engine` has compiled.
    pub fn with_code(engine: Engine, plugin: RunnablePlugin, limits: HostLimits, services: Arc<Services>) -> Self {
        Self {
            runtime: Runtime::new(engine, limits, services),
            plugin,
            recorded: Arc::default(),
            cancel: CancellationToken::new(),
            call: call("run", serde_json::json!({})),
        }
    }

    pub fn limit(mut self, change: impl FnOnce(&mut Limits)) -> Self {
        let mut manifest = Manifest::clone(&self.plugin.manifest);
        change(&mut manifest.limits);
        self.plugin.manifest = Arc::new(manifest);
        self
    }

    /// Inserts the run into the database as running, with a lease that lasts a day.
    pub async fn insert_as_running(self, platform: &PgPool) -> Self {
        sqlx::query(
            "INSERT INTO cron_job_runs (id, trigger, status, plugin, plugin_job, lease_token, lease_until, started_at)
             VALUES ($1, 'manual', 'running', $3, $4, $2, now() + interval '1 day', now())",
        )
        .bind(self.call.run_id)
        .bind(self.call.lease)
        .bind(&self.call.plugin)
        .bind(&self.call.job)
        .execute(platform)
        .await
        .unwrap();
        self
    }

    pub async fn run(&self) -> Result<RunReport, RunFailure> {
        self.runtime
            .run(&self.plugin, self.call.clone(), Arc::clone(&self.recorded) as Arc<dyn RunOutput>, self.cancel.clone())
            .await
    }

    /// Runs the plugin, which must fail, and returns the error message.
    pub async fn failure(&self) -> String {
        match self.run().await {
            Err(RunFailure::Failed { message, .. }) => message,
            other => panic!("{other:?}"),
        }
    }
}

pub fn call(job: &str, params: serde_json::Value) -> RunCall {
    RunCall {
        run_id: Uuid::now_v7(),
        job_id: None,
        lease: Uuid::now_v7(),
        project: None,
        plugin: "guest".to_owned(),
        job: job.to_owned(),
        params,
        secrets: BTreeMap::new(),
        attempt: 1,
        scheduled_for: None,
        timeout: Duration::from_secs(60),
    }
}

pub fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// Reads a component that was built for the tests.
pub fn built(file: &str) -> Vec<u8> {
    // target/debug/deps/it-…
    let program = std::env::current_exe().unwrap();
    let path = program.ancestors().nth(3).unwrap().join("plugins/testing").join(file);
    std::fs::read(&path)
        .unwrap_or_else(|error| panic!("{}: {error}; build it with `cargo xtask plugin testing`", path.display()))
}
