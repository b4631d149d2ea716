//! The list of jobs, with its filters.

use std::{cmp::Ordering, collections::HashMap};

use api_types::{Job, JobState, Page as ApiPage, Plugin};
use dioxus::prelude::*;

use super::{
    super::{cursor_paging::EmptyPage, filter_text::use_filter_text},
    acts::DeleteJob,
    allowed_hosts::{NoHosts, use_allows_no_hosts},
    row::{JobCard, JobRow},
    words,
};
use crate::{
    address,
    remote::{RemoteState, events, use_projects, use_remote},
    text,
    ui::{Empty, ErrorBox, Icon, IconName, Link, LoadingTable, Mark, SearchBox, Shape, Updated, narrow::use_is_narrow},
};

/// Number of jobs in one request. The server filters longer lists.
const PAGE_SIZE: &str = "200";

/// A list of jobs. Jobs that need attention come first.
#[component]
pub(super) fn JobList(#[props(default)] project: Option<String>) -> Element {
    let filter = use_filter_text();
    let state = address::use_parameter("state").and_then(|state| state.parse::<JobState>().ok());
    let of_project = project.clone().or(address::use_parameter("project"));
    let of_plugin = address::use_parameter("plugin");
    let cursor = address::use_parameter("after");
    let mut has_more = use_signal(|| false);
    // The address may lead to the last page, which has no next one.
    let is_long = has_more() || cursor.is_some();
    let wanted = filter.read().trim().to_lowercase();
    let server_filter = Some(wanted.as_str()).filter(|text| is_long && !text.is_empty());
    let path = address::with_parameters(
        "/jobs",
        &[
            ("limit", Some(PAGE_SIZE)),
            ("order", Some("failing")),
            ("recentRuns", Some("30")),
            ("projectId", of_project.as_deref()),
            ("plugin", of_plugin.as_deref()),
            ("q", server_filter),
            ("state", state.filter(|_| is_long).map(JobState::as_str)),
            ("cursor", cursor.as_deref()),
        ],
    );
    let path = use_memo(use_reactive!(|path| path));
    let mut jobs = use_remote::<ApiPage<Job>>(path.into());
    let page = jobs.value();
    if page.as_ref().is_some_and(|page| page.next_cursor.is_some()) && !has_more() {
        has_more.set(true);
    }
    let items = page.as_ref().map(|page| page.items.clone()).unwrap_or_default();
    events::use_polling(&["/jobs"], items.iter().any(words::is_running));
    let deleting = use_signal(|| None::<Job>);
    let is_narrow = use_is_narrow();
    let mut shown: Vec<Job> =
        items.iter().filter(|job| words::matches(job, &wanted) && is_in_state(job, state)).cloned().collect();
    if !is_long {
        shown.sort_by(by_urgency);
    }
    let is_filtered =
        !wanted.is_empty() || state.is_some() || of_plugin.is_some() || (project.is_none() && of_project.is_some());
    let with_project = project.is_none();
    let names: HashMap<String, String> =
        use_projects().items.into_iter().map(|project| (project.id, project.name)).collect();
    let name_of = |job: &Job| {
        let name = |id: &String| names.get(id).unwrap_or(id).clone();
        with_project.then(|| job.project_id.as_ref().map_or_else(|| "Platform".to_owned(), name))
    };
    let total = shown.len();
    let content = match jobs.state() {
        RemoteState::Loading => rsx! { LoadingTable { name: "Jobs", columns: 7 } },
        RemoteState::Failed(failure) => rsx! {
            ErrorBox { what: "Jobs could not be loaded.", failure, on_retry: move |()| jobs.refresh() }
        },
        RemoteState::Ready(page) if page.items.is_empty() && cursor.is_some() => {
            rsx! { EmptyPage { entries: "jobs" } }
        }
        RemoteState::Ready(page) if page.items.is_empty() && !is_filtered => {
            rsx! { NoJobs { project: project.clone() } }
        }
        RemoteState::Ready(_) if shown.is_empty() => rsx! {
            Empty { title: "No job matches", text: "No job meets all filters.",
                button {
                    class: "btn",
                    r#type: "button",
                    onclick: move |_| clear(filter),
                    "Clear filters"
                }
            }
        },
        RemoteState::Ready(_) if is_narrow => rsx! {
            ul { class: "cards", "aria-label": "Jobs",
                for job in shown {
                    JobCard { key: "{job.id}", project: name_of(&job), job, deleting }
                }
            }
        },
        RemoteState::Ready(_) => rsx! {
            table { class: "table two job-table", "aria-label": "Jobs",
                thead {
                    tr {
                        th { class: "c-switch", span { class: "sr", "Enabled" } }
                        th { class: "c-name", "Name" }
                        th { class: "c-what hide-1240", "What" }
                        th { class: "c-schedule hide-800", "Schedule" }
                        th { "Last run" }
                        th { class: "c-strip hide-1060", "Last 30 runs" }
                        th { class: "c-next num", "Next run" }
                        th { class: "c-acts", span { class: "sr", "Actions" } }
                    }
                }
                tbody {
                    for job in shown {
                        JobRow { key: "{job.id}", project: name_of(&job), job, deleting }
                    }
                }
            }
        },
    };
    let has_jobs = page.as_ref().is_some_and(|page| !page.items.is_empty()) || is_filtered;
    let next_cursor = page.and_then(|page| page.next_cursor);
    rsx! {
        if has_jobs {
            div { class: "toolbar toolbar-top",
                SearchBox { name: "Filter jobs", value: filter }
                if with_project {
                    ProjectFilter {}
                    PluginFilter {}
                }
                span { class: "row row-1 wrap",
                    for (choice, label, shape) in [
                        (JobState::Failing, "Failing", Shape::Failed),
                        (JobState::Problem, "Can't run", Shape::Attention),
                        (JobState::Disabled, "Disabled", Shape::Skipped),
                    ] {
                        StateChip {
                            key: "{label}",
                            choice,
                            label,
                            shape,
                            count: (!is_long).then(|| {
                                items.iter().filter(|job| is_in_state(job, Some(choice))).count()
                            }),
                            chosen: state == Some(choice),
                        }
                    }
                }
                if is_filtered {
                    button {
                        class: "btn btn-ghost", r#type: "button", onclick: move |_| clear(filter), "Clear filters"
                    }
                }
            }
        }
        {content}
        if has_jobs {
            div { class: "foot",
                if is_long {
                    div { class: "row row-1", role: "group", "aria-label": "Paging",
                        button {
                            class: "btn btn-ghost btn-s",
                            r#type: "button",
                            "aria-disabled": cursor.is_none(),
                            onclick: |_| address::push_parameter("after", None),
                            "First page"
                        }
                        button {
                            class: "btn btn-ghost btn-s btn-icon",
                            r#type: "button",
                            "aria-label": "Next page",
                            "aria-disabled": next_cursor.is_none(),
                            onclick: move |_| address::push_parameter("after", next_cursor.as_deref()),
                            Icon { name: IconName::ChevronRight }
                        }
                    }
                }
                span {
                    {text::count(total as i64, "job", "jobs")}
                    if is_long {
                        " on this page"
                    }
                }
                Updated { at: jobs.updated_at(), on_refresh: move |()| jobs.refresh() }
            }
        }
        DeleteJob { job: deleting }
    }
}

fn clear(filter: Signal<String>) {
    let mut filter = filter;
    filter.set(String::new());
    let names = ["q", "state", "project", "plugin", "after"];
    address::replace_parameters(&names.map(|name| (name, Vec::new())));
}

#[component]
fn StateChip(choice: JobState, label: &'static str, shape: Shape, count: Option<usize>, chosen: bool) -> Element {
    if count == Some(0) && !chosen {
        return rsx! {};
    }
    rsx! {
        button {
            class: "chip",
            r#type: "button",
            "aria-pressed": chosen.to_string(),
            onclick: move |_| {
                let state = if chosen { Vec::new() } else { vec![choice.as_str().to_owned()] };
                address::replace_parameters(&[("state", state), ("after", Vec::new())]);
            },
            Mark { shape }
            "{label}"
            if let Some(count) = count {
                " " span { class: "tab-nums", "{count}" }
            }
        }
    }
}

/// The combobox "Project" of the list of all jobs.
#[component]
fn ProjectFilter() -> Element {
    let options = use_projects().items.into_iter().map(|project| (project.id, project.name)).collect();
    rsx! { ParameterFilter { label: "Project", parameter: "project", options } }
}

#[component]
fn PluginFilter() -> Element {
    let plugins = use_remote::<ApiPage<Plugin>>(use_signal(|| "/plugins?limit=200".to_owned()).into());
    let plugins = plugins.value().map(|page| page.items).unwrap_or_default();
    let options = plugins.into_iter().map(|plugin| (plugin.name.clone(), plugin.name)).collect();
    rsx! { ParameterFilter { label: "Plugin", parameter: "plugin", options } }
}

/// A combobox whose value is a parameter of the address.
#[component]
pub(in crate::pages) fn ParameterFilter(
    label: &'static str,
    parameter: &'static str,
    /// Value and label.
    options: Vec<(String, String)>,
) -> Element {
    let chosen = address::use_parameter(parameter).unwrap_or_default();
    let is_unknown = !chosen.is_empty() && !options.iter().any(|(value, _)| *value == chosen);
    rsx! {
        label { class: "input select m select-native",
            span { class: "what", "aria-hidden": "true", "{label}" }
            select {
                "aria-label": label,
                onchange: move |event| {
                    let value = event.value();
                    address::replace_parameters(&[
                        (parameter, if value.is_empty() { Vec::new() } else { vec![value] }),
                        ("after", Vec::new()),
                        ("offset", Vec::new()),
                    ]);
                },
                option { value: "", selected: chosen.is_empty(), "All" }
                if is_unknown {
                    option { value: "{chosen}", selected: true, "{chosen}" }
                }
                for (value, label) in options {
                    option { key: "{value}", value: "{value}", selected: value == chosen, "{label}" }
                }
            }
        }
    }
}

/// The suggestion of a job that sends a request.
const CALL: &str = "Call a URL";

/// The empty list, with links that create common jobs.
#[component]
fn NoJobs(project: Option<String>) -> Element {
    let starter = |parameters: &[(&str, Option<&str>)]| {
        let mut all = vec![("project", project.as_deref())];
        all.extend_from_slice(parameters);
        address::with_parameters("/jobs/new", &all)
    };
    let target = project.as_ref().map_or_else(|| "all".to_owned(), |id| format!("project:{id}"));
    let of = if project.is_some() { "this project" } else { "everything" };
    let plugin_job = |job: &'static str, name, schedule| {
        starter(&[
            ("kind", Some("plugin")),
            ("plugin", Some("backup")),
            ("pluginJob", Some(job)),
            ("target", Some(&target)),
            ("name", Some(name)),
            ("schedule", Some(schedule)),
        ])
    };
    let backup = plugin_job("backup", "Nightly backup", "0 2 * * *");
    let verification = plugin_job("verify", "Verify backups", "0 4 * * 0");
    let request = starter(&[("kind", Some("http"))]);
    let allows_no_hosts = use_allows_no_hosts();
    rsx! {
        Empty {
            title: "No jobs yet",
            text: "A job runs on a schedule. It calls a URL, or runs a plugin, for example to create backups.",
            help: "jobs",
            Link { to: starter(&[]), class: "btn btn-primary", "New job" }
        }
        ul { class: "items starters", "aria-label": "Suggestions",
            for (to, title, help) in [
                (
                    backup,
                    format!("Nightly backup of {of}"),
                    "Every night at 02:00. You choose how long old backups are kept.",
                ),
                (
                    verification,
                    "Weekly verification of backups".to_owned(),
                    "Every Sunday at 04:00. Restores the newest backups to check that they work.",
                ),
                (request, CALL.to_owned(), "Sends a request at the times that you choose."),
            ] {
                li { key: "{title}", class: "item",
                    Icon { name: IconName::Clock }
                    div {
                        h3 { Link { to, "{title}" } }
                        p { "{help}" }
                        if allows_no_hosts && title == CALL {
                            p { role: "note", NoHosts {} }
                        }
                    }
                }
            }
        }
    }
}

fn is_in_state(job: &Job, state: Option<JobState>) -> bool {
    match state {
        None => true,
        Some(JobState::Failing) => job.failing.is_some(),
        Some(JobState::Problem) => job.problem.is_some(),
        Some(JobState::Disabled) => !job.enabled,
    }
}

/// Compares jobs for the order of the list: first failing jobs, then jobs that can't run, and disabled jobs last.
fn by_urgency(a: &Job, b: &Job) -> Ordering {
    let rank = |job: &Job| match () {
        () if !job.enabled => 3,
        () if job.failing.is_some() => 0,
        () if job.problem.is_some() => 1,
        () => 2,
    };
    rank(a).cmp(&rank(b)).then_with(|| a.name.to_lowercase().cmp(&b.name.to_lowercase())).then_with(|| a.id.cmp(&b.id))
}
