//! Measures the overhead of plugins: starting a run, calls to the host, and streams compared with a native copy.
//!
//! The bench runs the test component `hostile` (`cargo xtask plugin testing`) in the server's engine, with a host that
//! serves `objects` from memory. No store and no network are involved, so the figures are those of the runtime alone.

use std::{
    hint::black_box,
    sync::Arc,
    time::{Duration, Instant},
};

use atlashub::plugins::{
    guest::{
        CallError, OpenUpload,
        bindings::{Plugin, PluginPre, exports::atlashub::plugin::job::RunContext, log, objects, progress, types},
        streams::{self, ByteStream, CountsBytes},
    },
    runtime::{Compiler, Engine, HostLimits},
};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use wasmtime::{
    Result, Store, bail,
    component::{Accessor, FutureReader, HasSelf, Linker, Resource, StreamReader},
    error::Context as _,
};

use crate::{
    platform,
    statistics::{REPETITIONS, median},
};

/// Size of the chunks of the test stream.
const CHUNK_BYTES: usize = 64 << 10;
const STREAM_BYTES: usize = 1 << 30;
const LINES: u64 = 200_000;

/// Results of the bench, for one core.
pub struct PluginFigures {
    pub compile: Duration,
    pub instantiate: Duration,
    /// Time of a run that does nothing: store, instance, call and result.
    pub run: Duration,
    /// Time of a call from the guest to the host.
    pub call: Duration,
    /// Throughput of a native copy, in GiB per second.
    pub native: f64,
    /// Throughput of a stream that the guest forwards, in GiB per second.
    pub forwarded: f64,
    /// Throughput of a stream that the guest changes, in GiB per second.
    pub transformed: f64,
    /// Resident memory that the engine and four compiled plugins add, in KiB.
    pub memory_kib: u64,
}

/// The host of this bench. It counts the stored bytes.
#[derive(Default)]
struct MemoryHost {
    stored: u64,
    counted: u64,
}

type Host = HasSelf<MemoryHost>;

pub async fn measure(length: Duration) -> anyhow::Result<PluginFigures> {
    figures(length).await.map_err(|error| anyhow::anyhow!("{error:#}"))
}

async fn figures(length: Duration) -> Result<PluginFigures> {
    let component: Arc<[u8]> = component("hostile")?.into();
    let program = platform::binary().map_err(|error| wasmtime::format_err!("{error:#}"))?;
    let before = resident_kib()?;
    let engine = Engine::new(&HostLimits::default(), Compiler::Program(program))?;
    let begin = Instant::now();
    let compiled = engine.compile(Arc::clone(&component)).await?;
    let compile = begin.elapsed();
    let mut others = Vec::new();
    for _ in 0..3 {
        others.push(engine.compile(Arc::clone(&component)).await?);
    }
    let memory_kib = resident_kib()?.saturating_sub(before);
    drop(others);

    let mut linker = Linker::<MemoryHost>::new(engine.wasmtime());
    types::add_to_linker::<_, Host>(&mut linker, |memory| memory)?;
    log::add_to_linker::<_, Host>(&mut linker, |memory| memory)?;
    progress::add_to_linker::<_, Host>(&mut linker, |memory| memory)?;
    objects::add_to_linker::<_, Host>(&mut linker, |memory| memory)?;
    linker.define_unknown_imports_as_traps(compiled.component())?;
    let plugin = PluginPre::new(linker.instantiate_pre(compiled.component())?)?;

    let instantiate = repeat(length, async || instantiate_plugin(&engine, &plugin).await.map(drop)).await?;
    let run = repeat(length, async || run_job(&engine, &plugin, "echo", "{}").await.map(drop)).await?;
    let begin = Instant::now();
    run_job(&engine, &plugin, "log", &format!(r#"{{"lines":{LINES}}}"#)).await?;
    // Each iteration writes a log line and reports progress.
    let call = begin.elapsed() / (2 * LINES) as u32;

    let (mut native, mut forwarded, mut transformed) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..REPETITIONS {
        let begin = Instant::now();
        copy_stream(test_stream()).await?;
        native.push(gib_per_second(begin));
        forwarded.push(measure_stream(&engine, &plugin, "forward").await?);
        transformed.push(measure_stream(&engine, &plugin, "transform").await?);
    }
    Ok(PluginFigures {
        compile,
        instantiate,
        run,
        call,
        native: median(native),
        forwarded: median(forwarded),
        transformed: median(transformed),
        memory_kib,
    })
}

/// Reads a component that `cargo xtask plugin testing` built.
pub fn component(name: &str) -> Result<Vec<u8>> {
    // The program is `target/release/atlashub-benches`.
    let program = std::env::current_exe()?;
    let target = program.ancestors().nth(2).context("could not determine the target folder")?;
    let path = target.join(format!("plugins/testing/{name}.wasm"));
    std::fs::read(&path).with_context(|| format!("{}: build it with `cargo xtask plugin testing`", path.display()))
}

fn resident_kib() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .context("could not read the memory of the process")?;
    Ok(line.trim().trim_end_matches("kB").trim().parse()?)
}

/// Repeats `work` for the given time and returns the average time of one repetition.
async fn repeat(length: Duration, work: impl AsyncFn() -> Result<()>) -> Result<Duration> {
    let begin = Instant::now();
    let mut count = 0;
    while begin.elapsed() < length {
        for _ in 0..100 {
            work().await?;
        }
        count += 100;
    }
    Ok(begin.elapsed() / count)
}

async fn instantiate_plugin(engine: &Engine, plugin: &PluginPre<MemoryHost>) -> Result<(Store<MemoryHost>, Plugin)> {
    let mut store = Store::new(engine.wasmtime(), MemoryHost::default());
    store.set_epoch_deadline(1 << 40);
    let plugin = plugin.instantiate_async(&mut store).await?;
    Ok((store, plugin))
}

async fn run_job(engine: &Engine, plugin: &PluginPre<MemoryHost>, job: &str, params: &str) -> Result<MemoryHost> {
    let (mut store, plugin) = instantiate_plugin(engine, plugin).await?;
    let context =
        RunContext { run_id: String::new(), job: job.to_owned(), attempt: 1, scheduled_for: None, project: None };
    let params = params.to_owned();
    let result = store
        .run_concurrent(async |accessor| plugin.atlashub_plugin_job().call_run(accessor, context, params).await)
        .await??;
    match result {
        Ok(_) => Ok(store.into_data()),
        Err(error) => bail!("{job}: {}", error.message),
    }
}

async fn measure_stream(engine: &Engine, plugin: &PluginPre<MemoryHost>, name: &str) -> Result<f64> {
    let params = r#"{"fromStore":"memory","fromKey":"a","toStore":"memory","toKey":"b"}"#;
    let begin = Instant::now();
    let memory = run_job(engine, plugin, name, params).await?;
    let throughput = gib_per_second(begin);
    if memory.stored != STREAM_BYTES as u64 {
        bail!("{name}: {} bytes arrived, {} were counted", memory.stored, memory.counted);
    }
    Ok(throughput)
}

fn gib_per_second(begin: Instant) -> f64 {
    STREAM_BYTES as f64 / (1_u64 << 30) as f64 / begin.elapsed().as_secs_f64()
}

fn test_stream() -> ByteStream {
    let chunk = Bytes::from(vec![7; CHUNK_BYTES]);
    Box::pin(stream::iter((0..STREAM_BYTES / CHUNK_BYTES).map(move |_| Ok(chunk.clone()))))
}

/// Copies every byte of a stream once, as an upload does, and returns their number.
async fn copy_stream(mut bytes: ByteStream) -> Result<u64> {
    let mut part = vec![0; 8 << 20];
    let mut stored = 0;
    while let Some(chunk) = bytes.next().await {
        let chunk = chunk?;
        let at = stored as usize % (part.len() - CHUNK_BYTES * 8);
        part[at..at + chunk.len()].copy_from_slice(&chunk);
        black_box(&part);
        stored += chunk.len() as u64;
    }
    Ok(stored)
}

impl CountsBytes for MemoryHost {
    fn count_bytes(&mut self, bytes: usize) -> wasmtime::Result<()> {
        self.counted += bytes as u64;
        Ok(())
    }
}

impl types::Host for MemoryHost {
    fn convert_error(&mut self, error: CallError) -> wasmtime::Result<types::Error> {
        error.into_wit()
    }
}

impl log::Host for MemoryHost {
    fn write(&mut self, _: log::Level, message: String, _: String) -> wasmtime::Result<()> {
        black_box(message);
        Ok(())
    }
}

impl progress::Host for MemoryHost {
    fn report(&mut self, done: u64, _: Option<u64>, message: String) -> wasmtime::Result<()> {
        black_box((done, message));
        Ok(())
    }
}

impl objects::Host for MemoryHost {}

impl objects::HostUpload for MemoryHost {
    fn drop(&mut self, _: Resource<OpenUpload>) -> wasmtime::Result<()> {
        Ok(())
    }
}

fn meta(stored: u64) -> objects::ObjectMeta {
    objects::ObjectMeta {
        key: String::new(),
        size_bytes: stored,
        sha256: None,
        content_type: None,
        last_modified: None,
    }
}

impl objects::HostUploadWithStore<MemoryHost> for Host {
    async fn commit(
        accessor: &Accessor<MemoryHost, Self>,
        _: Resource<OpenUpload>,
    ) -> Result<objects::ObjectMeta, CallError> {
        Ok(meta(accessor.with(|mut access| access.get().stored)))
    }
}

type GetResult = (objects::ObjectMeta, StreamReader<u8>, FutureReader<Result<(), types::Error>>);

impl objects::HostWithStore<MemoryHost> for Host {
    async fn put(
        accessor: &Accessor<MemoryHost, Self>,
        _: String,
        _: String,
        _: String,
        body: StreamReader<u8>,
    ) -> Result<Resource<OpenUpload>, CallError> {
        let bytes = accessor.with(|mut access| streams::receive(&mut access, body))?;
        let stored = copy_stream(bytes).await.map_err(|error| CallError::unavailable(error.to_string()))?;
        accessor.with(|mut access| access.get().stored = stored);
        Ok(Resource::new_own(0))
    }

    async fn get(accessor: &Accessor<MemoryHost, Self>, _: String, _: String) -> Result<GetResult, CallError> {
        accessor.with(|mut access| {
            let body = streams::send(&mut access, test_stream())?;
            let outcome = streams::send_outcome(&mut access, async { Ok(()) })?;
            Ok((meta(STREAM_BYTES as u64), body, outcome))
        })
    }

    async fn put_bytes(
        _: &Accessor<MemoryHost, Self>,
        _: String,
        _: String,
        _: String,
        body: Vec<u8>,
    ) -> Result<objects::ObjectMeta, CallError> {
        Ok(meta(body.len() as u64))
    }

    async fn head(_: &Accessor<MemoryHost, Self>, _: String, _: String) -> Result<objects::ObjectMeta, CallError> {
        Ok(meta(STREAM_BYTES as u64))
    }

    async fn list(
        _: &Accessor<MemoryHost, Self>,
        _: String,
        _: String,
        _: Option<String>,
    ) -> Result<objects::ObjectPage, CallError> {
        Ok(objects::ObjectPage { objects: Vec::new(), cursor: None })
    }

    async fn delete(_: &Accessor<MemoryHost, Self>, _: String, _: String) -> Result<(), CallError> {
        Ok(())
    }
}
