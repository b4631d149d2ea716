//! Starts the app, and shows a message after a panic, because the page no longer responds then.

use std::rc::Rc;

use dioxus::{
    document::{Document, NoOpDocument},
    prelude::*,
};
use wasm_bindgen::{JsCast as _, closure::Closure, prelude::wasm_bindgen};
use web_sys::{Element, HtmlElement};

use crate::{address, app::App, dom, draft, focus, lazy};

/// Starts the app. The page's script calls it once the module is loaded.
#[wasm_bindgen(start)]
pub fn start() {
    std::panic::set_hook(Box::new(|info| show_panic(&info.to_string())));
    if let Some(window) = web_sys::window() {
        let listener = Closure::<dyn FnMut()>::new(address::note_history_move);
        let _ = window.add_event_listener_with_callback("popstate", listener.as_ref().unchecked_ref());
        listener.forget();
    }
    remove_skeleton();
    address::note_first();
    lazy::watch_links();
    focus::refuse_disabled();
    focus::refuse_repeated_enter();
    LaunchBuilder::web().with_context_provider(|| Box::new(quiet_document())).launch(App);
}

/// Panics in development if the address has the parameter `panic`, so that the message of a panic can be tested.
pub fn panic_if_asked(environment: &str) {
    assert!(
        environment != "development" || address::parameter("panic").is_none(),
        "The address asks for a panic, with `?panic=1`."
    );
}

/// Reloads the page, but not into the same panic.
fn reload() {
    if address::parameter("panic").is_some() {
        dom::open_here(&address::path());
    } else {
        dom::reload();
    }
}

/// Removes the placeholder in the page's HTML, because Dioxus does not replace it.
fn remove_skeleton() {
    if let Some(main) = dom::find("#main") {
        main.set_text_content(None);
        let _ = main.set_attribute("data-started", "true");
    }
}

/// A document whose `eval` does nothing. The default one runs text as JavaScript, which the page's policy forbids.
fn quiet_document() -> Rc<dyn Document> {
    Rc::new(NoOpDocument)
}

/// Covers the page with the message of a panic. Does not use Dioxus, whose state may be locked.
fn show_panic(message: &str) {
    web_sys::console::error_1(&message.into());
    let details = format!("AtlasHub {}\n{message}", api_types::VERSION);
    let Some(document) = dom::document() else { return };
    let (Ok(cover), Some(body)) = (document.create_element("div"), document.body()) else { return };
    cover.set_class_name("startup-failure");
    for (name, value) in [("role", "alertdialog"), ("aria-modal", "true"), ("aria-label", "The dashboard stopped")] {
        let _ = cover.set_attribute(name, value);
    }
    add(&cover, "h1", "", "The dashboard stopped");
    let explanation = format!("This is a bug in the dashboard. Reload the page to continue. {}", draft::KEPT);
    add(&cover, "p", "muted", &explanation);
    add(&cover, "pre", "mono muted", &details);
    let buttons = add(&cover, "div", "row", "");
    let row = buttons.as_ref().unwrap_or(&cover);
    let reload = add_button(row, "btn btn-primary", "Reload", reload);
    add_button(row, "btn", "Copy details", move || {
        if let Some(window) = web_sys::window() {
            let _ = window.navigator().clipboard().write_text(&details);
        }
    });
    let _ = body.append_child(&cover);
    if let Some(reload) = reload {
        let _ = reload.focus();
    }
}

fn add(parent: &Element, tag: &str, class: &str, text: &str) -> Option<Element> {
    let element = dom::document()?.create_element(tag).ok()?;
    element.set_class_name(class);
    element.set_text_content(Some(text));
    parent.append_child(&element).ok()?;
    Some(element)
}

fn add_button(parent: &Element, class: &str, text: &str, act: impl FnMut() + 'static) -> Option<HtmlElement> {
    let button = add(parent, "button", class, text)?.dyn_into::<HtmlElement>().ok()?;
    let act = Closure::<dyn FnMut()>::new(act);
    let _ = button.add_event_listener_with_callback("click", act.as_ref().unchecked_ref());
    act.forget();
    Some(button)
}
