//! Texts about the work and the schedule of a job.

use std::{cell::RefCell, collections::HashMap};

use api_types::{CronPreview, CronPreviewRequest, Job, JobType, RunStatus};
use chrono::{DateTime, Utc};
use dioxus::prelude::*;
use futures_util::{
    FutureExt as _,
    future::{LocalBoxFuture, Shared},
};
use serde_json::Value;

use crate::{
    remote::{self, Method},
    text,
};

type Description = Shared<LocalBoxFuture<'static, Option<String>>>;

thread_local! {
    /// Descriptions of schedules, by cron expression. The description of an expression never changes.
    static KNOWN: RefCell<HashMap<String, Description>> = RefCell::default();
}

/// Returns a schedule in words, or the expression until the server has described it.
pub(super) fn use_schedule_words(expression: &str) -> String {
    let expression = expression.to_owned();
    let known = KNOWN.with_borrow(|known| known.get(&expression).and_then(|words| words.peek().cloned()).flatten());
    let shown = expression.clone();
    let expression = use_memo(use_reactive!(|expression| expression));
    let words = use_resource(move || {
        let expression = expression.read().clone();
        async move { (expression.clone(), describe(expression).await) }
    });
    let found = match &*words.read() {
        Some((described, words)) if *described == shown => words.clone(),
        _ => None,
    };
    known.or(found).unwrap_or(shown)
}

async fn describe(expression: String) -> Option<String> {
    let description = KNOWN.with_borrow_mut(|known| {
        let make = || read_description(expression.clone()).boxed_local().shared();
        known.entry(expression.clone()).or_insert_with(make).clone()
    });
    let words = description.await;
    if words.is_none() {
        // Removes the description, so that the next call requests it again.
        KNOWN.with_borrow_mut(|known| known.remove(&expression));
    }
    words
}

async fn read_description(expression: String) -> Option<String> {
    let request = CronPreviewRequest { schedule_cron: expression, timezone: None, from: None, count: Some(1) };
    remote::send::<_, CronPreview>(Method::Post, "/cron/preview", &request)
        .await
        .ok()
        .map(|preview| preview.description)
}

/// Describes the work of a job: `GET api.example.com/hook`, `backup · verify`.
pub(super) fn work_in_words(job: &Job) -> String {
    match job.r#type {
        JobType::Http => {
            let url = job.http_url.as_deref().unwrap_or_default();
            let url = url.strip_prefix("https://").or(url.strip_prefix("http://")).unwrap_or(url);
            format!("{} {url}", job.http_method.as_deref().unwrap_or("GET"))
        }
        JobType::Platform => {
            format!("{} · {}", job.plugin.as_deref().unwrap_or_default(), job.plugin_job.as_deref().unwrap_or_default())
        }
    }
}

/// Returns what a job of the plugin `backup` backs up, and the backups that it keeps: `everything` and `last 7, 4
/// weekly`. `None` for other jobs.
pub(super) fn backup_in_words(job: &Job) -> Option<(String, String)> {
    if job.plugin.as_deref() != Some("backup") || job.plugin_job.as_deref() != Some("backup") {
        return None;
    }
    let target = match job.params.get("target").and_then(Value::as_str).unwrap_or("all") {
        "all" => "everything".to_owned(),
        "platform" => "the platform".to_owned(),
        target => match target.strip_prefix("project:") {
            Some(id) if job.project_id.as_deref() == Some(id) => "the project".to_owned(),
            Some(id) => format!("project {id}"),
            None => target.to_owned(),
        },
    };
    let rules = [("keepLast", "last"), ("daily", "daily"), ("weekly", "weekly"), ("monthly", "monthly")];
    let kept: Vec<String> = rules
        .iter()
        .filter_map(|(rule, word)| {
            let count = job.params.get("retention")?.get(*rule)?.as_u64().filter(|count| *count > 0)?;
            Some(if *rule == "keepLast" { format!("{word} {count}") } else { format!("{count} {word}") })
        })
        .collect();
    Some((target, if kept.is_empty() { "every backup".to_owned() } else { kept.join(", ") }))
}

/// Returns a space and the city of a job's time zone. Empty if the job has the browser's time zone.
pub(super) fn other_zone(job: &Job) -> String {
    if job.timezone == text::browser_timezone() { String::new() } else { format!(" {}", city(&job.timezone)) }
}

/// Returns when a job runs next: `in 13 min`, `tomorrow 02:00`.
pub(super) fn next_run(job: &Job, now: DateTime<Utc>) -> String {
    job.next_runs.first().map_or_else(|| "–".to_owned(), |next| text::upcoming(*next, now))
}

/// Returns the date and time of the next run, in the zone that the owner chose and in the job's.
pub(super) fn next_run_exact(job: &Job) -> Option<String> {
    let next = *job.next_runs.first()?;
    Some(format!(
        "{} here, {} in {}",
        text::date_and_time(next, None),
        text::date_and_time(next, Some(&job.timezone)),
        job.timezone
    ))
}

pub(super) fn is_running(job: &Job) -> bool {
    job.last_run.as_ref().is_some_and(|run| matches!(run.status, RunStatus::Queued | RunStatus::Running))
}

pub(super) fn matches(job: &Job, wanted: &str) -> bool {
    wanted.is_empty() || job.name.to_lowercase().contains(wanted) || work_in_words(job).to_lowercase().contains(wanted)
}

/// Returns the name of a time zone's city: `New York` for `America/New_York`.
pub(super) fn city(timezone: &str) -> String {
    timezone.rsplit('/').next().unwrap_or(timezone).replace('_', " ")
}
