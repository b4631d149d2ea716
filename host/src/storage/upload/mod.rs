//! Signing of uploads, and completing and aborting of multipart uploads.
//!
//! - `content_type`: checks content types; pure.
//! - `plan`: an upload request, checked without a connection; pure.
//! - `checked`: an upload that was checked against the bucket and the store, and is ready to be recorded and signed.
//! - `put`, `post`, `multipart`: one upload method each. `multipart` also signs more parts, completes and aborts.
//! - `sign`: all steps of signing in order.

mod checked;
mod content_type;
mod multipart;
mod plan;
mod post;
mod put;
mod sign;

pub(super) use checked::{MULTIPART_LIFETIME, URL_LIFETIME};
pub(super) use multipart::{abort_upload, complete_upload, sign_parts};
pub(super) use sign::sign_upload;
