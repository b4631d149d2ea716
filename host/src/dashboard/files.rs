use axum::http::{HeaderMap, header};

/// A file of the dashboard.
#[derive(Debug)]
pub(super) struct DashboardFile {
    /// `/index.html`, or `/assets/NAME`.
    path: &'static str,
    pub(super) content_type: &'static str,
    plain: &'static [u8],
    brotli: Option<&'static [u8]>,
    gzip: Option<&'static [u8]>,
}

include!(concat!(env!("OUT_DIR"), "/dashboard_files.rs"));

/// Returns the file with this path.
pub(super) fn find(path: &str) -> Option<&'static DashboardFile> {
    FILES.iter().find(|file| file.path == path)
}

impl DashboardFile {
    /// Returns the content, compressed if the client accepts it, and the name of the compression.
    pub(super) fn content_for(&self, request: &HeaderMap) -> (&'static [u8], Option<&'static str>) {
        let accepted = request.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let accepts = |coding: &str| {
            accepted.split(',').any(|entry| {
                let (name, weight) = entry.split_once(';').unwrap_or((entry, ""));
                let is_refused = matches!(weight.trim(), "q=0" | "q=0.0" | "q=0.00" | "q=0.000");
                name.trim().eq_ignore_ascii_case(coding) && !is_refused
            })
        };
        match (self.brotli, self.gzip) {
            (Some(content), _) if accepts("br") => (content, Some("br")),
            (_, Some(content)) if accepts("gzip") => (content, Some("gzip")),
            _ => (self.plain, None),
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn best_accepted_compression_is_chosen() {
        let file = DashboardFile {
            path: "/assets/a.js",
            content_type: "text/javascript",
            plain: b"plain",
            brotli: Some(b"brotli"),
            gzip: Some(b"gzip"),
        };
        for (accepted, expected) in [
            ("gzip, deflate, br", Some("br")),
            ("br;q=0, gzip", Some("gzip")),
            ("GZIP;q=0.5", Some("gzip")),
            ("identity", None),
            ("", None),
        ] {
            let headers = HeaderMap::from_iter([(header::ACCEPT_ENCODING, HeaderValue::from_static(accepted))]);
            assert_eq!(file.content_for(&headers).1, expected, "{accepted}");
        }
    }
}
