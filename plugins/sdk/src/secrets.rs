//! Opens secrets as handles. A plugin can place a secret in a request but can never read its value.
//!
//! Requires the capability [`Secrets`](crate::plugin::Capability::Secrets). Its scope lists the names of the plugin's
//! secrets that may be opened.

use crate::{Result, backend};

/// A handle to a secret. The host inserts the value when it sends a request.
pub struct Secret {
    pub(crate) handle: backend::secrets::SecretHandle,
}

/// Opens a secret of this run or of this plugin.
///
/// A run's secrets are the header values and the body of its job, named `header.<lowercase name>` and `body`. They need
/// no entry in the scope. A plugin's secrets are those that the owner stored for it.
///
/// # Errors
/// Returns `NotFound` if there is no such secret, and `Denied` if the grant does not cover it.
pub fn open(name: &str) -> Result<Secret> {
    backend::secrets::open(name)
}
