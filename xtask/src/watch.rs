//! `cargo xtask dev --watch`: rebuilds the dashboard when one of its files changes.
//!
//! The process that the developer starts becomes the server. A second process watches the files, and exits after the
//! server. The server reads the dashboard's files from the bundler's output folder, so reloading the page shows the
//! change.

use std::{
    process::{Command, Stdio},
    sync::mpsc::{self, RecvTimeoutError},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use notify::{Event, EventKind, RecursiveMode, Watcher};

use crate::{dashboard, wasm32::Optimization};

/// The command of the second process. `cargo xtask help` doesn't list it.
pub(crate) const COMMAND: &str = "watch-dashboard";

/// Time without changes after which a build starts, because editors write a file in several steps.
const DEBOUNCE: Duration = Duration::from_millis(150);

/// Interval at which the second process checks whether the server still runs.
const PARENT_CHECK: Duration = Duration::from_secs(1);

/// Starts the second process.
pub(crate) fn start() -> Result<()> {
    let program = std::env::current_exe().context("could not find this program")?;
    Command::new(program).arg(COMMAND).stdin(Stdio::null()).spawn().context("could not start the watcher")?;
    Ok(())
}

/// Rebuilds the dashboard after each change, until the process that started this one has ended or, on Windows, until
/// Ctrl-C.
///
/// # Errors
/// Returns an error if the files can't be watched. The error of a failed build is only printed.
pub(crate) fn run() -> Result<()> {
    let parent = parent_id();
    let (sender, changes) = mpsc::channel();
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
        if event.is_ok_and(|event| !matches!(event.kind, EventKind::Access(_))) {
            let _ = sender.send(());
        }
    })?;
    for input in dashboard::inputs() {
        let watched = watcher.watch(&input, RecursiveMode::Recursive);
        watched.with_context(|| format!("could not watch {}", input.display()))?;
    }
    while parent_id() == parent {
        match changes.recv_timeout(PARENT_CHECK) {
            Ok(()) => {}
            Err(RecvTimeoutError::Timeout) => continue,
            Err(RecvTimeoutError::Disconnected) => break,
        }
        while changes.recv_timeout(DEBOUNCE).is_ok() {}
        let begin = Instant::now();
        match dashboard::ensure(Optimization::Fast) {
            Ok(()) => eprintln!(
                "xtask: the dashboard is up to date ({:.1} s). Reload the page.",
                begin.elapsed().as_secs_f32()
            ),
            Err(error) => eprintln!("xtask: could not build the dashboard: {error:#}"),
        }
    }
    Ok(())
}

#[cfg(unix)]
fn parent_id() -> u32 {
    std::os::unix::process::parent_id()
}

#[cfg(not(unix))]
fn parent_id() -> u32 {
    0
}
