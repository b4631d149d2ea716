//! Which user of the machine Postgres runs as. It refuses to run as root, so root hands it to somebody else.

use std::{
    fs::{self, Permissions},
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::Path,
};

use nix::unistd::{Gid, Uid, User};

use super::super::EmbeddedError;

/// A user other than the one this process runs as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) name: String,
    pub(crate) uid: Uid,
    pub(crate) gid: Gid,
}

/// None where this process can run Postgres as itself. As root: the owner of the cluster there is, else the
/// user `postgres`, else `nobody`.
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
    /// Makes sure that the account can reach `path`: the data folder itself is opened for passing through,
    /// a folder above it is its owner's to change.
    pub(crate) fn check_reach(&self, path: &Path, data_folder: &Path) -> Result<(), EmbeddedError> {
        let mut folders: Vec<&Path> = path.ancestors().skip(1).filter(|path| !path.as_os_str().is_empty()).collect();
        folders.reverse();
        for folder in folders {
            let Ok(metadata) = fs::metadata(folder) else { continue };
            if self.may_enter(&metadata) {
                continue;
            }
            let opened = folder == data_folder
                && fs::set_permissions(folder, Permissions::from_mode(metadata.mode() & 0o7777 | 0o001)).is_ok();
            if !opened {
                return Err(EmbeddedError::NotTraversable { folder: folder.to_owned(), user: self.name.clone() });
            }
        }
        Ok(())
    }

    fn may_enter(&self, metadata: &fs::Metadata) -> bool {
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
