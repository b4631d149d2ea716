//! Creates, changes and deletes jobs.

use std::collections::BTreeMap;

use api_types::{CatchUp, CreateJob, Job, JobType, Overlap, UpdateJob};
use serde_json::{Value, json, value::RawValue};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::{
    listing::{self, JobNumbers},
    queries::{self, JobRow, JobUpdate},
    sealed::{self, Body, Headers, HttpParams, UnreadableHeaders},
    validation::{self, HTTP_PLUGIN, HTTP_PLUGIN_JOB, RequestBody},
};
use crate::{
    config::Secret,
    egress::{EgressHeader, EgressRequest},
    error::{ApiError, ApiResult, Code},
    jobs::{Jobs, RunRefusal, runs::queries as run_queries},
    object_store::PLATFORM_BUCKET,
};

const DEFAULT_TIMEOUT_MS: i32 = 60_000;
const DEFAULT_BACKOFF_MS: i32 = 1000;
/// Placeholder for a stored body in responses.
pub(super) const HIDDEN: &str = "***";

pub(super) async fn create_job(jobs: &Jobs, new: CreateJob) -> ApiResult<Job> {
    validation::check_new(&new)?;
    let timezone = new.timezone.clone().unwrap_or_else(|| "UTC".to_owned());
    let schedule = validation::parse_schedule(&new.schedule_cron, &timezone)?;
    if let Some(project) = &new.project_id {
        jobs.projects.get(project).await.map_err(|error| match error.code() {
            Code::NotFound => ApiError::invalid("`projectId`: no such project."),
            _ => error,
        })?;
    }
    let (id, now) = (Uuid::now_v7(), queries::current_time(jobs.platform()).await?);
    let headers: Headers = new
        .http_headers
        .iter()
        .flatten()
        .filter_map(|(name, value)| Some((name.clone(), Zeroizing::new(value.clone()?))))
        .collect();
    let body = new.http_body.as_deref().map(Body::from_wire).filter(|body| !body.text().is_empty());
    let enabled = new.enabled.unwrap_or(true);
    let mut row = JobRow {
        id,
        project_id: new.project_id.clone(),
        name: new.name.trim().to_owned(),
        job_type: new.r#type,
        schedule_cron: new.schedule_cron.trim().to_owned(),
        timezone,
        http_url: new.http_url.clone(),
        http_method: (new.r#type == JobType::Http)
            .then(|| new.http_method.clone().unwrap_or_else(|| "GET".to_owned()).to_ascii_uppercase()),
        http_headers_json: sealed::seal_headers(&jobs.sealer, id, &headers)?,
        http_body_json: body.as_ref().map(|body| sealed::seal_body(&jobs.sealer, id, body)).transpose()?,
        plugin: new.plugin.clone(),
        plugin_job: new.plugin_job.clone(),
        params: new.params.clone().unwrap_or_else(|| json!({})),
        enabled,
        timeout_ms: timeout_ms(jobs, &new).await,
        retries: new.retries.unwrap_or(0),
        retry_backoff_ms: new.retry_backoff_ms.unwrap_or(DEFAULT_BACKOFF_MS),
        overlap: new.overlap.unwrap_or(Overlap::Skip),
        catch_up: new.catch_up.unwrap_or(CatchUp::Once),
        scheduled_until: now,
        next_run_at: schedule.next_after(now).filter(|_| enabled),
        created_at: now,
        updated_at: now,
    };
    check_work(jobs, &mut row, body.as_ref(), &headers).await?;
    if new.timeout_ms.is_some() {
        check_timeout(jobs, plugin_of(&row), row.timeout_ms).await?;
    }
    queries::insert_job(jobs.platform(), &row).await?;
    Ok(listing::to_wire(jobs, &row, JobNumbers::default()))
}

/// Returns the new job's time limit. The default of a platform job is its plugin's maximum duration, because a backup
/// takes longer than an HTTP request.
async fn timeout_ms(jobs: &Jobs, new: &CreateJob) -> i32 {
    let max_duration = match (new.timeout_ms, &new.plugin) {
        (Some(timeout), _) => return timeout,
        (None, Some(plugin)) if new.r#type == JobType::Platform => jobs.runner.max_duration(plugin).await,
        (None, _) => None,
    };
    max_duration.map_or(DEFAULT_TIMEOUT_MS, |duration| i32::try_from(duration.as_millis()).unwrap_or(i32::MAX))
}

/// Changes the given fields of a job.
pub(super) async fn update_job(jobs: &Jobs, id: Uuid, change: UpdateJob) -> ApiResult<Job> {
    let mut row = find_job(jobs, id).await?;
    let (read_at, was_enabled) = (row.updated_at, row.enabled);
    validation::check_change(row.job_type, &change)?;
    let has_new_schedule = change.schedule_cron.as_ref().is_some_and(|cron| cron.trim() != row.schedule_cron)
        || change.timezone.as_ref().is_some_and(|zone| *zone != row.timezone);
    let has_new_plugin = change.plugin.is_some() && change.plugin != row.plugin;
    let schedule_changed = has_new_schedule || change.enabled.is_some_and(|enabled| enabled != row.enabled);
    // Headers that can't be opened are an error only if the change needs their values.
    let mut headers = sealed::read_headers(&jobs.sealer, &row);
    if let Some(changed) = &change.http_headers {
        let merged = merge_headers(&headers, changed)?;
        row.http_headers_json = sealed::seal_headers(&jobs.sealer, id, &merged)?;
        headers = Ok(merged);
    }
    let body = changed_body(change.http_body.as_deref(), &row)?;
    if let Some(body) = &body {
        let is_empty = body.text().is_empty();
        row.http_body_json = if is_empty { None } else { Some(sealed::seal_body(&jobs.sealer, id, body)?) };
    }
    apply_change(&mut row, &change);
    if schedule_changed {
        row.scheduled_until = queries::current_time(jobs.platform()).await?;
        row.next_run_at = None;
        // A job with a stored schedule that is no longer valid can still be disabled.
        if has_new_schedule || row.enabled {
            let schedule = validation::parse_schedule(&row.schedule_cron, &row.timezone)?;
            row.next_run_at = schedule.next_after(row.scheduled_until).filter(|_| row.enabled);
        }
    }
    let work_changed = change.http_url.is_some()
        || change.http_method.is_some()
        || change.http_headers.is_some()
        || body.is_some()
        || change.plugin.is_some()
        || change.plugin_job.is_some()
        || change.params.is_some();
    // A job whose plugin can't run can still be renamed and disabled.
    if work_changed || (row.enabled && !was_enabled) {
        check_work(jobs, &mut row, body.as_ref(), &headers?).await?;
    }
    // The stored limit may be too long for another plugin.
    if change.timeout_ms.is_some() || has_new_plugin {
        check_timeout(jobs, plugin_of(&row), row.timeout_ms).await?;
    }
    let update =
        JobUpdate { read_at, schedule: schedule_changed, headers: change.http_headers.is_some(), body: body.is_some() };
    if !queries::update_job(jobs.platform(), &row, update).await? {
        find_job(jobs, id).await?;
        return Err(ApiError::new(Code::Conflict, "The job was changed by another request at the same time.")
            .with_hint("Read the job again and repeat the change."));
    }
    if was_enabled && !row.enabled {
        run_queries::cancel_queued_runs(jobs.platform(), id).await?;
    }
    listing::get_job(jobs, id).await
}

/// Returns the new body of a change, or `None` if the change keeps the stored body. The placeholder that clients read
/// keeps the stored body, too.
pub(super) fn changed_body(given: Option<&RawValue>, stored: &JobRow) -> ApiResult<Option<Body>> {
    let Some(body) = given.map(Body::from_wire) else { return Ok(None) };
    if body.text() != HIDDEN {
        return Ok(Some(body));
    }
    match stored.http_body_json {
        Some(_) => Ok(None),
        None => Err(ApiError::invalid(format!("`httpBody`: `{HIDDEN}` keeps the stored body, but none is stored."))),
    }
}

/// Deletes a job with its history and its queued runs, and cancels its running runs. Returns the job's name.
pub(super) async fn delete_job(jobs: &Jobs, id: Uuid) -> ApiResult<String> {
    for run in run_queries::running_runs(jobs.platform(), id).await? {
        run_queries::cancel_run(jobs.platform(), run).await?;
    }
    let name = queries::delete_job(jobs.platform(), id).await?.ok_or_else(|| ApiError::not_found("job"))?;
    // If the logs can't be deleted now, the sweep of orphaned logs removes them later.
    if let Err(error) = jobs.runs.store.delete_prefix(PLATFORM_BUCKET, &format!("logs/{id}/")).await {
        tracing::warn!(job = %id, %error, "failed to remove the logs of a deleted job; a sweep will retry");
    }
    Ok(name)
}

pub(super) async fn find_job(jobs: &Jobs, id: Uuid) -> ApiResult<JobRow> {
    queries::get_job(jobs.platform(), id).await?.ok_or_else(|| ApiError::not_found("job"))
}

/// Checks that the runner can run the job, and sets the name of the plugin's job.
pub(super) async fn check_work(
    jobs: &Jobs,
    row: &mut JobRow,
    new_body: Option<&Body>,
    headers: &Headers,
) -> ApiResult<()> {
    match row.job_type {
        JobType::Http => {
            let url =
                row.http_url.as_deref().ok_or_else(|| ApiError::invalid("A job of type `http` needs `httpUrl`."))?;
            let method = row.http_method.as_deref().unwrap_or("GET");
            let body = RequestBody::after_change(new_body, row.http_body_json.as_deref());
            validation::check_request(url, method, body)?;
            let header_names: Vec<String> = headers.keys().cloned().collect();
            let (has_body, timeout_ms) = (body != RequestBody::None, row.timeout_ms);
            let params = HttpParams { url, method, header_names: &header_names, has_body, timeout_ms };
            check_plugin_job(jobs, HTTP_PLUGIN, HTTP_PLUGIN_JOB, &params.to_json()).await?;
            let headers = headers.iter();
            let headers = headers.map(|(name, value)| EgressHeader::secret(name, Secret::new(value.as_str())));
            let request = EgressRequest { headers: headers.collect(), ..EgressRequest::new(method, url) };
            jobs.runner.check_request(HTTP_PLUGIN, &request).await.map_err(to_api_error)
        }
        JobType::Platform => {
            let plugin = row.plugin.as_deref().filter(|plugin| !plugin.is_empty());
            let plugin = plugin.ok_or_else(|| ApiError::invalid("A job of type `platform` needs `plugin`."))?;
            check_project_is_given(jobs, plugin, row.project_id.as_deref())?;
            let job = row.plugin_job.clone().unwrap_or_default();
            row.plugin_job = Some(check_plugin_job(jobs, plugin, &job, &row.params).await?);
            Ok(())
        }
    }
}

/// Returns the plugin that executes the job.
fn plugin_of(row: &JobRow) -> &str {
    row.plugin.as_deref().filter(|_| row.job_type == JobType::Platform).unwrap_or(HTTP_PLUGIN)
}

/// Checks that a job has a project if the plugin's jobs need one. A stored job can't get a project.
pub(super) fn check_project_is_given(jobs: &Jobs, plugin: &str, project: Option<&str>) -> ApiResult<()> {
    if project.is_some() || !jobs.runner.needs_project(plugin) {
        return Ok(());
    }
    Err(ApiError::invalid(format!("A job of `{plugin}` needs `projectId`: it works in a project."))
        .with_hint("A job can't be moved to another project. Create a new job with `projectId`."))
}

/// Checks that runs of a plugin may take as long as this time limit.
pub(super) async fn check_timeout(jobs: &Jobs, plugin: &str, timeout_ms: i32) -> ApiResult<()> {
    let Some(max) = jobs.runner.max_duration(plugin).await else { return Ok(()) };
    let max_ms = max.as_millis();
    if u128::from(timeout_ms.unsigned_abs()) <= max_ms {
        return Ok(());
    }
    let message =
        format!("`timeoutMs` must be at most {max_ms}: runs of plugin `{plugin}` are stopped after that time.");
    Err(ApiError::invalid(message).with_detail("field", "timeoutMs".into()))
}

/// Checks that the runner can run a plugin's job with these parameters, and returns the job's name.
pub(super) async fn check_plugin_job(jobs: &Jobs, plugin: &str, job: &str, params: &Value) -> ApiResult<String> {
    jobs.runner.check(plugin, job, params).await.map_err(to_api_error)
}

pub(super) fn to_api_error(refusal: RunRefusal) -> ApiError {
    let message = to_sentence(&refusal.to_string());
    match refusal {
        RunRefusal::UnknownPlugin { .. } => ApiError::new(Code::Unprocessable, message)
            .with_hint("`GET /admin/v1/plugins` lists all plugins, and why a plugin is not running."),
        RunRefusal::UnknownJob { known, .. } => {
            ApiError::new(Code::Unprocessable, message).with_details(json!({ "jobs": known }))
        }
        RunRefusal::Params { problems } => {
            let problems: Vec<Value> =
                problems.iter().map(|(pointer, problem)| json!({ "path": pointer, "message": problem })).collect();
            ApiError::invalid(message).with_details(json!({ "problems": problems }))
        }
        // The request itself is valid; only the owner's configuration refuses it.
        RunRefusal::NoRequests { .. } => ApiError::new(Code::Unprocessable, message),
        RunRefusal::Request(error) if error.is_denial() => ApiError::new(Code::Unprocessable, message),
        RunRefusal::Request(_) => ApiError::invalid(message),
    }
}

/// Returns the new set of headers, which replaces the stored one. A null value keeps the stored value of that name.
/// Names are compared case-insensitively.
pub(super) fn merge_headers(
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
                .find(|(stored_name, _)| stored_name.eq_ignore_ascii_case(name))
                .map(|(_, value)| value.clone())
                .ok_or_else(|| ApiError::invalid(format!("`httpHeaders`: `{name}` has no stored value to keep.")))?,
        };
        merged.insert(name.clone(), value);
    }
    Ok(merged)
}

fn apply_change(row: &mut JobRow, change: &UpdateJob) {
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
    set(&mut row.overlap, change.overlap.as_ref());
    set(&mut row.catch_up, change.catch_up.as_ref());
    set(&mut row.params, change.params.as_ref());
    row.http_url = change.http_url.clone().or(row.http_url.take());
    row.http_method = change.http_method.as_ref().map(|method| method.to_ascii_uppercase()).or(row.http_method.take());
    if change.plugin.is_some() && change.plugin_job.is_none() {
        row.plugin_job = None;
    }
    row.plugin = change.plugin.clone().or(row.plugin.take());
    row.plugin_job = change.plugin_job.clone().or(row.plugin_job.take());
}

fn to_sentence(text: &str) -> String {
    let mut characters = text.chars();
    let first: String = characters.next().map(|first| first.to_uppercase().collect()).unwrap_or_default();
    format!("{first}{}.", characters.as_str())
}
