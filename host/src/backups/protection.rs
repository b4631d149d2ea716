//! The protection of each database: its backups, and the job that creates them.

use std::collections::HashMap;

use api_types::{BackupManifestInfo, BackupTable, GoodBackup, Job, Protection, ProtectionJob};
use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::{
    BackupsState, create,
    queries::{self, BackupRow, ProtectedRow, TargetRow},
    retention::{self, ALL_TARGETS, Fate, PRUNE_JOB},
    stored,
};
use crate::error::{ApiResult, describe_cause};

/// Time without a successful verification after which a database needs attention.
const MAX_UNVERIFIED: TimeDelta = TimeDelta::days(30);
/// Age, in intervals of the job, after which the last good backup is too old.
const OVERDUE_INTERVALS: i32 = 2;

impl BackupsState {
    /// Synchronizes the catalogue with the object store. Only logs a failure, because an outdated list is more useful
    /// than an error.
    pub async fn sync_or_log(&self) {
        if let Err(error) = self.catalogue.sync_with_storage().await {
            tracing::warn!(
                cause = describe_cause(&error),
                "the backup catalogue could not be synchronized with the object store"
            );
        }
    }

    /// Returns how well the platform database and every ready project are protected, according to the catalogue.
    ///
    /// # Errors
    /// Fails if the platform database is unavailable.
    pub async fn protection(&self, now: DateTime<Utc>) -> ApiResult<Vec<Protection>> {
        let (databases, targets) =
            tokio::try_join!(queries::protected_databases(&self.platform), queries::targets(&self.platform))?;
        let jobs = self.jobs.enabled_jobs_of(create::PLUGIN, create::JOB).await?;
        let (backups, fates) = self.fates(now).await?;
        let mut targets: HashMap<String, TargetRow> =
            targets.into_iter().map(|row| (row.target.clone(), row)).collect();
        let protection = databases.into_iter().map(|database| {
            let target = database.target();
            let row = targets.remove(&target);
            let of_target = backups.iter().filter(|backup| backup.target == target);
            let will_go = retention::next_to_go(of_target.filter_map(|backup| Some((backup, fates.get(&backup.id)?))));
            Protection { will_go, ..assess(target.clone(), database, row.as_ref(), &jobs, now) }
        });
        Ok(protection.collect())
    }

    /// Returns the backups that are not missing, and the predicted fate of each: the rules that keep it, and when it
    /// will be removed.
    pub(super) async fn fates(&self, now: DateTime<Utc>) -> ApiResult<(Vec<BackupRow>, HashMap<Uuid, Fate>)> {
        let (backups, databases) = tokio::try_join!(
            queries::present_backups(&self.platform, None),
            queries::protected_databases(&self.platform)
        )?;
        let mut jobs = self.jobs.enabled_jobs_of(create::PLUGIN, create::JOB).await?;
        jobs.extend(self.jobs.enabled_jobs_of(create::PLUGIN, PRUNE_JOB).await?);
        let fates = retention::fates(&backups, &jobs, &databases, now);
        Ok((backups, fates))
    }

    /// Reads a manifest. The error is a message for the owner.
    pub(super) async fn read_manifest(&self, manifest_key: &str) -> Result<BackupManifestInfo, String> {
        match stored::read_manifest(&self.catalogue.store, manifest_key.to_owned()).await {
            Err(error) => Err(format!("The object store can't be read: {error}.")),
            Ok(None) => Err("The manifest is missing in the object store, or it is not valid.".to_owned()),
            Ok(Some(stored::StoredBackup { manifest, .. })) => Ok(BackupManifestInfo {
                row_count: manifest.row_count().unsigned_abs(),
                server_version: manifest.server_version,
                dump_version: manifest.dump_version,
                atlashub_version: manifest.atlashub_version,
                master_key_id: manifest.master_key_id,
                tables: manifest
                    .tables
                    .into_iter()
                    .map(|table| BackupTable { schema: table.schema, table: table.table, rows: table.rows })
                    .collect(),
            }),
        }
    }
}

fn assess(
    target: String,
    database: ProtectedRow,
    row: Option<&TargetRow>,
    jobs: &[Job],
    now: DateTime<Utc>,
) -> Protection {
    let job = covering_job(&target, jobs);
    let last_good = row.and_then(|row| {
        let (id, at) = row.good_id.zip(row.good_at)?;
        Some(GoodBackup { id: id.to_string(), at, verified_at: row.good_verified_at })
    });
    let last_verified_at = row.and_then(|row| row.last_verified_at);
    let oldest_at = row.and_then(|row| row.oldest_at);
    let facts = Facts {
        created_at: database.created_at,
        last_good_at: last_good.as_ref().map(|backup| backup.at),
        last_verified_at,
        oldest_at,
        job: job.map(|(job, interval)| (job.created_at, interval)),
    };
    let problem = facts.problem(now);
    let (problem, problem_since) = match problem {
        Some((problem, since)) => (Some(problem.to_owned()), since),
        None => (None, None),
    };
    Protection {
        target,
        project_id: database.project_id,
        title: database.name,
        last_good,
        last_verified_at,
        job: job.map(|(job, interval)| ProtectionJob {
            id: job.id.clone(),
            name: job.name.clone(),
            next_run_at: job.next_runs.first().copied(),
            interval_seconds: interval.map(|interval| interval.num_seconds()),
        }),
        kept_count: row.as_ref().map_or(0, |row| row.kept_count),
        kept_bytes: row.as_ref().map_or(0, |row| row.kept_bytes),
        oldest_at,
        retention: job.and_then(|(job, _)| retention::policy_of(job)),
        will_go: None,
        overdue: problem.is_some(),
        problem,
        problem_since,
    }
}

/// Returns the job that backs up the target most often, and the longest interval between its next fire times. A job
/// whose runs are all refused does not count.
fn covering_job<'a>(target: &str, jobs: &'a [Job]) -> Option<(&'a Job, Option<TimeDelta>)> {
    let covers = |job: &&Job| {
        let covered = job.params.get("target").and_then(|covered| covered.as_str());
        (covered == Some(ALL_TARGETS) || covered == Some(target)) && !retention::has_empty_policy(job)
    };
    let with_interval = |job: &'a Job| (job, job.next_runs.windows(2).map(|times| times[1] - times[0]).max());
    jobs.iter().filter(covers).map(with_interval).min_by_key(|(_, interval)| interval.unwrap_or(TimeDelta::MAX))
}

/// The facts that decide whether a database is protected.
#[derive(Debug, Clone, Copy, Default)]
struct Facts {
    created_at: Option<DateTime<Utc>>,
    last_good_at: Option<DateTime<Utc>>,
    last_verified_at: Option<DateTime<Utc>>,
    oldest_at: Option<DateTime<Utc>>,
    /// Creation time of the job that backs up the database, and its interval, if known.
    job: Option<(DateTime<Utc>, Option<TimeDelta>)>,
}

impl Facts {
    /// Returns the most serious problem, and the time when it began, if known.
    fn problem(self, now: DateTime<Utc>) -> Option<(&'static str, Option<DateTime<Utc>>)> {
        let Some((job_created_at, interval)) = self.job else {
            return Some(("No enabled job backs it up.", self.last_good_at.or(self.created_at)));
        };
        // The first backup of a new database or job has as much time as any later backup.
        let counts_from = self.last_good_at.or(self.created_at.max(Some(job_created_at)));
        let due = interval.and_then(|interval| counts_from?.checked_add_signed(interval * OVERDUE_INTERVALS));
        match due {
            Some(due) if due < now && self.last_good_at.is_some() => {
                return Some(("Its last good backup is older than twice the interval of its job.", Some(due)));
            }
            Some(due) if due < now => {
                return Some(("It has no good backup, although a job should make some.", Some(due)));
            }
            _ => {}
        }
        // If no backup was ever verified, the time counts from the oldest backup.
        let unverified_since = self.last_verified_at.or(self.oldest_at)?.checked_add_signed(MAX_UNVERIFIED)?;
        (unverified_since < now).then_some(("None of its backups was verified for 30 days.", Some(unverified_since)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overdue_follows_interval_coverage_and_verification() {
        let now: DateTime<Utc> = "2026-03-01T12:00:00Z".parse().unwrap();
        let ago = |hours: i64| Some(now - TimeDelta::hours(hours));
        let daily = |hours: i64| Some((now - TimeDelta::hours(hours), Some(TimeDelta::hours(24))));
        let check = |facts: Facts, expected: Option<&str>| {
            let found = facts.problem(now).map(|(problem, _)| problem);
            assert!(
                found.is_none() == expected.is_none() && found.unwrap_or("").contains(expected.unwrap_or("")),
                "{facts:?}: {found:?}"
            );
        };
        let old = Facts { created_at: ago(10_000), oldest_at: ago(5000), ..Facts::default() };
        check(old, Some("No enabled job"));
        check(Facts { job: daily(1), ..Facts { oldest_at: None, ..old } }, None);
        check(Facts { job: daily(49), ..Facts { oldest_at: None, ..old } }, Some("no good backup"));
        check(Facts { created_at: ago(1), oldest_at: None, job: daily(49), ..old }, None);
        let verified = Facts { job: daily(9000), last_verified_at: ago(100), ..old };
        check(Facts { last_good_at: ago(47), ..verified }, None);
        check(Facts { last_good_at: ago(49), ..verified }, Some("older than twice"));
        check(Facts { last_good_at: ago(1), last_verified_at: ago(31 * 24), ..verified }, Some("verified"));
        check(Facts { last_good_at: ago(1), last_verified_at: None, ..verified }, Some("verified"));
        check(Facts { last_good_at: ago(1), last_verified_at: None, oldest_at: ago(100), ..verified }, None);
    }
}
