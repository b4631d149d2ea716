//! Starts the server process, restarts it when it dies, and shuts it down.

use std::{
    ffi::OsString,
    path::PathBuf,
    process::{Child, ExitStatus, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use parking_lot::{Condvar, Mutex};
use tokio::sync::watch;

use super::{
    fence,
    launch::{Launcher, OnParentDeath},
    log,
};

const MIN_RESTART_PAUSE: Duration = Duration::from_millis(500);
const MAX_RESTART_PAUSE: Duration = Duration::from_secs(30);
/// Run time after which the pause before a restart is reset.
const STABLE_RUN_TIME: Duration = Duration::from_secs(60);

/// The command that starts the server, and its files.
#[derive(Debug, Clone)]
pub(super) struct ServerCommand {
    pub(super) postgres: PathBuf,
    pub(super) arguments: Vec<OsString>,
    pub(super) launcher: Launcher,
    pub(super) log: PathBuf,
    pub(super) pid_file: PathBuf,
}

#[derive(Debug, Clone)]
pub(super) enum ServerState {
    Starting,
    Running(Pid),
    /// The server has ended, for this reason. The supervisor may restart it, unless a stop was requested.
    Exited(String),
}

#[derive(Debug)]
struct Control {
    /// Whether a stop was requested. Then the server is not started again.
    stopping: Mutex<bool>,
    wake: Condvar,
    /// Whether to restart the server when it dies. True once the first start has succeeded.
    restart_on_exit: AtomicBool,
}

/// A server and its supervisor thread. The supervisor has a thread of its own, because the kernel sends a child's
/// parent-death signal when the thread that created the child ends, and the threads of a runtime are not permanent.
#[derive(Debug)]
pub(super) struct Server {
    control: Arc<Control>,
    state: watch::Receiver<ServerState>,
    tail: log::LogTail,
}

impl Server {
    pub(super) fn spawn(command: ServerCommand) -> std::io::Result<Self> {
        let control = Arc::new(Control {
            stopping: Mutex::new(false),
            wake: Condvar::new(),
            restart_on_exit: AtomicBool::new(false),
        });
        let (sender, state) = watch::channel(ServerState::Starting);
        let tail = log::LogTail::default();
        let (thread_control, thread_tail) = (control.clone(), tail.clone());
        std::thread::Builder::new()
            .name("postgres".to_owned())
            .spawn(move || supervise(&command, &thread_control, &sender, &thread_tail))?;
        Ok(Self { control, state, tail })
    }

    pub(super) fn state(&self) -> ServerState {
        self.state.borrow().clone()
    }

    /// Returns the last error of the server's log.
    pub(super) fn last_error(&self) -> String {
        self.tail.last_error()
    }

    /// Makes the supervisor restart the server when it dies.
    pub(super) fn enable_restart(&self) {
        self.control.restart_on_exit.store(true, Ordering::Release);
    }

    /// Requests a fast shutdown, which disconnects clients and writes a checkpoint, and waits until the server has
    /// ended. If that takes too long, requests an immediate shutdown. If that takes too long as well, kills the server
    /// without waiting for its end.
    pub(super) async fn stop(&mut self) {
        for (signal, timeout) in [(Signal::SIGINT, Duration::from_secs(60)), (Signal::SIGQUIT, Duration::from_secs(10))]
        {
            self.request_stop(signal);
            // An error means that the thread, and so the server, has ended.
            let exited = self.state.wait_for(|state| matches!(state, ServerState::Exited(_)));
            if tokio::time::timeout(timeout, exited).await.is_ok() {
                return;
            }
            tracing::warn!("the embedded Postgres did not stop in time");
        }
        self.request_stop(Signal::SIGKILL);
    }

    fn request_stop(&self, signal: Signal) {
        *self.control.stopping.lock() = true;
        self.control.wake.notify_all();
        if let ServerState::Running(pid) = self.state() {
            // The call fails if the server has already ended.
            let _ = kill(pid, signal);
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.request_stop(Signal::SIGINT);
    }
}

fn supervise(command: &ServerCommand, control: &Control, state: &watch::Sender<ServerState>, tail: &log::LogTail) {
    let mut pause = MIN_RESTART_PAUSE;
    loop {
        let started = Instant::now();
        tail.clear();
        let reason = match run_once(command, control, state, tail) {
            Ok(status) => status.to_string(),
            Err(error) => format!("{}: {error}", command.postgres.display()),
        };
        state.send_replace(ServerState::Exited(reason.clone()));
        if !control.restart_on_exit.load(Ordering::Acquire) {
            return;
        }
        if started.elapsed() > STABLE_RUN_TIME {
            pause = MIN_RESTART_PAUSE;
        }
        let mut stopping = control.stopping.lock();
        if *stopping {
            return;
        }
        tracing::error!(reason, pause_ms = pause.as_millis() as u64, "the embedded Postgres died; restarting it");
        control.wake.wait_while_for(&mut stopping, |stopping| !*stopping, pause);
        if *stopping {
            return;
        }
        drop(stopping);
        pause = (pause * 2).min(MAX_RESTART_PAUSE);
        // The process in the pid file has ended. If another process reused its id, the file would prevent the start.
        let _ = std::fs::remove_file(&command.pid_file);
    }
}

fn run_once(
    command: &ServerCommand,
    control: &Control,
    state: &watch::Sender<ServerState>,
    tail: &log::LogTail,
) -> std::io::Result<ExitStatus> {
    let mut child = {
        // The lock is held during the start, so that a stop either prevents the start or finds the process.
        let stopping = control.stopping.lock();
        if *stopping {
            return Err(std::io::Error::other("it was stopped before it started"));
        }
        // After a server has died, its sessions may still be running. They must end before the next server starts.
        fence::kill_holders(&command.launcher.lock)?;
        let child = command
            .launcher
            .command(&command.postgres, &command.arguments, OnParentDeath::ShutDown)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        state.send_replace(ServerState::Running(Pid::from_raw(child.id().cast_signed())));
        child
    };
    let reading = match child.stderr.take() {
        Some(stderr) => log::copy_log(stderr, command.log.clone(), tail.clone()),
        None => Ok(()),
    };
    wait(child, reading)
}

/// Waits until the server has ended. If its log can't be read, kills it first.
fn wait(mut child: Child, reading: std::io::Result<()>) -> std::io::Result<ExitStatus> {
    if let Err(error) = reading {
        let _ = child.kill();
        let _ = child.wait();
        return Err(error);
    }
    child.wait()
}

#[cfg(test)]
mod tests {
    use nix::errno::Errno;

    use super::*;

    #[test]
    fn server_whose_log_can_not_be_read_is_killed() {
        let child = std::process::Command::new("sleep").arg("600").spawn().unwrap();
        let pid = Pid::from_raw(child.id().cast_signed());
        let waited = wait(child, Err(std::io::Error::other("no thread")));
        assert_eq!(waited.unwrap_err().to_string(), "no thread");
        assert_eq!(kill(pid, None), Err(Errno::ESRCH));
    }
}
