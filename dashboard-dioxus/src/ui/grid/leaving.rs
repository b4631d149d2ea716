//! Runs code when the tab leaves the page.

use std::rc::Rc;

use dioxus::prelude::*;
use wasm_bindgen::{JsCast as _, closure::Closure};

const EVENT: &str = "pagehide";

/// Calls `act` when the tab is reloaded or closed, or opens another document. The tab's storage can still be written.
pub(super) fn use_leaving(act: impl Fn() + 'static) {
    let listener = use_hook(move || {
        let runtime = dioxus::core::Runtime::current();
        let scope = dioxus::core::current_scope_id();
        let listener = Closure::<dyn FnMut()>::new(move || runtime.in_scope(scope, &act));
        if let Some(window) = web_sys::window() {
            let _ = window.add_event_listener_with_callback(EVENT, listener.as_ref().unchecked_ref());
        }
        Rc::new(listener)
    });
    use_drop(move || {
        if let Some(window) = web_sys::window() {
            let _ = window.remove_event_listener_with_callback(EVENT, listener.as_ref().as_ref().unchecked_ref());
        }
    });
}
