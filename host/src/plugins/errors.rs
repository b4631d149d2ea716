//! The errors of changes of plugins and trusted keys, and their representation in the API.

use super::package::{PluginKeyError, Refusal};
use crate::{
    error::{ApiError, Code},
    secrets::SealError,
};

/// The reason why a change of plugins or trusted keys failed.
#[derive(Debug, thiserror::Error)]
pub enum PluginError {
    #[error("Plugin `{0}` not found.")]
    UnknownPlugin(String),
    #[error("Plugin `{name}` can't be approved: {refusal}.")]
    NotApprovable { name: String, refusal: Refusal },
    #[error("Plugin `{name}` has no approval and no readable file, so there is nothing to revoke: {reason}.")]
    NothingToRevoke { name: String, reason: String },
    #[error("The file of plugin `{name}` has changed. Its SHA-256 is now {sha256}.")]
    FileChanged { name: String, sha256: String },
    #[error("{0}")]
    Invalid(String),
    #[error("`publicKey` is invalid: {0}.")]
    Key(#[from] PluginKeyError),
    #[error("Key {0} not found.")]
    UnknownKey(String),
    #[error("Key {0} is already trusted.")]
    KeyExists(String),
    #[error("Key {0} was revoked. A revoked key can't be trusted again.")]
    KeyRevoked(String),
    #[error(
        "The key `{0}` signs AtlasHub's own plugins. Without it, backups, cleanups, imports, exports, HTTP jobs and \
         jobs of the plugin `migrations` never run again, because a revoked key can't be trusted again."
    )]
    OwnKey(String),
    #[error("Another key with the id {0} already exists.")]
    KeyIdTaken(String),
    #[error("A secret can't be encrypted: {0}.")]
    Seal(#[from] SealError),
    #[error("The platform database returned an error: {0}.")]
    Database(#[from] sqlx::Error),
}

impl From<PluginError> for ApiError {
    fn from(error: PluginError) -> Self {
        let message = error.to_string();
        match error {
            PluginError::UnknownPlugin(_) => Self::new(Code::NotFound, message).with_hint(
                "Put its `.wasm` and `.wasm.minisig` files into the plugin folder. \
                 GET /admin/v1/plugins lists all plugins.",
            ),
            PluginError::NotApprovable { .. } => Self::new(Code::Conflict, message),
            PluginError::NothingToRevoke { .. } => Self::new(Code::Conflict, message)
                .with_hint("The plugin does not run. Correct its files, or remove them from the plugin folder."),
            PluginError::FileChanged { .. } => Self::new(Code::Conflict, message)
                .with_hint("Review what the new file requests, then approve it with its `sha256`."),
            PluginError::Invalid(_) | PluginError::Key(_) => Self::invalid(message),
            PluginError::UnknownKey(_) => Self::not_found("key"),
            PluginError::KeyExists(_) | PluginError::KeyIdTaken(_) => Self::new(Code::Conflict, message),
            PluginError::KeyRevoked(_) => {
                Self::new(Code::Conflict, message).with_hint("Ask the author to create a new key and to sign with it.")
            }
            PluginError::OwnKey(name) => {
                let example = serde_json::json!({ "confirm": name });
                Self::new(Code::ConfirmationRequired, message)
                    .with_hint(format!("To stop one plugin, revoke the plugin. To revoke the key, send {example}."))
            }
            PluginError::Seal(error) => Self::internal(error),
            PluginError::Database(error) => error.into(),
        }
    }
}
