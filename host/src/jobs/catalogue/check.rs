//! Checks a definition while its form is filled in: reports every problem at once, each with its field.

use api_types::{CheckJob, JobCheck, JobFieldError, JobType};
use chrono::Utc;
use serde_json::{Value, json};

use super::{
    definitions::{changed_body, check_project_is_given, check_timeout, find_job, merge_headers, to_api_error},
    queries::JobRow,
    sealed::{self, Body, Headers, HttpParams},
    validation::{self, BACKUP_PLUGIN, BACKUP_PLUGIN_JOB, HTTP_PLUGIN, HTTP_PLUGIN_JOB, RequestBody},
};
use crate::{
    config::Secret,
    egress::{EgressError, EgressHeader, EgressRequest},
    error::{ApiError, ApiResult, Code},
    jobs::{Jobs, RunRefusal, Schedule, runs::routes::parse_job_id},
};

/// Number of fire times in the response.
const SHOWN_FIRE_TIMES: usize = 5;
/// Time limit that is assumed for an HTTP job if none is given.
const ASSUMED_TIMEOUT_MS: i32 = 60_000;

/// A check in progress.
struct Checked<'a> {
    jobs: &'a Jobs,
    /// The content of the form.
    given: &'a CheckJob,
    /// The job to change.
    stored: Option<JobRow>,
    check: JobCheck,
}

/// Checks a definition. Nothing is stored.
///
/// # Errors
/// Returns 404 if the job to change does not exist, and 503 if Postgres can't be reached.
pub(super) async fn check_job(jobs: &Jobs, given: &CheckJob) -> ApiResult<JobCheck> {
    let stored = match &given.job_id {
        Some(id) => Some(find_job(jobs, parse_job_id(id)?).await?),
        None => None,
    };
    let check =
        JobCheck { errors: Vec::new(), host_allowed: None, host: None, next_runs: Vec::new(), description: None };
    let mut checked = Checked { jobs, given, stored, check };
    checked.check_name();
    checked.check_project().await?;
    checked.check_schedule();
    checked.report(validation::TIMEOUT_MS.name, validation::TIMEOUT_MS.check(given.timeout_ms));
    checked.report(validation::RETRIES.name, validation::RETRIES.check(given.retries));
    checked.report(validation::RETRY_BACKOFF_MS.name, validation::RETRY_BACKOFF_MS.check(given.retry_backoff_ms));
    if let Some(job_type) = checked.job_type() {
        for field in validation::foreign_fields(job_type, given) {
            checked.report::<()>(field, Err(validation::foreign_field(job_type, field)));
        }
        checked.report("params", validation::check_params(job_type, given.params.as_ref()));
        match job_type {
            JobType::Http => checked.check_http().await,
            JobType::Platform => checked.check_plugin().await,
        }
    }
    Ok(checked.check)
}

impl Checked<'_> {
    /// Returns the value of a result, or records its error for a field.
    fn report<T>(&mut self, field: &str, result: ApiResult<T>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                self.add(field, None, error.message().to_owned());
                None
            }
        }
    }

    fn add(&mut self, field: &str, path: Option<String>, message: String) {
        self.check.errors.push(JobFieldError { field: field.to_owned(), path, message });
    }

    fn add_missing(&mut self, field: &str) {
        self.add(field, None, format!("`{field}` is required."));
    }

    fn has_error(&self, field: &str) -> bool {
        self.check.errors.iter().any(|error| error.field == field)
    }

    fn check_name(&mut self) {
        match &self.given.name {
            Some(name) => {
                self.report("name", validation::check_name(name));
            }
            None if self.stored.is_none() => self.add_missing("name"),
            None => {}
        }
    }

    async fn check_project(&mut self) -> ApiResult<()> {
        let Some(project) = &self.given.project_id else { return Ok(()) };
        if let Some(stored) = &self.stored {
            if stored.project_id.as_ref() != Some(project) {
                self.add("projectId", None, "A job can't be moved to another project.".to_owned());
            }
            return Ok(());
        }
        match self.jobs.projects.get(project).await {
            Ok(_) => Ok(()),
            Err(error) if error.code() == Code::NotFound => {
                self.add("projectId", None, "`projectId`: no such project.".to_owned());
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    fn check_schedule(&mut self) {
        let stored = self.stored.as_ref();
        let zone = self.given.timezone.clone().or_else(|| stored.map(|job| job.timezone.clone()));
        let zone = zone.unwrap_or_else(|| "UTC".to_owned());
        let Some(cron) = self.given.schedule_cron.clone().or_else(|| stored.map(|job| job.schedule_cron.clone()))
        else {
            return self.add_missing("scheduleCron");
        };
        match Schedule::parse(&cron, &zone) {
            Ok(schedule) => {
                self.check.next_runs = schedule.upcoming(Utc::now(), SHOWN_FIRE_TIMES);
                self.check.description = Some(schedule.description());
            }
            Err(error) => {
                let field = validation::field_of(&error);
                self.add(field, None, format!("`{field}`: {error}."));
            }
        }
    }

    /// Returns the type if it is known. Reports an error if it is missing or differs from the stored one.
    fn job_type(&mut self) -> Option<JobType> {
        let stored = self.stored.as_ref().map(|job| job.job_type);
        match (self.given.r#type, stored) {
            (Some(given), Some(stored)) if given != stored => {
                self.add("type", None, format!("The type of a job can't be changed. It is `{stored}`."));
                None
            }
            (None, None) => {
                self.add_missing("type");
                None
            }
            (given, stored) => given.or(stored),
        }
    }

    async fn check_http(&mut self) {
        let stored = self.stored.as_ref();
        let method = self.given.http_method.clone().or_else(|| stored.and_then(|job| job.http_method.clone()));
        let method = method.unwrap_or_else(|| "GET".to_owned()).to_ascii_uppercase();
        let url = self.given.http_url.clone().or_else(|| stored.and_then(|job| job.http_url.clone()));
        let timeout_ms = self.given.timeout_ms.or_else(|| stored.map(|job| job.timeout_ms));
        let has_body = self.check_body(&method);
        let headers = self.check_http_headers();
        self.report("httpMethod", validation::check_method(&method));
        if !self.has_error("timeoutMs")
            && let Some(timeout_ms) = self.given.timeout_ms
        {
            let result = check_timeout(self.jobs, HTTP_PLUGIN, timeout_ms).await;
            self.report("timeoutMs", result);
        }
        let Some(url) = url.filter(|url| !url.is_empty()) else { return self.add_missing("httpUrl") };
        let Some(parsed) = self.report("httpUrl", validation::check_url(&url)) else { return };
        self.check.host = parsed.host_str().map(|host| match parsed.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        });
        let header_names: Vec<String> = headers.keys().cloned().collect();
        let method = if self.has_error("httpMethod") { "GET" } else { &method };
        let timeout_ms = timeout_ms.unwrap_or(ASSUMED_TIMEOUT_MS);
        let params = HttpParams { url: &url, method, header_names: &header_names, has_body, timeout_ms }.to_json();
        if let Err(refusal) = self.jobs.runner.check(HTTP_PLUGIN, HTTP_PLUGIN_JOB, &params).await {
            return self.add("type", None, to_api_error(refusal).message().to_owned());
        }
        let headers = headers.iter().map(|(name, value)| EgressHeader::secret(name, Secret::new(value.as_str())));
        let request = EgressRequest { headers: headers.collect(), ..EgressRequest::new(method, &url) };
        let refusal = self.jobs.runner.check_request(HTTP_PLUGIN, &request).await.err();
        self.check.host_allowed = match &refusal {
            Some(RunRefusal::NoRequests { .. }) => Some(false),
            Some(RunRefusal::Request(error)) if error.is_denial() => Some(false),
            Some(RunRefusal::Request(EgressError::InvalidUrl(_))) => None,
            // There is no refusal, or its reason is not the host.
            _ => Some(true),
        };
        if let Some(refusal) = refusal {
            let is_of_headers = matches!(refusal, RunRefusal::Request(EgressError::InvalidRequest(_)));
            let field = if is_of_headers { "httpHeaders" } else { "httpUrl" };
            self.add(field, None, to_api_error(refusal).message().to_owned());
        }
    }

    /// Checks the body. Returns whether the request has one.
    fn check_body(&mut self, method: &str) -> bool {
        let given = self.given.http_body.as_deref();
        let (changed, stored) = match &self.stored {
            Some(job) => (changed_body(given, job), job.http_body_json.clone()),
            None => (Ok(given.map(Body::from_wire)), None),
        };
        let changed = self.report("httpBody", changed).flatten();
        let body = RequestBody::after_change(changed.as_ref(), stored.as_deref());
        self.report("httpBody", validation::check_body(method, body));
        body != RequestBody::None
    }

    /// Checks the headers. Returns them with the stored values that they keep, or no headers if they are not valid.
    fn check_http_headers(&mut self) -> Headers {
        let given = self.given.http_headers.as_ref();
        let mut result = validation::check_headers(given);
        if self.stored.is_none() {
            result = result.and_then(|()| validation::check_new_headers(given));
        }
        let headers = result.and_then(|()| {
            let stored = match &self.stored {
                Some(job) => sealed::read_headers(&self.jobs.sealer, job),
                None => Ok(Headers::new()),
            };
            match given {
                Some(given) => merge_headers(&stored, given),
                None => stored.map_err(ApiError::from),
            }
        });
        self.report("httpHeaders", headers).unwrap_or_default()
    }

    async fn check_plugin(&mut self) {
        let stored = self.stored.as_ref();
        let plugin = self.given.plugin.clone().or_else(|| stored.and_then(|job| job.plugin.clone()));
        let Some(plugin) = plugin.filter(|plugin| !plugin.is_empty()) else { return self.add_missing("plugin") };
        let project = self.given.project_id.as_deref().or_else(|| stored.and_then(|job| job.project_id.as_deref()));
        let has_project = check_project_is_given(self.jobs, &plugin, project);
        // The stored name of the plugin's job applies only to the stored plugin.
        let stored_job = stored.filter(|_| self.given.plugin.is_none()).and_then(|job| job.plugin_job.clone());
        let job = self.given.plugin_job.clone().or(stored_job).unwrap_or_default();
        let params = self.given.params.clone().or_else(|| stored.map(|job| job.params.clone()));
        let params = params.filter(Value::is_object).unwrap_or_else(|| json!({}));
        // The stored limit may be too long for another plugin.
        let stored_timeout = stored.filter(|job| job.plugin.as_ref() != Some(&plugin)).map(|job| job.timeout_ms);
        let timeout_ms = self.given.timeout_ms.or(stored_timeout);
        self.report("projectId", has_project);
        if !self.has_error("timeoutMs")
            && let Some(timeout_ms) = timeout_ms
        {
            let result = check_timeout(self.jobs, &plugin, timeout_ms).await;
            self.report("timeoutMs", result);
        }
        if self.has_error("params") {
            return;
        }
        match self.jobs.runner.check(&plugin, &job, &params).await {
            Ok(job) => match target_exists(self.jobs, &plugin, &job, &params).await {
                Ok(true) => {}
                Ok(false) => self.add("params", Some("/target".to_owned()), "no such project".to_owned()),
                Err(error) => self.add("params", None, error.message().to_owned()),
            },
            Err(RunRefusal::Params { problems }) => {
                for (path, problem) in problems {
                    self.add("params", Some(path), problem);
                }
            }
            Err(refusal) => {
                let field = if matches!(refusal, RunRefusal::UnknownJob { .. }) { "pluginJob" } else { "plugin" };
                self.add(field, None, to_api_error(refusal).message().to_owned());
            }
        }
    }
}

/// Returns whether the project that a backup job backs up exists. Returns true for every other job.
async fn target_exists(jobs: &Jobs, plugin: &str, job: &str, params: &Value) -> ApiResult<bool> {
    let target = params["target"].as_str().filter(|_| (plugin, job) == (BACKUP_PLUGIN, BACKUP_PLUGIN_JOB));
    let Some(project) = target.and_then(|target| target.strip_prefix("project:")) else { return Ok(true) };
    match jobs.projects.get(project).await {
        Ok(_) => Ok(true),
        Err(error) if error.code() == Code::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}
