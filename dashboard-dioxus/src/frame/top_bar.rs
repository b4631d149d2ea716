//! The bar above every page.

use api_types::{Project, SystemInfo};
use dioxus::prelude::*;

use super::{
    overlay::{self, Overlay},
    places,
    running::use_running,
};
use crate::{
    address,
    app::Route,
    remote::{session, use_remote},
    theme::{self, Theme},
    ui::{Icon, IconName, Link, Menu, MenuItem, messages},
};

#[component]
pub(super) fn TopBar(project: Option<String>) -> Element {
    let system = use_remote::<SystemInfo>(use_signal(|| "/system".to_owned()).into());
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
                span { class: "env only-wide", role: "note", "aria-label": "Environment: {system.environment}", "{system.environment}" }
            }
            button { class: "searchbox only-wide", r#type: "button", "aria-label": "Search or run a command", onclick: open_palette,
                Icon { name: IconName::Search }
                span { "Search or run a command" }
                kbd { "Ctrl K" }
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
                    MenuItem { icon: Some(IconName::Keyboard), onselect: |()| overlay::open(Overlay::Shortcuts), "Keyboard shortcuts" }
                    MenuItem {
                        icon: Some(IconName::Account),
                        onselect: |()| {
                            spawn(async {
                                if let Err(failure) = session::sign_out().await {
                                    messages::show_failure(failure.message());
                                }
                            });
                        },
                        "Sign out"
                    }
                }
            }
        }
    }
}

#[component]
fn RunningButton() -> Element {
    let count = use_running().value().map_or(0, |page| page.items.len());
    if count == 0 {
        return rsx! {};
    }
    rsx! {
        button {
            class: "btn btn-ghost",
            r#type: "button",
            "aria-label": "Running work: {count}",
            "aria-haspopup": "dialog",
            onclick: |_| overlay::open(Overlay::Running),
            span { class: "spin accent" }
            "{count}"
            span { class: "only-wide", "running" }
        }
    }
}

/// One part of the breadcrumb: its text, and the address of all but the last.
#[derive(Debug, Clone, PartialEq)]
struct Part {
    text: String,
    to: Option<String>,
}

fn part(text: &str, to: Option<&str>) -> Part {
    Part { text: text.to_owned(), to: to.map(str::to_owned) }
}

fn platform_parts(route: &Route) -> Vec<Part> {
    match route {
        Route::NewProject {} => vec![part("Projects", Some("/projects")), part("New project", None)],
        route => vec![part(places::platform_page_of(route).map_or("Nothing here", |place| place.label), None)],
    }
}

#[component]
fn ProjectBreadcrumb(id: ReadSignal<String>) -> Element {
    let route: Route = use_route();
    let project = use_remote::<Project>(use_memo(move || format!("/projects/{id}")).into());
    let name = project.value().map(|project| project.name).unwrap_or_default();
    let home = format!("/projects/{id}");
    let room = places::room_of(&route).filter(|room| !room.path.is_empty());
    let table = address::use_parameter("table");
    let mut parts = vec![part("Projects", Some("/projects")), part(&name, room.map(|_| home.as_str()))];
    if let Some(room) = room {
        let table = table.filter(|_| room.path == "/tables");
        let list = places::room_address(&id.read(), room);
        parts.push(part(room.label, table.as_ref().map(|_| list.as_str())));
        parts.extend(table.map(|table| part(&table, None)));
    }
    rsx! { Breadcrumb { parts } }
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
