//! The internal command that starts a program of the embedded Postgres.

use std::{ffi::OsString, path::PathBuf, process::ExitCode};

use super::error::CommandError;
use crate::embedded::postgres::launch::{Launch, become_program};

/// Internal: the programs of the embedded Postgres are run with this command, so that they end if the process that
/// started them is killed
#[derive(Debug, clap::Args)]
pub(super) struct RunPostgresArguments {
    #[arg(long)]
    parent: u32,
    #[arg(long, requires = "gid")]
    uid: Option<u32>,
    #[arg(long, requires = "uid")]
    gid: Option<u32>,
    #[arg(long)]
    lock: PathBuf,
    #[arg(long)]
    die: bool,
    program: PathBuf,
    #[arg(last = true)]
    arguments: Vec<OsString>,
}

pub(super) fn run(arguments: RunPostgresArguments) -> ExitCode {
    let RunPostgresArguments { parent, uid, gid, lock, die, program, arguments } = arguments;
    let launch = Launch { parent, uid, gid, lock, die, program, arguments };
    let Err(error) = become_program(&launch);
    CommandError::failed(format!("{} could not be started: {error}.", launch.program.display())).report()
}
