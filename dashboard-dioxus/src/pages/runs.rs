//! `/runs`: the runs of all jobs, by status.

use api_types::{Page as ApiPage, Run, RunStatus};
use dioxus::prelude::*;

use super::recent_runs::{RunTable, run_state_in_words};
use crate::{
    address,
    frame::page::Page,
    remote::{RemoteState, use_remote},
    text,
    ui::{Empty, ErrorBox, LoadingTable},
};

/// Runs per page.
const PAGE_SIZE: &str = "50";

#[component]
pub fn Runs() -> Element {
    let status = address::use_parameter("status").unwrap_or_default();
    let job = address::use_parameter("job");
    let project = address::use_parameter("project");
    let cursor = address::use_parameter("after");
    let list = match &job {
        Some(job) => format!("/jobs/{job}/runs"),
        None => "/runs".to_owned(),
    };
    let parameters = [
        ("limit", Some(PAGE_SIZE)),
        ("status", Some(status.as_str()).filter(|status| !status.is_empty())),
        ("projectId", project.as_deref()),
        ("cursor", cursor.as_deref()),
    ];
    let path = address::with_parameters(&list, &parameters);
    let path = use_memo(use_reactive!(|path| path));
    let mut runs = use_remote::<ApiPage<Run>>(path.into());
    let is_filtered = !status.is_empty() || job.is_some() || project.is_some();
    let content = match runs.state() {
        RemoteState::Loading => rsx! { LoadingTable { name: "Runs", columns: 7 } },
        RemoteState::Failed(failure) => rsx! {
            ErrorBox { what: "Runs could not be listed.", failure, on_retry: move |()| runs.refresh() }
        },
        RemoteState::Ready(page) if page.items.is_empty() && is_filtered => rsx! {
            Empty { title: "No run matches", text: "No run has this status.",
                button { class: "btn", r#type: "button", onclick: |_| address::go("/runs"), "Clear filters" }
            }
        },
        RemoteState::Ready(page) if page.items.is_empty() => rsx! {
            Empty { title: "No runs yet", text: "A run appears here when a job or a backup starts." }
        },
        RemoteState::Ready(page) => rsx! {
            RunTable { name: "Runs", runs: page.items.clone(), shown_on_phone: page.items.len() }
            div { class: "foot",
                div { class: "row row-1", role: "group", "aria-label": "Paging",
                    button {
                        class: "btn btn-ghost btn-s",
                        r#type: "button",
                        disabled: cursor.is_none(),
                        onclick: |_| address::push_parameter("after", None),
                        "First page"
                    }
                    button {
                        class: "btn btn-ghost btn-s",
                        r#type: "button",
                        disabled: page.next_cursor.is_none(),
                        onclick: move |_| address::push_parameter("after", page.next_cursor.as_deref()),
                        "Next page"
                    }
                }
                span { "{text::count(page.items.len() as i64, \"run\", \"runs\")} on this page" }
                button { class: "btn btn-ghost btn-s push", r#type: "button", onclick: move |_| runs.refresh(), "Refresh" }
            }
        },
    };
    rsx! {
        Page { title: "Runs",
            div { class: "toolbar",
                label { class: "row",
                    span { class: "label muted", "Status" }
                    select {
                        class: "input m",
                        "aria-label": "Status",
                        onchange: |event| {
                            let status = event.value();
                            address::replace_parameters(&[
                                ("status", if status.is_empty() { Vec::new() } else { vec![status] }),
                                ("after", Vec::new()),
                            ]);
                        },
                        option { value: "", selected: status.is_empty(), "All" }
                        option { value: "fail,timeout", selected: status == "fail,timeout", "Failed or timed out" }
                        for choice in RunStatus::ALL {
                            option {
                                key: "{choice.as_str()}",
                                value: "{choice.as_str()}",
                                selected: status == choice.as_str(),
                                "{run_state_in_words(*choice)}"
                            }
                        }
                    }
                }
                if is_filtered {
                    button { class: "btn btn-ghost", r#type: "button", onclick: |_| address::go("/runs"), "Clear filters" }
                }
            }
            {content}
        }
    }
}
