//! Lists of objects, and the owner's operations on them: folders, counts, deletion in the background, moves and
//! unfinished uploads.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::storage::StoredObject;

/// One page of a list of objects.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ObjectPage {
    /// Objects of the page, in byte order of their keys.
    pub items: Vec<StoredObject>,
    /// Folders of the page, each once. A folder is the start of a path, up to and including the first `/` after
    /// `prefix`. Empty without `delimiter`. A folder counts toward `limit` like an object.
    #[serde(default)]
    pub prefixes: Vec<String>,
    /// Cursor of the next page. Null on the last page.
    pub next_cursor: Option<String>,
}

/// An object with the record of its upload.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ObjectDetail {
    /// The object, with its content type in the object store.
    #[serde(flatten)]
    pub object: StoredObject,
    /// Who requested the upload: `secret`, `publishable`, `admin`, `plugin:<name>`, or the id of a signed-in user.
    /// `store` if the object was not uploaded through AtlasHub. Null if unknown.
    pub uploaded_by: Option<String>,
    /// When an upload to this path was first signed, or when AtlasHub first found the object. Null if unknown.
    pub created_at: Option<DateTime<Utc>>,
}

/// Query parameters that select the objects to count.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::IntoParams))]
#[cfg_attr(feature = "openapi", into_params(parameter_in = Query))]
pub struct CountObjects {
    /// Counts only paths that start with this text. Without it, all objects of the bucket.
    pub prefix: Option<String>,
}

/// Number and size of the objects whose paths start with a prefix.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ObjectCount {
    /// The prefix.
    pub prefix: String,
    /// Number of objects.
    pub object_count: i64,
    /// Size of all these objects, in bytes.
    pub object_bytes: i64,
    /// Whether all objects were counted. False if counting took too long. Then the numbers are lower bounds.
    pub complete: bool,
}

/// Objects to delete. Exactly one field must be set.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeleteObjects {
    /// Keys of 1 to 1000 objects, each as `<bucket>/<path>` or as the path alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys: Option<Vec<String>>,
    /// Deletes every object whose path starts with this text, for example `notes/`. An empty string deletes every
    /// object of the bucket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
}

/// The result of a run that deletes objects, in the run's `result`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeletedObjects {
    /// Number of objects that were deleted.
    pub deleted: u64,
    /// Size of these objects, in bytes.
    pub deleted_bytes: u64,
    /// Number of given keys without an object.
    pub missing: u64,
}

/// An object to move or copy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MoveObject {
    /// Key of the object, `<bucket>/<path>` or the path alone.
    pub object_key: String,
    /// The new path.
    pub to: String,
    /// Bucket of the new path. Without it, the same bucket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_bucket: Option<String>,
    /// Whether to replace an object at the new path (default false).
    #[serde(default)]
    pub replace: bool,
}

/// A multipart upload that was neither completed nor aborted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OpenMultipartUpload {
    /// Key of the object that the upload will become, `<bucket>/<path>`.
    pub object_key: String,
    /// Path inside the bucket.
    pub path: String,
    /// Id of the upload. Send it with `objectKey` to `multipart/abort` to end the upload.
    pub upload_id: String,
    /// Content type for which the upload was signed.
    pub content_type: String,
    /// Size of the object, in bytes. Null if unknown.
    pub size: Option<i64>,
    /// Size of every part except the last, in bytes. Null if unknown.
    pub part_size: Option<i64>,
    /// Who requested the upload: `secret`, `publishable`, `admin`, or the id of a signed-in user.
    pub uploaded_by: String,
    /// When the upload was signed.
    pub created_at: DateTime<Utc>,
    /// When the last URL of a part expires. A sweep aborts the upload an hour later. An upload that a publishable key
    /// or a signed-in user signed is aborted earlier: when no part has arrived for 30 minutes.
    pub expires_at: DateTime<Utc>,
}
