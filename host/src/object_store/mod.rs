//! The object store: any S3 that speaks path-style addresses and version 4 signatures.
//!
//! One [`ObjectStore`] holds two addresses. Calls go to the internal endpoint; URLs are signed for the public
//! one, which browsers and apps reach. Bytes of users' objects never pass through here: they have signed URLs.
//! Only small objects (manifests, `doctor`'s probe) are read and written whole.
//!
//! Deliberately absent: logical buckets, path rules and who may do what (`storage`); versions, ACLs, tags and
//! encryption headers, which not every store has; any reliance on error codes, on which stores disagree (the
//! status decides).
//!
//! Reading order: `client` (addresses, time limits), `error`, `buckets`, `objects`, `presign`, `post_policy`,
//! `multipart`.

mod buckets;
mod client;
mod error;
mod multipart;
mod objects;
mod post_policy;
mod presign;

pub use client::ObjectStore;
pub use error::{StoreError, StoreResult};
pub use multipart::PartEtag;
pub use objects::{ListedObject, ObjectMeta, ObjectPage};
pub use post_policy::{PostPolicy, SignedPost};
pub use presign::{PutConditions, SignedRequest};
