//! Uploads in progress: the table `open_uploads`. It records uploads signed without the secret key, and multipart
//! uploads.
//!
//! A signed `PUT` can be sent again until it expires, so a kept URL could replace an object that someone else uploaded
//! later. Therefore, a URL signed without the secret key leads to a *staged* object under a key of its own. The next
//! access to the path (such as a download, a list or another signature) or the next sweep moves the staged object to
//! its path, once, and only if the path is free. Multipart uploads need no staging, because only the platform can
//! complete them. They are recorded to enforce quotas, to sign more parts, to check their completion, and to abort
//! abandoned uploads.
//!
//! A staged upload is moved in these steps. After a crash between any two of them, the next access continues the move:
//! 1. Mark the upload as `moving`. Only one upload of a path can be marked, so the first one wins.
//! 2. Copy the staged object to the path, if the path is free. Repeating this changes nothing.
//! 3. Mark the upload as `over` and record the object, in one statement.
//! 4. Delete the staged object.
//!
//! If the path is taken, the upload is marked as `over` and its staged object is deleted. If the same URL is used again
//! after the upload is over, the sweep deletes the object that arrives.
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
pub(super) use settle::{SettleReport, discard_arrived, settle_bucket, settle_path, settle_project};
pub use staged_key::is_staged_key;
pub(super) use staged_key::{bucket_prefix, staged_key};
