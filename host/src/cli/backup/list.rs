//! `atlashub backup list`: lists the backups in the object store.

use std::process::ExitCode;

use crate::{
    backups::{StoredBackup, backup_id, list_stored_backups},
    cli::{
        error::CommandError,
        services::{self, RunningStore},
    },
    config::Config,
    object_store::{ObjectStore, StoreError},
};

/// List the backups in the object store, newest first
///
/// Reads only the manifests in the object store, so it works without the platform database.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct ListArguments {
    /// Only list backups of this database: `platform` or `project:<id>`
    #[arg(long)]
    target: Option<String>,
    /// Print one JSON object per line, with the manifest of each backup
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(arguments: &ListArguments, config: &Config) -> Result<ExitCode, CommandError> {
    services::check_data_folder(config)?;
    let running = RunningStore::for_command(config).await?;
    let listed = list_stored_backups(&ObjectStore::new(&running.storage)).await;
    let endpoint = running.storage.endpoint.clone();
    running.stop().await;
    let backups = listed.map_err(|error| unreadable(&endpoint, error))?;
    let wanted =
        |backup: &&StoredBackup| arguments.target.as_ref().is_none_or(|target| *target == backup.manifest.target);
    let mut is_empty = true;
    for backup in backups.iter().filter(wanted) {
        is_empty = false;
        if arguments.json { print_json(backup) } else { print_line(backup) }
    }
    if is_empty {
        eprintln!("No backups found in the object store.");
    }
    Ok(ExitCode::SUCCESS)
}

pub(in crate::cli) fn print_line(backup: &StoredBackup) {
    let manifest = &backup.manifest;
    print_stdout!(
        "{}  {}  {:>12}  {}  {}{}",
        backup_id(&backup.object_key),
        manifest.created_at.format("%Y-%m-%d %H:%M:%S UTC"),
        manifest.size_bytes,
        manifest.target,
        backup.object_key,
        manifest.title.as_ref().map(|title| format!("  ({title})")).unwrap_or_default()
    );
}

fn print_json(backup: &StoredBackup) {
    let mut line = serde_json::json!({ "id": backup_id(&backup.object_key), "objectKey": backup.object_key });
    if let (serde_json::Value::Object(line), Ok(serde_json::Value::Object(manifest))) =
        (&mut line, serde_json::to_value(&backup.manifest))
    {
        line.extend(manifest);
    }
    print_stdout!("{line}");
}

fn unreadable(endpoint: &str, error: StoreError) -> CommandError {
    CommandError::failed(format!(
        "The backups at {endpoint} can't be read ({:#}): check the store and ATLASHUB_S3_ENDPOINT with `atlashub \
         doctor`.",
        anyhow::Error::from(error)
    ))
}
