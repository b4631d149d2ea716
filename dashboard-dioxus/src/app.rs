//! The routes. Paths only: [`crate::address`] handles queries.

use dioxus::prelude::*;

use crate::{
    frame::Frame,
    pages::{
        audit::Audit,
        backups::{Backups, DatabaseTools},
        components::Components,
        jobs::{Job, Jobs, NewJob, ProjectJobs},
        keys::Keys,
        new_project::NewProject,
        not_found::NotFound,
        notifications::Notifications,
        overview::Overview,
        plugins::Plugins,
        project::Project,
        project_settings::ProjectSettings,
        projects::Projects,
        runs::{Run, Runs},
        settings::Settings,
        sign_in::SignIn,
        sql::Sql,
        storage::{Bucket, Storage},
        tables::Tables,
    },
};

/// The pages by path.
#[derive(Debug, Clone, PartialEq, Routable)]
#[rustfmt::skip]
pub enum Route {
    #[layout(Frame)]
        #[route("/")]
        Overview {},
        #[route("/projects")]
        Projects {},
        #[route("/projects/new")]
        NewProject {},
        #[route("/projects/:id")]
        Project { id: String },
        #[route("/projects/:id/tables")]
        Tables { id: String },
        #[route("/projects/:id/sql")]
        Sql { id: String },
        #[route("/projects/:id/storage")]
        Storage { id: String },
        #[route("/projects/:id/storage/:bucket")]
        Bucket { id: String, bucket: String },
        #[route("/projects/:id/keys")]
        Keys { id: String },
        #[route("/projects/:id/jobs")]
        ProjectJobs { id: String },
        #[route("/projects/:id/database")]
        DatabaseTools { id: String },
        #[route("/jobs")]
        Jobs {},
        #[route("/jobs/new")]
        NewJob {},
        #[route("/jobs/:id")]
        Job { id: String },
        #[route("/backups")]
        Backups {},
        #[route("/plugins")]
        Plugins {},
        #[route("/runs")]
        Runs {},
        #[route("/runs/:id")]
        Run { id: String },
        #[route("/projects/:id/settings")]
        ProjectSettings { id: String },
        #[route("/notifications")]
        Notifications {},
        #[route("/audit")]
        Audit {},
        #[route("/settings")]
        Settings {},
        #[route("/ui")]
        Components {},
        #[route("/:..path")]
        NotFound { path: Vec<String> },
    #[end_layout]
    #[route("/sign-in")]
    SignIn {},
}

#[component]
pub fn App() -> Element {
    rsx! {
        Router::<Route> {}
    }
}
