//! The actions of a job in the list and on its page: run, enable and disable, delete.

use api_types::{Job, Page as ApiPage, Protection, RunStarted, UpdateJob};
use chrono::{DateTime, Utc};
use dioxus::prelude::*;

use crate::{
    address,
    remote::{self, Method, use_remote},
    text,
    ui::{Confirm, Icon, IconName, messages},
};

/// Starts a run of a job. Returns the run's id. If the run can't be started, shows why and returns `None`.
pub(super) async fn run_now(job: &str) -> Option<String> {
    let started =
        remote::send::<_, RunStarted>(Method::Post, &format!("/jobs/{job}/run"), &serde_json::json!({})).await;
    remote::forget("/jobs");
    remote::forget("/runs");
    match started {
        Ok(started) => Some(started.run_id),
        Err(failure) => {
            messages::show_failure(failure.message());
            None
        }
    }
}

/// The button that starts a run.
#[component]
pub(super) fn RunNow(job: Job, #[props(default)] with_label: bool) -> Element {
    let mut busy = use_signal(|| false);
    let name = format!("Run {} now", job.name);
    let class = if with_label { "btn" } else { "btn btn-ghost btn-s btn-icon" };
    rsx! {
        button {
            class,
            r#type: "button",
            "aria-label": "{name}",
            title: "{name}",
            "data-act": "true",
            "aria-disabled": busy(),
            onclick: move |_| {
                let id = job.id.clone();
                spawn(async move {
                    busy.set(true);
                    run_now(&id).await;
                    busy.set(false);
                });
            },
            Icon { name: IconName::Play }
            if with_label {
                "Run now"
            }
        }
    }
}

/// The switch of a job's schedule. It shows the new state at once, and the old one again if the server refuses. Once
/// the job is read again, it shows the state of the job, which another tab may have changed. Disabling a job that
/// creates backups needs a confirmation.
#[component]
pub(super) fn EnableSwitch(job: Job) -> Element {
    // The state that the owner has chosen, and the time of the change once the server has confirmed it.
    let mut wanted = use_signal(|| None::<(bool, Option<DateTime<Utc>>)>);
    // The number of choices, because the response to an earlier one must not replace the latest one.
    let mut choices = use_signal(|| 0_u32);
    let mut asks = use_signal(|| false);
    let confirmed_at = (*wanted.peek()).and_then(|(_, confirmed_at)| confirmed_at);
    if confirmed_at.is_some_and(|confirmed_at| job.updated_at >= confirmed_at) {
        wanted.set(None);
    }
    let (id, is_backup) = (job.id.clone(), is_backup(&job));
    let shown = wanted().map_or(job.enabled, |(enabled, _)| enabled);
    let set = use_callback(move |enabled: bool| {
        let path = format!("/jobs/{id}");
        wanted.set(Some((enabled, None)));
        choices += 1;
        let choice = *choices.peek();
        spawn(async move {
            let change = UpdateJob { enabled: Some(enabled), ..UpdateJob::default() };
            let saved = remote::send::<_, Job>(Method::Patch, &path, &change).await;
            let confirmed = saved.as_ref().ok().map(|job| (enabled, Some(job.updated_at)));
            if *choices.peek() == choice {
                wanted.set(confirmed);
            }
            if let Err(failure) = saved {
                messages::show_failure(failure.message());
            }
            remote::forget("/jobs");
            remote::forget("/backups/protection");
        });
    });
    rsx! {
        input {
            class: "switch",
            r#type: "checkbox",
            role: "switch",
            "aria-label": "Enable {job.name}",
            "data-act": "true",
            checked: shown,
            onclick: move |event| {
                if shown && is_backup {
                    event.prevent_default();
                    asks.set(true);
                }
            },
            onchange: move |event| set.call(event.checked()),
        }
        if asks() {
            DisableBackups {
                job: job.clone(),
                on_confirm: move |()| {
                    asks.set(false);
                    set.call(false);
                },
                on_close: move |()| asks.set(false),
            }
        }
    }
}

#[component]
fn DisableBackups(job: Job, on_confirm: EventHandler<()>, on_close: EventHandler<()>) -> Element {
    let backed_up = use_backed_up(&job.id);
    rsx! {
        Confirm {
            act: "Disable job",
            description: backed_up.unwrap_or_else(|| {
                "The schedule starts no more runs, and its queued runs are cancelled. You can still run the job."
                    .to_owned()
            }),
            busy: false,
            on_confirm: move |()| on_confirm.call(()),
            on_close: move |()| on_close.call(()),
        }
    }
}

/// The dialog "Delete job", while there is a job to delete.
#[component]
pub(super) fn DeleteJob(job: Signal<Option<Job>>, #[props(default)] leaves_page: bool) -> Element {
    let mut to_delete = job;
    match job() {
        Some(job) => {
            rsx! { DeleteDialog { job, leaves_page, on_close: move |()| to_delete.set(None) } }
        }
        None => rsx! {},
    }
}

#[component]
fn DeleteDialog(job: Job, leaves_page: bool, on_close: EventHandler<()>) -> Element {
    let path = format!("/jobs/{}", job.id);
    let counted = use_remote::<Job>(use_signal(|| path.clone()).into());
    let backed_up = use_backed_up(&job.id);
    let mut busy = use_signal(|| false);
    let mut failure = use_signal(|| None::<String>);
    let runs = counted.value().map_or(job.run_count, |job| job.run_count);
    let lost = match runs {
        0 => "It has never run.".to_owned(),
        1 => "Its 1 run and its log will be deleted too.".to_owned(),
        runs => format!("Its {} runs and their logs will be deleted too.", text::number(runs)),
    };
    rsx! {
        Confirm {
            act: "Delete job",
            description: "{job.name}: {lost} This can't be undone.",
            busy: busy(),
            closable: !busy(),
            failure: failure(),
            on_close: move |()| on_close.call(()),
            on_confirm: move |()| {
                let path = path.clone();
                spawn(async move {
                    busy.set(true);
                    match remote::delete(&path).await {
                        Ok(()) => {
                            messages::show("Job deleted");
                            if leaves_page {
                                address::go("/jobs");
                            }
                            remote::forget("/jobs");
                            remote::forget("/runs");
                            remote::forget("/backups/protection");
                            on_close.call(());
                        }
                        Err(refused) => failure.set(Some(refused.message())),
                    }
                    busy.set(false);
                });
            },
            if let Some(backed_up) = backed_up {
                p { "{backed_up}" }
            }
        }
    }
}

fn is_backup(job: &Job) -> bool {
    job.plugin.as_deref() == Some("backup") && job.plugin_job.as_deref() == Some("backup")
}

/// Returns a warning if a job creates the next backup of a database. `None` if it creates none, or if that is not known
/// yet.
fn use_backed_up(job: &str) -> Option<String> {
    let protection = use_remote::<ApiPage<Protection>>(use_signal(|| "/backups/protection".to_owned()).into());
    let targets: Vec<String> = protection
        .value()?
        .items
        .into_iter()
        .filter(|target| target.job.as_ref().is_some_and(|other| other.id == job))
        .map(|target| target.title.unwrap_or_else(|| "the platform".to_owned()))
        .collect();
    if targets.is_empty() {
        return None;
    }
    Some(format!(
        "This job makes the next backup of {}. Make sure that another job backs up the same databases.",
        text::list(&targets)
    ))
}
