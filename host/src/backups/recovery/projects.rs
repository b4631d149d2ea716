//! Restores the database of a project.

use async_trait::async_trait;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{Dump, RecoveryError, check_tables};
use crate::{
    backups::{BackupsState, RestoredObjects, StoredBackup, backup_id, restores::swap::finished},
    config::AgeIdentity,
    db::{
        DatabaseName, audit,
        dump::TableRows,
        restore::{Archive, FailedObjects, LoadTarget},
    },
    projects::{self, ProjectsState, RecordSwap, Replacements, Swap},
};

/// A restored project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestoredProject {
    pub tables: usize,
    /// Number of rows of all tables.
    pub rows: u64,
    /// Name under which the previous database is kept. `None` if there was none.
    pub kept: Option<String>,
    /// Descriptions of the parts of the archive that were not restored.
    pub left_out: Vec<String>,
    /// Numbers of restored objects. `None` if the backup does not include objects.
    pub objects: Option<RestoredObjects>,
}

/// Restores the database and the objects of a project from a backup. Before that, creates the project's roles, database
/// and bucket if they are missing. Without a backup, only creates what is missing, and returns `None`. `failed_objects`
/// decides about database objects that can't be created after the rows were loaded. No server may run. The call can be
/// repeated after a crash.
///
/// # Errors
/// Fails if the backup is not of a project, if the dump or the copy of an object is missing, was changed or can't be
/// decrypted, if the loaded tables differ from the manifest, or if Postgres or the store is unavailable. The database
/// is then not replaced; for the only exception, see [`RecoveryError`].
pub async fn restore_project(
    backups: &BackupsState,
    state: &ProjectsState,
    project: &str,
    backup: Option<&StoredBackup>,
    identity: Option<&AgeIdentity>,
    failed_objects: FailedObjects,
) -> Result<Option<RestoredProject>, RecoveryError> {
    if let Some(backup) = backup
        && !matches!(backup.manifest.target.parse::<DatabaseName>(), Ok(DatabaseName::Project(_)))
    {
        return Err(RecoveryError::NotOfProject(backup.manifest.target.clone()));
    }
    let was_missing = projects::ensure_resources(state, project).await?;
    let Some(backup) = backup else { return Ok(None) };
    let restores = &backups.restores;
    for leftover in restores.replacements.leftovers(project).await? {
        restores.replacements.drop(&leftover).await?;
    }
    let name = Replacements::name_for_run(project, Uuid::new_v4());
    let restored = async {
        restores.replacements.create(project, &name).await?;
        let sql = restores.replacements.new_project_sql(project);
        let target = restores.replacements.load_target(project, &name, &sql);
        let expected: Vec<TableRows> = backup
            .manifest
            .tables
            .iter()
            .map(|table| TableRows { schema: table.schema.clone(), table: table.table.clone(), rows: table.rows })
            .collect();
        let target = LoadTarget { failed_objects, expected: &expected, ..target };
        let mut dump = Dump::open(&backups.store, backup).await?;
        let loaded = {
            let mut bytes = dump.read(identity).await?;
            let archive = Archive { bytes: &mut bytes, dump_version: backup.manifest.dump_version.as_deref() };
            restores.restorer.load(&target, archive).await
        };
        let loaded = dump.check(backup, loaded)?;
        check_tables(backup.manifest.tables.iter(), &loaded.tables)?;
        let mut objects = None;
        if backup.manifest.objects.is_some() {
            objects = Some(restores.objects.bring_back(backup, project, identity, &|_| ()).await?);
        }
        restores.replacements.finish(project, &name).await?;
        let kept = Replacements::name_of_kept(project);
        let swap = Swap { project: project.to_owned(), incoming: name.clone(), kept: kept.clone() };
        let record = Record {
            project: project.to_owned(),
            backup: backup.clone(),
            kept: (!was_missing).then_some(kept.clone()),
            left_out: loaded.left_out.clone(),
        };
        restores.replacements.swap(&swap, &record).await?;
        // If the database was missing, `ensure_resources` created the replaced one above, so it is empty. An error must
        // not hide that it was replaced.
        if was_missing && let Err(error) = restores.replacements.drop(&kept).await {
            tracing::warn!(database = kept, %error, "an empty database could not be dropped");
        }
        Ok(RestoredProject {
            tables: loaded.tables.len(),
            rows: loaded.tables.iter().map(|table| table.rows).sum(),
            kept: record.kept,
            left_out: loaded.left_out,
            objects,
        })
    };
    let restored: Result<RestoredProject, RecoveryError> = restored.await;
    if restored.is_err() {
        // If the database can't be dropped, only the error of the restore is returned. The next restore of the project
        // drops the database.
        if let Err(error) = restores.replacements.drop(&name).await {
            tracing::warn!(database = name, %error, "the database of a failed restore could not be dropped");
        }
        if let Err(error) = restores.replacements.restore_access(project).await {
            tracing::warn!(project, %error, "the roles of a project may lack access to its database");
        }
    }
    restored.map(Some)
}

/// Records the restore like a restore by a server, so that the owner can roll it back.
struct Record {
    project: String,
    backup: StoredBackup,
    kept: Option<String>,
    left_out: Vec<String>,
}

#[async_trait]
impl RecordSwap for Record {
    async fn record(&self, transaction: &mut PgConnection) -> Result<bool, sqlx::Error> {
        let (id, manifest) = (Uuid::now_v7(), &self.backup.manifest);
        let tables: Vec<_> = manifest
            .tables
            .iter()
            .map(|table| serde_json::json!({ "schema": table.schema, "table": table.table, "rows": table.rows }))
            .collect();
        let plan = serde_json::json!({
            "tables": tables,
            "sizeBytes": manifest.size_bytes,
            "serverVersion": manifest.server_version,
            "warnings": [],
        });
        sqlx::query(
            "INSERT INTO restores (id, project_id, backup_id, object_key, sha256, state, plan, previous_database,
                                   left_out, finished_at)
             VALUES ($1, $2, $3, $4, $5, 'done', $6, $7, $8, now())",
        )
        .bind(id)
        .bind(&self.project)
        .bind(backup_id(&self.backup.object_key))
        .bind(&self.backup.object_key)
        .bind(&manifest.sha256)
        .bind(plan)
        .bind(&self.kept)
        .bind(&self.left_out)
        .execute(&mut *transaction)
        .await?;
        audit::record(transaction, &finished("cli", &self.project, id, self.left_out.len())).await?;
        Ok(true)
    }
}
