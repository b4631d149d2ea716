//! The command line: parses arguments and configuration, runs the command, and reports its result.
//!
//! Exit codes: 0 for success; 1 for a failure, or if a check such as `doctor` found a problem; 2 for invalid arguments
//! or configuration; 130 after a second signal to `serve`. Results go to stdout, everything else to stderr.
//!
//! Each subcommand is one module or folder: `serve`, `migrate`, `doctor`, `healthcheck`, `openapi`, `keys`, `backup`,
//! `restore`, `plugin`, and `run_postgres` (internal). The crate `plugin_compiler` contains the other internal one.
//! They share `services` (external or embedded), `logging` and `error`; `identity` is for encrypted backups; `listen`
//! and `banner` belong to `serve`.

/// Writes a line to stdout. Ignores errors, so that a command completes even if its reader has gone (`| head`).
macro_rules! print_stdout {
    ($($argument:tt)*) => {{
        let _ = std::io::Write::write_fmt(&mut std::io::stdout(), format_args!("{}\n", format_args!($($argument)*)));
    }};
}

mod backup;
mod banner;
mod doctor;
mod error;
mod healthcheck;
mod identity;
mod keys;
mod listen;
mod logging;
mod migrate;
mod openapi;
mod plugin;
mod restore;
mod run_postgres;
mod serve;
mod services;

use std::{process::ExitCode, time::Duration};

use clap::{Parser, Subcommand};

use error::CommandError;

/// Maximum time that commands wait for Postgres. `serve` and `doctor` have limits of their own.
const POSTGRES_TIMEOUT: Duration = Duration::from_secs(10);
/// Size of the threads' stacks. It is large, because types of Postgres are looked up recursively; see
/// `db::ExclusiveClient`. A page of a stack takes memory only once it is used.
const STACK_BYTES: usize = 32 << 20;

/// A personal, self-hosted backend platform: Postgres, storage, keys and jobs behind one HTTP API.
///
/// Configured by environment variables and a `.env` file; docs/CONFIGURATION.md lists them. Without any
/// configuration, `atlashub serve` runs a private Postgres and object store with their data in ./.atlashub.
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
    Restore(restore::RestoreArguments),
    Plugin(plugin::PluginArguments),
    #[command(name = crate::embedded::postgres::launch::LAUNCHER_SUBCOMMAND, hide = true)]
    RunPostgres(run_postgres::RunPostgresArguments),
    /// Internal: plugins are compiled in a separate process, which runs this command
    #[command(name = plugin_compiler::SUBCOMMAND, hide = true)]
    CompilePlugin {
        /// Memory that the process may use, in MiB
        memory_mib: u32,
    },
}

/// Runs the program with the process's arguments.
pub fn run() -> ExitCode {
    disable_huge_pages();
    let command = match Arguments::parse().command {
        // This command replaces the process with another program, so it runs before anything else is set up.
        Command::RunPostgres(arguments) => return run_postgres::run(arguments),
        // This command needs no runtime.
        Command::CompilePlugin { memory_mib } => return plugin_compiler::compile_stdin(memory_mib),
        command => command,
    };
    // TLS connections use the process's default provider.
    if rustls::crypto::aws_lc_rs::default_provider().install_default().is_err() {
        tracing::debug!("a TLS provider was already installed");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().thread_stack_size(STACK_BYTES).enable_all().build();
    let runtime = match runtime {
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
            Command::Restore(arguments) => restore::run(&arguments).await,
            Command::Plugin(arguments) => plugin::run(&arguments).await,
            Command::RunPostgres(arguments) => Ok(run_postgres::run(arguments)),
            Command::CompilePlugin { memory_mib } => Ok(plugin_compiler::compile_stdin(memory_mib)),
        }
    });
    // The process does not wait for tasks that hang.
    runtime.shutdown_background();
    outcome.unwrap_or_else(|error| error.report())
}

/// Disables transparent huge pages. With them, a mostly idle server would hold 2 MiB for each few KiB that it uses.
fn disable_huge_pages() {
    #[cfg(target_os = "linux")]
    if let Err(error) = nix::sys::prctl::set_thp_disable(true) {
        tracing::debug!(%error, "transparent huge pages could not be disabled");
    }
}
