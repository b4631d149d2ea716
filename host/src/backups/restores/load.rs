//! Loads the archive of a restore into a new database, and checks the result.

use api_types::RestoreState;
use futures_util::StreamExt as _;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::{
    Restores,
    failure::RestoreFailure,
    queries::{self, RestoreRow},
};
use crate::{
    config::AgeIdentity,
    db::dump::TableRows,
    db::restore::{Archive, FailedObjects, LoadTarget, Loaded, RestoreError},
    error::count,
    jobs::{RunOutput, Runs},
    object_store::PLATFORM_BUCKET,
    plugins::RunLease,
    projects::ReplacementError,
    secrets::age_file,
};

/// The progress message of a run after it has read the archive.
const BUILDING: &str = "Creating indexes and constraints";
/// Maximum number of tables named in the reason for a failure.
const MAX_NAMED_TABLES: usize = 10;

/// A new database that is being loaded. Dropping this value drops the database, unless it has become the project's.
pub(super) struct Loading<'a> {
    restores: &'a Restores,
    row: &'a RestoreRow,
    database: NewDatabase,
}

/// The new database. Dropping this value drops the database.
struct NewDatabase {
    restores: Restores,
    restore: Uuid,
    project: String,
    /// Name of the database. `None` once it has become the project's.
    name: Option<String>,
}

impl<'a> Loading<'a> {
    /// Creates the database. Its name is recorded first, so that a sweep can drop it if the process is killed.
    pub(super) async fn begin(
        restores: &'a Restores,
        row: &'a RestoreRow,
        lease: RunLease,
        name: String,
    ) -> Result<Self, RestoreFailure> {
        restores.advance(row.id, lease, RestoreState::Loading, &name).await?;
        let database = NewDatabase {
            restores: restores.clone(),
            restore: row.id,
            project: row.project_id.clone(),
            name: Some(name.clone()),
        };
        // In its own task, because Postgres finishes the current statement even if this future is dropped. The task
        // then drops the new database.
        let creating = tokio::spawn(async move {
            database.restores.replacements.create(&database.project, &name).await?;
            Ok::<_, ReplacementError>(database)
        });
        let database = creating.await??;
        Ok(Self { restores, row, database })
    }

    /// Loads the archive, and reports the progress in bytes.
    pub(super) async fn load(
        &mut self,
        identity: Option<&AgeIdentity>,
        failed_objects: FailedObjects,
        output: &dyn RunOutput,
    ) -> Result<Loaded, RestoreFailure> {
        let (restores, row) = (self.restores, self.row);
        let Some((meta, bytes)) = restores.store.get(PLATFORM_BUCKET, &row.object_key).await? else {
            return Err(RestoreFailure::Missing);
        };
        if row.etag.is_some() && meta.etag != row.etag {
            return Err(RestoreFailure::Changed);
        }
        let (total, mut done, mut digest) = (u64::try_from(meta.size).ok(), 0_u64, Sha256::new());
        let mut bytes = bytes.map(|chunk| {
            let chunk = chunk.map_err(std::io::Error::other)?;
            digest.update(&chunk);
            done += chunk.len() as u64;
            // Indexes and constraints are created after the last row.
            let is_read = total == Some(done);
            output.progress(done, total, if is_read { BUILDING } else { "Loading the archive" });
            Ok(chunk)
        });
        let mut content = age_file::open(&mut bytes, identity).await?.content;
        let sql = restores.replacements.new_project_sql(&row.project_id);
        let name = self.database.name.as_deref().unwrap_or_default();
        let target = restores.replacements.load_target(&row.project_id, name, &sql);
        let planned = row.plan.tables.iter();
        let expected: Vec<TableRows> = planned
            .filter_map(|table| {
                let rows = table.rows?.unsigned_abs();
                Some(TableRows { schema: table.schema.clone(), table: table.table.clone(), rows })
            })
            .collect();
        let target = LoadTarget { failed_objects, expected: &expected, ..target };
        let loaded = restores.restorer.load(&target, Archive { bytes: &mut content, dump_version: None }).await;
        drop(content);
        drop(bytes);
        // The digest is checked first, because loading a changed dump may fail in any way. After any other error, the
        // digest is incomplete.
        let is_read = loaded.as_ref().map_or_else(RestoreError::is_of_content, |_| true);
        if let Some(expected) = row.sha256.as_ref().filter(|_| is_read) {
            let found = hex::encode(digest.finalize());
            if found != *expected {
                return Err(RestoreFailure::Differs(format!(
                    "the stored dump was changed: its SHA-256 is {found}, but the manifest says {expected}"
                )));
            }
        }
        Ok(loaded?)
    }

    /// Compares the tables and their numbers of rows with the plan. Additional tables are allowed.
    pub(super) fn check(&self, loaded: &Loaded) -> Result<(), RestoreFailure> {
        let differences: Vec<String> = self
            .row
            .plan
            .tables
            .iter()
            .filter_map(|planned| {
                let found =
                    loaded.tables.iter().find(|found| found.schema == planned.schema && found.table == planned.table);
                match (found, planned.rows) {
                    (Some(_), None) => None,
                    (Some(found), Some(rows)) if found.rows == rows.unsigned_abs() => None,
                    (Some(found), Some(rows)) => Some(format!(
                        "{}.{}: {} expected, {} found",
                        planned.schema,
                        planned.table,
                        count(rows, "row", "rows"),
                        found.rows
                    )),
                    (None, _) => Some(format!("{}.{}: no table", planned.schema, planned.table)),
                }
            })
            .collect();
        if differences.is_empty() {
            return Ok(());
        }
        let named = differences.iter().take(MAX_NAMED_TABLES).cloned().collect::<Vec<_>>().join("; ");
        Err(RestoreFailure::Differs(format!("tables that differ from the plan: {} ({named})", differences.len())))
    }

    /// Keeps the database, which has become the project's.
    pub(super) fn keep(mut self) {
        self.database.name = None;
    }
}

impl Restores {
    /// Records the state of an active restore and the name of its new database. Fails if the run has lost its lease or
    /// no longer works on the restore.
    pub(super) async fn advance(
        &self,
        id: Uuid,
        lease: RunLease,
        state: RestoreState,
        database: &str,
    ) -> Result<(), RestoreFailure> {
        let mut transaction = self.platform.begin().await?;
        let is_current = Runs::lock_lease(&mut transaction, lease.run_id, lease.lease).await?
            && queries::advance(&mut transaction, id, lease.run_id, state, database).await?;
        transaction.commit().await?;
        if is_current { Ok(()) } else { Err(RestoreFailure::LeaseLost) }
    }

    /// Drops the new database of a restore that did not succeed. Also gives the project's roles access to its database
    /// again, because SQL of the archive may have revoked it.
    pub(super) async fn drop_new_database(
        &self,
        restore: Uuid,
        project: &str,
        name: &str,
    ) -> Result<(), RestoreFailure> {
        self.replacements.drop(name).await?;
        self.replacements.restore_access(project).await?;
        Ok(queries::forget_new_database(&self.platform, restore, name).await?)
    }
}

impl Drop for NewDatabase {
    fn drop(&mut self) {
        let (Some(name), Ok(runtime)) = (self.name.take(), tokio::runtime::Handle::try_current()) else { return };
        let (restores, restore, project) = (self.restores.clone(), self.restore, std::mem::take(&mut self.project));
        runtime.spawn(async move {
            if let Err(error) = restores.drop_new_database(restore, &project, &name).await {
                tracing::warn!(database = name, %error, "the database of a restore could not be dropped; the next \
                    sweep tries again");
            }
        });
    }
}
