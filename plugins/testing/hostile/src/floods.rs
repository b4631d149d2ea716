//! Jobs that make many calls at once, or keep resources.

use std::{future::Future, pin::Pin, time::Duration};

use atlashub_plugin_sdk::{
    clock, config,
    databases::{self, DumpOptions},
    http, objects,
    prelude::*,
    query::Query,
    state, stream, task,
};
use serde_json::{Map, Value};

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Calls {
    call: CallKind,
    /// Number of calls at once.
    count: usize,
    /// Database, store or URL.
    #[serde(default)]
    name: String,
    /// Key of an object or of an entry of the state, or the text of a query. Calls that store something append their
    /// number to the key.
    #[serde(default)]
    key: String,
    /// Size of stored objects and values.
    #[serde(default)]
    bytes: usize,
    /// Whether to begin again when all calls have ended.
    #[serde(default)]
    forever: bool,
}

#[derive(Deserialize, JsonSchema, Clone, Copy)]
#[serde(rename_all = "kebab-case")]
enum CallKind {
    ListDatabases,
    Tables,
    Dump,
    PutBytes,
    Put,
    Get,
    Head,
    ListObjects,
    Delete,
    Query,
    PutState,
    Http,
    OpenHttp,
    Config,
    Sleep,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SlowRead {
    of: StreamKind,
    /// A database for `dump` and `query`, a URL for `http`, otherwise a store.
    name: String,
    /// Key of an object, or the text of a query.
    #[serde(default)]
    key: String,
    /// Number of streams.
    count: usize,
    /// Pause between two bytes, in milliseconds. Without it, nothing is read.
    #[serde(default)]
    pause_ms: Option<u64>,
}

#[derive(Deserialize, JsonSchema, Clone, Copy)]
#[serde(rename_all = "kebab-case")]
enum StreamKind {
    Dump,
    Get,
    Query,
    Http,
}

pub(crate) fn jobs(plugin: Plugin) -> Plugin {
    plugin.job("calls", "Makes many calls at once and counts their outcomes.", calls).job(
        "slow-read",
        "Opens streams and reads them slowly or not at all.",
        slow_read,
    )
}

/// Returns how many calls succeeded, and how many failed with each error code.
async fn calls(_run: Run, params: Calls) -> Result<Map<String, Value>> {
    loop {
        let outcomes = task::join_all((0..params.count).map(|index| call(&params, index))).await;
        let mut counts = Map::new();
        for outcome in outcomes {
            let code = |error: Error| format!("{:?}", error.code).trim_start_matches("ErrorCode::").to_owned();
            let name = outcome.map_or_else(code, |()| "ok".to_owned());
            let count = counts.get(&name).and_then(Value::as_u64).unwrap_or(0);
            counts.insert(name, (count + 1).into());
        }
        if !params.forever {
            return Ok(counts);
        }
    }
}

async fn call(params: &Calls, index: usize) -> Result<()> {
    let Calls { name, key, bytes, .. } = params;
    let numbered = || format!("{key}{index}");
    // Boxed, because otherwise each of thousands of futures would have the size of the largest kind.
    let call: Pin<Box<dyn Future<Output = Result<()>> + '_>> = match params.call {
        CallKind::ListDatabases => Box::pin(async { databases::list().await.map(drop) }),
        CallKind::Tables => Box::pin(async { databases::tables(name).await.map(drop) }),
        CallKind::Dump => Box::pin(async {
            let dump = databases::dump(name, DumpOptions { compression: None }).await?;
            clock::sleep(Duration::from_secs(3600)).await;
            drop(dump);
            Ok(())
        }),
        CallKind::PutBytes => {
            Box::pin(
                async move { objects::put_bytes(name, &numbered(), "text/plain", vec![7; *bytes]).await.map(drop) },
            )
        }
        CallKind::Put => Box::pin(async move { put(name, &numbered(), *bytes).await }),
        CallKind::Get => Box::pin(async {
            let mut download = objects::get(name, key).await?;
            while download.body.chunk().await.is_some() {}
            download.outcome.wait().await
        }),
        CallKind::Head => Box::pin(async { objects::head(name, key).await.map(drop) }),
        CallKind::ListObjects => Box::pin(async { objects::list(name, key, None).await.map(drop) }),
        CallKind::Delete => Box::pin(async { objects::delete(name, key).await }),
        CallKind::Query => Box::pin(async { Query::new(name, key).fetch_all::<Value>().await.map(drop) }),
        CallKind::PutState => Box::pin(async move { state::put(name, &numbered(), vec![7; *bytes]).await.map(drop) }),
        CallKind::Http => Box::pin(async { http::Request::new("GET", name.as_str()).send().await.map(drop) }),
        CallKind::OpenHttp => Box::pin(async {
            let response = http::Request::new("GET", name.as_str()).open().await?;
            // Keeps the response until the refused calls have ended.
            clock::sleep(Duration::from_millis(100)).await;
            response.collect(1 << 20).await.map(drop)
        }),
        CallKind::Config => Box::pin(async {
            config::get(name);
            Ok(())
        }),
        CallKind::Sleep => Box::pin(async {
            clock::sleep(Duration::from_millis(1)).await;
            Ok(())
        }),
    };
    call.await
}

async fn put(store: &str, key: &str, bytes: usize) -> Result<()> {
    let (mut writer, body) = stream::new();
    let write = async move {
        let (mut buffer, mut written) = (Vec::new(), 0);
        while written < bytes {
            buffer.resize((bytes - written).min(1 << 20), 42);
            written += buffer.len();
            writer.write(&mut buffer).await?;
        }
        Ok(())
    };
    let (upload, written): (_, Result<()>) =
        task::join(objects::put(store, key, "application/octet-stream", body), write).await;
    let upload = upload?;
    written?;
    upload.commit().await.map(drop)
}

/// Returns how the streams ended.
async fn slow_read(_run: Run, params: SlowRead) -> Result<Vec<String>> {
    let read = |_| async {
        match params.of {
            StreamKind::Dump => {
                let dump = databases::dump(&params.name, DumpOptions { compression: None }).await?;
                read_slowly(dump.archive, params.pause_ms, dump.outcome.wait()).await.map(drop)
            }
            StreamKind::Get => {
                let download = objects::get(&params.name, &params.key).await?;
                read_slowly(download.body, params.pause_ms, download.outcome.wait()).await
            }
            StreamKind::Query => {
                let (rows, outcome) = Query::new(&params.name, &params.key).rows().await?.into_stream()?;
                read_slowly(rows, params.pause_ms, outcome.wait()).await.map(drop)
            }
            StreamKind::Http => {
                let (body, outcome) = http::Request::new("GET", &params.name).open().await?.into_stream();
                read_slowly(body, params.pause_ms, outcome.wait()).await.map(drop)
            }
        }
    };
    let outcomes = task::join_all((0..params.count).map(read)).await;
    Ok(outcomes.into_iter().map(|outcome| outcome.map_or_else(|error| error.message, |()| "read".to_owned())).collect())
}

async fn read_slowly<T>(
    mut body: stream::ByteStream,
    pause_ms: Option<u64>,
    outcome: impl Future<Output = Result<T>>,
) -> Result<T> {
    let read = async move {
        let Some(pause) = pause_ms else {
            // Keeps the stream without reading it.
            clock::sleep(Duration::from_secs(3600)).await;
            return;
        };
        let mut byte = Vec::with_capacity(1);
        while body.read_into(&mut byte).await {
            clock::sleep(Duration::from_millis(pause)).await;
        }
    };
    // Ends with the outcome, which is known as soon as the host has closed the stream.
    let (mut read, mut outcome) = (Box::pin(read), Box::pin(outcome));
    let mut has_read = false;
    std::future::poll_fn(move |context| {
        has_read = has_read || read.as_mut().poll(context).is_ready();
        outcome.as_mut().poll(context)
    })
    .await
}
