//! What an archive holds, and what of it is restored.

use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use uuid::Uuid;

/// Kinds of entries that a scratch role can't make and that no row depends on. Policies name the project's roles, which
/// may be gone and must not be granted anything; event triggers need a superuser. Owners, privileges, comments,
/// publications, subscriptions and security labels are left out by `pg_restore` itself.
const LEFT_OUT: [&str; 2] = ["POLICY", "EVENT TRIGGER"];

/// The list of `pg_restore --list` without what is left out.
pub(super) fn restored(list: &str) -> String {
    let mut kept = String::with_capacity(list.len());
    for line in list.lines().filter(|line| !is_left_out(line)) {
        kept.push_str(line);
        kept.push('\n');
    }
    kept
}

/// `3456; 0 16401 POLICY public items mine proj_x_owner`
fn is_left_out(line: &str) -> bool {
    if line.starts_with(';') {
        return false;
    }
    let entry = line.split_once("; ").and_then(|(_, entry)| entry.splitn(3, ' ').nth(2));
    entry.is_some_and(|entry| {
        LEFT_OUT.iter().any(|kind| entry.strip_prefix(kind).is_some_and(|rest| rest.starts_with(' ')))
    })
}

/// A list on disk that nobody else reads, removed when dropped: `pg_restore` takes it as a file only.
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
            tracing::debug!(%error, "a list of an archive's contents could not be removed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_and_event_triggers_are_left_out_and_nothing_else() {
        let list = ";\n; Archive created at 2026-01-02\n;     dbname: proj_x; 0 0 POLICY x\n\
                    215; 1259 16400 TABLE public POLICY proj_x_owner\n\
                    3456; 0 16401 POLICY public items mine proj_x_owner\n\
                    3400; 0 16400 ROW SECURITY public items proj_x_owner\n\
                    3457; 3466 16402 EVENT TRIGGER - noticed postgres\n\
                    3458; 1255 16403 FUNCTION public policy() proj_x_owner\n";
        let expected: Vec<&str> =
            list.lines().filter(|line| !line.contains(" mine ") && !line.contains("noticed")).collect();
        assert_eq!(restored(list).lines().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_list_is_ones_own_and_goes_away() {
        use std::os::unix::fs::PermissionsExt as _;
        let file = ListFile::write("; nothing\n").unwrap();
        let path = file.path().to_owned();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        drop(file);
        assert!(!path.exists());
    }
}
