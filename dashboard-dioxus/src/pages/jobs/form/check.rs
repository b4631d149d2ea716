//! Validation of the form by the server, before the job is saved.

use std::collections::BTreeMap;

use api_types::{CronPreview, CronPreviewRequest, JobCheck, JobFieldError};
use dioxus::prelude::*;
use gloo_timers::future::TimeoutFuture;

use super::{
    draft::{Draft, seconds},
    parameters::Node,
};
use crate::{
    remote::{self, Failure, Method, connection},
    text,
};

/// Pause in typing after which the form is validated.
const PAUSE_MS: u32 = 250;

/// The result of a validation.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Checked {
    /// Errors by field. The key for a parameter is the field followed by the parameter's JSON pointer.
    pub(super) errors: BTreeMap<String, String>,
    /// The host of the URL, if requests to it are not allowed.
    pub(super) refused_host: Option<String>,
    pub(super) description: Option<String>,
    pub(super) next: Vec<chrono::DateTime<chrono::Utc>>,
}

/// Validates the form while the owner types, and when the server responds again.
pub(super) fn use_check(draft: Signal<Draft>, nodes: Memo<Vec<Node>>, job: Option<String>) -> Signal<Checked> {
    let mut checked = use_signal(Checked::default);
    use_resource(move || {
        let (draft, nodes, job) = (draft.read().clone(), nodes.read().clone(), job.clone());
        // A restarted server may allow other hosts.
        let _ = connection::state();
        async move {
            TimeoutFuture::new(PAUSE_MS).await;
            let result = check(&draft, &nodes, job.as_deref()).await;
            if *checked.peek() != result {
                checked.set(result);
            }
        }
    });
    checked
}

/// Validates the form once.
pub(super) async fn check(draft: &Draft, nodes: &[Node], job: Option<&str>) -> Checked {
    let fields = match draft.fields(job.is_none(), nodes) {
        Ok(fields) => fields,
        Err(errors) => {
            let mut checked = preview(draft).await;
            checked.errors.extend(errors);
            return checked;
        }
    };
    let response = match job {
        Some(job) => {
            let mut fields = fields;
            fields.put("jobId", &job);
            remote::send::<_, JobCheck>(Method::Post, "/jobs/check", &fields).await
        }
        None => remote::send::<_, JobCheck>(Method::Post, "/jobs/check", &fields).await,
    };
    match response {
        Ok(check) => Checked {
            refused_host: check.host.filter(|_| check.host_allowed == Some(false)),
            errors: by_field(check.errors, draft),
            description: check.description,
            next: check.next_runs,
        },
        Err(_) => preview(draft).await,
    }
}

/// Validates the schedule alone.
async fn preview(draft: &Draft) -> Checked {
    let expression = draft.schedule.trim().to_owned();
    if expression.is_empty() {
        return Checked::default();
    }
    let timezone = Some(draft.timezone.clone()).filter(|zone| !zone.is_empty());
    let request = CronPreviewRequest { schedule_cron: expression, timezone, from: None, count: Some(5) };
    match remote::send::<_, CronPreview>(Method::Post, "/cron/preview", &request).await {
        Ok(preview) => Checked { description: Some(preview.description), next: preview.next, ..Checked::default() },
        // The failure is not about the schedule. Saving reports it.
        Err(failure) if failure.is_temporary() => Checked::default(),
        Err(Failure::Refused { message, .. }) => {
            let message = in_form_words("scheduleCron", &message, draft);
            Checked { errors: BTreeMap::from([("scheduleCron".to_owned(), message)]), ..Checked::default() }
        }
        Err(_) => Checked::default(),
    }
}

fn by_field(errors: Vec<JobFieldError>, draft: &Draft) -> BTreeMap<String, String> {
    errors
        .into_iter()
        .map(|error| {
            let message = in_form_words(&error.field, &error.message, draft);
            (format!("{}{}", error.field, error.path.unwrap_or_default()), message)
        })
        .collect()
}

/// Rewords an error of the API for the form: replaces names of JSON fields by labels and milliseconds by seconds, and
/// asks for a value if the field is empty.
pub(super) fn in_form_words(field: &str, message: &str, draft: &Draft) -> String {
    let (value, request, label) = match field {
        "name" => (draft.name.as_str(), "Enter a name.", "The name"),
        "httpUrl" => (draft.url.as_str(), "Enter the URL to call.", "The URL"),
        "scheduleCron" => (draft.schedule.as_str(), "Enter a schedule, or choose one below.", "The schedule"),
        "plugin" => (draft.plugin.as_str(), "Choose a plugin.", "The plugin"),
        "pluginJob" => (draft.plugin_job.as_str(), "Choose a job.", "The job"),
        "timezone" => (draft.timezone.as_str(), "Choose a time zone.", "The time zone"),
        "timeoutMs" => ("typed", "", "The time limit"),
        "retryBackoffMs" => ("typed", "", "The wait"),
        _ => ("typed", "", ""),
    };
    if value.trim().is_empty() {
        return request.to_owned();
    }
    let name = format!("`{field}`");
    let message = match message.strip_prefix(&format!("{name}: ")) {
        Some(reason) => text::sentence(reason),
        None if label.is_empty() => message.to_owned(),
        None => message.replace(&name, label),
    };
    if field.ends_with("Ms") { in_seconds(&message) } else { message }
}

/// Converts the milliseconds in an error to seconds, except in a reason after a colon, which may contain other numbers.
fn in_seconds(message: &str) -> String {
    let end = message.find(':').unwrap_or(message.trim_end_matches('.').len());
    let (limits, rest) = message.split_at(end);
    let mut is_converted = false;
    let words = limits.split(' ').map(|word| match word.parse::<i32>() {
        Ok(milliseconds) => {
            is_converted = true;
            seconds(milliseconds)
        }
        Err(_) => word.to_owned(),
    });
    let words = words.collect::<Vec<_>>().join(" ");
    if is_converted { format!("{words} seconds{rest}") } else { message.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_use_the_labels_of_the_form() {
        let mut draft = Draft::new("UTC".to_owned());
        let name_error = "`name` must have 1 to 120 characters.";
        assert_eq!(in_form_words("name", name_error, &draft), "Enter a name.");
        draft.name = "n".repeat(200);
        draft.schedule = "61 * * * *".to_owned();
        for (field, message, expected) in [
            ("name", name_error, "The name must have 1 to 120 characters."),
            ("scheduleCron", "`scheduleCron`: minute 61 is not in 0–59.", "Minute 61 is not in 0–59."),
            ("params", "The target is unknown.", "The target is unknown."),
            (
                "timeoutMs",
                "`timeoutMs` must be from 100 to 86400000.",
                "The time limit must be from 0.1 to 86400 seconds.",
            ),
            (
                "timeoutMs",
                "`timeoutMs` must be at most 3600000: runs of plugin `cleanup 2` are stopped after that time.",
                "The time limit must be at most 3600 seconds: runs of plugin `cleanup 2` are stopped after that time.",
            ),
            (
                "retryBackoffMs",
                "`retryBackoffMs` must be from 0 to 3600000.",
                "The wait must be from 0 to 3600 seconds.",
            ),
        ] {
            assert_eq!(in_form_words(field, message, &draft), expected);
        }
    }
}
