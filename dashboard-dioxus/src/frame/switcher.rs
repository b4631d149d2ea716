//! The dialog that opens the current page of another project.

use api_types::ProjectState;
use dioxus::prelude::*;

use super::{destinations, overlay};
use crate::{
    address, dom,
    remote::{ProjectBrief, RemoteState, use_projects},
    route::Route,
    ui::{Finder, FinderOption, IconName, Link, ModalDialog, finder},
};

/// Maximum number of projects in the list. Typing finds the others.
const MAX_SHOWN: usize = 200;

#[component]
pub fn Switcher(project: Option<String>) -> Element {
    let route: Route = use_route();
    let query = overlay::query();
    let is_entered = use_hook(overlay::take_entered);
    let projects = use_projects();
    let has_none = projects.items.is_empty();
    let project_page = destinations::project_page_of(&route).map_or("", |project_page| project_page.path);
    let shown: Vec<ProjectBrief> = projects
        .items
        .into_iter()
        .filter(|candidate| candidate.state == ProjectState::Ready)
        .filter(|candidate| finder::matches(&candidate.name, &query.read()))
        .take(MAX_SHOWN)
        .collect();
    let options = shown
        .iter()
        .map(|candidate| FinderOption {
            group: "",
            icon: IconName::Project,
            text: candidate.name.clone(),
            detail: if Some(&candidate.id) == project.as_ref() { "open".to_owned() } else { String::new() },
            keys: Vec::new(),
        })
        .collect();
    let loading = projects.state == RemoteState::Loading;
    let empty = match projects.state {
        RemoteState::Loading => "Loading…".to_owned(),
        RemoteState::Failed(failure) if has_none => failure.message(),
        RemoteState::Failed(failure) => {
            format!("Nothing matches, but not all projects could be read. {}", failure.message())
        }
        RemoteState::Ready(()) if has_none => "No projects yet.".to_owned(),
        RemoteState::Ready(()) => "No project matches.".to_owned(),
    };
    rsx! {
        ModalDialog { name: "Switch project", on_close: |()| overlay::close(),
            div { class: "palette",
                Finder {
                    name: "Find a project",
                    list_name: "Projects",
                    options,
                    query,
                    empty,
                    loading,
                    is_entered,
                    on_choose: move |(index, new_tab): (usize, bool)| {
                        let Some(project) = shown.get(index) else { return };
                        let to = format!("/projects/{}{project_page}", project.id);
                        overlay::close();
                        if new_tab { dom::open_tab(&to) } else { address::go(&to) }
                    },
                }
                div { class: "keys",
                    Link { to: "/projects", class: "link", onfollow: |()| overlay::close(), "All projects" }
                    Link { to: "/projects/new", class: "link", onfollow: |()| overlay::close(), "New project" }
                }
            }
        }
    }
}
