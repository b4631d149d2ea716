//! The region "Recent runs" of several pages: the newest runs and their results.

use api_types::{Page as ApiPage, Run, RunStatus, RunTrigger};
use dioxus::prelude::*;
use serde_json::Value;

use crate::{
    remote::{RemoteState, use_remote},
    run_progress, text,
    ui::{ErrorBox, Link, LoadingTable, Mark, Shape},
};

/// Maximum number of runs in the table "Recent runs" on a phone.
const SHOWN_ON_PHONE: usize = 10;

/// The table "Recent runs".
#[component]
pub(super) fn RecentRuns(
    /// Path of the list of runs in the admin API.
    path: ReadSignal<String>,
    /// Address of the page with all of these runs.
    #[props(default = "/runs".to_owned())]
    all: String,
    #[props(default = true)] with_project: bool,
) -> Element {
    let mut runs = use_remote::<ApiPage<Run>>(path);
    let content = match runs.state() {
        RemoteState::Loading => rsx! { LoadingTable { name: "Recent runs", columns: 6 } },
        RemoteState::Failed(failure) => rsx! {
            ErrorBox { what: "Runs could not be loaded.", failure, on_retry: move |()| runs.refresh() }
        },
        RemoteState::Ready(page) if page.items.is_empty() => rsx! {
            p { class: "section muted", "No runs yet." }
        },
        RemoteState::Ready(page) => rsx! {
            RunTable { name: "Recent runs", runs: page.items, with_project, shown_on_phone: SHOWN_ON_PHONE }
        },
    };
    rsx! {
        div { class: "bleed", id: "recent-runs",
            div { class: "bleed-head",
                h2 { "Recent runs" }
                Link { to: all, class: "label muted push", "All runs" }
            }
            {content}
        }
    }
}

/// A table of runs. A phone shows a list instead.
#[component]
pub(super) fn RunTable(
    name: String,
    runs: Vec<Run>,
    #[props(default = true)] with_project: bool,
    /// Maximum number of runs in the list on a phone.
    shown_on_phone: usize,
) -> Element {
    rsx! {
        table { class: "table only-wide", "aria-label": "{name}",
            thead {
                tr {
                    th { class: "w-32", "State" }
                    th { class: "w-44", "Job" }
                    if with_project {
                        th { "Project" }
                    }
                    th { class: "hide-800", "Trigger" }
                    th { class: "num", "Started" }
                    th { class: "num", "Took" }
                    th { "Result" }
                }
            }
            tbody {
                for run in runs.clone() {
                    tr { key: "{run.id}",
                        td { RunBadge { status: run.status } }
                        td { class: "name", Link { to: "/runs/{run.id}", "{run_name(&run)}" } }
                        if with_project {
                            td { class: "muted", "{project_name(&run)}" }
                        }
                        td { class: "muted hide-800", "{trigger_in_words(run.trigger)}" }
                        td { class: "num", title: text::exact(run.created_at), "{started(&run)}" }
                        td { class: "num", "{took(&run)}" }
                        td {
                            class: if run.error_text.is_some() { "why" } else { "why muted" },
                            title: run.error_text.clone(), "{result_in_words(&run)}"
                        }
                    }
                }
            }
        }
        ul { class: "cards only-narrow", "aria-label": "{name}",
            for run in runs.into_iter().take(shown_on_phone) {
                li { key: "{run.id}", class: "card",
                    h3 {
                        Mark { shape: run_shape(run.status) }
                        span { class: "sr", "{run_state_in_words(run.status)}" }
                        Link { to: "/runs/{run.id}", class: "cut grow", "{run_name(&run)}" }
                        span { class: "label muted tab-nums", "{started(&run)}" }
                    }
                    p { "{project_name(&run)} · {trigger_in_words(run.trigger)} · {took(&run)}" }
                    p { "{result_in_words(&run)}" }
                }
            }
        }
    }
}

/// The state of a run: shape and word.
#[component]
pub(super) fn RunBadge(status: RunStatus) -> Element {
    rsx! {
        span { class: "badge", Mark { shape: run_shape(status) } "{run_state_in_words(status)}" }
    }
}

pub(super) const fn run_shape(status: RunStatus) -> Shape {
    match status {
        RunStatus::Queued => Shape::Queued,
        RunStatus::Running => Shape::Running,
        RunStatus::Success => Shape::Succeeded,
        RunStatus::Fail => Shape::Failed,
        RunStatus::Timeout => Shape::TimedOut,
        RunStatus::Cancelled => Shape::Cancelled,
        RunStatus::Skipped => Shape::Skipped,
    }
}

pub(super) const fn run_state_in_words(status: RunStatus) -> &'static str {
    match status {
        RunStatus::Queued => "Queued",
        RunStatus::Running => "Running",
        RunStatus::Success => "Succeeded",
        RunStatus::Fail => "Failed",
        RunStatus::Timeout => "Timed out",
        RunStatus::Cancelled => "Cancelled",
        RunStatus::Skipped => "Skipped",
    }
}

pub(super) const fn trigger_in_words(trigger: RunTrigger) -> &'static str {
    match trigger {
        RunTrigger::Schedule => "Schedule",
        RunTrigger::Manual => "Manual",
        RunTrigger::Retry => "Retry",
        RunTrigger::CatchUp => "After downtime",
    }
}

/// Returns the name of a run: its job's name, or the names of the plugin and its job if the run has no job.
pub(super) fn run_name(run: &Run) -> String {
    match &run.job_name {
        Some(name) => name.clone(),
        None if run.plugin == run.plugin_job => run.plugin.clone(),
        None => format!("{} {}", run.plugin, run.plugin_job),
    }
}

pub(super) fn project_name(run: &Run) -> String {
    match (&run.project_name, &run.project_id) {
        (Some(name), _) => name.clone(),
        (None, Some(_)) => "deleted project".to_owned(),
        (None, None) => "Platform".to_owned(),
    }
}

pub(super) fn started(run: &Run) -> String {
    text::moment(run.started_at.unwrap_or(run.created_at), text::now())
}

pub(super) fn took(run: &Run) -> String {
    match (run.duration_ms, run.started_at) {
        (Some(duration), _) => text::duration(duration),
        (None, Some(started)) if run.finished_at.is_none() => {
            text::duration((text::now() - started).num_milliseconds().max(0))
        }
        _ => "–".to_owned(),
    }
}

/// Returns the first of these that a run has: its error or the reason why it was skipped, its progress while it is in
/// progress, its HTTP status, a summary of its result.
pub(super) fn result_in_words(run: &Run) -> String {
    if let Some(error) = &run.error_text {
        return error.clone();
    }
    match (&run.progress, run.status, run.http_status) {
        (Some(progress), RunStatus::Running, _) => match run_progress::amount(&run.plugin, progress) {
            amount if progress.total.is_some() && !amount.is_empty() => format!("{} ({amount})", progress.message),
            _ => progress.message.clone(),
        },
        (_, _, Some(status)) => format!("HTTP {status}"),
        _ => run.result.as_ref().and_then(summary).unwrap_or_default(),
    }
}

/// Maximum number of fields in the summary of a result whose form [`summary`] does not know.
const MAX_NUMBERS: usize = 3;

/// Summarizes the result of a run: `1.9 GB, 12 tables, 1 204 002 rows` or `2 kept, 3 removed`.
pub(super) fn summary(result: &Value) -> Option<String> {
    let list = |name: &str| result.get(name).and_then(Value::as_array).filter(|list: &&Vec<Value>| !list.is_empty());
    let mut parts = Vec::new();
    let is_verification = list("backups").is_none();
    if let Some(items) = list("backups").or_else(|| list("verified")) {
        let sum = |name: &str| -> i64 { items.iter().filter_map(|item| item.get(name)?.as_i64()).sum() };
        if items.len() > 1 {
            parts.push(text::count(items.len() as i64, "backup", "backups"));
        }
        parts.push(text::bytes(sum("sizeBytes")));
        let tables = text::count(sum("tables"), "table", "tables");
        // A verification also counts the tables of end-user login.
        parts.push(if is_verification { format!("all {tables}") } else { tables });
        parts.push(text::count(sum("rows"), "row", "rows"));
    } else if let (Some(_), Some(tables), Some(rows)) =
        (result.get("restore"), number(result, "tables"), number(result, "rows"))
    {
        // A restore also counts the tables of end-user login.
        parts.push(format!("all {}", text::count(tables, "table", "tables")));
        parts.push(text::count(rows, "row", "rows"));
    } else if let (Some(deleted), Some(bytes)) = (number(result, "deleted"), number(result, "deletedBytes")) {
        parts.push(format!("{} deleted", text::count(deleted, "object", "objects")));
        parts.push(text::bytes(bytes));
    } else if let (Some(statements), Some(rows)) = (number(result, "statements"), number(result, "rowCount")) {
        parts.push(text::count(statements, "statement", "statements"));
        parts.push(text::count(rows, "row", "rows"));
    } else if let (Some(read), Some(inserted)) = (number(result, "rowsRead"), number(result, "rowsInserted")) {
        let is_dry_run = result.get("dryRun").and_then(Value::as_bool) == Some(true);
        let rows = if is_dry_run { read } else { inserted };
        let (lead, done) = if is_dry_run { ("Dry run: ", "checked") } else { ("", "inserted") };
        parts.push(format!("{lead}{} {done}", text::count(rows, "row", "rows")));
        let others = [("rowsUpdated", "updated"), ("rowsSkipped", "skipped")];
        let others = others.map(|(name, done)| (number(result, name).unwrap_or_default(), done));
        parts.extend(
            others
                .iter()
                .filter(|(count, _)| *count > 0)
                .map(|(count, done)| format!("{} {done}", text::number(*count))),
        );
        parts.extend(
            number(result, "errorCount").filter(|count| *count > 0).map(|count| text::count(count, "error", "errors")),
        );
    } else if let (Some(rows), Some(bytes)) = (number(result, "rowCount"), number(result, "sizeBytes")) {
        parts.push(text::count(rows, "row", "rows"));
        parts.push(text::bytes(bytes));
    } else {
        let numbers = result.as_object()?.iter().filter_map(|(name, value)| Some((name, value.as_i64()?)));
        parts.extend(
            numbers.take(MAX_NUMBERS).map(|(name, value)| format!("{} {}", text::number(value), in_words(name))),
        );
    }
    (!parts.is_empty()).then(|| parts.join(", "))
}

fn number(result: &Value, name: &str) -> Option<i64> {
    result.get(name)?.as_i64()
}

/// Returns the words of a field's name: `rows changed` for `rowsChanged`.
fn in_words(name: &str) -> String {
    let mut words = String::new();
    for character in name.chars() {
        if character.is_ascii_uppercase() {
            words.push(' ');
        }
        words.push(if character == '_' { ' ' } else { character.to_ascii_lowercase() });
    }
    words
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn results_are_summarized() {
        for (result, expected) in [
            (
                json!({ "backups": [{ "sizeBytes": 6_100_000, "tables": 1, "rows": 12 }] }),
                Some("6.1 MB, 1 table, 12 rows"),
            ),
            (json!({ "deleted": 2, "deletedBytes": 10, "missing": 0 }), Some("2 objects deleted, 10 B")),
            (json!({ "statements": 1, "committedStatements": 1, "rowCount": 3 }), Some("1 statement, 3 rows")),
            (
                json!({ "verified": [{ "sizeBytes": 10, "tables": 2, "rows": 12 }] }),
                Some("10 B, all 2 tables, 12 rows"),
            ),
            (
                json!({ "dryRun": true, "rowsRead": 5, "rowsInserted": 2, "rowsUpdated": 1, "errorCount": 2 }),
                Some("Dry run: 5 rows checked, 1 updated, 2 errors"),
            ),
            (
                json!({ "dryRun": false, "rowsRead": 5, "rowsInserted": 1, "rowsSkipped": 1, "errorCount": 0 }),
                Some("1 row inserted, 1 skipped"),
            ),
            (json!({ "restore": "x", "tables": 11, "rows": 17, "leftOut": [] }), Some("all 11 tables, 17 rows")),
            (json!({ "rowCount": 516, "sizeBytes": 36_820 }), Some("516 rows, 37 KB")),
            (json!({ "kept": 2, "rowsChanged": 3, "note": "x" }), Some("2 kept, 3 rows changed")),
            (json!({}), None),
            (json!("text"), None),
        ] {
            assert_eq!(summary(&result).as_deref(), expected, "{result}");
        }
    }
}
