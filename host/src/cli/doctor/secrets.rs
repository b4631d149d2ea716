//! Checks who can read the secrets that embedded mode stores in the data folder.

use std::{
    fs, iter,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use super::report::Report;

pub(super) fn check(folder: &Path, report: &mut Report) {
    let open = accessible_to_others(folder);
    if open.is_empty() {
        report.ok("secrets", "only their owner can read them");
        return;
    }
    let names: Vec<String> = open.iter().map(|path| path.display().to_string()).collect();
    let folder = folder.display();
    report.note("secrets", format!("other users have access to {}: run `chmod -R go= {folder}`", names.join(", ")));
}

/// Returns the folder and those of its files that users other than their owner may access.
fn accessible_to_others(folder: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(folder).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()));
    let mut open: Vec<PathBuf> = iter::once(folder.to_owned())
        .chain(files)
        .filter(|path| fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o077 != 0))
        .collect();
    open.sort();
    open
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folder_and_files_that_others_may_access_are_found() {
        let root = tempfile::tempdir().unwrap();
        let (folder, file) = (root.path().join("secrets"), root.path().join("secrets/master-key"));
        fs::create_dir(&folder).unwrap();
        fs::write(&file, "x").unwrap();
        let set = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        for (of_folder, of_file, expected) in [
            (0o700, 0o600, Vec::new()),
            (0o700, 0o640, vec![file.clone()]),
            (0o755, 0o644, vec![folder.clone(), file.clone()]),
        ] {
            set(&folder, of_folder);
            set(&file, of_file);
            assert_eq!(accessible_to_others(&folder), expected);
        }
    }
}
