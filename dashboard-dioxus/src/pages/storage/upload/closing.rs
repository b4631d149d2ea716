use std::cell::Cell;

use wasm_bindgen::{JsCast as _, closure::Closure};
use web_sys::BeforeUnloadEvent;

thread_local! {
    static HAS_UPLOADS: Cell<bool> = const { Cell::new(false) };
    static IS_LISTENING: Cell<bool> = const { Cell::new(false) };
}

/// Sets whether the browser asks before it closes or reloads the page, which would end the uploads.
pub(super) fn ask_before_closing(has_uploads: bool) {
    HAS_UPLOADS.set(has_uploads);
    if !has_uploads || IS_LISTENING.replace(true) {
        return;
    }
    let listener = Closure::<dyn FnMut(BeforeUnloadEvent)>::new(|event: BeforeUnloadEvent| {
        if HAS_UPLOADS.get() {
            event.prevent_default();
            // Older browsers ask only if this is set; none shows the text.
            event.set_return_value("Uploads are in progress.");
        }
    });
    if let Some(window) = web_sys::window() {
        let _ = window.add_event_listener_with_callback("beforeunload", listener.as_ref().unchecked_ref());
    }
    listener.forget();
}
