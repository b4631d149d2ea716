//! Submits a form with Ctrl-Enter.

use dioxus::{prelude::*, web::WebEventExt as _};
use wasm_bindgen::JsCast as _;
use web_sys::HtmlElement;

use crate::dom;

/// Submits the form around the event's target if the keys are Ctrl-Enter or ⌘-Enter, unless its button is disabled.
/// Dialogs and sheets handle these keys themselves.
pub(super) fn submit_by_key(event: &KeyboardEvent) {
    if event.key() != Key::Enter || !(event.modifiers().ctrl() || event.modifiers().meta()) {
        return;
    }
    let form = event.data().try_as_web_event().and_then(|event| dom::closest(&event, "form"));
    let button = form.and_then(|form| form.query_selector("button[type=submit]").ok().flatten());
    if let Some(button) = button.and_then(|button| button.dyn_into::<HtmlElement>().ok()) {
        event.prevent_default();
        button.click();
    }
}
