//! The values of the form, and the request to save them.

use std::collections::BTreeMap;

use api_types::{CatchUp, Job, JobType, Overlap};
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};

use super::{
    header::Header,
    parameters::{self, Node},
};

/// Maximum of the fields with seconds. More milliseconds would not fit into the request's field.
const MAX_SECONDS: f64 = 2_000_000.0;
/// Time limit of a new job that sends a request, in milliseconds.
const DEFAULT_TIME_LIMIT_MS: i32 = 60_000;
/// Delay before the first retry of a new job, in milliseconds.
const DEFAULT_RETRY_WAIT_MS: i32 = 1_000;

/// The fields of the form, as text. Values that may be secret are not written to the browser's storage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Draft {
    pub(super) name: String,
    /// Empty for the platform.
    pub(super) project: String,
    pub(super) job_type: JobType,
    pub(super) method: String,
    pub(super) url: String,
    pub(super) headers: Vec<Header>,
    #[serde(skip)]
    pub(super) body: String,
    #[serde(skip)]
    pub(super) body_changed: bool,
    pub(super) body_is_stored: bool,
    pub(super) body_is_json: bool,
    pub(super) plugin: String,
    pub(super) plugin_job: String,
    /// Parameters by JSON pointer.
    pub(super) parameters: BTreeMap<String, String>,
    /// Stored parameters. The form shows those that the schema defines.
    pub(super) stored_parameters: serde_json::Value,
    /// The plugin and its job that the stored parameters are for.
    #[serde(default)]
    pub(super) stored_for: (String, String),
    pub(super) schedule: String,
    pub(super) timezone: String,
    /// Seconds. Empty for the default. A stored job of a plugin has no default.
    pub(super) time_limit: String,
    pub(super) retries: String,
    /// Seconds. Empty for the default.
    pub(super) retry_wait: String,
    pub(super) overlap: Overlap,
    pub(super) catch_up: CatchUp,
}

impl Draft {
    /// Returns the fields of a new job in this time zone.
    pub(super) fn new(timezone: String) -> Self {
        Self {
            name: String::new(),
            project: String::new(),
            job_type: JobType::Http,
            method: "GET".to_owned(),
            url: String::new(),
            headers: Vec::new(),
            body: String::new(),
            body_changed: false,
            body_is_stored: false,
            body_is_json: false,
            plugin: String::new(),
            plugin_job: String::new(),
            parameters: BTreeMap::new(),
            stored_parameters: serde_json::json!({}),
            stored_for: (String::new(), String::new()),
            schedule: String::new(),
            timezone,
            time_limit: String::new(),
            retries: "0".to_owned(),
            retry_wait: String::new(),
            overlap: Overlap::Skip,
            catch_up: CatchUp::Once,
        }
    }

    /// Returns the fields of a stored job.
    pub(super) fn of(job: &Job) -> Self {
        let header =
            |(id, name): (usize, &String)| Header { id, name: name.clone(), is_stored: true, ..Header::default() };
        Self {
            name: job.name.clone(),
            project: job.project_id.clone().unwrap_or_default(),
            job_type: job.r#type,
            method: job.http_method.clone().unwrap_or_else(|| "GET".to_owned()),
            url: job.http_url.clone().unwrap_or_default(),
            headers: job.http_headers.keys().enumerate().map(header).collect(),
            body_is_stored: job.http_body.is_some(),
            plugin: job.plugin.clone().unwrap_or_default(),
            plugin_job: job.plugin_job.clone().unwrap_or_default(),
            stored_parameters: job.params.clone(),
            stored_for: (job.plugin.clone().unwrap_or_default(), job.plugin_job.clone().unwrap_or_default()),
            schedule: job.schedule_cron.clone(),
            timezone: job.timezone.clone(),
            time_limit: seconds(job.timeout_ms),
            retries: job.retries.to_string(),
            retry_wait: seconds(job.retry_backoff_ms),
            overlap: job.overlap,
            catch_up: job.catch_up,
            ..Self::new(String::new())
        }
    }

    /// Returns whether the owner has typed a body or the value of a header. They are not written to the browser's
    /// storage.
    pub(super) fn has_unstorable_input(&self) -> bool {
        self.body_changed || self.headers.iter().any(|header| !header.value.is_empty())
    }

    pub(super) fn may_have_body(&self) -> bool {
        !matches!(self.method.as_str(), "GET" | "HEAD")
    }

    /// Returns the fields of the request that creates or changes the job.
    ///
    /// # Errors
    /// Returns messages about the fields with invalid text, by field.
    pub(super) fn fields(&self, is_new: bool, nodes: &[Node]) -> Result<Fields, BTreeMap<String, String>> {
        let mut fields = Fields::default();
        let mut errors = BTreeMap::new();
        fields.put("name", &self.name.trim());
        fields.put("scheduleCron", &self.schedule.trim());
        fields.put("timezone", &self.timezone);
        fields.put("overlap", &self.overlap);
        fields.put("catchUp", &self.catch_up);
        let default_time_limit = (self.job_type == JobType::Http).then_some(DEFAULT_TIME_LIMIT_MS);
        for (field, text, default) in [
            ("timeoutMs", &self.time_limit, default_time_limit),
            ("retryBackoffMs", &self.retry_wait, Some(DEFAULT_RETRY_WAIT_MS)),
        ] {
            match (milliseconds(text), default) {
                (Ok(Some(value)), _) => fields.put(field, &value),
                // The server sets the default of a new job. A stored job would keep its value.
                (Ok(None), _) if is_new => {}
                (Ok(None), Some(default)) => fields.put(field, &default),
                (Ok(None), None) => drop(errors.insert(field.to_owned(), "Enter a number of seconds.".to_owned())),
                (Err(problem), _) => drop(errors.insert(field.to_owned(), problem)),
            }
        }
        match self.retries.trim().parse::<i32>() {
            Ok(retries) => fields.put("retries", &retries),
            Err(_) if self.retries.trim().is_empty() => fields.put("retries", &0),
            Err(_) => drop(errors.insert("retries".to_owned(), "Enter a whole number.".to_owned())),
        }
        if is_new {
            fields.put("type", &self.job_type);
            if !self.project.is_empty() {
                fields.put("projectId", &self.project);
            }
        }
        match self.job_type {
            JobType::Http => self.add_request(is_new, &mut fields, &mut errors),
            JobType::Platform => {
                fields.put("plugin", &self.plugin);
                if !self.plugin_job.is_empty() {
                    fields.put("pluginJob", &self.plugin_job);
                }
                // Another job of a plugin would refuse stored parameters that its schema doesn't define.
                let is_same = self.stored_for.0 == self.plugin && self.stored_for.1 == self.plugin_job;
                let stored = if is_same { &self.stored_parameters } else { &serde_json::Value::Null };
                match parameters::build(nodes, &self.parameters, stored) {
                    Ok(parameters) => fields.put("params", &parameters),
                    Err(problems) => {
                        errors.extend(
                            problems.into_iter().map(|(pointer, problem)| (format!("params{pointer}"), problem)),
                        );
                    }
                }
            }
        }
        if errors.is_empty() { Ok(fields) } else { Err(errors) }
    }

    fn add_request(&self, is_new: bool, fields: &mut Fields, errors: &mut BTreeMap<String, String>) {
        fields.put("httpMethod", &self.method);
        fields.put("httpUrl", &self.url.trim());
        let mut headers = BTreeMap::new();
        for header in self.headers.iter().filter(|header| !header.name.trim().is_empty() || !header.value.is_empty()) {
            // Null keeps the stored value.
            let value = (!header.is_stored || !header.value.is_empty()).then_some(header.value.as_str());
            if headers.insert(header.key(), value).is_some() {
                let name = header.name.trim();
                errors.insert("httpHeaders".to_owned(), format!("{name} is listed more than once. Keep one."));
            }
        }
        if !is_new || !headers.is_empty() {
            fields.put("httpHeaders", &headers);
        }
        if !self.may_have_body() {
            if self.body_is_stored {
                fields.put("httpBody", &"");
            }
        } else if self.body_changed && self.body_is_json && !self.body.trim().is_empty() {
            match serde_json::from_str::<Box<RawValue>>(&self.body) {
                Ok(body) => fields.put("httpBody", &body),
                Err(error) => drop(errors.insert("httpBody".to_owned(), format!("This is not valid JSON: {error}."))),
            }
        } else if self.body_changed && !(is_new && self.body.is_empty()) {
            fields.put("httpBody", &self.body);
        }
    }
}

/// The fields of a request. JSON bodies keep the digits of their numbers.
#[derive(Debug, Default, Serialize)]
pub(super) struct Fields(BTreeMap<&'static str, Box<RawValue>>);

impl Fields {
    pub(super) fn put(&mut self, name: &'static str, value: &impl Serialize) {
        if let Ok(value) = to_raw_value(value) {
            self.0.insert(name, value);
        }
    }

    pub(super) fn contains(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Returns the fields that differ from `other`. Also returns the body: it is present only if it changes the stored
    /// body.
    pub(super) fn without(mut self, other: &Self) -> Self {
        let text = |fields: &Self, name: &str| fields.0.get(name).map(|value| value.get().to_owned());
        let differs: Vec<&str> = self.0.keys().copied().filter(|name| text(&self, name) != text(other, name)).collect();
        // The server checks these fields together, and chooses the job of a new plugin unless the request names it.
        let has_new_job = differs.iter().any(|name| matches!(*name, "plugin" | "pluginJob"));
        self.0.retain(|name, _| match *name {
            "httpBody" => true,
            "plugin" | "pluginJob" | "params" | "timeoutMs" if has_new_job => true,
            name => differs.contains(&name),
        });
        self
    }
}

/// Converts milliseconds to seconds, without zeros at the end: `1.5`.
pub(super) fn seconds(milliseconds: i32) -> String {
    let text = format!("{:.3}", f64::from(milliseconds) / 1000.0);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn milliseconds(text: &str) -> Result<Option<i32>, String> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    match text.replace(',', ".").parse::<f64>() {
        Ok(seconds) if (0.0..=MAX_SECONDS).contains(&seconds) => Ok(Some((seconds * 1000.0).round() as i32)),
        Ok(seconds) if seconds.is_finite() => Err(format!("Enter a number from 0 to {MAX_SECONDS}.")),
        _ => Err("Enter a number of seconds.".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(draft: &Draft, is_new: bool) -> serde_json::Value {
        let fields = draft.fields(is_new, &[]).map_err(|errors| format!("{errors:?}"));
        fields.and_then(|fields| serde_json::to_value(fields).map_err(|error| error.to_string())).unwrap_or_default()
    }

    #[test]
    fn stored_header_values_are_kept_unless_typed() {
        let mut draft = Draft { url: "https://a.example".to_owned(), ..Draft::new("UTC".to_owned()) };
        draft.headers = vec![
            Header { name: "Authorization".to_owned(), is_stored: true, ..Header::default() },
            Header { name: "X-Key".to_owned(), value: "new".to_owned(), is_stored: true, ..Header::default() },
        ];
        let expected = serde_json::json!({ "authorization": null, "x-key": "new" });
        assert_eq!(json(&draft, false).pointer("/httpHeaders"), Some(&expected));
    }

    #[test]
    fn stored_header_value_is_kept_if_the_old_name_is_typed_again() {
        let stored = Header { name: "X-Key".to_owned(), is_stored: true, ..Header::default() };
        let mut header = stored.clone();
        header.rename("X-Ke".to_owned());
        assert!(!header.is_stored);
        header.rename("X-".to_owned());
        header.rename("X-Key".to_owned());
        assert_eq!(header, stored);
    }

    #[test]
    fn stored_body_is_kept_unless_typed() {
        let mut draft = Draft { method: "POST".to_owned(), body_is_stored: true, ..Draft::new("UTC".to_owned()) };
        assert!(!draft.has_unstorable_input());
        assert_eq!(json(&draft, false).get("httpBody"), None);
        (draft.body, draft.body_changed) = ("new".to_owned(), true);
        assert!(draft.has_unstorable_input());
        assert_eq!(json(&draft, false).get("httpBody"), Some(&"new".into()));
        let text = serde_json::to_string(&draft).unwrap_or_default();
        let reloaded: Option<Draft> = serde_json::from_str(&text).ok();
        assert_eq!(reloaded.map(|draft| (draft.body, draft.body_changed)), Some((String::new(), false)));
    }

    #[test]
    fn header_that_is_listed_twice_is_an_error() {
        let header = |name: &str| Header { name: name.to_owned(), value: "1".to_owned(), ..Header::default() };
        let mut draft = Draft { url: "https://a.example".to_owned(), ..Draft::new("UTC".to_owned()) };
        draft.headers = vec![header("X-Key"), header("Accept"), header("x-key ")];
        let errors = draft.fields(true, &[]).err().unwrap_or_default();
        assert_eq!(errors.get("httpHeaders").map(String::as_str), Some("x-key is listed more than once. Keep one."));
        draft.headers.pop();
        assert!(draft.fields(true, &[]).is_ok());
    }

    #[test]
    fn json_body_keeps_its_digits() {
        let mut draft = Draft { method: "POST".to_owned(), ..Draft::new("UTC".to_owned()) };
        (draft.body, draft.body_changed, draft.body_is_json) = (r#"{"n":9007199254740993.10}"#.to_owned(), true, true);
        let text = draft
            .fields(true, &[])
            .map(|fields| serde_json::to_string(&fields).unwrap_or_default())
            .unwrap_or_default();
        assert!(text.contains(r#""httpBody":{"n":9007199254740993.10}"#), "{text}");
        draft.body = "{".to_owned();
        assert!(draft.fields(true, &[]).is_err());
    }

    #[test]
    fn stored_job_gets_the_defaults_if_numbers_are_cleared() {
        let mut draft = Draft::new("UTC".to_owned());
        assert_eq!(json(&draft, true).get("timeoutMs"), None);
        let fields = json(&draft, false);
        assert_eq!(fields.get("timeoutMs"), Some(&serde_json::json!(60_000)));
        assert_eq!(fields.get("retryBackoffMs"), Some(&serde_json::json!(1_000)));
        draft.job_type = JobType::Platform;
        let errors = draft.fields(false, &[]).err().unwrap_or_default();
        assert!(errors.contains_key("timeoutMs"), "the limit of the plugin is not known: {errors:?}");
    }

    #[test]
    fn parameters_of_another_plugin_are_not_kept() {
        let mut draft =
            Draft { job_type: JobType::Platform, time_limit: "60".to_owned(), ..Draft::new("UTC".to_owned()) };
        draft.stored_parameters = serde_json::json!({ "target": "all" });
        draft.stored_for = ("backup".to_owned(), "backup".to_owned());
        (draft.plugin, draft.plugin_job) = draft.stored_for.clone();
        assert_eq!(json(&draft, false).get("params"), Some(&draft.stored_parameters));
        draft.plugin_job = "verify".to_owned();
        assert_eq!(json(&draft, false).get("params"), Some(&serde_json::json!({})));
    }

    #[test]
    fn seconds_become_milliseconds() {
        for (text, expected) in [("", Ok(None)), ("1.5", Ok(Some(1500))), ("0,25", Ok(Some(250)))] {
            assert_eq!(milliseconds(text), expected);
        }
        for (text, expected) in [("x", "Enter a number of seconds."), ("9999999", "Enter a number from 0 to 2000000.")]
        {
            assert_eq!(milliseconds(text), Err(expected.to_owned()));
        }
        assert_eq!((seconds(1500), seconds(60_000)), ("1.5".to_owned(), "60".to_owned()));
    }
}
