//! Paths of the admin API below a bucket.

use crate::address;

pub(super) fn buckets(project: &str) -> String {
    format!("/projects/{project}/buckets")
}

pub(super) fn bucket(project: &str, bucket: &str) -> String {
    format!("/projects/{project}/buckets/{bucket}")
}

/// Returns the path that lists one page of the folders and objects directly below a prefix.
pub(super) fn objects(project: &str, name: &str, prefix: &str, limit: &str, cursor: Option<&str>) -> String {
    let prefix = Some(prefix).filter(|prefix| !prefix.is_empty());
    let parameters = [("delimiter", Some("/")), ("prefix", prefix), ("limit", Some(limit)), ("cursor", cursor)];
    address::with_parameters(&format!("{}/objects", bucket(project, name)), &parameters)
}

/// Returns the path of an object.
pub(super) fn object(project: &str, name: &str, path: &str) -> String {
    let key = format!("{name}/{path}");
    address::with_parameters(&format!("{}/object", bucket(project, name)), &[("objectKey", Some(&key))])
}

/// Returns the path that counts the objects whose paths start with a prefix.
pub(super) fn count(project: &str, name: &str, prefix: &str) -> String {
    let prefix = Some(prefix).filter(|prefix| !prefix.is_empty());
    address::with_parameters(&format!("{}/objects/count", bucket(project, name)), &[("prefix", prefix)])
}

/// Returns the path that signs a download: the response contains a URL of the store from which the object can be
/// downloaded for an hour. Browsers save the object under the name `download_as`.
pub(super) fn signed_download(project: &str, name: &str, path: &str, download_as: Option<&str>) -> String {
    let key = format!("{name}/{path}");
    let parameters = [("objectKey", Some(key.as_str())), ("downloadAs", download_as)];
    address::with_parameters(&format!("{}/signed-download", bucket(project, name)), &parameters)
}

/// Returns the path that lists the multipart uploads that were neither completed nor aborted.
pub(super) fn unfinished_uploads(project: &str, name: &str) -> String {
    format!("{}/multipart?limit=200", bucket(project, name))
}
