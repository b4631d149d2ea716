//! `atlashub backup verify`: restores a backup into a scratch database and compares it with its manifest.

use std::process::ExitCode;

use uuid::Uuid;

use super::parse_backup_id;
use crate::{
    backups::{backup_id, list_stored_backups, record_outcome, verify_stored},
    cli::{
        error::CommandError,
        identity::IdentityArguments,
        services::{self, RunningServices},
    },
    config::Config,
    db::restore::Restorer,
    error::count,
    object_store::ObjectStore,
    plugins::BackupVerification,
};

/// Verify a backup by restoring it into a scratch database
///
/// Compares the number of rows of every table with the manifest, then removes the scratch database. Also checks that
/// the copies of the backed-up objects exist. Exits with 1 if something differs or is missing.
///
/// Needs the object store and a Postgres server on which the platform's role can create a database, but not the
/// platform database. Ctrl-C stops the command and removes the scratch database.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct VerifyArguments {
    /// The backup's id, as shown by `atlashub backup list`
    #[arg(value_parser = parse_backup_id)]
    id: Uuid,
    #[command(flatten)]
    identity: IdentityArguments,
    /// Print the result as a JSON object
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(arguments: &VerifyArguments, config: &Config) -> Result<ExitCode, CommandError> {
    services::check_data_folder(config)?;
    let running = RunningServices::for_command(config).await?;
    let outcome = verify(arguments, config, &running).await;
    running.stop().await;
    outcome
}

async fn verify(
    arguments: &VerifyArguments,
    config: &Config,
    running: &RunningServices,
) -> Result<ExitCode, CommandError> {
    let identity = arguments.identity.read(config)?;
    let (id, services) = (arguments.id, &running.services);
    let store = ObjectStore::new(&services.storage);
    let failed = |what: &str, error: anyhow::Error| CommandError::failed(format!("{what}: {error:#}."));
    let backups =
        list_stored_backups(&store).await.map_err(|error| failed("The backups can't be read", error.into()))?;
    let Some(backup) = backups.into_iter().find(|backup| backup_id(&backup.object_key) == id) else {
        return Err(CommandError::failed(format!(
            "Backup {id} was not found in the object store. `atlashub backup list` lists all backups."
        )));
    };
    let restorer = Restorer::new(&services.database_url, services.postgres_programs.clone())?;
    let verified = tokio::select! {
        verified = verify_stored(&store, &restorer, &backup, identity.as_ref(), Uuid::now_v7()) => Some(verified),
        _ = tokio::signal::ctrl_c() => None,
    };
    restorer.wait_for_cleanup().await;
    let Some(verified) = verified else { return Err(CommandError::failed("The verification was interrupted.")) };
    if let Err(error) = record_outcome(services.database_url.expose(), id, &verified, "cli").await {
        // Verification must also work when the platform database is lost.
        tracing::info!(%error, "the outcome could not be recorded in the catalogue");
    }
    let verification = verified.map_err(|error| failed(&format!("Backup {id} could not be verified"), error.into()))?;
    print(&verification, id, &backup.manifest.target, arguments.json);
    Ok(if verification.differences.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn print(verification: &BackupVerification, id: Uuid, target: &str, json: bool) {
    let BackupVerification { tables, rows, differences, size_bytes, duration } = verification;
    if json {
        let differences: Vec<_> = differences
            .iter()
            .map(|difference| {
                serde_json::json!({ "schema": difference.schema, "table": difference.table,
                    "expected": difference.expected, "found": difference.found })
            })
            .collect();
        let line = serde_json::json!({ "id": id, "target": target, "verified": differences.is_empty(), "tables": tables,
            "rows": rows, "sizeBytes": size_bytes, "durationMs": duration.as_millis() as u64,
            "differences": differences });
        print_stdout!("{line}");
        return;
    }
    let state = if differences.is_empty() { "verified" } else { "differs from its manifest" };
    print_stdout!(
        "{id}  {target}  {state}: {}, {}, {size_bytes} bytes in {:.1} s",
        count(*tables, "table", "tables"),
        count(*rows, "row", "rows"),
        duration.as_secs_f64()
    );
    let rows = |rows: Option<u64>| rows.map_or_else(|| "table missing".to_owned(), |rows| count(rows, "row", "rows"));
    for difference in differences {
        let (expected, found) = (rows(difference.expected), rows(difference.found));
        print_stdout!("  {}.{}: {expected} expected, {found} found", difference.schema, difference.table);
    }
}
