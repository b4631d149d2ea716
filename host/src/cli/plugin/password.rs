//! Reads the password of a secret key, and opens the key with it.

use std::{
    fs::File,
    path::{Path, PathBuf},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use minisign::{SecretKey, SecretKeyBox};
use zeroize::Zeroizing;

use super::files;
use crate::cli::error::CommandError;

/// Size of a secret key in minisign's format: algorithm, key derivation, checksum algorithm, salt, two limits, key id,
/// secret and public key, and checksum.
const SECRET_KEY_BYTES: usize = 2 + 2 + 2 + 32 + 8 + 8 + 8 + 64 + 32;
const ALGORITHM: &[u8] = b"Ed";
/// Key derivation of a secret key without a password.
const NO_PASSWORD: [u8; 2] = [0, 0];

/// Options for the password of a secret key.
#[derive(Debug, clap::Args)]
pub(super) struct PasswordArguments {
    /// Use a key without a password
    #[arg(short = 'W', long, conflicts_with = "password_file")]
    pub(super) no_password: bool,
    /// Read the password from a file, without its trailing newline, instead of asking for it
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

impl PasswordArguments {
    /// Returns the password from the file, or `None` to ask for it in the terminal.
    pub(super) fn read(&self) -> Result<Option<String>, CommandError> {
        let Some(file) = &self.password_file else {
            return match File::open("/dev/tty") {
                Ok(_) => Ok(None),
                Err(_) => Err(CommandError::failed(
                    "There is no terminal in which to ask for the password. Use --password-file.",
                )),
            };
        };
        let password = files::read_text(file)?.trim_end_matches(['\r', '\n']).to_owned();
        if password.is_empty() {
            return Err(CommandError::failed(format!("{} is empty.", file.display())));
        }
        Ok(Some(password))
    }

    /// Opens a secret key. Asks for its password if it has one and no file was given.
    pub(super) fn open(&self, path: &Path) -> Result<SecretKey, CommandError> {
        let unusable = |problem: &dyn std::fmt::Display| {
            CommandError::failed(format!("{} can't be used: {problem}.", path.display()))
        };
        let text = files::read_text(path)?;
        let bytes = text.lines().nth(1).and_then(|line| STANDARD.decode(line.trim()).ok());
        let bytes = bytes.filter(|bytes| bytes.len() == SECRET_KEY_BYTES && bytes.starts_with(ALGORITHM));
        let bytes = Zeroizing::new(bytes.ok_or_else(|| unusable(&"it is not a minisign secret key"))?);
        if bytes[2..4] == NO_PASSWORD {
            // minisign leaves the checksum of such a key empty, which `SecretKeyBox` would reject.
            return SecretKey::from_bytes(&bytes).map_err(|error| unusable(&error));
        }
        if self.no_password {
            return Err(unusable(&"it has a password"));
        }
        let boxed = SecretKeyBox::from_string(&text).map_err(|error| unusable(&error))?;
        boxed.into_secret_key(self.read()?).map_err(|error| unusable(&error))
    }
}
