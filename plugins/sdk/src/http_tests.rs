//! Tests of HTTP requests with streamed bodies, against the simulated host.

use super::*;
use crate::{
    objects,
    prelude::*,
    stream, task,
    testing::{SentValue, TestHost},
};

#[derive(Deserialize, JsonSchema)]
struct NoParams {}

const STORE: &str = "project:a";

async fn download(_run: Run, _params: NoParams) -> Result<u64> {
    let response = Request::new("GET", "https://a.example/").open().await?.error_for_status().await?;
    assert_eq!(response.header("Content-Type"), Some("text/plain"));
    let (body, outcome) = response.into_stream();
    let upload = objects::put(STORE, "uploads/copy", "text/plain", body).await?;
    let info = outcome.wait().await?;
    upload.commit().await?;
    Ok(info.size_bytes)
}

async fn upload(_run: Run, _params: NoParams) -> Result<String> {
    let object = objects::get(STORE, "uploads/a").await?;
    let request = Request::new("PUT", "https://a.example/").header("x", "1");
    let response = request.sized_stream_body(object.body, object.meta.size_bytes).open().await?;
    object.outcome.wait().await?;
    Ok(String::from_utf8(response.collect(100).await?)?)
}

async fn write(_run: Run, _params: NoParams) -> Result<u16> {
    let (mut writer, body) = stream::new();
    let write = async move {
        for _ in 0..10 {
            writer.write(&mut vec![b'x'; 3]).await?;
        }
        Ok::<_, Error>(())
    };
    let request = Request::new("POST", "https://a.example/").stream_body(body);
    let (response, written) = task::join(request.open(), write).await;
    written?;
    Ok(response?.status)
}

async fn send(_run: Run, _params: NoParams) -> Result<u16> {
    let (_writer, body) = stream::new();
    Ok(Request::new("POST", "https://a.example/").stream_body(body).send().await?.status)
}

fn host(status: u16, body: &'static [u8]) -> TestHost {
    let plugin = Plugin::new("streams", "1.0.0", 1)
        .job("download", "Downloads.", download)
        .job("upload", "Uploads.", upload)
        .job("write", "Writes.", write)
        .job("send", "Sends.", send)
        .capability(Capability::Objects, "To copy.", Scope::default())
        .capability(Capability::Http, "To copy.", Scope::default());
    let headers = vec![("content-type".to_owned(), "text/plain".to_owned())];
    let response = Response { status, headers, body: body.to_vec(), truncated: false };
    TestHost::new(plugin).object(STORE, "uploads/a", b"content").handle_http(move |_| Ok(response.clone()))
}

#[test]
fn response_is_forwarded_to_an_object() {
    let host = host(200, b"downloaded");
    assert_eq!(host.run("download", json!({})).unwrap(), json!(10));
    assert_eq!(host.object_bytes(STORE, "uploads/copy").unwrap(), b"downloaded");
}

#[test]
fn response_that_is_cut_short_is_an_error() {
    let cut = || Error::unavailable("the connection was closed");
    let host = host(200, b"half").fail_next("http.open.outcome", "", cut());
    assert_eq!(host.run("download", json!({})).unwrap_err().code, ErrorCode::Unavailable);
    assert_eq!(host.object_bytes(STORE, "uploads/copy"), None);
    let host = self::host(200, b"half").fail_next("http.open.outcome", "https://a.example/", cut());
    assert_eq!(host.run("upload", json!({})).unwrap_err().code, ErrorCode::Unavailable);
}

#[test]
fn error_status_is_an_error_with_the_beginning_of_the_body() {
    let error = host(404, b"no such page").run("download", json!({})).unwrap_err();
    assert_eq!(
        (error.message.as_str(), error.details),
        ("HTTP status 404: no such page", Some(json!({"httpStatus": 404})))
    );
}

#[test]
fn streamed_bodies_are_recorded() {
    let host = host(201, b"stored");
    assert_eq!(host.run("upload", json!({})).unwrap(), json!("stored"));
    assert_eq!(host.run("write", json!({})).unwrap(), json!(201));
    let sent = host.requests();
    let body = |bytes: &[u8], content_length| Some(SentValue::Stream { bytes: bytes.to_vec(), content_length });
    assert_eq!(sent[0].body, body(b"content", Some(7)));
    assert_eq!(sent[1].body, body(&[b'x'; 30], None));
    assert_eq!(host.run("send", json!({})).unwrap_err().code, ErrorCode::Invalid);
}
