//! Objects as files, with an index in memory. Independent of HTTP.
//!
//! Modules in reading order:
//! - [`disk`] (folder layout and atomic changes) on top of [`files`] (durable file operations)
//! - [`blob`] (files with the bytes), [`checksum`], [`record`] (metadata files)
//! - [`state`] (`Store`, buckets and uploads in memory)
//! - [`recover`] (opening a folder)
//! - [`ingest`] and [`read`] (streams from and to clients), [`spool`] (temporary files)
//! - [`commit`] (objects), [`buckets`], [`uploads`] (multipart), [`listing`]
//!
//! Invariants:
//! - The rename of a metadata file is the commit. Blobs are on disk before the commit, and are removed only after the
//!   metadata that refers to them is durably gone.
//! - Everything from the rename to the change of the index runs in one blocking task, so a cancelled request cannot
//!   separate the rename from the change.
//! - Lock order: upload state, key lock, `Bucket::deleted`, index. No lock is held over an await.

mod blob;
mod buckets;
mod checksum;
mod commit;
mod disk;
mod error;
mod files;
mod ingest;
mod listing;
mod read;
mod record;
mod recover;
mod spool;
mod state;
mod uploads;

pub use self::error::OpenError;
pub use self::state::Store;

pub(crate) use self::buckets::{bucket_cors, create_bucket, delete_bucket, set_bucket_cors};
pub(crate) use self::checksum::{Algorithm, Coverage, StoredChecksum, UploadChecksum};
pub(crate) use self::commit::{Draft, WriteConditions, copy_object, delete_object, delete_objects, put_object};
pub(crate) use self::error::StoreError;
pub(crate) use self::ingest::{Expectations, IngestError, Ingested, ingest};
pub(crate) use self::listing::{Page, Position, common_prefix, list_page};
pub(crate) use self::read::read;
pub(crate) use self::record::{Attributes, Etag, Object, system_time};
pub(crate) use self::spool::Spool;
pub(crate) use self::uploads::{
    CompletedPart, DeclaredObject, abort_upload, complete_upload, completed_object, create_upload, find_upload,
    list_parts, list_uploads, put_part,
};
