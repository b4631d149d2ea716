//! The files of the dashboard: those in the binary, or those of a folder.

use std::{
    ffi::OsStr,
    path::{Component, Path, PathBuf},
};

use axum::{
    body::Bytes,
    http::{HeaderMap, header},
};

/// A file of the dashboard that is part of the binary.
struct EmbeddedFile {
    /// `/index.html`, or `/assets/NAME`.
    path: &'static str,
    content_type: &'static str,
    plain: &'static [u8],
    brotli: Option<&'static [u8]>,
    gzip: Option<&'static [u8]>,
}

include!(concat!(env!("OUT_DIR"), "/dashboard_files.rs"));

/// The source of the dashboard's files.
#[derive(Debug, Clone)]
pub(crate) struct DashboardFiles {
    /// The folder that the bundler writes to. `None` for the files in the binary.
    folder: Option<PathBuf>,
}

/// A file of the dashboard, with its content.
#[derive(Debug)]
pub(super) struct DashboardFile {
    pub(super) content_type: &'static str,
    plain: Bytes,
    brotli: Option<Bytes>,
    gzip: Option<Bytes>,
}

impl DashboardFiles {
    pub(crate) fn new(folder: Option<PathBuf>) -> Self {
        Self { folder }
    }

    /// Returns the file with this path, which is `/index.html` or `/assets/NAME`.
    pub(super) async fn find(&self, path: &str) -> Option<DashboardFile> {
        match &self.folder {
            Some(folder) => read(folder, path).await,
            None => FILES.iter().find(|file| file.path == path).map(DashboardFile::from),
        }
    }
}

/// Reads a file of the folder, without compressing it. The file is read on every request, so a new build is served at
/// once.
async fn read(folder: &Path, path: &str) -> Option<DashboardFile> {
    let relative = Path::new(path.strip_prefix('/')?);
    if !relative.components().all(|component| matches!(component, Component::Normal(_))) {
        return None;
    }
    let extension = relative.extension().and_then(OsStr::to_str)?;
    let (_, content_type) = *CONTENT_TYPES.iter().find(|(known, _)| *known == extension)?;
    let plain = tokio::fs::read(folder.join(relative)).await.ok()?.into();
    Some(DashboardFile { content_type, plain, brotli: None, gzip: None })
}

impl From<&EmbeddedFile> for DashboardFile {
    fn from(file: &EmbeddedFile) -> Self {
        Self {
            content_type: file.content_type,
            plain: Bytes::from_static(file.plain),
            brotli: file.brotli.map(Bytes::from_static),
            gzip: file.gzip.map(Bytes::from_static),
        }
    }
}

impl DashboardFile {
    /// Returns the content and its content coding. The content is compressed if the client accepts a coding of this
    /// file.
    pub(super) fn into_content(self, request: &HeaderMap) -> (Bytes, Option<&'static str>) {
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
        let file = EmbeddedFile {
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
            assert_eq!(DashboardFile::from(&file).into_content(&headers).1, expected, "{accepted}");
        }
    }

    #[tokio::test]
    async fn only_known_formats_inside_the_folder_are_served() {
        let folder = tempfile::tempdir().unwrap();
        let files = folder.path().join("files");
        std::fs::create_dir_all(files.join("assets")).unwrap();
        for name in ["files/index.html", "files/assets/a.js", "files/assets/a.secret", "outside.js"] {
            std::fs::write(folder.path().join(name), name).unwrap();
        }
        let files = DashboardFiles::new(Some(files));
        for (path, exists) in [
            ("/index.html", true),
            ("/assets/a.js", true),
            ("/assets/b.js", false),
            ("/assets/a.secret", false),
            ("/assets/../../outside.js", false),
            ("//outside.js", false),
        ] {
            assert_eq!(files.find(path).await.is_some(), exists, "{path}");
        }
    }
}
