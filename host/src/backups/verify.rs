//! Verifying a backup: restoring it, and comparing what is there then with what the manifest says.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use futures_util::StreamExt as _;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use sqlx::Connection as _;
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

use super::{BackupsState, Catalogue, manifest::ManifestTable, queries, stored, stored::StoredBackup};
use crate::{
    db::{
        DatabaseName, DbError,
        dump::TableRows,
        restore::{Archive, RestoreError, Restorer, ScratchName},
    },
    error::{ApiError, ApiResult},
    jobs::{NewRun, Runs},
    object_store::{ObjectStore, PLATFORM_BUCKET, StoreError},
    plugins::{BackupVerification, CatalogueError, RunLease, TableDifference},
    secrets,
};

const PLUGIN: &str = "backup";
const JOB: &str = "verify";
/// Restoring takes longer than dumping: indexes are built anew.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// Restores a backup into a scratch database, counts, and removes it again. Needs a Postgres server and the store, but no
/// platform database. What is not as the manifest says is in the answer.
///
/// # Errors
/// `Unverified` where the dump is not the one that was made, or can't be restored; `Unavailable`.
pub async fn verify_stored(
    store: &ObjectStore,
    restorer: &Restorer,
    backup: &StoredBackup,
    run: Uuid,
) -> Result<BackupVerification, CatalogueError> {
    let (begun, manifest) = (Instant::now(), &backup.manifest);
    let object = store.get(PLATFORM_BUCKET, &backup.object_key).await.map_err(storage)?;
    let Some((_, bytes)) = object else { return unverified("its dump is gone from storage") };
    let (mut digest, mut size) = (Sha256::new(), 0_u64);
    let mut bytes = bytes.map(|chunk| {
        let chunk = chunk.map_err(std::io::Error::other)?;
        digest.update(&chunk);
        size += chunk.len() as u64;
        Ok(chunk)
    });
    let archive = Archive { bytes: &mut bytes, dump_version: manifest.dump_version.as_deref() };
    let restored = restorer.restore(run, &secrets::random_password(), archive).await;
    drop(bytes);
    // First of all whether this is the dump: one that was changed may fail in any way. Where it was not read to its end
    // something else is wrong.
    if matches!(restored, Ok(_) | Err(RestoreError::Failed(_))) {
        let found: String = digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        if found != manifest.sha256 {
            return unverified(format!(
                "the dump in storage is not the one that was made: its SHA-256 is {found} over {size} bytes, the manifest says {} over {}",
                manifest.sha256, manifest.size_bytes
            ));
        }
    }
    let restored = restored.map_err(restoring)?;
    Ok(BackupVerification {
        tables: restored.tables.len(),
        rows: restored.tables.iter().map(|table| table.rows).sum(),
        differences: differences(&manifest.tables, &restored.tables),
        size_bytes: size,
        duration: begun.elapsed(),
    })
}

/// Says in the catalogue that a backup was verified, where there is a catalogue that knows it.
pub async fn mark_verified(database_url: &str, id: Uuid) -> Result<bool, sqlx::Error> {
    let mut connection = sqlx::PgConnection::connect(database_url).await?;
    let marked = queries::mark_verified(&mut connection, id).await?;
    connection.close().await?;
    Ok(marked)
}

/// Rows of a table: as the manifest has them, and as they were counted.
#[derive(Default)]
struct Rows {
    expected: Option<u64>,
    found: Option<u64>,
}

/// Tables whose rows are not as expected, that are missing, and that should not be there.
fn differences(expected: &[ManifestTable], found: &[TableRows]) -> Vec<TableDifference> {
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

impl Catalogue {
    /// Verifies a backup for a run; the catalogue says so if it is as it should be.
    pub(super) async fn verify_for_run(&self, id: Uuid, run: RunLease) -> Result<BackupVerification, CatalogueError> {
        let row = queries::backup(&self.platform, id).await.map_err(database)?.ok_or(CatalogueError::NotFound)?;
        let backup = stored::read_manifest(&self.store, row.manifest_key.clone()).await.map_err(storage)?;
        let Some(backup) = backup else {
            return unverified("its manifest is gone from storage, or can't be understood");
        };
        if (&backup.manifest.sha256, &backup.manifest.target) != (&row.sha256, &row.target) {
            return unverified("its manifest in storage is of another dump than the catalogue says");
        }
        let (store, restorer) = (self.store.clone(), self.restorer.clone());
        // A task of its own: hashing is no processor time of the plugin's. Ended with the call.
        let verifying = tokio::spawn(async move { verify_stored(&store, &restorer, &backup, run.run_id).await });
        let verification = AbortOnDropHandle::new(verifying)
            .await
            .map_err(|error| CatalogueError::Unavailable { what: "Postgres", cause: error.into() })??;
        if verification.differences.is_empty() {
            let mut transaction = self.platform.begin().await.map_err(database)?;
            if !Runs::lock_lease(&mut transaction, run.run_id, run.lease).await.map_err(database)? {
                return Err(CatalogueError::LeaseLost);
            }
            queries::mark_verified(&mut transaction, id).await.map_err(database)?;
            transaction.commit().await.map_err(database)?;
        }
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

    /// Removes scratch databases and roles that a killed process left; answers their names. One whose run still goes on
    /// stays.
    pub async fn remove_leftover_scratches(&self) -> Result<Vec<ScratchName>, sqlx::Error> {
        let mut removed = Vec::new();
        for name in self.restorer.leftovers().await? {
            if !queries::run_is_running(&self.platform, name.run).await? {
                self.restorer.remove(&name).await?;
                tracing::info!(%name, "removed what was left of a verification");
                removed.push(name);
            }
        }
        Ok(removed)
    }
}

impl BackupsState {
    /// Begins to verify a backup, and answers the run.
    ///
    /// # Errors
    /// 404 where there is none.
    pub async fn begin_verify(&self, id: Uuid) -> ApiResult<Uuid> {
        let row = queries::backup(&self.platform, id).await?.ok_or_else(|| ApiError::not_found("backup"))?;
        // A run belongs to its project while there is one.
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
            plugin: PLUGIN.to_owned(),
            plugin_job: JOB.to_owned(),
            params: json!({ "backup": id }),
            project_id,
            timeout: LONGEST,
        };
        self.jobs.start_run(&run).await
    }
}

fn unverified<T>(problem: impl Into<String>) -> Result<T, CatalogueError> {
    Err(CatalogueError::Unverified(problem.into()))
}

fn restoring(error: RestoreError) -> CatalogueError {
    match error {
        RestoreError::Unreachable(cause) => CatalogueError::Unavailable { what: "Postgres", cause },
        RestoreError::Archive(cause) => CatalogueError::Unavailable { what: "the object store", cause: cause.into() },
        RestoreError::NotRun(cause) => {
            // Names paths.
            tracing::error!(cause = format!("{cause:#}"), "pg_restore could not be run");
            CatalogueError::Unverified("pg_restore could not be run; the server's log has the cause".to_owned())
        }
        error => CatalogueError::Unverified(error.to_string()),
    }
}

fn database(error: sqlx::Error) -> CatalogueError {
    CatalogueError::Unavailable { what: "the platform database", cause: error.into() }
}

fn storage(error: StoreError) -> CatalogueError {
    CatalogueError::Unavailable { what: "the object store", cause: error.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_additional_and_other_tables_are_differences() {
        let expected = |table: &str, rows| ManifestTable { schema: "public".to_owned(), table: table.to_owned(), rows };
        let found = |table: &str, rows| TableRows { schema: "public".to_owned(), table: table.to_owned(), rows };
        let differences = differences(
            &[expected("same", 1), expected("fewer", 3), expected("missing", 0)],
            &[found("additional", 0), found("same", 1), found("fewer", 2)],
        );
        let seen: Vec<_> = differences.iter().map(|d| (d.table.as_str(), d.expected, d.found)).collect();
        assert_eq!(seen, [("additional", None, Some(0)), ("fewer", Some(3), Some(2)), ("missing", Some(0), None)]);
    }
}
