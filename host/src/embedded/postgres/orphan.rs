//! Stops a Postgres that outlived the process that started it, and removes a stale pid file.

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

use super::{cluster, log::log_file};
use crate::embedded::{EmbeddedError, data_folder::DataFolder};

/// Timeout of a fast shutdown, which writes a checkpoint. An immediate shutdown follows. An immediate shutdown loses no
/// data either, but the next start has to replay the log.
const FAST_SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(60);
const IMMEDIATE_SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(15);

/// Ensures that no server runs on the cluster of the data folder. The caller has locked the data folder. Shuts down a
/// running server, and removes a pid file whose process has ended or is not a Postgres of this cluster.
pub(super) async fn stop_orphaned_server(data_folder: &DataFolder) -> Result<(), EmbeddedError> {
    let cluster = cluster::folder(data_folder);
    let pid_file = cluster.join("postmaster.pid");
    let Ok(content) = fs::read_to_string(&pid_file) else { return Ok(()) };
    let pid = content.lines().next().and_then(|line| line.trim().parse::<i32>().ok()).filter(|pid| *pid > 1);
    if let Some(pid) = pid.map(Pid::from_raw)
        && serves_cluster(pid, &cluster)
    {
        tracing::info!(pid = pid.as_raw(), "stopping a Postgres that an earlier start left running on the data folder");
        for (signal, timeout) in
            [(Signal::SIGINT, FAST_SHUTDOWN_TIMEOUT), (Signal::SIGQUIT, IMMEDIATE_SHUTDOWN_TIMEOUT)]
        {
            if stop_process(pid, &cluster, signal, timeout).await {
                return Ok(());
            }
        }
        return Err(EmbeddedError::NotStarted {
            reason: format!("a Postgres of an earlier start (process {pid}) can't be stopped; stop it manually"),
            log: log_file(data_folder),
        });
    }
    match fs::remove_file(&pid_file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(EmbeddedError::path(&pid_file, "remove it manually")(error))
        }
        _ => Ok(()),
    }
}

async fn stop_process(pid: Pid, cluster: &Path, signal: Signal, timeout: Duration) -> bool {
    let deadline = Instant::now() + timeout;
    if kill(pid, signal) == Err(Errno::ESRCH) {
        return true;
    }
    while Instant::now() < deadline {
        if !serves_cluster(pid, cluster) {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    false
}

/// Returns whether the process is a Postgres of this cluster: the working folder of a server is its cluster.
#[cfg(target_os = "linux")]
fn serves_cluster(pid: Pid, cluster: &Path) -> bool {
    let working_folder = fs::canonicalize(format!("/proc/{pid}/cwd"));
    match (working_folder, fs::canonicalize(cluster)) {
        (Ok(working_folder), Ok(cluster)) => working_folder == cluster,
        _ => false,
    }
}

/// Returns whether the process is a Postgres with this cluster on its command line.
#[cfg(not(target_os = "linux"))]
fn serves_cluster(pid: Pid, cluster: &Path) -> bool {
    let output = std::process::Command::new("ps").args(["-o", "command=", "-p", &pid.to_string()]).output();
    output.is_ok_and(|output| {
        let command = String::from_utf8_lossy(&output.stdout).into_owned();
        command.contains("postgres") && command.contains(&*cluster.to_string_lossy())
    })
}
