//! Jobs: `/jobs`, `/projects/<id>/jobs`, `/jobs/new` and `/jobs/<id>`.
//!
//! [`list`] shows jobs as [`row`]s, each with its [`strip`] of recent runs. [`page`] shows one job. [`form`] creates
//! and changes a job. [`acts`] contains the actions of a job, and [`words`] contains texts about the work and the
//! schedule of a job. [`allowed_hosts`] warns if the server allows requests to no host.

mod acts;
mod allowed_hosts;
mod form;
mod list;
mod page;
mod row;
mod strip;
mod words;

use dioxus::prelude::*;

use crate::{
    address,
    frame::page::Page,
    ui::{Icon, IconName, Link},
};
use form::JobForm;
use list::JobList;
pub(super) use list::ParameterFilter;
pub use page::Job;

/// The jobs of all projects and of the platform.
#[component]
pub fn Jobs() -> Element {
    rsx! {
        Page { title: "Jobs", class: "with-tabs", acts: rsx! { NewJobLink {} },
            Tabs { on_jobs: true }
            JobList {}
        }
    }
}

/// The jobs of a project.
#[component]
pub fn ProjectJobs(id: ReadSignal<String>) -> Element {
    rsx! {
        Page { title: "Jobs", class: "with-tabs", acts: rsx! { NewJobLink { project: id() } },
            Tabs { project: id(), on_jobs: true }
            JobList { project: id() }
        }
    }
}

#[component]
pub fn NewJob() -> Element {
    rsx! {
        Page { title: "New job", JobForm {} }
    }
}

#[component]
fn NewJobLink(#[props(default)] project: Option<String>) -> Element {
    let to = address::with_parameters("/jobs/new", &[("project", project.as_deref())]);
    rsx! {
        a {
            href: "{to}",
            class: "btn btn-primary",
            "data-create": "true",
            onclick: {
                let to = to.clone();
                move |event: MouseEvent| {
                    if event.modifiers().is_empty() {
                        event.prevent_default();
                        address::go(&to);
                    }
                }
            },
            Icon { name: IconName::Plus }
            "New job"
        }
    }
}

/// The tabs that link to the jobs and to the runs.
#[component]
pub(super) fn Tabs(#[props(default)] project: Option<String>, on_jobs: bool) -> Element {
    let jobs = project.as_ref().map_or_else(|| "/jobs".to_owned(), |id| format!("/projects/{id}/jobs"));
    let runs = address::with_parameters("/runs", &[("project", project.as_deref())]);
    rsx! {
        nav { class: "tabs", "aria-label": "Jobs and runs",
            Link { to: jobs, current: on_jobs, "Jobs" }
            Link { to: runs, current: !on_jobs, "Runs" }
        }
    }
}
