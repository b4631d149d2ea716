//! A Postgres that outlived the atlashub that started it, and the file it leaves when it does not.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::embedded::EmbeddedError;

/// A fast shutdown writes a checkpoint, which may take long on a slow disk; after this it is cut short, which
/// loses nothing either but makes the next start replay the log.
const FAST_SHUTDOWN: Duration = Duration::from_secs(60);
const IMMEDIATE_SHUTDOWN: Duration = Duration::from_secs(15);

/// Makes sure that nothing runs on the cluster, whose data folder the caller holds. A live server is shut
/// down; a pid file whose process is gone, or is not a Postgres of this cluster, is removed.
pub(super) async fn clear(cluster: &Path) -> Result<(), EmbeddedError> {
    let pid_file = cluster.join("postmaster.pid");
    let Ok(content) = fs::read_to_string(&pid_file) else { return Ok(()) };
    let pid = content.lines().next().and_then(|line| line.trim().parse::<i32>().ok()).filter(|pid| *pid > 1);
    if let Some(pid) = pid.map(Pid::from_raw)
        && serves(pid, cluster)
    {
        tracing::info!(pid = pid.as_raw(), "a Postgres of an earlier start still runs on the data folder: stopping it");
        for (signal, patience) in [(Signal::SIGINT, FAST_SHUTDOWN), (Signal::SIGQUIT, IMMEDIATE_SHUTDOWN)] {
            if end(pid, cluster, signal, patience).await {
                return Ok(());
            }
        }
        return Err(EmbeddedError::NotStarted {
            reason: format!(
                "an earlier Postgres (process {pid}) still runs on its data and does not stop; end it by hand"
            ),
            log: cluster.to_owned(),
        });
    }
    match fs::remove_file(&pid_file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(EmbeddedError::path(&pid_file, "remove it by hand")(error))
        }
        _ => Ok(()),
    }
}

async fn end(pid: Pid, cluster: &Path, signal: Signal, patience: Duration) -> bool {
    let deadline = Instant::now() + patience;
    if kill(pid, signal) == Err(Errno::ESRCH) {
        return true;
    }
    while Instant::now() < deadline {
        if !serves(pid, cluster) {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    false
}

/// Whether the process is a Postgres that works in the cluster: a server's working folder is its cluster.
#[cfg(target_os = "linux")]
fn serves(pid: Pid, cluster: &Path) -> bool {
    let working_folder = fs::canonicalize(format!("/proc/{pid}/cwd"));
    match (working_folder, fs::canonicalize(cluster)) {
        (Ok(working_folder), Ok(cluster)) => working_folder == cluster,
        _ => false,
    }
}

/// Whether the process is a Postgres that was given the cluster on its command line.
#[cfg(not(target_os = "linux"))]
fn serves(pid: Pid, cluster: &Path) -> bool {
    let output = std::process::Command::new("ps").args(["-o", "command=", "-p", &pid.to_string()]).output();
    output.is_ok_and(|output| {
        let command = String::from_utf8_lossy(&output.stdout).into_owned();
        command.contains("postgres") && command.contains(&*cluster.to_string_lossy())
    })
}
