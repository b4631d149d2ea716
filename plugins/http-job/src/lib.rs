//! Sends one HTTP request: what jobs of type `http` run.
//!
//! Header values and the body are secrets of the run: this plugin names them and never sees them. Which hosts may be asked
//! is the platform's allowlist and the owner's grant.

mod verdict;

use std::time::Duration;

use atlashub_plugin_sdk::{clock, http, prelude::*, secrets};

use verdict::Verdict;

/// Of a response's text that the run's history keeps, in bytes.
const PREVIEW_BYTES: usize = 4 << 10;

/// Redirects that are followed unless told.
const MAX_REDIRECTS: u32 = 5;

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RequestParams {
    /// Absolute, `http` or `https`.
    url: String,
    /// `GET`, `POST`, `PUT`, `PATCH`, `DELETE` or `HEAD`.
    #[serde(default = "get")]
    method: String,
    /// Names of headers whose values are the run's secrets `header.<lowercase name>`.
    #[serde(default)]
    headers: Vec<String>,
    /// Whether the run's secret `body` is sent.
    #[serde(default)]
    has_body: bool,
    /// Of the whole exchange, in milliseconds; the run's own time ends it too.
    #[serde(default)]
    timeout_ms: Option<u32>,
    /// How many redirects to follow, at most 10; the last answer counts. Without it five, or none where a redirect is
    /// what is expected.
    #[serde(default)]
    #[schemars(range(max = 10))]
    max_redirects: Option<u32>,
    /// The statuses that count as success; without them, 200 to 299.
    #[serde(default)]
    expect_status: Vec<u16>,
}

fn get() -> String {
    "GET".to_owned()
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Exchange {
    http_status: u16,
    duration_ms: u64,
    /// Bytes that were received, at most 1 MiB.
    body_bytes: usize,
    /// There were more.
    truncated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_type: Option<String>,
    /// The beginning of a text.
    #[serde(skip_serializing_if = "Option::is_none")]
    body_preview: Option<String>,
}

async fn request(run: Run, params: RequestParams) -> Result<Exchange> {
    let values = params.headers.iter().map(|name| secrets::open(&format!("header.{}", name.to_ascii_lowercase())));
    let values = values.collect::<Result<Vec<_>>>()?;
    let body = if params.has_body { Some(secrets::open("body")?) } else { None };

    let method = params.method.to_ascii_uppercase();
    let expects_redirect = params.expect_status.iter().any(|status| (300..400).contains(status));
    let max_redirects = params.max_redirects.unwrap_or(if expects_redirect { 0 } else { MAX_REDIRECTS });
    let mut request = http::Request::new(&method, &params.url).max_redirects(max_redirects);
    for (name, value) in params.headers.iter().zip(&values) {
        request = request.secret_header(name, value);
    }
    if let Some(body) = &body {
        request = request.secret_body(body);
    }
    if let Some(timeout) = params.timeout_ms {
        request = request.timeout(Duration::from_millis(timeout.into()));
    }

    info!("{method} {}", verdict::without_query(&params.url); attempt = run.attempt, headers = params.headers);
    let begun = clock::monotonic();
    let response = request.send().await?;
    let duration_ms = u64::try_from(clock::monotonic().saturating_sub(begun).as_millis()).unwrap_or(u64::MAX);
    let exchange = Exchange {
        http_status: response.status,
        duration_ms,
        body_bytes: response.body.len(),
        truncated: response.truncated,
        content_type: response.header("content-type").map(str::to_owned),
        body_preview: verdict::preview(response.header("content-type"), &response.body, PREVIEW_BYTES),
    };
    info!("Answered {} in {duration_ms} ms", response.status; bytes = exchange.body_bytes);
    match verdict::of(response.status, &params.expect_status) {
        Verdict::Success => Ok(exchange),
        Verdict::Failure(code) => {
            let message = verdict::message(response.status, &params.expect_status, response.header("location"));
            Err(Error::new(code, message).with_details(serde_json::to_value(&exchange)?))
        }
    }
}

/// The plugin.
pub fn plugin() -> Plugin {
    Plugin::new("http-job", env!("CARGO_PKG_VERSION"), 1)
        .publisher("AtlasHub")
        .description("Sends HTTP requests: what jobs of type http run.")
        .job("request", "Sends one request and keeps status, time and the beginning of the answer.", request)
        .asks(
            Capability::Http,
            "To send the requests that jobs describe, to hosts on the platform's allowlist.",
            Scope { hosts: vec!["*".to_owned()], ..Scope::default() },
        )
        .asks(
            Capability::Secrets,
            "To name the header values and bodies of jobs in their requests. It never sees them.",
            Scope::default(),
        )
        .limits(Limits { memory_mib: 32, cpu_seconds: 10, host_call_mib: 16, concurrent_runs: 32, ..Limits::default() })
}

atlashub_plugin_sdk::export!(plugin);

#[cfg(test)]
mod tests {
    use super::*;
    use atlashub_plugin_sdk::{
        http::Response,
        testing::{SentValue, TestHost},
    };

    fn answering(status: u16) -> TestHost {
        TestHost::new(plugin()).answer_http(move |_| {
            let headers = vec![("Content-Type".to_owned(), "text/plain".to_owned())];
            Ok(Response { status, headers, body: b"fine".to_vec(), truncated: false })
        })
    }

    #[test]
    fn header_values_and_body_go_as_secrets() {
        let host = answering(200).secret("header.authorization").secret("body");
        let params = json!({
            "url": "https://example.com/x", "method": "post", "headers": ["Authorization"], "hasBody": true, "timeoutMs": 500,
        });
        let result = host.run("request", params).unwrap();
        assert_eq!(result["httpStatus"], 200);
        assert_eq!(result["bodyPreview"], "fine");
        let sent = &host.requests()[0];
        assert_eq!(sent.method, "POST");
        assert_eq!(sent.headers, [("Authorization".to_owned(), SentValue::Secret("header.authorization".to_owned()))]);
        assert_eq!(sent.body, Some(SentValue::Secret("body".to_owned())));
        assert_eq!(sent.timeout_ms, Some(500));
    }

    #[test]
    fn a_status_from_400_on_fails_with_its_details() {
        let failed = answering(503).run("request", json!({"url": "https://example.com"})).unwrap_err();
        assert!(failed.is_transient());
        assert_eq!(failed.details.unwrap()["httpStatus"], 503);
        let refused = answering(404).run("request", json!({"url": "https://example.com"})).unwrap_err();
        assert!(!refused.is_transient());
        assert_eq!(refused.details.unwrap()["httpStatus"], 404);
    }

    #[test]
    fn redirects_are_followed_and_one_at_the_end_is_a_failure() {
        let host = TestHost::new(plugin()).answer_http(|_| {
            let headers = vec![("Location".to_owned(), "https://other.example/login?token=hidden".to_owned())];
            Ok(Response { status: 302, headers, body: Vec::new(), truncated: false })
        });
        let failed = host.run("request", json!({"url": "https://example.com"})).unwrap_err();
        assert_eq!(failed.message, "the answer was 302, which points to other.example");
        assert!(!failed.is_transient());
        assert_eq!(host.requests()[0].max_redirects, 5);
        let expected = json!({"url": "https://example.com", "expectStatus": [302]});
        assert_eq!(host.run("request", expected).unwrap()["httpStatus"], 302);
        assert_eq!(host.requests()[1].max_redirects, 0);
    }

    #[test]
    fn an_expected_status_is_a_success_and_any_other_is_not() {
        let params = json!({"url": "https://example.com", "expectStatus": [404]});
        assert_eq!(answering(404).run("request", params.clone()).unwrap()["httpStatus"], 404);
        assert!(answering(200).run("request", params).is_err());
    }

    #[test]
    fn the_log_has_no_query_and_no_value() {
        let host = answering(200).secret("header.x-token");
        let params = json!({"url": "https://example.com/a?token=hidden", "headers": ["x-token"]});
        host.run("request", params).unwrap();
        assert_eq!(host.log()[0].message, "GET https://example.com/a");
        assert!(!format!("{:?}", host.log()).contains("hidden"));
    }

    #[test]
    fn what_the_host_refuses_is_passed_on() {
        let denied = Error::new(ErrorCode::Denied, "example.com is not on the allowlist");
        let host = answering(200).fail("http.send", "https://example.com", denied.clone());
        assert_eq!(host.run("request", json!({"url": "https://example.com"})).unwrap_err(), denied);
        let missing = answering(200).run("request", json!({"url": "https://example.com", "hasBody": true}));
        assert_eq!(missing.unwrap_err().code, ErrorCode::NotFound);
    }
}
