//! Buckets, signed uploads and downloads, and objects.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use crate::text_enum::text_enum;

/// The access that the public API allows to a bucket without the secret key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum BucketAccess {
    /// Nothing.
    None,
    /// Downloading objects.
    Download,
    /// Uploading objects.
    Upload,
    /// Downloading and uploading objects.
    Both,
}

text_enum!(BucketAccess {
    None => "none",
    Download => "download",
    Upload => "upload",
    Both => "both",
});

impl BucketAccess {
    /// Returns whether objects may be downloaded.
    pub fn allows_download(self) -> bool {
        matches!(self, Self::Download | Self::Both)
    }

    /// Returns whether objects may be uploaded.
    pub fn allows_upload(self) -> bool {
        matches!(self, Self::Upload | Self::Both)
    }
}

/// A logical bucket: a prefix in the project's bucket of the object store.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Bucket {
    /// Name of the bucket: 1 to 63 lowercase letters, digits, `-` and `_`, starting with a letter or digit.
    pub name: String,
    /// Access that the public API allows without the secret key.
    pub exposure: BucketExposure,
    /// Maximum size of an object, in bytes.
    pub max_object_bytes: i64,
    /// Number of recorded objects. An uploaded object is recorded when it is first looked up or listed, or by a sweep.
    pub object_count: i64,
    /// Size of the recorded objects, in bytes.
    pub object_bytes: i64,
    /// When the bucket was created.
    pub created_at: DateTime<Utc>,
}

/// The exposure of a bucket through the public API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BucketExposure {
    /// Access with the publishable key alone.
    pub publishable: BucketAccess,
    /// Access with a signed-in user's token.
    pub signed_in: BucketAccess,
}

/// A bucket to create.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CreateBucket {
    /// Name of the bucket: 1 to 63 lowercase letters, digits, `-` and `_`, starting with a letter or digit.
    pub name: String,
    /// Maximum size of an object, in bytes, up to 5 TiB. Without it, the server's default for new buckets
    /// (`ATLASHUB_MAX_OBJECT_BYTES`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_object_bytes: Option<i64>,
}

/// Changes to a bucket. Fields that are absent stay as they are.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct UpdateBucket {
    /// Maximum size of an object, in bytes, up to 5 TiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_object_bytes: Option<i64>,
    /// Access with the publishable key alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub publishable: Option<BucketAccess>,
    /// Access with a signed-in user's token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed_in: Option<BucketAccess>,
}

/// A confirmed request to delete a bucket with all its objects.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeleteBucket {
    /// The name of the bucket, as a confirmation.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(required))]
    pub confirm: String,
}

/// The way in which an upload is sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum UploadMode {
    /// One `PUT` request.
    #[default]
    Put,
    /// A browser form with a POST policy that limits the size.
    Post,
    /// Several parts, each of at least 5 MiB except the last, for large objects.
    Multipart,
}

/// A request to sign an upload.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SignUpload {
    /// The bucket. Optional in the admin API, where it is part of the path.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub bucket: String,
    /// Path inside the bucket, for example `notes/x.png`.
    pub path: String,
    /// Content type that the upload must have.
    pub content_type: String,
    /// Maximum size, in bytes. At most the bucket's own maximum, which is the default. A larger object that was sent
    /// with `put` is never served, and is removed.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "crate::numbers::max_size")]
    pub max_size: Option<i64>,
    /// Exact size, in bytes. If given, the object store rejects any other size. Required for `multipart`; at most 5 GiB
    /// for the other modes.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "crate::numbers::size")]
    pub size: Option<i64>,
    /// Whether to sign the upload even if an object exists at the path (default false: such a request returns 409).
    /// Requires the secret key. The server looks for the object only when it signs the upload. A `put` or `post` that
    /// was signed with the secret key replaces an object that appears afterwards, unless `once` is set.
    #[serde(default)]
    pub upsert: bool,
    /// Whether to sign `If-None-Match: *`, so that the store refuses to replace an object. Only for the mode `put`, and
    /// only if the store supports it (default false).
    #[serde(default)]
    pub once: bool,
    /// How the upload is sent (default `put`).
    #[serde(default)]
    pub mode: UploadMode,
    /// Part size for `multipart`, in bytes, from 5 MiB to 5 GiB. It must be so large that the object has at most 1024
    /// parts. The default is 16 MiB, or larger for objects over 16 GiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part_size: Option<i64>,
    /// Number of part URLs to return for `multipart`, starting with the first part. The default is all parts. Sign
    /// further parts with `multipart/parts` when you need them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part_count: Option<u32>,
}

/// A signed upload.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SignedUpload {
    /// Key of the object, `<bucket>/<path>`. Store it in your own tables.
    pub object_key: String,
    /// URL to send the bytes to. Empty for `multipart`; its URLs are in `multipart.parts`.
    pub upload_url: String,
    /// `PUT` or `POST`.
    pub method: String,
    /// Headers that must be sent exactly as given here. HTTP clients set `content-length` themselves.
    pub headers: BTreeMap<String, String>,
    /// Seconds until the URL expires.
    pub expires_in: u64,
    /// Form fields of the POST policy. Send all of them before `file`. Absent for other modes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fields: Option<BTreeMap<String, String>>,
    /// The parts of a multipart upload. Absent for other modes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub multipart: Option<MultipartUpload>,
}

/// A multipart upload in progress. Send each part with `PUT`, keep the `ETag` of each response, then complete the
/// upload.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MultipartUpload {
    /// Id of the upload.
    pub upload_id: String,
    /// Size of every part except the last, in bytes.
    pub part_size: i64,
    /// Number of parts.
    pub part_count: i32,
    /// Parts to send: all, or the first `partCount` of the request.
    pub parts: Vec<UploadPart>,
}

/// A request to sign parts of a multipart upload.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SignParts {
    /// Key of the object, from the response that signed the upload.
    pub object_key: String,
    /// Id of the upload.
    pub upload_id: String,
    /// Numbers of the parts to sign, each once.
    pub part_numbers: Vec<i32>,
}

/// Signed parts of a multipart upload.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SignedParts {
    /// The parts, by number.
    pub parts: Vec<UploadPart>,
    /// Seconds until the URLs and the upload expire.
    pub expires_in: u64,
}

/// A part to send.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct UploadPart {
    /// Number of the part, starting at 1.
    pub part_number: i32,
    /// URL to send the part to.
    pub upload_url: String,
    /// Exact size of the part, in bytes.
    pub size: i64,
}

/// A request to complete a multipart upload.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CompleteUpload {
    /// Key of the object, from the response that signed the upload.
    pub object_key: String,
    /// Id of the upload.
    pub upload_id: String,
    /// All parts, in any order.
    pub parts: Vec<CompletedPart>,
}

/// A part that was sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CompletedPart {
    /// Number of the part.
    pub part_number: i32,
    /// The `ETag` header of the response, including its quotes.
    #[serde(rename = "etag")]
    pub etag: String,
}

/// A request to abort a multipart upload.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AbortUpload {
    /// Key of the object, from the response that signed the upload.
    pub object_key: String,
    /// Id of the upload.
    pub upload_id: String,
}

/// A request to sign a download.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::IntoParams))]
#[cfg_attr(feature = "openapi", into_params(parameter_in = Query))]
pub struct SignDownload {
    /// The bucket. Optional if `objectKey` starts with it. If given, the object must be in this bucket.
    pub bucket: Option<String>,
    /// Key of the object, `<bucket>/<path>`; with `bucket`, the path alone is enough.
    pub object_key: String,
    /// File name under which browsers save the object: up to 255 bytes without slashes, backslashes, control characters
    /// and marks of text direction, and neither `.` nor `..`.
    pub download_as: Option<String>,
}

/// A signed download.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SignedDownload {
    /// The URL. It works without further authentication.
    pub download_url: String,
    /// Seconds until the URL expires.
    pub expires_in: u64,
}

/// Query parameters that select the objects to list.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::IntoParams))]
#[cfg_attr(feature = "openapi", into_params(parameter_in = Query))]
pub struct ListObjects {
    /// The bucket. Optional in the admin API, where it is part of the path.
    pub bucket: Option<String>,
    /// Returns only paths that start with this text.
    pub prefix: Option<String>,
    /// `/` returns the folders under the prefix as `prefixes`, and only objects that are in none of them.
    pub delimiter: Option<String>,
    /// Objects and folders per page (default 100). Values above 1000 are reduced to 1000.
    #[serde(default, deserialize_with = "crate::numbers::object_limit")]
    pub limit: Option<u32>,
    /// `nextCursor` of the previous page. Without it, the first page is returned.
    pub cursor: Option<String>,
}

/// An object in storage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StoredObject {
    /// Key of the object, `<bucket>/<path>`.
    pub object_key: String,
    /// Path inside the bucket.
    pub path: String,
    /// Size, in bytes.
    pub size: i64,
    /// Content type. In lists it is the recorded one: the type that was signed or last seen. It is null in lists for an
    /// object that was not uploaded through AtlasHub and has never been looked up.
    pub content_type: Option<String>,
    /// The object store's `ETag`. Null if unknown.
    pub etag: Option<String>,
    /// When the object was last modified. Null if unknown.
    pub last_modified: Option<DateTime<Utc>>,
}

/// A reference to an object.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::IntoParams))]
#[cfg_attr(feature = "openapi", into_params(parameter_in = Query))]
pub struct ObjectRef {
    /// The bucket. Optional if `objectKey` starts with it. If given, the object must be in this bucket.
    pub bucket: Option<String>,
    /// Key of the object, `<bucket>/<path>`; with `bucket`, the path alone is enough.
    pub object_key: String,
}

/// The result of deleting an object.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeletedObject {
    /// Key of the object.
    pub object_key: String,
    /// Always true. If there is no such object, the response is 404.
    pub deleted: bool,
}
