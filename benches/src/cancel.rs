//! Measures how long a run continues after it was cancelled, for different activities of the guest.
//!
//! The bench runs the test component `hostile` in the server's runtime with the default limits.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use atlashub::{
    app::{App, Services},
    config::{Config, ExternalStorageConfig, Role, Secret, Vars},
    jobs::{LineLevel, RunCall, RunFailure, RunOutput},
    plugins::{
        guest::Grants,
        package::read_manifest,
        runtime::{CompiledPlugin, Compiler, Engine, HostLimits, RunnablePlugin, Runtime},
    },
    secrets::MasterKey,
};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::plugins;

/// Jobs of the component: an endless loop, an endless loop that yields, waiting, and writing log lines.
const JOBS: [&str; 4] = ["loop", "spin-with-yields", "sleep-forever", "log-flood"];
const RUNS_PER_JOB: usize = 25;
/// Time from the start of a run until it is cancelled.
const CANCEL_AFTER: Duration = Duration::from_millis(10);

/// Time from the cancellation to the end of the run, over all jobs.
pub struct Figures {
    pub median: Duration,
    pub longest: Duration,
}

/// Runs the bench on a multi-threaded runtime like the server's.
pub fn measure() -> Result<Figures> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut times = runtime.block_on(times())?;
    times.sort_unstable();
    let (Some(&median), Some(&longest)) = (times.get(times.len() / 2), times.last()) else { bail!("no times") };
    Ok(Figures { median, longest })
}

async fn times() -> Result<Vec<Duration>> {
    let component = plugins::component("hostile").map_err(|error| anyhow::anyhow!("{error:#}"))?;
    let manifest = read_manifest(&component)?;
    let limits = HostLimits::default();
    let engine = Engine::new(&limits, Compiler::Here)?;
    let code = engine.compile(component.into()).await?;
    let plugin = Arc::new(RunnablePlugin {
        manifest: Arc::new(manifest),
        sha256: [0; 32],
        grants: Arc::new(all_grants(&code)),
        code,
    });
    let app = unconnected_app()?;
    let runtime = Arc::new(Runtime::new(engine, limits, Arc::clone(app.capabilities())));
    let mut times = Vec::new();
    for job in JOBS {
        for _ in 0..RUNS_PER_JOB {
            let cancel = CancellationToken::new();
            let (runtime, plugin, token) = (Arc::clone(&runtime), Arc::clone(&plugin), cancel.clone());
            let (call, output) = (run_call(job), Arc::new(DiscardedOutput));
            let run = tokio::spawn(async move { runtime.run(&plugin, call, output, token).await });
            tokio::time::sleep(CANCEL_AFTER).await;
            let begin = Instant::now();
            cancel.cancel();
            let outcome = run.await?;
            times.push(begin.elapsed());
            if !matches!(outcome, Err(RunFailure::Cancelled)) {
                bail!("{job} ended before it was cancelled: {outcome:?}");
            }
        }
    }
    Ok(times)
}

fn all_grants(code: &CompiledPlugin) -> Grants {
    Grants {
        scopes: code.capabilities().iter().map(|capability| (*capability, Default::default())).collect(),
        ..Grants::default()
    }
}

/// Builds an app whose capabilities exist but connect to nothing.
fn unconnected_app() -> Result<App> {
    let key = MasterKey::generate();
    let vars = [
        ("ATLASHUB_DATABASE_URL", "postgres://nobody@127.0.0.1:1/none"),
        ("ATLASHUB_S3_ENDPOINT", "http://127.0.0.1:1"),
        ("ATLASHUB_S3_ACCESS_KEY_ID", "nobody"),
        ("ATLASHUB_S3_SECRET_ACCESS_KEY", "nothing"),
        ("PLATFORM_MASTER_KEY", &key.to_base64()),
        ("DEV_ADMIN_TOKEN", "admin-token-of-the-benches"),
    ];
    let config = Config::from_vars(&Vars::from_pairs(vars), Role::All)?;
    let services = Services {
        database_url: Secret::new("postgres://nobody@127.0.0.1:1/none"),
        storage: ExternalStorageConfig {
            endpoint: "http://127.0.0.1:1".to_owned(),
            public_endpoint: "http://127.0.0.1:1".to_owned(),
            region: "us-east-1".to_owned(),
            access_key_id: Secret::new("nobody"),
            secret_access_key: Secret::new("nothing"),
            max_object_bytes: 1,
        },
        master_key: key,
        previous_master_key: None,
        admin_token: None,
        postgres_programs: None,
        plugin_compiler: Compiler::Here,
    };
    App::build(config, &services)
}

struct DiscardedOutput;

impl RunOutput for DiscardedOutput {
    fn log(&self, _: LineLevel, _: &str, _: Value) {}

    fn lines_dropped(&self, _: u64, _: &str) {}

    fn progress(&self, _: u64, _: Option<u64>, _: &str) {}

    fn progress_note(&self, _: &str) {}
}

fn run_call(job: &str) -> RunCall {
    RunCall {
        run_id: Uuid::now_v7(),
        job_id: None,
        lease: Uuid::now_v7(),
        project: None,
        plugin: "hostile".to_owned(),
        job: job.to_owned(),
        params: json!({}),
        secrets: BTreeMap::new(),
        attempt: 1,
        scheduled_for: None,
        timeout: Duration::from_secs(60),
    }
}
