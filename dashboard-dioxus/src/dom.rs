//! Operations on the page that Dioxus does not offer.

use wasm_bindgen::JsCast as _;
use web_sys::{Document, Element, HtmlElement};

/// Returns the document.
pub fn document() -> Option<Document> {
    web_sys::window()?.document()
}

/// Returns the first element that matches a selector.
pub fn find(selector: &str) -> Option<HtmlElement> {
    document()?.query_selector(selector).ok().flatten()?.dyn_into().ok()
}

/// Returns all elements that match a selector.
pub fn find_all(selector: &str) -> Vec<HtmlElement> {
    let Some(list) = document().and_then(|document| document.query_selector_all(selector).ok()) else {
        return Vec::new();
    };
    (0..list.length()).filter_map(|index| list.get(index)?.dyn_into().ok()).collect()
}

/// Focuses the first element that matches a selector. Returns false if no element matches.
pub fn focus(selector: &str) -> bool {
    find(selector).is_some_and(|element| element.focus().is_ok())
}

/// Returns the element that has the focus.
pub fn active_element() -> Option<Element> {
    document()?.active_element()
}

/// Returns the target of an event if it matches a selector, otherwise its nearest ancestor that does. An event's
/// `currentTarget` does not help: it is always the root of the page, where Dioxus listens.
pub fn closest(event: &web_sys::Event, selector: &str) -> Option<Element> {
    event.target()?.dyn_into::<Element>().ok()?.closest(selector).ok().flatten()
}

/// Returns whether the user has selected text on the page.
pub fn has_selected_text() -> bool {
    let selection = web_sys::window().and_then(|window| window.get_selection().ok().flatten());
    selection.is_some_and(|selection| !selection.is_collapsed())
}

/// Waits until the browser is about to draw the next frame.
pub async fn next_frame() {
    let frame = js_sys::Promise::new(&mut |resolve, _| {
        if let Some(window) = web_sys::window() {
            let _ = window.request_animation_frame(&resolve);
        }
    });
    let _ = wasm_bindgen_futures::JsFuture::from(frame).await;
}

/// Returns whether the window is narrower than a number of CSS pixels.
pub fn is_narrower_than(pixels: f64) -> bool {
    let width = web_sys::window().and_then(|window| window.inner_width().ok()?.as_f64());
    width.is_some_and(|width| width < pixels)
}

/// Returns whether the browser runs on a Mac. The SQL editor decides in the same way which keys it has.
pub fn is_mac() -> bool {
    let program = web_sys::window().and_then(|window| window.navigator().user_agent().ok());
    program.is_some_and(|program| program.contains("Macintosh"))
}

/// Scrolls just far enough to show an element.
pub fn scroll_into_view(id: &str) {
    let Some(element) = document().and_then(|document| document.get_element_by_id(id)) else { return };
    let options = web_sys::ScrollIntoViewOptions::new();
    options.set_block(web_sys::ScrollLogicalPosition::Nearest);
    options.set_inline(web_sys::ScrollLogicalPosition::Nearest);
    element.scroll_into_view_with_scroll_into_view_options(&options);
}

/// Returns 256 random bits in hexadecimal, for secrets.
pub fn random_hex() -> Option<String> {
    let mut bytes = [0; 32];
    web_sys::window()?.crypto().ok()?.get_random_values_with_u8_array(&mut bytes).ok()?;
    Some(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Opens an address in a new tab.
pub fn open_tab(address: &str) {
    if let Some(window) = web_sys::window() {
        let _ = window.open_with_url_and_target(address, "_blank");
    }
}

/// Downloads the response at an address as a file. A response from another origin must itself be an attachment.
pub fn download(address: &str) {
    let Some(link) = document().and_then(|document| document.create_element("a").ok()) else { return };
    let _ = link.set_attribute("href", address);
    let _ = link.set_attribute("download", "");
    if let Ok(link) = link.dyn_into::<HtmlElement>() {
        link.click();
    }
}

/// Sets the title of the document.
pub fn set_title(title: &str) {
    if let Some(document) = document() {
        document.set_title(title);
    }
}

/// Opens an address of the same origin with a real navigation, which ends the app.
pub fn open_here(address: &str) {
    if let Some(window) = web_sys::window() {
        let _ = window.location().assign(address);
    }
}

/// Reloads the page.
pub fn reload() {
    if let Some(window) = web_sys::window() {
        let _ = window.location().reload();
    }
}
