//! Disables actions while the server is unreachable. The owner can still read and type.
//!
//! Actions are buttons of pages. Pages do not know the state of the connection, so this module finds the buttons in the
//! document.

use std::cell::{Cell, RefCell};

use dioxus::prelude::*;
use gloo_timers::future::TimeoutFuture;
use js_sys::Array;
use wasm_bindgen::{JsCast as _, JsValue, closure::Closure};
use web_sys::{Element, Event, MutationObserver, MutationObserverInit, MutationRecord};

use crate::{
    dom,
    remote::connection::{self, Connection},
};

/// Selects the enabled buttons that change something on the server: those with the style of a main or dangerous action,
/// and those that are marked with `data-act`.
const ACTS: &str = ":is(main, dialog) :is(.btn-primary, .btn-danger, [data-act])\
                    :not([data-offline], :disabled, [aria-disabled=true])";

/// Marks the buttons that this module has disabled.
const MARK: &str = "data-offline";

const REASON: &str = "Not connected to the server";

/// The attributes that a button has while it is disabled. See [`own_attribute`] for those that the page wrote.
const REPLACED: [(&str, &str); 2] = [("aria-disabled", "true"), ("title", REASON)];

/// Interval at which the document is searched for buttons that pages have added.
const INTERVAL_MS: u32 = 250;

type Listener = Closure<dyn FnMut(Event)>;

thread_local! {
    static IS_LOST: Cell<bool> = const { Cell::new(false) };
    static LISTENER: RefCell<Option<Listener>> = const { RefCell::new(None) };
    static OBSERVER: RefCell<Option<MutationObserver>> = const { RefCell::new(None) };
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
        OBSERVER.with_borrow_mut(|observer| {
            if observer.is_none() {
                *observer = observe();
            }
        });
        loop {
            disable();
            TimeoutFuture::new(INTERVAL_MS).await;
        }
    }));
}

fn disable() {
    let acts = dom::find_all(ACTS);
    if acts.is_empty() {
        return;
    }
    let observer = OBSERVER.with_borrow(Option::clone);
    if let Some(observer) = &observer {
        note_changes(&observer.take_records());
    }
    for act in acts {
        for (name, value) in REPLACED {
            copy_attribute(&act, name, &own_attribute(name));
            let _ = act.set_attribute(name, value);
        }
        let _ = act.set_attribute(MARK, "");
    }
    if let Some(observer) = &observer {
        // The changes of this function itself.
        observer.take_records();
    }
}

fn enable() {
    if let Some(observer) = OBSERVER.take() {
        note_changes(&observer.take_records());
        observer.disconnect();
    }
    for act in dom::find_all("[data-offline]") {
        for (name, _) in REPLACED {
            let own = own_attribute(name);
            copy_attribute(&act, &own, name);
            let _ = act.remove_attribute(&own);
        }
        let _ = act.remove_attribute(MARK);
    }
}

/// Observes what the page writes to disabled buttons. The page may write the value that the attribute already has, for
/// example when a form no longer has changes. Comparing values would not find that.
fn observe() -> Option<MutationObserver> {
    let body = dom::document()?.body()?;
    let on_change =
        Closure::<dyn FnMut(JsValue, MutationObserver)>::new(|records: JsValue, observer: MutationObserver| {
            note_changes(records.unchecked_ref());
            // The changes that `note_changes` itself has made.
            observer.take_records();
        });
    let observer = MutationObserver::new(on_change.into_js_value().unchecked_ref()).ok()?;
    let options = MutationObserverInit::new();
    options.set_attribute_filter(&Array::of2(&"aria-disabled".into(), &"title".into()));
    options.set_subtree(true);
    observer.observe_with_options(&body, &options).ok()?;
    Some(observer)
}

/// Stores what the page has written to disabled buttons, and disables them again.
fn note_changes(records: &Array) {
    let changes: Vec<(Element, String)> = records
        .iter()
        .filter_map(|record| {
            let record = record.dyn_into::<MutationRecord>().ok()?;
            let act = record.target()?.dyn_into::<Element>().ok().filter(|act| act.has_attribute(MARK))?;
            Some((act, record.attribute_name()?))
        })
        .collect();
    // All values are read first: a button may have several records.
    for (act, name) in &changes {
        copy_attribute(act, name, &own_attribute(name));
    }
    for (act, name) in &changes {
        if let Some((_, value)) = REPLACED.iter().find(|(replaced, _)| replaced == name) {
            let _ = act.set_attribute(name, value);
        }
    }
}

/// Returns the name of the attribute that stores the page's own value while a button is disabled.
fn own_attribute(name: &str) -> String {
    format!("{MARK}-{name}")
}

/// Copies an attribute. Removes the copy if the element does not have the attribute.
fn copy_attribute(element: &Element, from: &str, to: &str) {
    let _ = match element.get_attribute(from) {
        Some(value) => element.set_attribute(to, &value),
        None => element.remove_attribute(to),
    };
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
