//! The frame of one page: its title, its actions and its content.

use std::{cell::RefCell, collections::HashMap};

use dioxus::{prelude::*, web::WebEventExt as _};
use gloo_timers::future::TimeoutFuture;

use super::destinations;
use crate::{
    address, dom,
    remote::{ProjectBrief, use_remote},
    route::Route,
};

/// Path and title of the shown page, for the breadcrumb.
static SHOWN: GlobalSignal<(String, String)> = Signal::global(Default::default);

thread_local! {
    /// Scroll positions of pages in pixels, by address. The window itself never scrolls.
    static SCROLLED: RefCell<HashMap<String, i32>> = RefCell::default();
}

/// Returns the title of the shown page if it is at this path, and subscribes the component to it.
pub(super) fn title_at(path: &str) -> Option<String> {
    let shown = SHOWN.read();
    (shown.0 == path).then(|| shown.1.clone())
}

/// A page. The document's title follows the page's.
#[component]
pub fn Page(
    title: String,
    #[props(default)] subtitle: String,
    acts: Option<Element>,
    /// Whether the content contains the heading, with the id `h1`.
    #[props(default)]
    own_head: bool,
    #[props(default)] class: String,
    children: Element,
) -> Element {
    use_document_title(&title);
    rsx! {
        main {
            class: "main {class}",
            id: "main-content",
            tabindex: "-1",
            "aria-labelledby": "h1",
            onmounted: move |event| {
                if let Some(main) = event.data().try_as_web_event() {
                    restore_scroll(main);
                }
            },
            onscroll: |_| remember_scroll(),
            if !own_head {
                div { class: "head",
                    div {
                        h1 { id: "h1", "{title}" }
                        if !subtitle.is_empty() {
                            p { "{subtitle}" }
                        }
                    }
                    if let Some(acts) = acts {
                        div { class: "acts", {acts} }
                    }
                }
            }
            {children}
        }
    }
}

/// Keeps the document's title at `<page> · <project> · AtlasHub`, without the project if the page has none or has its
/// name. Stores the title in [`SHOWN`].
fn use_document_title(page: &str) {
    let route: Route = use_route();
    let project = destinations::project_of(&route);
    let path = use_memo(use_reactive!(|project| { project.map(|id| format!("/projects/{id}")).unwrap_or_default() }));
    let project = use_remote::<ProjectBrief>(path.into()).value().map(|project| project.name);
    let page = page.to_owned();
    let shown = (route.to_string(), page.clone());
    use_effect(use_reactive!(|shown| {
        if *SHOWN.peek() != shown {
            *SHOWN.write() = shown;
        }
    }));
    let title = match project.filter(|project| *project != page) {
        Some(project) => format!("{page} · {project} · AtlasHub"),
        None => format!("{page} · AtlasHub"),
    };
    use_effect(use_reactive!(|title| dom::set_title(&title)));
}

fn remember_scroll() {
    if let Some(main) = dom::find("#main-content") {
        let top = main.scroll_top();
        SCROLLED.with_borrow_mut(|scrolled| scrolled.insert(address::path_and_query(), top));
    }
}

/// Scrolls to the previous position after Back or Forward. Waits for the content, which may load after the page.
fn restore_scroll(main: web_sys::Element) {
    if address::was_opened_here() {
        return;
    }
    let Some(top) = SCROLLED.with_borrow(|scrolled| scrolled.get(&address::path_and_query()).copied()) else { return };
    spawn(async move {
        let mut last = 0;
        for _ in 0..80 {
            // Stops if the owner has scrolled in the meantime.
            if main.scroll_top() < last {
                return;
            }
            main.set_scroll_top(top);
            last = main.scroll_top();
            if last == top {
                return;
            }
            TimeoutFuture::new(25).await;
        }
    });
}
