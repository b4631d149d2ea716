//! `atlashub restore platform`: restores the platform database.

use std::process::ExitCode;

use uuid::Uuid;

use super::{Confirmation, RestoreTools};
use crate::{
    backups::{LaterRevocations, RecoveryError, StoredBackup, restore_platform},
    cli::{backup::parse_backup_id, error::CommandError},
    config::Config,
    db::{self, migrations},
    error::count,
    projects,
};

/// Restore the platform database: projects, keys, jobs, approvals of plugins
///
/// The current platform database is kept under another name. If it can be read and belongs to the same installation,
/// what was revoked since the backup stays revoked, and projects that were deleted since come back with all their keys
/// revoked.
#[derive(Debug, clap::Args)]
pub(super) struct PlatformArguments {
    /// Id of a backup, as `atlashub restore --list` shows it (default: the newest)
    #[arg(long, value_parser = parse_backup_id)]
    backup: Option<Uuid>,
    #[command(flatten)]
    lost_keys: LostKeys,
    #[command(flatten)]
    confirmation: Confirmation,
}

#[derive(Debug, clap::Args)]
pub(super) struct LostKeys {
    /// Restore the platform database although the master key of some encrypted values is lost; they stay unreadable
    #[arg(long)]
    accept_unreadable_values: bool,
}

pub(super) async fn run(arguments: &PlatformArguments, config: Config) -> Result<ExitCode, CommandError> {
    let tools = RestoreTools::begin(&config, "This replaces the platform database.", &arguments.confirmation).await?;
    let outcome = async {
        let backup = tools.choose("platform", arguments.backup)?;
        restore(&tools, backup, &arguments.lost_keys).await?;
        print_projects_without_database(&tools).await
    };
    let outcome = outcome.await;
    tools.running.stop().await;
    outcome.map(|()| ExitCode::SUCCESS)
}

/// Restores the platform database and prints the result.
pub(super) async fn restore(
    tools: &RestoreTools,
    backup: &StoredBackup,
    lost_keys: &LostKeys,
) -> Result<(), CommandError> {
    if backup.manifest.target != "platform" {
        return Err(CommandError::failed(format!("The backup is of `{}`, not of `platform`.", backup.manifest.target)));
    }
    let keys = (!lost_keys.accept_unreadable_values).then(|| tools.required_keys());
    if keys.is_some() {
        tools.check_master_key(backup)?;
    }
    let created_at = backup.manifest.created_at.format("%Y-%m-%d %H:%M:%S UTC");
    let identity = tools.identity.as_ref();
    let restored = restore_platform(&tools.store, &tools.restorer, backup, identity, keys.as_ref());
    let restored = restored.await.map_err(|error| {
        let remedy = match &error {
            RecoveryError::MissingKey(_) => {
                " Set this key as PLATFORM_MASTER_KEY_PREVIOUS. If it is lost, --accept-unreadable-values restores the \
                 rest."
            }
            _ => "",
        };
        let problem = "The platform database was not restored, and nothing was changed";
        CommandError::failed(format!("{problem}: {error}.{remedy}"))
    })?;
    migrations::apply(tools.running.services.database_url.expose()).await?;
    print_stdout!("platform  restored from the backup of {created_at}: {}", count(restored.rows, "row", "rows"));
    if let Some(kept) = &restored.kept {
        print_stdout!("  the previous database is kept as {kept}");
    }
    match restored.revocations {
        Some(LaterRevocations::Applied) => print_stdout!("  what was revoked since the backup stays revoked"),
        Some(LaterRevocations::OfOtherInstallation) => print_stdout!(
            "  the previous database has none of the restored projects: keys and plugins that were revoked since the \
             backup are valid; revoke them again"
        ),
        Some(LaterRevocations::Unreadable) => print_stdout!(
            "  the previous database could not be read: keys and plugins that were revoked since the backup are valid; \
             revoke them again"
        ),
        None => print_stdout!("  keys and plugins that were revoked since the backup are valid: revoke them again"),
    }
    if !restored.returned_projects.is_empty() {
        let projects = restored.returned_projects.join(", ");
        print_stdout!(
            "  keys of projects that the previous database does not have are revoked: create new keys for {projects}"
        );
    }
    if !restored.unknown_tables.is_empty() {
        let tables = restored.unknown_tables.join(", ");
        print_stdout!("  not restored, because this version of AtlasHub does not have them: {tables}");
    }
    Ok(())
}

/// Names the projects whose databases have to be restored next, for example on a new machine.
async fn print_projects_without_database(tools: &RestoreTools) -> Result<(), CommandError> {
    let pool = db::platform::connect(tools.running.services.database_url.expose(), 1)?;
    let differences = projects::compare_databases(&pool).await;
    pool.close().await;
    for (id, name) in differences?.missing {
        print_stdout!("  project {id} ({name}) has no database: restore it with `atlashub restore project {id}`");
    }
    Ok(())
}
