//! A store for the tests of single capabilities. Its run has no services and no grants.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use plugin_manifest::Limits;
use sqlx::PgPool;
use uuid::Uuid;
use wasmtime::{Engine, Store, component::Component};

use crate::{
    config::PluginsConfig,
    jobs::{LineLevel, Redactor, RunCall, RunOutput},
    plugins::guest::{AuditedDenials, CallLimits, Grants, RunScope, RunState, SharedMemory},
};

/// Records the log lines of a run, and the notes on its progress.
#[derive(Default)]
pub(super) struct RecordedOutput {
    pub lines: Mutex<Vec<(LineLevel, String)>>,
    pub notes: Mutex<Vec<String>>,
}

impl RunOutput for RecordedOutput {
    fn log(&self, level: LineLevel, message: &str, _fields: serde_json::Value) {
        self.lines.lock().push((level, message.to_owned()));
    }

    fn lines_dropped(&self, _count: u64, _reason: &str) {}

    fn progress(&self, _done: u64, _total: Option<u64>, _message: &str) {}

    fn progress_note(&self, note: &str) {
        self.notes.lock().push(note.to_owned());
    }
}

/// Compiles a component in the text format of WebAssembly.
pub(super) fn compile(text: &str) -> (Engine, Component) {
    let engine = Engine::new(&plugin_compiler::configuration()).unwrap();
    let component = Component::new(&engine, wat::parse_str(text).unwrap()).unwrap();
    (engine, component)
}

/// Creates a store whose run has no services and no grants.
pub(super) fn store(engine: &Engine) -> Store<RunState<()>> {
    store_with_output(engine, Arc::new(RecordedOutput::default()))
}

pub(super) fn store_with_output(engine: &Engine, output: Arc<RecordedOutput>) -> Store<RunState<()>> {
    let limits = Limits::default();
    let call = RunCall {
        run_id: Uuid::now_v7(),
        job_id: None,
        lease: Uuid::now_v7(),
        project: None,
        plugin: "guest".to_owned(),
        job: "run".to_owned(),
        params: serde_json::Value::Null,
        secrets: BTreeMap::new(),
        attempt: 1,
        scheduled_for: None,
        timeout: Duration::from_secs(60),
    };
    let started = Instant::now();
    let run = RunScope {
        plugin: "guest".to_owned(),
        grants: Arc::new(Grants::default()),
        call,
        limits,
        output,
        redactor: Arc::new(Redactor::from_secrets(std::iter::empty())),
        services: Arc::new(()),
        started,
        deadline: started + Duration::from_secs(60),
        denials: AuditedDenials::new(PgPool::connect_lazy("postgres://nobody@127.0.0.1:1/none").unwrap()),
        calls: CallLimits::new(&PluginsConfig::default()).for_run("guest"),
        failures: Default::default(),
    };
    let memory = SharedMemory::new(limits.memory_mib * 2).limiter("guest", limits.memory_mib);
    let mut store = Store::new(engine, RunState::new(run, memory));
    store.set_epoch_deadline(u64::MAX / 2);
    store
}
