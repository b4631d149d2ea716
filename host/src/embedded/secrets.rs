//! Secrets of the embedded default, generated at the first start and kept in `secrets/` of the data folder.
//!
//! A master key or admin token from the environment takes precedence; its file is then neither read nor written.
//!
//! Deliberately absent: the values that are sealed with the master key.

use std::{fs, io, path::PathBuf};

use base64::{Engine, engine::general_purpose::STANDARD};

use super::{
    EmbeddedError,
    data_folder::{DataFolder, write_private},
};
use crate::config::Secret;

/// One file in `secrets/`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EmbeddedSecret {
    /// 32 bytes in base64, like `PLATFORM_MASTER_KEY`.
    MasterKey,
    /// Like `DEV_ADMIN_TOKEN`.
    AdminToken,
    /// Password of the embedded Postgres's superuser.
    PostgresPassword,
    /// Secret access key of the embedded store.
    StoreSecretKey,
}

impl EmbeddedSecret {
    /// Returns the path of the secret's file.
    pub fn file(self, data_folder: &DataFolder) -> PathBuf {
        data_folder.join("secrets").join(match self {
            Self::MasterKey => "master-key",
            Self::AdminToken => "admin-token",
            Self::PostgresPassword => "postgres-password",
            Self::StoreSecretKey => "store-secret-key",
        })
    }

    /// Reads the secret. Returns `None` if it does not exist yet.
    ///
    /// # Errors
    /// Fails if the file is empty or can't be read.
    pub fn read(self, data_folder: &DataFolder) -> Result<Option<Secret>, EmbeddedError> {
        let path = self.file(data_folder);
        match fs::read_to_string(&path) {
            Ok(text) if text.trim().is_empty() => Err(EmbeddedError::Path {
                path,
                cause: io::Error::other("it is empty"),
                remedy: "restore the file from a backup of the data folder",
            }),
            Ok(text) => Ok(Some(Secret::new(text.trim()))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => {
                Err(EmbeddedError::path(&path, "start as the owner of the file, or correct its owner and mode")(error))
            }
        }
    }

    fn is_empty(self, data_folder: &DataFolder) -> bool {
        fs::read_to_string(self.file(data_folder)).is_ok_and(|text| text.trim().is_empty())
    }

    /// Returns whether a new value can replace a lost one: nothing stored depends on it, or nothing is stored yet.
    fn is_replaceable(self, data_folder: &DataFolder) -> bool {
        match self {
            Self::AdminToken | Self::StoreSecretKey => true,
            Self::MasterKey | Self::PostgresPassword => !data_folder.join("postgres/cluster").exists(),
        }
    }

    /// Reads the secret, or generates it and writes it to disk.
    ///
    /// # Errors
    /// Fails if the file can't be read or written, or if it is missing or empty and a new value can't replace the lost
    /// one.
    pub fn read_or_create(self, data_folder: &DataFolder) -> Result<Secret, EmbeddedError> {
        let is_replaceable = self.is_replaceable(data_folder);
        if !(self.is_empty(data_folder) && is_replaceable)
            && let Some(secret) = self.read(data_folder)?
        {
            return Ok(secret);
        }
        if !is_replaceable {
            return Err(EmbeddedError::Path {
                path: self.file(data_folder),
                cause: io::Error::other("it is missing, but the folder has data that needs it"),
                remedy: match self {
                    Self::MasterKey => "put the file back from a copy, or set PLATFORM_MASTER_KEY to the key",
                    _ => "put the file back from a copy of the data folder",
                },
            });
        }
        data_folder.private_folder("secrets")?;
        let secret = Secret::new(match self {
            Self::MasterKey => STANDARD.encode(rand::random::<[u8; 32]>()),
            Self::AdminToken => format!("ah_adm_{}", random_hex()),
            Self::PostgresPassword | Self::StoreSecretKey => random_hex(),
        });
        write_private(&self.file(data_folder), format!("{}\n", secret.expose()).as_bytes())?;
        Ok(secret)
    }
}

/// Returns 32 random bytes in hex, which needs no quoting in URLs and files.
fn random_hex() -> String {
    hex::encode(rand::random::<[u8; 32]>())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn secrets_are_generated_once_and_are_private() {
        let root = tempfile::tempdir().unwrap();
        let folder = DataFolder::create(root.path()).unwrap();
        let key = EmbeddedSecret::MasterKey.read_or_create(&folder).unwrap();
        assert_eq!(STANDARD.decode(key.expose()).unwrap().len(), 32);
        assert_eq!(EmbeddedSecret::MasterKey.read_or_create(&folder).unwrap(), key);
        let token = EmbeddedSecret::AdminToken.read_or_create(&folder).unwrap();
        assert_ne!(token, key);
        let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(folder.join("secrets")), 0o700);
        assert_eq!(mode(EmbeddedSecret::MasterKey.file(&folder)), 0o600);
    }

    #[test]
    fn missing_secret_is_an_error_unless_it_can_be_replaced() {
        let root = tempfile::tempdir().unwrap();
        let folder = DataFolder::create(root.path()).unwrap();
        fs::create_dir_all(folder.join("postgres/cluster")).unwrap();
        let error = EmbeddedSecret::MasterKey.read_or_create(&folder).unwrap_err().to_string();
        assert!(error.contains("master-key") && error.contains("PLATFORM_MASTER_KEY"), "{error}");
        assert!(EmbeddedSecret::PostgresPassword.read_or_create(&folder).is_err());
        assert!(!EmbeddedSecret::MasterKey.file(&folder).exists(), "no new key is written");
        EmbeddedSecret::AdminToken.read_or_create(&folder).expect("nothing depends on it");
    }

    #[test]
    fn empty_secret_file_is_an_error_unless_the_secret_can_be_replaced() {
        let root = tempfile::tempdir().unwrap();
        let folder = DataFolder::create(root.path()).unwrap();
        let empty = |secret: EmbeddedSecret| {
            folder.private_folder("secrets").unwrap();
            fs::write(secret.file(&folder), "").unwrap();
            secret.read_or_create(&folder)
        };
        empty(EmbeddedSecret::MasterKey).expect("nothing is encrypted yet");
        fs::create_dir_all(folder.join("postgres/cluster")).unwrap();
        assert!(empty(EmbeddedSecret::MasterKey).is_err());
        assert!(empty(EmbeddedSecret::PostgresPassword).is_err());
        empty(EmbeddedSecret::AdminToken).expect("nothing depends on it");
    }
}
