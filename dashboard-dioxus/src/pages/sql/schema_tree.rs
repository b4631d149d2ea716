//! The tree of schemas, tables, columns, functions and enums. Enter inserts the name into the text.

use std::{collections::HashSet, ops::Range};

use dioxus::{events::MountedEvent, prelude::*, web::WebEventExt as _};
use gloo_timers::future::TimeoutFuture;
use wasm_bindgen::JsCast as _;
use web_sys::HtmlElement;

use super::{
    editor,
    schema_items::{self, Facts, Item, is_public_empty, items_of},
    workspace::Workspace,
};
use crate::{
    dom,
    ui::{Icon, IconName, narrow::use_is_narrow},
};

/// Height of a line, in pixels.
const ROW_HEIGHT: f64 = 24.0;
/// Height of a line on a phone, in pixels.
const NARROW_ROW_HEIGHT: f64 = 40.0;
const OVERSCAN: usize = 20;

#[component]
pub(super) fn SchemaTree(workspace: Workspace) -> Element {
    let mut filter = use_signal(String::new);
    let loaded = workspace.schema.read().clone();
    let content = match loaded {
        None => rsx! { p { class: "sql-side-note late", role: "status", "Loading…" } },
        Some(Err(failure)) => rsx! {
            div { class: "sql-side-note", role: "alert",
                p { "The schema could not be loaded. {failure.message()}" }
                button {
                    class: "btn btn-s",
                    r#type: "button",
                    onclick: move |_| workspace.refresh_schema(),
                    "Try again"
                }
            }
        },
        Some(Ok(_)) => rsx! { Tree { workspace, filter: filter() } },
    };
    rsx! {
        div { class: "sql-side-search",
            div { class: "input input-icon m",
                Icon { name: IconName::Search }
                input {
                    r#type: "search",
                    "aria-label": "Find in schema",
                    placeholder: "Find in schema",
                    value: "{filter}",
                    oninput: move |event| filter.set(event.value()),
                }
            }
            button {
                class: "btn btn-ghost btn-icon",
                r#type: "button",
                "aria-label": "Refresh schema",
                title: "Refresh schema",
                onclick: move |_| workspace.refresh_schema(),
                Icon { name: IconName::Refresh }
            }
        }
        {content}
    }
}

#[component]
fn Tree(workspace: Workspace, filter: ReadSignal<String>) -> Element {
    let row_height = if use_is_narrow() { NARROW_ROW_HEIGHT } else { ROW_HEIGHT };
    // Only `public` is open at first.
    let mut open = use_signal(|| HashSet::from(["s:public".to_owned()]));
    let mut current = use_signal(String::new);
    let mut first = use_signal(|| 0_usize);
    let mut element = use_signal(|| None::<HtmlElement>);
    let items = use_memo(move || match &*workspace.schema.read() {
        Some(Ok(schema)) => {
            let facts =
                Facts { estimates: workspace.estimates.read().clone(), details: workspace.details.read().clone() };
            items_of(schema, &facts, &open.read(), filter.read().trim())
        }
        _ => Vec::new(),
    });
    // The lines that are rendered, of `count` lines.
    let rendered = move |count: usize| -> Range<usize> {
        let view_height = element.read().as_ref().map_or(600, |tree| tree.client_height());
        let start = first().min(count.saturating_sub(1));
        start..(start + (f64::from(view_height) / row_height) as usize + 2 * OVERSCAN).min(count)
    };
    // The keys of a table are read when its columns are shown. A filter can open many tables at once.
    use_effect(move || {
        let tables: HashSet<String> = {
            let items = items.read();
            items
                .get(rendered(items.len()))
                .unwrap_or_default()
                .iter()
                .filter_map(|item| item.needed_table.clone())
                .collect()
        };
        for table in tables {
            workspace.need_detail(&table);
        }
    });
    let is_empty = filter.read().trim().is_empty()
        && matches!(&*workspace.schema.read(), Some(Ok(schema)) if is_public_empty(schema));
    let all = items.read();
    if all.is_empty() {
        return rsx! { p { class: "sql-side-note", "No name matches." } };
    }
    let Range { start, end } = rendered(all.len());
    let position = all.iter().position(|item| item.path == *current.read()).unwrap_or_default();
    let stop = if (start..end).contains(&position) { position } else { start };
    let mut toggle = move |item: &Item| schema_items::toggle(&mut open.write(), item);
    let mut go = move |index: usize| {
        let Some(path) = items.peek().get(index).map(|item| item.path.clone()) else { return };
        current.set(path);
        let Some(tree) = element.peek().clone() else { return };
        let (top, height) = (index as f64 * row_height, f64::from(tree.client_height()));
        if top < f64::from(tree.scroll_top()) {
            tree.set_scroll_top(top as i32);
        } else if top + row_height > f64::from(tree.scroll_top()) + height {
            tree.set_scroll_top((top + row_height - height) as i32);
        }
        spawn(async move {
            TimeoutFuture::new(0).await;
            let item = tree.query_selector(&format!("[data-item=\"{index}\"]")).ok().flatten();
            if let Some(item) = item.and_then(|item| item.dyn_into::<HtmlElement>().ok()) {
                let _ = item.focus();
            }
        });
    };
    let onkeydown = move |event: KeyboardEvent| {
        // The focused item. A script or a screen reader may have moved the focus without a click.
        let focused = event.data().try_as_web_event().and_then(|event| dom::closest(&event, "[data-item]"));
        let focused = focused.and_then(|item| item.get_attribute("data-item")?.parse().ok());
        let stop = focused.unwrap_or(stop);
        let (item, count) = {
            let items = items.peek();
            (items.get(stop).cloned(), items.len())
        };
        let Some(item) = item else { return };
        match event.key() {
            Key::ArrowDown => go((stop + 1).min(count - 1)),
            Key::ArrowUp => go(stop.saturating_sub(1)),
            Key::Home => go(0),
            Key::End => go(count - 1),
            Key::ArrowRight if item.is_open == Some(false) => toggle(&item),
            Key::ArrowRight => go((stop + 1).min(count - 1)),
            Key::ArrowLeft if item.can_close() => toggle(&item),
            Key::ArrowLeft => {
                let parent = items.peek().iter().take(stop).rposition(|other| other.level < item.level);
                if let Some(parent) = parent {
                    go(parent);
                }
            }
            Key::Enter => match &item.insert {
                Some(name) => editor::insert(workspace, name),
                None => toggle(&item),
            },
            Key::Character(key) if key == " " => toggle(&item),
            _ => return,
        }
        event.prevent_default();
    };
    rsx! {
        if is_empty {
            p { class: "sql-side-note", "The schema public is empty. What you create appears here." }
        }
        ul {
            class: "rows label sql-tree",
            role: "tree",
            "aria-label": "Schema",
            onmounted: move |event: MountedEvent| {
                element.set(event.data().try_as_web_event().and_then(|element| element.dyn_into().ok()));
            },
            onscroll: move |event| {
                let start = ((event.scroll_top() / row_height) as usize).saturating_sub(OVERSCAN) / 10 * 10;
                if *first.peek() != start {
                    first.set(start);
                }
            },
            onkeydown,
            if start > 0 {
                li { role: "none", style: "block-size: {start as f64 * row_height}px" }
            }
            for (index, item) in all.iter().enumerate().skip(start).take(end - start) {
                li {
                    key: "{item.path}",
                    class: "sql-item",
                    role: "treeitem",
                    style: "--level: {item.level}",
                    "data-item": "{index}",
                    "aria-label": "{item.label}",
                    "aria-level": "{item.level}",
                    "aria-expanded": item.is_open.map(|is_open| is_open.to_string()),
                    "aria-selected": if item.path == *current.read() { "true" } else { "false" },
                    tabindex: if index == stop { "0" } else { "-1" },
                    title: "{item.title}",
                    onclick: {
                        let item = item.clone();
                        move |_| {
                            current.set(item.path.clone());
                            toggle(&item);
                        }
                    },
                    ondoubleclick: {
                        let insert = item.insert.clone();
                        move |_| {
                            if let Some(name) = &insert {
                                editor::insert(workspace, name);
                            }
                        }
                    },
                    match item.is_open {
                        Some(true) => rsx! { Icon { name: IconName::ChevronDown, small: true } },
                        Some(false) => rsx! { Icon { name: IconName::ChevronRight, small: true } },
                        None => rsx! { span { class: "sql-no-chevron" } },
                    }
                    if let Some(icon) = item.icon.filter(|_| !item.is_column) {
                        Icon { name: icon, small: true }
                    }
                    span { class: if item.is_column { "cut mono" } else { "cut" }, "{item.label}" }
                    // The icon of a key comes after the name, so that names are aligned.
                    if let Some(icon) = item.icon.filter(|_| item.is_column) {
                        Icon { name: icon, small: true }
                    }
                    span { class: "n", "{item.note}" }
                }
            }
            if end < all.len() {
                li { role: "none", style: "block-size: {(all.len() - end) as f64 * row_height}px" }
            }
        }
    }
}
