//! Headers that an object keeps, and those that would promise what this server can't do.

use http::{HeaderName, HeaderValue};
use s3s::dto::{ETag, Metadata, Timestamp};
use s3s::{S3Result, s3_error};
use time::OffsetDateTime;

use crate::store::{Attributes, Etag, system_time};

/// User metadata, names and values, as in S3.
const MAX_USER_METADATA: usize = 2 * 1024;
/// Each of the other headers.
const MAX_HEADER: usize = 2 * 1024;
/// A key, in bytes of UTF-8.
const MAX_KEY: usize = 1024;

/// Attributes as the various operations carry them.
pub(super) struct GivenAttributes {
    pub content_type: Option<String>,
    pub cache_control: Option<String>,
    pub content_disposition: Option<String>,
    pub content_encoding: Option<String>,
    pub content_language: Option<String>,
    pub expires: Option<Timestamp>,
    pub metadata: Option<Metadata>,
}

/// Collects the attributes of any input that has them under their usual names.
macro_rules! given_attributes {
    ($input:expr) => {
        $crate::ops::attributes::GivenAttributes {
            content_type: $input.content_type.take(),
            cache_control: $input.cache_control.take(),
            content_disposition: $input.content_disposition.take(),
            content_encoding: $input.content_encoding.take(),
            content_language: $input.content_language.take(),
            expires: $input.expires.take(),
            metadata: $input.metadata.take(),
        }
    };
}
pub(super) use given_attributes;

/// Refuses, on any input that creates an object, what would otherwise be silently ignored.
macro_rules! refuse_unsupported {
    ($input:expr) => {{
        let input = &$input;
        let encryption = input.sse_customer_algorithm.is_some()
            || input.sse_customer_key.is_some()
            || input.server_side_encryption.is_some()
            || input.ssekms_key_id.is_some();
        let lock = input.object_lock_mode.is_some() || input.object_lock_legal_hold_status.is_some();
        let acl =
            input.acl.as_ref().is_some_and(|acl| !matches!(acl.as_str(), "private" | "bucket-owner-full-control"))
                || input.grant_read.is_some()
                || input.grant_full_control.is_some()
                || input.grant_read_acp.is_some()
                || input.grant_write_acp.is_some();
        $crate::ops::attributes::refuse(&[
            (encryption, "server-side encryption"),
            (lock, "object locks"),
            (acl, "ACLs"),
            (input.tagging.is_some(), "tags"),
            (input.website_redirect_location.is_some(), "redirects"),
        ])
    }};
}
pub(super) use refuse_unsupported;

pub(super) fn refuse(asked: &[(bool, &str)]) -> S3Result<()> {
    match asked.iter().find(|(asked, _)| *asked) {
        Some((_, feature)) => Err(s3_error!(NotImplemented, "this server has no {}", feature)),
        None => Ok(()),
    }
}

/// There are no versions, and to answer for another one would be wrong.
pub(super) fn refuse_version(version: Option<&str>) -> S3Result<()> {
    match version {
        None | Some("null") => Ok(()),
        Some(_) => Err(s3_error!(NoSuchVersion, "this server keeps no versions")),
    }
}

/// Keys in a path are checked by `s3s`; those in forms and documents are not.
pub(super) fn check_key(key: &str) -> S3Result<()> {
    match key.len() {
        0 => Err(s3_error!(InvalidArgument, "the key is empty")),
        1..=MAX_KEY => Ok(()),
        _ => Err(s3_error!(KeyTooLongError, "the key is longer than {} bytes", MAX_KEY)),
    }
}

impl GivenAttributes {
    /// Checks that each can be sent back as a header later.
    pub(super) fn into_attributes(self) -> S3Result<Attributes> {
        let attributes = Attributes {
            content_type: checked("content-type", self.content_type)?,
            cache_control: checked("cache-control", self.cache_control)?,
            content_disposition: checked("content-disposition", self.content_disposition)?,
            content_encoding: checked("content-encoding", self.content_encoding.as_deref().and_then(without_framing))?,
            content_language: checked("content-language", self.content_language)?,
            expires: self.expires.map(|expires| OffsetDateTime::from(expires).unix_timestamp()),
            user: self.metadata.unwrap_or_default().into_iter().collect(),
        };
        let size: usize = attributes.user.iter().map(|(name, value)| name.len() + value.len()).sum();
        if size > MAX_USER_METADATA {
            return Err(s3_error!(MetadataTooLarge, "user metadata is limited to {} bytes", MAX_USER_METADATA));
        }
        for (name, value) in &attributes.user {
            let sendable =
                HeaderName::try_from(format!("x-amz-meta-{name}")).is_ok() && !value.contains(char::is_control);
            if !sendable {
                return Err(s3_error!(InvalidArgument, "user metadata {:?} can't be sent as a header", name));
            }
        }
        Ok(attributes)
    }
}

fn checked(name: &str, value: Option<String>) -> S3Result<Option<String>> {
    let Some(value) = value.filter(|value| !value.is_empty()) else {
        return Ok(None);
    };
    if value.len() > MAX_HEADER || HeaderValue::try_from(value.as_str()).is_err() {
        return Err(s3_error!(InvalidArgument, "{} can't be sent as a header", name));
    }
    Ok(Some(value))
}

/// `aws-chunked` describes how the upload was framed, not the object.
fn without_framing(encoding: &str) -> Option<String> {
    let kept: Vec<&str> =
        encoding.split(',').map(str::trim).filter(|coding| !coding.eq_ignore_ascii_case("aws-chunked")).collect();
    (!kept.is_empty()).then(|| kept.join(","))
}

pub(super) fn to_etag(etag: Etag) -> ETag {
    ETag::Strong(etag.to_string())
}

/// Milliseconds since 1970 as S3 sends them.
pub(super) fn to_timestamp(milliseconds: u64) -> Timestamp {
    system_time(milliseconds).into()
}

pub(super) fn to_expires(seconds: Option<i64>) -> Option<Timestamp> {
    OffsetDateTime::from_unix_timestamp(seconds?).ok().map(Timestamp::from)
}

pub(super) fn to_metadata(attributes: &Attributes) -> Option<Metadata> {
    let user = &attributes.user;
    (!user.is_empty()).then(|| user.iter().map(|(name, value)| (name.clone(), value.clone())).collect())
}

/// A size or position as the protocol's signed number.
pub(super) fn to_i64(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
