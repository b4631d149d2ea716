//! Signs and uses uploads and downloads like an app.

use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};

use super::Client;

/// Returns the code of an error body. It is empty if the body is not an error.
pub fn code(body: &Value) -> &str {
    body["error"]["code"].as_str().unwrap_or_default()
}

/// Returns the path of a storage route with an escaped query.
pub fn path_of(route: &str, parameters: &[(&str, &str)]) -> String {
    let query: Vec<String> = parameters
        .iter()
        .map(|(name, value)| {
            let value = percent_encoding::utf8_percent_encode(value, percent_encoding::NON_ALPHANUMERIC);
            format!("{name}={value}")
        })
        .collect();
    format!("/v1/storage/{route}?{}", query.join("&"))
}

/// Storage operations of an app. They assert success, except [`Uploads::sign_download`].
pub trait Uploads {
    /// Signs an upload of [`upload_request`].
    async fn sign(&self, path: &str, extra: Value) -> Value;
    /// Signs a plain upload and sends the bytes.
    async fn upload(&self, path: &str, bytes: impl Into<reqwest::Body>);
    /// Requests a signed download from the bucket `uploads`, without asserting success.
    async fn sign_download(&self, path: &str) -> (StatusCode, Value);
    /// Downloads an object of the bucket `uploads` by a signed URL.
    async fn download(&self, path: &str) -> Vec<u8>;
}

impl Uploads for Client {
    async fn sign(&self, path: &str, extra: Value) -> Value {
        let (status, body) = self.post("/v1/storage/signed-upload", upload_request(path, extra)).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        body
    }

    async fn upload(&self, path: &str, bytes: impl Into<reqwest::Body>) {
        let signed = self.sign(path, json!({})).await;
        must_send(&signed, bytes).await;
    }

    async fn sign_download(&self, path: &str) -> (StatusCode, Value) {
        let key = format!("uploads/{path}");
        self.get(&path_of("signed-download", &[("bucket", "uploads"), ("objectKey", &key)])).await
    }

    async fn download(&self, path: &str) -> Vec<u8> {
        let (status, body) = self.sign_download(path).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        let response = raw().get(body["downloadUrl"].as_str().expect("a URL")).send().await.expect("a response");
        assert_eq!(response.status(), StatusCode::OK);
        response.bytes().await.expect("bytes").to_vec()
    }
}

/// Returns the body of an upload request for `text/plain` in the bucket `uploads`. `extra` adds or replaces fields.
pub fn upload_request(path: &str, extra: Value) -> Value {
    let mut request = json!({ "bucket": "uploads", "path": path, "contentType": "text/plain" });
    if let (Value::Object(request), Value::Object(extra)) = (&mut request, extra) {
        request.extend(extra);
    }
    request
}

/// Returns a client without keys, for signed URLs.
pub fn raw() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().expect("client")
}

/// Sends bytes as the signed upload requires, and asserts success.
pub async fn must_send(signed: &Value, bytes: impl Into<reqwest::Body>) {
    let response = send(signed, bytes).await;
    let status = response.status();
    assert!(status.is_success(), "{status}: {}", response.text().await.unwrap_or_default());
}

/// Sends bytes as the signed upload requires.
pub async fn send(signed: &Value, bytes: impl Into<reqwest::Body>) -> Response {
    let method = Method::from_bytes(signed["method"].as_str().expect("a method").as_bytes()).expect("a method");
    let mut request = raw().request(method, signed["uploadUrl"].as_str().expect("a URL"));
    for (name, value) in signed["headers"].as_object().expect("headers") {
        request = request.header(name, value.as_str().expect("text"));
    }
    request.body(bytes).send().await.expect("a response")
}
