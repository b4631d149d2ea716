//! The interface `maintenance`: removes data that the platform no longer needs.

use axum::http::StatusCode;
use wasmtime::component::Linker;

use crate::{
    auth,
    db::audit,
    error::ApiError,
    jobs::RetentionReport,
    plugins::guest::{
        Accessor, CallError, Host, RunState, begin_call,
        bindings::{maintenance, types::ErrorCode},
        check_lease,
    },
    projects,
    storage::{self, StorageState, StorageSweep},
};

/// Maximum number of keys or audit entries that one call removes. This bounds the time for which the rows are locked.
const BATCH_ROWS: i64 = 1000;
/// Minimum age of audit entries that can be removed, so that a plugin can't erase recent ones.
const MIN_AUDIT_DAYS: u32 = 30;
const MIN_KEY_DAYS: u32 = 1;
const MIN_RUN_DAYS: u32 = 1;
const MIN_RESTORE_DAYS: u32 = 1;
/// Maximum age that is accepted: 100 years.
const MAX_DAYS: u32 = 36_500;

pub(super) fn add_to_linker(linker: &mut Linker<RunState>) -> wasmtime::Result<()> {
    maintenance::add_to_linker::<_, Host>(linker, |state| state)
}

impl maintenance::Host for RunState {}

impl maintenance::HostWithStore<RunState> for Host {
    async fn run(accessor: &Accessor, sweep: maintenance::Sweep) -> Result<maintenance::Report, CallError> {
        let run = begin_call(accessor, 0)?;
        let _permit = run.enter().await;
        check_lease(&run).await?;
        let services = &run.services;
        match sweep {
            maintenance::Sweep::ExpiredUploads => sweep_storage(&services.storage, StorageSweep::ExpiredUploads).await,
            maintenance::Sweep::OversizeUploads => {
                sweep_storage(&services.storage, StorageSweep::OversizeUploads).await
            }
            maintenance::Sweep::OrphanMetadata => sweep_storage(&services.storage, StorageSweep::OrphanMetadata).await,
            maintenance::Sweep::ExpiredKeys(days) => {
                let days = check_days(days, MIN_KEY_DAYS)?;
                row_report(projects::remove_expired_or_revoked_keys(&services.platform, days, BATCH_ROWS).await)
            }
            maintenance::Sweep::OldAuditEntries(days) => {
                let days = check_days(days, MIN_AUDIT_DAYS)?;
                row_report(audit::remove_older(&services.platform, days, BATCH_ROWS).await)
            }
            maintenance::Sweep::OldRuns(days) => {
                check_days(days, MIN_RUN_DAYS)?;
                Ok(run_report(services.runs.remove_old_runs(days).await?))
            }
            maintenance::Sweep::OrphanLogs => Ok(run_report(services.runs.remove_orphan_logs().await?)),
            maintenance::Sweep::ExpiredSessions => {
                let swept = auth::sweep_ended_sessions(&services.auth).await?;
                Ok(maintenance::Report { removed: swept.removed, freed_bytes: 0, more: swept.more })
            }
            maintenance::Sweep::SupersededRestores(days) => {
                let days = check_days(days, MIN_RESTORE_DAYS)?;
                let dropped = services.replaced_databases.drop_older(days).await?;
                Ok(maintenance::Report { removed: dropped.count, freed_bytes: dropped.bytes, more: dropped.more })
            }
        }
    }
}

async fn sweep_storage(storage: &StorageState, sweep: StorageSweep) -> Result<maintenance::Report, CallError> {
    let report = storage::sweep(storage, sweep).await?;
    Ok(maintenance::Report { removed: report.removed, freed_bytes: report.freed_bytes, more: report.more })
}

fn row_report(removed: Result<u64, sqlx::Error>) -> Result<maintenance::Report, CallError> {
    let removed = removed.map_err(ApiError::from)?;
    Ok(maintenance::Report { removed, freed_bytes: 0, more: removed >= BATCH_ROWS.unsigned_abs() })
}

fn run_report(report: RetentionReport) -> maintenance::Report {
    maintenance::Report { removed: report.removed, freed_bytes: report.freed_bytes, more: report.more }
}

fn check_days(days: u32, min: u32) -> Result<i32, CallError> {
    match i32::try_from(days) {
        Ok(checked) if (min..=MAX_DAYS).contains(&days) => Ok(checked),
        _ => Err(CallError::invalid(format!("the age must be {min} to {MAX_DAYS} days, not {days}"))),
    }
}

/// Converts errors of the platform's own functions. The cause of a server error is only logged.
impl From<ApiError> for CallError {
    fn from(error: ApiError) -> Self {
        let message = error.message().to_owned();
        match error.status() {
            status if status.is_server_error() => {
                let cause = error.cause().unwrap_or_else(|| message.clone());
                Self::unavailable(message).caused_by("platform", cause)
            }
            StatusCode::NOT_FOUND => Self::not_found(message),
            StatusCode::CONFLICT => Self::new(ErrorCode::Conflict, message),
            StatusCode::PAYLOAD_TOO_LARGE => Self::too_large(message),
            _ => Self::invalid(message),
        }
    }
}
