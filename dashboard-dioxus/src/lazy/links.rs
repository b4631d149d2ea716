//! Loads the module of a page when the pointer or the focus reaches a link to the page, so that it opens at once.

use wasm_bindgen::{JsCast as _, closure::Closure};
use web_sys::{Element, Event};

use super::load;
use crate::{dom, route::Route};

/// Watches all links, also those that are added later. Call this once.
pub fn watch_links() {
    let Some(document) = dom::document() else { return };
    let listener = Closure::<dyn FnMut(Event)>::new(|event: Event| {
        let element = event.target().and_then(|target| target.dyn_into::<Element>().ok());
        let link = element.and_then(|element| element.closest("a[href^='/']").ok().flatten());
        if let Some(module) = link.and_then(|link| link.get_attribute("href")).as_deref().and_then(module_of) {
            load::start(module);
        }
    });
    // A touch also moves the pointer to the link, before the link is opened.
    for event in ["pointerover", "focusin"] {
        let _ = document.add_event_listener_with_callback(event, listener.as_ref().unchecked_ref());
    }
    // The listener lives as long as the page.
    listener.forget();
}

/// Returns the module of the page at an address of the dashboard. `None` for the sign-in, for unknown addresses, and
/// for the overview. The modules of the overview are loaded before all others.
fn module_of(address: &str) -> Option<&'static str> {
    let path = address.split(['?', '#']).next().unwrap_or(address);
    match path.parse::<Route>().ok()? {
        Route::Overview {} | Route::NotFound { .. } | Route::SignIn {} => None,
        Route::Projects {} | Route::NewProject {} | Route::Project { .. } | Route::ProjectSettings { .. } => {
            Some("projects")
        }
        Route::Tables { .. } => Some("tables"),
        Route::Sql { .. } => Some("sql"),
        Route::Storage { .. } | Route::Bucket { .. } => Some("storage"),
        Route::Users { .. } => Some("users"),
        Route::Keys { .. } => Some("keys"),
        Route::Jobs {} | Route::NewJob {} | Route::Job { .. } | Route::ProjectJobs { .. } => Some("jobs"),
        Route::Backups {} | Route::DatabaseTools { .. } => Some("backups"),
        Route::Plugins {} => Some("plugins"),
        Route::Runs {} | Route::Run { .. } => Some("runs"),
        Route::Notifications {} => Some("notifications"),
        Route::Audit {} => Some("audit"),
        Route::Settings {} => Some("settings"),
        Route::Components {} => Some("components"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn module_is_found_by_the_path_of_an_address() {
        assert_eq!(module_of("/projects/proj_1/tables?table=a%2Fb"), Some("tables"));
        assert_eq!(module_of("/jobs/new"), Some("jobs"));
        assert_eq!(module_of("/"), None);
        assert_eq!(module_of("/nowhere/at/all"), None);
    }
}
