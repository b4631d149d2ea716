//! Verifies a backup: restores it into a scratch database, and compares the numbers of rows with the manifest.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use api_types::AuditResult;
use futures_util::StreamExt as _;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use sqlx::Connection as _;
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

use super::{
    BackupsState, Catalogue,
    catalogue::{database_error, storage_error},
    create,
    manifest::{ManifestTable, is_own_schema},
    objects::{self, ObjectsError},
    queries::{self, BackupRow},
    stored::{self, StoredBackup},
};
use crate::{
    config::AgeIdentity,
    db::{
        DatabaseName, DbError,
        audit::{self, NewAuditEntry},
        dump::TableRows,
        restore::{Archive, RestoreError, Restorer, ScratchName},
    },
    error::{ApiError, ApiResult, count, describe_cause},
    jobs::{NewRun, Runs},
    object_store::{ObjectStore, PLATFORM_BUCKET},
    plugins::{BackupVerification, CatalogueError, RunLease, TableDifference},
    secrets::{self, AgeError, age_file},
};

/// Remedy for a missing or wrong identity.
const IDENTITY_REMEDY: &str =
    "verify the backup with `identity` in the request, or with `atlashub backup verify --identity-file`";
/// Maximum number of tables named in the reason for a failure.
const MAX_NAMED_TABLES: usize = 10;
/// The job of the plugin `backup` that verifies backups.
const JOB: &str = "verify";
/// Time limit of a run. This is enough for large databases. Restoring takes longer than dumping, because it rebuilds
/// indexes.
const RUN_TIMEOUT: Duration = Duration::from_secs(24 * 3600);

/// Restores a backup into a scratch database, counts its rows, and removes the database. Needs a Postgres server and
/// the object store, but no platform database. The result lists the differences from the manifest. An encrypted backup
/// needs an identity. If the backup includes objects, also checks that their copies exist, but not their content.
///
/// # Errors
/// Returns `Unverified` if the dump or a copy of an object is missing, or if the dump was changed or can't be restored.
/// Returns `NotChecked` if the identity is missing or wrong, if `pg_restore` can't be run or can't read the archive's
/// version, if Postgres rejects a scratch database, if its disk is full, or if it lacks another resource or cancels a
/// statement. Returns `Unavailable` if Postgres or the store is unavailable.
pub async fn verify_stored(
    store: &ObjectStore,
    restorer: &Restorer,
    backup: &StoredBackup,
    identity: Option<&AgeIdentity>,
    run: Uuid,
) -> Result<BackupVerification, CatalogueError> {
    let (begun, manifest) = (Instant::now(), &backup.manifest);
    objects::check_copies(store, backup).await.map_err(objects_failure)?;
    let object = store.get(PLATFORM_BUCKET, &backup.object_key).await.map_err(storage_error)?;
    let Some((_, bytes)) = object else { return unverified("its dump is missing in the object store") };
    let (mut digest, mut size) = (Sha256::new(), 0_u64);
    let mut bytes = bytes.map(|chunk| {
        let chunk = chunk.map_err(std::io::Error::other)?;
        digest.update(&chunk);
        size += chunk.len() as u64;
        Ok(chunk)
    });
    let mut content = age_file::open(&mut bytes, identity).await.map_err(unreadable)?.content;
    let archive = Archive { bytes: &mut content, dump_version: manifest.dump_version.as_deref() };
    let restored = restorer.restore(run, &secrets::random_password(), archive).await;
    drop(content);
    drop(bytes);
    // The digest is checked first, because restoring a changed dump may fail in any way. After any other error the
    // digest is incomplete, because the dump was not read completely.
    if restored.as_ref().map_or_else(RestoreError::is_of_content, |_| true) {
        let found = hex::encode(digest.finalize());
        if found != manifest.sha256 {
            return unverified(format!(
                "the stored dump was changed: its SHA-256 is {found} over {size} bytes, but the manifest says {} \
                 over {}",
                manifest.sha256, manifest.size_bytes
            ));
        }
    }
    if matches!(&restored, Err(RestoreError::Archive(error)) if age_file::is_damage(error)) {
        return unverified("the stored dump was changed or damaged: it can't be decrypted completely");
    }
    let restored = restored.map_err(restore_failure)?;
    // Counts only the tables that the catalogue and the dashboard count, but compares all tables.
    let own = || restored.tables.iter().filter(|table| is_own_schema(&table.schema));
    Ok(BackupVerification {
        tables: own().count(),
        rows: own().map(|table| table.rows).sum(),
        differences: compare_tables(&manifest.tables, &restored.tables),
        size_bytes: size,
        duration: begun.elapsed(),
    })
}

/// Records the outcome of a verification in the catalogue, and in the audit log as an action of `actor`. Does nothing
/// if the catalogue doesn't contain the backup, or if the outcome does not show whether the backup is good.
///
/// # Errors
/// Fails if the platform database is unavailable.
pub async fn record_outcome(
    database_url: &str,
    id: Uuid,
    outcome: &Result<BackupVerification, CatalogueError>,
    actor: &str,
) -> Result<(), sqlx::Error> {
    let Some(outcome) = judge(outcome) else { return Ok(()) };
    let mut connection = sqlx::PgConnection::connect(database_url).await?;
    let mut transaction = connection.begin().await?;
    if mark(&mut transaction, id, &outcome).await? {
        let mut entry = NewAuditEntry::new(actor, "backup.verify");
        entry.target = Some(id.to_string());
        if outcome.is_err() {
            entry.result = AuditResult::Failed;
        }
        entry.details = json!({ "problem": outcome.err() });
        audit::record(&mut *transaction, &entry).await?;
    }
    transaction.commit().await?;
    connection.close().await
}

/// Returns `Some(Ok)` if the backup can be restored, `Some(Err)` with the reason if it can't, and `None` if the
/// verification could not check the backup.
fn judge(outcome: &Result<BackupVerification, CatalogueError>) -> Option<Result<(), String>> {
    match outcome {
        Ok(verification) if verification.differences.is_empty() => Some(Ok(())),
        Ok(verification) => {
            let rows =
                |rows: Option<u64>| rows.map_or_else(|| "no table".to_owned(), |rows| count(rows, "row", "rows"));
            let differences = verification.differences.iter().take(MAX_NAMED_TABLES).map(|difference| {
                let TableDifference { schema, table, expected, found } = difference;
                format!("{schema}.{table}: {} expected, {} found", rows(*expected), rows(*found))
            });
            let named = differences.collect::<Vec<_>>().join("; ");
            let count = verification.differences.len();
            Some(Err(format!("tables that differ from the manifest: {count} ({named})")))
        }
        Err(CatalogueError::Unverified(problem)) => Some(Err(problem.clone())),
        Err(_) => None,
    }
}

async fn mark(
    connection: &mut sqlx::PgConnection,
    id: Uuid,
    outcome: &Result<(), String>,
) -> Result<bool, sqlx::Error> {
    match outcome {
        Ok(()) => queries::mark_verified(connection, id).await,
        Err(problem) => queries::mark_failed(connection, id, problem).await,
    }
}

/// Numbers of rows of a table in the manifest and in the restored database. `None` stands for a missing table.
#[derive(Default)]
struct Rows {
    expected: Option<u64>,
    found: Option<u64>,
}

/// Returns the tables that are missing, are unexpected, or have a different number of rows than expected.
pub(super) fn compare_tables(expected: &[ManifestTable], found: &[TableRows]) -> Vec<TableDifference> {
    let mut tables: BTreeMap<(&str, &str), Rows> = BTreeMap::new();
    for table in expected {
        tables.entry((&table.schema, &table.table)).or_default().expected = Some(table.rows);
    }
    for table in found {
        tables.entry((&table.schema, &table.table)).or_default().found = Some(table.rows);
    }
    tables
        .into_iter()
        .filter(|(_, rows)| rows.expected != rows.found)
        .map(|((schema, table), rows)| TableDifference {
            schema: schema.to_owned(),
            table: table.to_owned(),
            expected: rows.expected,
            found: rows.found,
        })
        .collect()
}

/// Verifies a backup for a run. Marks the backup as verified or as failed, unless the verification could not check it.
pub(super) async fn verify_for_run(
    catalogue: &Catalogue,
    id: Uuid,
    run: RunLease,
) -> Result<BackupVerification, CatalogueError> {
    let row =
        queries::backup(&catalogue.platform, id).await.map_err(database_error)?.ok_or(CatalogueError::NotFound)?;
    let verified = verify_row(catalogue, &row, run).await;
    if let Some(outcome) = judge(&verified) {
        let mut transaction = catalogue.platform.begin().await.map_err(database_error)?;
        if !Runs::lock_lease(&mut transaction, run.run_id, run.lease).await.map_err(database_error)? {
            return Err(CatalogueError::LeaseLost);
        }
        mark(&mut transaction, id, &outcome).await.map_err(database_error)?;
        transaction.commit().await.map_err(database_error)?;
        if let Err(problem) = outcome {
            tracing::warn!(target = row.target, key = row.object_key, problem, "a backup can't be restored");
        }
    }
    verified
}

async fn verify_row(
    catalogue: &Catalogue,
    row: &BackupRow,
    run: RunLease,
) -> Result<BackupVerification, CatalogueError> {
    let backup = stored::read_manifest(&catalogue.store, row.manifest_key.clone()).await.map_err(storage_error)?;
    let Some(backup) = backup else {
        return unverified("its manifest is missing in the object store or invalid");
    };
    if (&backup.manifest.sha256, &backup.manifest.target) != (&row.sha256, &row.target) {
        return unverified("its manifest describes a different dump than the catalogue does");
    }
    let (store, restorer) = (catalogue.store.clone(), catalogue.restorer.clone());
    let identity = catalogue.identities.take(run.run_id).await.map_err(database_error)?;
    // The work has its own task, so that hashing doesn't count as the plugin's CPU time. The task is aborted when the
    // call is dropped.
    let verifying =
        tokio::spawn(async move { verify_stored(&store, &restorer, &backup, identity.as_ref(), run.run_id).await });
    let verification = AbortOnDropHandle::new(verifying)
        .await
        .map_err(|error| CatalogueError::Unavailable { what: "Postgres", cause: error.into() })??;
    tracing::info!(
        target = row.target,
        key = row.object_key,
        tables = verification.tables,
        rows = verification.rows,
        differences = verification.differences.len(),
        duration_ms = verification.duration.as_millis() as u64,
        "verified a backup"
    );
    Ok(verification)
}

impl Catalogue {
    /// Removes scratch databases and roles that a killed process left behind, except those of active runs. Returns the
    /// removed names.
    ///
    /// # Errors
    /// Fails if Postgres is unavailable.
    pub async fn remove_leftover_scratch_databases(&self) -> Result<Vec<ScratchName>, sqlx::Error> {
        let mut removed = Vec::new();
        for name in self.restorer.list_leftovers().await? {
            if !queries::run_is_running(&self.platform, name.run).await? {
                self.restorer.remove(&name).await?;
                tracing::info!(%name, "removed the scratch database of an interrupted verification");
                removed.push(name);
            }
        }
        Ok(removed)
    }
}

impl BackupsState {
    /// Starts the verification of a backup. Returns the id of its run, and the backup.
    ///
    /// # Errors
    /// Returns 404 if the backup doesn't exist, 400 if the identity is invalid, and the errors of
    /// `Jobs::start_run_with_id`.
    pub(super) async fn start_verification(&self, id: Uuid, identity: Option<&str>) -> ApiResult<(Uuid, BackupRow)> {
        let row = queries::backup(&self.platform, id).await?.ok_or_else(|| ApiError::not_found("backup"))?;
        // The run belongs to the project, unless the project was deleted.
        let project_id = match row.target.parse() {
            Ok(DatabaseName::Project(project)) => {
                match self.databases.title(&DatabaseName::Project(project.clone())).await {
                    Ok(_) => Some(project),
                    Err(DbError::Gone) => None,
                    Err(error) => return Err(error.into()),
                }
            }
            _ => None,
        };
        let run = NewRun {
            plugin: create::PLUGIN.to_owned(),
            plugin_job: JOB.to_owned(),
            params: json!({ "backup": id }),
            project_id,
            timeout: RUN_TIMEOUT,
        };
        let run_id = Uuid::now_v7();
        self.catalogue.identities.give(&self.platform, run_id, identity).await?;
        self.jobs.start_run_with_id(run_id, &run).await?;
        Ok((run_id, row))
    }
}

fn unverified<T>(problem: impl Into<String>) -> Result<T, CatalogueError> {
    Err(CatalogueError::Unverified(problem.into()))
}

fn unreadable(error: AgeError) -> CatalogueError {
    match error {
        AgeError::Read(cause) => CatalogueError::Unavailable { what: "the object store", cause: cause.into() },
        AgeError::Damaged => CatalogueError::Unverified(format!("its dump was changed or damaged: {error}")),
        AgeError::IdentityRequired | AgeError::WrongIdentity => {
            CatalogueError::NotChecked(format!("{error}; {IDENTITY_REMEDY}"))
        }
    }
}

fn objects_failure(error: ObjectsError) -> CatalogueError {
    match error {
        ObjectsError::Failed(problem) => CatalogueError::Unverified(problem),
        error => error.into(),
    }
}

fn restore_failure(error: RestoreError) -> CatalogueError {
    match error {
        RestoreError::Unreachable(cause) => CatalogueError::Unavailable { what: "Postgres", cause },
        RestoreError::Archive(cause) => CatalogueError::Unavailable { what: "the object store", cause: cause.into() },
        RestoreError::NotRun(cause) => {
            // The cause is only logged, because it contains paths.
            tracing::error!(cause = describe_cause(cause.as_ref()), "pg_restore could not be run");
            CatalogueError::NotChecked("pg_restore could not be run; the server's log has the cause".to_owned())
        }
        error @ (RestoreError::NoProgram { .. }
        | RestoreError::Refused(_)
        | RestoreError::DiskFull
        | RestoreError::Interrupted(_)) => CatalogueError::NotChecked(error.to_string()),
        error @ (RestoreError::Failed(_)
        | RestoreError::FailedObject { .. }
        | RestoreError::NotAnArchive(_)
        | RestoreError::OfPlatform) => CatalogueError::Unverified(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_unexpected_and_changed_tables_are_differences() {
        let expected = |table: &str, rows| ManifestTable { schema: "public".to_owned(), table: table.to_owned(), rows };
        let found = |table: &str, rows| TableRows { schema: "public".to_owned(), table: table.to_owned(), rows };
        let differences = compare_tables(
            &[expected("same", 1), expected("fewer", 3), expected("missing", 0)],
            &[found("additional", 0), found("same", 1), found("fewer", 2)],
        );
        let seen: Vec<_> = differences.iter().map(|d| (d.table.as_str(), d.expected, d.found)).collect();
        assert_eq!(seen, [("additional", None, Some(0)), ("fewer", Some(3), Some(2)), ("missing", Some(0), None)]);
    }
}
