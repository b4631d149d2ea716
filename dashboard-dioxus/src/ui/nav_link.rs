use dioxus::prelude::*;

use super::{Icon, IconName, Link};

/// A link of the sidebar.
#[component]
pub fn NavLink(
    to: String,
    icon: IconName,
    current: bool,
    /// Shown where there is only room for the icon.
    title: Option<String>,
    children: Element,
) -> Element {
    rsx! {
        Link { to, class: "inset", current, title,
            Icon { name: icon }
            span { class: "lbl", {children} }
        }
    }
}
