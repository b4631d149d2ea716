use std::process::ExitCode;

use uuid::Uuid;

use crate::{
    backups::{backup_id, mark_verified, stored_backups, verify_stored},
    cli::{error::CommandError, services::RunningServices},
    config::Config,
    db::restore::Restorer,
    object_store::ObjectStore,
    plugins::BackupVerification,
};

/// Verify a backup: restore it into a scratch database, compare every table's rows, and drop it.
///
/// Needs the store and a Postgres server that the platform's role can make a database on; the platform database itself may be
/// gone. Ctrl-C ends it and removes the scratch database.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct VerifyArguments {
    /// The backup's id, as `atlashub backup list` shows it.
    id: Uuid,
    /// Print the outcome as a JSON object.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(arguments: &VerifyArguments, config: &Config) -> Result<ExitCode, CommandError> {
    let running = RunningServices::for_command(config).await?;
    let outcome = verify(arguments, &running).await;
    running.stop().await;
    outcome
}

async fn verify(arguments: &VerifyArguments, running: &RunningServices) -> Result<ExitCode, CommandError> {
    let (id, services) = (arguments.id, &running.services);
    let store = ObjectStore::new(&services.storage);
    let failed = |what: &str, error: anyhow::Error| CommandError::failed(format!("{what}: {error:#}."));
    let backups = stored_backups(&store).await.map_err(|error| failed("The backups can't be read", error.into()))?;
    let Some(backup) = backups.into_iter().find(|backup| backup_id(&backup.object_key) == id) else {
        return Err(CommandError::failed(format!(
            "There is no backup {id} in storage; `atlashub backup list` shows those that there are."
        )));
    };
    let restorer = Restorer::new(&services.database_url, services.postgres_programs.clone())?;
    let verified = tokio::select! {
        verified = verify_stored(&store, &restorer, &backup, Uuid::now_v7()) => Some(verified),
        _ = tokio::signal::ctrl_c() => None,
    };
    restorer.settle().await;
    let Some(verified) = verified else { return Err(CommandError::failed("It was ended before it was known.")) };
    let verification = verified.map_err(|error| failed(&format!("Backup {id} is not verified"), error.into()))?;
    if verification.differences.is_empty()
        && let Err(error) = mark_verified(services.database_url.expose(), id).await
    {
        // The catalogue may be what was lost.
        tracing::info!(%error, "the catalogue could not be told");
    }
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
            "rows": rows, "sizeBytes": size_bytes, "durationMs": duration.as_millis() as u64, "differences": differences });
        say!("{line}");
        return;
    }
    let state = if differences.is_empty() { "verified" } else { "not as its manifest says" };
    say!(
        "{id}  {target}  {state}: {tables} tables, {rows} rows, {size_bytes} bytes in {:.1} s",
        duration.as_secs_f64()
    );
    let rows = |rows: Option<u64>| rows.map_or_else(|| "no table".to_owned(), |rows| format!("{rows} rows"));
    for difference in differences {
        let (expected, found) = (rows(difference.expected), rows(difference.found));
        say!("  {}.{}: {expected} expected, {found} found", difference.schema, difference.table);
    }
}
