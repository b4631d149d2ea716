//! The field that chooses the viewer of the rows: the owner, a visitor, or a signed-in user.

use dioxus::prelude::*;

use super::{PUBLISHABLE, USER_PREFIX, find_user::FindUser, show_as, use_user};
use crate::ui::{Icon, IconName};

/// Value of the entry that opens the search for a user.
const FIND: &str = "find";

/// A native select with its label inside.
#[component]
pub(in crate::pages::tables) fn Choice(project: ReadSignal<String>, viewer: ReadSignal<String>) -> Element {
    let mut finding = use_signal(|| false);
    let user = use_user(project, viewer);
    let shown = viewer();
    // While the search is open, its entry is selected, so that the select shows the viewer again when it closes.
    let selected = if finding() { FIND.to_owned() } else { shown.clone() };
    let mut entries =
        vec![(String::new(), "Owner".to_owned()), (PUBLISHABLE.to_owned(), "Visitor (publishable key)".to_owned())];
    if shown.starts_with(USER_PREFIX) {
        entries.push((shown, user.value().map_or_else(|| "A signed-in user".to_owned(), |user| user.user.email)));
    }
    entries.push((FIND.to_owned(), "Signed-in user…".to_owned()));
    rsx! {
        span { class: "input select m select-in view-as",
            span { class: "what", "aria-hidden": "true", "View as" }
            select {
                "aria-label": "View as",
                onchange: move |event| {
                    let chosen = event.value();
                    if chosen == FIND { finding.set(true) } else { show_as(&chosen) }
                },
                for (value, label) in entries {
                    option { key: "{value}", value: "{value}", selected: value == selected, "{label}" }
                }
            }
            Icon { name: IconName::ChevronDown }
        }
        if finding() {
            FindUser {
                project,
                on_choose: move |id: String| {
                    finding.set(false);
                    show_as(&format!("{USER_PREFIX}{id}"));
                },
                on_close: move |()| finding.set(false),
            }
        }
    }
}
