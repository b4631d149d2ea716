//! The bar above every page.

use dioxus::prelude::*;

use super::{
    destinations::{self, Destination},
    gate,
    overlay::{self, Overlay},
    page,
    running::use_running,
};
use crate::{
    remote::{ProjectBrief, SystemBrief, use_remote},
    route::Route,
    theme::{self, Theme},
    ui::{Icon, IconName, Link, Menu, MenuItem},
};

#[component]
pub(super) fn TopBar(project: Option<String>) -> Element {
    let system = use_remote::<SystemBrief>(use_signal(|| "/system".to_owned()).into());
    let mut chosen = use_signal(theme::current);
    let open_palette = |_| overlay::open(Overlay::Palette);
    rsx! {
        header { class: "topbar",
            button {
                class: "btn btn-ghost btn-icon only-narrow",
                r#type: "button",
                "aria-label": "Open menu",
                "aria-haspopup": "dialog",
                onclick: |_| overlay::open(Overlay::Menu),
                Icon { name: IconName::Menu }
            }
            match project {
                Some(id) => rsx! { ProjectBreadcrumb { id } },
                None => rsx! { Breadcrumb { parts: platform_parts(&use_route()) } },
            }
            RunningButton {}
            if let Some(system) = system.value() {
                span {
                    class: "env only-wide", role: "note", "aria-label": "Environment: {system.environment}",
                    "{system.environment}"
                }
            }
            button {
                class: "searchbox only-wide", r#type: "button", "aria-label": "Search or run a command",
                onclick: open_palette,
                Icon { name: IconName::Search }
                span { "Search or run a command" }
                kbd { "data-keys": "Ctrl K" }
            }
            button {
                class: "btn btn-ghost btn-icon only-narrow",
                r#type: "button",
                "aria-label": "Search or run a command",
                onclick: open_palette,
                Icon { name: IconName::Search }
            }
            span { class: "row row-1 only-wide",
                Menu { name: "Theme", icon: IconName::Theme, onopen: move |()| chosen.set(theme::current()),
                    for theme in Theme::ALL {
                        MenuItem {
                            key: "{theme.label()}",
                            checked: Some(chosen() == theme),
                            onselect: move |()| {
                                theme::choose(theme);
                                chosen.set(theme);
                            },
                            "{theme.label()}"
                        }
                    }
                }
                Menu { name: "Account", icon: IconName::Account,
                    MenuItem {
                        icon: Some(IconName::Keyboard), onselect: |()| overlay::open(Overlay::Shortcuts),
                        "Keyboard shortcuts"
                    }
                    MenuItem {
                        icon: Some(IconName::Account),
                        onselect: |()| gate::sign_out(),
                        "Sign out"
                    }
                }
            }
        }
    }
}

#[component]
fn RunningButton() -> Element {
    let Some(page) = use_running().value().filter(|page| !page.items.is_empty()) else { return rsx! {} };
    let more = if page.next_cursor.is_some() { "+" } else { "" };
    let count = format!("{}{more}", page.items.len());
    rsx! {
        button {
            class: "btn btn-ghost",
            r#type: "button",
            "aria-label": "Running work: {count}",
            "aria-haspopup": "dialog",
            onclick: |_| overlay::open(Overlay::Running),
            title: "Running work",
            span { class: "spin accent" }
            "{count}"
        }
    }
}

/// A part of the breadcrumb, with its text and its address. The last part has no address.
#[derive(Debug, Clone, PartialEq)]
struct Part {
    text: String,
    to: Option<String>,
}

fn part(text: &str, to: impl Into<String>) -> Part {
    Part { text: text.to_owned(), to: Some(to.into()) }
}

/// Removes the address of the last part, which is the shown page.
fn finished(mut parts: Vec<Part>) -> Vec<Part> {
    if let Some(last) = parts.last_mut() {
        last.to = None;
    }
    parts
}

/// Returns the title of the page, for example of a table or a run. `None` until the title is known, and if the page
/// is the destination itself and its title contains the destination's label.
fn title_below(route: &Route, destination: Option<&Destination>) -> Option<Part> {
    let path = route.to_string();
    let label = destination.map(|destination| destination.label.to_ascii_lowercase()).unwrap_or_default();
    let title = page::title_at(&path);
    let title = match destination {
        Some(_) if destinations::is_destination(route) => {
            title.filter(|title| !title.to_ascii_lowercase().contains(&label))
        }
        _ => title,
    };
    title.map(|title| part(&title, path))
}

fn platform_parts(route: &Route) -> Vec<Part> {
    let (page, unlisted) = (destinations::platform_page_of(route), destinations::unlisted_page_of(route));
    let mut parts: Vec<Part> =
        page.into_iter().chain(unlisted).map(|destination| part(destination.label, destination.path)).collect();
    // The overview has another title while there is no project. Its breadcrumb is always its label.
    if !matches!(route, Route::Overview {}) {
        parts.extend(title_below(route, unlisted.or(page)));
    }
    finished(parts)
}

#[component]
fn ProjectBreadcrumb(id: ReadSignal<String>) -> Element {
    let route: Route = use_route();
    let project = use_remote::<ProjectBrief>(use_memo(move || format!("/projects/{id}")).into());
    let name = destinations::name_of_project(&project.state());
    let mut parts = vec![part("Projects", "/projects"), part(&name, format!("/projects/{id}"))];
    match destinations::project_page_of(&route) {
        Some(project_page) if project_page.path.is_empty() => {}
        Some(project_page) => {
            parts.push(part(project_page.label, destinations::project_page_address(&id.read(), project_page)));
            parts.extend(title_below(&route, Some(project_page)));
        }
        None => parts.extend(title_below(&route, None)),
    }
    rsx! { Breadcrumb { parts: finished(parts) } }
}

#[component]
fn Breadcrumb(parts: Vec<Part>) -> Element {
    rsx! {
        nav { class: "crumbs", "aria-label": "Breadcrumb",
            ol {
                for (index, Part { text, to }) in parts.into_iter().enumerate() {
                    li { key: "{index}", class: if to.is_none() { "cut" },
                        if let Some(to) = to.clone() {
                            Link { to, "{text}" }
                        } else {
                            span { class: "cut", "aria-current": "page", "{text}" }
                        }
                    }
                }
            }
        }
    }
}
