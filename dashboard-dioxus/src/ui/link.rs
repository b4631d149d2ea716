//! Links within the dashboard.

use dioxus::prelude::*;

use crate::address;

/// A link within the dashboard. The browser handles clicks with a modifier key, for example to open a new tab.
#[component]
pub fn Link(
    to: String,
    #[props(default)] class: String,
    #[props(default)] name: Option<String>,
    #[props(default)] current: bool,
    #[props(default)] title: Option<String>,
    /// Whether the link creates an item of the page's list. The keyboard shortcut for a new item follows it.
    #[props(default)]
    creates: bool,
    /// Called before the page is opened.
    #[props(default)]
    onfollow: EventHandler<()>,
    children: Element,
) -> Element {
    rsx! {
        a {
            href: "{to}",
            class: (!class.is_empty()).then_some(class),
            "aria-label": name,
            "aria-current": if current { "page" },
            title,
            "data-create": if creates { "true" },
            onclick: {
                let to = to.clone();
                move |event: MouseEvent| {
                    if event.modifiers().is_empty() {
                        event.prevent_default();
                        onfollow.call(());
                        address::go(&to);
                    }
                }
            },
            {children}
        }
    }
}
