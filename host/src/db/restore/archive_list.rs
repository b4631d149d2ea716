//! Filters the list of an archive's entries before a verification, and writes lists to files for `pg_restore`.

use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use uuid::Uuid;

use super::contents::{entry, is_of};

/// Kinds of entries that a verification skips, because no row depends on them and they can make it fail. Policies name
/// the project's roles, which may not exist and must not be granted anything. With row-level security on, materialized
/// views over tables that force it can't be filled. Event triggers need a superuser. Options of `pg_restore` skip
/// owners, privileges, comments, publications, subscriptions and security labels.
const SKIPPED_KINDS: [&str; 3] = ["POLICY", "ROW SECURITY", "EVENT TRIGGER"];

/// Removes the skipped entries from the output of `pg_restore --list`.
pub(super) fn filter_list(list: &str) -> String {
    let mut kept = String::with_capacity(list.len());
    for line in list.lines() {
        if entry(line).is_some_and(|entry| is_of(entry, &SKIPPED_KINDS)) {
            continue;
        }
        kept.push_str(line);
        kept.push('\n');
    }
    kept
}

/// A list on disk, because `pg_restore` only reads it from a file. Other users can't read it. Removed when dropped.
pub(super) struct ListFile(PathBuf);

impl ListFile {
    pub(super) fn write(list: &str) -> std::io::Result<Self> {
        let path = std::env::temp_dir().join(format!("atlashub-{}.list", Uuid::new_v4().simple()));
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        let written = Self(path);
        file.write_all(list.as_bytes())?;
        Ok(written)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for ListFile {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.0) {
            tracing::debug!(%error, "the file with an archive's list could not be removed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_policies_row_level_security_and_event_triggers_are_skipped() {
        let list = ";\n; Archive created at 2026-01-02\n;     dbname: proj_x; 0 0 POLICY x\n\
                    215; 1259 16400 TABLE public POLICY proj_x_owner\n\
                    3456; 0 16401 POLICY public items mine proj_x_owner\n\
                    3400; 0 16400 ROW SECURITY public items proj_x_owner\n\
                    3457; 3466 16402 EVENT TRIGGER - noticed postgres\n\
                    3458; 1255 16403 FUNCTION public policy() proj_x_owner\n";
        let expected: Vec<&str> = list
            .lines()
            .filter(|line| ![" mine ", " ROW ", "noticed"].iter().any(|kind| line.contains(kind)))
            .collect();
        assert_eq!(filter_list(list).lines().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn list_file_is_private_and_removed_when_dropped() {
        use std::os::unix::fs::PermissionsExt as _;
        let file = ListFile::write("; nothing\n").unwrap();
        let path = file.path().to_owned();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        drop(file);
        assert!(!path.exists());
    }
}
