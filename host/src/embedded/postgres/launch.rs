//! How Postgres's programs are run: as which user, with which environment, and tied to our own life.

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

/// The hidden subcommand of `atlashub` that becomes Postgres.
pub const LAUNCHER_SUBCOMMAND: &str = "run-postgres";

/// A program of Postgres's, as the account's user.
pub(super) fn program_as(path: &Path, account: Option<&Account>) -> Command {
    let mut command = clean_command(path);
    if let Some(account) = account {
        command.uid(account.uid.as_raw()).gid(account.gid.as_raw());
    }
    command
}

/// The server, in a process group of its own so that Ctrl-C in a terminal reaches us alone and we stop it in
/// order. Where the launcher can be used, Postgres is told to shut down when we die.
pub(super) fn server(
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
        None => program_as(postgres, account),
    };
    command.args(arguments).process_group(0);
    command
}

/// What the launcher is told on its command line.
#[derive(Debug, Clone)]
pub struct Launch {
    pub parent: u32,
    pub uid: Option<u32>,
    pub gid: Option<u32>,
    pub program: PathBuf,
    pub arguments: Vec<OsString>,
}

/// Becomes the program: drops root, asks the kernel for a fast shutdown when the parent dies, and executes it.
/// (The order matters: changing users forgets the request.)
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
        return Err(io::Error::other("the parent is gone already"));
    }
    Err(Command::new(&launch.program).args(&launch.arguments).exec())
}

/// Becomes the program; only Linux can tie its life to the parent's.
#[cfg(not(target_os = "linux"))]
pub fn become_program(launch: &Launch) -> io::Result<Infallible> {
    Err(Command::new(&launch.program).args(&launch.arguments).exec())
}
