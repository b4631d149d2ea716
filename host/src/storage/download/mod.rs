//! Signing of downloads.
//!
//! - `disposition`: decides whether browsers open or save an object, and under which name; pure.
//! - `sign`: checks a download request and signs it.

mod disposition;
mod sign;

pub(super) use sign::sign_download;
