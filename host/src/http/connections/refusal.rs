//! Error responses that are written without hyper, in the documented shape.

use uuid::Uuid;

use crate::error::ApiError;

/// Returns the bytes of a response after which the connection is closed, and logs the error.
pub(super) fn render(error: &ApiError, listener: &str) -> Vec<u8> {
    let id = Uuid::now_v7().simple().to_string();
    let status = error.status();
    tracing::info!(request_id = %id, listener, code = error.code().as_str(), message = error.message(),
        "request refused before it was complete");
    let body = serde_json::to_string(&error.body(&id)).unwrap_or_default();
    let retry_after = match error.retry_after_seconds() {
        Some(seconds) => format!("retry-after: {seconds}\r\n"),
        None => String::new(),
    };
    format!(
        "HTTP/1.1 {} {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n{retry_after}x-request-id: {id}\r\n\
         connection: close\r\n\r\n{body}",
        status.as_u16(),
        status.canonical_reason().unwrap_or("Error"),
        body.len(),
    )
    .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Code;

    #[test]
    fn refusal_has_the_documented_shape() {
        let text = String::from_utf8(render(&ApiError::new(Code::Overloaded, "Busy."), "public")).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let body: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!(body["error"]["code"], "overloaded");
        assert!(head.starts_with("HTTP/1.1 503 Service Unavailable\r\n"), "{head}");
        assert!(head.contains("\r\nretry-after: 1\r\n") && head.contains("\r\nconnection: close"), "{head}");
        assert!(head.contains(&format!("x-request-id: {}", body["error"]["requestId"].as_str().unwrap())), "{head}");
    }
}
