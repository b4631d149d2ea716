use super::{begin_call, check_lease};
use crate::{
    db::audit,
    error::ApiError,
    jobs::RetentionReport,
    plugins::runtime::{Accessor, CallError, Host, RunState, bindings::maintenance},
    projects,
    storage::{self, StorageState, StorageSweep},
};

/// Rows removed at once, so that nobody waits for their locks.
const PIECE: i64 = 1000;
/// The record of what was done is not a plugin's to shorten at will.
const LEAST_AUDIT_DAYS: u32 = 30;
const LEAST_KEY_DAYS: u32 = 1;
/// Longer ages than the calendar has are no ages.
const MOST_DAYS: u32 = 36_500;

impl maintenance::Host for RunState {}

impl maintenance::HostWithStore<RunState> for Host {
    async fn run(accessor: &Accessor, sweep: maintenance::Sweep) -> Result<maintenance::Report, CallError> {
        let run = begin_call(accessor, 0)?;
        check_lease(&run).await?;
        let services = &run.services;
        match sweep {
            maintenance::Sweep::ExpiredUploads => files(&services.storage, StorageSweep::ExpiredUploads).await,
            maintenance::Sweep::OversizeUploads => files(&services.storage, StorageSweep::OversizeUploads).await,
            maintenance::Sweep::OrphanMetadata => files(&services.storage, StorageSweep::OrphanMetadata).await,
            maintenance::Sweep::ExpiredKeys(days) => {
                let days = at_least(days, LEAST_KEY_DAYS)?;
                rows(projects::remove_ended_keys(&services.platform, days, PIECE).await)
            }
            maintenance::Sweep::OldAuditEntries(days) => {
                let days = at_least(days, LEAST_AUDIT_DAYS)?;
                rows(audit::remove_older(&services.platform, days, PIECE).await)
            }
            maintenance::Sweep::OldRuns(days) => {
                at_least(days, 1)?;
                Ok(runs(services.runs.remove_old_runs(days).await?))
            }
            maintenance::Sweep::OrphanLogs => Ok(runs(services.runs.remove_orphan_logs().await?)),
            // End users' sessions come with sign-in for them; there is no table of them yet, and nothing to remove.
            maintenance::Sweep::ExpiredSessions => Ok(NOTHING),
            // Databases are kept after a restore once restoring is there; until then there is none.
            maintenance::Sweep::SupersededRestores(days) => at_least(days, 1).map(|_| NOTHING),
        }
    }
}

const NOTHING: maintenance::Report = maintenance::Report { removed: 0, freed_bytes: 0, more: false };

async fn files(storage: &StorageState, what: StorageSweep) -> Result<maintenance::Report, CallError> {
    let report = storage::sweep(storage, what).await?;
    Ok(maintenance::Report { removed: report.removed, freed_bytes: report.freed_bytes, more: report.more })
}

fn rows(removed: Result<u64, sqlx::Error>) -> Result<maintenance::Report, CallError> {
    let removed = removed.map_err(ApiError::from)?;
    Ok(maintenance::Report { removed, freed_bytes: 0, more: removed >= PIECE.unsigned_abs() })
}

fn runs(report: RetentionReport) -> maintenance::Report {
    maintenance::Report { removed: report.removed, freed_bytes: report.freed_bytes, more: report.more }
}

fn at_least(days: u32, least: u32) -> Result<i32, CallError> {
    if !(least..=MOST_DAYS).contains(&days) {
        return Err(CallError::invalid(format!("this sweep takes {least} to {MOST_DAYS} days, not {days}")));
    }
    i32::try_from(days).map_err(|_| CallError::invalid("so many days are no age"))
}

/// What the platform's own functions say; their causes are for the log.
impl From<ApiError> for CallError {
    fn from(error: ApiError) -> Self {
        if error.status().is_server_error() {
            tracing::warn!(%error, "a plugin's call to the platform failed");
            return Self::unavailable(error.message().to_owned());
        }
        Self::invalid(error.message().to_owned())
    }
}
