//! A client of one surface of the platform, which reads JSON responses.

use reqwest::{Method, StatusCode};
use serde_json::Value;

/// A client that sends requests to one surface with a fixed set of headers.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    headers: Vec<(String, String)>,
}

impl Client {
    pub fn new(base: impl Into<String>) -> Self {
        Self {
            http: reqwest::Client::builder().no_proxy().build().expect("client"),
            base: base.into(),
            headers: Vec::new(),
        }
    }

    pub fn with_header(&self, name: &str, value: &str) -> Self {
        let mut client = self.clone();
        client.headers.retain(|(known, _)| known != name);
        client.headers.push((name.to_owned(), value.to_owned()));
        client
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let mut request = self.http.request(method, self.url(path));
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        request
    }

    /// Sends a request. Returns status and JSON of the response, with null for an empty body.
    pub async fn send(&self, method: Method, path: &str, body: Option<Value>) -> (StatusCode, Value) {
        let mut request = self.request(method, path);
        if let Some(body) = body {
            request = request.json(&body);
        }
        read_response(request.send().await.expect("a response")).await
    }

    pub async fn get(&self, path: &str) -> (StatusCode, Value) {
        self.send(Method::GET, path, None).await
    }

    pub async fn post(&self, path: &str, body: Value) -> (StatusCode, Value) {
        self.send(Method::POST, path, Some(body)).await
    }

    pub async fn put(&self, path: &str, body: Value) -> (StatusCode, Value) {
        self.send(Method::PUT, path, Some(body)).await
    }

    pub async fn patch(&self, path: &str, body: Value) -> (StatusCode, Value) {
        self.send(Method::PATCH, path, Some(body)).await
    }

    pub async fn delete(&self, path: &str) -> (StatusCode, Value) {
        self.send(Method::DELETE, path, None).await
    }

    pub async fn delete_with(&self, path: &str, body: Value) -> (StatusCode, Value) {
        self.send(Method::DELETE, path, Some(body)).await
    }
}

async fn read_response(response: reqwest::Response) -> (StatusCode, Value) {
    let status = response.status();
    let body = response.bytes().await.expect("a body");
    if body.is_empty() {
        return (status, Value::Null);
    }
    let json = serde_json::from_slice(&body)
        .unwrap_or_else(|error| panic!("{status}: not JSON ({error}): {}", String::from_utf8_lossy(&body)));
    (status, json)
}

/// Repeats a request until the response has this status, and returns its body.
pub async fn until_status(status: StatusCode, request: impl AsyncFn() -> (StatusCode, Value)) -> Value {
    super::eventually(&format!("a response with status {status}"), async || {
        let (received, body) = request().await;
        (received == status).then_some(body)
    })
    .await
}
