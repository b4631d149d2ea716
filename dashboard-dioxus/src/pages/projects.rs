//! `/projects`: all projects, with their sizes and last backups.

use api_types::{ListedProject, Page as ApiPage, Project, ProjectState, ProjectTotals, Run, UpdateProject};
use dioxus::prelude::*;
use gloo_timers::future::TimeoutFuture;

use super::{filter_text::use_filter_text, project_columns::Column};
use crate::{
    address,
    frame::page::Page,
    remote::{self, Method, RemoteState, use_remote},
    text,
    ui::{Empty, ErrorBox, Icon, IconName, Link, LoadingTable, Mark, SearchBox, Shape, Updated, messages},
};

/// Hours after which the last good backup is marked as old.
const OLD_BACKUP_HOURS: i64 = 48;

/// Pause in the owner's typing after which the server filters a long list.
const TYPING_MS: u32 = 250;

#[component]
pub fn Projects() -> Element {
    let filter = use_filter_text();
    // The text that the server filters by: that of the filter, once the owner has paused.
    let mut sought = use_signal(|| filter.peek().clone());
    use_effect(move || {
        let text = filter.read().clone();
        spawn(async move {
            TimeoutFuture::new(TYPING_MS).await;
            if *filter.peek() == text && *sought.peek() != text {
                sought.set(text);
            }
        });
    });
    // Whether there are more projects than one page contains. The server then filters them.
    let mut is_long = use_signal(|| false);
    let path = use_memo(move || {
        let sought = sought.read();
        let wanted = Some(sought.trim()).filter(|wanted| is_long() && !wanted.is_empty());
        address::with_parameters("/projects", &[("limit", Some("200")), ("include", Some("totals")), ("q", wanted)])
    });
    let mut projects = use_remote::<ApiPage<ListedProject>>(path.into());
    if projects.value().is_some_and(|page| page.next_cursor.is_some()) && !is_long() {
        is_long.set(true);
    }
    let has_projects = is_long() || projects.value().is_some_and(|page| !page.items.is_empty());
    let sort = use_signal(|| (Column::Name, false));
    let is_server_filtered = is_long() && !filter.read().trim().is_empty();
    // A space keeps the line while the server filters the list.
    let mut subtitle = if is_long() { "\u{a0}".to_owned() } else { String::new() };
    let content = match projects.state() {
        RemoteState::Loading => rsx! { LoadingTable { name: "Projects", columns: 8 } },
        RemoteState::Failed(failure) => rsx! {
            ErrorBox { what: "Projects could not be loaded.", failure, on_retry: move |()| projects.refresh() }
        },
        RemoteState::Ready(_) if !has_projects => rsx! {
            Empty {
                title: "No projects yet",
                text: "A project is a database with its files, API keys and jobs.",
                help: "projects",
                NewProjectLink {}
            }
        },
        RemoteState::Ready(page) => {
            subtitle = sizes_in_words(&page.items);
            if page.next_cursor.is_some() {
                subtitle = format!("Newest 200 projects: {subtitle}");
            } else if is_server_filtered {
                subtitle = format!("Projects that match: {subtitle}");
            }
            rsx! {
                ProjectList {
                    projects: page.items,
                    has_more: page.next_cursor.is_some(),
                    filter,
                    sort,
                    Updated { at: projects.updated_at(), on_refresh: move |()| projects.refresh() }
                }
            }
        }
    };
    rsx! {
        Page { title: "Projects", subtitle, acts: rsx! { NewProjectLink {} },
            if has_projects {
                div { class: "toolbar", SearchBox { name: "Filter projects", value: filter } }
            }
            {content}
        }
    }
}

/// Returns the sums of the sizes: `3.4 GB in databases, 1.2 GB in storage`. Says so if the sizes of some
/// databases are unknown.
fn sizes_in_words(projects: &[ListedProject]) -> String {
    let totals = || projects.iter().filter_map(|project| project.totals.as_ref());
    let databases: i64 = totals().filter_map(|totals| totals.database_bytes).sum();
    let objects: i64 = totals().map(|totals| totals.object_bytes).sum();
    let is_complete = totals().all(|totals| totals.database_bytes.is_some());
    let which = if is_complete { "databases" } else { "the databases that can be reached" };
    format!("{} in {which}, {} in storage", text::bytes(databases), text::bytes(objects))
}

#[component]
fn NewProjectLink() -> Element {
    rsx! {
        Link { to: "/projects/new", class: "btn btn-primary", creates: true,
            Icon { name: IconName::Plus }
            "New project"
        }
    }
}

#[component]
fn ProjectList(
    projects: Vec<ListedProject>,
    has_more: bool,
    filter: Signal<String>,
    /// The column, and whether the order is descending.
    sort: Signal<(Column, bool)>,
    /// Shown at the end of the line under the list.
    children: Element,
) -> Element {
    let (mut filter, mut sort) = (filter, sort);
    let wanted = filter.read().trim().to_lowercase();
    let (column, descending) = sort();
    let mut shown: Vec<ListedProject> = projects
        .into_iter()
        .filter(|listed| listed.project.name.to_lowercase().contains(&wanted) || listed.project.id == wanted)
        .collect();
    shown.sort_by(|a, b| {
        let order = column.compare(a, b).then_with(|| a.project.id.cmp(&b.project.id));
        if descending { order.reverse() } else { order }
    });
    let total = text::count(shown.len() as i64, "project", "projects");
    rsx! {
        if shown.is_empty() {
            Empty {
                title: "No project matches",
                text: "No project name contains this text.",
                button { class: "btn", r#type: "button", onclick: move |_| filter.set(String::new()), "Clear filters" }
            }
        } else {
            table { class: "table only-wide", "aria-label": "Projects",
                thead {
                    tr {
                        for heading in Column::ALL {
                            th {
                                key: "{heading.label()}",
                                class: if heading.is_number() { "num" },
                                "aria-sort": match (heading == column, descending) {
                                    (true, false) => Some("ascending"),
                                    (true, true) => Some("descending"),
                                    (false, _) => None,
                                },
                                button {
                                    r#type: "button",
                                    onclick: move |_| sort.set((heading, heading == column && !descending)),
                                    "{heading.label()}"
                                    if heading == column {
                                        Icon { name: if descending { IconName::ArrowDown } else { IconName::ArrowUp } }
                                    }
                                }
                            }
                        }
                        th { span { class: "sr", "Actions" } }
                    }
                }
                tbody {
                    for listed in shown.clone() {
                        ProjectRow { key: "{listed.project.id}", listed }
                    }
                }
            }
            ul { class: "cards only-narrow", "aria-label": "Projects",
                for listed in shown {
                    ProjectCard { key: "{listed.project.id}", listed }
                }
            }
            div { class: "foot",
                span { if has_more { "The newest {total}. Filter to find others." } else { "{total}" } }
                {children}
            }
        }
    }
}

#[component]
fn ProjectRow(listed: ListedProject) -> Element {
    let ListedProject { project, totals } = listed;
    if let Some(state) = unfinished_state(&project) {
        return rsx! {
            tr { class: "is-off",
                td { class: "name",
                    if project.state == ProjectState::Ready {
                        ProjectLink { project: project.clone() }
                    } else {
                        "{project.name}"
                    }
                }
                td {
                    colspan: 7, class: "why", title: state.1.clone(),
                    span { class: "badge", Mark { shape: state.0 } "{state.1}" }
                }
                td { class: "acts", StateActs { project } }
            }
        };
    }
    let unknown = "The database can't be reached";
    rsx! {
        tr {
            td { class: "name", ProjectLink { project: project.clone() } }
            if let Some(totals) = totals {
                td {
                    class: "num", title: totals.database_bytes.is_none().then_some(unknown),
                    "{or_unknown(totals.database_bytes, text::bytes)}"
                }
                td {
                    class: "num", title: totals.table_count.is_none().then_some(unknown),
                    "{or_unknown(totals.table_count, text::number)}"
                }
                td {
                    class: "num", title: text::count(totals.object_count, "object", "objects"),
                    "{text::bytes(totals.object_bytes)}"
                }
                td {
                    class: "num",
                    title: totals.next_key_expiry.map(|at| format!("The next one expires {}", text::exact(at))),
                    "{totals.active_key_count}"
                }
                td { LastBackup { totals: totals.clone() } }
                td { class: "num", "{runs_in_words(&totals)}" }
            } else {
                td { colspan: 6 }
            }
            td { class: "num muted", title: text::exact(project.created_at), "{text::date(project.created_at)}" }
            td {
                if project.protected {
                    span {
                        class: "muted", title: "Protected from deletion", Icon { name: IconName::Lock }
                        span { class: "sr", "Protected from deletion" }
                    }
                }
            }
        }
    }
}

#[component]
fn ProjectCard(listed: ListedProject) -> Element {
    let ListedProject { project, totals } = listed;
    let state = unfinished_state(&project);
    rsx! {
        li { class: "card",
            h3 {
                if project.state == ProjectState::Ready {
                    ProjectLink { project: project.clone() }
                } else {
                    span { class: "grow", "{project.name}" }
                }
                if let Some(totals) = &totals {
                    span { class: "label muted", "{or_unknown(totals.database_bytes, text::bytes)}" }
                }
            }
            if let Some((shape, words)) = state {
                p { span { class: "badge", Mark { shape } "{words}" } }
                if project.delete_after_run.is_some() || project.delete_problem.is_some() {
                    div { class: "row", StateActs { project: project.clone() } }
                }
            } else if let Some(totals) = totals {
                p { class: "row row-1", LastBackup { totals: totals.clone() } }
                p { "Runs in 24 h: {runs_in_words(&totals)}" }
            }
        }
    }
}

#[component]
fn ProjectLink(project: Project) -> Element {
    rsx! { Link { to: "/projects/{project.id}", class: "grow", "{project.name}" } }
}

#[component]
fn LastBackup(totals: ProjectTotals) -> Element {
    let now = text::now();
    let (shape, words, title) = match &totals.last_good_backup {
        None => (Shape::Attention, "None".to_owned(), None),
        Some(backup) => {
            let is_old = (now - backup.at).num_hours() > OLD_BACKUP_HOURS;
            let shape = if is_old { Shape::TimedOut } else { Shape::Succeeded };
            (shape, text::age(backup.at, now), Some(text::exact(backup.at)))
        }
    };
    rsx! {
        span { class: "badge", title, Mark { shape } "{words}" }
    }
}

/// Returns the state of a project that is being created or deleted, or why it was not deleted.
fn unfinished_state(project: &Project) -> Option<(Shape, String)> {
    match (&project.delete_problem, &project.delete_after_run, project.state) {
        (Some(problem), ..) => Some((Shape::Failed, format!("Not deleted: {problem}"))),
        (None, Some(_), _) => Some((Shape::Queued, "Will be deleted after its final backup".to_owned())),
        (None, None, ProjectState::Creating) => Some((Shape::Running, "Being created…".to_owned())),
        (None, None, ProjectState::Deleting) => Some((Shape::Running, "Being deleted".to_owned())),
        (None, None, ProjectState::Ready) => None,
    }
}

/// The actions on a deletion that waits or has failed.
#[component]
fn StateActs(project: Project) -> Element {
    let mut busy = use_signal(|| false);
    if let Some(run) = project.delete_after_run.clone() {
        return rsx! {
            Link { to: "/runs/{run}", class: "btn btn-ghost btn-s", "Open run" }
            button {
                class: "btn btn-ghost btn-s",
                r#type: "button",
                "data-act": "true",
                "aria-disabled": busy(),
                onclick: move |_| {
                    let path = format!("/runs/{run}/cancel");
                    spawn(async move {
                        busy.set(true);
                        let sent = remote::send::<_, Run>(Method::Post, &path, &serde_json::json!({})).await;
                        report(sent, "Deletion cancelled");
                        busy.set(false);
                    });
                },
                "Cancel deletion"
            }
        };
    }
    if project.delete_problem.is_none() {
        return rsx! {};
    }
    let path = format!("/projects/{}", project.id);
    rsx! {
        Link { to: "{path}/settings", class: "btn btn-ghost btn-s", "Try again" }
        button {
            class: "btn btn-ghost btn-s",
            r#type: "button",
            "data-act": "true",
            "aria-disabled": busy(),
            onclick: move |_| {
                let path = path.clone();
                spawn(async move {
                    busy.set(true);
                    let keep = UpdateProject { dismiss_delete_problem: true, ..UpdateProject::default() };
                    report(remote::send::<_, Project>(Method::Patch, &path, &keep).await, "Project kept");
                    busy.set(false);
                });
            },
            "Keep the project"
        }
    }
}

fn report<T>(result: Result<T, remote::Failure>, success: &str) {
    match result {
        Ok(_) => messages::show(success),
        Err(failure) => messages::show_failure(failure.message()),
    }
    remote::forget("/projects");
    remote::forget("/overview");
}

fn or_unknown(value: Option<i64>, words: fn(i64) -> String) -> String {
    value.map_or_else(|| "unknown".to_owned(), words)
}

/// Returns the number of runs in 24 hours, and of failed ones if there are any: `41`, `79, 3 failed`.
fn runs_in_words(totals: &ProjectTotals) -> String {
    let runs = totals.runs_24h;
    match runs.failed {
        0 => text::number(runs.total),
        failed => format!("{}, {} failed", text::number(runs.total), text::number(failed)),
    }
}
