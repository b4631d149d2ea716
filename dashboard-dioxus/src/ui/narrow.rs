//! Follows whether the window is as narrow as a phone.

use std::cell::RefCell;

use dioxus::prelude::*;
use wasm_bindgen::{JsCast as _, closure::Closure};
use web_sys::MediaQueryList;

static IS_NARROW: GlobalSignal<bool> = Signal::global(|| false);

thread_local! {
    static WATCHED: RefCell<Option<MediaQueryList>> = const { RefCell::new(None) };
}

/// Returns whether the page is as narrow as a phone. Tables then become lists of cards.
pub fn use_is_narrow() -> bool {
    use_hook(watch);
    *IS_NARROW.read()
}

/// Returns the same as [`use_is_narrow`], outside of a component and without a subscription.
pub fn is_narrow() -> bool {
    watch();
    *IS_NARROW.peek()
}

fn watch() {
    if WATCHED.with_borrow(Option::is_some) {
        return;
    }
    let query = web_sys::window().and_then(|window| window.match_media("(max-width: 640px)").ok().flatten());
    let Some(query) = query else { return };
    *IS_NARROW.write() = query.matches();
    let runtime = dioxus::core::Runtime::current();
    let watched = query.clone();
    let listener = Closure::<dyn FnMut()>::new(move || {
        let is_narrow = watched.matches();
        runtime.in_scope(ScopeId::ROOT, || *IS_NARROW.write() = is_narrow);
    });
    let _ = query.add_event_listener_with_callback("change", listener.as_ref().unchecked_ref());
    listener.forget();
    WATCHED.with_borrow_mut(|current| *current = Some(query));
}
