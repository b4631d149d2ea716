use std::{process::ExitCode, time::Duration};

use super::{error::CommandError, logging, services::RunningServices};
use crate::{
    app,
    config::{Config, ConfigError, Role, Vars},
    db::{self, server},
    secrets::Sealer,
};

/// Keys of the platform itself.
#[derive(Debug, clap::Args)]
#[command(arg_required_else_help = true)]
pub(super) struct KeysArguments {
    #[command(subcommand)]
    command: KeysCommand,
}

#[derive(Debug, clap::Subcommand)]
enum KeysCommand {
    /// Seal everything anew with PLATFORM_MASTER_KEY, while nodes run.
    ///
    /// First restart every node with the new key in PLATFORM_MASTER_KEY and the old one in
    /// PLATFORM_MASTER_KEY_PREVIOUS, then run this with the same two, then remove the old one. Can be stopped
    /// and run again.
    RotateMaster,
}

pub(super) async fn run(arguments: &KeysArguments) -> Result<ExitCode, CommandError> {
    let vars = Vars::from_process()?;
    let config = Config::from_vars(&vars, Role::All)?;
    logging::start(&vars, config.log_json, "warn")?;
    match arguments.command {
        KeysCommand::RotateMaster => {
            if config.previous_master_key.is_none() {
                return Err(ConfigError::new(
                    "PLATFORM_MASTER_KEY_PREVIOUS",
                    "is not set",
                    "set it to the old key and PLATFORM_MASTER_KEY to the new one, restart every node with both, then run this again",
                )
                .into());
            }
            let running = RunningServices::for_command(&config).await?;
            let outcome = rotate_master(&running).await;
            running.stop().await;
            outcome
        }
    }
}

async fn rotate_master(running: &RunningServices) -> Result<ExitCode, CommandError> {
    let services = &running.services;
    drop(server::reach(services.database_url.expose(), Duration::from_secs(10)).await?);
    let pool = db::platform::connect(services.database_url.expose(), 1)?;
    let sealer = Sealer::new(&services.master_key, services.previous_master_key.as_ref());
    let report = app::reseal_all(&pool, &sealer).await;
    pool.close().await;
    let report = report.map_err(anyhow::Error::from)?;
    say!(
        "Sealed {} values anew with key {}; {} were already. PLATFORM_MASTER_KEY_PREVIOUS can be removed from every node now.",
        report.resealed,
        sealer.current_key(),
        report.already_current
    );
    Ok(ExitCode::SUCCESS)
}
