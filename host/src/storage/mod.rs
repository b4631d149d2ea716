//! File storage: logical buckets, signed uploads and downloads, and the listing and removal of objects.
//!
//! A project has one bucket in the object store. The first segment of an object's key in it is the name of a logical
//! bucket, or `_staged` for uploads that are not yet moved to their path. The object store is authoritative for the
//! existence of objects. The table `file_metadata` records the objects that were seen, and the uploads that were signed
//! directly to their path. The table `open_uploads` records multipart uploads, and uploads signed without the secret
//! key. In this slice, the owner and plugins count as callers with the secret key, because they have its permissions.
//!
//! Deliberately absent: the transfer of bytes (clients send and fetch them at signed URLs), S3 itself
//! (`object_store`), and backups, which are in the platform's own bucket.
//!
//! Modules in reading order:
//! - `path`: rules for bucket names, object keys and prefixes; pure.
//! - `path_locks`: locks of paths within the process.
//! - `state`, `access`: state of the handlers, and the permissions of callers.
//! - `admin_bucket`: the extractor for the bucket in the path of an admin request.
//! - `errors`: errors that several operations return.
//! - `open_uploads`: uploads in progress; moves objects uploaded without the secret key to their path.
//! - `records`: the rows of `file_metadata`, and their comparison with the stored objects.
//! - `upload`, `download`, `objects`, `buckets`: one folder per group of operations.
//! - `plugin_objects`: the records of objects that plugins store. `plugin_urls`: buckets and signed URLs for plugins.
//! - `backed_up_objects`: the records of objects in backups.
//! - `sweep`: moves uploads that have arrived, and removes oversize objects, records without an object and abandoned
//!   uploads, in the background and for plugins.
//! - `routes`, `admin_routes`: the handlers of the public and of the admin surface. `object_routes`: those of the admin
//!   surface for objects and open uploads.
//!
//! A run (`storage_runs`) can delete many objects. It calls the steps of [`BulkDeletion`].

mod access;
mod admin_bucket;
pub(crate) mod admin_routes;
mod backed_up_objects;
mod buckets;
mod download;
mod errors;
pub(crate) mod object_routes;
mod objects;
mod open_uploads;
mod path;
mod path_locks;
mod plugin_objects;
mod plugin_urls;
mod records;
pub(crate) mod routes;
mod state;
mod sweep;
mod upload;

pub(crate) use admin_bucket::AdminBucket;
pub use backed_up_objects::ObjectRecord;
pub use objects::{BulkDeletion, DeletionStep};
pub use open_uploads::is_staged_key;
pub use path::{BucketName, MAX_KEY_BYTES, ObjectPath};
pub use plugin_objects::{BegunPluginObject, PluginObject};
pub use state::{StorageState, UploadQuotas};
pub use sweep::{FullSweepReport, StorageSweep, SweepReport, abort_stale_uploads, sweep, sweep_all_projects};
