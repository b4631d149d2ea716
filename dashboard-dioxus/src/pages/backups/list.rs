//! The list "Backups": a table, and cards on a phone.

use api_types::{Backup, BackupState, Page as ApiPage};
use dioxus::prelude::*;

use super::{
    super::{
        cursor_paging::{CursorPaging, EmptyPage, page_size},
        jobs::ParameterFilter,
        restore::ChooseProject,
    },
    Live,
    acts::{BackUp, DeleteBackup, WithObjects, download, verify},
    protection::ScheduleButton,
    verify_encrypted::VerifyEncrypted,
    words::{goes, kept_because, name_of, name_of_protected, objects_in_words, state, target_name},
};
use crate::{
    address,
    remote::{RemoteState, use_remote},
    text,
    ui::{
        Empty, ErrorBox, IconName, Link, LoadingTable, Mark, Menu, MenuItem, SearchBox, Shape, narrow::use_is_narrow,
    },
};

const PAGE_SIZES: &[u32] = &[20, 50, 100, 200];
const DEFAULT_SIZE: u32 = 100;

/// The backups that dialogs of the list are about. They belong to the list, not to its rows, because the rows are
/// replaced when the window becomes as narrow as a phone, and open dialogs must stay.
#[derive(Clone, Copy, PartialEq)]
struct Asked {
    deleting: Signal<Option<Backup>>,
    restoring: Signal<Option<Backup>>,
    verifying: Signal<Option<Backup>>,
}

/// The table "Backups", newest first. The server filters by target; the other filters apply only to the shown page.
#[component]
pub(super) fn BackupList(
    live: Live,
    target: Option<String>,
    /// Whether the page is about this target only.
    #[props(default)]
    is_fixed: bool,
) -> Element {
    let after = address::use_parameter("after");
    let filter = use_signal(String::new);
    let wanted_state = address::use_parameter("state").and_then(|state| state.parse::<BackupState>().ok());
    let limit = page_size(PAGE_SIZES, DEFAULT_SIZE).to_string();
    let path = address::with_parameters(
        "/backups",
        &[("limit", Some(&limit)), ("target", target.as_deref()), ("cursor", after.as_deref())],
    );
    let path = use_memo(use_reactive!(|path| path));
    let mut backups = use_remote::<ApiPage<Backup>>(path.into());
    let asked = Asked { deleting: use_signal(|| None), restoring: use_signal(|| None), verifying: use_signal(|| None) };
    let is_narrow = use_is_narrow();
    let wanted = filter.read().trim().to_lowercase();
    let page = backups.value();
    let next = page.as_ref().and_then(|page| page.next_cursor.clone());
    let items = page.map(|page| page.items).unwrap_or_default();
    let (count, is_empty) = (items.len(), items.is_empty());
    let of_target = target.as_ref().and_then(|target| items.iter().find(|item| item.target == *target).cloned());
    let shown: Vec<Backup> = items
        .into_iter()
        .filter(|backup| wanted_state.is_none_or(|state| backup.state == state))
        .filter(|backup| {
            wanted.is_empty()
                || name_of(backup).to_lowercase().contains(&wanted)
                || text::day(backup.created_at).to_lowercase().contains(&wanted)
        })
        .collect();
    let is_filtered = !wanted.is_empty() || wanted_state.is_some() || (target.is_some() && !is_fixed);
    let has_list = !is_empty || is_filtered || after.is_some();
    let is_ready = matches!(backups.state(), RemoteState::Ready(_));
    let has_toolbar = has_list || matches!(backups.state(), RemoteState::Loading);
    let mut live_is_empty = live.is_empty;
    use_effect(use_reactive!(|has_list, is_ready| live_is_empty.set(is_ready && !has_list)));
    let content = match backups.state() {
        RemoteState::Loading => rsx! { LoadingTable { name: "Backups", columns: 7 } },
        RemoteState::Failed(failure) => rsx! {
            ErrorBox { what: "Backups could not be loaded.", failure, on_retry: move |()| backups.refresh() }
        },
        RemoteState::Ready(_) if !has_list => rsx! { NoBackups { live, is_fixed } },
        RemoteState::Ready(_) if is_empty && after.is_some() => rsx! { EmptyPage { entries: "backups" } },
        RemoteState::Ready(_) if shown.is_empty() => rsx! {
            Empty {
                title: "No backup matches",
                text: match (&next, &after) {
                    (Some(_), _) => "No backup on this page matches. Older ones are on the next page.",
                    (None, Some(_)) => "No backup on this page matches. Newer ones are on the pages before it.",
                    (None, None) => "No backup meets all filters.",
                },
                button { class: "btn", r#type: "button", onclick: move |_| clear(filter), "Clear filters" }
            }
        },
        RemoteState::Ready(_) if is_narrow => rsx! {
            ul { class: "cards", "aria-label": "Backups",
                for backup in shown {
                    BackupCard { key: "{backup.id}", live, backup, asked }
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
                        th { class: "num", title: "Without the rows of end-user login", "Rows" }
                        th { "State" }
                        th { class: "hide-800", "Kept because" }
                        th { class: "num hide-1060", "Will be removed" }
                        th { class: "acts", span { class: "sr", "Actions" } }
                    }
                }
                tbody {
                    for backup in shown {
                        BackupRow { key: "{backup.id}", live, backup, asked }
                    }
                }
            }
        },
    };
    rsx! {
        if has_toolbar {
            div { class: "toolbar",
                SearchBox { name: "Filter backups", value: filter }
                if !is_fixed {
                    TargetFilter { live, of_target }
                }
                StateFilter {}
                if is_filtered {
                    button {
                        class: "btn btn-ghost",
                        r#type: "button",
                        onclick: move |_| clear(filter),
                        "Clear filters"
                    }
                }
            }
        }
        {content}
        if has_list {
            CursorPaging {
                shown: count,
                next_cursor: next,
                updated_at: backups.updated_at(),
                sizes: PAGE_SIZES,
                default_size: DEFAULT_SIZE,
                on_refresh: move |()| backups.refresh(),
            }
        }
        AskedDialogs { live, asked }
    }
}

#[component]
fn AskedDialogs(live: Live, asked: Asked) -> Element {
    let Asked { deleting, mut restoring, mut verifying } = asked;
    rsx! {
        DeleteBackup { backup: deleting }
        if let Some(backup) = verifying() {
            VerifyEncrypted { live, backup, on_close: move |()| verifying.set(None) }
        }
        if let Some(backup) = restoring() {
            ChooseProject {
                backup: backup.clone(), name: name_of(&backup), on_close: move |()| restoring.set(None)
            }
        }
    }
}

fn clear(filter: Signal<String>) {
    let mut filter = filter;
    filter.set(String::new());
    address::replace_parameters(&["target", "state", "after", "offset"].map(|name| (name, Vec::new())));
}

#[component]
fn TargetFilter(
    live: Live,
    /// A backup of the target that the address names. It may be older than the newest backups.
    of_target: Option<Backup>,
) -> Element {
    let items = live.protection.value().map(|page| page.items).unwrap_or_default();
    let newest = use_remote::<ApiPage<Backup>>(use_signal(|| "/backups?limit=200".to_owned()).into());
    let mut options: Vec<_> = items.iter().map(|item| (item.target.clone(), name_of_protected(item))).collect();
    // Backups stay after their project is deleted.
    if live.protection.value().is_some() {
        let mut deleted: Vec<(String, String)> = Vec::new();
        for backup in newest.value().map(|page| page.items).unwrap_or_default().into_iter().chain(of_target) {
            if !options.iter().chain(&deleted).any(|(target, _)| *target == backup.target) {
                deleted.push((backup.target.clone(), name_of(&backup)));
            }
        }
        options.extend(deleted.iter().map(|(target, name)| {
            let is_shared = deleted.iter().filter(|(_, other)| other == name).count() > 1;
            let id = target_name(None, target);
            let label = if is_shared { format!("{name} (deleted, {id})") } else { format!("{name} (deleted)") };
            (target.clone(), label)
        }));
    }
    rsx! { ParameterFilter { label: "Target", parameter: "target", options } }
}

#[component]
fn StateFilter() -> Element {
    let options = [
        (BackupState::Ready, "Ready"),
        (BackupState::Verified, "Verified"),
        (BackupState::Failed, "Verification failed"),
        (BackupState::Missing, "Missing"),
    ];
    let options = options.map(|(state, label)| (state.as_str().to_owned(), label.to_owned())).to_vec();
    rsx! { ParameterFilter { label: "State", parameter: "state", options } }
}

#[component]
fn BackupRow(live: Live, backup: Backup, asked: Asked) -> Element {
    let is_open = address::use_parameter("backup").as_ref() == Some(&backup.id);
    rsx! {
        tr { "aria-selected": is_open.to_string(),
            td { class: "name", BackupLink { backup: backup.clone() } }
            td { class: "num", title: text::exact(backup.created_at), {text::short_date_and_time(backup.created_at)} }
            td { class: "num", title: objects_in_words(&backup),
                {text::bytes(backup.size_bytes)}
                if let Some(count) = backup.object_count {
                    span { class: "muted",
                        " + "
                        {text::count(count, "object", "objects")}
                    }
                }
            }
            td { class: "num", {backup.row_count.map_or_else(|| "–".to_owned(), text::number)} }
            td { BackupBadge { live, backup: backup.clone() } }
            td { class: "muted hide-800", {kept_because(&backup, live.retention_of(&backup.target))} }
            td { class: "num muted hide-1060", title: backup.goes_at.map(text::exact), {goes(&backup)} }
            td { class: "acts", BackupMenu { live, backup: backup.clone(), asked } }
        }
    }
}

#[component]
fn BackupCard(live: Live, backup: Backup, asked: Asked) -> Element {
    let kept = kept_because(&backup, live.retention_of(&backup.target));
    let rows = backup.row_count.map(|rows| format!(" · {}", text::count(rows, "row", "rows"))).unwrap_or_default();
    let objects = objects_in_words(&backup).map(|objects| format!(" · {objects}")).unwrap_or_default();
    rsx! {
        li { class: "card",
            h3 {
                span { class: "grow", BackupLink { backup: backup.clone() } }
                BackupMenu { live, backup: backup.clone(), asked }
            }
            p { "{text::short_date_and_time(backup.created_at)} · {text::bytes(backup.size_bytes)}{rows}{objects}" }
            p { BackupBadge { live, backup: backup.clone() } " · {kept}" }
        }
    }
}

/// The link that opens the sheet of a backup.
#[component]
fn BackupLink(backup: Backup) -> Element {
    let id = backup.id.clone();
    rsx! {
        a {
            href: "/backups?backup={id}",
            onclick: move |event: MouseEvent| {
                if event.modifiers().is_empty() {
                    event.prevent_default();
                    address::push_parameter("backup", Some(&id));
                }
            },
            {name_of(&backup)}
        }
    }
}

/// The state of a backup, or "Being verified".
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
fn BackupMenu(live: Live, backup: Backup, asked: Asked) -> Element {
    let Asked { mut deleting, mut restoring, mut verifying } = asked;
    let exists = backup.state != BackupState::Missing;
    // The platform's database is restored on the command line, while no server runs.
    let can_restore = exists && backup.target != "platform";
    let (to_verify, to_download) = (backup.clone(), backup.clone());
    let (to_restore, to_delete) = (backup.clone(), backup.clone());
    rsx! {
        Menu {
            name: "Actions for {name_of(&backup)}, {text::short_date_and_time(backup.created_at)}",
            icon: IconName::Dots,
            class: "btn-s",
            if exists {
                MenuItem { icon: Some(IconName::Download), onselect: move |()| download(&to_download), "Download" }
                MenuItem {
                    icon: Some(IconName::Refresh),
                    acts: true,
                    onselect: move |()| {
                        if to_verify.encrypted {
                            verifying.set(Some(to_verify.clone()));
                        } else {
                            verify(live, &to_verify);
                        }
                    },
                    "Verify"
                }
                if can_restore {
                    MenuItem {
                        icon: Some(IconName::Database),
                        onselect: move |()| restoring.set(Some(to_restore.clone())),
                        "Restore…"
                    }
                }
                hr {}
            }
            MenuItem {
                icon: Some(IconName::Trash),
                danger: true,
                onselect: move |()| deleting.set(Some(to_delete.clone())),
                "Delete backup"
            }
        }
    }
}

/// The message that no backup exists. It contains the buttons that create the first one, unless the page is about one
/// database: that page contains the buttons elsewhere.
#[component]
fn NoBackups(live: Live, is_fixed: bool) -> Element {
    rsx! {
        Empty {
            title: "No backups yet",
            text: "A backup is a copy of a database in the object store. It can be verified, downloaded and restored.",
            help: "backups",
            if !is_fixed {
                WithObjects { live }
                BackUp {
                    live,
                    target: "all",
                    name: "everything",
                    label: "Back up everything now",
                    class: "btn-primary",
                    creates: true,
                }
                ScheduleButton { target: "all", name: "everything", class: "" }
            }
        }
    }
}
