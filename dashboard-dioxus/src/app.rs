//! The routes. Paths only: [`crate::address`] handles queries.

use dioxus::prelude::*;

use crate::{
    frame::Frame,
    pages::{
        components::Components, keys::Keys, new_project::NewProject, not_found::NotFound, overview::Overview,
        project::Project, project_settings::ProjectSettings, projects::Projects, run::Run, runs::Runs,
        sign_in::SignIn, sql::Sql, tables::Tables,
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
        #[route("/projects/:id/keys")]
        Keys { id: String },
        #[route("/runs")]
        Runs {},
        #[route("/runs/:id")]
        Run { id: String },
        #[route("/projects/:id/settings")]
        ProjectSettings { id: String },
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
