//! Moves the focus after a change: to the grid of a table in which a form has created something, or to another element
//! if the one that opened the dialog is gone.

use gloo_timers::future::TimeoutFuture;
use wasm_bindgen::JsCast as _;
use web_sys::{Element, HtmlElement};

use crate::dom;

/// Milliseconds between two checks of the page, and the maximum number of checks.
const INTERVAL_MS: u32 = 100;
const MAX_CHECKS: u32 = 20;

/// Focuses the grid of a table as soon as the page shows it: its cell with the tab stop, or its first header if the
/// table `is_empty`. Does nothing if the owner types elsewhere by then, or if the grid does not appear within two
/// seconds.
pub(super) fn focus_grid(table: &str, is_empty: bool) {
    let name = format!("Rows of {table}");
    let selector = if is_empty { "th button" } else { "td[tabindex='0']" };
    dioxus::core::spawn_forever(async move {
        for _ in 0..MAX_CHECKS {
            // The form that closes first returns the focus to the button that opened it.
            TimeoutFuture::new(INTERVAL_MS).await;
            let active = dom::active_element();
            let is_in = |selector: &str| {
                active.as_ref().is_some_and(|active: &Element| matches!(active.matches(selector), Ok(true)))
            };
            if is_in(".sheet *") {
                continue;
            }
            if is_in("input, textarea, select") {
                return;
            }
            let is_table = |grid: &HtmlElement| grid.get_attribute("aria-label").as_deref() == Some(name.as_str());
            let grid = dom::find_all(".data-grid table").into_iter().find(is_table);
            let found = grid.and_then(|grid| grid.query_selector(selector).ok().flatten());
            if let Some(element) = found.and_then(|element| element.dyn_into::<HtmlElement>().ok()) {
                let _ = element.focus();
                return;
            }
        }
    });
}

/// Focuses an element behind a dialog as soon as the dialog is closed, or the content of the page if there is no such
/// element. Does nothing if the dialog is still open after two seconds.
pub(super) fn focus_behind_dialog(selector: &'static str) {
    dioxus::core::spawn_forever(async move {
        for _ in 0..MAX_CHECKS {
            // The dialog first returns the focus to the element that opened it.
            TimeoutFuture::new(INTERVAL_MS).await;
            if dom::find("dialog[open]").is_none() {
                if !dom::focus(selector) {
                    dom::focus("#main-content");
                }
                return;
            }
        }
    });
}
