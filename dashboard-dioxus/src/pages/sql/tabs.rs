//! The tabs of the open queries.

use dioxus::{html::input_data::MouseButton, prelude::*, web::WebEventExt as _};
use wasm_bindgen::JsCast as _;
use web_sys::HtmlElement;

use super::{drafts, editor, workspace::Workspace};
use crate::{
    dom,
    ui::{Icon, IconName},
};

/// The label of a tab.
#[derive(Debug, Clone, PartialEq)]
struct Label {
    id: String,
    title: String,
    is_named: bool,
    is_running: bool,
    has_conflict: bool,
}

#[component]
pub(super) fn QueryTabs(workspace: Workspace) -> Element {
    // Memoized, because most key presses don't change a title.
    let labels = use_memo(move || {
        let executions = workspace.executions.read();
        let tabs = workspace.tabs.read();
        let label = |tab: &super::tab::Tab| Label {
            id: tab.id.clone(),
            title: tab.title(),
            is_named: tab.name.is_some(),
            is_running: executions.get(&tab.id).is_some_and(|execution| execution.is_running),
            has_conflict: tab.other.is_some(),
        };
        tabs.iter().map(label).collect::<Vec<_>>()
    });
    let active = workspace.active.read().clone();
    use_effect(move || dom::scroll_into_view(&tab_id(&workspace.active.read())));
    let mut renaming = use_signal(|| None::<String>);
    let mut dragged = use_signal(|| None::<String>);
    let labels = labels.read();
    let count = labels.len();
    rsx! {
        div { class: "sql-tabs",
            div { class: "sql-tabs-strip",
                div {
                    class: "sql-tablist",
                    role: "tablist",
                    "aria-label": "Queries",
                    onkeydown: {
                        let active = active.clone();
                        move |event: KeyboardEvent| {
                            let modifiers = event.modifiers();
                            if modifiers.ctrl() && modifiers.shift() {
                                let position = workspace.tabs.peek().iter().position(|tab| tab.id == active);
                                let position = position.unwrap_or_default();
                                match event.key() {
                                    Key::ArrowLeft => workspace.move_tab(&active, position.saturating_sub(1)),
                                    Key::ArrowRight => workspace.move_tab(&active, position + 1),
                                    _ => {}
                                }
                            } else if event.key() == Key::Delete {
                                workspace.close(&active);
                            } else if event.key() == Key::F2 {
                                renaming.set(Some(active.clone()));
                            } else {
                                focus_next_tab(&event);
                            }
                        }
                    },
                    for (index, label) in labels.iter().enumerate() {
                        button {
                            key: "{label.id}",
                            id: tab_id(&label.id),
                            class: if label.is_named { "sql-tab" } else { "sql-tab is-unnamed" },
                            style: "grid-column: {index + 1}",
                            r#type: "button",
                            role: "tab",
                            "aria-label": "{label.title}",
                            "aria-selected": "{label.id == active}",
                            tabindex: if label.id == active { "0" } else { "-1" },
                            title: "{label.title}. Double-click to rename it.",
                            draggable: "true",
                            onclick: {
                                let id = label.id.clone();
                                move |_| workspace.activate(&id)
                            },
                            ondoubleclick: {
                                let id = label.id.clone();
                                move |_| renaming.set(Some(id.clone()))
                            },
                            onauxclick: {
                                let id = label.id.clone();
                                move |event: Event<PointerData>| {
                                    // The middle button closes a tab, as in browsers.
                                    if event.trigger_button() == Some(MouseButton::Auxiliary) {
                                        workspace.close(&id);
                                    }
                                }
                            },
                            ondragstart: {
                                let id = label.id.clone();
                                move |_| dragged.set(Some(id.clone()))
                            },
                            ondragover: move |event| event.prevent_default(),
                            ondrop: move |event| {
                                event.prevent_default();
                                if let Some(id) = dragged.take() {
                                    workspace.move_tab(&id, index);
                                }
                            },
                            if label.is_running {
                                span { class: "spin", "aria-hidden": "true" }
                            }
                            span { class: "cut", "{label.title}" }
                            if label.has_conflict {
                                span { class: "sql-dot", "aria-hidden": "true" }
                            }
                        }
                    }
                }
                for (index, label) in labels.iter().enumerate() {
                    if renaming.read().as_ref() == Some(&label.id) {
                        Rename {
                            key: "rename-{label.id}",
                            workspace,
                            id: label.id.clone(),
                            title: label.title.clone(),
                            column: index + 1,
                            on_done: move |()| renaming.set(None),
                        }
                    } else {
                        button {
                            key: "close-{label.id}",
                            class: "btn btn-ghost btn-s btn-icon sql-close",
                            class: if label.id == active { "is-current" },
                            style: "grid-column: {index + 1}",
                            r#type: "button",
                            "aria-label": "Close {label.title}",
                            title: "Close. A query with text stays in \u{201c}Recently closed\u{201d} for 30 days.",
                            tabindex: if label.id == active { "0" } else { "-1" },
                            onclick: {
                                let id = label.id.clone();
                                move |_| workspace.close(&id)
                            },
                            Icon { name: IconName::Close }
                        }
                    }
                }
                button {
                    class: "btn btn-ghost btn-icon sql-new",
                    style: "grid-column: {count + 1}",
                    r#type: "button",
                    "aria-label": "New query",
                    title: "New query",
                    onclick: move |_| {
                        workspace.open(None, "", None);
                        spawn(async move {
                            // The editor gets the focus after Monaco shows the text of the new query.
                            dom::next_frame().await;
                            editor::focus(workspace);
                        });
                    },
                    Icon { name: IconName::Plus }
                }
            }
            RecentlyClosed { workspace }
        }
    }
}

/// Returns the id of a tab's element.
fn tab_id(tab: &str) -> String {
    format!("sql-tab-{tab}")
}

#[component]
fn Rename(workspace: Workspace, id: String, title: String, column: usize, on_done: EventHandler<()>) -> Element {
    let mut name = use_signal(|| title);
    let finish = {
        move |keep: bool| {
            let chosen = name.peek().trim().to_owned();
            if keep {
                workspace.change(&id, |tab| tab.name = (!chosen.is_empty()).then_some(chosen));
            }
            on_done.call(());
        }
    };
    let finish_on_blur = finish.clone();
    rsx! {
        input {
            class: "sql-rename",
            style: "grid-column: {column}",
            "aria-label": "Name of the query",
            value: "{name}",
            onmounted: move |event| {
                let element = event.data().try_as_web_event();
                if let Some(field) = element.and_then(|field| field.dyn_into::<web_sys::HtmlInputElement>().ok()) {
                    let _ = field.focus();
                    field.select();
                }
            },
            oninput: move |event| name.set(event.value()),
            onblur: move |_| finish_on_blur(true),
            onkeydown: move |event| match event.key() {
                Key::Enter => finish(true),
                Key::Escape => finish(false),
                _ => {}
            },
        }
    }
}

#[component]
fn RecentlyClosed(workspace: Workspace) -> Element {
    let closed = workspace.closed.read();
    if closed.is_empty() {
        return rsx! {};
    }
    rsx! {
        span { class: "menu-anchor sql-closed",
            button {
                class: "btn btn-ghost btn-s",
                r#type: "button",
                "aria-haspopup": "menu",
                "popovertarget": "recently-closed",
                "Recently closed"
            }
            div {
                id: "recently-closed",
                class: "menu sql-closed-menu",
                role: "menu",
                "aria-label": "Recently closed",
                "popover": "auto",
                for draft in closed.iter().take(50).cloned() {
                    button {
                        key: "{draft.id}",
                        r#type: "button",
                        role: "menuitem",
                        "popovertarget": "recently-closed",
                        "popovertargetaction": "hide",
                        title: draft.text.chars().take(600).collect::<String>(),
                        onclick: {
                            let id = draft.id.clone();
                            move |_| {
                                workspace.reopen(&id);
                                editor::focus_opened(workspace);
                            }
                        },
                        span { class: "cut", "{draft.name.clone().unwrap_or_else(|| drafts::title_of(&draft.text))}" }
                        span { class: "push tiny faint", "{drafts::age(draft.closed_at.unwrap_or_default())}" }
                    }
                }
            }
        }
    }
}

/// Moves the focus between the tabs of a list with the arrow keys, and activates the focused one.
pub(super) fn focus_next_tab(event: &KeyboardEvent) {
    let Some(raw) = event.data().try_as_web_event() else { return };
    let Some(list) = dom::closest(&raw, "[role=tablist]") else { return };
    let Ok(tabs) = list.query_selector_all("[role=tab]") else { return };
    let count = tabs.length();
    let is_selected = |index: &u32| {
        let tab = tabs.item(*index).and_then(|tab| tab.dyn_into::<web_sys::Element>().ok());
        tab.is_some_and(|tab| tab.get_attribute("aria-selected").as_deref() == Some("true"))
    };
    let Some(current) = (0..count).find(is_selected) else { return };
    let next = match event.key() {
        Key::ArrowRight => (current + 1) % count,
        Key::ArrowLeft => (current + count - 1) % count,
        Key::Home => 0,
        Key::End => count - 1,
        _ => return,
    };
    event.prevent_default();
    if let Some(tab) = tabs.item(next).and_then(|tab| tab.dyn_into::<HtmlElement>().ok()) {
        tab.click();
        let _ = tab.focus();
    }
}
