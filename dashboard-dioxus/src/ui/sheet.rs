//! The panel beside a list.

use std::sync::atomic::{AtomicU32, Ordering};

use dioxus::prelude::*;

use super::{
    Icon, IconName,
    dialog::{has_open_popover, submit_by_key, submits, use_returned_focus},
};
use crate::dom;

static NEXT_ID: AtomicU32 = AtomicU32::new(0);

/// A panel on the right, beside the list that it belongs to. Esc closes it.
#[component]
pub fn Sheet(
    title: String,
    #[props(default)] wide: bool,
    on_close: EventHandler<()>,
    footer: Option<Element>,
    children: Element,
) -> Element {
    use_returned_focus();
    // The explanation of a list can be open beside another sheet, so each has ids of its own.
    let id = use_hook(|| format!("sheet-{}", NEXT_ID.fetch_add(1, Ordering::Relaxed)));
    let body = format!("#{id} > .body");
    rsx! {
        div {
            id: "{id}",
            class: if wide { "sheet sheet-wide" } else { "sheet" },
            role: "dialog",
            "aria-labelledby": "{id}-title",
            tabindex: "-1",
            onmounted: {
                let id = id.clone();
                move |_| {
                    // Focuses the field with `autofocus`, the first field, or the sheet itself if there is none.
                    let is_focused = dom::focus(&format!("{body} [autofocus]"))
                        || dom::focus(&format!("{body} input:not([disabled]), {body} textarea"));
                    if !is_focused {
                        dom::focus(&format!("#{id}"));
                    }
                }
            },
            onkeydown: move |event| {
                if submits(&event) {
                    event.prevent_default();
                    submit_by_key(&event, ".sheet");
                } else if event.key() == Key::Escape && !has_open_popover() {
                    event.prevent_default();
                    event.stop_propagation();
                    on_close.call(());
                }
            },
            header {
                h2 { id: "{id}-title", class: "grow cut", "{title}" }
                button {
                    class: "btn btn-ghost btn-icon",
                    r#type: "button",
                    "aria-label": "Close",
                    onclick: move |_| on_close.call(()),
                    Icon { name: IconName::Close }
                }
            }
            div { class: "body", {children} }
            if let Some(footer) = footer {
                footer { {footer} }
            }
        }
    }
}
