//! The tree of schemas, tables, columns, functions and enums. Enter inserts the name into the text.

use std::collections::HashSet;

use api_types::{DatabaseSchema, SchemaObjects, TableKind};
use dioxus::{events::MountedEvent, prelude::*, web::WebEventExt as _};
use gloo_timers::future::TimeoutFuture;
use wasm_bindgen::JsCast as _;
use web_sys::HtmlElement;

use super::{
    editor, schema,
    value::{identifier, short_type},
    workspace::Workspace,
};
use crate::{
    text,
    ui::{Icon, IconName},
};

const ROW_HEIGHT: f64 = 24.0;
const OVERSCAN: usize = 20;

/// An item of the tree.
#[derive(Debug, Clone, PartialEq)]
struct Item {
    /// Unique path of the item in the tree.
    path: String,
    level: usize,
    icon: Option<IconName>,
    label: String,
    /// Type or count, on the right.
    note: String,
    /// Text of the tooltip.
    title: String,
    /// What Enter inserts. `None` for groups.
    insert: Option<String>,
    is_open: Option<bool>,
}

#[component]
pub(super) fn SchemaTree(workspace: Workspace) -> Element {
    let mut filter = use_signal(String::new);
    let answer = workspace.schema.read().clone();
    let content = match answer {
        None => rsx! { p { class: "sql-side-note late", role: "status", "Loading…" } },
        Some(Err(failure)) => rsx! {
            div { class: "sql-side-note", role: "alert",
                p { "The schema could not be read. {failure.message()}" }
                button { class: "btn btn-s", r#type: "button", onclick: move |_| workspace.refresh_schema(), "Try again" }
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
    // Only `public` is open at first.
    let mut open = use_signal(|| HashSet::from(["s:public".to_owned()]));
    let mut current = use_signal(String::new);
    let mut first = use_signal(|| 0_usize);
    let mut element = use_signal(|| None::<HtmlElement>);
    let items = use_memo(move || match &*workspace.schema.read() {
        Some(Ok(schema)) => items_of(schema, &open.read(), filter.read().trim()),
        _ => Vec::new(),
    });
    let all = items.read();
    if all.is_empty() {
        let text = if filter.read().trim().is_empty() {
            "The schema is empty. What you create appears here at once."
        } else {
            "No name matches."
        };
        return rsx! { p { class: "sql-side-note", "{text}" } };
    }
    let view_height = element.read().as_ref().map_or(600, |tree| tree.client_height());
    let start = first().min(all.len().saturating_sub(1));
    let end = (start + (f64::from(view_height) / ROW_HEIGHT) as usize + 2 * OVERSCAN).min(all.len());
    let place = all.iter().position(|item| item.path == *current.read()).unwrap_or_default();
    let stop = if (start..end).contains(&place) { place } else { start };
    let mut toggle = move |path: &str, to: Option<bool>| {
        let mut open = open.write();
        let is_open = open.contains(path);
        match to.unwrap_or(!is_open) {
            true => open.insert(path.to_owned()),
            false => open.remove(path),
        };
    };
    let mut go = move |index: usize| {
        let Some(path) = items.peek().get(index).map(|item| item.path.clone()) else { return };
        current.set(path);
        let Some(tree) = element.peek().clone() else { return };
        let (top, height) = (index as f64 * ROW_HEIGHT, f64::from(tree.client_height()));
        if top < f64::from(tree.scroll_top()) {
            tree.set_scroll_top(top as i32);
        } else if top + ROW_HEIGHT > f64::from(tree.scroll_top()) + height {
            tree.set_scroll_top((top + ROW_HEIGHT - height) as i32);
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
            Key::ArrowRight if item.is_open == Some(false) => toggle(&item.path, Some(true)),
            Key::ArrowRight => go((stop + 1).min(count - 1)),
            Key::ArrowLeft if item.is_open == Some(true) => toggle(&item.path, Some(false)),
            Key::ArrowLeft => {
                let parent = items.peek().iter().take(stop).rposition(|other| other.level < item.level);
                if let Some(parent) = parent {
                    go(parent);
                }
            }
            Key::Enter => match &item.insert {
                Some(name) => editor::insert(workspace, name),
                None => toggle(&item.path, None),
            },
            Key::Character(key) if key == " " => toggle(&item.path, None),
            _ => return,
        }
        event.prevent_default();
    };
    rsx! {
        ul {
            class: "rows label sql-tree",
            role: "tree",
            "aria-label": "Schema",
            onmounted: move |event: MountedEvent| {
                element.set(event.data().try_as_web_event().and_then(|element| element.dyn_into().ok()));
            },
            onscroll: move |event| {
                let start = ((event.scroll_top() / ROW_HEIGHT) as usize).saturating_sub(OVERSCAN) / 10 * 10;
                if *first.peek() != start {
                    first.set(start);
                }
            },
            onkeydown,
            if start > 0 {
                li { role: "none", style: "block-size: {start as f64 * ROW_HEIGHT}px" }
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
                            if item.is_open.is_some() {
                                toggle(&item.path, None);
                            }
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
                    if let Some(icon) = item.icon {
                        Icon { name: icon, small: true }
                    }
                    span { class: if item.icon.is_none() && item.level > 2 { "cut mono" } else { "cut" }, "{item.label}" }
                    span { class: "n", "{item.note}" }
                }
            }
            if end < all.len() {
                li { role: "none", style: "block-size: {(all.len() - end) as f64 * ROW_HEIGHT}px" }
            }
        }
    }
}

/// Returns the visible items. With a filter: the tables that match by their name or a column's name.
fn items_of(schema: &DatabaseSchema, open: &HashSet<String>, filter: &str) -> Vec<Item> {
    let wanted = filter.to_lowercase();
    let matches = |name: &str| name.to_lowercase().contains(&wanted);
    let mut items = Vec::new();
    for each in &schema.schemas {
        let path = format!("s:{}", each.name);
        let is_open = !filter.is_empty() || open.contains(&path);
        let inside = items_of_schema(each, open, filter, &matches);
        if !filter.is_empty() && inside.is_empty() {
            continue;
        }
        items.push(Item {
            path,
            level: 1,
            icon: None,
            label: each.name.clone(),
            note: text::number(each.tables.len() as i64),
            title: format!("Schema {}", each.name),
            insert: Some(identifier(&each.name)),
            is_open: Some(is_open),
        });
        if is_open {
            items.extend(inside);
        }
    }
    items
}

fn items_of_schema(
    each: &SchemaObjects,
    open: &HashSet<String>,
    filter: &str,
    matches: &impl Fn(&str) -> bool,
) -> Vec<Item> {
    let mut items = Vec::new();
    for table in &each.tables {
        let has_column = !filter.is_empty() && table.columns.iter().any(|column| matches(&column.name));
        if !matches(&table.name) && !has_column {
            continue;
        }
        let path = format!("t:{}.{}", each.name, table.name);
        let is_open = open.contains(&path) || (has_column && !matches(&table.name));
        let is_view = matches!(table.kind, TableKind::View | TableKind::MaterializedView);
        items.push(Item {
            path: path.clone(),
            level: 2,
            icon: Some(if is_view { IconName::View } else { IconName::Table }),
            label: table.name.clone(),
            note: if table.kind == TableKind::Table { String::new() } else { schema::kind_name(table.kind).to_owned() },
            title: format!("{} {}", schema::kind_name(table.kind), table.name),
            insert: Some(schema::qualified(&each.name, &table.name)),
            is_open: Some(is_open),
        });
        if is_open {
            items.extend(table.columns.iter().map(|column| Item {
                path: format!("{path}.{}", column.name),
                level: 3,
                icon: None,
                label: column.name.clone(),
                note: short_type(&column.data_type),
                title: format!("{} {}", column.name, column.data_type),
                insert: Some(identifier(&column.name)),
                is_open: None,
            }));
        }
    }
    let functions = each.functions.iter().filter(|function| matches(&function.name)).map(|function| Item {
        path: format!("f:{}.{}({})", each.name, function.name, function.arguments),
        level: 3,
        icon: None,
        label: function.name.clone(),
        note: function.returns.clone().unwrap_or_default(),
        title: format!("{}({})", function.name, function.arguments),
        insert: Some(schema::qualified(&each.name, &function.name)),
        is_open: None,
    });
    let enums = each.enums.iter().filter(|kind| matches(&kind.name)).map(|kind| Item {
        path: format!("e:{}.{}", each.name, kind.name),
        level: 3,
        icon: None,
        label: kind.name.clone(),
        note: text::count(kind.values.len() as i64, "value", "values"),
        title: kind.values.join(", "),
        insert: Some(schema::qualified(&each.name, &kind.name)),
        is_open: None,
    });
    add_group(&mut items, each, "Functions", IconName::Function, functions.collect(), open, filter);
    add_group(&mut items, each, "Enums", IconName::List, enums.collect(), open, filter);
    items
}

fn add_group(
    items: &mut Vec<Item>,
    each: &SchemaObjects,
    name: &str,
    icon: IconName,
    inside: Vec<Item>,
    open: &HashSet<String>,
    filter: &str,
) {
    if inside.is_empty() {
        return;
    }
    let path = format!("g:{}.{name}", each.name);
    let is_open = !filter.is_empty() || open.contains(&path);
    items.push(Item {
        path,
        level: 2,
        icon: Some(icon),
        label: name.to_owned(),
        note: text::number(inside.len() as i64),
        title: name.to_owned(),
        insert: None,
        is_open: Some(is_open),
    });
    if is_open {
        items.extend(inside);
    }
}

#[cfg(test)]
mod tests {
    use api_types::{SchemaColumn, SchemaTable};

    use super::*;

    fn example() -> DatabaseSchema {
        let column = |name: &str| SchemaColumn { name: name.to_owned(), data_type: "bigint".to_owned() };
        let table = |name: &str, columns: &[&str]| SchemaTable {
            name: name.to_owned(),
            kind: TableKind::Table,
            columns: columns.iter().map(|name| column(name)).collect(),
        };
        DatabaseSchema {
            schemas: vec![SchemaObjects {
                name: "public".to_owned(),
                tables: vec![table("authors", &["id"]), table("books", &["id", "author_id"])],
                functions: Vec::new(),
                enums: Vec::new(),
            }],
        }
    }

    fn labels(open: &[&str], filter: &str) -> Vec<String> {
        let open = open.iter().map(|path| (*path).to_owned()).collect();
        items_of(&example(), &open, filter).into_iter().map(|item| item.label).collect()
    }

    #[test]
    fn tree_has_open_and_matching_items() {
        assert_eq!(labels(&[], ""), ["public"]);
        assert_eq!(labels(&["s:public"], ""), ["public", "authors", "books"]);
        assert_eq!(labels(&["s:public", "t:public.authors"], ""), ["public", "authors", "id", "books"]);
        assert_eq!(labels(&[], "BOOK"), ["public", "books"]);
        assert_eq!(labels(&[], "author_"), ["public", "books", "id", "author_id"]);
        assert_eq!(labels(&[], "nothing"), Vec::<String>::new());
    }
}
