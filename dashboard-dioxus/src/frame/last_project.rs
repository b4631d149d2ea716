//! The project that was opened last in this tab of the browser.

use api_types::ProjectState;
use dioxus::prelude::*;

use super::destinations;
use crate::{
    remote::{ProjectBrief, RemoteState, use_remote},
    route::Route,
};

/// Key of the project's id in `sessionStorage`. Each tab of the browser has its own storage.
const KEY: &str = "atlashub.project";

/// The id of the project, if one was opened in this tab.
static LAST: GlobalSignal<Option<String>> = Signal::global(stored);

fn stored() -> Option<String> {
    storage()?.get_item(KEY).ok().flatten()
}

/// Returns the id of the project, and subscribes the component to it.
pub(super) fn get() -> Option<String> {
    LAST.read().clone()
}

fn set(project: Option<String>) {
    if *LAST.peek() == project {
        return;
    }
    if let Some(storage) = storage() {
        let _ = match &project {
            Some(project) => storage.set_item(KEY, project),
            None => storage.remove_item(KEY),
        };
    }
    *LAST.write() = project;
}

/// Returns the id of the project that the frame shows as open, and remembers the project of the page. A remembered
/// project is forgotten when it is deleted.
pub(super) fn use_open_project() -> Option<String> {
    let route: Route = use_route();
    let of_page = destinations::project_of_page(&route);
    let remembered = if of_page.is_none() { get() } else { None };
    let path =
        use_memo(use_reactive!(|remembered| { remembered.map(|id| format!("/projects/{id}")).unwrap_or_default() }));
    let known = use_remote::<ProjectBrief>(path.into());
    let is_gone = remembered.is_some() && is_gone(&known.state());
    use_effect(use_reactive!(|of_page, is_gone| {
        if of_page.is_some() {
            set(of_page);
        } else if is_gone {
            set(None);
        }
    }));
    of_page.or(remembered.filter(|_| !is_gone))
}

/// Returns whether the project does not exist, or is being deleted.
fn is_gone(project: &RemoteState<ProjectBrief>) -> bool {
    match project {
        RemoteState::Ready(project) => project.state == ProjectState::Deleting,
        RemoteState::Failed(failure) => failure.is_not_found(),
        RemoteState::Loading => false,
    }
}

fn storage() -> Option<web_sys::Storage> {
    web_sys::window()?.session_storage().ok().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn project_that_is_being_deleted_is_gone() {
        let project = |state| {
            let (id, name) = ("proj_1".to_owned(), "Notebook".to_owned());
            RemoteState::Ready(ProjectBrief { id, name, state })
        };
        assert!(!is_gone(&project(ProjectState::Ready)));
        assert!(is_gone(&project(ProjectState::Deleting)));
        assert!(!is_gone(&RemoteState::Loading));
    }
}
