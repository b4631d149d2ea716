//! The command line: reads arguments and configuration, calls what does the work, says how it ended.
//!
//! Exit codes: 0 done; 1 it failed, or `doctor` found something; 2 wrong arguments or configuration. What a
//! person or program asked for is on stdout, everything else on stderr.

/// Writes a line to stdout. Whoever reads it may have gone (`| head`): the work is finished all the same.
macro_rules! say {
    ($($argument:tt)*) => {{
        let _ = std::io::Write::write_fmt(&mut std::io::stdout(), format_args!("{}\n", format_args!($($argument)*)));
    }};
}

mod backup;
mod banner;
mod doctor;
mod error;
mod healthcheck;
mod keys;
mod listen;
mod logging;
mod migrate;
mod openapi;
mod plugin;
mod run_postgres;
mod serve;
mod services;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use error::CommandError;

/// A personal, self-hosted backend platform: Postgres, storage, keys and jobs behind one HTTP API.
///
/// Configured by environment variables and a `.env` file; docs/CONFIGURATION.md lists them. With none set,
/// `atlashub serve` runs a Postgres and an object store of its own in ./.atlashub.
#[derive(Debug, Parser)]
#[command(name = "atlashub", version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::ServeArguments),
    Migrate(migrate::MigrateArguments),
    Doctor(doctor::DoctorArguments),
    Healthcheck(healthcheck::HealthcheckArguments),
    Openapi(openapi::OpenapiArguments),
    Keys(keys::KeysArguments),
    Backup(backup::BackupArguments),
    Plugin(plugin::PluginArguments),
    #[command(name = crate::embedded::postgres::launch::LAUNCHER_SUBCOMMAND, hide = true)]
    RunPostgres(run_postgres::RunPostgresArguments),
    /// Not for people: `serve` compiles plugins in a process of their own.
    #[command(name = plugin_compiler::SUBCOMMAND, hide = true)]
    CompilePlugin,
}

/// The program.
pub fn run() -> ExitCode {
    keep_pages_small();
    let command = match Arguments::parse().command {
        // Becomes another program: nothing of ours may be set up before.
        Command::RunPostgres(arguments) => return run_postgres::run(arguments),
        // Needs nothing of ours.
        Command::CompilePlugin => return plugin_compiler::compile_stdin(),
        command => command,
    };
    // Every TLS connection needs a provider, and there must be one in the program.
    if rustls::crypto::aws_lc_rs::default_provider().install_default().is_err() {
        tracing::debug!("a TLS provider was installed before");
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            return CommandError::failed(format!("The process could not start its threads: {error}.")).report();
        }
    };
    let outcome = runtime.block_on(async {
        match command {
            Command::Serve(arguments) => serve::run(&arguments).await,
            Command::Migrate(arguments) => migrate::run(&arguments).await,
            Command::Doctor(arguments) => doctor::run(&arguments).await,
            Command::Healthcheck(arguments) => healthcheck::run(&arguments).await,
            Command::Openapi(arguments) => openapi::run(&arguments),
            Command::Keys(arguments) => keys::run(&arguments).await,
            Command::Backup(arguments) => backup::run(&arguments).await,
            Command::Plugin(arguments) => plugin::run(&arguments).await,
            Command::RunPostgres(arguments) => Ok(run_postgres::run(arguments)),
            Command::CompilePlugin => Ok(plugin_compiler::compile_stdin()),
        }
    });
    // A task that hangs must not hold up the end.
    runtime.shutdown_background();
    outcome.unwrap_or_else(|error| error.report())
}

/// A server that is idle most of its time would hold two MiB for each few KiB that it uses, where the system gives out huge pages unasked.
fn keep_pages_small() {
    #[cfg(target_os = "linux")]
    if let Err(error) = nix::sys::prctl::set_thp_disable(true) {
        tracing::debug!(%error, "the system decides on huge pages");
    }
}
