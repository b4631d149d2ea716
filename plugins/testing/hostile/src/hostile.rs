//! Jobs that misbehave.

use std::{hint::black_box, time::Duration};

use atlashub_plugin_sdk::{
    clock,
    databases::{self, DumpOptions},
    objects,
    prelude::*,
    progress, secrets, stream, task,
};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NoParams {}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Panic {
    #[serde(default = "default_message")]
    message: String,
}

fn default_message() -> String {
    "on purpose".to_owned()
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct TrapInStream {
    /// `dump`, `get` or `put`.
    of: StreamKind,
    /// A database for `dump`, otherwise a store.
    name: String,
    /// Key of the object, for `get` and `put`.
    #[serde(default)]
    key: String,
    /// Bytes to read or write before the trap.
    #[serde(default)]
    bytes: u64,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
enum StreamKind {
    Dump,
    Get,
    Put,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Flood {
    store: String,
    key: String,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct HandleFlood {
    /// A secret that can be opened.
    secret: String,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Size {
    #[serde(default = "default_bytes")]
    bytes: usize,
}

fn default_bytes() -> usize {
    1_000_000
}

pub(crate) fn jobs(plugin: Plugin) -> Plugin {
    plugin
        .job("loop", "Computes forever.", spin)
        .job("memory", "Allocates memory forever.", memory)
        .job("stack", "Recurses forever.", stack)
        .job("panic", "Panics.", panic)
        .job("trap", "Executes an unreachable instruction.", trap)
        .job("trap-in-stream", "Traps while a stream is partly read or written.", trap_in_stream)
        .job("stream-flood", "Writes an object that never ends.", stream_flood)
        .job("log-flood", "Writes log lines forever.", log_flood)
        .job("progress-flood", "Reports progress forever.", progress_flood)
        .job("handle-flood", "Opens secrets forever and closes none.", handle_flood)
        .job("sleep-forever", "Sleeps forever.", sleep_forever)
        .job("spin-with-yields", "Computes forever and yields to the host.", spin_with_yields)
        .job("too-large-result", "Returns a result that is too large.", too_large_result)
        .job("invalid-json-result", "Returns a result that is not JSON.", invalid_json_result)
        .job("huge-message", "Fails with a message of the given size.", huge_message)
        .job("huge-log-line", "Writes a log line of the given size.", huge_log_line)
}

async fn spin(_run: Run, _params: NoParams) -> Result<()> {
    let mut count = 0_u64;
    loop {
        count = black_box(count.wrapping_add(1));
    }
}

async fn memory(_run: Run, _params: NoParams) -> Result<()> {
    let mut blocks: Vec<Vec<u8>> = Vec::new();
    loop {
        // Bytes other than zero, so that the pages are written.
        blocks.push(black_box(vec![1; 1 << 20]));
    }
}

async fn stack(_run: Run, _params: NoParams) -> Result<u64> {
    fn recurse(depth: u64) -> u64 {
        let frame = black_box([depth; 64]);
        if black_box(depth) == u64::MAX { 0 } else { recurse(depth + 1).wrapping_add(frame[63]) }
    }
    Ok(recurse(0))
}

async fn panic(_run: Run, params: Panic) -> Result<()> {
    panic!("{}", params.message)
}

async fn trap(_run: Run, _params: NoParams) -> Result<()> {
    #[cfg(target_arch = "wasm32")]
    core::arch::wasm32::unreachable();
    #[cfg(not(target_arch = "wasm32"))]
    panic!("a trap");
}

async fn trap_in_stream(run: Run, params: TrapInStream) -> Result<()> {
    let TrapInStream { of, name, key, bytes } = params;
    match of {
        StreamKind::Dump => {
            let mut dump = databases::dump(&name, DumpOptions { compression: None }).await?;
            skip(&mut dump.archive, bytes).await;
            trap(run, NoParams {}).await
        }
        StreamKind::Get => {
            let mut download = objects::get(&name, &key).await?;
            skip(&mut download.body, bytes).await;
            trap(run, NoParams {}).await
        }
        StreamKind::Put => {
            let (mut writer, body) = stream::new();
            let write = async move {
                let mut written = 0;
                while written < bytes {
                    let mut chunk = vec![7; 64 << 10];
                    written += chunk.len() as u64;
                    writer.write(&mut chunk).await?;
                }
                trap(run, NoParams {}).await
            };
            task::join(objects::put(&name, &key, "application/octet-stream", body), write).await.1
        }
    }
}

async fn skip(stream: &mut stream::ByteStream, bytes: u64) {
    let mut read = 0;
    while read < bytes {
        match stream.chunk().await {
            Some(chunk) => read += chunk.len() as u64,
            None => return,
        }
    }
}

async fn stream_flood(_run: Run, params: Flood) -> Result<()> {
    let (mut writer, body) = stream::new();
    let write = async move {
        let mut buffer = Vec::new();
        loop {
            buffer.resize(1 << 20, 42);
            writer.write(&mut buffer).await?;
        }
    };
    let (put, written) =
        task::join(objects::put(&params.store, &params.key, "application/octet-stream", body), write).await;
    put?.commit().await?;
    written
}

async fn log_flood(_run: Run, _params: NoParams) -> Result<()> {
    let text = "x".repeat(1000);
    let mut line = 0_u64;
    loop {
        info!("{text}"; line = line);
        line += 1;
    }
}

async fn progress_flood(_run: Run, _params: NoParams) -> Result<()> {
    let mut done = 0;
    loop {
        progress::report(done, None, "flooding");
        done += 1;
    }
}

async fn handle_flood(_run: Run, params: HandleFlood) -> Result<()> {
    let mut open = Vec::new();
    loop {
        open.push(secrets::open(&params.secret)?);
    }
}

async fn sleep_forever(_run: Run, _params: NoParams) -> Result<()> {
    loop {
        clock::sleep(Duration::from_secs(3600)).await;
    }
}

async fn spin_with_yields(_run: Run, _params: NoParams) -> Result<()> {
    loop {
        task::yield_now().await;
    }
}

async fn too_large_result(_run: Run, params: Size) -> Result<String> {
    Ok("x".repeat(params.bytes))
}

/// Only declares the job. The exported `run` in `lib.rs` returns the invalid result.
async fn invalid_json_result(_run: Run, _params: NoParams) -> Result<()> {
    Ok(())
}

async fn huge_message(_run: Run, params: Size) -> Result<()> {
    Err(Error::failed("x".repeat(params.bytes)))
}

async fn huge_log_line(_run: Run, params: Size) -> Result<()> {
    info!("{}", "x".repeat(params.bytes));
    Ok(())
}
