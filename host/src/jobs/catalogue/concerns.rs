//! Finds problems of jobs that need the owner's attention.

use api_types::{Job, RunStatus};
use chrono::{DateTime, TimeDelta, Utc};

use super::{listing, queries, queries::JobFilter};
use crate::{error::ApiResult, jobs::Jobs};

/// Number of newest runs of a job that are checked.
const CHECKED_RUNS: u32 = 10;
/// Minimum number of skipped runs, among the [`CHECKED_RUNS`] newest, for which a job needs attention.
const MIN_SKIPPED: usize = 3;
/// Minimum number of durations for a comparison with the schedule.
const MIN_DURATIONS: usize = 3;

/// A problem of a job that needs attention.
#[derive(Debug, Clone)]
pub struct JobConcern {
    pub kind: JobConcernKind,
    pub job: Job,
    /// Creation time of the oldest failed or skipped run in [`Self::count`]. `None` if there is none.
    pub since: Option<DateTime<Utc>>,
    /// Number of failed or skipped runs. It may be 0 for [`JobConcernKind::Behind`], and is always 1 for
    /// [`JobConcernKind::Problem`].
    pub count: i64,
    /// The newest failed run, for [`JobConcernKind::Failing`] only.
    pub run_id: Option<String>,
    /// The problem, as the end of a sentence that begins with the job's name.
    pub message: String,
    /// The reason, for example the error of the last run.
    pub reason: Option<String>,
}

/// A kind of problem of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobConcernKind {
    /// Runs have failed since the last success.
    Failing,
    /// The job can't run as it is stored.
    Problem,
    /// The job's runs take longer than the time between its fire times.
    Behind,
    /// Several of the newest runs were skipped, and the job is not `Behind`.
    Skipping,
}

impl Jobs {
    /// Returns the concerns of all enabled jobs.
    ///
    /// # Errors
    /// Returns 503 if Postgres can't be reached.
    pub async fn concerns(&self) -> ApiResult<Vec<JobConcern>> {
        let filter = JobFilter { enabled: Some(true), ..JobFilter::default() };
        let rows = queries::list_jobs(self.platform(), &filter, None, None).await?;
        let jobs = listing::with_numbers(self, &rows, Some(CHECKED_RUNS)).await?;
        Ok(jobs.into_iter().flat_map(|job| concerns_of(&job)).collect())
    }

    /// Returns the enabled jobs that run a job of the plugin, oldest first.
    ///
    /// # Errors
    /// Returns 503 if Postgres can't be reached.
    pub async fn enabled_jobs_of(&self, plugin: &str, plugin_job: &str) -> ApiResult<Vec<Job>> {
        let filter = JobFilter { enabled: Some(true), plugin: Some(plugin.to_owned()), ..JobFilter::default() };
        let rows = queries::list_jobs(self.platform(), &filter, None, None).await?;
        let rows: Vec<_> = rows.into_iter().filter(|row| row.plugin_job.as_deref() == Some(plugin_job)).collect();
        listing::with_numbers(self, &rows, None).await
    }
}

fn concerns_of(job: &Job) -> Vec<JobConcern> {
    let concern = |kind, since, count, run_id, message| JobConcern {
        kind,
        job: Job { recent_runs: None, ..job.clone() },
        since,
        count,
        run_id,
        message,
        reason: None,
    };
    let mut concerns = Vec::new();
    if let Some(problem) = &job.problem {
        let found = concern(JobConcernKind::Problem, None, 1, None, format!("can't run: {problem}"));
        concerns.push(JobConcern { reason: Some(problem.clone()), ..found });
    }
    if let Some(failing) = &job.failing {
        let times = if failing.count == 1 { "failed".to_owned() } else { format!("failed {} times", failing.count) };
        let cause = failing.error_text.as_deref().map(|cause| format!(": {cause}")).unwrap_or_default();
        let run_id = Some(failing.run_id.clone());
        let message = format!("{times}{cause}");
        let found = concern(JobConcernKind::Failing, Some(failing.since), failing.count, run_id, message);
        concerns.push(JobConcern { reason: failing.error_text.clone(), ..found });
    }
    let recent = job.recent_runs.as_deref().unwrap_or_default();
    let skipped: Vec<_> = recent.iter().filter(|run| run.status == RunStatus::Skipped).collect();
    let since = skipped.last().map(|run| run.created_at);
    let count = skipped.len();
    if let Some((duration, interval)) = duration_and_interval(job) {
        let skipping = match count {
            0 => String::new(),
            1 => format!(": 1 of the last {} runs was skipped", recent.len()),
            _ => format!(": {count} of the last {} runs were skipped", recent.len()),
        };
        let message = format!(
            "takes {} a run, but its schedule fires every {}{skipping}",
            in_words(duration),
            in_words(interval)
        );
        concerns.push(concern(JobConcernKind::Behind, since, count as i64, None, message));
    } else if count >= MIN_SKIPPED {
        let message =
            format!("skipped {count} of its last {} runs, because earlier runs had not finished", recent.len());
        concerns.push(concern(JobConcernKind::Skipping, since, count as i64, None, message));
    }
    concerns
}

/// Returns the median duration of the job's recent runs and the shortest time between its next fire times. `None` if
/// the median is not longer than that time, or if fewer than [`MIN_DURATIONS`] durations or fewer than two fire times
/// are known.
fn duration_and_interval(job: &Job) -> Option<(TimeDelta, TimeDelta)> {
    let interval = job.next_runs.windows(2).map(|times| times[1] - times[0]).min()?;
    let mut durations: Vec<i64> = job.recent_runs.iter().flatten().filter_map(|run| run.duration_ms).collect();
    durations.sort_unstable();
    let median = TimeDelta::try_milliseconds(*durations.get(durations.len() / 2)?)?;
    (durations.len() >= MIN_DURATIONS && median > interval).then_some((median, interval))
}

/// Returns a duration in one unit, for example `50 s`.
fn in_words(duration: TimeDelta) -> String {
    let seconds = duration.num_seconds();
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Returns a job whose schedule fires every 20 seconds, with runs of these statuses and durations.
    fn job(runs: &[(&str, Option<i64>)]) -> Job {
        let runs: Vec<_> = runs
            .iter()
            .map(|(status, duration)| {
                json!({ "id": "r", "status": status, "createdAt": "2026-03-01T00:00:00Z", "startedAt": null,
                        "durationMs": duration })
            })
            .collect();
        serde_json::from_value(json!({
            "id": "j", "projectId": null, "name": "Ping", "type": "http", "scheduleCron": "*/20 * * * * *",
            "timezone": "UTC", "enabled": true, "timeoutMs": 1000, "retries": 0, "retryBackoffMs": 1, "overlap": "skip",
            "catchUp": "once", "httpUrl": null, "httpMethod": null, "httpHeaders": {}, "httpBody": null,
            "plugin": null, "pluginJob": null, "params": {}, "lastRun": null, "problem": null, "runCount": 0,
            "failing": null, "nextRuns": ["2026-03-01T00:00:20Z", "2026-03-01T00:00:40Z"], "recentRuns": runs,
            "createdAt": "2026-03-01T00:00:00Z", "updatedAt": "2026-03-01T00:00:00Z"
        }))
        .unwrap()
    }

    #[test]
    fn slow_and_skipping_jobs_need_attention() {
        let check = |runs: &[(&str, Option<i64>)], expected: &[JobConcernKind]| {
            let found: Vec<_> = concerns_of(&job(runs)).into_iter().map(|concern| concern.kind).collect();
            assert_eq!(found, expected, "{runs:?}");
        };
        let (slow, fast, skipped) = (("success", Some(50_000)), ("success", Some(50)), ("skipped", None));
        check(&[], &[]);
        check(&[fast, fast, fast], &[]);
        check(&[slow, slow], &[]);
        check(&[slow, slow, slow, skipped], &[JobConcernKind::Behind]);
        check(&[fast, skipped, skipped], &[]);
        check(&[fast, skipped, skipped, skipped], &[JobConcernKind::Skipping]);
    }

    #[test]
    fn message_names_duration_interval_and_skipped_runs() {
        let check = |skipped: usize, expected: &str| {
            let mut runs = vec![("success", Some(50_000)); 3];
            runs.resize(3 + skipped, ("skipped", None));
            let concerns = concerns_of(&job(&runs));
            assert_eq!(concerns[0].message, format!("takes 50 s a run, but its schedule fires every 20 s{expected}"));
        };
        check(0, "");
        check(1, ": 1 of the last 4 runs was skipped");
        check(2, ": 2 of the last 5 runs were skipped");
    }
}
