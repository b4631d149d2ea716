//! Errors of the store.

use std::io;
use std::path::PathBuf;

/// Reason why a store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process, or another [`Store`](crate::Store) of this process, has locked the folder.
    #[error(
        "The storage folder {} is in use by another server. Stop that server or choose another folder.",
        path.display()
    )]
    InUse {
        /// The storage folder.
        path: PathBuf,
    },
    /// A newer version of AtlasHub wrote the folder.
    #[error(
        "{} names layout version {version:?}, which this version can't read. Use the version that wrote it.",
        path.display()
    )]
    Format {
        /// The file with the layout version.
        path: PathBuf,
        /// The layout version in that file.
        version: String,
    },
    /// A file or folder could not be read or written.
    #[error("The storage folder can't be used: {}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
}

/// Reason why an operation failed. `ops::error` maps it to an S3 error.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    #[error("The bucket does not exist.")]
    NoSuchBucket,
    #[error("The bucket already exists.")]
    BucketExists,
    #[error("The bucket is not empty.")]
    BucketNotEmpty,
    #[error("The key does not exist.")]
    NoSuchKey,
    #[error("The upload does not exist. It may have been completed or aborted.")]
    NoSuchUpload,
    #[error("A precondition of the request does not hold.")]
    PreconditionFailed,
    #[error("Part {0} was not uploaded or does not have the given ETag.")]
    InvalidPart(i32),
    #[error("The parts are not in ascending order.")]
    InvalidPartOrder,
    #[error("Part {0} is smaller than 5 MiB and not the last part.")]
    PartTooSmall(u16),
    #[error("The object has {actual} bytes, not the declared {declared}.")]
    SizeMismatch { declared: u64, actual: u64 },
    #[error("The object does not have the declared checksum.")]
    ChecksumMismatch,
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("An internal task ended early.")]
    Interrupted,
}

/// Reason why a change on disk failed, and whether it may have taken effect anyway.
#[derive(Debug)]
pub(super) enum CommitError {
    /// Nothing changed.
    NotCommitted(io::Error),
    /// The change is visible but may not survive a power failure.
    NotDurable(io::Error),
}

impl From<CommitError> for StoreError {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::NotCommitted(error) | CommitError::NotDurable(error) => Self::Io(error),
        }
    }
}

impl From<serde_json::Error> for StoreError {
    fn from(error: serde_json::Error) -> Self {
        Self::Io(error.into())
    }
}
