//! Commands that run the Postgres programs: as which user, with which environment, and stopped when this process ends.

use std::{
    convert::Infallible,
    ffi::OsString,
    io,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::Command,
};

use super::account::Account;
use crate::db::programs::clean_command;

/// The hidden subcommand of `atlashub` that replaces itself with Postgres.
pub const LAUNCHER_SUBCOMMAND: &str = "run-postgres";

/// Returns a command that runs a Postgres program as the account's user.
pub(super) fn program_command(path: &Path, account: Option<&Account>) -> Command {
    let mut command = clean_command(path);
    if let Some(account) = account {
        command.uid(account.uid.as_raw()).gid(account.gid.as_raw());
    }
    command
}

/// Returns a command that runs the server. The server has its own process group, so that Ctrl-C in a terminal signals
/// only this process, which then shuts the server down. With a launcher (Linux only), the server also shuts down when
/// this process is killed.
pub(super) fn server_command(
    postgres: &Path,
    arguments: &[OsString],
    account: Option<&Account>,
    launcher: Option<&Path>,
) -> Command {
    let mut command = match launcher.filter(|_| cfg!(target_os = "linux")) {
        Some(launcher) => {
            let mut command = clean_command(launcher);
            command.arg(LAUNCHER_SUBCOMMAND).arg("--parent").arg(std::process::id().to_string());
            if let Some(account) = account {
                command.arg("--uid").arg(account.uid.to_string()).arg("--gid").arg(account.gid.to_string());
            }
            command.arg(postgres).arg("--");
            command
        }
        None => program_command(postgres, account),
    };
    command.args(arguments).process_group(0);
    command
}

/// Arguments of the launcher.
#[derive(Debug, Clone)]
pub struct Launch {
    pub parent: u32,
    pub uid: Option<u32>,
    pub gid: Option<u32>,
    pub program: PathBuf,
    pub arguments: Vec<OsString>,
}

/// Replaces this process with the program: drops root, requests a fast shutdown signal for the death of the parent, and
/// executes the program. The order matters, because changing users clears that request.
#[cfg(target_os = "linux")]
pub fn become_program(launch: &Launch) -> io::Result<Infallible> {
    use nix::{
        sys::{prctl, signal::Signal},
        unistd::{Gid, Uid, getppid, setgid, setgroups, setuid},
    };

    if let (Some(uid), Some(gid)) = (launch.uid, launch.gid) {
        let gid = Gid::from_raw(gid);
        setgroups(&[])?;
        setgid(gid)?;
        setuid(Uid::from_raw(uid))?;
    }
    prctl::set_pdeathsig(Signal::SIGINT)?;
    if getppid().as_raw().unsigned_abs() != launch.parent {
        return Err(io::Error::other("the parent process has already ended"));
    }
    Err(Command::new(&launch.program).args(&launch.arguments).exec())
}

/// Replaces this process with the program. Only Linux can stop it when the parent dies.
#[cfg(not(target_os = "linux"))]
pub fn become_program(launch: &Launch) -> io::Result<Infallible> {
    Err(Command::new(&launch.program).args(&launch.arguments).exec())
}
