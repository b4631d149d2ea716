//! The option that names the identity file for encrypted backups.

use std::path::PathBuf;

use super::error::CommandError;
use crate::config::{AgeIdentity, Config, InvalidIdentity};

/// The private key for encrypted backups.
#[derive(Debug, clap::Args)]
pub(super) struct IdentityArguments {
    /// Identity file of `age-keygen`, for encrypted backups
    #[arg(long, value_name = "FILE")]
    identity_file: Option<PathBuf>,
}

impl IdentityArguments {
    /// Returns the identity in the file, or the one in the configuration if no file was given.
    pub(super) fn read(&self, config: &Config) -> Result<Option<AgeIdentity>, CommandError> {
        let Some(path) = &self.identity_file else { return Ok(config.backup_identity.clone()) };
        let unreadable = |problem: String| {
            CommandError::failed(format!("The identity file {} can't be used: {problem}", path.display()))
        };
        let text = std::fs::read_to_string(path).map_err(|error| unreadable(format!("{error}.")))?;
        text.parse().map(Some).map_err(|error: InvalidIdentity| unreadable(format!("{error}.")))
    }
}
