//! A line of a log, with the matches of the search and its details.

use api_types::LogLevel;
use dioxus::{prelude::*, web::WebEventExt as _};
use wasm_bindgen::JsCast as _;

use super::{find, tail::Line};
use crate::text;

/// The marks that distinguish a line from the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Emphasis {
    /// The line contains the match that "Next match" moved to.
    pub(super) is_match: bool,
    /// The arrow keys moved to the line, or it was clicked.
    pub(super) is_current: bool,
    /// The details of the line are shown.
    pub(super) has_details: bool,
}

/// One line. A click on it shows or hides its details.
#[component]
pub(super) fn LogRow(
    line: Line,
    wanted: String,
    emphasis: Emphasis,
    on_toggle: EventHandler<()>,
    /// Called with the height of the details, in pixels.
    on_height: EventHandler<f64>,
) -> Element {
    let current = if emphasis.is_current { " is-current" } else { "" };
    rsx! {
        div {
            class: "{level_class(line.level)}{current}",
            "aria-current": emphasis.is_current.then_some("true"),
            onclick: move |_| {
                // A click that selects text must not move the lines.
                if !has_selection() {
                    on_toggle.call(());
                }
            },
            time { title: text::exact(line.at), {line.at.format("%H:%M:%S%.3f").to_string()} }
            span { class: "lv", {line.level.as_str().to_uppercase()} }
            span { class: "line-text",
                Marked { text: line.message.to_string(), wanted: wanted.clone(), is_current: emphasis.is_match }
                if !line.fields.is_empty() {
                    " "
                    span { class: "f", Marked { text: line.fields.to_string(), wanted, is_current: emphasis.is_match } }
                }
            }
        }
        if emphasis.has_details {
            span {
                class: "line-detail",
                onmounted: move |event| {
                    let element = event.data().try_as_web_event();
                    let element = element.and_then(|element| element.dyn_into::<web_sys::HtmlElement>().ok());
                    if let Some(element) = element {
                        on_height.call(element.offset_height().into());
                    }
                },
                pre { "{line.message}" }
                if !line.fields.is_empty() {
                    pre { class: "f", "{line.fields}" }
                }
            }
        }
    }
}

/// A text with the matches of the search marked.
#[component]
fn Marked(text: String, wanted: String, is_current: bool) -> Element {
    if wanted.is_empty() {
        return rsx! { "{text}" };
    }
    rsx! {
        for (index, part) in find::parts(&text, &wanted).into_iter().enumerate() {
            if part.is_hit {
                mark { key: "{index}", class: if is_current { "is-on" }, "{part.text}" }
            } else {
                span { key: "{index}", "{part.text}" }
            }
        }
    }
}

/// Returns whether text of the page is selected.
fn has_selection() -> bool {
    let selected = || {
        let window = web_sys::window()?;
        let select = js_sys::Reflect::get(&window, &"getSelection".into()).ok()?.dyn_into::<js_sys::Function>().ok()?;
        Some(select.call0(&window).ok()?.dyn_into::<js_sys::Object>().ok()?.to_string().length())
    };
    selected().is_some_and(|length| length > 0)
}

const fn level_class(level: LogLevel) -> &'static str {
    match level {
        LogLevel::Warn => "line warn",
        LogLevel::Error => "line err",
        _ => "line",
    }
}
