//! Jobs that use capabilities as intended.

use std::time::Duration;

use atlashub_plugin_sdk::{
    clock, config,
    databases::{self, DumpOptions},
    http, objects,
    prelude::*,
    progress, secrets, stream, task,
};
use serde_json::{Map, Value};

use crate::hostile::NoParams;

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Copy {
    from_store: String,
    from_key: String,
    to_store: String,
    to_key: String,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct DumpTo {
    database: String,
    store: String,
    key: String,
    /// Compression level, 0 to 9.
    #[serde(default)]
    compression: Option<u8>,
    /// Whether to commit the upload. If false, it is dropped.
    #[serde(default = "default_true")]
    commit: bool,
}

fn default_true() -> bool {
    true
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Send {
    url: String,
    #[serde(default = "get")]
    method: String,
    #[serde(default)]
    headers: Map<String, Value>,
    /// Names of secrets to send as headers of the same names.
    #[serde(default)]
    secret_headers: Vec<String>,
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    timeout_ms: Option<u64>,
    #[serde(default)]
    max_redirects: u32,
}

fn get() -> String {
    "GET".to_owned()
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Sleep {
    milliseconds: u64,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Names {
    names: Vec<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Lines {
    lines: u64,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Fail {
    /// Error code as in the WIT: `denied`, `not-found`, `invalid`, `conflict`, `too-large`, `timeout`, `unavailable`,
    /// `failed`.
    code: String,
    message: String,
    #[serde(default)]
    details: Option<Value>,
}

pub(crate) fn jobs(plugin: Plugin) -> Plugin {
    plugin
        .job("echo", "Returns its parameters.", echo)
        .job("fail", "Fails with the given error.", fail)
        .job("context", "Returns the context of its run.", context)
        .job("forward", "Copies an object without reading its bytes.", forward)
        .job("transform", "Copies an object and inverts each bit.", transform)
        .job("read", "Reads an object and counts its bytes.", read)
        .job("dump", "Dumps a database into an object.", dump)
        .job("http", "Sends one request.", send)
        .job("sleep", "Sleeps.", sleep)
        .job("clock", "Returns the time.", read_clock)
        .job("config", "Returns the values of settings.", read_config)
        .job("secrets", "Returns which secrets can be opened.", open_secrets)
        .job("log", "Writes log lines and progress reports.", log)
        .job("databases", "Lists databases.", list_databases)
        .job("objects", "Lists objects.", list_objects)
}

async fn echo(_run: Run, params: Map<String, Value>) -> Result<Map<String, Value>> {
    Ok(params)
}

async fn fail(_run: Run, params: Fail) -> Result<()> {
    let code = match params.code.as_str() {
        "denied" => ErrorCode::Denied,
        "not-found" => ErrorCode::NotFound,
        "invalid" => ErrorCode::Invalid,
        "conflict" => ErrorCode::Conflict,
        "too-large" => ErrorCode::TooLarge,
        "timeout" => ErrorCode::Timeout,
        "unavailable" => ErrorCode::Unavailable,
        _ => ErrorCode::Failed,
    };
    Err(Error { code, message: params.message, details: params.details })
}

async fn context(run: Run, _params: NoParams) -> Result<Value> {
    Ok(json!({
        "runId": run.id, "job": run.job, "attempt": run.attempt, "scheduledFor": run.scheduled_for,
        "project": run.project,
    }))
}

async fn forward(_run: Run, copy: Copy) -> Result<Value> {
    let download = objects::get(&copy.from_store, &copy.from_key).await?;
    let upload = objects::put(&copy.to_store, &copy.to_key, "application/octet-stream", download.body).await?;
    download.outcome.wait().await?;
    let meta = upload.commit().await?;
    Ok(json!({"bytes": meta.size_bytes, "sha256": meta.sha256}))
}

async fn transform(_run: Run, copy: Copy) -> Result<Value> {
    let mut download = objects::get(&copy.from_store, &copy.from_key).await?;
    let (mut writer, body) = stream::new();
    let invert = async move {
        let mut buffer = Vec::with_capacity(1 << 20);
        while download.body.read_into(&mut buffer).await {
            for byte in &mut buffer {
                *byte ^= 0xff;
            }
            writer.write(&mut buffer).await?;
        }
        drop(writer);
        download.outcome.wait().await
    };
    let put = objects::put(&copy.to_store, &copy.to_key, "application/octet-stream", body);
    let (upload, inverted) = task::join(put, invert).await;
    inverted?;
    let meta = upload?.commit().await?;
    Ok(json!({"bytes": meta.size_bytes, "sha256": meta.sha256}))
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Object {
    store: String,
    key: String,
}

async fn read(_run: Run, object: Object) -> Result<Value> {
    let mut download = objects::get(&object.store, &object.key).await?;
    let mut buffer = Vec::with_capacity(1 << 20);
    let mut bytes = 0_u64;
    while download.body.read_into(&mut buffer).await {
        bytes += buffer.len() as u64;
    }
    download.outcome.wait().await?;
    Ok(json!({"bytes": bytes}))
}

async fn dump(_run: Run, params: DumpTo) -> Result<Value> {
    let dump = databases::dump(&params.database, DumpOptions { compression: params.compression }).await?;
    let upload = objects::put(&params.store, &params.key, "application/octet-stream", dump.archive).await?;
    let info = dump.outcome.wait().await?;
    if !params.commit {
        return Ok(json!({"bytes": info.size_bytes, "committed": false}));
    }
    let meta = upload.commit().await?;
    let rows: Map<String, Value> =
        info.tables.into_iter().map(|table| (format!("{}.{}", table.schema, table.table), table.rows.into())).collect();
    Ok(json!({"bytes": meta.size_bytes, "sha256": meta.sha256, "serverVersion": info.server_version, "rows": rows}))
}

async fn send(_run: Run, params: Send) -> Result<Value> {
    let values = params.secret_headers.iter().map(|name| secrets::open(name)).collect::<Result<Vec<_>>>()?;
    let mut request = http::Request::new(params.method, params.url).max_redirects(params.max_redirects);
    for (name, value) in &params.headers {
        request = request.header(name, value.as_str().unwrap_or_default());
    }
    for (name, value) in params.secret_headers.iter().zip(&values) {
        request = request.secret_header(name, value);
    }
    if let Some(body) = params.body {
        request = request.text(body);
    }
    if let Some(timeout) = params.timeout_ms {
        request = request.timeout(Duration::from_millis(timeout));
    }
    let response = request.send().await?;
    let headers: Map<String, Value> =
        response.headers.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect();
    let preview: String = response.text().chars().take(1000).collect();
    Ok(json!({
        "status": response.status, "headers": headers, "body": preview, "bytes": response.body.len(),
        "truncated": response.truncated,
    }))
}

async fn sleep(_run: Run, params: Sleep) -> Result<Value> {
    let started = clock::monotonic();
    clock::sleep(Duration::from_millis(params.milliseconds)).await;
    Ok(json!({"milliseconds": u64::try_from(clock::monotonic().saturating_sub(started).as_millis())?}))
}

async fn read_clock(_run: Run, _params: NoParams) -> Result<Value> {
    Ok(json!({"now": clock::now(), "monotonicNs": u64::try_from(clock::monotonic().as_nanos())?}))
}

async fn read_config(_run: Run, params: Names) -> Result<Map<String, Value>> {
    Ok(params.names.into_iter().map(|name| (name.clone(), config::get(&name).into())).collect())
}

/// Returns `open` or the error code for each secret. The values cannot be read.
async fn open_secrets(_run: Run, params: Names) -> Result<Map<String, Value>> {
    let open = |name: String| {
        let outcome = secrets::open(&name).map_or_else(|error| format!("{:?}", error.code), |_| "open".to_owned());
        (name, Value::from(outcome))
    };
    Ok(params.names.into_iter().map(open).collect())
}

async fn log(_run: Run, params: Lines) -> Result<()> {
    for line in 0..params.lines {
        info!("line {line}"; line = line);
        progress::report(line + 1, Some(params.lines), "lines");
    }
    Ok(())
}

async fn list_databases(_run: Run, _params: NoParams) -> Result<Vec<String>> {
    Ok(databases::list().await?.into_iter().map(|database| database.name).collect())
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Prefix {
    store: String,
    #[serde(default)]
    prefix: String,
}

async fn list_objects(_run: Run, params: Prefix) -> Result<Vec<String>> {
    let (mut keys, mut cursor) = (Vec::new(), None);
    loop {
        let page = objects::list(&params.store, &params.prefix, cursor).await?;
        keys.extend(page.objects.into_iter().map(|object| object.key));
        cursor = page.cursor;
        if cursor.is_none() {
            return Ok(keys);
        }
    }
}
