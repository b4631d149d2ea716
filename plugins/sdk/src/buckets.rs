//! Lists the buckets of projects, and signs URLs for uploads and downloads by others.
//!
//! Requires the capability [`Buckets`](crate::plugin::Capability::Buckets). Its scope lists the stores: `project:<id>`,
//! or `project:*` for all projects. A signed URL works for everyone who has it until it expires, even after the run has
//! ended. To read and write objects in the plugin itself, use [`objects`](crate::objects).

pub use crate::bindings::atlashub::plugin::buckets::{Bucket, SignedUrl, UploadOptions};
use crate::{Result, backend};

/// Lists at most 1000 buckets of a project, by name.
///
/// # Errors
/// Returns `Denied` if the grant does not cover the store, `NotFound` if the project does not exist, `Invalid` if the
/// store is not the store of a project, and `Unavailable` if Postgres cannot be reached.
pub async fn list(store: &str) -> Result<Vec<Bucket>> {
    backend::buckets::list(store).await
}

/// Signs the download of an object. If a file name is given, browsers save the object under that name.
///
/// # Errors
/// Returns the errors of [`list`], `NotFound` if the object does not exist, `Invalid` if the key or the file name is
/// malformed, and `Unavailable` if the store cannot be reached.
pub async fn sign_download(store: &str, key: &str, file_name: Option<&str>) -> Result<SignedUrl> {
    backend::buckets::sign_download(store, key, file_name).await
}

/// Signs the upload of an object. A run may sign at most 1000 uploads; failed attempts count.
///
/// # Errors
/// Returns the errors of [`list`], `NotFound` if the bucket does not exist, `Conflict` if the object exists and
/// `replace` is false or if the run no longer holds its lease, `TooLarge` if a size exceeds the bucket's maximum or the
/// run has already tried to sign 1000 uploads, `Invalid` if the key or an option is malformed, and `Unavailable` if the
/// store cannot be reached.
pub async fn sign_upload(store: &str, key: &str, options: UploadOptions) -> Result<SignedUrl> {
    backend::buckets::sign_upload(store, key, options).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{prelude::*, testing::TestHost};

    #[derive(Deserialize, JsonSchema)]
    struct Key {
        key: String,
    }

    async fn share(_run: Run, params: Key) -> Result<String> {
        let signed = sign_download("project:a", &params.key, Some("report.csv")).await?;
        Ok(format!("{} {}", signed.method, signed.url))
    }

    async fn accept(_run: Run, params: Key) -> Result<String> {
        let names: Vec<String> = list("project:a").await?.into_iter().map(|bucket| bucket.name).collect();
        assert_eq!(names, ["uploads"]);
        let options = UploadOptions {
            content_type: "text/csv".to_owned(),
            size_bytes: None,
            max_size_bytes: None,
            replace: false,
        };
        Ok(sign_upload("project:a", &params.key, options).await?.method)
    }

    #[test]
    fn uploads_and_downloads_are_signed() {
        let plugin = Plugin::new("sharer", "1.0.0", 1)
            .job("share", "Shares.", share)
            .job("accept", "Accepts.", accept)
            .capability(Capability::Buckets, "To share.", Scope::default());
        let host = TestHost::new(plugin).object("project:a", "uploads/report", b"1");
        let url = host.run("share", json!({"key": "uploads/report"})).unwrap();
        assert!(url.as_str().unwrap().starts_with("GET https://"), "{url}");
        assert_eq!(host.run("share", json!({"key": "uploads/none"})).unwrap_err().code, ErrorCode::NotFound);
        assert_eq!(host.run("accept", json!({"key": "uploads/new"})).unwrap(), json!("PUT"));
        assert_eq!(host.run("accept", json!({"key": "uploads/report"})).unwrap_err().code, ErrorCode::Conflict);
        assert_eq!(host.signed_urls().len(), 2);
    }
}
