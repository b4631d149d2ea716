use api_types::{Protection, ProtectionJob};
use dioxus::prelude::*;

use super::{Live, acts::BackUp, words::name_of_protected};
use crate::{
    address, text,
    ui::{Link, Mark, Shape, narrow::use_is_narrow},
};

/// The table "Protection": one row a database, those first that need attention.
#[component]
pub(super) fn ProtectionTable(live: Live, items: Vec<Protection>) -> Element {
    let mut items = items;
    items.sort_by_key(|item| !item.overdue);
    if use_is_narrow() {
        return rsx! {
            ul { class: "cards", "aria-label": "Protection",
                for item in items {
                    ProtectionCard { key: "{item.target}", live, item }
                }
            }
        };
    }
    rsx! {
        table { class: "table protection", "aria-label": "Protection",
            thead {
                tr {
                    th { "Target" }
                    th { "Last good backup" }
                    th { "Last verified" }
                    th { "Scheduled by" }
                    th { class: "num hide-800", "Kept" }
                    th { class: "num hide-800", "Size" }
                    th { class: "num hide-1060", "Oldest" }
                    th { class: "acts", span { class: "sr", "Actions" } }
                }
            }
            tbody {
                for item in items {
                    ProtectionRow { key: "{item.target}", live, item }
                }
            }
        }
    }
}

#[component]
fn ProtectionRow(live: Live, item: Protection) -> Element {
    let name = name_of_protected(&item);
    rsx! {
        tr {
            td { class: "name",
                Link { to: address::with_parameters(&address::path(), &[("target", Some(&item.target))]), "{name}" }
            }
            td { LastGood { item: item.clone() } }
            td { LastVerified { item: item.clone() } }
            td { ScheduledBy { item: item.clone() } }
            td { class: "num hide-800", {text::number(item.kept_count)} }
            td { class: "num hide-800", title: will_go(&item), {text::bytes(item.kept_bytes)} }
            td { class: "num muted hide-1060", title: item.oldest_at.map(text::exact),
                {item.oldest_at.map_or_else(|| "–".to_owned(), text::date)}
            }
            td { class: "acts", BackUp { live, target: item.target.clone(), name } }
        }
    }
}

#[component]
fn ProtectionCard(live: Live, item: Protection) -> Element {
    let name = name_of_protected(&item);
    rsx! {
        li { class: "card",
            h3 {
                span { class: "grow", "{name}" }
                span { class: "label muted", "{text::number(item.kept_count)} kept, {text::bytes(item.kept_bytes)}" }
            }
            p { class: "reason", "Last good backup: " LastGood { item: item.clone() } }
            p { "Verified: " LastVerified { item: item.clone() } }
            p { ScheduledBy { item: item.clone() } }
            div { class: "row", BackUp { live, target: item.target.clone(), name, class: "btn-filled" } }
        }
    }
}

/// The age of the last good backup, and whether it is overdue.
#[component]
fn LastGood(item: Protection) -> Element {
    let now = text::now();
    let (shape, words, title) = match &item.last_good {
        None => (Shape::Failed, "None".to_owned(), None),
        Some(good) if item.overdue => {
            (Shape::TimedOut, format!("{}, overdue", text::age(good.at, now)), Some(text::exact(good.at)))
        }
        Some(good) => (Shape::Succeeded, text::age(good.at, now), Some(text::exact(good.at))),
    };
    let problem = item.problem.clone().filter(|_| item.overdue);
    rsx! {
        span { class: if item.overdue { "badge is-overdue" } else { "badge" }, title: problem.clone().or(title),
            Mark { shape }
            "{words}"
        }
        if let Some(problem) = problem.clone() {
            span { class: "muted why-overdue", " {problem}" }
        }
    }
}

#[component]
fn LastVerified(item: Protection) -> Element {
    match item.last_verified_at {
        Some(at) => rsx! { span { title: text::exact(at), {text::day(at)} } },
        None => rsx! { span { class: "badge", Mark { shape: Shape::Attention } "never" } },
    }
}

/// The job that makes the next backup, or the act that makes such a job.
#[component]
fn ScheduledBy(item: Protection) -> Element {
    match &item.job {
        Some(ProtectionJob { id, name, next_run_at, .. }) => rsx! {
            Link { to: "/jobs/{id}", "{name}" }
            if let Some(next) = next_run_at {
                span { class: "muted", title: text::exact(*next), " {text::upcoming(*next, text::now())}" }
            }
        },
        None => {
            rsx! { Link { to: schedule_address(&item.target, &name_of_protected(&item)), class: "btn btn-s", "Schedule backups" } }
        }
    }
}

/// Returns the form for a job that backs up a database every night.
pub(super) fn schedule_address(target: &str, name: &str) -> String {
    let name = if target == "all" { "Nightly backup".to_owned() } else { format!("Nightly backup of {name}") };
    address::with_parameters(
        "/jobs/new",
        &[
            ("kind", Some("plugin")),
            ("plugin", Some("backup")),
            ("pluginJob", Some("backup")),
            ("target", Some(target)),
            ("name", Some(&name)),
            ("schedule", Some("0 2 * * *")),
        ],
    )
}

/// Returns what is removed next: `2 backups (3.4 GB) go on 10 Feb`.
fn will_go(item: &Protection) -> Option<String> {
    let next = item.will_go?;
    Some(format!(
        "{} ({}) go on {}",
        text::count(next.count, "backup", "backups"),
        text::bytes(next.bytes),
        text::day(next.at)
    ))
}
