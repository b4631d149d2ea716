//! Counts runs over time.

use std::collections::BTreeMap;

use api_types::{RunCounts, RunPeriod, RunSummary, SummaryPeriod};
use chrono::{DateTime, DurationRound as _, TimeDelta, Utc};
use sqlx::PgPool;
use uuid::Uuid;

use crate::{
    db::ids,
    error::{ApiError, ApiResult},
    jobs::Runs,
};

const DEFAULT_SPAN: TimeDelta = TimeDelta::hours(24);
/// Maximum number of periods in a summary.
const MAX_PERIODS: usize = 1000;

/// The selection of runs that are counted. A field that is `None` selects all runs.
#[derive(Debug, Default)]
pub struct SummaryFilter {
    pub project_id: Option<String>,
    pub plugin: Option<String>,
    pub job_id: Option<Uuid>,
}

impl Runs {
    /// Counts the runs that were queued at or after `from` (default: 24 hours before `to`) and before `to` (default:
    /// now).
    ///
    /// # Errors
    /// Returns 400 if the time span is empty, has too many periods, or is out of range, and 503 if Postgres can't be
    /// reached.
    pub async fn summarize(
        &self,
        by: SummaryPeriod,
        from: Option<DateTime<Utc>>,
        to: Option<DateTime<Utc>>,
        filter: &SummaryFilter,
    ) -> ApiResult<RunSummary> {
        let to = to.unwrap_or_else(Utc::now);
        let from = match from {
            Some(from) => from,
            None => to.checked_sub_signed(DEFAULT_SPAN).ok_or_else(|| ApiError::invalid("`to` is too early."))?,
        };
        let starts = period_starts(by, from, to)?;
        let rows = count_runs(&self.platform, by, from, to, filter).await?;
        let mut counted: BTreeMap<DateTime<Utc>, RunCounts> =
            rows.into_iter().map(|row| (row.at, row.into())).collect();
        let items: Vec<RunPeriod> =
            starts.into_iter().map(|at| RunPeriod { at, counts: counted.remove(&at).unwrap_or_default() }).collect();
        let counts = items.iter().fold(RunCounts::default(), |sum, item| add(sum, item.counts));
        Ok(RunSummary { from, to, by, counts, items })
    }
}

fn add(a: RunCounts, b: RunCounts) -> RunCounts {
    RunCounts {
        total: a.total + b.total,
        failed: a.failed + b.failed,
        succeeded: a.succeeded + b.succeeded,
        cancelled: a.cancelled + b.cancelled,
        skipped: a.skipped + b.skipped,
        active: a.active + b.active,
    }
}

/// Returns the starts of the periods that contain times from `from` until `to`.
fn period_starts(by: SummaryPeriod, from: DateTime<Utc>, to: DateTime<Utc>) -> ApiResult<Vec<DateTime<Utc>>> {
    if from >= to {
        return Err(ApiError::invalid("`from` must be before `to`."));
    }
    let length = match by {
        SummaryPeriod::Hour => TimeDelta::hours(1),
        SummaryPeriod::Day => TimeDelta::days(1),
    };
    // Fails for times outside the range of nanosecond timestamps (years 1677 to 2262).
    let first = from.duration_trunc(length).map_err(|_| ApiError::invalid("`from` is out of range."))?;
    let starts = (0..).map_while(|index| first.checked_add_signed(length * index)).take_while(|start| *start < to);
    let starts: Vec<DateTime<Utc>> = starts.take(MAX_PERIODS + 1).collect();
    if starts.len() > MAX_PERIODS {
        return Err(ApiError::invalid(format!("The time from `from` until `to` has more than {MAX_PERIODS} periods."))
            .with_hint("Choose a shorter time, or `by=day`."));
    }
    Ok(starts)
}

#[derive(Debug, sqlx::FromRow)]
struct CountRow {
    at: DateTime<Utc>,
    total: i64,
    failed: i64,
    succeeded: i64,
    cancelled: i64,
    skipped: i64,
    active: i64,
}

impl From<CountRow> for RunCounts {
    fn from(row: CountRow) -> Self {
        Self {
            total: row.total,
            failed: row.failed,
            succeeded: row.succeeded,
            cancelled: row.cancelled,
            skipped: row.skipped,
            active: row.active,
        }
    }
}

async fn count_runs(
    pool: &PgPool,
    by: SummaryPeriod,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
    filter: &SummaryFilter,
) -> Result<Vec<CountRow>, sqlx::Error> {
    sqlx::query_as(
        "SELECT date_trunc($1, created_at, 'UTC') AS at, count(*) AS total,
             count(*) FILTER (WHERE status IN ('fail', 'timeout')) AS failed,
             count(*) FILTER (WHERE status = 'success') AS succeeded,
             count(*) FILTER (WHERE status = 'cancelled') AS cancelled,
             count(*) FILTER (WHERE status = 'skipped') AS skipped,
             count(*) FILTER (WHERE status IN ('queued', 'running')) AS active
         FROM cron_job_runs
         WHERE created_at >= $2 AND id >= $3 AND created_at < $4 AND id < $5
           AND ($6::text IS NULL OR project_id = $6) AND ($7::text IS NULL OR plugin = $7)
           AND ($8::uuid IS NULL OR job_id = $8)
         GROUP BY 1",
    )
    .bind(by.as_str())
    .bind(from)
    .bind(ids::lowest_id(from))
    .bind(to)
    .bind(ids::highest_id(to))
    .bind(&filter.project_id)
    .bind(&filter.plugin)
    .bind(filter.job_id)
    .fetch_all(pool)
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_cover_the_whole_time() {
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        let starts = |by, from, to| period_starts(by, at(from), at(to)).map(|starts| starts.len());
        assert_eq!(starts(SummaryPeriod::Hour, "2026-03-01T10:30:00Z", "2026-03-01T12:30:00Z").unwrap(), 3);
        assert_eq!(starts(SummaryPeriod::Hour, "2026-03-01T10:00:00Z", "2026-03-01T12:00:00Z").unwrap(), 2);
        assert_eq!(starts(SummaryPeriod::Day, "2026-03-01T10:30:00Z", "2026-03-01T12:30:00Z").unwrap(), 1);
        assert!(starts(SummaryPeriod::Hour, "2026-03-01T10:00:00Z", "2026-03-01T10:00:00Z").is_err());
        assert!(starts(SummaryPeriod::Hour, "2020-03-01T10:00:00Z", "2026-03-01T10:00:00Z").is_err());
        assert!(starts(SummaryPeriod::Day, "0001-03-01T10:00:00Z", "0001-03-01T11:00:00Z").is_err());
    }

    #[test]
    fn time_with_the_maximum_number_of_periods_is_accepted() {
        let from: DateTime<Utc> = "2026-03-01T10:00:00Z".parse().unwrap();
        let starts = |from, hours| period_starts(SummaryPeriod::Hour, from, from + TimeDelta::hours(hours));
        assert_eq!(starts(from, 1000).unwrap().len(), MAX_PERIODS);
        assert!(starts(from, 1001).is_err());
        assert!(starts(from + TimeDelta::minutes(30), 1000).is_err(), "the span contains times of 1001 hours");
    }
}
