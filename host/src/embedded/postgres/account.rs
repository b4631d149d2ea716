//! The operating system user that Postgres runs as. Postgres refuses to run as root, so root starts it as another user.

use std::{
    fs::{self, Permissions},
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::Path,
};

use nix::unistd::{Gid, Uid, User};

use crate::embedded::EmbeddedError;

/// A user that Postgres runs as, other than the user of this process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) name: String,
    pub(crate) uid: Uid,
    pub(crate) gid: Gid,
}

/// Chooses the user for Postgres. Returns `None` if this process can run Postgres as its own user. For root, returns
/// the owner of an existing cluster, or else `postgres` or `nobody`.
pub(crate) fn choose(cluster: &Path) -> Result<Option<Account>, EmbeddedError> {
    if !Uid::effective().is_root() {
        return Ok(None);
    }
    if let Ok(metadata) = fs::metadata(cluster)
        && metadata.uid() != 0
    {
        let uid = Uid::from_raw(metadata.uid());
        let name = User::from_uid(uid).ok().flatten().map_or_else(|| uid.to_string(), |user| user.name);
        return Ok(Some(Account { name, uid, gid: Gid::from_raw(metadata.gid()) }));
    }
    ["postgres", "nobody"]
        .into_iter()
        .find_map(|name| User::from_name(name).ok().flatten())
        .filter(|user| !user.uid.is_root())
        .map(|user| Some(Account { name: user.name, uid: user.uid, gid: user.gid }))
        .ok_or(EmbeddedError::NoAccount)
}

impl Account {
    /// Checks that the account can traverse all folders above `path`. Makes the data folder traversable if necessary,
    /// but not the folders above it, which do not belong to AtlasHub.
    pub(crate) fn ensure_access(&self, path: &Path, data_folder: &Path) -> Result<(), EmbeddedError> {
        let mut folders: Vec<&Path> = path.ancestors().skip(1).filter(|path| !path.as_os_str().is_empty()).collect();
        folders.reverse();
        for folder in folders {
            let Ok(metadata) = fs::metadata(folder) else { continue };
            if self.can_traverse(&metadata) {
                continue;
            }
            let made_traversable = folder == data_folder
                && fs::set_permissions(folder, Permissions::from_mode(metadata.mode() & 0o7777 | 0o001)).is_ok();
            if !made_traversable {
                return Err(EmbeddedError::NotTraversable { folder: folder.to_owned(), user: self.name.clone() });
            }
        }
        Ok(())
    }

    fn can_traverse(&self, metadata: &fs::Metadata) -> bool {
        let bit = if metadata.uid() == self.uid.as_raw() {
            0o100
        } else if metadata.gid() == self.gid.as_raw() {
            0o010
        } else {
            0o001
        };
        metadata.mode() & bit != 0
    }
}
