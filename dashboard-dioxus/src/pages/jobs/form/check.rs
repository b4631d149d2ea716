//! What the server says about a job that is not saved yet.

use std::collections::BTreeMap;

use api_types::{CronPreview, CronPreviewRequest, JobCheck, JobFieldError};
use dioxus::prelude::*;
use gloo_timers::future::TimeoutFuture;

use super::{draft::Draft, parameters::Node};
use crate::remote::{self, Failure, Method};

/// Pause in typing after which the server is asked.
const PAUSE_MS: u32 = 250;

/// What is known about the fields.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Checked {
    /// Errors by field, and by field and JSON pointer.
    pub(super) errors: BTreeMap<String, String>,
    /// The host of the URL, if requests to it are not allowed.
    pub(super) refused_host: Option<String>,
    pub(super) description: Option<String>,
    pub(super) next: Vec<chrono::DateTime<chrono::Utc>>,
}

/// Keeps a check of the form up to date while the owner types.
pub(super) fn use_check(draft: Signal<Draft>, nodes: Memo<Vec<Node>>, job: Option<String>) -> Signal<Checked> {
    let mut checked = use_signal(Checked::default);
    use_resource(move || {
        let (draft, nodes, job) = (draft.read().clone(), nodes.read().clone(), job.clone());
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

/// Asks the server about the form.
pub(super) async fn check(draft: &Draft, nodes: &[Node], job: Option<&str>) -> Checked {
    let fields = match draft.fields(job.is_none(), nodes) {
        Ok(fields) => fields,
        Err(errors) => return Checked { errors, ..preview(draft).await },
    };
    let answer = match job {
        Some(job) => {
            let mut fields = fields;
            fields.put("jobId", &job);
            remote::send::<_, JobCheck>(Method::Post, "/jobs/check", &fields).await
        }
        None => remote::send::<_, JobCheck>(Method::Post, "/jobs/check", &fields).await,
    };
    match answer {
        Ok(answer) => Checked {
            refused_host: answer.host.filter(|_| answer.host_allowed == Some(false)),
            errors: by_field(answer.errors),
            description: answer.description,
            next: answer.next_runs,
        },
        Err(_) => preview(draft).await,
    }
}

/// Checks the schedule alone.
async fn preview(draft: &Draft) -> Checked {
    let expression = draft.schedule.trim().to_owned();
    if expression.is_empty() {
        return Checked::default();
    }
    let timezone = Some(draft.timezone.clone()).filter(|zone| !zone.is_empty());
    let request = CronPreviewRequest { schedule_cron: expression, timezone, from: None, count: Some(5) };
    match remote::send::<_, CronPreview>(Method::Post, "/cron/preview", &request).await {
        Ok(preview) => Checked { description: Some(preview.description), next: preview.next, ..Checked::default() },
        Err(Failure::Refused { message, .. }) => {
            Checked { errors: BTreeMap::from([("scheduleCron".to_owned(), message)]), ..Checked::default() }
        }
        Err(_) => Checked::default(),
    }
}

fn by_field(errors: Vec<JobFieldError>) -> BTreeMap<String, String> {
    errors
        .into_iter()
        .map(|error| (format!("{}{}", error.field, error.path.unwrap_or_default()), error.message))
        .collect()
}
