//! The command line: reads arguments and configuration, calls what does the work, says how it ended.

mod run_postgres;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// A personal, self-hosted backend platform: Postgres, storage, keys and jobs behind one HTTP API.
#[derive(Debug, Parser)]
#[command(name = "atlashub", version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    #[command(name = crate::embedded::postgres::launch::LAUNCHER_SUBCOMMAND, hide = true)]
    RunPostgres(run_postgres::RunPostgresArguments),
}

/// The program.
pub fn run() -> ExitCode {
    match Arguments::parse().command {
        Command::RunPostgres(arguments) => run_postgres::run(arguments),
    }
}

/// One line on stderr.
fn fail(line: &str, code: u8) -> ExitCode {
    eprintln!("{line}");
    ExitCode::from(code)
}
