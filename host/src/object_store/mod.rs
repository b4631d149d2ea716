//! The object store: any S3 that speaks path-style addresses and version 4 signatures.
//!
//! One [`ObjectStore`] holds two addresses. Calls go to the internal endpoint; URLs are signed for the public
//! one, which browsers and apps reach. Bytes of users' objects never pass through the gateway: they have signed URLs.
//! Small objects (manifests, `doctor`'s probe) are read and written whole, what jobs move is streamed.
//!
//! Deliberately absent: logical buckets, path rules and who may do what (`storage`); versions, ACLs, tags and
//! encryption headers, which not every store has; any reliance on error codes, on which stores disagree (the
//! status decides).
//!
//! Reading order: `client` (addresses, time limits), `error`, `buckets`, `objects`, `presign`, `post_policy`,
//! `multipart`, `upload` (a stream becomes an object), `download` (the other way).

mod buckets;
mod client;
mod download;
mod error;
mod multipart;
mod objects;
mod post_policy;
mod presign;
mod upload;
mod upload_task;

pub use client::ObjectStore;
pub use download::ObjectBytes;
pub use error::{StoreError, StoreResult};
pub use multipart::PartEtag;
pub use objects::{ListedObject, ObjectMeta, ObjectPage};
pub use post_policy::{PostPolicy, SignedPost};
pub use presign::{PutConditions, SignedRequest};
pub use upload::{StoredUpload, Upload};

/// The platform's own bucket: backups, logs of runs. No API key reaches it and no project's removal touches it.
pub const PLATFORM_BUCKET: &str = "atlashub-platform";
