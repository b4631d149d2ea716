//! An S3 server that stores objects in plain files. AtlasHub runs it when no external S3 is configured.
//!
//! Guarantees:
//! - The effect of a request that succeeded survives a crash. The bytes and the metadata of an object are flushed to
//!   disk before the response is sent. Renaming the metadata file commits the change.
//! - A failed upload (connection lost, wrong length, wrong digest, failed precondition) changes nothing.
//! - A reader keeps the object that it opened, even if the key is overwritten or deleted in the meantime.
//!
//! Modules in reading order: `config`, `server` (HTTP), `connections` and `tracked` (limits of connections), `paced`
//! (the minimum rate of a body), `guard` (checks that the `s3s` crate does not make), `auth` (the key pair), `form`
//! (the file and the variable `${filename}` of browser forms), `bucket_body` (the body of `CreateBucket`), `lenient`
//! (reads that `s3s` rejects), `ops` (S3 operations), `store` (files and index; independent of HTTP).
//!
//! Deliberately absent: versions, ACLs, tags, encryption, lifecycle rules and object locks. A request that would create
//! or change one of them is rejected, not executed in part. Requests whose response is the same without the feature are
//! accepted: the ACLs `private` and `bucket-owner-full-control`, and `ListObjectVersions`, in which each object has one
//! version, `null`.

#![forbid(unsafe_code)]

mod auth;
mod bucket_body;
mod config;
mod connections;
mod form;
mod guard;
mod lenient;
mod ops;
mod paced;
mod server;
mod store;
mod tracked;

pub use config::Config;
pub use server::{MAX_FORM_FILE_BYTES, serve};
pub use store::{OpenError, Store};
