//! An S3 server over plain files, for installations without an S3 of their own.
//!
//! What it promises:
//! - A request that was answered with success survives a crash: blob and metadata are
//!   flushed to the disk before the answer, and one rename of the metadata file is the commit.
//! - An upload that fails (cut off, wrong length, wrong digest, failed precondition) changes nothing.
//! - A reader keeps the object it started with, whatever happens to the key meanwhile.
//!
//! Map: [`serve`] is HTTP around the `s3s` service, `guard` is what `s3s` leaves unchecked,
//! `ops` translates S3 operations, `store` is the files and the index and knows no HTTP.
//!
//! Deliberately absent: versions, ACLs, tags, encryption, lifecycle rules, object locks. A request
//! that asks for one of them is refused rather than half obeyed.

#![forbid(unsafe_code)]

mod guard;
mod ops;
mod server;
mod store;

pub use server::serve;
pub use store::{OpenError, Store};

use std::fmt;
use std::path::PathBuf;

/// What the server needs to know besides the [`Store`].
#[derive(Clone)]
pub struct Config {
    /// Folder of the store, as given to [`Store::open`].
    pub root: PathBuf,
    /// The only access key that may sign requests.
    pub access_key: String,
    /// Its secret.
    pub secret_key: String,
    /// Region that buckets report, such as `us-east-1`. Signatures for other regions are accepted.
    pub region: String,
}

impl fmt::Debug for Config {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Config")
            .field("root", &self.root)
            .field("access_key", &self.access_key)
            .field("region", &self.region)
            .finish_non_exhaustive()
    }
}
