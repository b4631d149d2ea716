//! Headers that are stored with an object, checks for unsupported features, and conversions to the types of `s3s`.

use http::{HeaderName, HeaderValue};
use s3s::dto::{ChecksumType, ETag, Metadata, Timestamp};
use s3s::{S3Result, s3_error};
use time::OffsetDateTime;

use crate::store::{Attributes, Etag, StoredChecksum, system_time};

/// Maximum size of user metadata in bytes, names and values together, as in S3.
const MAX_USER_METADATA_BYTES: usize = 2 * 1024;
/// Maximum size of each other header in bytes.
const MAX_HEADER_BYTES: usize = 2 * 1024;
/// Maximum size of a key in bytes of UTF-8, as in S3.
const MAX_KEY_BYTES: usize = 1024;

/// Attributes of a request, not validated yet.
pub(super) struct RequestAttributes {
    pub content_type: Option<String>,
    pub cache_control: Option<String>,
    pub content_disposition: Option<String>,
    pub content_encoding: Option<String>,
    pub content_language: Option<String>,
    pub expires: Option<Timestamp>,
    pub metadata: Option<Metadata>,
}

/// Moves the attributes out of any input type of `s3s` that has these fields.
macro_rules! request_attributes {
    ($input:expr) => {
        $crate::ops::attributes::RequestAttributes {
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
pub(super) use request_attributes;

/// Rejects an input that creates an object and requests a feature that would otherwise be ignored silently.
macro_rules! reject_unsupported {
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
        $crate::ops::attributes::reject_features(&[
            (encryption, "server-side encryption"),
            (lock, "object locks"),
            (acl, "ACLs"),
            (input.tagging.is_some(), "tags"),
            (input.website_redirect_location.is_some(), "redirects"),
        ])
    }};
}
pub(super) use reject_unsupported;

/// Sets the checksum fields of an output type of `s3s`, if there is a checksum.
macro_rules! set_checksum {
    ($output:expr, $checksum:expr) => {
        if let Some(checksum) = $checksum {
            let checksum: s3s::dto::Checksum = checksum.to_dto();
            $output.checksum_crc32 = checksum.checksum_crc32;
            $output.checksum_crc32c = checksum.checksum_crc32c;
            $output.checksum_crc64nvme = checksum.checksum_crc64nvme;
            $output.checksum_sha1 = checksum.checksum_sha1;
            $output.checksum_sha256 = checksum.checksum_sha256;
        }
    };
}
pub(super) use set_checksum;

/// Returns the type of an object's checksum for a field of `s3s`.
pub(super) fn checksum_type(checksum: Option<&StoredChecksum>) -> Option<ChecksumType> {
    checksum.map(|checksum| ChecksumType::from_static(checksum.coverage.name()))
}

/// Rejects the request if it requests one of the features. Each element states whether a feature is requested, and
/// names it.
pub(super) fn reject_features(features: &[(bool, &str)]) -> S3Result<()> {
    match features.iter().find(|(is_requested, _)| *is_requested) {
        Some((_, feature)) => Err(s3_error!(NotImplemented, "This server does not support {}.", feature)),
        None => Ok(()),
    }
}

/// Rejects a request for a specific version, because no versions are kept.
pub(super) fn reject_version(version: Option<&str>) -> S3Result<()> {
    match version {
        None | Some("null") => Ok(()),
        Some(_) => Err(s3_error!(NoSuchVersion, "This server does not keep versions.")),
    }
}

/// Checks the length of a key. `s3s` checks keys in paths, but not in forms and XML documents.
pub(super) fn check_key(key: &str) -> S3Result<()> {
    match key.len() {
        0 => Err(s3_error!(InvalidArgument, "The key is empty.")),
        1..=MAX_KEY_BYTES => Ok(()),
        _ => Err(s3_error!(KeyTooLongError, "The key is longer than {} bytes.", MAX_KEY_BYTES)),
    }
}

impl RequestAttributes {
    /// Checks that each attribute can be sent as a header later, and that the user metadata is not too large.
    pub(super) fn validate(self) -> S3Result<Attributes> {
        let attributes = Attributes {
            content_type: checked_header("content-type", self.content_type)?,
            cache_control: checked_header("cache-control", self.cache_control)?,
            content_disposition: checked_header("content-disposition", self.content_disposition)?,
            content_encoding: checked_header(
                "content-encoding",
                self.content_encoding.as_deref().and_then(without_aws_chunked),
            )?,
            content_language: checked_header("content-language", self.content_language)?,
            expires: self.expires.map(|expires| OffsetDateTime::from(expires).unix_timestamp()),
            user: self.metadata.unwrap_or_default().into_iter().collect(),
        };
        let size: usize = attributes.user.iter().map(|(name, value)| name.len() + value.len()).sum();
        if size > MAX_USER_METADATA_BYTES {
            return Err(s3_error!(MetadataTooLarge, "User metadata is limited to {} bytes.", MAX_USER_METADATA_BYTES));
        }
        for (name, value) in &attributes.user {
            let is_valid_header =
                HeaderName::try_from(format!("x-amz-meta-{name}")).is_ok() && !value.contains(char::is_control);
            if !is_valid_header {
                return Err(s3_error!(InvalidArgument, "User metadata {:?} can't be sent as a header.", name));
            }
        }
        Ok(attributes)
    }
}

fn checked_header(name: &str, value: Option<String>) -> S3Result<Option<String>> {
    let Some(value) = value.filter(|value| !value.is_empty()) else {
        return Ok(None);
    };
    if value.len() > MAX_HEADER_BYTES || HeaderValue::try_from(value.as_str()).is_err() {
        return Err(s3_error!(
            InvalidArgument,
            "The value of {} can't be sent as a header, or is longer than {} bytes.",
            name,
            MAX_HEADER_BYTES
        ));
    }
    Ok(Some(value))
}

/// Removes `aws-chunked` from a content encoding. This coding describes how the upload was framed, not the object. An
/// encoding without `aws-chunked` is kept as it was sent.
fn without_aws_chunked(encoding: &str) -> Option<String> {
    let codings: Vec<&str> = encoding.split(',').map(str::trim).collect();
    let kept: Vec<&str> =
        codings.iter().copied().filter(|coding| !coding.eq_ignore_ascii_case("aws-chunked")).collect();
    match kept.len() {
        0 => None,
        length if length == codings.len() => Some(encoding.to_owned()),
        _ => Some(kept.join(", ")),
    }
}

pub(super) fn to_etag(etag: Etag) -> ETag {
    ETag::Strong(etag.to_string())
}

/// Converts milliseconds since 1970.
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

/// Converts a size or position to the signed integer that `s3s` uses.
pub(super) fn to_i64(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
