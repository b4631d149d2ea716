//! Shows when a list was last read.

use dioxus::prelude::*;

use super::{Icon, IconName};
use crate::text;

/// The time at which a list was read, and a button that reads it again.
#[component]
pub fn Updated(
    /// Milliseconds since 1970.
    at: f64,
    on_refresh: EventHandler<()>,
) -> Element {
    rsx! {
        span { class: "push row row-1",
            span { class: "only-wide", "Updated {text::clock(at)}" }
            button {
                class: "btn btn-ghost btn-s btn-icon",
                r#type: "button",
                "aria-label": "Refresh",
                title: "Refresh",
                onclick: move |_| on_refresh.call(()),
                Icon { name: IconName::Refresh }
            }
        }
    }
}
