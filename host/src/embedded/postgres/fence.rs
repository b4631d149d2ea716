//! A lock that every process of the private Postgres holds for as long as it runs. When AtlasHub starts again, it uses
//! the lock to find out whether all these processes have ended. The launcher opens and locks a file and passes it on: a
//! child process inherits it, and the kernel releases the lock when the last process that has the file open ends.
//! Without the launcher, which needs Linux, no process holds the lock.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use super::log::log_file;
use crate::embedded::{EmbeddedError, data_folder::DataFolder};

/// Maximum time that a start waits for the end of processes that it has killed.
const END_TIMEOUT: Duration = Duration::from_secs(60);
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Returns the path of the locked file.
pub(super) fn lock_file(data_folder: &DataFolder) -> PathBuf {
    data_folder.join("postgres.lock")
}

/// Opens the file that the launcher locks and passes on.
pub(super) fn open(lock: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(lock)
}

/// Kills processes that an earlier start left running on the data folder, and waits until they have ended. The caller
/// has locked the folder. A server should be shut down first ([`super::orphan`]), but killing one loses no data.
pub(super) async fn end_earlier_processes(data_folder: &DataFolder) -> Result<(), EmbeddedError> {
    let lock = lock_file(data_folder);
    let deadline = Instant::now() + END_TIMEOUT;
    while !kill_holders(&lock).map_err(EmbeddedError::path(&lock, "correct its owner and mode"))? {
        if Instant::now() > deadline {
            return Err(EmbeddedError::NotStarted {
                reason: format!("processes of an earlier start still hold {}; stop them manually", lock.display()),
                log: log_file(data_folder),
            });
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
    Ok(())
}

/// Kills the processes that hold the lock. Returns whether there were none.
pub(super) fn kill_holders(lock: &Path) -> io::Result<bool> {
    let file = open(lock)?;
    match file.try_lock() {
        Ok(()) => {
            // Unlocked explicitly, because a child process that has not reached its `exec` still has the file open.
            file.unlock()?;
            return Ok(true);
        }
        Err(TryLockError::WouldBlock) => {}
        Err(TryLockError::Error(error)) => return Err(error),
    }
    for pid in holders(lock) {
        tracing::info!(pid = pid.as_raw(), "ending a Postgres process that an earlier start left running");
        // The call fails if the process has ended in the meantime.
        let _ = kill(pid, Signal::SIGKILL);
    }
    Ok(false)
}

/// Returns the other processes that have the file open.
#[cfg(target_os = "linux")]
fn holders(lock: &Path) -> Vec<Pid> {
    let Ok(lock) = std::fs::canonicalize(lock) else { return Vec::new() };
    let numbered = |folder: &Path| std::fs::read_dir(folder).into_iter().flatten().flatten();
    let has_lock_open = |process: &Path| {
        numbered(&process.join("fd")).any(|fd| std::fs::read_link(fd.path()).is_ok_and(|target| target == lock))
    };
    numbered(Path::new("/proc"))
        .filter_map(|process| Some((process.file_name().to_str()?.parse::<i32>().ok()?, process.path())))
        .filter(|(pid, process)| pid.unsigned_abs() != std::process::id() && has_lock_open(process))
        .map(|(pid, _)| Pid::from_raw(pid))
        .collect()
}

/// Returns no processes, because only Linux has a launcher that locks the file.
#[cfg(not(target_os = "linux"))]
fn holders(_lock: &Path) -> Vec<Pid> {
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lock_is_free_when_the_last_holder_has_ended() {
        let folder = tempfile::tempdir().unwrap();
        let lock = folder.path().join("lock");
        assert!(kill_holders(&lock).unwrap());
        let held = open(&lock).unwrap();
        held.lock().unwrap();
        let inherited = held.try_clone().unwrap();
        drop(held);
        assert!(!kill_holders(&lock).unwrap());
        drop(inherited);
        assert!(kill_holders(&lock).unwrap());
    }
}
