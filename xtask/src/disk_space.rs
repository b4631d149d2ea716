//! Disk space for a test run: removes what killed runs left behind, and checks that enough is free.
//!
//! A run without enough space fails in dozens of unrelated tests, because Postgres and the store both refuse writes.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

/// Free space that a run needs in the temporary folder, in MiB. The databases of all tests took 8.4 GiB in November
/// 2026; the rest is for files of single tests, and a reserve, because a server reports its disk as low below a share
/// of the disk's size (`ATLASHUB_DISK_LOW_PERCENT`).
const NEEDED_MIB: u64 = 14 * 1024;

/// Prefixes of the names of folders that a test process creates. The id of the process follows.
const PREFIXES: [&str; 4] = ["atlashub-test-", "atlashub-browser-tests-", "atlashub-garage-", "atlashub-postgres-"];

/// Removes the folders of test processes that no longer exist.
pub(crate) fn remove_leftovers() {
    let folder = std::env::temp_dir();
    for leftover in leftovers(&folder) {
        match fs::remove_dir_all(&leftover) {
            Ok(()) => println!("xtask: removed {}, which a stopped test run left behind", leftover.display()),
            Err(error) => eprintln!("xtask: could not remove {}: {error}", leftover.display()),
        }
    }
}

/// Checks that the temporary folder has enough free space for a run of all tests.
///
/// # Errors
///
/// Returns an error that states how much space is needed and free, and where.
pub(crate) fn check() -> Result<()> {
    let folder = std::env::temp_dir();
    let Some(free) = free_mib(&folder)? else { return Ok(()) };
    if free < NEEDED_MIB {
        bail!(
            "The tests need {} GiB of free disk space in {}, and {:.1} GiB are free. Free some space, or set TMPDIR to \
             a folder on another disk.",
            NEEDED_MIB / 1024,
            folder.display(),
            free as f64 / 1024.0,
        );
    }
    Ok(())
}

/// Returns the folders of processes that no longer exist, except those on whose data Postgres still runs. Without
/// `/proc` it returns none.
fn leftovers(folder: &Path) -> Vec<PathBuf> {
    if !Path::new("/proc/self").exists() {
        return Vec::new();
    }
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_name().to_str().and_then(owner).is_some_and(|pid| !is_running(pid)))
        .map(|entry| entry.path())
        .filter(|path| !postgres_runs_in(path))
        .collect()
}

/// Returns the id of the process that created a folder of this name. Returns `None` for other names.
fn owner(name: &str) -> Option<u32> {
    let rest = PREFIXES.iter().find_map(|prefix| name.strip_prefix(prefix))?;
    rest.split('-').next()?.parse().ok()
}

/// Returns whether a Postgres still runs on the data in a folder. A shell stops Postgres when the test process ends. If
/// that shell is killed too, Postgres keeps running.
fn postgres_runs_in(folder: &Path) -> bool {
    let file = fs::read_to_string(folder.join("data/postmaster.pid")).unwrap_or_default();
    file.lines().next().and_then(|pid| pid.trim().parse().ok()).is_some_and(is_running)
}

fn is_running(pid: u32) -> bool {
    Path::new("/proc").join(pid.to_string()).exists()
}

/// Returns the free space of a folder's disk in MiB. Returns `None` on systems without `df`.
fn free_mib(folder: &Path) -> Result<Option<u64>> {
    let Ok(output) = Command::new("df").args(["-Pk"]).arg(folder).output() else { return Ok(None) };
    let text = String::from_utf8_lossy(&output.stdout);
    let available = text.lines().nth(1).and_then(|line| line.split_whitespace().nth(3));
    let kib: u64 = available.and_then(|kib| kib.parse().ok()).context("`df -Pk` printed no free space")?;
    Ok(Some(kib / 1024))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folder_names_of_test_processes_contain_the_id_of_their_process() {
        assert_eq!(owner("atlashub-test-4711-35001"), Some(4711));
        assert_eq!(owner("atlashub-browser-tests-12"), Some(12));
        assert_eq!(owner("atlashub-test-notes"), None);
        assert_eq!(owner("atlashub-data"), None);
    }

    #[test]
    fn folders_of_running_processes_are_kept() {
        let folder = std::env::temp_dir().join(format!("atlashub-xtask-{}-leftovers", std::process::id()));
        let running = folder.join(format!("atlashub-test-{}-1", std::process::id()));
        // Process ids end far below the largest number.
        let stopped = folder.join(format!("atlashub-test-{}-1", u32::MAX));
        fs::create_dir_all(&running).unwrap();
        fs::create_dir_all(&stopped).unwrap();
        assert_eq!(leftovers(&folder), std::slice::from_ref(&stopped));

        // A Postgres that still runs keeps its folder.
        fs::create_dir_all(stopped.join("data")).unwrap();
        fs::write(stopped.join("data/postmaster.pid"), format!("{}\n", std::process::id())).unwrap();
        assert!(leftovers(&folder).is_empty());
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn free_space_of_the_temporary_folder_is_read() {
        assert!(free_mib(&std::env::temp_dir()).unwrap().is_none_or(|mib| mib > 0));
    }
}
