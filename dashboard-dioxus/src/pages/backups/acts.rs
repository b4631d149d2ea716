use api_types::{Backup, BackupDownload, BackupState, CreateBackup, Page as ApiPage, RunStarted};
use dioxus::prelude::*;

use super::{
    Live,
    words::{name_of, target_name},
};
use crate::{
    address, dom,
    remote::{self, Failure, Method, use_remote},
    text,
    ui::{Confirm, Icon, IconName, Link, Mark, Shape, messages},
};

/// The button that backs up a database, or all. While a backup is made, the link to its run.
#[component]
pub(super) fn BackUp(
    live: Live,
    /// `all`, `platform` or `project:<id>`.
    target: String,
    /// Name for the message.
    name: String,
    /// Text of the button. Without it, the button is short and named in full.
    #[props(default)]
    label: String,
    #[props(default)] class: String,
) -> Element {
    let mut busy = use_signal(|| false);
    if let Some(run) = live.run_of(&target) {
        let share = run.progress.as_ref().and_then(|progress| {
            let total = progress.total.filter(|total| *total > 0)?;
            Some(format!(", {:.0} %", (progress.done as f64 / total as f64 * 100.0).min(100.0)))
        });
        let share = share.unwrap_or_default();
        return rsx! {
            Link { to: "/runs/{run.id}", class: "badge tab-nums",
                Mark { shape: Shape::Running }
                "Running{share}"
            }
        };
    }
    let is_short = label.is_empty();
    let full = format!("Back up {name} now");
    let class = if is_short { format!("btn btn-ghost btn-s {class}") } else { format!("btn {class}") };
    rsx! {
        button {
            class,
            r#type: "button",
            "aria-label": is_short.then_some(full),
            disabled: busy(),
            onclick: move |_| {
                let (target, name) = (target.clone(), name.clone());
                spawn(async move {
                    busy.set(true);
                    let request = CreateBackup { target: target.clone() };
                    let started = remote::send::<_, RunStarted>(Method::Post, "/backups", &request).await;
                    report(live, &target, started, &format!("Backing up {name}"));
                    busy.set(false);
                });
            },
            if is_short {
                "Back up"
            } else {
                Icon { name: IconName::Archive }
                "{label}"
            }
        }
    }
}

fn report(live: Live, subject: &str, started: Result<RunStarted, Failure>, message: &str) {
    match started {
        Ok(started) => {
            live.note_started(subject, &started.run_id);
            messages::show(message);
        }
        Err(failure) => messages::show_failure(failure.message()),
    }
    remote::forget("/runs");
}

/// Starts the verification of a backup.
pub(super) fn verify(live: Live, backup: &Backup) {
    let (id, name) = (backup.id.clone(), name_of(backup));
    spawn(async move {
        let path = format!("/backups/{id}/verify");
        let started = remote::send::<_, RunStarted>(Method::Post, &path, &serde_json::json!({})).await;
        report(live, &id, started, &format!("Verifying a backup of {name}"));
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

/// The dialog "Delete backup", while there is a backup to delete. It counts the others first.
#[component]
pub(super) fn DeleteBackup(backup: Signal<Option<Backup>>) -> Element {
    let mut to_delete = backup;
    match backup() {
        Some(backup) => rsx! { DeleteDialog { key: "{backup.id}", backup, on_close: move |()| to_delete.set(None) } },
        None => rsx! {},
    }
}

#[component]
fn DeleteDialog(backup: Backup, on_close: EventHandler<()>) -> Element {
    let list = address::with_parameters("/backups", &[("target", Some(&backup.target)), ("limit", Some("200"))]);
    let others = use_remote::<ApiPage<Backup>>(use_signal(|| list).into()).value();
    let mut busy = use_signal(|| false);
    let mut failure = use_signal(|| None::<String>);
    let is_good = |backup: &Backup| matches!(backup.state, BackupState::Ready | BackupState::Verified);
    let good =
        others.as_ref().map(|page| page.items.iter().filter(|other| other.id != backup.id && is_good(other)).count());
    let is_last = is_good(&backup) && good == Some(0);
    let name = target_name(backup.title.as_deref(), &backup.target);
    let made = text::short_date_and_time(backup.created_at);
    let rest = match good {
        None => String::new(),
        Some(0) if is_last => format!(" It is the only good backup of {name}."),
        Some(0) => format!(" No good backup of {name} is left."),
        Some(count) => format!(" {} of {name} stay.", text::count(count as i64, "good backup", "good backups")),
    };
    let path = format!("/backups/{}", backup.id);
    rsx! {
        Confirm {
            act: "Delete backup",
            description: "The backup of {name} of {made} ({text::bytes(backup.size_bytes)}) goes for good.{rest}",
            typed: is_last.then(|| name.clone()),
            // Until the others are counted, the dialog can't say what is lost.
            busy: busy() || good.is_none(),
            failure: failure(),
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
