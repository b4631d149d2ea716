use api_types::{Backup, BackupState, Page as ApiPage};
use dioxus::prelude::*;

use super::{
    Live,
    acts::{BackUp, DeleteBackup, download, verify},
    protection::schedule_address,
    words::{goes, kept_because, name_of, name_of_protected, state},
};
use crate::{
    address,
    remote::{RemoteState, use_remote},
    text,
    ui::{
        Empty, ErrorBox, Icon, IconName, Link, LoadingTable, Mark, Menu, MenuItem, SearchBox, Shape,
        narrow::use_is_narrow,
    },
};

const PAGE_SIZE: &str = "200";

/// The table "Backups", newest first.
#[component]
pub(super) fn BackupList(live: Live, target: Option<String>, #[props(default)] is_fixed: bool) -> Element {
    let cursors = address::use_parameters("after");
    let path = address::with_parameters(
        "/backups",
        &[("limit", Some(PAGE_SIZE)), ("target", target.as_deref()), ("cursor", cursors.last().map(String::as_str))],
    );
    let path = use_memo(use_reactive!(|path| path));
    let mut backups = use_remote::<ApiPage<Backup>>(path.into());
    let filter = use_signal(String::new);
    let wanted_state = address::use_parameter("state").and_then(|state| state.parse::<BackupState>().ok());
    let deleting = use_signal(|| None::<Backup>);
    let is_narrow = use_is_narrow();
    let wanted = filter.read().to_lowercase();
    let page = backups.value();
    let next = page.as_ref().and_then(|page| page.next_cursor.clone());
    let items = page.map(|page| page.items).unwrap_or_default();
    let is_empty = items.is_empty();
    let shown: Vec<Backup> = items
        .into_iter()
        .filter(|backup| wanted_state.is_none_or(|state| backup.state == state))
        .filter(|backup| {
            wanted.is_empty()
                || name_of(backup).to_lowercase().contains(&wanted)
                || text::day(backup.created_at).to_lowercase().contains(&wanted)
        })
        .collect();
    let count = shown.len();
    let is_filtered = !wanted.is_empty() || wanted_state.is_some() || (target.is_some() && !is_fixed);
    let content = match backups.state() {
        RemoteState::Loading => rsx! { LoadingTable { name: "Backups", columns: 7 } },
        RemoteState::Failed(failure) => rsx! {
            ErrorBox { what: "Backups could not be listed.", failure, on_retry: move |()| backups.refresh() }
        },
        RemoteState::Ready(_) if is_empty && !is_filtered => rsx! {
            NoBackups { live, target: target.clone().unwrap_or_else(|| "all".to_owned()) }
        },
        RemoteState::Ready(_) if shown.is_empty() => rsx! {
            Empty { title: "No backup matches", text: "No backup has this target, state and name.",
                button { class: "btn", r#type: "button", onclick: move |_| clear(filter), "Clear filters" }
            }
        },
        RemoteState::Ready(_) if is_narrow => rsx! {
            ul { class: "cards", "aria-label": "Backups",
                for backup in shown {
                    BackupCard { key: "{backup.id}", live, backup, deleting }
                }
            }
        },
        RemoteState::Ready(_) => rsx! {
            table { class: "table", "aria-label": "Backups",
                thead {
                    tr {
                        th { "Target" }
                        th { class: "num", "Made" }
                        th { class: "num", "Size" }
                        th { class: "num", "Rows" }
                        th { "State" }
                        th { class: "hide-800", "Kept because" }
                        th { class: "num hide-1060", "Goes" }
                        th { class: "acts", span { class: "sr", "Actions" } }
                    }
                }
                tbody {
                    for backup in shown {
                        BackupRow { key: "{backup.id}", live, backup, deleting }
                    }
                }
            }
        },
    };
    let has_list = !is_empty || is_filtered;
    rsx! {
        if has_list {
            div { class: "toolbar",
                SearchBox { name: "Filter backups", value: filter }
                if !is_fixed {
                    TargetFilter { live, chosen: target.clone().unwrap_or_default() }
                }
                StateFilter { chosen: wanted_state }
                if is_filtered {
                    button { class: "btn btn-ghost", r#type: "button", onclick: move |_| clear(filter), "Clear filters" }
                }
            }
        }
        {content}
        if has_list {
            Foot { count, cursors, next, updated: backups.updated_at(), on_refresh: move |()| backups.refresh() }
        }
        DeleteBackup { backup: deleting }
    }
}

fn clear(filter: Signal<String>) {
    let mut filter = filter;
    filter.set(String::new());
    address::replace_parameters(&["target", "state", "after"].map(|name| (name, Vec::new())));
}

#[component]
fn Foot(
    count: usize,
    cursors: Vec<String>,
    next: Option<String>,
    updated: f64,
    on_refresh: EventHandler<()>,
) -> Element {
    let (mut earlier, later) = (cursors.clone(), cursors.clone());
    earlier.pop();
    rsx! {
        div { class: "foot",
            if next.is_some() || !cursors.is_empty() {
                div { class: "row row-1", role: "group", "aria-label": "Paging",
                    button {
                        class: "btn btn-ghost btn-s btn-icon", r#type: "button", "aria-label": "Previous page", disabled: cursors.is_empty(),
                        onclick: move |_| address::replace_parameters(&[("after", earlier.clone())]),
                        Icon { name: IconName::ChevronLeft }
                    }
                    button {
                        class: "btn btn-ghost btn-s btn-icon", r#type: "button", "aria-label": "Next page", disabled: next.is_none(),
                        onclick: move |_| {
                            let mut later = later.clone();
                            later.extend(next.clone());
                            address::replace_parameters(&[("after", later)]);
                        },
                        Icon { name: IconName::ChevronRight }
                    }
                }
            }
            span { {text::count(count as i64, "backup", "backups")} }
            span { class: "push row row-1",
                span { class: "only-wide", "Updated {text::clock(updated)}" }
                button {
                    class: "btn btn-ghost btn-s btn-icon", r#type: "button", "aria-label": "Refresh",
                    onclick: move |_| on_refresh.call(()),
                    Icon { name: IconName::Refresh }
                }
            }
        }
    }
}

#[component]
fn TargetFilter(live: Live, chosen: String) -> Element {
    let items = live.protection.value().map(|page| page.items).unwrap_or_default();
    let is_unknown = !chosen.is_empty() && !items.iter().any(|item| item.target == chosen);
    rsx! {
        label { class: "input select m select-native",
            span { class: "what", "aria-hidden": "true", "Target" }
            select {
                "aria-label": "Target",
                onchange: |event| {
                    let target = event.value();
                    let target = if target.is_empty() { Vec::new() } else { vec![target] };
                    address::replace_parameters(&[("target", target), ("after", Vec::new())]);
                },
                option { value: "", selected: chosen.is_empty(), "All" }
                if is_unknown {
                    option { value: "{chosen}", selected: true, "{chosen}" }
                }
                for item in items {
                    option { key: "{item.target}", value: "{item.target}", selected: item.target == chosen, {name_of_protected(&item)} }
                }
            }
        }
    }
}

#[component]
fn StateFilter(chosen: Option<BackupState>) -> Element {
    rsx! {
        label { class: "input select m select-native",
            span { class: "what", "aria-hidden": "true", "State" }
            select {
                "aria-label": "State",
                onchange: |event| {
                    let state = event.value();
                    address::replace_parameter("state", (!state.is_empty()).then_some(state.as_str()));
                },
                option { value: "", selected: chosen.is_none(), "All" }
                for (state, label) in [
                    (BackupState::Ready, "Ready"),
                    (BackupState::Verified, "Verified"),
                    (BackupState::Failed, "Verification failed"),
                    (BackupState::Missing, "Missing"),
                ] {
                    option { key: "{label}", value: state.as_str(), selected: chosen == Some(state), "{label}" }
                }
            }
        }
    }
}

#[component]
fn BackupRow(live: Live, backup: Backup, deleting: Signal<Option<Backup>>) -> Element {
    let is_open = address::use_parameter("backup").as_ref() == Some(&backup.id);
    rsx! {
        tr { "aria-selected": is_open.to_string(),
            td { class: "name", BackupLink { backup: backup.clone() } }
            td { class: "num", title: text::exact(backup.created_at), {text::short_date_and_time(backup.created_at)} }
            td { class: "num", {text::bytes(backup.size_bytes)} }
            td { class: "num", {backup.row_count.map_or_else(|| "–".to_owned(), text::number)} }
            td { BackupBadge { live, backup: backup.clone() } }
            td { class: "muted hide-800", {kept_because(&backup)} }
            td { class: "num muted hide-1060", title: backup.goes_at.map(text::exact), {goes(&backup)} }
            td { class: "acts", BackupMenu { live, backup: backup.clone(), deleting } }
        }
    }
}

#[component]
fn BackupCard(live: Live, backup: Backup, deleting: Signal<Option<Backup>>) -> Element {
    let rows = backup.row_count.map(|rows| format!(" · {}", text::count(rows, "row", "rows"))).unwrap_or_default();
    rsx! {
        li { class: "card",
            h3 {
                span { class: "grow", BackupLink { backup: backup.clone() } }
                BackupMenu { live, backup: backup.clone(), deleting }
            }
            p { "{text::short_date_and_time(backup.created_at)} · {text::bytes(backup.size_bytes)}{rows}" }
            p { BackupBadge { live, backup: backup.clone() } " · {kept_because(&backup)}" }
        }
    }
}

#[component]
fn BackupLink(backup: Backup) -> Element {
    let mut address_of = vec![("backup", Some(backup.id.as_str()))];
    let (target, state) = (address::parameter("target"), address::parameter("state"));
    address_of.extend([("target", target.as_deref()), ("state", state.as_deref())]);
    rsx! { Link { to: address::with_parameters(&address::path(), &address_of), {name_of(&backup)} } }
}

/// The state of a backup, or that it is being verified.
#[component]
pub(super) fn BackupBadge(live: Live, backup: Backup) -> Element {
    if let Some(run) = live.run_of(&backup.id) {
        return rsx! {
            Link { to: "/runs/{run.id}", class: "badge", Mark { shape: Shape::Running } "Being verified" }
        };
    }
    let (shape, words, why) = state(&backup);
    rsx! {
        span { class: "badge", title: why.clone(), Mark { shape } "{words}" }
        if let Some(why) = why.clone() {
            span { class: "muted", " {why}" }
        }
    }
}

#[component]
fn BackupMenu(live: Live, backup: Backup, deleting: Signal<Option<Backup>>) -> Element {
    let mut deleting = deleting;
    let exists = backup.state != BackupState::Missing;
    let (to_verify, to_download, to_delete) = (backup.clone(), backup.clone(), backup.clone());
    rsx! {
        Menu { name: "Actions for {name_of(&backup)}, {text::short_date_and_time(backup.created_at)}", icon: IconName::Dots, class: "btn-s",
            if exists {
                MenuItem { icon: Some(IconName::Download), onselect: move |()| download(&to_download), "Download" }
                MenuItem { icon: Some(IconName::Refresh), onselect: move |()| verify(live, &to_verify), "Verify" }
                hr {}
            }
            MenuItem { icon: Some(IconName::Trash), danger: true, onselect: move |()| deleting.set(Some(to_delete.clone())), "Delete backup" }
        }
    }
}

#[component]
fn NoBackups(live: Live, target: String) -> Element {
    let (name, label) =
        if target == "all" { ("everything", "Back up everything now") } else { ("the database", "Back up now") };
    rsx! {
        Empty { title: "No backups yet", text: "A backup is a copy of a database that is kept in the object store.",
            BackUp { live, target: target.clone(), name, label }
            Link { to: schedule_address(&target, "this project"), class: "btn btn-ghost", "Schedule backups" }
        }
    }
}
