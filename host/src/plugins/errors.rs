use super::trust::{PluginKeyError, Refusal};
use crate::{
    error::{ApiError, Code},
    secrets::SealError,
};

/// Why a change of plugins or keys can't be made, in words for the owner.
#[derive(Debug, thiserror::Error)]
pub enum PluginError {
    #[error("There is no plugin `{0}` here.")]
    UnknownPlugin(String),
    #[error("Plugin `{name}` can't be approved: {refusal}.")]
    NotApprovable { name: String, refusal: Refusal },
    #[error("Another file of plugin `{name}` lies there now, with SHA-256 {sha256}.")]
    OtherFile { name: String, sha256: String },
    #[error("{0}")]
    Invalid(String),
    #[error("`publicKey` can't be used: {0}.")]
    Key(#[from] PluginKeyError),
    #[error("There is no key {0}.")]
    UnknownKey(String),
    #[error("Key {0} is trusted already.")]
    KeyExists(String),
    #[error("Key {0} was revoked, and a revoked key never counts again.")]
    KeyRevoked(String),
    #[error("Another key with the id {0} is known.")]
    KeyIdTaken(String),
    #[error("a secret could not be sealed: {0}")]
    Seal(#[from] SealError),
    #[error("the platform database did not answer as it should: {0}")]
    Database(#[from] sqlx::Error),
}

impl From<PluginError> for ApiError {
    fn from(error: PluginError) -> Self {
        let message = error.to_string();
        match error {
            PluginError::UnknownPlugin(_) => Self::new(Code::NotFound, message)
                .with_hint("Put its two files into the plugin folder; GET /admin/v1/plugins lists what is there."),
            PluginError::NotApprovable { .. } => Self::new(Code::Conflict, message),
            PluginError::OtherFile { .. } => Self::new(Code::Conflict, message)
                .with_hint("Look at what it asks for, and approve it with its own `sha256`."),
            PluginError::Invalid(_) | PluginError::Key(_) => Self::invalid(message),
            PluginError::UnknownKey(_) => Self::not_found("key"),
            PluginError::KeyExists(_) | PluginError::KeyIdTaken(_) => Self::new(Code::Conflict, message),
            PluginError::KeyRevoked(_) => {
                Self::new(Code::Conflict, message).with_hint("Let the author make a new key and sign with that.")
            }
            PluginError::Seal(error) => Self::internal(error),
            PluginError::Database(error) => error.into(),
        }
    }
}
