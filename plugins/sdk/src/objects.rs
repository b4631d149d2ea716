//! Reads and writes objects. Stores are addressed by logical names: `backups`, `exports`, `imports` or
//! `project:<id>`.
//!
//! Requires the capability [`Objects`](crate::plugin::Capability::Objects). Its scope lists the stores. Keys in
//! `backups`, `exports` and `imports` start with the name of the store and `/`. Keys in a project's store start with
//! the name of one of its buckets.

pub use crate::bindings::atlashub::plugin::objects::{ObjectMeta, ObjectPage};
use crate::{
    Result, backend,
    stream::{ByteStream, Outcome},
};

/// A finished upload that is not visible as an object yet. Dropping it discards the bytes.
pub struct Upload {
    pub(crate) handle: backend::objects::UploadHandle,
}

/// An object that is being read.
pub struct Download {
    /// Properties of the object.
    pub meta: ObjectMeta,
    /// Content of the object.
    pub body: ByteStream,
    /// Whether `body` contained the whole object. Await the outcome after reading all of `body`.
    pub outcome: Outcome<()>,
}

impl Upload {
    /// Makes the upload visible as an object, in one step, and returns its properties.
    ///
    /// # Errors
    /// Returns `Conflict` if the run no longer holds its lease, `NotFound` if the bucket was deleted, and `Unavailable`
    /// if the store cannot be reached.
    pub async fn commit(self) -> Result<ObjectMeta> {
        backend::objects::commit(self.handle).await
    }
}

/// Uploads a stream until its end. [`Upload::commit`] makes the object visible.
///
/// # Errors
/// Returns `Denied` if the grant does not cover the store, `NotFound` if the project or bucket does not exist,
/// `Invalid` if the store, key or content type is malformed, `TooLarge` if the object is larger than its bucket allows
/// or the run already has the maximum number of open transfers, `Timeout` if too many other calls of the run are in
/// progress, `Failed` if the stream ended with an error, and `Unavailable` if the store cannot be reached.
pub async fn put(store: &str, key: &str, content_type: &str, body: ByteStream) -> Result<Upload> {
    backend::objects::put(store, key, content_type, body).await
}

/// Stores at most 1 MiB as an object.
///
/// # Errors
/// Returns the errors of [`put`], `TooLarge` if `body` is larger than 1 MiB, and `Conflict` if the run no longer holds
/// its lease.
pub async fn put_bytes(store: &str, key: &str, content_type: &str, body: Vec<u8>) -> Result<ObjectMeta> {
    backend::objects::put_bytes(store, key, content_type, body).await
}

/// Opens an object for reading.
///
/// # Errors
/// Returns `Denied` if the grant does not cover the store, `NotFound` if there is no such object, `Invalid` if the
/// store or key is malformed, `TooLarge` if the run already has the maximum number of open transfers, and `Unavailable`
/// if the store cannot be reached.
pub async fn get(store: &str, key: &str) -> Result<Download> {
    backend::objects::get(store, key).await
}

/// Returns the properties of an object without reading it.
///
/// # Errors
/// Returns `Denied` if the grant does not cover the store, `NotFound` if there is no such object, `Invalid` if the
/// store or key is malformed, and `Unavailable` if the store cannot be reached.
pub async fn head(store: &str, key: &str) -> Result<ObjectMeta> {
    backend::objects::head(store, key).await
}

/// Lists up to 1000 objects whose keys start with `prefix`, in byte order of their keys.
///
/// Without a cursor, the first page is returned. For the next page, pass the cursor of the previous page.
///
/// # Errors
/// Returns `Denied` if the grant does not cover the store, `NotFound` if the project does not exist, `Invalid` if the
/// store is malformed, and `Unavailable` if the store cannot be reached.
pub async fn list(store: &str, prefix: &str, cursor: Option<String>) -> Result<ObjectPage> {
    backend::objects::list(store, prefix, cursor).await
}

/// Deletes an object. Succeeds if the object does not exist.
///
/// # Errors
/// Returns `Denied` if the grant does not cover the store, `NotFound` if the project does not exist, `Invalid` if the
/// store or key is malformed, `Conflict` if the run no longer holds its lease, and `Unavailable` if the store cannot be
/// reached.
pub async fn delete(store: &str, key: &str) -> Result<()> {
    backend::objects::delete(store, key).await
}
