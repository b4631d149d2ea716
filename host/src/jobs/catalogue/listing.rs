//! Lists jobs with numbers from their history.

use std::{cmp::Ordering, collections::HashMap};

use api_types::{Job, JobFailures, JobState, Page, PageQuery, RecentRun, Run};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    definitions::{HIDDEN, find_job},
    history,
    queries::{self, JobFilter, JobRow},
    sealed, validation,
};
use crate::{
    error::{ApiError, ApiResult, Code},
    http::PageRequest,
    jobs::{Jobs, runs::queries as run_queries},
};

/// Number of upcoming fire times in the response.
const SHOWN_FIRE_TIMES: usize = 5;
/// Sort key of a missing time. It sorts after every time.
const NEVER: &str = "~";

/// Numbers about a job, from the history of its runs.
#[derive(Debug, Default)]
pub(super) struct JobNumbers {
    pub last_run: Option<Run>,
    pub recent_runs: Option<Vec<RecentRun>>,
    pub run_count: i64,
    pub failing: Option<JobFailures>,
}

/// The selection and order of a list of jobs.
#[derive(Debug, Default)]
pub(super) struct JobList {
    pub filter: JobFilter,
    pub state: Option<JobState>,
    pub order: Option<JobOrder>,
    /// Number of recent runs of each job. `None` leaves them out.
    pub recent_runs: Option<u32>,
}

/// An order of a list of jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct JobOrder {
    key: SortKey,
    descending: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SortKey {
    Name,
    CreatedAt,
    NextRun,
    LastRun,
    /// Failing jobs first, then by name.
    Failing,
}

const SORT_KEYS: &[(&str, SortKey)] = &[
    ("name", SortKey::Name),
    ("createdAt", SortKey::CreatedAt),
    ("nextRun", SortKey::NextRun),
    ("lastRun", SortKey::LastRun),
    ("failing", SortKey::Failing),
];

impl JobOrder {
    /// Parses a sort key, with `-` before it for a descending order.
    pub(super) fn parse(text: &str) -> ApiResult<Self> {
        let (name, descending) = text.strip_prefix('-').map_or((text, false), |name| (name, true));
        let known = SORT_KEYS.iter().find(|(known, _)| *known == name);
        let (_, key) = known.ok_or_else(|| {
            let names: Vec<&str> = SORT_KEYS.iter().map(|(name, _)| *name).collect();
            ApiError::invalid(format!("Unknown value `{text}` of `order`. Supported: {}.", names.join(", ")))
                .with_hint("Put `-` before a name for the descending order.")
        })?;
        Ok(Self { key: *key, descending })
    }

    /// Returns the text that [`Self::parse`] accepts.
    fn text(self) -> String {
        let name = SORT_KEYS.iter().find(|(_, key)| *key == self.key).map_or("", |(name, _)| *name);
        format!("{}{name}", if self.descending { "-" } else { "" })
    }

    fn key_of(self, job: &Job) -> String {
        let time = |at: Option<DateTime<Utc>>| {
            at.map_or_else(|| NEVER.to_owned(), |at| at.format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string())
        };
        match self.key {
            SortKey::Name => job.name.to_lowercase(),
            SortKey::CreatedAt => time(Some(job.created_at)),
            SortKey::NextRun => time(job.next_runs.first().copied()),
            SortKey::LastRun => time(job.last_run.as_ref().map(|run| run.created_at)),
            SortKey::Failing => format!("{}{}", u8::from(job.failing.is_none()), job.name.to_lowercase()),
        }
    }

    fn compare(self, a: &(String, String), b: &(String, String)) -> Ordering {
        if self.descending { b.cmp(a) } else { a.cmp(b) }
    }
}

/// Position in a list of jobs.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(untagged)]
enum Cursor {
    /// Id of the previous page's last job.
    Id(Uuid),
    /// Order of the list, and sort key and id of the previous page's last job.
    Sorted(String, String, String),
}

pub(super) async fn list_jobs(jobs: &Jobs, list: &JobList, page: &PageQuery) -> ApiResult<Page<Job>> {
    let request = PageRequest::<Cursor>::parse(page)?;
    if list.state.is_some() || list.order.is_some() {
        return list_computed(jobs, list, &request).await;
    }
    let after = match request.after {
        None => None,
        Some(Cursor::Id(id)) => Some(id),
        Some(Cursor::Sorted(..)) => return Err(other_order()),
    };
    let rows = queries::list_jobs(jobs.platform(), &list.filter, after, Some(request.fetch())).await?;
    let page = request.page(rows, |row| Cursor::Id(row.id));
    let items = with_numbers(jobs, &page.items, list.recent_runs).await?;
    Ok(Page { items, next_cursor: page.next_cursor })
}

/// Lists jobs by a computed state or order. Reads all jobs that match the filter.
async fn list_computed(jobs: &Jobs, list: &JobList, request: &PageRequest<Cursor>) -> ApiResult<Page<Job>> {
    let order = list.order.unwrap_or(JobOrder { key: SortKey::CreatedAt, descending: false });
    let after = match &request.after {
        None => None,
        Some(Cursor::Sorted(text, key, id)) if *text == order.text() => Some((key.clone(), id.clone())),
        Some(_) => return Err(other_order()),
    };
    let rows = queries::list_jobs(jobs.platform(), &list.filter, None, None).await?;
    let mut items: Vec<((String, String), Job)> = with_numbers(jobs, &rows, list.recent_runs)
        .await?
        .into_iter()
        .filter(|job| list.state.is_none_or(|state| has_state(job, state)))
        .map(|job| ((order.key_of(&job), job.id.clone()), job))
        .filter(|(key, _)| after.as_ref().is_none_or(|after| order.compare(key, after).is_gt()))
        .collect();
    items.sort_by(|(a, _), (b, _)| order.compare(a, b));
    let page = request.page(items, |((key, id), _)| Cursor::Sorted(order.text(), key.clone(), id.clone()));
    Ok(Page { items: page.items.into_iter().map(|(_, job)| job).collect(), next_cursor: page.next_cursor })
}

fn other_order() -> ApiError {
    ApiError::new(Code::InvalidCursor, "The cursor belongs to a list in another order.")
        .with_hint("Send the `order` and `state` of the previous page, or leave `cursor` out.")
}

fn has_state(job: &Job, state: JobState) -> bool {
    match state {
        JobState::Failing => job.failing.is_some(),
        JobState::Problem => job.problem.is_some(),
        JobState::Disabled => !job.enabled,
    }
}

pub(super) async fn get_job(jobs: &Jobs, id: Uuid) -> ApiResult<Job> {
    let row = find_job(jobs, id).await?;
    let mut items = with_numbers(jobs, std::slice::from_ref(&row), None).await?;
    items.pop().ok_or_else(|| ApiError::not_found("job"))
}

/// Returns the jobs of the rows in the same order, with numbers from their history.
pub(super) async fn with_numbers(jobs: &Jobs, rows: &[JobRow], recent_runs: Option<u32>) -> ApiResult<Vec<Job>> {
    let ids: Vec<Uuid> = rows.iter().map(|row| row.id).collect();
    let platform = jobs.platform();
    let recent = async {
        match recent_runs {
            Some(count) => history::recent_runs(platform, &ids, count).await,
            None => Ok(HashMap::new()),
        }
    };
    let (last_runs, mut counts, mut failures, mut recent) = tokio::try_join!(
        run_queries::last_runs(platform, &ids),
        history::run_counts(platform, &ids),
        history::failures(platform, &ids),
        recent
    )?;
    let mut last_runs: HashMap<Uuid, Run> =
        last_runs.into_iter().filter_map(|run| Some((run.job_id?, run.into_wire()))).collect();
    let with_numbers = |row: &JobRow| {
        let numbers = JobNumbers {
            last_run: last_runs.remove(&row.id),
            recent_runs: recent_runs.map(|_| recent.remove(&row.id).unwrap_or_default()),
            run_count: counts.remove(&row.id).unwrap_or_default(),
            failing: failures.remove(&row.id),
        };
        to_wire(jobs, row, numbers)
    };
    Ok(rows.iter().map(with_numbers).collect())
}

pub(super) fn to_wire(jobs: &Jobs, row: &JobRow, numbers: JobNumbers) -> Job {
    let (headers, problem) = match sealed::read_headers(&jobs.sealer, row) {
        Ok(headers) => (headers.into_keys().collect(), None),
        Err(unreadable) => (Vec::new(), Some(unreadable.to_string())),
    };
    let (next_runs, schedule_problem) = match validation::parse_schedule(&row.schedule_cron, &row.timezone) {
        Ok(schedule) if row.enabled => (schedule.upcoming(Utc::now(), SHOWN_FIRE_TIMES), None),
        Ok(_) => (Vec::new(), None),
        // A version of AtlasHub with other rules stored this schedule.
        Err(error) => (Vec::new(), Some(error.message().to_owned())),
    };
    Job {
        id: row.id.to_string(),
        project_id: row.project_id.clone(),
        name: row.name.clone(),
        r#type: row.job_type,
        schedule_cron: row.schedule_cron.clone(),
        timezone: row.timezone.clone(),
        enabled: row.enabled,
        timeout_ms: row.timeout_ms,
        retries: row.retries,
        retry_backoff_ms: row.retry_backoff_ms,
        overlap: row.overlap,
        catch_up: row.catch_up,
        http_url: row.http_url.clone(),
        http_method: row.http_method.clone(),
        http_headers: headers.into_iter().map(|name| (name, None)).collect(),
        http_body: row.http_body_json.as_ref().map(|_| HIDDEN.to_owned()),
        plugin: row.plugin.clone(),
        plugin_job: row.plugin_job.clone(),
        params: row.params.clone(),
        next_runs,
        last_run: numbers.last_run,
        recent_runs: numbers.recent_runs,
        run_count: numbers.run_count,
        failing: numbers.failing,
        problem: problem.or(schedule_problem),
        created_at: row.created_at,
        updated_at: row.updated_at,
    }
}
