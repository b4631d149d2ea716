//! Logical buckets: their settings, and the owner's operations on them.
//!
//! - `settings`: exposure and size limit of a bucket.
//! - `settings_cache`: settings per project, at most a second old.
//! - `admin`: lists, creates, changes and deletes buckets.
//! - `queries`: fixed SQL on the table `buckets`.

mod admin;
mod queries;
mod settings;
mod settings_cache;

pub(super) use admin::{create_bucket, delete_bucket, first_buckets, get_bucket, list_buckets, update_bucket};
pub(super) use queries::insert_bucket;
pub(super) use settings::BucketSettings;
pub(super) use settings_cache::SettingsCache;
