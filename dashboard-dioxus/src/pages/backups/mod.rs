//! Backups: `/backups`, and `/projects/<id>/database` with the tools for one project's database.
//!
//! [`protection`] shows for each database whether it has a recent backup. [`list`] shows all backups, and [`sheet`]
//! shows one backup with its manifest. [`acts`] contains the buttons and dialogs that create, verify, download and
//! delete backups. [`verify_encrypted`] is the dialog that asks for an identity. [`words`] contains the names of
//! databases, states and rules. [`tools`] is the page of one database: its backups, restores, imports and exports.

mod acts;
mod list;
mod protection;
mod sheet;
mod tools;
mod verify_encrypted;
mod words;

use api_types::{BackupRetention, Overview, Page as ApiPage, Protection, Run, RunStatus};
use chrono::{DateTime, Utc};
use dioxus::prelude::*;

use super::attention::is_of_unheard_backups;
use crate::{
    address,
    frame::page::Page,
    remote::{self, events, use_remote},
    text,
    ui::{ErrorBox, Icon, IconName, Link, LoadingTable, Mark, Shape},
};
use acts::{BackUp, WithObjects};
use list::BackupList;
use protection::ProtectionTable;
pub(in crate::pages) use protection::schedule_address;
use sheet::BackupSheet;
pub use tools::DatabaseTools;

/// State that the parts of a page share: how well databases are protected, and which backups and verifications run.
#[derive(Clone, Copy, PartialEq)]
struct Live {
    protection: remote::Remote<ApiPage<Protection>>,
    /// Runs of the plugin `backup` that have not ended.
    running: Signal<Vec<Run>>,
    /// Runs that were started on this page: the target or the backup's id, with the run's id.
    started: Signal<Vec<(String, String)>>,
    /// Whether the list is empty. The button for a new backup is then in the list instead of in the head of the page.
    is_empty: Signal<bool>,
    /// Whether new backups of projects contain the objects of their buckets.
    with_objects: Signal<bool>,
}

impl Live {
    /// Returns the retention policy of a database.
    fn retention_of(self, target: &str) -> Option<BackupRetention> {
        let items = self.protection.value().map(|page| page.items).unwrap_or_default();
        items.iter().find(|item| item.target == target).and_then(|item| item.retention)
    }

    /// Returns the active run that backs up a target or verifies a backup, if it was started on this page. Also returns
    /// other active backups of a project, except those of jobs.
    fn run_of(self, subject: &str) -> Option<Run> {
        let running = self.running.read();
        let started = self.started.read();
        let is_of = |run: &&Run| {
            let was_started = started.iter().any(|(other, id)| other == subject && *id == run.id);
            let project = run.project_id.as_ref().map(|id| format!("project:{id}"));
            was_started || (run.job_id.is_none() && run.plugin_job == "backup" && project.as_deref() == Some(subject))
        };
        running.iter().find(is_of).cloned()
    }

    fn record_started(self, subject: &str, run: &str) {
        let mut started = self.started;
        started.with_mut(|started| started.push((subject.to_owned(), run.to_owned())));
    }
}

fn use_live() -> Live {
    let protection = use_remote::<ApiPage<Protection>>(use_signal(|| "/backups/protection".to_owned()).into());
    let runs = use_remote::<ApiPage<Run>>(use_signal(|| "/runs?plugin=backup&active=true&limit=50".to_owned()).into());
    let mut running = use_signal(Vec::<Run>::new);
    let now: Vec<Run> = runs.value().map(|page| page.items).unwrap_or_default();
    let now: Vec<Run> =
        now.into_iter().filter(|run| matches!(run.status, RunStatus::Queued | RunStatus::Running)).collect();
    if *running.peek() != now {
        // A run that has ended may have created or verified a backup.
        let has_ended = running.peek().iter().any(|run| !now.iter().any(|other| other.id == run.id));
        running.set(now);
        if has_ended {
            spawn(async {
                remote::forget("/backups");
                remote::forget("/overview");
            });
        }
    }
    events::use_polling(&["/runs"], !running.read().is_empty());
    Live {
        protection,
        running,
        started: use_signal(Vec::new),
        is_empty: use_signal(|| false),
        with_objects: use_signal(|| false),
    }
}

/// The backups of all databases.
#[component]
pub fn Backups() -> Element {
    let live = use_live();
    let items = live.protection.value().map(|page| page.items).unwrap_or_default();
    let target = address::use_parameter("target");
    let is_empty = live.is_empty;
    rsx! {
        Page {
            title: "Backups",
            class: "backup-page",
            subtitle: kept_in_words(&items),
            acts: rsx! {
                if !is_empty() {
                    WithObjects { live }
                    BackUp { live, target: "all", name: "everything", label: "Back up everything now", creates: true }
                }
            },
            UnreportedFailures {}
            div { class: "bleed-head first",
                h2 { "Protection" }
                span { class: "label muted", {problems_in_words(&items, text::now())} }
            }
            ProtectionPart { live }
            div { class: "bleed-head", h2 { "Backups" } }
            BackupList { live, target }
            BackupSheet { live }
        }
    }
}

#[component]
fn ProtectionPart(live: Live, #[props(default)] target: Option<String>) -> Element {
    let mut protection = live.protection;
    match protection.state() {
        remote::RemoteState::Loading => rsx! { LoadingTable { name: "Protection", columns: 7 } },
        remote::RemoteState::Failed(failure) => rsx! {
            ErrorBox {
                what: "The state of the backups could not be loaded.",
                failure,
                on_retry: move |()| protection.refresh(),
            }
        },
        remote::RemoteState::Ready(page) => {
            let items =
                page.items.into_iter().filter(|item| target.as_ref().is_none_or(|target| item.target == *target));
            rsx! { ProtectionTable { live, items: items.collect::<Vec<_>>(), is_single: target.is_some() } }
        }
    }
}

/// A note shown if no notification channel reports failed backups.
#[component]
fn UnreportedFailures() -> Element {
    let overview = use_remote::<Overview>(use_signal(|| "/overview".to_owned()).into());
    let attention = overview.value().map(|overview| overview.attention).unwrap_or_default();
    if !attention.iter().any(is_of_unheard_backups) {
        return rsx! {};
    }
    rsx! {
        div { class: "section notice",
            div { class: "banner t-warning", role: "note",
                Mark { shape: Shape::Attention }
                p { "Failed backups are reported to nobody." }
                Link { to: "/notifications", class: "btn btn-s",
                    Icon { name: IconName::Settings }
                    "Notifications"
                }
            }
        }
    }
}

/// Returns the number and the size of all backups, for example `46 backups, 34.2 GB`.
fn kept_in_words(items: &[Protection]) -> String {
    let count: i64 = items.iter().map(|item| item.kept_count).sum();
    let bytes: i64 = items.iter().map(|item| item.kept_bytes).sum();
    if count == 0 {
        String::new()
    } else {
        format!("{}, {}", text::count(count, "backup", "backups"), text::bytes(bytes))
    }
}

/// Returns a summary of the problems, for example `1 overdue, 2 without a good backup`.
fn problems_in_words(items: &[Protection], now: DateTime<Utc>) -> String {
    let count = |is_counted: &dyn Fn(&Protection) -> bool| items.iter().filter(|item| is_counted(item)).count();
    let parts = [
        (count(&|item| words::is_late(item, now)), "overdue"),
        (count(&|item| item.last_good.is_none()), "without a good backup"),
        (count(&|item| words::is_unverified(item, now)), "not verified"),
        (count(&|item| item.job.is_none()), "not scheduled"),
    ];
    let parts: Vec<String> =
        parts.iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}")).collect();
    parts.join(", ")
}
