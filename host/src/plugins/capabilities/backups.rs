//! The interface `backups`: the catalogue of backups, and copies of objects in backups.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use plugin_manifest::{Capability, Scope};
use uuid::Uuid;
use wasmtime::component::Linker;

use super::databases::{DumpedKey, problem};
use crate::{
    db::DatabaseName,
    error::describe_cause,
    plugins::guest::{
        Accessor, BackupVerification, CallError, CatalogueEntry, CatalogueError, Host, NewBackup, OnObject, RunLease,
        RunScope, RunState, TableDifference, begin_call,
        bindings::{backups, types::ErrorCode},
        charge_result, check_lease,
    },
};

/// Memory held for a list of backups.
const LIST_BYTES: usize = 1 << 20;
/// Memory held while a backup is verified.
const VERIFY_BYTES: usize = 2 << 20;
/// Memory held while objects are copied. This does not include the buffers of uploads to the object store.
const COPY_BYTES: usize = 8 << 20;
/// Maximum time by which `created-at` may be ahead of the host's clock.
const MAX_CLOCK_SKEW: TimeDelta = TimeDelta::minutes(1);

pub(super) fn add_to_linker(linker: &mut Linker<RunState>) -> wasmtime::Result<()> {
    backups::add_to_linker::<_, Host>(linker, |state| state)
}

impl backups::Host for RunState {
    fn describe(&mut self) -> wasmtime::Result<backups::Facts> {
        self.charge(0)?;
        // While the master key is rotated, a dump of the platform may need the previous one.
        let dumped = self.capability_state::<DumpedKey>().0;
        let key = dumped.unwrap_or_else(|| self.run.services.sealer.current_key());
        Ok(backups::Facts { atlashub_version: env!("CARGO_PKG_VERSION").to_owned(), master_key_id: key.to_string() })
    }
}

impl backups::HostWithStore<RunState> for Host {
    async fn record_backup(accessor: &Accessor, backup: backups::NewBackup) -> Result<String, CallError> {
        let bytes = backup.target.len() + backup.object_key.len() + backup.manifest_key.len() + backup.sha256.len();
        let run = begin_call(accessor, bytes)?;
        let target = check_scope(&run, &backup.target)?;
        let created_at = to_time(backup.created_at)
            .filter(|at| *at <= Utc::now() + MAX_CLOCK_SKEW)
            .ok_or_else(|| CallError::invalid("`created-at` is not a valid time in the past"))?;
        let backup = NewBackup {
            target,
            object_key: backup.object_key,
            manifest_key: backup.manifest_key,
            size_bytes: backup.size_bytes,
            sha256: backup.sha256,
            created_at,
        };
        let lease = RunLease { run_id: run.call.run_id, lease: run.call.lease };
        let _permit = run.enter().await;
        Ok(run.services.backups.record(backup, lease).await?.to_string())
    }

    async fn copy_objects(
        accessor: &Accessor,
        target: String,
        manifest_key: String,
    ) -> Result<backups::CopiedObjects, CallError> {
        let run = begin_call(accessor, target.len() + manifest_key.len())?;
        let DatabaseName::Project(project) = check_scope(&run, &target)? else {
            return Err(CallError::invalid("only projects have objects"));
        };
        let _permit = run.enter().await;
        let _transfer = accessor.with(|mut access| access.get().begin_transfer())?;
        let _memory = run.calls.hold(COPY_BYTES)?;
        check_lease(&run).await?;
        let output = run.output.clone();
        let on_object: OnObject =
            Arc::new(move |count| output.progress(count, None, &format!("Backing up objects: {count}")));
        let copied = run.services.backups.copy_objects(&project, &manifest_key, on_object).await?;
        Ok(backups::CopiedObjects {
            count: copied.count,
            size_bytes: copied.bytes,
            copied: copied.copied,
            copied_bytes: copied.copied_bytes,
            skipped: copied.skipped,
            gone: copied.gone,
            list_sha256: copied.list_sha256,
        })
    }

    async fn list(accessor: &Accessor, target: Option<String>) -> Result<Vec<backups::Backup>, CallError> {
        let run = begin_call(accessor, target.as_ref().map_or(0, String::len))?;
        let target = target.map(|target| check_scope(&run, &target)).transpose()?;
        let scope = &run.scope(Capability::Backups).databases;
        if scope.is_empty() {
            return Ok(Vec::new());
        }
        let _permit = run.enter().await;
        let _memory = run.calls.hold(LIST_BYTES)?;
        let entries = run.services.backups.list(target.as_ref()).await?;
        let in_scope = entries.into_iter().filter(|entry| Scope::reaches(scope, &entry.target.to_string()));
        let listed: Vec<_> = in_scope.map(to_wit).collect();
        charge_result(accessor, listed.iter().map(|it| it.object_key.len() + it.manifest_key.len()).sum())?;
        Ok(listed)
    }

    async fn verify(accessor: &Accessor, id: String) -> Result<backups::Verification, CallError> {
        let run = begin_call(accessor, id.len())?;
        let id = parse_id(&id)?;
        check_any_scope(&run, id)?;
        let _permit = run.enter().await;
        let entry = run.services.backups.find(id).await?;
        check_scope(&run, &entry.target.to_string())?;
        // A verification reads and restores the whole dump, so it puts as much load on the server as a dump.
        let _transfer = accessor.with(|mut access| access.get().begin_transfer())?;
        let _memory = run.calls.hold(VERIFY_BYTES)?;
        let _dump = run.calls.begin_dump().await;
        let lease = RunLease { run_id: run.call.run_id, lease: run.call.lease };
        let verification = run.services.backups.verify(id, lease).await?;
        Ok(verification_to_wit(verification))
    }

    async fn remove(accessor: &Accessor, id: String) -> Result<(), CallError> {
        let run = begin_call(accessor, id.len())?;
        let id = parse_id(&id)?;
        check_any_scope(&run, id)?;
        let _permit = run.enter().await;
        let entry = run.services.backups.find(id).await?;
        check_scope(&run, &entry.target.to_string())?;
        check_lease(&run).await?;
        Ok(run.services.backups.remove(id).await?)
    }
}

fn parse_id(id: &str) -> Result<Uuid, CallError> {
    id.parse().map_err(|_| CatalogueError::NotFound.into())
}

/// Parses the name of a database and checks that the grant includes its backups.
fn check_scope(run: &RunScope, target: &str) -> Result<DatabaseName, CallError> {
    let name: DatabaseName = target.parse().map_err(|error| CallError::invalid(format!("{error}")))?;
    if !Scope::reaches(&run.scope(Capability::Backups).databases, target) {
        return Err(run.deny(Capability::Backups, &format!("backups of `{name}`")));
    }
    Ok(name)
}

/// Checks that the grant includes at least one database. Called before the backup's database is looked up in the
/// catalogue.
fn check_any_scope(run: &RunScope, id: Uuid) -> Result<(), CallError> {
    if run.scope(Capability::Backups).databases.is_empty() {
        return Err(run.deny(Capability::Backups, &format!("backup `{id}`")));
    }
    Ok(())
}

fn to_time(milliseconds: u64) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp_millis(i64::try_from(milliseconds).ok()?)
}

fn to_wit(entry: CatalogueEntry) -> backups::Backup {
    backups::Backup {
        id: entry.id.to_string(),
        target: entry.target.to_string(),
        object_key: entry.object_key,
        manifest_key: entry.manifest_key,
        size_bytes: entry.size_bytes,
        sha256: entry.sha256,
        created_at: u64::try_from(entry.created_at.timestamp_millis()).unwrap_or_default(),
    }
}

fn verification_to_wit(verification: BackupVerification) -> backups::Verification {
    let difference = |TableDifference { schema, table, expected, found }| backups::TableDifference {
        schema,
        table,
        expected,
        found,
    };
    backups::Verification {
        tables: u32::try_from(verification.tables).unwrap_or(u32::MAX),
        rows: verification.rows,
        differences: verification.differences.into_iter().map(difference).collect(),
        size_bytes: verification.size_bytes,
        duration_ms: u64::try_from(verification.duration.as_millis()).unwrap_or(u64::MAX),
    }
}

impl From<CatalogueError> for CallError {
    fn from(error: CatalogueError) -> Self {
        match &error {
            CatalogueError::NotFound => Self::not_found(error.to_string()),
            CatalogueError::Invalid(problem) => Self::invalid(problem),
            CatalogueError::Unverified(problem)
            | CatalogueError::NotChecked(problem)
            | CatalogueError::NotCopied(problem) => Self::new(ErrorCode::Failed, problem.clone()),
            CatalogueError::LeaseLost => Self::new(ErrorCode::Conflict, error.to_string()),
            CatalogueError::Unavailable { cause, .. } => {
                let message = problem(&error.to_string(), cause.as_ref());
                Self::unavailable(message).caused_by("backup catalogue", describe_cause(cause.as_ref()))
            }
        }
    }
}
