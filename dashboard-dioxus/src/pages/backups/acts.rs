//! The buttons and dialogs that create, verify, download and delete backups.

use api_types::{Backup, BackupDownload, BackupState, CreateBackup, Page as ApiPage, RunStarted};
use dioxus::prelude::*;

use super::{
    Live,
    words::{name_of, target_name},
};
use crate::{
    address, dom,
    pages::run_message::{self, Work},
    remote::{self, Failure, Method, RemoteState, use_remote},
    run_progress, text,
    ui::{Confirm, Icon, IconName, Link, Mark, Shape, messages},
};

/// The button that backs up a database, or all databases. While [`Live::run_of`] returns a run that creates its backup,
/// a link to this run is shown instead of the button.
#[component]
pub(super) fn BackUp(
    live: Live,
    /// `all`, `platform` or `project:<id>`.
    target: String,
    /// Name of the database in messages and in the button's accessible name.
    name: String,
    /// Text of the button.
    label: String,
    #[props(default)] class: &'static str,
    /// Whether the button is in a row of a table.
    #[props(default)]
    is_small: bool,
    /// Whether the keyboard shortcut for a new item clicks this button.
    #[props(default)]
    creates: bool,
) -> Element {
    let mut busy = use_signal(|| false);
    if let Some(run) = live.run_of(&target) {
        let share = run.progress.as_ref().and_then(run_progress::percent);
        let share = share.map(|share| format!(", {share} %")).unwrap_or_default();
        return rsx! {
            Link { to: "/runs/{run.id}", class: "badge tab-nums",
                Mark { shape: Shape::Running }
                "Running{share}"
            }
        };
    }
    let full = format!("Back up {name} now");
    // The retention rules of the job count all backups of the database, including those that the owner starts.
    let has_rules = live.retention_of(&target).is_some();
    let removes =
        "Removes no backup now. The next run of the backup job applies its retention rules to the new backup, too.";
    rsx! {
        button {
            class: if is_small { "btn btn-ghost btn-s" } else { "btn {class}" },
            r#type: "button",
            "aria-label": (label != full).then_some(full),
            title: has_rules.then_some(removes),
            "data-create": if creates { "true" },
            "data-act": "true",
            "aria-disabled": busy(),
            onclick: move |_| {
                let (target, name) = (target.clone(), name.clone());
                spawn(async move {
                    busy.set(true);
                    let objects = target != "platform" && *live.with_objects.peek();
                    let request = CreateBackup { target: target.clone(), objects };
                    let started = remote::send::<_, RunStarted>(Method::Post, "/backups", &request).await;
                    report(live, &target, started, Work::backup(&name));
                    busy.set(false);
                });
            },
            if !is_small {
                Icon { name: IconName::Archive }
            }
            "{label}"
        }
    }
}

/// The checkbox beside the buttons that back up projects.
#[component]
pub(super) fn WithObjects(live: Live) -> Element {
    let mut with_objects = live.with_objects;
    rsx! {
        label {
            class: "check",
            title: "Also backs up the objects in the buckets of projects. Contents that an earlier backup has are not \
                    copied again.",
            input {
                class: "box",
                r#type: "checkbox",
                checked: with_objects(),
                onchange: move |event| with_objects.set(event.checked()),
            }
            "Include objects"
        }
    }
}

/// Shows what a run does and how it ends, or why it was not started.
pub(super) fn report(live: Live, subject: &str, started: Result<RunStarted, Failure>, work: Work) {
    match started {
        Ok(started) => {
            live.record_started(subject, &started.run_id);
            run_message::follow(started.run_id, work);
        }
        Err(failure) => messages::show_failure(failure.message()),
    }
    remote::forget("/runs");
}

/// Starts the verification of a backup that is not encrypted.
pub(super) fn verify(live: Live, backup: &Backup) {
    let (id, name) = (backup.id.clone(), name_of(backup));
    spawn(async move {
        let path = format!("/backups/{id}/verify");
        let started = remote::send::<_, RunStarted>(Method::Post, &path, &serde_json::json!({})).await;
        report(live, &id, started, Work::verification(&name));
    });
}

/// Downloads the dump of a backup.
pub(super) fn download(backup: &Backup) {
    let path = format!("/backups/{}/download", backup.id);
    spawn(async move {
        match remote::send::<_, BackupDownload>(Method::Post, &path, &serde_json::json!({})).await {
            Ok(signed) => dom::download(&signed.download_url),
            Err(failure) => messages::show_failure(failure.message()),
        }
    });
}

/// The dialog "Delete backup", shown while `backup` is set. It first counts the other good backups of the database.
#[component]
pub(super) fn DeleteBackup(backup: Signal<Option<Backup>>) -> Element {
    let mut to_delete = backup;
    match backup() {
        Some(backup) => rsx! { DeleteDialog { backup, on_close: move |()| to_delete.set(None) } },
        None => rsx! {},
    }
}

#[component]
fn DeleteDialog(backup: Backup, on_close: EventHandler<()>) -> Element {
    let list = address::with_parameters("/backups", &[("target", Some(&backup.target)), ("limit", Some("200"))]);
    let others = use_remote::<ApiPage<Backup>>(use_signal(|| list).into()).state();
    let mut busy = use_signal(|| false);
    let mut failure = use_signal(|| None::<String>);
    let is_good = |backup: &Backup| matches!(backup.state, BackupState::Ready | BackupState::Verified);
    let mut has_more = false;
    let (good, uncounted) = match others {
        RemoteState::Loading => (None, None),
        RemoteState::Ready(page) => {
            has_more = page.next_cursor.is_some();
            (Some(page.items.iter().filter(|other| other.id != backup.id && is_good(other)).count()), None)
        }
        RemoteState::Failed(failure) => {
            (None, Some(format!("The other backups could not be counted. {}", failure.message())))
        }
    };
    let is_last = backup.only_good;
    let name = target_name(backup.title.as_deref(), &backup.target);
    let made = text::short_date_and_time(backup.created_at);
    let at_least = if has_more { "At least " } else { "" };
    let rest = match good {
        _ if is_last => format!(" It is the only good backup of {name}. Without it, {name} can't be restored."),
        None => String::new(),
        Some(0) if has_more => format!(" None of the other newest backups of {name} is good."),
        Some(0) => format!(" No good backup of {name} remains."),
        Some(1) => format!(" {at_least}1 good backup of {name} remains."),
        Some(count) => format!(" {at_least}{} good backups of {name} remain.", text::number(count as i64)),
    };
    let path = format!("/backups/{}", backup.id);
    rsx! {
        Confirm {
            act: "Delete backup",
            description: "The backup of {name} from {made} ({text::bytes(backup.size_bytes)}) will be permanently \
                          deleted.{rest}",
            typed: is_last.then(|| name.clone()),
            // Until the other backups are counted, the dialog can't describe the loss.
            busy: busy() || good.is_none(),
            closable: !busy(),
            failure: failure().or(uncounted),
            on_close: move |()| on_close.call(()),
            on_confirm: move |()| {
                let path = path.clone();
                spawn(async move {
                    busy.set(true);
                    match remote::delete(&path).await {
                        Ok(()) => {
                            messages::show("Backup deleted");
                            if address::parameter("backup").is_some() {
                                address::replace_parameter("backup", None);
                            }
                            remote::forget("/backups");
                            on_close.call(());
                        }
                        Err(refused) => failure.set(Some(refused.message())),
                    }
                    busy.set(false);
                });
            },
        }
    }
}
