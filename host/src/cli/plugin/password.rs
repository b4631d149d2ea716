use std::path::{Path, PathBuf};

use minisign::{PError, SecretKey, SecretKeyBox};

use super::files;
use crate::cli::error::CommandError;

/// How a secret key is protected.
#[derive(Debug, clap::Args)]
pub(super) struct PasswordArguments {
    /// The key has no password.
    #[arg(short = 'W', long, conflicts_with = "password_file")]
    pub(super) no_password: bool,
    /// Take the password from a file, its line end left out, instead of asking for it.
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

impl PasswordArguments {
    /// None where it has to be asked for.
    pub(super) fn given(&self) -> Result<Option<String>, CommandError> {
        let Some(file) = &self.password_file else { return Ok(None) };
        let password = files::read_text(file)?.trim_end_matches(['\r', '\n']).to_owned();
        if password.is_empty() {
            return Err(CommandError::failed(format!("{} is empty.", file.display())));
        }
        Ok(Some(password))
    }

    /// Opens a secret key, asking for its password where it has one and none was given.
    pub(super) fn open(&self, path: &Path) -> Result<SecretKey, CommandError> {
        let unusable = |error: &PError| CommandError::failed(format!("{} can't be used: {error}.", path.display()));
        let text = files::read_text(path)?;
        let boxed = || SecretKeyBox::from_string(&text).map_err(|error| unusable(&error));
        match boxed()?.into_unencrypted_secret_key() {
            Ok(key) => Ok(key),
            Err(error) if self.no_password => Err(unusable(&error)),
            Err(_) => boxed()?.into_secret_key(self.given()?).map_err(|error| unusable(&error)),
        }
    }
}
