//! `atlashub keys`: encrypts the stored secrets with a new master key.

use std::process::ExitCode;

use super::{
    POSTGRES_TIMEOUT,
    error::CommandError,
    logging,
    services::{self, RunningServices},
};
use crate::{
    app,
    config::{Config, ConfigError, Role, Vars},
    db::{
        self,
        audit::{self, NewAuditEntry},
        server,
    },
    error::count,
    secrets::Sealer,
};

/// Manage the platform's master key
#[derive(Debug, clap::Args)]
#[command(arg_required_else_help = true)]
pub(super) struct KeysArguments {
    #[command(subcommand)]
    command: KeysCommand,
}

#[derive(Debug, clap::Subcommand)]
enum KeysCommand {
    /// Encrypt all stored secrets with the new master key
    ///
    /// First restart every node with the new key in PLATFORM_MASTER_KEY and the old key in
    /// PLATFORM_MASTER_KEY_PREVIOUS. Then run this command with the same two variables. Then remove
    /// PLATFORM_MASTER_KEY_PREVIOUS from every node. Nodes keep running during the rotation. The command can be
    /// interrupted and run again.
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
                    "set it to the old key and PLATFORM_MASTER_KEY to the new one, restart every node with both, \
                     then run this again",
                )
                .into());
            }
            services::check_data_folder(&config)?;
            let running = RunningServices::for_command(&config).await?;
            let outcome = rotate_master(&running).await;
            running.stop().await;
            outcome
        }
    }
}

async fn rotate_master(running: &RunningServices) -> Result<ExitCode, CommandError> {
    let services = &running.services;
    drop(server::connect_with_retry(services.database_url.expose(), POSTGRES_TIMEOUT).await?);
    let pool = db::platform::connect(services.database_url.expose(), 1)?;
    let sealer = Sealer::new(&services.master_key, services.previous_master_key.as_ref());
    let remedy = "Set PLATFORM_MASTER_KEY_PREVIOUS to the key that encrypted them.";
    if let Err(error) = services::check_master_key(&pool, &sealer, remedy).await {
        pool.close().await;
        return Err(error);
    }
    let mut entry = NewAuditEntry::new("cli", "keys.rotate_master");
    entry.target = Some(sealer.current_key().to_string());
    let report = audit::recorded(&pool, entry, async |entry| {
        let report = app::reseal_all(&pool, &sealer).await.map_err(anyhow::Error::from)?;
        entry.details = serde_json::json!({ "resealed": report.resealed });
        Ok::<_, CommandError>(report)
    })
    .await;
    pool.close().await;
    let report = report?;
    print_stdout!(
        "Encrypted {} with key {}; already encrypted with it: {}. PLATFORM_MASTER_KEY_PREVIOUS can now be \
         removed from every node.",
        count(report.resealed, "value", "values"),
        sealer.current_key(),
        report.already_current
    );
    Ok(ExitCode::SUCCESS)
}
