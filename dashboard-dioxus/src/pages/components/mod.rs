//! `/ui`: every component in every state. Available only in development.
//!
//! [`controls`] contains buttons and fields, [`floating`] contains overlays, and [`data`] contains lists, progress,
//! code, and the empty and error states of lists.

mod controls;
mod data;
mod floating;

use api_types::SystemInfo;
use dioxus::prelude::*;

use super::not_found::NotFound;
use crate::{frame::page::Page, remote::use_remote};

#[component]
pub fn Components() -> Element {
    let system = use_remote::<SystemInfo>(use_signal(|| "/system".to_owned()).into());
    match system.value() {
        None => rsx! {},
        Some(system) if system.environment != "development" => rsx! { NotFound { path: vec!["ui".to_owned()] } },
        Some(_) => rsx! {
            Page { title: "Components", subtitle: "Every component in every state, in the current theme.",
                div { class: "tiles",
                    controls::Buttons {}
                    controls::Fields {}
                    controls::Selects {}
                    controls::Choices {}
                    controls::Tabs {}
                    floating::Dialogs {}
                    floating::Menus {}
                    floating::Toasts {}
                    floating::PaletteSample {}
                    data::Marks {}
                    data::Facts {}
                    data::List {}
                    data::Cards {}
                    data::GridSample {}
                    data::Progress {}
                    data::States {}
                    data::Code {}
                    data::Tints {}
                }
            }
        },
    }
}

/// One component with its states.
#[component]
fn Tile(name: &'static str, children: Element) -> Element {
    rsx! {
        section { class: "tile", "aria-label": name,
            header { h2 { "{name}" } }
            div { class: "stage", div { class: "stack stage-in", {children} } }
        }
    }
}
