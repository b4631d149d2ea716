//! Decides whether a response is a success, and describes failures.

use atlashub_plugin_sdk::ErrorCode;

/// Whether a run succeeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Success,
    /// The run fails with this code. `Unavailable` is retried, `Invalid` is not.
    Failure(ErrorCode),
}

/// Returns the verdict on a status. Without expected statuses, 200 to 299 is a success.
///
/// Redirects were already followed, so a remaining redirect is a failure unless it is expected.
pub(crate) fn of_status(status: u16, expected: &[u16]) -> Verdict {
    let success = if expected.is_empty() { (200..300).contains(&status) } else { expected.contains(&status) };
    if success {
        return Verdict::Success;
    }
    // Request Timeout and Too Many Requests are temporary, like server errors.
    let transient = matches!(status, 408 | 429 | 500..=599);
    Verdict::Failure(if transient { ErrorCode::Unavailable } else { ErrorCode::Invalid })
}

/// Describes a failure for the run history.
pub(crate) fn message(status: u16, expected: &[u16], location: Option<&str>) -> String {
    let instead_of = match expected {
        [] => String::new(),
        expected => {
            let expected: Vec<String> = expected.iter().map(u16::to_string).collect();
            format!(" instead of {}", expected.join(" or "))
        }
    };
    let target = location.filter(|_| (300..400).contains(&status)).and_then(host_of);
    let target = target.map(|host| format!(" with a redirect to {host}")).unwrap_or_default();
    format!("the response status was {status}{instead_of}{target}")
}

/// Returns the host and port of an absolute URL. The rest of the URL may contain a token.
fn host_of(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("//")?;
    let authority = &rest[..rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len())];
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    (!host.is_empty()).then_some(host)
}

/// Removes query and fragment from a URL before it is logged, because they may contain tokens.
pub(crate) fn without_query(url: &str) -> &str {
    url.find(['?', '#']).map_or(url, |end| &url[..end])
}

/// Returns the start of a body, at most `max_bytes`. Returns `None` if the body is empty or not text.
pub(crate) fn preview(content_type: Option<&str>, body: &[u8], max_bytes: usize) -> Option<String> {
    let content_type = content_type.unwrap_or("text/plain").to_ascii_lowercase();
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    let is_text = essence.starts_with("text/")
        || ["json", "xml", "x-www-form-urlencoded", "javascript"].iter().any(|kind| essence.ends_with(kind));
    if !is_text || body.is_empty() {
        return None;
    }
    let mut end = body.len().min(max_bytes);
    // Do not cut within a character: continuation bytes start with the bits 10.
    while end > 0 && end < body.len() && body[end] & 0xc0 == 0x80 {
        end -= 1;
    }
    Some(String::from_utf8_lossy(&body[..end]).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_decides_between_success_retry_and_failure() {
        let check = |status, expected: &[u16], verdict| assert_eq!(of_status(status, expected), verdict, "{status}");
        let (retry, fail) = (Verdict::Failure(ErrorCode::Unavailable), Verdict::Failure(ErrorCode::Invalid));
        check(200, &[], Verdict::Success);
        check(204, &[], Verdict::Success);
        check(299, &[], Verdict::Success);
        check(302, &[], fail);
        check(304, &[], fail);
        check(302, &[302], Verdict::Success);
        check(400, &[], fail);
        check(404, &[], fail);
        check(408, &[], retry);
        check(429, &[], retry);
        check(500, &[], retry);
        check(503, &[], retry);
        check(201, &[201], Verdict::Success);
        check(200, &[201, 202], fail);
        check(503, &[503], Verdict::Success);
    }

    #[test]
    fn failure_message_names_host_of_redirect() {
        let check = |status, location, expected: &str| assert_eq!(message(status, &[], location), expected);
        check(
            302,
            Some("https://user:pass@a.example:8443/b?c=d"),
            "the response status was 302 with a redirect to a.example:8443",
        );
        check(307, Some("//a.example?c"), "the response status was 307 with a redirect to a.example");
        check(302, Some("/login?token=x"), "the response status was 302");
        check(304, None, "the response status was 304");
        check(404, Some("https://a.example/"), "the response status was 404");
        assert_eq!(message(500, &[200, 201], None), "the response status was 500 instead of 200 or 201");
    }

    #[test]
    fn preview_is_text_and_ends_at_a_character_boundary() {
        assert_eq!(preview(Some("application/json; charset=utf-8"), b"{}", 10), Some("{}".to_owned()));
        assert_eq!(preview(Some("application/problem+json"), b"{}", 10), Some("{}".to_owned()));
        assert_eq!(preview(Some("image/png"), b"\x89PNG", 10), None);
        assert_eq!(preview(None, b"", 10), None);
        assert_eq!(preview(None, "aaäö".as_bytes(), 3), Some("aa".to_owned()));
        assert_eq!(preview(None, "aaäö".as_bytes(), 4), Some("aaä".to_owned()));
    }

    #[test]
    fn query_and_fragment_are_removed_from_urls() {
        assert_eq!(without_query("https://a.example/b?c=d#e"), "https://a.example/b");
        assert_eq!(without_query("https://a.example/b#e"), "https://a.example/b");
        assert_eq!(without_query("https://a.example/b"), "https://a.example/b");
    }
}
