//! Streaming uploads: a stream whose length is not known becomes an object atomically, or nothing is stored. There are
//! two modules:
//!
//! - `task`: the background task that sends the bytes in parts.
//! - `handle`: the callers' handle to an upload; dropping it aborts the upload.

mod handle;
mod task;

pub use handle::{StoredUpload, Upload};
pub use task::MAX_UPLOAD_BYTES;
