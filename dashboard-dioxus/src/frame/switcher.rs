//! The dialog that opens the current page of another project.

use api_types::ProjectState;
use dioxus::prelude::*;

use super::{destinations, overlay};
use crate::{
    address, dom,
    remote::{PageBrief, ProjectBrief, RemoteState, use_remote},
    route::Route,
    ui::{Finder, FinderOption, IconName, Link, ModalDialog, finder},
};

#[component]
pub fn Switcher(project: Option<String>) -> Element {
    let route: Route = use_route();
    let query = use_signal(String::new);
    let projects = use_remote::<PageBrief<ProjectBrief>>(use_signal(|| "/projects?limit=200".to_owned()).into());
    let project_page = destinations::project_page_of(&route).map_or("", |project_page| project_page.path);
    let shown: Vec<ProjectBrief> = projects
        .value()
        .map(|page| page.items)
        .unwrap_or_default()
        .into_iter()
        .filter(|candidate| candidate.state == ProjectState::Ready)
        .filter(|candidate| finder::matches(&candidate.name, &query.read()))
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
    let empty = match projects.state() {
        RemoteState::Loading => "Loading…".to_owned(),
        RemoteState::Failed(failure) => failure.message(),
        RemoteState::Ready(page) if page.items.is_empty() => "No projects yet.".to_owned(),
        RemoteState::Ready(page) if page.next_cursor.is_some() => "None of the newest 200 projects matches.".to_owned(),
        RemoteState::Ready(_) => "No project matches.".to_owned(),
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
                    loading: matches!(projects.state(), RemoteState::Loading),
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
