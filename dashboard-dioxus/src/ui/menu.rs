//! A button with a menu.

use std::sync::atomic::{AtomicU32, Ordering};

use dioxus::prelude::*;
use dioxus::web::WebEventExt as _;
use wasm_bindgen::JsCast as _;
use web_sys::HtmlElement;

use super::{Icon, IconName};
use crate::dom;

static NEXT_ID: AtomicU32 = AtomicU32::new(0);

/// A button that opens a menu. The arrow keys move in the menu, and Esc closes it.
#[component]
pub fn Menu(
    /// Name of the button and of the menu.
    name: String,
    icon: IconName,
    /// Text on the button. If empty, the button is an icon.
    #[props(default)]
    label: String,
    #[props(default)] class: String,
    #[props(default)] onopen: EventHandler<()>,
    children: Element,
) -> Element {
    let id = use_hook(|| format!("menu-{}", NEXT_ID.fetch_add(1, Ordering::Relaxed)));
    let mut expanded = use_signal(|| false);
    let class = if label.is_empty() { format!("btn-icon {class}") } else { class };
    rsx! {
        span { class: "menu-anchor",
            button {
                class: "btn btn-ghost {class}",
                r#type: "button",
                "aria-label": "{name}",
                "aria-haspopup": "menu",
                "aria-expanded": "{expanded}",
                "popovertarget": "{id}",
                if label.is_empty() {
                    Icon { name: icon }
                }
                "{label}"
            }
            div {
                id: "{id}",
                class: "menu",
                role: "menu",
                "aria-label": "{name}",
                "popover": "auto",
                ontoggle: {
                    let id = id.clone();
                    move |_| {
                        let is_open = dom::find(&format!("#{id}:popover-open")).is_some();
                        expanded.set(is_open);
                        if is_open {
                            onopen.call(());
                            dom::focus(&format!("#{id} button"));
                        }
                    }
                },
                onkeydown: move_focus,
                onclick: {
                    let id = id.clone();
                    move |_| close(&id)
                },
                {children}
            }
        }
    }
}

/// An entry of a [`Menu`].
#[component]
pub fn MenuItem(
    #[props(default)] icon: Option<IconName>,
    /// For an entry that is one of several choices: whether it is the chosen one.
    #[props(default)]
    checked: Option<bool>,
    #[props(default)] danger: bool,
    /// Whether the entry changes something on the server at once. Such entries are disabled while the server is
    /// unreachable.
    #[props(default)]
    acts: bool,
    onselect: EventHandler<()>,
    children: Element,
) -> Element {
    rsx! {
        button {
            r#type: "button",
            class: if danger { "danger" },
            role: if checked.is_some() { "menuitemradio" } else { "menuitem" },
            "aria-checked": checked.map(|checked| checked.to_string()),
            "data-act": acts.then_some("true"),
            onclick: move |_| onselect.call(()),
            if let Some(icon) = icon {
                Icon { name: icon }
            }
            {children}
        }
    }
}

fn close(id: &str) {
    if let Some(menu) = dom::find(&format!("#{id}")) {
        let _ = menu.hide_popover();
    }
}

/// Moves the focus between the entries of a menu with the arrow keys, Home and End.
pub(super) fn move_focus(event: KeyboardEvent) {
    let Some(raw) = event.data().try_as_web_event() else { return };
    let Some(menu) = dom::closest(&raw, "[role=menu]") else { return };
    let Ok(items) = menu.query_selector_all("button") else { return };
    let active = dom::active_element();
    let count = items.length();
    let position = (0..count).find(|index| items.get(*index).as_ref() == active.as_ref().map(AsRef::as_ref));
    let next = match (event.key(), position) {
        (Key::ArrowDown, Some(position)) => (position + 1) % count.max(1),
        (Key::ArrowUp, Some(position)) => (position + count - 1) % count.max(1),
        (Key::ArrowDown | Key::Home, _) => 0,
        (Key::ArrowUp | Key::End, _) => count.saturating_sub(1),
        _ => return,
    };
    event.prevent_default();
    if let Some(item) = items.get(next).and_then(|item| item.dyn_into::<HtmlElement>().ok()) {
        let _ = item.focus();
    }
}
