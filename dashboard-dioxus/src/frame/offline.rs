//! Disables actions while the server is unreachable. The owner can still read and type.
//!
//! Actions are buttons of pages. Pages do not know the state of the connection, so this module finds the buttons in the
//! document.

use std::cell::{Cell, RefCell};

use dioxus::prelude::*;
use gloo_timers::future::TimeoutFuture;
use wasm_bindgen::{JsCast as _, closure::Closure};
use web_sys::Event;

use crate::{
    dom,
    remote::connection::{self, Connection},
};

/// Selects the enabled buttons that change something on the server: those with the style of a main or dangerous action,
/// and those that are marked with `data-act`.
const ACTS: &str = ":is(main, dialog) :is(.btn-primary, .btn-danger, [data-act])\
                    :not([data-offline], :disabled, [aria-disabled=true])";

/// Attribute that stores a button's own tooltip while the button is disabled.
const TITLE: &str = "data-offline-title";

const REASON: &str = "Not connected to the server";

/// Interval at which the document is searched for buttons that pages have added.
const INTERVAL_MS: u32 = 250;

type Listener = Closure<dyn FnMut(Event)>;

thread_local! {
    static IS_LOST: Cell<bool> = const { Cell::new(false) };
    static LISTENER: RefCell<Option<Listener>> = const { RefCell::new(None) };
}

/// Disables actions while the connection is lost. Their tooltips show the reason.
pub(super) fn use_disabled_acts() {
    use_hook(refuse_acts);
    let is_lost = matches!(connection::state(), Connection::Lost { .. });
    use_resource(use_reactive!(|is_lost| async move {
        IS_LOST.set(is_lost);
        if !is_lost {
            return enable();
        }
        loop {
            disable();
            TimeoutFuture::new(INTERVAL_MS).await;
        }
    }));
}

fn disable() {
    // A page that is drawn again writes the same attribute.
    for act in dom::find_all("[data-offline]:not([aria-disabled=true])") {
        let _ = act.set_attribute("aria-disabled", "true");
    }
    for act in dom::find_all(ACTS) {
        if let Some(title) = act.get_attribute("title") {
            let _ = act.set_attribute(TITLE, &title);
        }
        for (name, value) in [("aria-disabled", "true"), ("data-offline", ""), ("title", REASON)] {
            let _ = act.set_attribute(name, value);
        }
    }
}

fn enable() {
    for act in dom::find_all("[data-offline]") {
        for name in ["aria-disabled", "data-offline", "title"] {
            let _ = act.remove_attribute(name);
        }
        if let Some(title) = act.get_attribute(TITLE) {
            let _ = act.set_attribute("title", &title);
            let _ = act.remove_attribute(TITLE);
        }
    }
}

/// Stops clicks on actions, and the submission of forms, before the page sees them. Does nothing unless the connection
/// is lost.
fn refuse_acts() {
    let Some(document) = dom::document() else { return };
    if LISTENER.with_borrow(Option::is_some) {
        return;
    }
    let listener = Listener::new(|event: Event| {
        let is_act = || {
            let target = event.target().and_then(|target| target.dyn_into::<web_sys::Element>().ok());
            target.is_some_and(|target| target.closest("[data-offline]").ok().flatten().is_some())
        };
        if IS_LOST.get() && (event.type_() == "submit" || is_act()) {
            event.prevent_default();
            event.stop_immediate_propagation();
        }
    });
    for kind in ["click", "submit"] {
        let _ = document.add_event_listener_with_callback_and_bool(kind, listener.as_ref().unchecked_ref(), true);
    }
    LISTENER.with_borrow_mut(|current| *current = Some(listener));
}
