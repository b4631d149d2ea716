//! `atlashub restore`: restores databases from the backups in the object store, while no server runs. Besides a
//! Postgres server, needs only the master key, and the identity file of encrypted backups.

mod everything;
mod platform;
mod project;

use std::process::ExitCode;

use uuid::Uuid;

use super::{
    backup::print_line,
    error::CommandError,
    identity::IdentityArguments,
    logging,
    services::{self, RunningServices, RunningStore},
};
use crate::{
    app,
    backups::{RequiredKeys, StoredBackup, backup_id, list_stored_backups, other_sessions},
    config::{AgeIdentity, Config, Role, Vars},
    db::restore::Restorer,
    object_store::ObjectStore,
    secrets::Sealer,
};

/// Restore the platform database, projects, or everything from backups
///
/// Stop the servers first. Only the object store, a Postgres server, the master key and the identity file of encrypted
/// backups are needed. Databases that are replaced are kept under another name. Every command can be repeated after it
/// was interrupted.
#[derive(Debug, clap::Args)]
#[command(arg_required_else_help = true, args_conflicts_with_subcommands = true)]
pub(super) struct RestoreArguments {
    /// List the backups in the object store, newest first
    #[arg(long)]
    list: bool,
    #[command(subcommand)]
    command: Option<RestoreCommand>,
}

#[derive(Debug, clap::Subcommand)]
enum RestoreCommand {
    Platform(platform::PlatformArguments),
    Project(project::ProjectArguments),
    Everything(everything::EverythingArguments),
}

pub(super) async fn run(arguments: &RestoreArguments) -> Result<ExitCode, CommandError> {
    let vars = Vars::from_process()?;
    let config = Config::from_vars(&vars, Role::All)?;
    logging::start(&vars, config.log_json, "warn")?;
    services::check_data_folder(&config)?;
    match &arguments.command {
        None => list(&config).await,
        Some(RestoreCommand::Platform(arguments)) => platform::run(arguments, config).await,
        Some(RestoreCommand::Project(arguments)) => project::run(arguments, config).await,
        Some(RestoreCommand::Everything(arguments)) => everything::run(arguments, config).await,
    }
}

async fn list(config: &Config) -> Result<ExitCode, CommandError> {
    let running = RunningStore::for_command(config).await?;
    let listed = list_stored_backups(&ObjectStore::new(&running.storage)).await;
    running.stop().await;
    let backups = listed.map_err(unreadable)?;
    backups.iter().for_each(print_line);
    if backups.is_empty() {
        eprintln!("No backups found in the object store.");
    }
    Ok(ExitCode::SUCCESS)
}

/// Arguments of every restore.
#[derive(Debug, clap::Args)]
struct Confirmation {
    #[command(flatten)]
    identity: IdentityArguments,
    /// Confirm the restore
    #[arg(long)]
    yes: bool,
}

/// The services of a restore, and the backups to choose from.
struct RestoreTools {
    running: RunningServices,
    store: ObjectStore,
    restorer: Restorer,
    backups: Vec<StoredBackup>,
    /// Decrypts encrypted backups.
    identity: Option<AgeIdentity>,
}

impl RestoreTools {
    /// Starts the embedded services, or connects to the external ones, and reads the list of backups.
    ///
    /// # Errors
    /// Fails without `--yes`, if another program uses the data folder or the platform database, if a service is
    /// unavailable, or if the identity file or the list of backups can't be read.
    async fn begin(config: &Config, consequence: &str, confirmation: &Confirmation) -> Result<Self, CommandError> {
        if !confirmation.yes {
            return Err(CommandError::failed(format!("{consequence} Repeat the command with --yes to do it.")));
        }
        let identity = confirmation.identity.read(config)?;
        let running = RunningServices::alone(config).await?;
        match Self::open(&running).await {
            Ok((store, restorer, backups)) => Ok(Self { running, store, restorer, backups, identity }),
            Err(error) => {
                running.stop().await;
                Err(error)
            }
        }
    }

    async fn open(running: &RunningServices) -> Result<(ObjectStore, Restorer, Vec<StoredBackup>), CommandError> {
        let services = &running.services;
        let store = ObjectStore::new(&services.storage);
        let restorer = Restorer::new(&services.database_url, services.postgres_programs.clone())?;
        let users = other_sessions(&restorer)
            .await
            .map_err(|error| CommandError::failed(format!("Postgres can't be used for a restore: {error}.")))?;
        if !users.is_empty() {
            return Err(CommandError::failed(format!(
                "Other programs use the platform database ({}): stop all servers first.",
                users.join(", ")
            )));
        }
        let backups = list_stored_backups(&store).await.map_err(unreadable)?;
        Ok((store, restorer, backups))
    }

    /// Returns the backup with this id, which may be of another target. Without an id, returns the newest backup of the
    /// target.
    fn choose(&self, target: &str, id: Option<Uuid>) -> Result<&StoredBackup, CommandError> {
        let of_target = |backup: &&StoredBackup| backup.manifest.target == target;
        match id {
            None => self
                .backups
                .iter()
                .find(of_target)
                .ok_or_else(|| CommandError::failed(format!("The object store has no backup of `{target}`."))),
            Some(id) => self.backups.iter().find(|backup| backup_id(&backup.object_key) == id).ok_or_else(|| {
                CommandError::failed(format!(
                    "The object store has no backup {id}. `atlashub restore --list` lists all backups."
                ))
            }),
        }
    }

    /// Returns the configured master keys, which have to open the values of a restored platform database.
    fn required_keys(&self) -> RequiredKeys {
        let services = &self.running.services;
        let sealer = Sealer::new(&services.master_key, services.previous_master_key.as_ref());
        RequiredKeys { sealer, columns: app::sealed_columns() }
    }

    /// Checks that the current or the previous master key is the one that the backup needs.
    fn check_master_key(&self, backup: &StoredBackup) -> Result<(), CommandError> {
        let services = &self.running.services;
        let Some(needed) = &backup.manifest.master_key_id else { return Ok(()) };
        let current = Sealer::new(&services.master_key, None).current_key().to_string();
        let previous = services.previous_master_key.as_ref().map(|key| key.id().to_string());
        if *needed == current || previous.as_ref() == Some(needed) {
            return Ok(());
        }
        Err(CommandError::failed(format!(
            "The backup needs the master key {needed}, but PLATFORM_MASTER_KEY is the key {current}: set the key that \
             was in use when the backup was made, as PLATFORM_MASTER_KEY_PREVIOUS if it was replaced since."
        )))
    }
}

fn unreadable(error: crate::object_store::StoreError) -> CommandError {
    CommandError::failed(format!("The backups can't be read ({:#}).", anyhow::Error::from(error)))
}
