//! A button with a panel.

use std::sync::atomic::{AtomicU32, Ordering};

use dioxus::prelude::*;

use super::{Icon, IconName};
use crate::dom;

static NEXT_ID: AtomicU32 = AtomicU32::new(0);

/// A button that opens a small panel under itself. Esc and a click elsewhere close the panel.
#[component]
pub fn Popover(
    name: String,
    icon: IconName,
    label: String,
    #[props(default)] count: usize,
    children: Element,
) -> Element {
    let id = use_hook(|| format!("popover-{}", NEXT_ID.fetch_add(1, Ordering::Relaxed)));
    let mut expanded = use_signal(|| false);
    rsx! {
        span { class: "menu-anchor",
            button {
                class: "btn btn-ghost",
                r#type: "button",
                "aria-haspopup": "dialog",
                "aria-expanded": "{expanded}",
                "popovertarget": "{id}",
                Icon { name: icon }
                "{label}"
                if count > 0 {
                    span { class: "tag", "aria-hidden": "true", "{count}" }
                }
            }
            div {
                id: "{id}",
                class: "popover",
                role: "dialog",
                "aria-label": "{name}",
                "popover": "auto",
                ontoggle: {
                    let id = id.clone();
                    move |_| {
                        let is_open = dom::find(&format!("#{id}:popover-open")).is_some();
                        expanded.set(is_open);
                        if is_open {
                            dom::focus(&format!("#{id} input, #{id} button"));
                        }
                    }
                },
                if expanded() {
                    {children}
                }
            }
        }
    }
}
