//! An S3 server that stores objects in plain files. AtlasHub runs it when no external S3 is configured.
//!
//! Guarantees:
//! - The effect of a request that succeeded survives a crash. Blob and metadata are flushed to disk before the response
//!   is sent, and a single rename of the metadata file is the commit.
//! - A failed upload (connection lost, wrong length, wrong digest, failed precondition) changes nothing.
//! - A reader keeps the object that it opened, even if the key is overwritten or deleted in the meantime.
//!
//! Modules in reading order: `config`, `server` (HTTP and connections), `guard`, `form` and `lenient` (checks that the
//! `s3s` crate does not make, and requests that it does not understand), `ops` (S3 operations), `store` (files and
//! index; knows nothing about HTTP).
//!
//! Deliberately absent: versions, ACLs, tags, encryption, lifecycle rules and object locks. A request that asks for one
//! of them is rejected, not executed in part.

#![forbid(unsafe_code)]

mod config;
mod form;
mod guard;
mod lenient;
mod ops;
mod server;
mod store;

pub use config::Config;
pub use server::serve;
pub use store::{OpenError, Store};
