//! `/jobs/<id>`: one job.

use api_types::{Job as JobData, Overlap, Page as ApiPage, Run, RunStatus};
use dioxus::prelude::*;

use super::{
    acts::{DeleteJob, EnableSwitch, RunNow},
    form::{FiveTimes, JobForm},
    strip::Strip,
    words::{self, use_schedule_words},
};
use crate::{
    address,
    frame::page::Page,
    pages::runs::RunTable,
    remote::{PageBrief, ProjectBrief, RemoteState, events, use_remote},
    text,
    ui::{
        CodeText, Empty, ErrorBox, IconName, Link, LoadingTable, Mark, Menu, MenuItem, Shape, TabLink, TabLinks,
        narrow::use_is_narrow,
    },
};

/// Maximum number of listed runs.
const SHOWN_RUNS: usize = 50;

/// Minimum number of successful runs for the notice that runs take too long.
const MIN_RUNS: usize = 3;

#[component]
pub fn Job(id: ReadSignal<String>) -> Element {
    let mut job = use_remote::<JobData>(use_memo(move || format!("/jobs/{id}")).into());
    match job.state() {
        RemoteState::Loading => rsx! {
            Page { title: "Job", div { class: "section late", "aria-busy": "true", span { class: "sk" } } }
        },
        RemoteState::Failed(failure) if failure.is_not_found() => rsx! {
            Page { title: "Job",
                Empty {
                    title: "This job is gone", text: "It was deleted, or the address is wrong.",
                    Link { to: "/jobs", class: "btn", "All jobs" }
                }
            }
        },
        RemoteState::Failed(failure) => rsx! {
            Page {
                title: "Job",
                ErrorBox { what: "The job could not be loaded.", failure, on_retry: move |()| job.refresh() }
            }
        },
        // Dioxus compares keys only in lists, so this is a list of one element: another job must create a new
        // component.
        RemoteState::Ready(job) => rsx! {
            for job in [job] {
                JobPage { key: "{job.id}", job }
            }
        },
    }
}

#[component]
fn JobPage(job: JobData) -> Element {
    let on_settings = address::use_parameter("tab").as_deref() == Some("settings");
    let mut deleting = use_signal(|| None::<JobData>);
    let to_delete = job.clone();
    let work = match (&job.plugin, &job.plugin_job) {
        (Some(plugin), Some(name)) if plugin == name => format!("Plugin {plugin}"),
        _ => words::work_in_words(&job),
    };
    rsx! {
        Page {
            title: "{job.name}",
            subtitle: "{work}",
            class: "with-tabs",
            acts: rsx! {
                span {
                    class: "row enable", EnableSwitch { job: job.clone() }
                    span { "aria-hidden": "true", "Enabled" }
                }
                RunNow { job: job.clone(), with_label: true }
                Menu { name: "Actions for {job.name}", icon: IconName::Dots,
                    MenuItem {
                        icon: Some(IconName::Trash),
                        danger: true,
                        onselect: move |()| deleting.set(Some(to_delete.clone())),
                        "Delete job"
                    }
                }
            },
            TabLinks {
                name: "Job",
                page: "/jobs/{job.id}",
                tabs: vec![TabLink::new("runs", "Runs"), TabLink::new("settings", "Settings")],
                selected: if on_settings { "settings" } else { "runs" },
            }
            if on_settings {
                div { class: "job-settings", JobForm { job: job.clone() } }
            } else {
                JobRuns { job: job.clone() }
            }
            DeleteJob { job: deleting, leaves_page: true }
        }
    }
}

#[component]
fn JobRuns(job: JobData) -> Element {
    let path = format!("/jobs/{}/runs?limit={SHOWN_RUNS}", job.id);
    let mut runs = use_remote::<ApiPage<Run>>(use_signal(|| path).into());
    let items = runs.value().map(|page| page.items).unwrap_or_default();
    let is_active = items.iter().any(|run| matches!(run.status, RunStatus::Queued | RunStatus::Running));
    events::use_polling(&["/jobs"], is_active);
    let is_narrow = use_is_narrow();
    let notice = overrun(&job, &items);
    let recent = items.iter().take(30).map(recent_run).collect::<Vec<_>>();
    let strip_title = match recent.len() {
        1 => "Last run".to_owned(),
        count => format!("Last {count} runs"),
    };
    let content = match runs.state() {
        RemoteState::Loading => rsx! { LoadingTable { name: "Runs", columns: 6 } },
        RemoteState::Failed(failure) => rsx! {
            ErrorBox { what: "Runs could not be loaded.", failure, on_retry: move |()| runs.refresh() }
        },
        RemoteState::Ready(page) if page.items.is_empty() => rsx! {
            p { class: "section muted", "This job has not run yet." }
        },
        RemoteState::Ready(page) => rsx! {
            RunTable { runs: page.items, with_job: false }
            div { class: "foot",
                span { "{text::count(job.run_count, \"run\", \"runs\")} kept" }
                Link { to: address::with_parameters("/runs", &[("job", Some(&job.id))]), class: "push", "All runs" }
            }
        },
    };
    rsx! {
        div { class: "job-facts",
            Facts { job: job.clone() }
            if !recent.is_empty() {
                div { class: "strip-large",
                    span { class: "label muted", "aria-hidden": "true", "{strip_title}" }
                    Strip { name: job.name.clone(), runs: recent }
                }
            }
        }
        if let Some(problem) = &job.problem {
            Notice { title: "This job can't run", text: problem.clone(), is_bad: false }
        }
        if let Some(failing) = &job.failing {
            Notice {
                title: text::failed_times(failing.count, failing.since),
                text: failing.error_text.clone().unwrap_or_default(),
                is_bad: true,
            }
        }
        if let Some(notice) = notice {
            Notice { title: "Runs take longer than the schedule allows", text: notice, is_bad: false }
        }
        if !job.next_runs.is_empty() {
            details { class: "section times-fold", open: !is_narrow,
                summary { class: "label muted", "Next five times" }
                div {
                    class: "items next-times",
                    FiveTimes {
                        times: job.next_runs.clone(), timezone: job.timezone.clone(), has_title: false
                    }
                }
            }
        }
        div { class: "bleed-head", h2 { "Runs" } }
        {content}
    }
}

#[component]
fn Notice(title: String, text: String, is_bad: bool) -> Element {
    rsx! {
        div { class: "section notice",
            div { class: if is_bad { "banner t-bad" } else { "banner t-warning" }, role: "note",
                Mark { shape: if is_bad { Shape::Failed } else { Shape::Attention } }
                div {
                    strong { "{title}" }
                    if !text.is_empty() {
                        p { CodeText { text } }
                    }
                }
            }
        }
    }
}

/// The name of a job's project.
#[component]
fn ProjectOf(job: JobData) -> Element {
    let id = job.project_id.unwrap_or_default();
    let newest = use_remote::<PageBrief<ProjectBrief>>(use_signal(|| "/projects?limit=200".to_owned()).into()).value();
    let name_among = |page: Option<PageBrief<ProjectBrief>>| {
        page?.items.into_iter().find(|project| project.id == id).map(|project| project.name)
    };
    let has_more = newest.as_ref().is_some_and(|page| page.next_cursor.is_some());
    let name = name_among(newest);
    // One job does not need all projects.
    let path = if has_more && name.is_none() && !id.is_empty() {
        format!("/projects?limit=200&q={id}")
    } else {
        String::new()
    };
    let other = use_remote::<PageBrief<ProjectBrief>>(use_memo(use_reactive!(|path| path)).into()).value();
    if id.is_empty() {
        return rsx! { "Platform" };
    }
    let name = name.or_else(|| name_among(other)).unwrap_or_else(|| id.clone());
    rsx! { "{name}" }
}

#[component]
fn Facts(job: JobData) -> Element {
    let schedule = use_schedule_words(&job.schedule_cron);
    let now = text::now();
    rsx! {
        dl { class: "facts-inline",
            div { dt { "Project" } dd {
                match &job.project_id {
                    Some(id) => rsx! { Link { to: "/projects/{id}", class: "link", ProjectOf { job: job.clone() } } },
                    None => rsx! { ProjectOf { job: job.clone() } },
                }
            } }
            if let Some((target, kept)) = words::backup_in_words(&job) {
                div { dt { "Backs up" } dd { "{target}" } }
                div { dt { "Keeps" } dd { "{kept}" } }
            }
            div {
                dt { "Schedule" }
                dd {
                    title: "{job.schedule_cron}", "{schedule}" span { class: "muted", " {words::city(&job.timezone)}" }
                }
            }
            div { dt { "Next run" } dd { title: words::next_run_exact(&job),
                if job.enabled { {words::next_run(&job, now)} } else { "Disabled" }
            } }
            div { dt { "Time limit" } dd { {text::duration(job.timeout_ms.into())} } }
            div { dt { "Retries" } dd { "{job.retries}" } }
            div { dt { "Created" } dd { title: text::exact(job.created_at), {text::date(job.created_at)} } }
        }
    }
}

fn recent_run(run: &Run) -> api_types::RecentRun {
    api_types::RecentRun {
        id: run.id.clone(),
        status: run.status,
        created_at: run.created_at,
        started_at: run.started_at,
        duration_ms: run.duration_ms,
    }
}

/// Returns a sentence if runs outlast the interval of the schedule, unless they may run beside each other: `Runs take
/// 50 s, the schedule fires every 20 s: 2 of 3 are skipped.`
fn overrun(job: &JobData, runs: &[Run]) -> Option<String> {
    let [first, second, ..] = job.next_runs.as_slice() else { return None };
    let interval = (*second - *first).num_milliseconds();
    let mut durations: Vec<i64> =
        runs.iter().filter(|run| run.status == RunStatus::Success).filter_map(|run| run.duration_ms).collect();
    if durations.len() < MIN_RUNS {
        return None;
    }
    durations.sort_unstable();
    let median = *durations.get(durations.len() / 2)?;
    if median <= interval || interval == 0 {
        return None;
    }
    let of = (median + interval - 1) / interval;
    let effect = match job.overlap {
        Overlap::Skip => skipped(of),
        Overlap::Queue => "each waits for the previous one and starts late".to_owned(),
        Overlap::Allow => return None,
    };
    let (median, interval) = (text::duration(median), text::duration(interval));
    Some(format!("Runs take {median}, the schedule fires every {interval}: {effect}."))
}

/// Returns how many runs are skipped if each run lasts for `of` intervals of the schedule.
fn skipped(of: i64) -> String {
    match of - 1 {
        1 => format!("1 of {of} is skipped"),
        skipped => format!("{skipped} of {of} are skipped"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skipped_runs_are_counted() {
        assert_eq!(skipped(2), "1 of 2 is skipped");
        assert_eq!(skipped(3), "2 of 3 are skipped");
    }
}
