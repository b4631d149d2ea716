//! Secrets as handles: a plugin says where a secret goes and never sees what it is.

use crate::Result;

/// Stands for a value that the host puts in when it makes the request.
pub struct Secret {
    #[cfg(target_arch = "wasm32")]
    pub(crate) handle: crate::bindings::atlashub::plugin::secrets::Secret,
    #[cfg(not(target_arch = "wasm32"))]
    pub(crate) name: String,
}

/// A secret of this run (a job's header values are named `header.<lowercase name>`, its body `body`), or one that the owner
/// gave this plugin and the grant names.
///
/// # Errors
/// `NotFound`, `Denied`.
pub fn open(name: &str) -> Result<Secret> {
    #[cfg(target_arch = "wasm32")]
    return crate::bindings::atlashub::plugin::secrets::open(name)
        .map(|handle| Secret { handle })
        .map_err(crate::error::from_wit);
    #[cfg(not(target_arch = "wasm32"))]
    crate::testing::call(crate::plugin::Capability::Secrets, "secrets.open", name, |state| {
        if state.secrets.contains(name) {
            Ok(Secret { name: name.to_owned() })
        } else {
            Err(crate::Error::not_found(format!("there is no secret `{name}`")))
        }
    })
}
