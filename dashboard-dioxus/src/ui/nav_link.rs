//! Links of the sidebar.

use dioxus::prelude::*;

use super::{Icon, IconName, Link};

/// A link of the sidebar.
#[component]
pub fn NavLink(
    to: String,
    icon: IconName,
    current: bool,
    /// Tooltip, for widths at which only the icon is shown.
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
