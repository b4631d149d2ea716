//! Client of the object store: any S3 server with path-style addresses and version 4 signatures.
//!
//! One [`ObjectStore`] has two endpoints. Requests go to the internal endpoint. URLs are signed for the public
//! endpoint, which browsers and apps can reach. Clients of projects upload and download objects at signed URLs, not
//! through the API. Small objects (such as manifests and the logs of runs) are read and written as a whole; large ones
//! are streamed.
//!
//! Each method that sends requests returns the [`StoreError`] of the first request that fails. Its section *Errors*
//! names only variants that have a special meaning.
//!
//! Deliberately absent: logical buckets, path rules and permissions (`storage`); versions, ACLs, tags and encryption
//! headers, which not every store supports; decisions by error code, because stores disagree on codes (the HTTP status
//! decides; only a wrong clock is recognized by its code).
//!
//! Modules in reading order; those that send requests add methods to [`ObjectStore`]:
//! - `client`: endpoints, timeouts and retries.
//! - `error`: errors by HTTP status.
//! - `buckets`, `objects`, `multipart`: S3 calls.
//! - `presign`, `post_policy`: signed URLs and signed browser forms.
//! - `upload`, `download`: streams.

mod buckets;
mod client;
mod download;
mod error;
mod multipart;
mod objects;
mod post_policy;
mod presign;
mod upload;

pub use client::ObjectStore;
pub use download::ObjectBytes;
pub use error::{StoreError, StoreResult};
pub use multipart::{PartEtag, UnfinishedUpload, UploadPage, UploadPosition};
pub use objects::{ListedObject, ObjectMeta, ObjectPage};
pub use post_policy::{PostPolicy, SignedPost};
pub use presign::{IfExists, PartConditions, PutConditions, SignedRequest};
pub use upload::{MAX_UPLOAD_BYTES, StoredUpload, Upload};

/// The platform's own bucket, for backups, exports, uploaded files and run logs. No API key can access it. Backups are
/// in it because they outlive their project.
pub const PLATFORM_BUCKET: &str = "atlashub-platform";

/// Returns the name of a project's bucket in the object store.
pub fn project_bucket(project: &str) -> String {
    format!("proj-{project}")
}
