use std::{process::ExitCode, time::Duration};

use api_types::{Migration, MigrationState};

use super::{error::CommandError, logging, services::RunningServices};
use crate::{
    config::{Config, Role, Vars},
    db::{migrations, server},
};

/// Bring the platform database's tables up to date.
///
/// `serve` does this by itself at every start. Safe to run again, and while nodes run: they take turns.
#[derive(Debug, clap::Args)]
pub(super) struct MigrateArguments {
    /// List every migration with its state, and change nothing.
    #[arg(long, conflicts_with = "dry_run")]
    status: bool,
    /// Print the SQL that would run, and change nothing.
    #[arg(long)]
    dry_run: bool,
}

pub(super) async fn run(arguments: &MigrateArguments) -> Result<ExitCode, CommandError> {
    let vars = Vars::from_process()?;
    let config = Config::from_vars(&vars, Role::All)?;
    logging::start(&vars, config.log_json, "warn")?;
    let running = RunningServices::for_command(&config).await?;
    let outcome = act(arguments, running.services.database_url.expose()).await;
    running.stop().await;
    outcome
}

async fn act(arguments: &MigrateArguments, database_url: &str) -> Result<ExitCode, CommandError> {
    let mut connection = server::reach(database_url, Duration::from_secs(10)).await?;
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
            say!("-- {}\n{}", name(migration), migrations::text(migration.version).unwrap_or_default().trim_end());
        }
        if pending.is_empty() {
            say!("-- Nothing to do: the platform database is up to date.");
        }
        return Ok(ExitCode::SUCCESS);
    }
    drop(connection);
    let applied = migrations::apply(database_url).await?;
    for migration in &applied {
        say!("applied  {}", name(migration));
    }
    if applied.is_empty() {
        say!("Nothing to do: the platform database is up to date.");
    }
    Ok(ExitCode::SUCCESS)
}

fn print_state(migration: &Migration) {
    let state = match migration.state {
        MigrationState::Pending => "pending",
        MigrationState::Applied => "applied",
        MigrationState::Changed => "changed",
        MigrationState::Unknown => "unknown",
    };
    let at = migration.applied_at.map(|at| format!("  {}", at.format("%Y-%m-%d %H:%M:%S UTC"))).unwrap_or_default();
    say!("{state}  {}{at}", name(migration));
}

fn name(migration: &Migration) -> String {
    format!("{:04} {}", migration.version, migration.name)
}
