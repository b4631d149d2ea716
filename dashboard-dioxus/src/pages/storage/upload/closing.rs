//! Lets the browser ask before it closes the page while uploads are in progress.

use std::cell::Cell;

use wasm_bindgen::{JsCast as _, closure::Closure};
use web_sys::BeforeUnloadEvent;

/// A kind of upload that ends if the page is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UploadKind {
    /// Uploads into a bucket.
    Objects,
    /// Files to import.
    Imports,
    /// Archives to restore.
    Archives,
}

thread_local! {
    static HAS_OBJECTS: Cell<bool> = const { Cell::new(false) };
    static HAS_IMPORTS: Cell<bool> = const { Cell::new(false) };
    static HAS_ARCHIVES: Cell<bool> = const { Cell::new(false) };
    static IS_LISTENING: Cell<bool> = const { Cell::new(false) };
}

/// Records whether uploads of this kind are in progress. While any are, the browser asks before it closes or reloads
/// the page, which would end them.
pub fn ask_before_closing(kind: UploadKind, has_uploads: bool) {
    match kind {
        UploadKind::Objects => HAS_OBJECTS.set(has_uploads),
        UploadKind::Imports => HAS_IMPORTS.set(has_uploads),
        UploadKind::Archives => HAS_ARCHIVES.set(has_uploads),
    }
    if !has_uploads || IS_LISTENING.replace(true) {
        return;
    }
    let listener = Closure::<dyn FnMut(BeforeUnloadEvent)>::new(|event: BeforeUnloadEvent| {
        if HAS_OBJECTS.get() || HAS_IMPORTS.get() || HAS_ARCHIVES.get() {
            event.prevent_default();
            // Older browsers ask only if this is set. No browser shows the text.
            event.set_return_value("Uploads are in progress.");
        }
    });
    if let Some(window) = web_sys::window() {
        let _ = window.add_event_listener_with_callback("beforeunload", listener.as_ref().unchecked_ref());
    }
    listener.forget();
}
