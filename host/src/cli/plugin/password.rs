use std::{
    fs::File,
    path::{Path, PathBuf},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use minisign::{SecretKey, SecretKeyBox};
use zeroize::Zeroizing;

use super::files;
use crate::cli::error::CommandError;

/// Algorithm, key derivation, checksum algorithm, salt, two limits, key id, secret and public key, checksum.
const SECRET_KEY_BYTES: usize = 2 + 2 + 2 + 32 + 8 + 8 + 8 + 64 + 32;
const ALGORITHM: &[u8] = b"Ed";
/// In place of the name of a key derivation.
const NO_PASSWORD: [u8; 2] = [0, 0];

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
        let Some(file) = &self.password_file else {
            return match File::open("/dev/tty") {
                Ok(_) => Ok(None),
                Err(_) => Err(CommandError::failed(
                    "There is no terminal to ask for the password at; give it with --password-file.",
                )),
            };
        };
        let password = files::read_text(file)?.trim_end_matches(['\r', '\n']).to_owned();
        if password.is_empty() {
            return Err(CommandError::failed(format!("{} is empty.", file.display())));
        }
        Ok(Some(password))
    }

    /// Opens a secret key, asking for its password where it has one and none was given.
    pub(super) fn open(&self, path: &Path) -> Result<SecretKey, CommandError> {
        let unusable =
            |why: &dyn std::fmt::Display| CommandError::failed(format!("{} can't be used: {why}.", path.display()));
        let text = files::read_text(path)?;
        let bytes = text.lines().nth(1).and_then(|line| STANDARD.decode(line.trim()).ok());
        let bytes = bytes.filter(|bytes| bytes.len() == SECRET_KEY_BYTES && bytes.starts_with(ALGORITHM));
        let bytes = Zeroizing::new(bytes.ok_or_else(|| unusable(&"it is no minisign secret key"))?);
        if bytes[2..4] == NO_PASSWORD {
            // minisign leaves the checksum of such a key empty, which the crate takes for damage.
            return SecretKey::from_bytes(&bytes).map_err(|error| unusable(&error));
        }
        if self.no_password {
            return Err(unusable(&"it has a password"));
        }
        let boxed = SecretKeyBox::from_string(&text).map_err(|error| unusable(&error))?;
        boxed.into_secret_key(self.given()?).map_err(|error| unusable(&error))
    }
}
