//! Uploads that were signed and have not ended: the table `open_uploads`.
//!
//! A signed `PUT` can be sent again until it expires, so a kept URL could replace an object that someone else uploaded
//! later. So a URL signed without the secret key leads to a *staged* object under a key of its own. The next access to
//! the path (a download, a list, another signature, the sweep) moves the staged object to its path, once, and only if
//! the path is free. Multipart uploads need no staging: only the platform can complete them. They are recorded to count
//! them, to sign more parts, and to abort abandoned ones.
//!
//! A staged upload is moved in these steps. After a crash between any two of them, the next access continues the move:
//! 1. Mark it `moving`. At most one upload of a path is, so the object of the first one wins.
//! 2. Copy the staged object to the path, if the path is free. Repeating this changes nothing.
//! 3. Mark it `over` and record the object, in one statement.
//! 4. Delete the staged object.
//!
//! An upload that finds its path taken skips to step 3 without a record: its object is deleted. An object that arrives
//! after its upload is over, by the same URL, is deleted by the sweep.
//!
//! Modules in reading order:
//! - `staged_key`: keys of staged objects; pure.
//! - `record`: the row as a type. `queries`: fixed SQL on the table.
//! - `open`: records an upload within its quota.
//! - `settle`: moves or deletes staged objects.

mod open;
mod queries;
mod record;
mod settle;
mod staged_key;

pub(super) use open::{open_multipart, open_staged};
pub(super) use queries::{
    delete_upload, end_multipart, ends_of_uploads, find_multipart, has_staged, list_multipart, oldest_running_run,
    remove_expired, set_upload_id,
};
pub(super) use record::{NewOpenUpload, OpenUpload, UploadEnd, UploadState};
pub(super) use settle::{SettleLocks, SettleReport, discard_arrived, settle_bucket, settle_path, settle_project};
pub use staged_key::is_staged_key;
pub(super) use staged_key::{bucket_prefix, staged_key};
