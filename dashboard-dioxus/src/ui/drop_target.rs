//! Receives files that are dropped on the page.

use std::rc::Rc;

use dioxus::prelude::*;
use wasm_bindgen::{JsCast as _, closure::Closure};
use web_sys::{DataTransfer, DragEvent};

use super::{Icon, IconName};
use crate::dom;

const EVENTS: [&str; 4] = ["dragenter", "dragover", "dragleave", "drop"];

/// Accepts files that are dropped anywhere on the page. Outside of a smaller target, a drop would open the file in the
/// browser, in place of the dashboard.
///
/// `children` describe the effect of dropping the files. They are shown while files are over the page.
#[component]
pub fn DropTarget(on_drop: EventHandler<DataTransfer>, children: Element) -> Element {
    let mut over = use_signal(|| false);
    // Elements that were entered but not left: the pointer enters an element before it leaves the previous one.
    let mut depth = use_signal(|| 0_i32);
    let listener = use_hook(move || {
        let runtime = dioxus::core::Runtime::current();
        let scope = dioxus::core::current_scope_id();
        let listener = Closure::<dyn FnMut(DragEvent)>::new(move |event: DragEvent| {
            runtime.in_scope(scope, || {
                let Some(data) = event.data_transfer() else { return };
                if !data.types().includes(&"Files".into(), 0) || dom::find("dialog[open]").is_some() {
                    return;
                }
                event.prevent_default();
                match event.type_().as_str() {
                    "dragenter" => depth += 1,
                    "dragleave" => depth -= 1,
                    "drop" => {
                        depth.set(0);
                        on_drop.call(data);
                    }
                    _ => {}
                }
                over.set(*depth.peek() > 0);
            });
        });
        if let Some(document) = dom::document() {
            for name in EVENTS {
                let _ = document.add_event_listener_with_callback(name, listener.as_ref().unchecked_ref());
            }
        }
        Rc::new(listener)
    });
    use_drop(move || {
        if let Some(document) = dom::document() {
            for name in EVENTS {
                let _ = document.remove_event_listener_with_callback(name, listener.as_ref().as_ref().unchecked_ref());
            }
        }
    });
    if !over() {
        return rsx! {};
    }
    rsx! {
        div { class: "drop-over",
            p { class: "drop-note",
                Icon { name: IconName::Upload }
                {children}
            }
        }
    }
}
