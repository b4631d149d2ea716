//! Keeps the focus in the page while an action is in progress, and when the element that has it is removed.
//!
//! A browser takes the focus from an element that gets the attribute `disabled`, and from an element that is removed.
//! The next key then goes to the page instead of the form. So a button that its own click disables, for example while
//! its request is in progress, has `aria-disabled` instead, and this module ignores clicks on it.

use wasm_bindgen::{JsCast as _, JsValue, closure::Closure};
use web_sys::{Event, KeyboardEvent, MutationObserver, MutationObserverInit};

use crate::dom;

/// Stops clicks on elements with `aria-disabled` before the page sees them. That includes the click that a browser
/// sends to the button of a form when Enter is pressed in a field. Call this once.
pub fn refuse_disabled() {
    let Some(document) = dom::document() else { return };
    let listener = Closure::<dyn FnMut(Event)>::new(|event: Event| {
        if dom::closest(&event, "[aria-disabled=true]").is_some() {
            event.prevent_default();
            event.stop_immediate_propagation();
        }
    });
    let _ = document.add_event_listener_with_callback_and_bool("click", listener.as_ref().unchecked_ref(), true);
    // The listener lives as long as the page.
    listener.forget();
}

/// Ignores the repetitions of Enter while the key is held on a button or in a field. Otherwise the first one after the
/// end of an action would start the action again. Call this once.
pub fn refuse_repeated_enter() {
    let Some(document) = dom::document() else { return };
    let listener = Closure::<dyn FnMut(Event)>::new(|event: Event| {
        // Browsers that fill in a form also send events without a key.
        let is_repeated =
            event.dyn_ref::<KeyboardEvent>().is_some_and(|event| event.repeat() && event.key() == "Enter");
        if is_repeated && dom::closest(&event, "button, input").is_some() {
            event.prevent_default();
        }
    });
    let _ = document.add_event_listener_with_callback_and_bool("keydown", listener.as_ref().unchecked_ref(), true);
    // The listener lives as long as the page.
    listener.forget();
}

/// Focuses the first element that matches `selector` if the element that has the focus now is removed before another
/// one gets the focus.
pub fn hand_over(selector: impl Into<String>) {
    let selector = selector.into();
    let Some(body) = dom::document().and_then(|document| document.body()) else { return };
    let Some(element) = dom::active_element().filter(|element| element.tag_name() != "BODY") else { return };
    let on_change = Closure::<dyn FnMut(JsValue, MutationObserver)>::new(move |_, observer: MutationObserver| {
        let active = dom::active_element();
        if active.as_ref() == Some(&element) {
            return;
        }
        observer.disconnect();
        if !element.is_connected() && active.is_none_or(|active| active.tag_name() == "BODY") {
            dom::focus(&selector);
        }
    });
    let on_change = on_change.into_js_value();
    let Ok(observer) = MutationObserver::new(on_change.unchecked_ref()) else { return };
    let options = MutationObserverInit::new();
    options.set_child_list(true);
    options.set_subtree(true);
    let _ = observer.observe_with_options(&body, &options);
}
