//! `/`: the state of the installation, and the problems that need attention.
//!
//! [`Overview`] decides what is shown. It is in the WebAssembly module that is loaded first; the other components are
//! loaded when they are needed. [`facts`] contains the numbers of the region "State". The other regions, "Needs
//! attention" and "Recent runs", are also on the page of a project.

mod facts;

use api_types::Overview as OverviewData;
use dioxus::prelude::*;
use serde::Deserialize;

use super::{
    attention::{NeedsAttention, is_snoozed},
    new_project::{CreateForm, is_creating},
    recent_runs::RecentRuns,
};
use crate::{
    frame::page::Page,
    lazy,
    remote::{RemoteState, use_remote},
    text,
    ui::{ErrorBox, Mark, Shape},
};
use facts::{State, all_is_well};

/// Path of the overview in the admin API.
const PATH: &str = "/overview";

/// Maximum number of runs in the table "Recent runs".
const SHOWN_RUNS: usize = 20;

/// Part of [`api_types::Overview`]: the fields that decide which overview is shown.
#[derive(Debug, Clone, PartialEq, Deserialize)]
struct OverviewBrief {
    facts: FactsBrief,
    attention: Vec<ItemBrief>,
}

/// Part of [`api_types::Attention`].
#[derive(Debug, Clone, PartialEq, Deserialize)]
struct ItemBrief {
    id: String,
    #[serde(rename = "canSnooze")]
    can_snooze: bool,
}

/// Part of [`api_types::OverviewFacts`].
#[derive(Debug, Clone, PartialEq, Deserialize)]
struct FactsBrief {
    #[serde(rename = "projectCount")]
    project_count: i64,
}

#[component]
pub fn Overview() -> Element {
    let overview = use_remote::<OverviewBrief>(use_signal(|| PATH.to_owned()).into());
    // The number of projects includes a project that is being created. The form must stay until the owner has seen the
    // keys of that project.
    let is_creating = is_creating();
    let (subtitle, content) = match overview.state() {
        RemoteState::Ready(data) if data.facts.project_count == 0 || is_creating => {
            return rsx! { lazy::FirstProject {} };
        }
        RemoteState::Ready(data) => (
            match data.attention.iter().filter(|item| !(item.can_snooze && is_snoozed(&item.id))).count() {
                0 => text::day_and_time(text::now()),
                1 => format!("{} · 1 item needs attention", text::day_and_time(text::now())),
                count => format!("{} · {count} items need attention", text::day_and_time(text::now())),
            },
            rsx! { lazy::Regions {} },
        ),
        RemoteState::Loading => (String::new(), rsx! { Loading {} }),
        RemoteState::Failed(_) => (String::new(), rsx! { lazy::Regions {} }),
    };
    rsx! {
        Page { title: "Overview", subtitle, {content} }
    }
}

/// The regions of the overview, for an installation with projects.
#[component]
pub fn Regions() -> Element {
    let mut overview = use_remote::<OverviewData>(use_signal(|| PATH.to_owned()).into());
    let top = match overview.state() {
        RemoteState::Loading => rsx! { Loading {} },
        RemoteState::Failed(failure) => rsx! {
            section { "aria-label": "State",
                ErrorBox { what: "The state could not be loaded.", failure, on_retry: move |()| overview.refresh() }
            }
        },
        RemoteState::Ready(data) => rsx! {
            State { facts: data.facts.clone() }
            NeedsAttention {
                items: data.attention.clone(),
                when_empty: rsx! {
                    // The bar above the page says why the data is old.
                    if overview.stale().is_some() {
                        p { class: "muted", "Not known: the data could not be refreshed." }
                    } else if !data.problems.is_empty() {
                        p { class: "muted", "Not known: not everything could be checked." }
                    } else {
                        div { class: "well", role: "status",
                            Mark { shape: Shape::Succeeded }
                            span { strong { "All is well." } " {all_is_well(&data.facts, text::now())}" }
                        }
                    }
                },
            }
            if !data.problems.is_empty() {
                section { class: "section", "aria-label": "Unavailable",
                    for problem in data.problems.iter() {
                        p {
                            key: "{problem}", class: "row label", role: "alert", Mark { shape: Shape::Attention }
                            "{problem}"
                        }
                    }
                }
            }
        },
    };
    rsx! {
        {top}
        RecentRuns { path: "/runs?limit={SHOWN_RUNS}" }
    }
}

/// The region "State" while it is loading.
#[component]
pub fn Loading() -> Element {
    rsx! {
        section { class: "section late", "aria-label": "State", "aria-busy": "true",
            p { class: "sr", role: "status", "Loading…" }
            div { class: "facts",
                for fact in 0..7 {
                    div {
                        key: "{fact}", span { class: "k", span { class: "sk" } }
                        span { class: "v", span { class: "sk" } }
                    }
                }
            }
        }
    }
}

/// The overview of an installation without projects.
#[component]
pub fn FirstProject() -> Element {
    rsx! {
        Page {
            title: "Create your first project",
            subtitle: "A project is a database with its files, API keys and jobs.",
            div { class: "section stack stack-6 pt-2",
                CreateForm {}
                hr { class: "rule form" }
                ol { class: "stack stack-2", "aria-label": "Next steps",
                    for (number, text) in [
                        (1, "You get two keys, shown once. Copy them into your app."),
                        (2, "Create a table. Servers can use it at once, browsers once you give them access."),
                        (3, "Schedule a backup."),
                    ] {
                        li { key: "{number}", class: "row items-start",
                            span { class: "glyph", "aria-hidden": "true", "{number}" }
                            span { class: "muted", "{text}" }
                        }
                    }
                }
            }
        }
    }
}
