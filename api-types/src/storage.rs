use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use crate::text_enum::text_enum;

/// What the public API allows on a bucket without the secret key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum BucketAccess {
    None,
    Download,
    Upload,
    Both,
}

text_enum!(BucketAccess {
    None => "none",
    Download => "download",
    Upload => "upload",
    Both => "both",
});

impl BucketAccess {
    pub fn allows_download(self) -> bool {
        matches!(self, Self::Download | Self::Both)
    }

    pub fn allows_upload(self) -> bool {
        matches!(self, Self::Upload | Self::Both)
    }
}

/// A logical bucket: a prefix in the project's bucket of the object store.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Bucket {
    /// Lowercase letters, digits, `-` and `_`, 1 to 63 characters.
    pub name: String,
    pub exposure: BucketExposure,
    /// Largest object in bytes.
    pub max_object_bytes: i64,
    pub object_count: i64,
    pub object_bytes: i64,
    pub created_at: DateTime<Utc>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BucketExposure {
    pub publishable: BucketAccess,
    pub signed_in: BucketAccess,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CreateBucket {
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_object_bytes: Option<i64>,
}

/// What is left out stays.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct UpdateBucket {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_object_bytes: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub publishable: Option<BucketAccess>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed_in: Option<BucketAccess>,
}

/// The objects in it go too.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeleteBucket {
    /// The bucket's name, typed back.
    pub confirm: String,
}

/// How an upload is to be made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum UploadMode {
    /// One `PUT`.
    #[default]
    Put,
    /// A browser form with a POST policy that bounds the length.
    Post,
    /// Parts of at least 5 MiB, for large objects.
    Multipart,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SignUpload {
    /// May be left out on the admin side, where the path names it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub bucket: String,
    /// Path inside the bucket, for example `notes/x.png`.
    pub path: String,
    /// The only content type that the upload may carry.
    pub content_type: String,
    /// Largest size in bytes; the bucket's own unless told, and never above it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_size: Option<i64>,
    /// Exact size in bytes, where it is known: any other length is then refused by the store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<i64>,
    /// May replace an existing object. Secret key only.
    #[serde(default)]
    pub upsert: bool,
    /// Signs `If-None-Match: *`, so that the URL can never replace an object.
    #[serde(default)]
    pub once: bool,
    #[serde(default)]
    pub mode: UploadMode,
    /// Part size in bytes for `multipart`: 5 MiB to 5 GiB, and at most 1024 parts. Unless told 16 MiB, more for
    /// objects over 16 GiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part_size: Option<i64>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SignedUpload {
    /// Keep this in a table of yours: `<bucket>/<path>`.
    pub object_key: String,
    /// Where to send the bytes. Empty for `multipart`, which has `parts`.
    pub upload_url: String,
    /// `PUT` or `POST`.
    pub method: String,
    /// Every header that must be sent, exactly so. HTTP clients set `content-length` by themselves.
    pub headers: BTreeMap<String, String>,
    /// Seconds until the URL stops working.
    pub expires_in: u64,
    /// Form fields of a POST policy, all to be sent before `file`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fields: Option<BTreeMap<String, String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub multipart: Option<MultipartUpload>,
}

/// A multipart upload in progress: `PUT` each part, keep each answer's `ETag`, then complete.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MultipartUpload {
    pub upload_id: String,
    /// Bytes of every part but the last.
    pub part_size: i64,
    pub parts: Vec<UploadPart>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct UploadPart {
    /// From 1.
    pub part_number: i32,
    pub upload_url: String,
    /// Exact bytes of this part.
    pub size: i64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CompleteUpload {
    pub object_key: String,
    pub upload_id: String,
    pub parts: Vec<CompletedPart>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CompletedPart {
    pub part_number: i32,
    /// As the store answered it, quotes and all.
    #[serde(rename = "etag")]
    pub etag: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AbortUpload {
    pub object_key: String,
    pub upload_id: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::IntoParams))]
#[cfg_attr(feature = "openapi", into_params(parameter_in = Query))]
pub struct SignDownload {
    /// May be left out: `objectKey` starts with it. Where it is named, the key must be in it.
    pub bucket: Option<String>,
    /// `<bucket>/<path>` as the upload answered it.
    pub object_key: String,
    /// Makes browsers save the file under this name.
    pub download_as: Option<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SignedDownload {
    pub download_url: String,
    /// Seconds until the URL stops working.
    pub expires_in: u64,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::IntoParams))]
#[cfg_attr(feature = "openapi", into_params(parameter_in = Query))]
pub struct ListObjects {
    /// Bucket to list; on the admin side it is in the path.
    pub bucket: Option<String>,
    /// Only paths that start with it.
    pub prefix: Option<String>,
    /// 1 to 1000; 100 unless told.
    pub limit: Option<u32>,
    pub cursor: Option<String>,
}

/// One stored object.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StoredObject {
    /// `<bucket>/<path>`.
    pub object_key: String,
    /// Path inside the bucket.
    pub path: String,
    /// Bytes.
    pub size: i64,
    /// In lists as it was signed for or last seen; null for what came by other means.
    pub content_type: Option<String>,
    pub etag: Option<String>,
    pub last_modified: Option<DateTime<Utc>>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::IntoParams))]
#[cfg_attr(feature = "openapi", into_params(parameter_in = Query))]
pub struct ObjectRef {
    /// May be left out: `objectKey` starts with it. Where it is named, the key must be in it.
    pub bucket: Option<String>,
    /// `<bucket>/<path>` as the upload answered it.
    pub object_key: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeletedObject {
    pub object_key: String,
    pub deleted: bool,
}
