//! Jobs that use HTTP bodies as streams.

use std::time::Duration;

use atlashub_plugin_sdk::{
    clock,
    http::{Request, StreamingResponse},
    objects,
    prelude::*,
    secrets, stream, task,
};
use serde_json::{Map, Value};

use crate::hostile::NoParams;

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Open {
    url: String,
    #[serde(default = "get")]
    method: String,
    #[serde(default)]
    headers: Map<String, Value>,
    /// Names of secrets to send as headers of the same names.
    #[serde(default)]
    secret_headers: Vec<String>,
    /// Size of a body that the plugin writes itself, of letters `b`.
    #[serde(default)]
    write: Option<usize>,
    /// The store and key of an object that is the body.
    #[serde(default)]
    body: Option<ObjectKey>,
    /// Whether to announce the size of the object.
    #[serde(default)]
    sized: bool,
    #[serde(default)]
    content_length: Option<u64>,
    #[serde(default)]
    timeout_ms: Option<u64>,
    #[serde(default)]
    max_redirects: u32,
    /// The store and key of an object to which the response is forwarded, unread.
    #[serde(default)]
    to: Option<ObjectKey>,
    /// Number of bytes after which the stream is dropped.
    #[serde(default)]
    stop_after: Option<usize>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ObjectKey {
    store: String,
    key: String,
}

fn get() -> String {
    "GET".to_owned()
}

pub(crate) fn jobs(plugin: Plugin) -> Plugin {
    plugin
        .job("open", "Sends one request with streams.", open)
        .job("open-sleeping", "Opens the URL and keeps the response, unread.", open_sleeping)
        .job("opened-twice", "Gives a request two bodies.", opened_twice)
}

/// Returns the response and how its body ended.
async fn open(_run: Run, params: Open) -> Result<Value> {
    let Open { url, method, headers, secret_headers, write, body, sized, content_length, .. } = params;
    let values = secret_headers.iter().map(|name| secrets::open(name)).collect::<Result<Vec<_>>>()?;
    let mut request = Request::new(method, url).max_redirects(params.max_redirects);
    for (name, value) in &headers {
        request = request.header(name, value.as_str().unwrap_or_default());
    }
    for (name, value) in secret_headers.iter().zip(&values) {
        request = request.secret_header(name, value);
    }
    if let Some(timeout) = params.timeout_ms {
        request = request.timeout(Duration::from_millis(timeout));
    }
    let mut source = None;
    if let Some(ObjectKey { store, key }) = body {
        let object = objects::get(&store, &key).await?;
        source = Some(object.outcome);
        let length = if sized { Some(object.meta.size_bytes) } else { content_length };
        request = match length {
            Some(length) => request.sized_stream_body(object.body, length),
            None => request.stream_body(object.body),
        };
    }
    let response = match write {
        Some(bytes) => {
            let (writer, body) = stream::new();
            let request = match content_length {
                Some(length) => request.sized_stream_body(body, length),
                None => request.stream_body(body),
            };
            let (response, written) = task::join(request.open(), fill(writer, bytes)).await;
            let response = response?;
            // A server may respond before it has received everything.
            if let Err(error) = written {
                info!("the body was not written completely"; error = error.message);
            }
            response
        }
        None => request.open().await?,
    };
    if let Some(source) = source {
        source.wait().await?;
    }
    let status = response.status;
    let headers: Map<String, Value> =
        response.headers.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect();
    let (body, end) = match params.to {
        Some(to) => (String::new(), forward(response, to).await),
        None => read(response, params.stop_after).await,
    };
    let end = end.map_or_else(
        |error| json!({"code": format!("{:?}", error.code), "message": error.message}),
        |bytes| json!(bytes),
    );
    Ok(json!({"status": status, "headers": headers, "body": body, "end": end}))
}

async fn fill(mut writer: stream::ByteWriter, bytes: usize) -> Result<()> {
    let (mut buffer, mut written) = (Vec::new(), 0);
    while written < bytes {
        buffer.resize((bytes - written).min(64 << 10), b'b');
        written += buffer.len();
        writer.write(&mut buffer).await?;
    }
    Ok(())
}

/// Stores the body, and returns its size.
async fn forward(response: StreamingResponse, to: ObjectKey) -> Result<u64> {
    let (body, outcome) = response.into_stream();
    let upload = objects::put(&to.store, &to.key, "application/octet-stream", body).await?;
    let info = outcome.wait().await?;
    let meta = upload.commit().await?;
    if meta.size_bytes != info.size_bytes {
        return Err(Error::failed(format!("{} bytes were stored of {}", meta.size_bytes, info.size_bytes)));
    }
    Ok(info.size_bytes)
}

/// Returns the beginning of the body, and its size.
async fn read(mut response: StreamingResponse, stop_after: Option<usize>) -> (String, Result<u64>) {
    let (mut beginning, mut size) = (Vec::new(), 0);
    while stop_after.is_none_or(|limit| size < limit)
        && let Some(chunk) = response.body.chunk().await
    {
        size += chunk.len();
        beginning.extend(chunk.iter().take(1000 - beginning.len().min(1000)));
    }
    drop(response.body);
    let end = response.outcome.wait().await.map(|info| info.size_bytes);
    (String::from_utf8_lossy(&beginning).into_owned(), end)
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Url {
    url: String,
}

async fn open_sleeping(_run: Run, params: Url) -> Result<()> {
    let response = Request::new("GET", params.url).open().await?;
    info!("opened");
    clock::sleep(Duration::from_secs(3600)).await;
    drop(response);
    Ok(())
}

/// Calls the host with two bodies, and with a length but no stream. The SDK can't make such requests.
async fn opened_twice(_run: Run, _params: NoParams) -> Result<()> {
    #[cfg(target_arch = "wasm32")]
    {
        use atlashub_plugin_sdk::bindings::{atlashub::plugin::http as wit, wit_stream};

        let request = |method: &str| wit::Request {
            method: method.to_owned(),
            url: "http://127.0.0.1:9/".to_owned(),
            headers: Vec::new(),
            body: Some(wit::Body::Text("a".to_owned())),
            timeout_ms: None,
            max_redirects: 0,
        };
        let (_writer, body) = wit_stream::new::<u8>();
        let both = wit::open(request("POST"), Some(body), None).await.err().map(|error| error.message);
        let length = wit::open(request("POST"), None, Some(1)).await.err().map(|error| error.message);
        info!("refused"; both = both, length = length);
    }
    Ok(())
}
