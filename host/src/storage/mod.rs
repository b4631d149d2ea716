//! wip
mod path;
pub use path::{BucketName, MAX_KEY_BYTES, ObjectPath};
