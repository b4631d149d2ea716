//! `/projects/<id>`: the contents of a project, how to connect to it, and problems that need attention.
//!
//! [`connect`] contains the code snippets, and [`next_steps`] the steps to set up a new project.

mod connect;
mod next_steps;

use api_types::{Attention, Overview, ProjectDetail, ProjectState};
use dioxus::prelude::*;

use super::{attention::NeedsAttention, recent_runs::RecentRuns};
use crate::{
    frame::page::Page,
    remote::{RemoteState, use_remote},
    text,
    ui::{CopyButton, Empty, ErrorBox, Icon, IconName, Link, Mark, Shape},
};
use connect::Connect;
use next_steps::NextSteps;

#[component]
pub fn Project(id: ReadSignal<String>) -> Element {
    let mut detail = use_remote::<ProjectDetail>(use_memo(move || format!("/projects/{id}")).into());
    match detail.state() {
        RemoteState::Loading => rsx! {
            Page { title: "Project", div { class: "section late", "aria-busy": "true", span { class: "sk" } } }
        },
        RemoteState::Failed(failure) if failure.is_not_found() => rsx! {
            Page { title: "Project",
                Empty { title: "No such project", text: "It was deleted, or the address is wrong.",
                    Link { to: "/projects", class: "btn", "All projects" }
                }
            }
        },
        RemoteState::Failed(failure) => rsx! {
            Page { title: "Project",
                ErrorBox { what: "The project could not be loaded.", failure, on_retry: move |()| detail.refresh() }
            }
        },
        RemoteState::Ready(detail) => rsx! {
            // Dioxus compares keys only in lists, so this is a list of one element: another project must create a new
            // component.
            for detail in [detail] {
                ProjectPage { key: "{detail.project.id}", detail }
            }
        },
    }
}

#[component]
fn ProjectPage(detail: ProjectDetail) -> Element {
    let id = detail.project.id.clone();
    let runs = use_signal(|| format!("/runs?projectId={id}&limit=10"));
    rsx! {
        Page { title: detail.project.name.clone(), subtitle: subtitle(&detail),
            if !detail.project.note.is_empty() {
                p { class: "section whitespace-pre-wrap", "{detail.project.note}" }
            }
            NextSteps { detail: detail.clone() }
            Contents { detail: detail.clone() }
            Connect { project: id.clone() }
            Problems { project: id.clone() }
            RecentRuns { path: runs, all: "/runs?project={id}", with_project: false }
        }
    }
}

/// The region "Needs attention" with the problems of the project.
#[component]
fn Problems(project: String) -> Element {
    let mut overview = use_remote::<Overview>(use_signal(|| "/overview".to_owned()).into());
    match overview.state() {
        RemoteState::Loading => rsx! {},
        RemoteState::Failed(failure) => rsx! {
            section { class: "section", "aria-label": "Needs attention",
                ErrorBox {
                    what: "The problems of the project could not be loaded.",
                    failure,
                    on_retry: move |()| overview.refresh(),
                }
            }
        },
        RemoteState::Ready(data) => {
            let is_checked = overview.stale().is_none() && data.problems.is_empty();
            let is_own = |item: &Attention| item.project_id.as_ref() == Some(&project);
            rsx! {
                NeedsAttention {
                    items: data.attention.into_iter().filter(is_own).collect::<Vec<_>>(),
                    with_project: false,
                    when_empty: rsx! {
                        if is_checked {
                            p { class: "row muted",
                                Mark { shape: Shape::Succeeded }
                                "Nothing in this project needs attention."
                            }
                        } else {
                            p { class: "muted", "Not known: not everything could be checked." }
                        }
                    },
                }
            }
        }
    }
}

fn subtitle(detail: &ProjectDetail) -> String {
    let created = format!("Created {}", text::date(detail.project.created_at));
    match (&detail.project.delete_after_run, detail.project.state) {
        (Some(_), _) => format!("{created} · Will be deleted after its final backup"),
        (None, ProjectState::Creating) => "Being created…".to_owned(),
        (None, ProjectState::Deleting) => format!("{created} · Being deleted"),
        (None, ProjectState::Ready) => created,
    }
}

#[component]
fn Contents(detail: ProjectDetail) -> Element {
    let id = detail.project.id.clone();
    let totals = detail.totals;
    let now = text::now();
    let database = totals.database_bytes.map_or_else(|| "unknown".to_owned(), text::bytes);
    let tables = match (totals.table_count, detail.project.state) {
        (Some(count), _) => text::count(count, "table", "tables"),
        (None, ProjectState::Creating) => "Being created".to_owned(),
        (None, ProjectState::Deleting) => "Being deleted".to_owned(),
        (None, ProjectState::Ready) => "The database can't be reached".to_owned(),
    };
    let used = totals
        .keys_last_used_at
        .map_or_else(|| "never used".to_owned(), |at| format!("last used {}", text::age(at, now)));
    let backup = totals.last_good_backup.as_ref().map_or_else(|| "None".to_owned(), |backup| text::age(backup.at, now));
    let verified = match totals.last_good_backup.as_ref() {
        None => "no good backup".to_owned(),
        Some(backup) if backup.verified_at.is_some() => "verified".to_owned(),
        Some(_) => "not verified".to_owned(),
    };
    rsx! {
        section { class: "section", "aria-label": "Holds",
            div { class: "facts facts-fit",
                Link { to: "/projects/{id}/tables", class: "inset",
                    span { class: "k", "Database" }
                    span { class: "v", "{database}" }
                    span { class: "d", "{tables}" }
                }
                Link { to: "/projects/{id}/storage", class: "inset",
                    span { class: "k", "Storage" }
                    span { class: "v", "{text::bytes(totals.object_bytes)}" }
                    span { class: "d", "{text::count(totals.object_count, \"object\", \"objects\")}" }
                }
                Link { to: "/projects/{id}/keys", class: "inset",
                    span { class: "k", "Keys in use" }
                    span { class: "v", "{text::number(totals.active_key_count)}" }
                    span { class: "d", "{used}" }
                }
                Link {
                    to: "/projects/{id}/database", class: "inset",
                    title: totals.last_good_backup.as_ref().map(|backup| text::exact(backup.at)),
                    span { class: "k", "Last good backup" }
                    span { class: "v", "{backup}" }
                    span { class: "d",
                        if totals.last_good_backup.is_none() {
                            Mark { shape: Shape::Attention }
                        }
                        "{verified}"
                    }
                }
                Link { to: "/runs?project={id}", class: "inset",
                    span { class: "k", "Runs in 24 h" }
                    span { class: "v", "{text::number(totals.runs_24h.total)}" }
                    span { class: "d",
                        if totals.runs_24h.failed > 0 {
                            Mark { shape: Shape::Failed }
                            "{text::number(totals.runs_24h.failed)} failed"
                        } else {
                            "none failed"
                        }
                    }
                }
            }
            p { class: "row label muted mt-2",
                "Project id"
                span { class: "mono", "{id}" }
                CopyButton { name: "Copy project id", text: id.clone() }
                if detail.project.protected {
                    Icon { name: IconName::Lock }
                    "Protected from deletion"
                }
            }
        }
    }
}
