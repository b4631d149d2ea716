//! Errors that several operations of this slice return.

use super::path::ObjectPath;
use crate::error::{ApiError, Code};

pub(super) fn object_not_found() -> ApiError {
    ApiError::new(Code::ObjectNotFound, "The object does not exist.")
}

pub(super) fn object_exists(path: &ObjectPath) -> ApiError {
    ApiError::new(Code::ObjectExists, format!("The object `{}` already exists.", path.key())).with_hint(
        "Choose another path. To replace the object, sign the upload with `\"upsert\": true` and the secret key.",
    )
}
