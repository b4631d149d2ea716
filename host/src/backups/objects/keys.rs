//! Keys of the additional files of backups with objects, and of the copies.

use super::super::manifest::{MANIFEST_EXTENSION, PREFIX};

/// Prefix of all copies in the platform's bucket. It is not below the prefix of backups, so plugins can't reach copies,
/// and lists of backups don't contain them.
pub(super) const COPIES_PREFIX: &str = "backup-objects/";
pub(super) const NAMES_EXTENSION: &str = ".names";
pub(super) const LIST_EXTENSION: &str = ".objects";

/// Returns the prefix of a project's copies.
pub(super) fn copies_prefix(project: &str) -> String {
    format!("{COPIES_PREFIX}{project}/")
}

/// Returns the prefix of a project's backups.
pub(super) fn backups_prefix(project: &str) -> String {
    format!("{PREFIX}project/{project}/")
}

/// Keys of the additional files of a backup with objects.
pub(in super::super) struct ExtraKeys {
    /// Key of the file with the names of the copies.
    pub(in super::super) names: String,
    /// Key of the list of the objects.
    pub(in super::super) list: String,
}

/// Returns the keys of the additional files of a backup, or `None` if the given key is not that of a manifest.
pub(in super::super) fn extra_keys(manifest_key: &str) -> Option<ExtraKeys> {
    let stem = manifest_key.strip_prefix(PREFIX).and(manifest_key.strip_suffix(MANIFEST_EXTENSION))?;
    Some(ExtraKeys { names: format!("{stem}{NAMES_EXTENSION}"), list: format!("{stem}{LIST_EXTENSION}") })
}

/// Returns the key of the dump to which an additional file belongs, or `None` for other keys.
pub(in super::super) fn dump_key_of_extra(key: &str) -> Option<String> {
    let stem = key.strip_suffix(NAMES_EXTENSION).or_else(|| key.strip_suffix(LIST_EXTENSION))?;
    Some(format!("{stem}{}", super::super::manifest::DUMP_EXTENSION))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn additional_files_have_the_stem_of_their_backup() {
        let keys = extra_keys("backups/project/a/x.json").unwrap();
        assert_eq!(
            (keys.names.as_str(), keys.list.as_str()),
            ("backups/project/a/x.names", "backups/project/a/x.objects")
        );
        assert!(extra_keys("backups/project/a/x.dump").is_none() && extra_keys("logs/x.json").is_none());
        for key in [keys.names, keys.list] {
            assert_eq!(dump_key_of_extra(&key).as_deref(), Some("backups/project/a/x.dump"));
        }
        assert!(dump_key_of_extra("backups/project/a/x.dump").is_none());
    }
}
