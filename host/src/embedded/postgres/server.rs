//! The running server: started, watched, started again when it dies, shut down in order.

use std::{
    ffi::OsString,
    path::PathBuf,
    process::{ExitStatus, Stdio},
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::sync::watch;

use super::{account::Account, launch, log};

const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// A server that ran this long did not die of its start.
const STEADY: Duration = Duration::from_secs(60);

/// Everything that one start of the server needs.
#[derive(Debug, Clone)]
pub(super) struct ServerCommand {
    pub(super) postgres: PathBuf,
    pub(super) arguments: Vec<OsString>,
    pub(super) account: Option<Account>,
    pub(super) launcher: Option<PathBuf>,
    pub(super) log: PathBuf,
    pub(super) pid_file: PathBuf,
}

#[derive(Debug, Clone)]
pub(super) enum ServerState {
    Starting,
    Running(Pid),
    /// Gone; where it was not asked to stop it may be started again.
    Exited(String),
}

#[derive(Debug)]
struct Control {
    /// No further start; set once, never cleared.
    stopping: Mutex<bool>,
    wake: Condvar,
    /// Set when the first start was a success: from then on a server that dies is started again.
    keep_running: AtomicBool,
}

/// A server and the thread that waits for it. The thread is one of our own because the kernel ties a child's
/// parent-death signal to the thread that made it, and a runtime's threads come and go.
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
            keep_running: AtomicBool::new(false),
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

    pub(super) fn complaint(&self) -> String {
        self.tail.complaint()
    }

    /// From now on a server that dies is started again.
    pub(super) fn keep_running(&self) {
        self.control.keep_running.store(true, Ordering::Release);
    }

    /// Fast shutdown: clients are disconnected, what was committed is on disk. Waits until the server is gone.
    pub(super) async fn stop(&mut self) {
        for (signal, patience) in
            [(Signal::SIGINT, Duration::from_secs(60)), (Signal::SIGQUIT, Duration::from_secs(10))]
        {
            self.request_stop(signal);
            // An error means that the thread has ended, and with it the server.
            let gone = self.state.wait_for(|state| matches!(state, ServerState::Exited(_)));
            if tokio::time::timeout(patience, gone).await.is_ok() {
                return;
            }
            tracing::warn!("the embedded Postgres is slow to stop");
        }
        self.request_stop(Signal::SIGKILL);
    }

    fn request_stop(&self, signal: Signal) {
        *self.control.stopping.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.control.wake.notify_all();
        if let ServerState::Running(pid) = self.state() {
            // It may be gone already, which is what is wanted.
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
    let mut pause = FIRST_PAUSE;
    loop {
        let started = Instant::now();
        tail.clear();
        let reason = match run_once(command, control, state, tail) {
            Ok(status) => status.to_string(),
            Err(error) => format!("{}: {error}", command.postgres.display()),
        };
        state.send_replace(ServerState::Exited(reason.clone()));
        if !control.keep_running.load(Ordering::Acquire) {
            return;
        }
        if started.elapsed() > STEADY {
            pause = FIRST_PAUSE;
        }
        let stopping = control.stopping.lock().unwrap_or_else(PoisonError::into_inner);
        if *stopping {
            return;
        }
        tracing::error!(reason, pause_ms = pause.as_millis() as u64, "the embedded Postgres died: starting it again");
        let (stopping, _) = control
            .wake
            .wait_timeout_while(stopping, pause, |stopping| !*stopping)
            .unwrap_or_else(PoisonError::into_inner);
        if *stopping {
            return;
        }
        drop(stopping);
        pause = (pause * 2).min(LONGEST_PAUSE);
        // The process it names was waited for just now; a number that came back in use would block the start.
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
        // Held over the start, so that a stop either prevents it or finds the process.
        let stopping = control.stopping.lock().unwrap_or_else(PoisonError::into_inner);
        if *stopping {
            return Err(std::io::Error::other("it was stopped before it started"));
        }
        let child = launch::server(
            &command.postgres,
            &command.arguments,
            command.account.as_ref(),
            command.launcher.as_deref(),
        )
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
        state.send_replace(ServerState::Running(Pid::from_raw(child.id().cast_signed())));
        child
    };
    if let Some(stderr) = child.stderr.take() {
        log::follow(stderr, command.log.clone(), tail.clone())?;
    }
    child.wait()
}
