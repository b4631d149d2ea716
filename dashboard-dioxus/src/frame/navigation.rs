//! The sidebar, and the phone's menu with the same links.

use dioxus::{prelude::*, web::WebEventExt as _};

use super::{
    destinations::{self, PLATFORM, PROJECT_PAGES},
    gate,
    overlay::{self, Overlay},
};
use crate::{
    dom,
    remote::{ProjectBrief, SystemBrief, use_remote},
    route::Route,
    theme::{self, Theme},
    ui::{Icon, IconName, ModalDialog, NavLink},
};

/// Minimum width of the window at which the sidebar shows texts, in CSS pixels.
const EXPANDED_FROM: f64 = 1280.0;

#[component]
pub(super) fn Sidebar(project: Option<String>) -> Element {
    let mut collapsed = use_signal(theme::is_sidebar_collapsed);
    let system = use_remote::<SystemBrief>(use_signal(|| "/system".to_owned()).into());
    let is_narrow = dom::is_narrower_than(EXPANDED_FROM);
    let label = if collapsed() { "Expand sidebar" } else { "Collapse sidebar" };
    rsx! {
        aside { class: if collapsed() { "sidebar is-collapsed" } else { "sidebar" },
            SwitcherButton { project: project.clone() }
            Navigation { project, icons_only: collapsed() || is_narrow }
            div { class: "sidebar-foot",
                if let Some(system) = system.value() {
                    span { class: "lbl", "AtlasHub {system.version}" }
                }
                button {
                    class: "btn btn-ghost btn-icon",
                    r#type: "button",
                    "aria-label": label,
                    title: label,
                    onclick: move |_| {
                        collapsed.toggle();
                        theme::collapse_sidebar(collapsed());
                    },
                    Icon { name: IconName::Sidebar }
                }
            }
        }
    }
}

/// The links of the open project, if any, and the links of the platform.
#[component]
fn Navigation(project: Option<String>, #[props(default)] icons_only: bool) -> Element {
    let route: Route = use_route();
    let (project_page, page) = (destinations::project_page_of(&route), destinations::platform_page_of(&route));
    rsx! {
        if let Some(project) = project {
            nav { class: "nav", "aria-label": "Project",
                div { class: "nav-title", "aria-hidden": "true", "Project" }
                for destination in PROJECT_PAGES {
                    NavLink {
                        key: "{destination.path}",
                        to: destinations::project_page_address(&project, destination),
                        icon: destination.icon,
                        current: project_page == Some(destination),
                        title: icons_only.then(|| destination.label.to_owned()),
                        "{destination.label}"
                    }
                }
            }
        }
        nav { class: "nav", "aria-label": "Platform",
            div { class: "nav-title", "aria-hidden": "true", "Platform" }
            for destination in PLATFORM {
                NavLink {
                    key: "{destination.path}",
                    to: destination.path,
                    icon: destination.icon,
                    current: page == Some(destination),
                    title: icons_only.then(|| destination.label.to_owned()),
                    "{destination.label}"
                }
            }
        }
    }
}

#[component]
fn SwitcherButton(project: Option<String>) -> Element {
    let path = use_memo(use_reactive!(|project| { project.map(|id| format!("/projects/{id}")).unwrap_or_default() }));
    let known = use_remote::<ProjectBrief>(path.into());
    let name = project.as_ref().map(|_| destinations::name_of_project(&known.state()));
    let label = name.as_ref().map_or_else(|| "Project: none".to_owned(), |name| format!("Project: {name}"));
    let initial = name.as_ref().and_then(|name| name.chars().next()).map(String::from);
    rsx! {
        button {
            class: "switcher inset",
            r#type: "button",
            "aria-haspopup": "dialog",
            "aria-label": "{label}",
            onclick: |_| overlay::open(Overlay::Switcher),
            span { class: "glyph", "aria-hidden": "true", "data-initial": initial.clone(),
                if initial.is_none() {
                    Icon { name: IconName::Project, small: true }
                }
            }
            match name {
                Some(name) => rsx! { span { class: "lbl grow cut strong", "{name}" } },
                None => rsx! { span { class: "lbl grow cut muted", "Project: none" } },
            }
            Icon { name: IconName::ChevronsUpDown }
        }
    }
}

/// The phone's menu.
#[component]
pub(super) fn Drawer(project: Option<String>) -> Element {
    let mut chosen = use_signal(theme::current);
    let opened_at: Route = use_hook(|| router().current::<Route>());
    let here: Route = use_route();
    use_effect(use_reactive!(|here| {
        if here != opened_at {
            overlay::close();
        }
    }));
    rsx! {
        ModalDialog { name: "Menu", class: "drawer-dialog", on_close: |()| overlay::close(),
            div {
                class: "drawer",
                // A click on the link of the current page does not change the route, so the menu must be closed here.
                onclick: |event| {
                    let is_link = |event: &web_sys::MouseEvent| dom::closest(event, "nav a").is_some();
                    let click = event.data().try_as_web_event();
                    if event.modifiers().is_empty() && click.is_some_and(|click| is_link(&click)) {
                        overlay::close();
                    }
                },
                header {
                    SwitcherButton { project: project.clone() }
                    button {
                        class: "btn btn-ghost btn-icon",
                        r#type: "button",
                        "aria-label": "Close",
                        onclick: |_| overlay::close(),
                        Icon { name: IconName::Close }
                    }
                }
                Navigation { project }
                footer {
                    div { class: "seg grow", role: "radiogroup", "aria-label": "Theme",
                        for theme in Theme::ALL {
                            label { key: "{theme.label()}",
                                input {
                                    class: "sr",
                                    r#type: "radio",
                                    name: "menu-theme",
                                    checked: chosen() == theme,
                                    onchange: move |_| {
                                        theme::choose(theme);
                                        chosen.set(theme);
                                    },
                                }
                                "{theme.label()}"
                            }
                        }
                    }
                    button {
                        class: "btn btn-ghost",
                        r#type: "button",
                        onclick: |_| {
                            overlay::close();
                            gate::sign_out();
                        },
                        "Sign out"
                    }
                }
            }
        }
    }
}
