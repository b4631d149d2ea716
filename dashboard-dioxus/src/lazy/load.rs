//! Loads the module of a page, and shows the page once its module is loaded.

use dioxus::prelude::*;
use gloo_timers::future::TimeoutFuture;
use wasm_bindgen::prelude::*;

use crate::{
    dom,
    draft::KEPT,
    frame::{overlay, page::Page},
    pages::overview,
    ui::Dialog,
};

/// Time before the app loads a module that the first page does not need.
const LATER_MS: u32 = 2_000;

/// Interval at which the app checks whether a page needs such a module at once.
const CHECK_MS: u32 = 50;

/// Time after a failure before the app requests such a module again.
const RETRY_MS: u32 = 15_000;

/// The explanation shown if a module could not be loaded.
const REASON: &str = "AtlasHub may have been upgraded or may not be responding.";

#[wasm_bindgen]
extern "C" {
    /// Loads a module once. `web/start.js` defines it.
    #[wasm_bindgen(catch, js_name = loadModule)]
    async fn load_module(name: &str) -> Result<(), JsValue>;

    /// Returns whether a module is loaded, or part of the first one. `web/start.js` defines it.
    #[wasm_bindgen(js_name = hasModule)]
    fn has_module(name: &str) -> bool;
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Module {
    Loading,
    Loaded,
    Failed,
}

/// Shows a page. `show` is called once the module is loaded.
pub(super) fn page(module: &'static str, show: impl FnOnce() -> Element) -> Element {
    match use_module(module) {
        Module::Loaded => show(),
        // The page's HTML and the frame showed the same placeholder before.
        Module::Loading => rsx! {
            main { class: "main", id: "main-content", tabindex: "-1", "aria-busy": "true",
                div { class: "head", div { span { class: "sk w-45" } } }
            }
        },
        Module::Failed => rsx! {
            Page { title: "This page could not be loaded", NotLoaded {} }
        },
    }
}

/// Shows a page outside of the frame.
pub(super) fn solo(module: &'static str, show: impl FnOnce() -> Element) -> Element {
    match use_module(module) {
        Module::Loaded => show(),
        Module::Loading => rsx! { main { class: "solo", "aria-busy": "true" } },
        Module::Failed => rsx! {
            main { class: "solo", div { class: "solo-card", NotLoaded {} } }
        },
    }
}

/// Shows the regions of the overview, whose heading is already shown.
pub(super) fn regions(module: &'static str, show: impl FnOnce() -> Element) -> Element {
    match use_module(module) {
        Module::Loaded => show(),
        Module::Loading => rsx! { overview::Loading {} },
        Module::Failed => rsx! { NotLoaded {} },
    }
}

/// Shows a dialog or a sheet over the page.
pub(super) fn dialog(module: &'static str, show: impl FnOnce() -> Element) -> Element {
    match use_module(module) {
        Module::Loaded => show(),
        Module::Loading => rsx! {},
        Module::Failed => rsx! { DialogNotLoaded {} },
    }
}

/// Whether the page needs the modules of [`later`] at once.
static IS_NEEDED: GlobalSignal<bool> = Signal::global(|| false);

/// Loads the modules of [`later`] at once.
pub fn load_background() {
    *IS_NEEDED.write() = true;
}

/// Shows a part that the first page does not need. Loads the module after [`LATER_MS`], so that the browser has time
/// for the page, or as soon as a page calls [`load_background`]. Repeats the request until it succeeds.
pub(super) fn later(module: &'static str, show: impl FnOnce() -> Element) -> Element {
    let mut is_loaded = use_signal(|| has_module(module));
    use_hook(move || {
        if !*is_loaded.peek() {
            spawn(async move {
                let mut waited = 0;
                while waited < LATER_MS && !*IS_NEEDED.peek() {
                    TimeoutFuture::new(CHECK_MS).await;
                    waited += CHECK_MS;
                }
                while load_module(module).await.is_err() {
                    TimeoutFuture::new(RETRY_MS).await;
                }
                is_loaded.set(true);
            });
        }
    });
    if is_loaded() {
        show()
    } else {
        rsx! {}
    }
}

/// Starts to load a module. After a failure, opening the page tries again.
pub(super) fn start(module: &'static str) {
    if !has_module(module) {
        wasm_bindgen_futures::spawn_local(async move {
            let _ = load_module(module).await;
        });
    }
}

fn use_module(name: &'static str) -> Module {
    let mut module = use_signal(|| if has_module(name) { Module::Loaded } else { Module::Loading });
    use_hook(move || {
        if *module.peek() == Module::Loading {
            spawn(async move {
                let loaded = load_module(name).await;
                module.set(if loaded.is_ok() { Module::Loaded } else { Module::Failed });
            });
        }
    });
    module()
}

#[component]
fn NotLoaded() -> Element {
    rsx! {
        div { class: "empty", role: "alert",
            p { "{REASON} {KEPT}" }
            button { class: "btn btn-primary", r#type: "button", onclick: |_| dom::reload(), "Reload" }
        }
    }
}

#[component]
fn DialogNotLoaded() -> Element {
    let mut is_open = use_signal(|| true);
    let mut close = move |()| {
        is_open.set(false);
        overlay::close();
    };
    if !is_open() {
        return rsx! {};
    }
    rsx! {
        Dialog {
            title: "The dialog could not be loaded",
            alert: true,
            on_close: move |()| close(()),
            footer: rsx! {
                button { class: "btn", r#type: "button", onclick: move |_| close(()), "Close" }
                button {
                    class: "btn btn-primary", r#type: "button", autofocus: true, onclick: |_| dom::reload(), "Reload"
                }
            },
            p { "{REASON} {KEPT}" }
        }
    }
}
