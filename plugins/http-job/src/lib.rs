//! Sends one HTTP request. Jobs of type `http` run this plugin.
//!
//! Header values and the body are secrets of the run: this plugin places them in the request without reading them. The
//! platform's allowlist and the owner's grant decide which hosts can be reached.
//!
//! `verdict` decides whether a response is a success.

mod verdict;

use std::time::Duration;

use atlashub_plugin_sdk::{clock, http, prelude::*, secrets};

use verdict::Verdict;

/// Maximum size of the response preview in the run history.
const MAX_PREVIEW_BYTES: usize = 4 << 10;

/// Maximum number of redirects if the job sets no maximum and `expectStatus` contains no redirect.
const DEFAULT_MAX_REDIRECTS: u32 = 5;

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RequestParams {
    /// Absolute `http` or `https` URL.
    url: String,
    /// `GET`, `POST`, `PUT`, `PATCH`, `DELETE` or `HEAD`.
    #[serde(default = "get")]
    method: String,
    /// Names of headers. Their values are the run's secrets `header.<lowercase name>`.
    #[serde(default)]
    headers: Vec<String>,
    /// Whether to send the run's secret `body` as the body.
    #[serde(default)]
    has_body: bool,
    /// Timeout for the request with all redirects, in milliseconds. The run's time limit also applies.
    #[serde(default)]
    timeout_ms: Option<u32>,
    /// Maximum number of redirects to follow, 0 to 10. The status of the last response decides. The default is 5, or 0
    /// if `expectStatus` contains a redirect.
    #[serde(default)]
    #[schemars(range(max = 10))]
    max_redirects: Option<u32>,
    /// Statuses that count as success (default 200 to 299).
    #[serde(default)]
    expect_status: Vec<u16>,
}

fn get() -> String {
    "GET".to_owned()
}

/// Result of the job.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Exchange {
    http_status: u16,
    duration_ms: u64,
    /// Size of the body after it was decoded, in bytes: at most 1 MiB.
    body_bytes: usize,
    /// Whether the body is incomplete: it was longer than 1 MiB and was cut, or it could not be decoded.
    truncated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_type: Option<String>,
    /// The start of the body if it is text.
    #[serde(skip_serializing_if = "Option::is_none")]
    body_preview: Option<String>,
}

async fn request(run: Run, params: RequestParams) -> Result<Exchange> {
    let values = params.headers.iter().map(|name| secrets::open(&format!("header.{}", name.to_ascii_lowercase())));
    let values = values.collect::<Result<Vec<_>>>()?;
    let body = if params.has_body { Some(secrets::open("body")?) } else { None };

    let method = params.method.to_ascii_uppercase();
    let expects_redirect = params.expect_status.iter().any(|status| (300..400).contains(status));
    let max_redirects = params.max_redirects.unwrap_or(if expects_redirect { 0 } else { DEFAULT_MAX_REDIRECTS });
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
    let started = clock::monotonic();
    let response = request.send().await?;
    let duration_ms = u64::try_from(clock::monotonic().saturating_sub(started).as_millis()).unwrap_or(u64::MAX);
    let exchange = Exchange {
        http_status: response.status,
        duration_ms,
        body_bytes: response.body.len(),
        truncated: response.truncated,
        content_type: response.header("content-type").map(str::to_owned),
        body_preview: verdict::preview(response.header("content-type"), &response.body, MAX_PREVIEW_BYTES),
    };
    info!("Received {} in {duration_ms} ms", response.status; bytes = exchange.body_bytes);
    // The host removes the header if it decodes the body.
    if response.truncated
        && response.body.is_empty()
        && let Some(encoding) = response.header("content-encoding")
    {
        warn!(
            "The body was left out, because it is not in the encoding `{encoding}` that its header names, or this \
             encoding is not supported"
        );
    }
    match verdict::of_status(response.status, &params.expect_status) {
        Verdict::Success => Ok(exchange),
        Verdict::Failure(code) => {
            let message = verdict::message(response.status, &params.expect_status, response.header("location"));
            Err(Error::new(code, message).with_details(serde_json::to_value(&exchange)?))
        }
    }
}

/// Describes the plugin.
pub fn plugin() -> Plugin {
    Plugin::new("http-job", env!("CARGO_PKG_VERSION"), 1)
        .publisher("AtlasHub")
        .description("Sends the HTTP requests of jobs of type http.")
        .job("request", "Sends one request and records the status, duration and start of the response.", request)
        .capability(
            Capability::Http,
            "To send the requests of jobs to hosts on the platform's allowlist.",
            Scope { hosts: vec!["*".to_owned()], ..Scope::default() },
        )
        .capability(
            Capability::Secrets,
            "To place the header values and bodies of jobs in their requests. The plugin can't read them.",
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

    fn host_with_status(status: u16) -> TestHost {
        TestHost::new(plugin()).handle_http(move |_| {
            let headers = vec![("Content-Type".to_owned(), "text/plain".to_owned())];
            Ok(Response { status, headers, body: b"fine".to_vec(), truncated: false })
        })
    }

    #[test]
    fn header_values_and_body_are_sent_as_secrets() {
        let host = host_with_status(200).secret("header.authorization").secret("body");
        let params = json!({
            "url": "https://example.com/x", "method": "post", "headers": ["Authorization"], "hasBody": true,
            "timeoutMs": 500,
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
    fn error_status_fails_with_details() {
        let failed = host_with_status(503).run("request", json!({"url": "https://example.com"})).unwrap_err();
        assert!(failed.is_transient());
        assert_eq!(failed.details.unwrap()["httpStatus"], 503);
        let refused = host_with_status(404).run("request", json!({"url": "https://example.com"})).unwrap_err();
        assert!(!refused.is_transient());
        assert_eq!(refused.details.unwrap()["httpStatus"], 404);
    }

    #[test]
    fn redirects_are_followed_and_final_redirect_is_a_failure() {
        let host = TestHost::new(plugin()).handle_http(|_| {
            let headers = vec![("Location".to_owned(), "https://other.example/login?token=hidden".to_owned())];
            Ok(Response { status: 302, headers, body: Vec::new(), truncated: false })
        });
        let failed = host.run("request", json!({"url": "https://example.com"})).unwrap_err();
        assert_eq!(failed.message, "the response status was 302 with a redirect to other.example");
        assert!(!failed.is_transient());
        assert_eq!(host.requests()[0].max_redirects, 5);
        let expected = json!({"url": "https://example.com", "expectStatus": [302]});
        assert_eq!(host.run("request", expected).unwrap()["httpStatus"], 302);
        assert_eq!(host.requests()[1].max_redirects, 0);
    }

    #[test]
    fn only_expected_statuses_are_a_success() {
        let params = json!({"url": "https://example.com", "expectStatus": [404]});
        assert_eq!(host_with_status(404).run("request", params.clone()).unwrap()["httpStatus"], 404);
        assert!(host_with_status(200).run("request", params).is_err());
    }

    #[test]
    fn body_that_cannot_be_decoded_is_left_out_with_a_warning() {
        let host = TestHost::new(plugin()).handle_http(|_| {
            let headers = vec![("Content-Encoding".to_owned(), "gzip".to_owned())];
            Ok(Response { status: 200, headers, body: Vec::new(), truncated: true })
        });
        let result = host.run("request", json!({"url": "https://example.com"})).unwrap();
        assert_eq!((&result["httpStatus"], result.get("bodyPreview")), (&json!(200), None));
        assert!(host.log().iter().any(|line| line.message.contains("not in the encoding `gzip`")));
    }

    #[test]
    fn log_contains_no_query_and_no_secret() {
        let host = host_with_status(200).secret("header.x-token");
        let params = json!({"url": "https://example.com/a?token=hidden", "headers": ["x-token"]});
        host.run("request", params).unwrap();
        assert_eq!(host.log()[0].message, "GET https://example.com/a");
        assert!(!format!("{:?}", host.log()).contains("hidden"));
    }

    #[test]
    fn error_of_the_host_is_returned() {
        let denied = Error::new(ErrorCode::Denied, "example.com is not on the allowlist");
        let host = host_with_status(200).fail_next("http.send", "https://example.com", denied.clone());
        assert_eq!(host.run("request", json!({"url": "https://example.com"})).unwrap_err(), denied);
        let missing = host_with_status(200).run("request", json!({"url": "https://example.com", "hasBody": true}));
        assert_eq!(missing.unwrap_err().code, ErrorCode::NotFound);
    }
}
