use dioxus::prelude::*;

use super::{Icon, IconName, Link};

/// A link of the sidebar.
#[component]
pub fn NavLink(to: String, icon: IconName, current: bool, children: Element) -> Element {
    rsx! {
        Link { to, class: "inset", current,
            Icon { name: icon }
            span { class: "lbl", {children} }
        }
    }
}
