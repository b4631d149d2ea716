//! The result of an import's run: the numbers of rows, and the refused rows with their errors.

use api_types::{Import, ImportError, ImportState, Run, RunDetail};
use dioxus::prelude::*;

use super::words::{counts_in_words, outcome_in_words, problem_in_words, refused, state_of};
use crate::{
    address,
    remote::{self, Method, use_remote},
    text,
    ui::{CodeText, CopyButton, Link, Mark, messages},
    value::one_line,
};

#[component]
pub(super) fn OutcomeHeading(import: Import) -> Element {
    let (shape, _) = state_of(&import);
    rsx! {
        h2 { class: "row", Mark { shape } "{outcome_in_words(&import)}" }
        // The status is outside the heading, because a heading that contains a status has an empty accessible name.
        p { class: "sr", role: "status", "{outcome_in_words(&import)}" }
    }
}

#[component]
pub(super) fn Outcome(project: String, import: Import) -> Element {
    let Some(run) = import.run_id.clone() else { return rsx! {} };
    if import.state == ImportState::Running {
        let (label, effect) = match import.dry_run {
            true => ("Cancel dry run", "A dry run changes no rows."),
            false => ("Cancel import", "Others see no rows until the import has finished."),
        };
        return rsx! {
            for run in [run.clone()] {
                RunProgress { key: "{run}", run }
            }
            div { class: "row",
                button { class: "btn", r#type: "button", onclick: move |_| cancel(&run), "{label}" }
                p { class: "help", "{effect} You can leave this page." }
            }
        };
    }
    let to = address::with_parameters(&format!("/projects/{project}/tables"), &[("table", Some(&import.table))]);
    let has_counts = matches!(import.state, ImportState::Done | ImportState::Failed) && import.rows_read > 0;
    let is_imported = import.state == ImportState::Done && !import.dry_run;
    rsx! {
        // The table of errors is more specific than this text.
        if let Some(problem) = import.error_text.as_ref().filter(|_| import.errors.is_empty()) {
            p { CodeText { text: problem.clone() } }
        }
        if has_counts || is_imported {
            Counts { import: import.clone() }
        }
        if import.dry_run && import.error_count > 0 {
            p { class: "muted",
                // A dry run that skips refused rows ends as done, and one that aborts fails.
                if import.state == ImportState::Done {
                    "An import would skip these rows. To import them too, correct the file or the columns."
                } else {
                    "Correct the file or the columns, or choose “Skip and report” to import the other rows."
                }
            }
        }
        if !import.errors.is_empty() {
            Errors { errors: import.errors.clone(), count: import.error_count }
        }
        div { class: "row",
            if is_imported {
                Link { to, class: "btn btn-primary", "Open {import.table}" }
            }
            Link { to: "/runs/{run}", class: "link", "Open run" }
        }
    }
}

#[component]
fn Counts(import: Import) -> Element {
    // With errors, a dry run that would abort does not know how many rows it would write.
    let is_known = !import.dry_run || import.state == ImportState::Done;
    let numbers = [
        ("Read", Some(import.rows_read)),
        (
            if import.dry_run { "Would be inserted" } else { "Inserted" },
            Some(import.rows_inserted).filter(|_| is_known),
        ),
        (if import.dry_run { "Would be updated" } else { "Updated" }, Some(import.rows_updated).filter(|_| is_known)),
        ("Refused", Some(refused(&import))),
    ];
    rsx! {
        p { class: "sr", "{counts_in_words(&import)}" }
        dl { class: "facts facts-fit import-counts", "aria-hidden": "true",
            for (name, number) in numbers {
                div { key: "{name}",
                    dt { class: "k", "{name}" }
                    dd { class: "v", {number.map_or_else(|| "–".to_owned(), text::number)} }
                }
            }
        }
    }
}

/// The first refused rows.
#[component]
fn Errors(errors: Vec<ImportError>, count: i64) -> Element {
    let shown = errors.len() as i64;
    let lines = as_lines(&errors);
    rsx! {
        div { class: "import-errors",
            div { class: "section-head",
                h3 { "Errors" }
                span { class: "label",
                    if shown < count {
                        "The first {text::number(shown)} of {text::number(count)}."
                    }
                }
                span { class: "push", CopyButton { name: "Copy errors", label: "Copy", text: lines } }
            }
            div { class: "scroll-x", tabindex: "0", role: "region", "aria-label": "Refused rows",
                table { class: "table box-table", "aria-label": "Errors",
                    thead {
                        tr {
                            th { class: "num", "Line" }
                            th { "Column" }
                            th { "Problem" }
                            th { "Value" }
                        }
                    }
                    tbody {
                        for (index, error) in errors.into_iter().enumerate() {
                            tr { key: "{index}",
                                td { class: "num", {text::number(i64::try_from(error.line).unwrap_or(i64::MAX))} }
                                td { class: "mono", {error.column.unwrap_or_else(|| "–".to_owned())} }
                                td { class: "wrapped", CodeText { text: problem_in_words(&error.message) } }
                                td { class: "mono import-value",
                                    match error.value {
                                        Some(value) => rsx! {
                                            span { class: "cut", title: "{value}", {one_line(&value).0} }
                                        },
                                        None => rsx! { span { class: "muted", "–" } },
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Returns the errors as lines of tab-separated values, which spreadsheets can read.
fn as_lines(errors: &[ImportError]) -> String {
    let plain = |text: &str| text.replace(['\t', '\n', '\r'], " ");
    let mut lines = "line\tcolumn\tproblem\tvalue\n".to_owned();
    for error in errors {
        let column = plain(error.column.as_deref().unwrap_or_default());
        let value = plain(error.value.as_deref().unwrap_or_default());
        lines.push_str(&format!("{}\t{column}\t{}\t{value}\n", error.line, plain(&error.message)));
    }
    lines
}

#[component]
fn RunProgress(run: String) -> Element {
    let path = format!("/runs/{run}");
    let detail = use_remote::<RunDetail>(use_signal(|| path).into());
    let progress = detail.value().and_then(|detail| detail.run.progress);
    let (done, total) = progress.map_or((0, 0), |progress| (progress.done, progress.total.unwrap_or_default()));
    // Once the file is read, the rows are still checked and written.
    let is_reading = total > 0 && done < total;
    let share = done.min(total) * 100 / total.max(1);
    let bytes = |count: u64| text::bytes(i64::try_from(count).unwrap_or(i64::MAX));
    rsx! {
        div { class: "stack stack-2 import-upload",
            div { class: "row label",
                if is_reading {
                    span { "Reading the file" }
                    span { class: "push tab-nums muted", "{bytes(done)} of {bytes(total)} · {share} %" }
                } else if total > 0 {
                    span { "The file has been read. Checking and writing its rows" }
                } else {
                    span { "Waiting for the run to start" }
                }
            }
            div {
                class: if is_reading { "bar" } else { "bar unknown" },
                role: "progressbar",
                "aria-label": "Progress",
                "aria-valuenow": is_reading.then(|| share.to_string()),
                style: is_reading.then(|| format!("--p:{share}%")),
                i {}
            }
        }
    }
}

fn cancel(run: &str) {
    let path = format!("/runs/{run}/cancel");
    spawn(async move {
        let sent = remote::send::<_, Run>(Method::Post, &path, &serde_json::json!({})).await;
        remote::forget("/runs");
        remote::forget("/imports");
        if let Err(failure) = sent {
            messages::show_failure(failure.message());
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_copied_as_a_table() {
        let error = ImportError {
            line: 3,
            column: Some("price".to_owned()),
            code: "invalid_value".to_owned(),
            message: "invalid input".to_owned(),
            value: Some("a\tb".to_owned()),
        };
        assert_eq!(as_lines(&[error]), "line\tcolumn\tproblem\tvalue\n3\tprice\tinvalid input\ta b\n");
    }
}
