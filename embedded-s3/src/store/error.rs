//! What can go wrong in the store.

use std::io;
use std::path::PathBuf;

use super::disk::CommitError;

/// Why a store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process (or another [`Store`](super::Store) of this one) has it.
    #[error("the storage folder {} is in use by another server; stop that one or choose another folder", path.display())]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// A newer version wrote it.
    #[error("{} says layout {found:?}, which this version can't read; use the version that wrote it", path.display())]
    Format {
        /// The file that says so.
        path: PathBuf,
        /// What it says.
        found: String,
    },
    /// The file system refused.
    #[error("the storage folder can't be used: {}: {source}", path.display())]
    Io {
        /// What was being read or written.
        path: PathBuf,
        /// The refusal.
        source: io::Error,
    },
}

/// Why an operation failed. Its translation to S3 is in `ops::error`.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    #[error("no such bucket")]
    NoSuchBucket,
    #[error("the bucket exists already")]
    BucketExists,
    #[error("the bucket is not empty")]
    BucketNotEmpty,
    #[error("no such key")]
    NoSuchKey,
    #[error("no such upload")]
    NoSuchUpload,
    #[error("a precondition does not hold")]
    PreconditionFailed,
    #[error("part {0} was not uploaded or has another ETag")]
    InvalidPart(i32),
    #[error("the parts are not in ascending order")]
    InvalidPartOrder,
    #[error("part {0} is smaller than 5 MiB and not the last one")]
    PartTooSmall(u16),
    #[error("the object has {actual} bytes, not {declared}")]
    SizeMismatch { declared: u64, actual: u64 },
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("an internal task ended early")]
    Interrupted,
}

impl From<CommitError> for StoreError {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::NotDone(error) | CommitError::Unsure(error) => Self::Io(error),
        }
    }
}

impl From<serde_json::Error> for StoreError {
    fn from(error: serde_json::Error) -> Self {
        Self::Io(error.into())
    }
}
