//! Deletes objects: a single object with one request, and several objects in a run with progress. Counts the objects of
//! a folder first.

use api_types::{DeleteObjects, DeletedObjects, ObjectCount, Run, RunStarted, RunStatus};
use dioxus::prelude::*;

use super::{bucket_forms::counted, paths, words::name_of};
use crate::{
    address,
    remote::{self, Failure, Method, RemoteState, use_remote, use_remote_every},
    text,
    ui::{Confirm, Link, messages},
};

/// Maximum number of keys in one run.
const MAX_KEYS: usize = 1_000;
/// Interval at which the progress of a run is read.
const INTERVAL_MS: u32 = 1_000;

/// The objects to delete.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Deleting {
    Object { path: String, size: i64 },
    Objects(Vec<String>),
    Folder(String),
}

/// A run that deletes objects of a bucket.
#[derive(Debug, Clone, PartialEq)]
struct Started {
    run: String,
    project: String,
    bucket: String,
    what: String,
}

/// The runs whose end the dashboard has not seen. They continue while other pages are open.
static STARTED: GlobalSignal<Vec<Started>> = Signal::global(Vec::new);

/// The dialog that asks for confirmation before objects are deleted.
#[component]
pub(super) fn DeleteDialog(
    project: String,
    bucket: String,
    deleting: Deleting,
    on_done: EventHandler<()>,
    on_close: EventHandler<()>,
) -> Element {
    match deleting {
        Deleting::Object { path, size } => rsx! { DeleteOne { project, bucket, path, size, on_done, on_close } },
        Deleting::Objects(keys) => rsx! { DeleteMany { project, bucket, keys, on_done, on_close } },
        Deleting::Folder(folder) => rsx! { DeleteFolder { project, bucket, folder, on_done, on_close } },
    }
}

#[component]
fn DeleteOne(
    project: String,
    bucket: String,
    path: String,
    size: i64,
    on_done: EventHandler<()>,
    on_close: EventHandler<()>,
) -> Element {
    let mut failure = use_signal(|| None::<String>);
    let mut busy = use_signal(|| false);
    let name = name_of(&path).to_owned();
    rsx! {
        Confirm {
            act: "Delete object",
            description: "{name} ({text::bytes(size)}) will be deleted from {bucket}. This can't be undone.",
            busy: busy(),
            closable: !busy(),
            failure: failure(),
            on_confirm: move |()| {
                let key = format!("{bucket}/{path}");
                let list = format!("{}/objects", paths::bucket(&project, &bucket));
                let request = address::with_parameters(&list, &[("objectKey", Some(&key))]);
                let changed = paths::buckets(&project);
                spawn(async move {
                    busy.set(true);
                    match remote::delete(&request).await {
                        Ok(()) => {
                            remote::forget(&changed);
                            messages::show("Object deleted");
                            on_done.call(());
                        }
                        Err(refused) => failure.set(Some(refused.message())),
                    }
                    busy.set(false);
                });
            },
            on_close: move |()| on_close.call(()),
        }
    }
}

#[component]
fn DeleteMany(
    project: String,
    bucket: String,
    keys: Vec<String>,
    on_done: EventHandler<()>,
    on_close: EventHandler<()>,
) -> Element {
    let mut failure = use_signal(|| None::<String>);
    let mut busy = use_signal(|| false);
    let what = text::count(keys.len() as i64, "object", "objects");
    let names: Vec<String> = keys.iter().take(5).map(|key| name_of(key).to_owned()).collect();
    let more = keys.len().saturating_sub(names.len());
    let they = if keys.len() == 1 { "It" } else { "They" };
    rsx! {
        Confirm {
            act: "Delete {what}",
            description: "{they} will be deleted from {bucket}. This can't be undone.",
            busy: busy(),
            closable: !busy(),
            failure: failure(),
            on_confirm: move |()| {
                let (project, bucket) = (project.clone(), bucket.clone());
                let portions: Vec<Vec<String>> = keys.chunks(MAX_KEYS).map(<[String]>::to_vec).collect();
                spawn(async move {
                    busy.set(true);
                    let mut result = Ok(());
                    let count = portions.len();
                    for (index, keys) in portions.into_iter().enumerate() {
                        let what = portion(keys.len(), index, count);
                        let request = DeleteObjects { keys: Some(keys), prefix: None };
                        result = start(&project, &bucket, &what, &request).await;
                        if result.is_err() {
                            break;
                        }
                    }
                    match result {
                        Ok(()) => on_done.call(()),
                        Err(refused) => failure.set(Some(refused.message())),
                    }
                    busy.set(false);
                });
            },
            on_close: move |()| on_close.call(()),
            ul { class: "mono label names",
                for name in names {
                    li { key: "{name}", class: "cut", "{name}" }
                }
                if more > 0 {
                    li { class: "muted", "and {text::number(more as i64)} more" }
                }
            }
        }
    }
}

/// Describes the objects that one of several runs deletes: `1 000 objects (1 of 3)`.
fn portion(objects: usize, index: usize, count: usize) -> String {
    let objects = text::count(objects as i64, "object", "objects");
    if count == 1 { objects } else { format!("{objects} ({} of {count})", index + 1) }
}

#[component]
fn DeleteFolder(
    project: String,
    bucket: String,
    folder: String,
    on_done: EventHandler<()>,
    on_close: EventHandler<()>,
) -> Element {
    let mut failure = use_signal(|| None::<String>);
    let mut busy = use_signal(|| false);
    let count_path = paths::count(&project, &bucket, &folder);
    // The count of an earlier dialog may be outdated.
    use_hook(|| remote::forget(&count_path));
    let mut count = use_remote::<ObjectCount>(use_signal(|| count_path.clone()).into());
    let name = name_of(&folder).to_owned();
    let lost = match count.state() {
        RemoteState::Loading => "Counting objects…".to_owned(),
        RemoteState::Ready(count) => {
            let counted = counted(count.object_count, count.object_bytes, count.complete);
            format!("{counted} in {bucket}/{folder} will be deleted. This can't be undone.")
        }
        RemoteState::Failed(failure) => format!("The objects could not be counted. {}", failure.message()),
    };
    let is_counted = matches!(count.state(), RemoteState::Ready(_));
    let is_failed = matches!(count.state(), RemoteState::Failed(_));
    let what = format!("folder {name}");
    rsx! {
        Confirm {
            act: "Delete folder",
            description: "{lost}",
            typed: name,
            busy: busy() || !is_counted,
            closable: !busy(),
            failure: failure(),
            on_confirm: move |()| {
                let (project, bucket, what) = (project.clone(), bucket.clone(), what.clone());
                let request = DeleteObjects { keys: None, prefix: Some(folder.clone()) };
                spawn(async move {
                    busy.set(true);
                    match start(&project, &bucket, &what, &request).await {
                        Ok(()) => on_done.call(()),
                        Err(refused) => failure.set(Some(refused.message())),
                    }
                    busy.set(false);
                });
            },
            on_close: move |()| on_close.call(()),
            if is_failed {
                div { class: "row",
                    button { class: "btn btn-s", r#type: "button", onclick: move |_| count.refresh(), "Try again" }
                }
            }
        }
    }
}

/// Starts a run that deletes objects.
async fn start(project: &str, bucket: &str, what: &str, request: &DeleteObjects) -> Result<(), Failure> {
    let path = format!("{}/objects/delete", paths::bucket(project, bucket));
    let started: RunStarted = remote::send(Method::Post, &path, request).await?;
    remote::forget("/runs");
    STARTED.write().push(Started {
        run: started.run_id,
        project: project.to_owned(),
        bucket: bucket.to_owned(),
        what: what.to_owned(),
    });
    Ok(())
}

/// The deletions of a bucket that are in progress.
#[component]
pub(super) fn Deletions(project: ReadSignal<String>, bucket: ReadSignal<String>) -> Element {
    let started = STARTED.read();
    let shown = started.iter().filter(|started| started.project == *project.read() && started.bucket == *bucket.read());
    rsx! {
        for started in shown.cloned() {
            Deletion { key: "{started.run}", started }
        }
    }
}

/// Removes a deletion whose run has ended.
fn remove(ended: &Started) {
    STARTED.write().retain(|other| other.run != ended.run);
    remote::forget(&paths::buckets(&ended.project));
    remote::forget("/runs");
}

#[component]
fn Deletion(started: Started) -> Element {
    let path = format!("/runs/{}", started.run);
    let run = use_remote_every::<Run>(use_signal(|| path.clone()).into(), INTERVAL_MS);
    let id = started.run.clone();
    let ended = {
        let started = started.clone();
        move |run: Run| {
            let counted = run.result.and_then(|result| serde_json::from_value::<DeletedObjects>(result).ok());
            match (run.status, counted) {
                (RunStatus::Success, Some(counted)) => {
                    let count = i64::try_from(counted.deleted).unwrap_or(i64::MAX);
                    messages::show(format!("{} deleted", text::count(count, "object", "objects")));
                }
                (RunStatus::Success, None) => messages::show("Objects deleted"),
                (RunStatus::Cancelled, _) => {
                    messages::show("Deletion cancelled. Objects that were already deleted can't be restored.");
                }
                _ => {
                    let why = run.error_text.unwrap_or_else(|| "Open the run to see the reason.".to_owned());
                    messages::show_failure(format!("The deletion of {} did not finish. {why}", started.what));
                }
            }
            remove(&started);
        }
    };
    let lost = started.clone();
    use_effect(move || match run.state() {
        RemoteState::Ready(run) if !matches!(run.status, RunStatus::Queued | RunStatus::Running) => ended(run),
        RemoteState::Failed(failure) if failure.is_not_found() => {
            let reason = "because its run no longer exists";
            messages::show_failure(format!("It is not known how the deletion of {} ended, {reason}.", lost.what));
            remove(&lost);
        }
        _ => {}
    });
    let progress = run.value().and_then(|run| run.progress);
    let done = progress.as_ref().map_or(0, |progress| i64::try_from(progress.done).unwrap_or(i64::MAX));
    let total = progress.as_ref().and_then(|progress| progress.total).and_then(|total| i64::try_from(total).ok());
    let share = total.filter(|total| *total > 0).map(|total| (done.saturating_mul(100) / total).min(100));
    let words = match total {
        Some(total) => format!("{} of {}", text::number(done), text::number(total)),
        None if done > 0 => text::count(done, "object", "objects"),
        None => String::new(),
    };
    rsx! {
        div { class: "deletion",
            div { class: "row",
                span { class: "spin accent" }
                span { class: "grow cut", role: "status", "Deleting {started.what}" }
                span { class: "muted label tab-nums", "{words}" }
                Link { to: "/runs/{id}", class: "btn btn-ghost btn-s", "Open run" }
                button {
                    class: "btn btn-ghost btn-s",
                    r#type: "button",
                    "data-act": "true",
                    "aria-label": "Cancel deletion of {started.what}",
                    onclick: {
                        let id = id.clone();
                        move |_| {
                            let id = id.clone();
                            spawn(async move {
                                let path = format!("/runs/{id}/cancel");
                                let sent: Result<serde_json::Value, _> =
                                    remote::send(Method::Post, &path, &serde_json::json!({})).await;
                                if let Err(failure) = sent {
                                    messages::show_failure(failure.message());
                                }
                                remote::forget("/runs");
                            });
                        }
                    },
                    "Cancel"
                }
            }
            div {
                class: if share.is_some() { "bar" } else { "bar unknown" },
                role: "progressbar",
                "aria-label": "Deleting {started.what}",
                "aria-valuenow": share.map(|share| share.to_string()),
                style: share.map(|share| format!("--p:{share}%")),
                i {}
            }
        }
    }
}
