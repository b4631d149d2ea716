//! Restores databases with only the object store and the master key, while no server runs. Used by `atlashub restore`.
//!
//! `platform` restores the platform database. `merge` carries over the revocations made since the backup, if the
//! current platform database can be read. `projects` restores the database of a project whose row exists, creates the
//! missing resources of the project, and restores the objects of the backup. Both restores load a new database and
//! swap it in, so they can be repeated after a crash. The previous databases are kept.
//!
//! Deliberately absent: the choice of backups (`cli`).

mod merge;
mod platform;
mod projects;

pub use platform::{
    LaterRevocations, RequiredKeys, RestoredPlatform, other_sessions, restore_platform, unlisted_databases,
};
pub use projects::{RestoredProject, restore_project};

use sha2::{Digest as _, Sha256};

use futures_util::StreamExt as _;

use super::{ManifestTable, ObjectsError, StoredBackup, verify::compare_tables};
use crate::{
    config::AgeIdentity,
    db::{dump::TableRows, restore::RestoreError},
    object_store::{ObjectBytes, ObjectStore, PLATFORM_BUCKET, StoreError},
    projects::ReplacementError,
    secrets::{AgeError, KeyId, age_file},
};

/// The reason why a database could not be restored. The database was not replaced, unless the connection was lost while
/// the replacement was committed. Objects that were already restored stay.
#[derive(Debug, thiserror::Error)]
pub enum RecoveryError {
    #[error("the backup is of `{0}`, not of a project")]
    NotOfProject(String),
    #[error("the dump is missing in the object store")]
    Missing,
    #[error("the stored dump was changed: its SHA-256 is not that of the manifest")]
    Changed,
    #[error("the backup has values that are encrypted with the master key {0}, which is not configured")]
    MissingKey(KeyId),
    #[error("tables that differ from the manifest: {0}")]
    Differs(String),
    #[error("the dump: {}{}", .0, identity_remedy(.0))]
    Encrypted(#[from] AgeError),
    #[error("the object store: {0}")]
    Store(#[from] StoreError),
    #[error("the objects: {0}")]
    Objects(#[from] ObjectsError),
    #[error("Postgres: {0}")]
    Database(#[from] sqlx::Error),
    #[error("{0}")]
    Load(#[from] RestoreError),
    #[error("{0}")]
    Replace(#[from] ReplacementError),
    #[error("{0:#}")]
    Other(#[from] anyhow::Error),
}

/// Returns the remedy for a missing or wrong identity, as the end of a message.
fn identity_remedy(error: &AgeError) -> &'static str {
    match error {
        AgeError::IdentityRequired | AgeError::WrongIdentity => {
            "; name the file of the identity with `--identity-file`"
        }
        AgeError::Damaged | AgeError::Read(_) => "",
    }
}

/// A stored dump that is being read, and the hash of the bytes read so far.
struct Dump {
    bytes: ObjectBytes,
    digest: Sha256,
}

impl Dump {
    async fn open(store: &ObjectStore, backup: &StoredBackup) -> Result<Self, RecoveryError> {
        let object = store.get(PLATFORM_BUCKET, &backup.object_key).await?;
        let (_, bytes) = object.ok_or(RecoveryError::Missing)?;
        Ok(Self { bytes, digest: Sha256::new() })
    }

    /// Returns the archive, decrypted if necessary. The stored bytes are hashed as they are read.
    async fn read(&mut self, identity: Option<&AgeIdentity>) -> Result<age_file::ByteStream<'_>, AgeError> {
        let Self { bytes, digest } = self;
        let bytes = bytes.map(move |chunk| {
            let chunk = chunk.map_err(std::io::Error::other)?;
            digest.update(&chunk);
            Ok(chunk)
        });
        Ok(age_file::open(bytes, identity).await?.content)
    }

    /// Checks the hash of a dump that was read completely, and returns the result of loading it. The hash is checked
    /// first, because loading a changed dump may fail in any way.
    fn check<T>(self, backup: &StoredBackup, loaded: Result<T, RestoreError>) -> Result<T, RecoveryError> {
        let is_read = loaded.as_ref().map_or_else(RestoreError::is_of_content, |_| true);
        if is_read && hex::encode(self.digest.finalize()) != backup.manifest.sha256 {
            return Err(RecoveryError::Changed);
        }
        if matches!(&loaded, Err(RestoreError::Archive(error)) if age_file::is_damage(error)) {
            return Err(RecoveryError::Changed);
        }
        Ok(loaded?)
    }
}

/// Compares the loaded tables with those of the manifest. Ignores additional tables.
fn check_tables<'a>(
    expected: impl Iterator<Item = &'a ManifestTable>,
    found: &[TableRows],
) -> Result<(), RecoveryError> {
    let expected: Vec<ManifestTable> = expected.cloned().collect();
    let differences = compare_tables(&expected, found);
    let named: Vec<String> = differences
        .iter()
        .filter(|difference| difference.expected.is_some())
        .map(|difference| format!("{}.{}", difference.schema, difference.table))
        .collect();
    if named.is_empty() { Ok(()) } else { Err(RecoveryError::Differs(named.join(", "))) }
}
