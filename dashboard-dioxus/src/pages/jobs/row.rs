//! A job in the list: a row of the table, or a card on a phone. `project` is the name of its project, if it is shown.

use api_types::Job;
use dioxus::prelude::*;

use super::{
    super::recent_runs::{result_in_words, run_shape, run_state_in_words, took},
    acts::{EnableSwitch, RunNow},
    strip::Strip,
    words::{self, use_schedule_words},
};
use crate::{
    address, text,
    ui::{CodeText, IconName, Link, Mark, Menu, MenuItem, Shape},
};

#[component]
pub(super) fn JobRow(job: Job, deleting: Signal<Option<Job>>, project: Option<String>) -> Element {
    let now = text::now();
    let schedule = use_schedule_words(&job.schedule_cron);
    let work = words::work_in_words(&job);
    let zone = words::other_zone(&job);
    rsx! {
        tr { class: if job.enabled { "" } else { "is-off" },
            td { EnableSwitch { job: job.clone() } }
            td { class: "c-name",
                Link { to: "/jobs/{job.id}", class: "name cut", title: job.name.clone(), "{job.name}" }
                if let Some(project) = project {
                    span { class: "sub cut", "{project}" }
                }
            }
            td { class: "muted cut hide-1240", title: "{work}", "{work}" }
            td { class: "hide-800 cut", title: "{job.schedule_cron} in {job.timezone}",
                "{schedule}"
                span { class: "muted", "{zone}" }
            }
            td { LastRun { job: job.clone() } }
            td {
                class: "hide-1060", Strip { name: job.name.clone(), runs: job.recent_runs.clone().unwrap_or_default() }
            }
            td { class: "num", title: words::next_run_exact(&job), {words::next_run(&job, now)} }
            td { class: "acts",
                span { class: "row row-1",
                    RunNow { job: job.clone() }
                    JobMenu { job: job.clone(), deleting }
                }
            }
        }
    }
}

#[component]
pub(super) fn JobCard(job: Job, deleting: Signal<Option<Job>>, project: Option<String>) -> Element {
    let schedule = use_schedule_words(&job.schedule_cron);
    let zone = words::other_zone(&job);
    let next =
        job.next_runs.first().map(|next| format!(" · {}", text::upcoming(*next, text::now()))).unwrap_or_default();
    rsx! {
        li { class: "card",
            h3 {
                Link { to: "/jobs/{job.id}", class: "cut grow", "{job.name}" }
                EnableSwitch { job: job.clone() }
                JobMenu { job: job.clone(), deleting }
            }
            LastRun { job: job.clone() }
            p {
                if let Some(project) = project {
                    "{project} · "
                }
                "{schedule}{zone}{next}"
            }
            div { class: "row",
                span { class: "grow strip-cut",
                    Strip { name: job.name.clone(), runs: job.recent_runs.clone().unwrap_or_default() }
                }
                RunNow { job: job.clone(), with_label: true }
            }
        }
    }
}

/// State, age, duration and result of the last run, or the reason why the job can't run.
#[component]
fn LastRun(job: Job) -> Element {
    let now = text::now();
    if let Some(problem) = &job.problem {
        return rsx! {
            span { class: "two-lines",
                span { class: "row",
                    span { class: "badge", Mark { shape: Shape::Attention } "Can't run" }
                    Link {
                        to: address::with_parameters(&format!("/jobs/{}", job.id), &[("tab", Some("settings"))]),
                        class: "btn btn-ghost btn-s", "Edit job"
                    }
                }
                span { class: "sub cut", title: "{problem}", CodeText { text: problem.clone() } }
            }
        };
    }
    let Some(run) = &job.last_run else {
        let (shape, words) =
            if job.enabled { (Shape::Queued, "Has not run yet") } else { (Shape::Skipped, "Disabled") };
        return rsx! { span { class: "badge", Mark { shape } "{words}" } };
    };
    let reason = result_in_words(run);
    let at = run.started_at.unwrap_or(run.created_at);
    let times = job.failing.as_ref().filter(|failing| failing.count > 1);
    let times = times.map(|failing| format!(" ({} times since {})", failing.count, text::moment(failing.since, now)));
    let times = times.unwrap_or_default();
    rsx! {
        span { class: "two-lines",
            span { class: "row",
                Link { to: "/runs/{run.id}", class: "badge",
                    Mark { shape: run_shape(run.status) }
                    "{run_state_in_words(run.status)}"
                }
                span { class: "muted cut", title: text::exact(at), "{text::age(at, now)} · {took(run)}" }
                if !job.enabled {
                    span { class: "tag", "disabled" }
                }
            }
            if !reason.is_empty() {
                span { class: "sub cut", title: "{reason}{times}", "{reason}{times}" }
            }
        }
    }
}

#[component]
pub(super) fn JobMenu(job: Job, deleting: Signal<Option<Job>>) -> Element {
    let mut deleting = deleting;
    let (to_edit, to_delete) = (job.id.clone(), job.clone());
    let runs = job.id.clone();
    rsx! {
        Menu { name: "Actions for {job.name}", icon: IconName::Dots, class: "btn-s",
            MenuItem {
                icon: Some(IconName::Settings),
                onselect: move |()| address::go(&format!("/jobs/{to_edit}?tab=settings")),
                "Edit job"
            }
            MenuItem {
                icon: Some(IconName::List),
                onselect: move |()| address::go(&address::with_parameters("/runs", &[("job", Some(&runs))])),
                "Show runs"
            }
            hr {}
            MenuItem {
                icon: Some(IconName::Trash),
                danger: true,
                onselect: move |()| deleting.set(Some(to_delete.clone())),
                "Delete job"
            }
        }
    }
}
