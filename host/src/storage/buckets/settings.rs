//! The settings of a bucket, and changes to them.

use api_types::BucketAccess;

/// Exposure and size limit of a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::FromRow)]
pub(crate) struct BucketSettings {
    #[sqlx(rename = "publishable_access")]
    pub publishable: BucketAccess,
    #[sqlx(rename = "signed_in_access")]
    pub signed_in: BucketAccess,
    pub max_object_bytes: i64,
}

/// Changes to a bucket; `None` keeps the current value.
#[derive(Debug, Clone, Copy)]
pub(super) struct BucketChanges {
    pub publishable: Option<BucketAccess>,
    pub signed_in: Option<BucketAccess>,
    pub max_object_bytes: Option<i64>,
}
