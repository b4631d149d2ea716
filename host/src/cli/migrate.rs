//! `atlashub migrate`: applies or lists the migrations of the platform database.

use std::process::ExitCode;

use api_types::{Migration, MigrationState};

use super::{
    POSTGRES_TIMEOUT,
    error::CommandError,
    logging,
    services::{self, RunningServices},
};
use crate::{
    config::{Config, Role, Vars},
    db::{migrations, server},
};

/// Apply pending migrations to the platform database
///
/// `serve` does this at every start. The command can be repeated, and can run while nodes are running: a lock lets only
/// one process migrate at a time.
#[derive(Debug, clap::Args)]
pub(super) struct MigrateArguments {
    /// Only list every migration with its state: pending, applied, changed or unknown. Exit with 1 if one is changed
    #[arg(long, conflicts_with = "dry_run")]
    status: bool,
    /// Only print the SQL of pending migrations
    #[arg(long)]
    dry_run: bool,
}

pub(super) async fn run(arguments: &MigrateArguments) -> Result<ExitCode, CommandError> {
    let vars = Vars::from_process()?;
    let config = Config::from_vars(&vars, Role::All)?;
    logging::start(&vars, config.log_json, "warn")?;
    if arguments.status || arguments.dry_run {
        services::check_data_folder(&config)?;
    }
    let running = RunningServices::for_command(&config).await?;
    let outcome = migrate(arguments, running.services.database_url.expose()).await;
    running.stop().await;
    outcome
}

async fn migrate(arguments: &MigrateArguments, database_url: &str) -> Result<ExitCode, CommandError> {
    let mut connection = server::connect_with_retry(database_url, POSTGRES_TIMEOUT).await?;
    if arguments.status {
        let all = migrations::status(&mut connection).await?;
        all.iter().for_each(print_state);
        let changed = all.iter().any(|migration| migration.state == MigrationState::Changed);
        return Ok(if changed { ExitCode::FAILURE } else { ExitCode::SUCCESS });
    }
    if arguments.dry_run {
        let all = migrations::status(&mut connection).await?;
        let pending: Vec<_> = all.iter().filter(|migration| migration.state == MigrationState::Pending).collect();
        for migration in &pending {
            print_stdout!(
                "-- {}\n{}",
                name(migration),
                migrations::sql(migration.version).unwrap_or_default().trim_end()
            );
        }
        if pending.is_empty() {
            print_stdout!("-- No pending migrations: the platform database is up to date.");
        }
        return Ok(ExitCode::SUCCESS);
    }
    drop(connection);
    let applied = migrations::apply(database_url).await?;
    for migration in &applied {
        print_stdout!("applied  {}", name(migration));
    }
    if applied.is_empty() {
        print_stdout!("No pending migrations: the platform database is up to date.");
    }
    Ok(ExitCode::SUCCESS)
}

fn print_state(migration: &Migration) {
    let state = migration.state;
    let at = migration.applied_at.map(|at| format!("  {}", at.format("%Y-%m-%d %H:%M:%S UTC"))).unwrap_or_default();
    print_stdout!("{state}  {}{at}", name(migration));
}

fn name(migration: &Migration) -> String {
    format!("{:04} {}", migration.version, migration.name)
}
