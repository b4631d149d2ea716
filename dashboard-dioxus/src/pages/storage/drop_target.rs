use std::{cell::RefCell, rc::Rc};

use dioxus::prelude::*;
use wasm_bindgen::{JsCast as _, closure::Closure};
use web_sys::DragEvent;

use super::upload::{self, Destination, files};
use crate::{
    dom,
    ui::{Icon, IconName},
};

const EVENTS: [&str; 4] = ["dragenter", "dragover", "dragleave", "drop"];

/// Accepts files that are dropped anywhere on the page. Beside a smaller target, a drop would open the file in the browser
/// and leave the dashboard.
#[component]
pub(super) fn DropTarget(to: Destination) -> Element {
    let mut over = use_signal(|| false);
    // The events "enter" and "leave" of elements under the pointer overlap.
    let mut depth = use_signal(|| 0_i32);
    let current = use_hook(|| Rc::new(RefCell::new(to.clone())));
    current.replace(to.clone());
    let target = current.clone();
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
                        if let Some(dropped) = files::dropped(&data) {
                            let to = target.borrow().clone();
                            dioxus::core::spawn_forever(async move { upload::add(&to, dropped.files().await) });
                        }
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
                "Drop files to upload them to "
                span { class: "mono", "{to.bucket}/{to.folder}" }
            }
        }
    }
}
