//! The app: the router, which shows the page at the current address.

use dioxus::prelude::*;

use crate::route::Route;

#[component]
pub fn App() -> Element {
    rsx! {
        Router::<Route> {}
    }
}
