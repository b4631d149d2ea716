//! Jobs as the owner makes, changes and removes them.

use std::collections::BTreeMap;

use api_types::{CatchUp, CreateJob, Job, JobType, Overlap, Page, Run, UpdateJob};
use chrono::Utc;
use serde_json::{Value, json};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::{
    sealed::{self, Headers, UnreadableHeaders},
    validation::{self, HTTP_PLUGIN, HTTP_PLUGIN_JOB},
};
use crate::jobs::{
    JobsState, PLATFORM_BUCKET, RunRefusal,
    names::{catch_up_text, job_type_text, overlap_text, parse_catch_up, parse_job_type, parse_overlap},
    queries::{self, JobChange, JobFilter, JobRow},
};
use crate::{
    error::{ApiError, ApiResult, Code},
    http::PageRequest,
};

/// Fire times shown of a job.
const SHOWN_FIRE_TIMES: usize = 5;
const DEFAULT_TIMEOUT_MS: i32 = 60_000;
const DEFAULT_BACKOFF_MS: i32 = 1000;
/// What a body reads as.
const HIDDEN: &str = "***";

impl JobsState {
    pub(in crate::jobs) async fn list_jobs(
        &self,
        filter: &JobFilter,
        request: &PageRequest<Uuid>,
    ) -> ApiResult<Page<Job>> {
        let rows = queries::jobs(&self.platform, filter, request.after, request.fetch()).await?;
        let page = request.page(rows, |row| row.id);
        let ids: Vec<Uuid> = page.items.iter().map(|row| row.id).collect();
        let mut last_runs: BTreeMap<Uuid, Run> = queries::last_runs(&self.platform, &ids)
            .await?
            .into_iter()
            .filter_map(|run| Some((run.job_id?, run.into_wire())))
            .collect();
        let items = page.items.into_iter().map(|row| self.to_wire(&row, last_runs.remove(&row.id))).collect();
        Ok(Page { items, next_cursor: page.next_cursor })
    }

    pub(in crate::jobs) async fn get_job(&self, id: Uuid) -> ApiResult<Job> {
        let row = self.job_row(id).await?;
        let last_run = queries::last_runs(&self.platform, &[id]).await?.pop().map(queries::RunRow::into_wire);
        Ok(self.to_wire(&row, last_run))
    }

    pub(in crate::jobs) async fn create_job(&self, new: CreateJob) -> ApiResult<Job> {
        validation::check_new(&new)?;
        let timezone = new.timezone.clone().unwrap_or_else(|| "UTC".to_owned());
        let schedule = validation::schedule(&new.schedule_cron, &timezone)?;
        if let Some(project) = &new.project_id {
            self.projects.get(project).await.map_err(|error| match error.code() {
                Code::NotFound => ApiError::invalid("`projectId` names no project."),
                _ => error,
            })?;
        }
        let (id, now) = (Uuid::now_v7(), queries::now(&self.platform).await?);
        let headers: Headers = new
            .http_headers
            .iter()
            .flatten()
            .filter_map(|(name, value)| Some((name.clone(), Zeroizing::new(value.clone()?))))
            .collect();
        let body = new.http_body.as_deref().filter(|body| !body.is_empty());
        let enabled = new.enabled.unwrap_or(true);
        let mut row = JobRow {
            id,
            project_id: new.project_id.clone(),
            name: new.name.trim().to_owned(),
            job_type: job_type_text(new.r#type).to_owned(),
            schedule_cron: new.schedule_cron.trim().to_owned(),
            timezone,
            http_url: new.http_url.clone(),
            http_method: (new.r#type == JobType::Http)
                .then(|| new.http_method.clone().unwrap_or_else(|| "GET".to_owned()).to_ascii_uppercase()),
            http_headers_json: self.seal_headers(id, &headers)?,
            http_body_json: body.map(|body| self.seal_body(id, body)).transpose()?,
            plugin: new.plugin.clone(),
            plugin_job: new.plugin_job.clone(),
            params: new.params.clone().unwrap_or_else(|| json!({})),
            enabled,
            timeout_ms: self.timeout_ms(&new).await,
            retries: new.retries.unwrap_or(0),
            retry_backoff_ms: new.retry_backoff_ms.unwrap_or(DEFAULT_BACKOFF_MS),
            overlap: overlap_text(new.overlap.unwrap_or(Overlap::Skip)).to_owned(),
            catch_up: catch_up_text(new.catch_up.unwrap_or(CatchUp::Once)).to_owned(),
            scheduled_until: now,
            next_run_at: schedule.next_after(now).filter(|_| enabled),
            created_at: now,
            updated_at: now,
        };
        self.check_work(&mut row, body, headers.keys().cloned().collect()).await?;
        queries::insert_job(&self.platform, &row).await?;
        Ok(self.to_wire(&row, None))
    }

    /// What the job says; else, of a platform job, what its plugin asks for: a backup takes longer than a request.
    async fn timeout_ms(&self, new: &CreateJob) -> i32 {
        let longest = match (new.timeout_ms, &new.plugin) {
            (Some(timeout), _) => return timeout,
            (None, Some(plugin)) if new.r#type == JobType::Platform => self.runner.longest_run(plugin).await,
            (None, _) => None,
        };
        longest.map_or(DEFAULT_TIMEOUT_MS, |longest| i32::try_from(longest.as_millis()).unwrap_or(i32::MAX))
    }

    /// Changes what is given; what is left out stays.
    pub(in crate::jobs) async fn update_job(&self, id: Uuid, change: UpdateJob) -> ApiResult<Job> {
        let mut row = self.job_row(id).await?;
        let (read_at, was_enabled) = (row.updated_at, row.enabled);
        validation::check_change(parse_job_type(&row.job_type), &change)?;
        let rescheduled = change.schedule_cron.as_ref().is_some_and(|cron| cron.trim() != row.schedule_cron)
            || change.timezone.as_ref().is_some_and(|zone| *zone != row.timezone)
            || change.enabled.is_some_and(|enabled| enabled != row.enabled);
        // One that can't be opened is in nobody's way as long as nothing of it is needed.
        let mut headers = self.readable_headers(&row);
        if let Some(changed) = &change.http_headers {
            let merged = merge_headers(&headers, changed)?;
            row.http_headers_json = self.seal_headers(id, &merged)?;
            headers = Ok(merged);
        }
        // As it reads: whoever sends back what was shown means to keep it.
        let body = change.http_body.as_deref().filter(|body| *body != HIDDEN);
        if body.is_none() && change.http_body.is_some() && row.http_body_json.is_none() {
            return Err(ApiError::invalid(format!("`httpBody`: there is no stored one that `{HIDDEN}` could keep.")));
        }
        if let Some(body) = body {
            row.http_body_json = if body.is_empty() { None } else { Some(self.seal_body(id, body)?) };
        }
        apply(&mut row, &change);
        if rescheduled {
            let schedule = validation::schedule(&row.schedule_cron, &row.timezone)?;
            row.scheduled_until = queries::now(&self.platform).await?;
            row.next_run_at = schedule.next_after(row.scheduled_until).filter(|_| row.enabled);
        }
        let work_changed = change.http_url.is_some()
            || change.http_method.is_some()
            || change.http_headers.is_some()
            || body.is_some()
            || change.plugin.is_some()
            || change.plugin_job.is_some()
            || change.params.is_some();
        // Whatever its plugin has become, a job can be renamed and switched off.
        if work_changed || (row.enabled && !was_enabled) {
            self.check_work(&mut row, body, headers?.keys().cloned().collect()).await?;
        }
        let written = JobChange { read_at, rescheduled, headers: change.http_headers.is_some(), body: body.is_some() };
        if !queries::update_job(&self.platform, &row, written).await? {
            self.job_row(id).await?;
            return Err(ApiError::new(Code::Conflict, "The job was changed by somebody else at the same time.")
                .with_hint("Read it again and repeat the change."));
        }
        if was_enabled && !row.enabled {
            queries::cancel_queued(&self.platform, id).await?;
        }
        self.get_job(id).await
    }

    /// Removes a job with its history; a run that is going on is cancelled.
    pub(in crate::jobs) async fn delete_job(&self, id: Uuid) -> ApiResult<()> {
        for run in queries::running_of_job(&self.platform, id).await? {
            queries::cancel(&self.platform, run).await?;
        }
        if !queries::delete_job(&self.platform, id).await? {
            return Err(ApiError::not_found("job"));
        }
        // The sweep of logs without a run finds what stays.
        if let Err(error) = self.store.delete_prefix(PLATFORM_BUCKET, &format!("logs/{id}/")).await {
            tracing::warn!(job = %id, %error, "the logs of a removed job could not be removed yet");
        }
        Ok(())
    }

    pub(in crate::jobs) async fn job_row(&self, id: Uuid) -> ApiResult<JobRow> {
        queries::job(&self.platform, id).await?.ok_or_else(|| ApiError::not_found("job"))
    }

    /// Asks the runner whether it could run the job, and takes the name of the plugin's job from it.
    pub(in crate::jobs) async fn check_work(
        &self,
        row: &mut JobRow,
        new_body: Option<&str>,
        header_names: Vec<String>,
    ) -> ApiResult<()> {
        if parse_job_type(&row.job_type) == JobType::Http {
            let url =
                row.http_url.as_deref().ok_or_else(|| ApiError::invalid("A job of type `http` needs `httpUrl`."))?;
            let method = row.http_method.as_deref().unwrap_or("GET");
            let has_body = row.http_body_json.is_some();
            validation::check_request(url, method, new_body, has_body)?;
            let params = sealed::http_params(url, method, &header_names, has_body, row.timeout_ms);
            self.check_runner(HTTP_PLUGIN, HTTP_PLUGIN_JOB, &params).await.map(drop)
        } else {
            let plugin = row.plugin.as_deref().filter(|plugin| !plugin.is_empty());
            let plugin = plugin.ok_or_else(|| ApiError::invalid("A job of type `platform` needs `plugin`."))?;
            let job = row.plugin_job.clone().unwrap_or_default();
            row.plugin_job = Some(self.check_runner(plugin, &job, &row.params).await?);
            Ok(())
        }
    }

    pub(in crate::jobs) async fn check_runner(&self, plugin: &str, job: &str, params: &Value) -> ApiResult<String> {
        self.runner.check(plugin, job, params).await.map_err(|refusal| {
            let message = sentence(&refusal.to_string());
            match refusal {
                RunRefusal::UnknownPlugin { .. } => ApiError::new(Code::Unprocessable, message)
                    .with_hint("`GET /admin/v1/plugins` lists those there are, and why one does not run."),
                RunRefusal::UnknownJob { known, .. } => {
                    ApiError::new(Code::Unprocessable, message).with_details(json!({ "jobs": known }))
                }
                RunRefusal::Params { problems } => {
                    let problems: Vec<Value> =
                        problems.iter().map(|(at, what)| json!({ "path": at, "message": what })).collect();
                    ApiError::invalid(message).with_details(json!({ "problems": problems }))
                }
            }
        })
    }

    fn to_wire(&self, row: &JobRow, last_run: Option<Run>) -> Job {
        let (headers, problem) = match self.header_names(row) {
            Ok(headers) => (headers, None),
            Err(unreadable) => (Vec::new(), Some(unreadable.to_string())),
        };
        let next_runs = match validation::schedule(&row.schedule_cron, &row.timezone) {
            Ok(schedule) if row.enabled => schedule.upcoming(Utc::now(), SHOWN_FIRE_TIMES),
            _ => Vec::new(),
        };
        Job {
            id: row.id.to_string(),
            project_id: row.project_id.clone(),
            name: row.name.clone(),
            r#type: parse_job_type(&row.job_type),
            schedule_cron: row.schedule_cron.clone(),
            timezone: row.timezone.clone(),
            enabled: row.enabled,
            timeout_ms: row.timeout_ms,
            retries: row.retries,
            retry_backoff_ms: row.retry_backoff_ms,
            overlap: parse_overlap(&row.overlap),
            catch_up: parse_catch_up(&row.catch_up),
            http_url: row.http_url.clone(),
            http_method: row.http_method.clone(),
            http_headers: headers.into_iter().map(|name| (name, None)).collect(),
            http_body: row.http_body_json.as_ref().map(|_| HIDDEN.to_owned()),
            plugin: row.plugin.clone(),
            plugin_job: row.plugin_job.clone(),
            params: row.params.clone(),
            next_runs,
            last_run,
            problem,
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}

/// The new set of headers; a null value keeps what was stored under that name, however it is spelled.
fn merge_headers(
    stored: &Result<Headers, UnreadableHeaders>,
    changed: &BTreeMap<String, Option<String>>,
) -> ApiResult<Headers> {
    let mut merged = Headers::new();
    for (name, value) in changed {
        let value = match value {
            Some(value) => Zeroizing::new(value.clone()),
            None => stored
                .as_ref()
                .map_err(|unreadable| *unreadable)?
                .iter()
                .find(|(known, _)| known.eq_ignore_ascii_case(name))
                .map(|(_, value)| value.clone())
                .ok_or_else(|| ApiError::invalid(format!("`httpHeaders`: `{name}` has no stored value to keep.")))?,
        };
        merged.insert(name.clone(), value);
    }
    Ok(merged)
}

fn apply(row: &mut JobRow, change: &UpdateJob) {
    fn set<T: Clone>(field: &mut T, value: Option<&T>) {
        if let Some(value) = value {
            field.clone_from(value);
        }
    }
    set(&mut row.name, change.name.as_ref().map(|name| name.trim().to_owned()).as_ref());
    set(&mut row.schedule_cron, change.schedule_cron.as_ref().map(|cron| cron.trim().to_owned()).as_ref());
    set(&mut row.timezone, change.timezone.as_ref());
    set(&mut row.enabled, change.enabled.as_ref());
    set(&mut row.timeout_ms, change.timeout_ms.as_ref());
    set(&mut row.retries, change.retries.as_ref());
    set(&mut row.retry_backoff_ms, change.retry_backoff_ms.as_ref());
    set(&mut row.overlap, change.overlap.map(|overlap| overlap_text(overlap).to_owned()).as_ref());
    set(&mut row.catch_up, change.catch_up.map(|catch_up| catch_up_text(catch_up).to_owned()).as_ref());
    set(&mut row.params, change.params.as_ref());
    row.http_url = change.http_url.clone().or(row.http_url.take());
    row.http_method = change.http_method.as_ref().map(|method| method.to_ascii_uppercase()).or(row.http_method.take());
    if change.plugin.is_some() && change.plugin_job.is_none() {
        row.plugin_job = None;
    }
    row.plugin = change.plugin.clone().or(row.plugin.take());
    row.plugin_job = change.plugin_job.clone().or(row.plugin_job.take());
}

fn sentence(text: &str) -> String {
    let mut characters = text.chars();
    let first: String = characters.next().map(|first| first.to_uppercase().collect()).unwrap_or_default();
    format!("{first}{}.", characters.as_str())
}
