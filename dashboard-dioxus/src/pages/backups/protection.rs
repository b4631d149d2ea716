//! The table "Protection": whether each database has a recent and verified backup.

use api_types::{Protection, ProtectionJob};
use dioxus::prelude::*;

use super::{
    Live,
    acts::BackUp,
    words::{is_late, is_unverified, name_of_protected},
};
use crate::{
    address, text,
    ui::{Link, Mark, Shape, narrow::use_is_narrow},
};

/// The table "Protection" with a row for each database. Databases whose protection has a problem come first.
#[component]
pub(super) fn ProtectionTable(
    live: Live,
    items: Vec<Protection>,
    /// Whether the page is about one database. Such a page contains the button that backs up the database.
    #[props(default)]
    is_single: bool,
) -> Element {
    let mut items = items;
    items.sort_by_key(|item| !item.overdue);
    if use_is_narrow() {
        return rsx! {
            ul { class: "cards", "aria-label": "Protection",
                for item in items {
                    ProtectionCard { key: "{item.target}", live, item, is_single }
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
                    if !is_single {
                        th { class: "acts", span { class: "sr", "Actions" } }
                    }
                }
            }
            tbody {
                for item in items {
                    ProtectionRow { key: "{item.target}", live, item, is_single }
                }
            }
        }
    }
}

#[component]
fn ProtectionRow(live: Live, item: Protection, is_single: bool) -> Element {
    let name = name_of_protected(&item);
    rsx! {
        tr {
            td { class: "name",
                if is_single {
                    "{name}"
                } else {
                    Link { to: address::with_parameters("/backups", &[("target", Some(&item.target))]), "{name}" }
                }
            }
            td { LastGood { item: item.clone() } }
            td { LastVerified { item: item.clone() } }
            td { ScheduledBy { item: item.clone() } }
            td { class: "num hide-800", title: will_go(&item), {text::number(item.kept_count)} }
            td { class: "num hide-800", title: will_go(&item), {kept_size(&item)} }
            td { class: "num muted hide-1060", title: item.oldest_at.map(text::exact),
                {item.oldest_at.map_or_else(|| "–".to_owned(), text::date)}
            }
            if !is_single {
                td {
                    class: "acts",
                    BackUp { live, target: item.target.clone(), name, label: "Back up", is_small: true }
                }
            }
        }
    }
}

#[component]
fn ProtectionCard(live: Live, item: Protection, is_single: bool) -> Element {
    let name = name_of_protected(&item);
    rsx! {
        li { class: "card",
            h3 {
                span { class: "grow", "{name}" }
                if item.kept_count > 0 {
                    span {
                        class: "label muted",
                        "{text::number(item.kept_count)} kept, {text::bytes(item.kept_bytes)}"
                    }
                }
            }
            p { "Last good backup: " LastGood { item: item.clone() } }
            if item.last_good.is_some() {
                p { "Last verified: " LastVerified { item: item.clone() } }
            }
            if item.job.is_some() {
                p { "Scheduled by: " ScheduledBy { item: item.clone() } }
            } else if let Some(problem) = &item.problem {
                p { "{problem}" }
            }
            if !is_single || item.job.is_none() {
                div { class: "row wrap",
                    if !is_single {
                        BackUp { live, target: item.target.clone(), name, label: "Back up now" }
                    }
                    if item.job.is_none() {
                        ScheduledBy { item: item.clone() }
                    }
                }
            }
        }
    }
}

/// The age of the last good backup, and whether it is overdue.
#[component]
fn LastGood(item: Protection) -> Element {
    let now = text::now();
    let (shape, words, title) = match &item.last_good {
        None => (Shape::Failed, "None".to_owned(), item.problem.clone()),
        Some(good) if is_late(&item, now) => {
            let why = item.problem.clone().map(|problem| format!("{problem} ")).unwrap_or_default();
            let title = format!("{why}Last good backup: {}", text::exact(good.at));
            (Shape::TimedOut, format!("{}, overdue", text::age(good.at, now)), Some(title))
        }
        Some(good) => (Shape::Succeeded, text::age(good.at, now), Some(text::exact(good.at))),
    };
    let class = if shape == Shape::TimedOut { "badge is-overdue" } else { "badge" };
    rsx! {
        span { class, title, Mark { shape } "{words}" }
    }
}

#[component]
fn LastVerified(item: Protection) -> Element {
    let is_unverified = is_unverified(&item, text::now());
    match item.last_verified_at {
        Some(at) if is_unverified => rsx! {
            span { class: "badge", title: item.problem, Mark { shape: Shape::Attention } {text::day(at)} }
        },
        Some(at) => rsx! { span { title: text::exact(at), {text::day(at)} } },
        None if is_unverified => rsx! { span { class: "badge", Mark { shape: Shape::Attention } "never" } },
        None => rsx! { span { class: "faint", "–" } },
    }
}

/// The job that creates the next backup or, if there is none, the button that opens the form for such a job.
#[component]
fn ScheduledBy(item: Protection) -> Element {
    match &item.job {
        Some(ProtectionJob { id, name, next_run_at, .. }) => rsx! {
            Link { to: "/jobs/{id}", "{name}" }
            if let Some(next) = next_run_at {
                span { class: "muted", title: text::exact(*next), " {text::upcoming(*next, text::now())}" }
            }
        },
        None => rsx! { ScheduleButton { target: item.target.clone(), name: name_of_protected(&item) } },
    }
}

/// The button that opens the form for a new job, filled in to back up the target every night.
#[component]
pub(super) fn ScheduleButton(target: String, name: String, #[props(default = "btn-s")] class: &'static str) -> Element {
    let to = schedule_address(&target, &name);
    rsx! {
        button { class: "btn {class}", r#type: "button", onclick: move |_| address::go(&to), "Schedule backups" }
    }
}

fn kept_size(item: &Protection) -> String {
    if item.kept_count == 0 { "–".to_owned() } else { text::bytes(item.kept_bytes) }
}

/// Returns the address of the form for a new job, filled in to back up the target every night. A job for a project's
/// database belongs to that project.
pub(in crate::pages) fn schedule_address(target: &str, name: &str) -> String {
    let name = if target == "all" { "Nightly backup".to_owned() } else { format!("Nightly backup of {name}") };
    address::with_parameters(
        "/jobs/new",
        &[
            ("project", target.strip_prefix("project:")),
            ("kind", Some("plugin")),
            ("plugin", Some("backup")),
            ("pluginJob", Some("backup")),
            ("target", Some(target)),
            ("name", Some(&name)),
            ("schedule", Some("0 2 * * *")),
        ],
    )
}

/// Returns the backups that are removed next, for example `2 backups (3.4 GB) to be removed on 10 Feb`. `None` if none
/// will be removed, as far as is known.
fn will_go(item: &Protection) -> Option<String> {
    let next = item.will_go?;
    Some(format!(
        "{} ({}) to be removed on {}",
        text::count(next.count, "backup", "backups"),
        text::bytes(next.bytes),
        text::day(next.at)
    ))
}
