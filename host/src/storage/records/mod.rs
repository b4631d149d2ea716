//! The records of objects: the table `file_metadata`. It contains one row for each path where an object was seen, or to
//! which an upload was signed directly. A record outlives its object, and even its bucket, while a signed URL may still
//! store an object at the path.
//!
//! - `record`: the row as a type.
//! - `queries`: fixed SQL on the table.
//! - `removal`: deletes records, or keeps their limits.
//! - `inspect`: compares the record with the stored object, and removes an object that exceeds its signed limit.

mod inspect;
mod queries;
mod record;
mod removal;

pub(super) use inspect::{
    InspectedObject, ObjectContext, UPLOAD_GRACE, inspect_object, is_forbidden, reconcile_object,
};
pub(super) use queries::{
    NewUpload, clear_upload_id, current_time, find_origin, find_record, listed_records, mark_checked, raise_limit,
    record_copy, record_listed, record_stored, record_upload, restore_expiry,
};
pub(super) use record::{FileRecord, FileState};
pub(super) use removal::{claim_removal, delete_object_record, delete_record, delete_records, delete_unchanged_record};
