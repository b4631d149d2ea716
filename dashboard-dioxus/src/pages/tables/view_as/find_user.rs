//! The dialog that finds a user of the project by e-mail address.

use api_types::{Page as ApiPage, ProjectUser};
use dioxus::prelude::*;
use gloo_timers::future::TimeoutFuture;

use crate::{
    address,
    remote::{RemoteState, use_remote},
    ui::{Finder, FinderOption, IconName, ModalDialog},
};

/// Milliseconds between the last keystroke and the search.
const SEARCH_DELAY_MS: u32 = 150;

#[component]
pub(super) fn FindUser(
    project: ReadSignal<String>,
    /// Called with the id of the user.
    on_choose: EventHandler<String>,
    on_close: EventHandler<()>,
) -> Element {
    let query = use_signal(String::new);
    // The text that the shown users match.
    let mut searched = use_signal(String::new);
    use_effect(move || {
        let wanted = query.read().trim().to_owned();
        if wanted != *searched.peek() {
            spawn(async move {
                TimeoutFuture::new(SEARCH_DELAY_MS).await;
                if query.peek().trim() == wanted {
                    searched.set(wanted);
                }
            });
        }
    });
    let path = use_memo(move || {
        let search = searched.read().clone();
        let search = Some(search.as_str()).filter(|search| !search.is_empty());
        address::with_parameters(&format!("/projects/{project}/users"), &[("limit", Some("20")), ("search", search)])
    });
    let users = use_remote::<ApiPage<ProjectUser>>(path.into());
    let is_searching = query.read().trim() != searched.read().as_str();
    let found = users.value().map(|page| page.items).filter(|_| !is_searching).unwrap_or_default();
    let options = found
        .iter()
        .map(|user| FinderOption {
            group: "",
            icon: IconName::Account,
            text: user.email.clone(),
            detail: if user.disabled_at.is_some() { "disabled".to_owned() } else { String::new() },
            keys: Vec::new(),
        })
        .collect();
    let empty = match users.state() {
        RemoteState::Failed(failure) => failure.message(),
        RemoteState::Ready(_) if !is_searching && searched.read().is_empty() => {
            "The project has no users yet.".to_owned()
        }
        RemoteState::Ready(_) if !is_searching => "No user matches.".to_owned(),
        _ => "Loading…".to_owned(),
    };
    rsx! {
        ModalDialog { name: "View as a signed-in user", on_close,
            div { class: "palette",
                Finder {
                    name: "Find a user by e-mail address",
                    list_name: "Users",
                    options,
                    query,
                    empty,
                    loading: is_searching || matches!(users.state(), RemoteState::Loading),
                    on_choose: move |(index, _): (usize, bool)| {
                        if let Some(user) = found.get(index) {
                            on_choose.call(user.id.clone());
                        }
                    },
                }
            }
        }
    }
}
