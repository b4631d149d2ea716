//! Commands that run the Postgres programs with the right user and environment. On Linux, a launcher makes the programs
//! end when this process ends.

use std::{
    convert::Infallible,
    ffi::OsString,
    io,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::Command,
};

use super::{account::Account, fence};
use crate::db::programs::clean_command;

/// The hidden subcommand of `atlashub` that replaces itself with a Postgres program.
pub const LAUNCHER_SUBCOMMAND: &str = "run-postgres";

/// The settings that the programs are run with.
#[derive(Debug, Clone)]
pub(super) struct Launcher {
    /// The `atlashub` program (Linux only). Without it, programs keep running when this process is killed.
    pub(super) program: Option<PathBuf>,
    pub(super) account: Option<Account>,
    /// The file that `program` locks for the Postgres processes; see [`fence`].
    pub(super) lock: PathBuf,
}

/// The way in which a program ends when this process is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OnParentDeath {
    /// The program shuts down. Used for a server.
    ShutDown,
    /// The program is killed. Used for all other programs.
    Die,
}

impl Launcher {
    /// Returns a command that runs a Postgres program. The program has its own process group, so that Ctrl-C in a
    /// terminal signals only this process.
    pub(super) fn command(&self, program: &Path, arguments: &[OsString], on_parent_death: OnParentDeath) -> Command {
        let mut command = match self.program.as_ref().filter(|_| cfg!(target_os = "linux")) {
            Some(launcher) => {
                let mut command = clean_command(launcher);
                command.arg(LAUNCHER_SUBCOMMAND).arg("--parent").arg(std::process::id().to_string());
                command.arg("--lock").arg(&self.lock);
                if on_parent_death == OnParentDeath::Die {
                    command.arg("--die");
                }
                if let Some(account) = &self.account {
                    command.arg("--uid").arg(account.uid.to_string()).arg("--gid").arg(account.gid.to_string());
                }
                command.arg(program).arg("--");
                command
            }
            None => {
                let mut command = clean_command(program);
                if let Some(account) = &self.account {
                    command.uid(account.uid.as_raw()).gid(account.gid.as_raw());
                }
                command
            }
        };
        command.args(arguments).process_group(0);
        command
    }
}

/// Arguments of the launcher.
#[derive(Debug, Clone)]
pub struct Launch {
    pub parent: u32,
    pub uid: Option<u32>,
    pub gid: Option<u32>,
    /// The file to lock and to pass on.
    pub lock: PathBuf,
    /// Whether the program is killed when the parent dies. A server shuts down instead.
    pub die: bool,
    pub program: PathBuf,
    pub arguments: Vec<OsString>,
}

/// Replaces this process with the program: takes the lock, changes to the given user, asks the kernel for a signal at
/// the death of the parent, and executes the program. The order matters: the given user may not be allowed to open the
/// lock, and a change of the user clears the request for the signal.
///
/// # Errors
/// Returns only if the program can't be started.
#[cfg(target_os = "linux")]
pub fn become_program(launch: &Launch) -> io::Result<Infallible> {
    use nix::{
        fcntl::{FcntlArg, FdFlag, fcntl},
        sys::{prctl, signal::Signal},
        unistd::{Gid, Uid, getppid, setgid, setgroups, setuid},
    };

    let lock = fence::open(&launch.lock)?;
    lock.lock()?;
    // The program and its children inherit the file, and with it the lock.
    fcntl(&lock, FcntlArg::F_SETFD(FdFlag::empty()))?;
    if let (Some(uid), Some(gid)) = (launch.uid, launch.gid) {
        let gid = Gid::from_raw(gid);
        setgroups(&[])?;
        setgid(gid)?;
        setuid(Uid::from_raw(uid))?;
    }
    prctl::set_pdeathsig(if launch.die { Signal::SIGKILL } else { Signal::SIGINT })?;
    if getppid().as_raw().unsigned_abs() != launch.parent {
        return Err(io::Error::other("the parent process has already ended"));
    }
    // `lock` stays open: this returns only if the program can't be executed.
    let error = Command::new(&launch.program).args(&launch.arguments).exec();
    drop(lock);
    Err(error)
}

/// Replaces this process with the program. Only Linux can stop the program when the parent dies.
///
/// # Errors
/// Returns only if the program can't be started.
#[cfg(not(target_os = "linux"))]
pub fn become_program(launch: &Launch) -> io::Result<Infallible> {
    Err(Command::new(&launch.program).args(&launch.arguments).exec())
}
