//! The panel beside a list.

use dioxus::prelude::*;

use super::{
    Icon, IconName,
    dialog::{has_open_popover, submit_by_key, submits, use_returned_focus},
};
use crate::dom;

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
    rsx! {
        div {
            class: if wide { "sheet sheet-wide" } else { "sheet" },
            role: "dialog",
            "aria-labelledby": "sheet-title",
            tabindex: "-1",
            onmounted: |_| {
                // Focuses the field with `autofocus`, the first field, or the sheet itself if there is none.
                let fields = [".sheet .body [autofocus]", ".sheet .body input:not([disabled]), .sheet .body textarea"];
                if !fields.into_iter().any(dom::focus) {
                    dom::focus(".sheet");
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
                h2 { id: "sheet-title", class: "grow cut", "{title}" }
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
