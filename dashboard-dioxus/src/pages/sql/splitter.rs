//! The movable line between editor and results.

use dioxus::{prelude::*, web::WebEventExt as _};
use wasm_bindgen::JsCast as _;

use super::workspace::Workspace;

/// Limits of the editor's height, and the step of the arrow keys, in pixels.
const MIN_HEIGHT: f64 = 80.0;
const MAX_HEIGHT: f64 = 900.0;
const STEP: f64 = 20.0;

#[component]
pub(super) fn Splitter(workspace: Workspace) -> Element {
    let mut grabbed = use_signal(|| None::<(f64, f64)>);
    let mut settings = workspace.settings;
    let height = settings.read().editor_height;
    let mut resize = move |height: f64| settings.write().editor_height = height.clamp(MIN_HEIGHT, MAX_HEIGHT);
    rsx! {
        div {
            class: "splitter",
            role: "separator",
            "aria-label": "Resize results",
            "aria-orientation": "horizontal",
            "aria-valuenow": "{height:.0}",
            "aria-valuemin": "{MIN_HEIGHT}",
            "aria-valuemax": "{MAX_HEIGHT}",
            tabindex: "0",
            onkeydown: move |event| {
                let height = settings.peek().editor_height;
                match event.key() {
                    Key::ArrowUp => resize(height - STEP),
                    Key::ArrowDown => resize(height + STEP),
                    Key::Home => resize(MIN_HEIGHT),
                    Key::End => resize(MAX_HEIGHT),
                    _ => return,
                }
                event.prevent_default();
                settings.peek().store();
            },
            onpointerdown: move |event| {
                event.prevent_default();
                if let Some(raw) = event.data().try_as_web_event()
                    && let Some(handle) = raw.target().and_then(|target| target.dyn_into::<web_sys::Element>().ok())
                {
                    let _ = handle.set_pointer_capture(raw.pointer_id());
                }
                grabbed.set(Some((event.client_coordinates().y, settings.peek().editor_height)));
            },
            onpointermove: move |event| {
                if let Some((from, height)) = *grabbed.peek() {
                    resize(height + event.client_coordinates().y - from);
                }
            },
            onpointerup: move |_| {
                grabbed.set(None);
                settings.peek().store();
            },
        }
    }
}
