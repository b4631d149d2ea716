//! What a status means for the run.

use atlashub_plugin_sdk::ErrorCode;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Success,
    /// `Unavailable` may work later; `Invalid` won't, however often it is tried.
    Failure(ErrorCode),
}

/// Without expectations a 2xx is a success. Redirects were followed: one that is left leads nowhere.
pub(crate) fn of(status: u16, expected: &[u16]) -> Verdict {
    let success = if expected.is_empty() { (200..300).contains(&status) } else { expected.contains(&status) };
    if success {
        return Verdict::Success;
    }
    // Request Timeout and Too Many Requests ask for another try as much as the server's own failures.
    let transient = matches!(status, 408 | 429 | 500..=599);
    Verdict::Failure(if transient { ErrorCode::Unavailable } else { ErrorCode::Invalid })
}

pub(crate) fn message(status: u16, expected: &[u16], location: Option<&str>) -> String {
    let wanted = match expected {
        [] => String::new(),
        expected => {
            let expected: Vec<String> = expected.iter().map(u16::to_string).collect();
            format!(", not {}", expected.join(" or "))
        }
    };
    let target = location.filter(|_| (300..400).contains(&status)).and_then(host_of);
    let target = target.map(|host| format!(", which points to {host}")).unwrap_or_default();
    format!("the answer was {status}{wanted}{target}")
}

/// Of an absolute URL; the rest of it may carry a token.
fn host_of(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("//")?;
    let authority = &rest[..rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len())];
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    (!host.is_empty()).then_some(host)
}

/// Queries carry tokens, and the log is kept.
pub(crate) fn without_query(url: &str) -> &str {
    url.find(['?', '#']).map_or(url, |end| &url[..end])
}

/// The beginning of a text; none of anything else.
pub(crate) fn preview(content_type: Option<&str>, body: &[u8], most: usize) -> Option<String> {
    let content_type = content_type.unwrap_or("text/plain").to_ascii_lowercase();
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    let is_text = essence.starts_with("text/")
        || ["json", "xml", "x-www-form-urlencoded", "javascript"].iter().any(|kind| essence.ends_with(kind));
    if !is_text || body.is_empty() {
        return None;
    }
    let mut end = body.len().min(most);
    // Not in the middle of a character: continuation bytes begin with the bits 10.
    while end > 0 && end < body.len() && body[end] & 0xc0 == 0x80 {
        end -= 1;
    }
    Some(String::from_utf8_lossy(&body[..end]).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_decides_between_success_a_retry_and_the_end() {
        let check = |status, expected: &[u16], verdict| assert_eq!(of(status, expected), verdict, "{status}");
        let (retry, end) = (Verdict::Failure(ErrorCode::Unavailable), Verdict::Failure(ErrorCode::Invalid));
        check(200, &[], Verdict::Success);
        check(204, &[], Verdict::Success);
        check(299, &[], Verdict::Success);
        check(302, &[], end);
        check(304, &[], end);
        check(302, &[302], Verdict::Success);
        check(400, &[], end);
        check(404, &[], end);
        check(408, &[], retry);
        check(429, &[], retry);
        check(500, &[], retry);
        check(503, &[], retry);
        check(201, &[201], Verdict::Success);
        check(200, &[201, 202], end);
        check(503, &[503], Verdict::Success);
    }

    #[test]
    fn a_redirect_that_is_left_says_where_it_points() {
        let check = |status, location, expected: &str| assert_eq!(message(status, &[], location), expected);
        check(
            302,
            Some("https://user:pass@a.example:8443/b?c=d"),
            "the answer was 302, which points to a.example:8443",
        );
        check(307, Some("//a.example?c"), "the answer was 307, which points to a.example");
        check(302, Some("/login?token=x"), "the answer was 302");
        check(304, None, "the answer was 304");
        check(404, Some("https://a.example/"), "the answer was 404");
        assert_eq!(message(500, &[200, 201], None), "the answer was 500, not 200 or 201");
    }

    #[test]
    fn a_preview_is_text_and_ends_between_characters() {
        assert_eq!(preview(Some("application/json; charset=utf-8"), b"{}", 10), Some("{}".to_owned()));
        assert_eq!(preview(Some("application/problem+json"), b"{}", 10), Some("{}".to_owned()));
        assert_eq!(preview(Some("image/png"), b"\x89PNG", 10), None);
        assert_eq!(preview(None, b"", 10), None);
        assert_eq!(preview(None, "aaäö".as_bytes(), 3), Some("aa".to_owned()));
        assert_eq!(preview(None, "aaäö".as_bytes(), 4), Some("aaä".to_owned()));
    }

    #[test]
    fn a_query_is_left_out_of_what_is_logged() {
        assert_eq!(without_query("https://a.example/b?c=d#e"), "https://a.example/b");
        assert_eq!(without_query("https://a.example/b#e"), "https://a.example/b");
        assert_eq!(without_query("https://a.example/b"), "https://a.example/b");
    }
}
