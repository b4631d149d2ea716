//! Rows and headers of the grid. Each row is a component, so that a key press renders one row again and not all.

use std::{
    collections::{BTreeMap, HashMap},
    rc::Rc,
};

use api_types::ColumnDetail;
use dioxus::{html::input_data::MouseButton, prelude::*, web::WebEventExt as _};
use wasm_bindgen::JsCast as _;

use super::{View, data::Row, grid::Edit, query, staged::StagedCell};
use crate::{
    address,
    pages::tables::table_page::Shared,
    ui::{Icon, IconName},
    value::{is_number, one_line, short_type},
};

/// The part of the grid's state that concerns one row.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct RowState {
    pub(super) changed: BTreeMap<String, StagedCell>,
    /// Columns whose new value was refused.
    pub(super) wrong: Vec<String>,
    /// Index of the column with the tab stop, if it is in this row.
    pub(super) focused: Option<usize>,
    /// The first and last column of the selected cells.
    pub(super) cells: Option<(usize, usize)>,
    pub(super) edit: Option<Edit>,
    pub(super) is_selected: bool,
    /// Key of the row as text, such as `id 7`.
    pub(super) name: Option<String>,
}

/// What a cell shows.
struct Shown {
    column: usize,
    text: Option<String>,
    title: Option<String>,
    class: String,
    is_in_selection: bool,
}

#[component]
pub(super) fn GridRow(
    index: usize,
    row: Row,
    state: RowState,
    detail: Shared,
    /// Indexes in the table of the shown columns.
    columns: Rc<[usize]>,
    /// Indexes in `columns` of those that are rendered.
    drawn: Rc<[usize]>,
    has_before: bool,
    has_after: bool,
    can_edit: bool,
    edit: Signal<Option<Edit>>,
    on_down: EventHandler<(usize, bool)>,
    on_enter: EventHandler<usize>,
    on_edit: EventHandler<usize>,
    on_copy: EventHandler<()>,
    on_toggle: EventHandler<()>,
    on_open: EventHandler<()>,
) -> Element {
    let cells: Vec<Shown> =
        drawn.iter().filter_map(|column| shown(*column, *columns.get(*column)?, &row, &state, &detail)).collect();
    let name = state.name.clone().unwrap_or_else(|| (index + 1).to_string());
    let draw = |cell: Shown| {
        let column = cell.column;
        if let Some(editing) = state.edit.clone().filter(|editing| editing.column == column) {
            let about = columns.get(column).and_then(|at| detail.columns.get(*at)).cloned();
            return rsx! {
                td {
                    key: "{column}",
                    role: "gridcell",
                    class: "{cell.class} editing",
                    "data-cell": "{index}-{column}",
                    "aria-colindex": "{column + 1}",
                    Editor { column: about, editing, edit }
                }
            };
        }
        let has_focus = state.focused == Some(column);
        rsx! {
            td {
                key: "{column}",
                role: "gridcell",
                class: cell.class,
                "data-cell": "{index}-{column}",
                "aria-colindex": "{column + 1}",
                "aria-selected": if cell.is_in_selection { "true" },
                tabindex: if has_focus { "0" } else { "-1" },
                title: cell.title,
                onmousedown: move |event| {
                    if event.trigger_button() == Some(MouseButton::Primary) {
                        on_down.call((column, event.modifiers().shift()));
                    }
                },
                onmouseenter: move |event| {
                    if event.held_buttons().contains(MouseButton::Primary) {
                        on_enter.call(column);
                    }
                },
                ondoubleclick: move |_| on_edit.call(column),
                match cell.text {
                    Some(text) => rsx! { "{text}" },
                    None => rsx! { span { class: "null", "NULL" } },
                }
                if has_focus && cell.is_in_selection {
                    button {
                        class: "cell-copy",
                        r#type: "button",
                        tabindex: "-1",
                        "aria-label": "Copy cell",
                        onmousedown: move |event| event.stop_propagation(),
                        ondoubleclick: move |event| event.stop_propagation(),
                        onclick: move |_| on_copy.call(()),
                        Icon { name: IconName::Copy }
                    }
                }
            }
        }
    };
    let mut drawn_cells = cells.into_iter().map(draw);
    let first = drawn_cells.next();
    let others: Vec<Element> = drawn_cells.collect();
    rsx! {
        tr { "aria-rowindex": "{index + 2}", "aria-selected": state.is_selected.to_string(),
            td { class: "pick",
                if can_edit && state.name.is_some() {
                    input {
                        r#type: "checkbox",
                        class: "box",
                        "aria-label": "Select row {name}",
                        tabindex: "-1",
                        checked: state.is_selected,
                        onchange: move |_| on_toggle.call(()),
                    }
                }
            }
            {first}
            if has_before {
                td { "aria-hidden": "true" }
            }
            for cell in others {
                {cell}
            }
            if has_after {
                td { "aria-hidden": "true" }
            }
            td { class: "rest",
                if state.name.is_some() {
                    button {
                        class: "btn btn-ghost btn-s row-open",
                        r#type: "button",
                        tabindex: "-1",
                        "aria-label": "Open row {name}",
                        onclick: move |_| on_open.call(()),
                        "Open"
                    }
                }
            }
        }
    }
}

fn shown(column: usize, index: usize, row: &Row, state: &RowState, detail: &Shared) -> Option<Shown> {
    let (about, cell) = (detail.columns.get(index)?, row.0.get(index)?);
    let changed = state.changed.get(&about.name);
    let text = match changed {
        Some(changed) => changed.now.as_deref(),
        None => cell.text.as_deref(),
    };
    let is_in_selection = state.cells.is_some_and(|(from, to)| (from..=to).contains(&column));
    let mut class = String::new();
    let mut add = |name: &str, when: bool| {
        if when {
            class.push_str(name);
            class.push(' ');
        }
    };
    add("key", column == 0);
    add("num", is_number(&about.data_type));
    add("changed", changed.is_some());
    add("is-wrong", state.wrong.contains(&about.name));
    add("is-in", is_in_selection);
    let mut line = text.map(one_line);
    if let (Some((line, is_cut)), Some(_), None) = (line.as_mut(), cell.whole_bytes, changed) {
        line.push('…');
        *is_cut = true;
    }
    let title = match (changed, &line) {
        (Some(changed), _) => Some(format!("Was {}", changed.was_text.as_deref().map_or_else(|| "NULL".to_owned(), |text| one_line(text).0))),
        (None, Some((line, is_cut))) if *is_cut || line.len() > 24 => Some(match cell.whole_bytes {
            Some(bytes) => format!("{line}\nThe beginning of {}. Open the row to see all.", crate::text::bytes(bytes as i64)),
            None => line.clone(),
        }),
        _ => None,
    };
    Some(Shown { column, text: line.map(|(line, _)| line), title, class, is_in_selection })
}

/// The input field of the cell that is being edited.
#[component]
fn Editor(column: Option<ColumnDetail>, editing: Edit, edit: Signal<Option<Edit>>) -> Element {
    let mut edit = edit;
    let Some(column) = column else { return rsx! {} };
    let mut change = move |text: String| {
        if let Some(edit) = edit.write().as_mut() {
            edit.text = text;
        }
    };
    let choices = match (&column.enum_values, column.data_type.as_str()) {
        (Some(values), _) => Some(values.clone()),
        (None, "boolean") => Some(vec!["true".to_owned(), "false".to_owned()]),
        _ => None,
    };
    let focus = |event: MountedEvent| {
        if let Some(field) = event.data().try_as_web_event().and_then(|field| field.dyn_into::<web_sys::HtmlElement>().ok()) {
            let _ = field.focus();
        }
    };
    match choices {
        Some(choices) => rsx! {
            select { "aria-label": "{column.name}", onmounted: focus, onchange: move |event| change(event.value()),
                for choice in choices {
                    option { key: "{choice}", value: "{choice}", selected: choice == editing.text, "{choice}" }
                }
            }
        },
        None => rsx! {
            input {
                "aria-label": "{column.name}",
                spellcheck: "false",
                autocomplete: "off",
                initial_value: "{editing.text}",
                onmounted: focus,
                oninput: move |event| change(event.value()),
                onmousedown: |event| event.stop_propagation(),
            }
        },
    }
}

#[component]
pub(super) fn Header(view: View, index: usize, column: usize, widths: Signal<HashMap<usize, f64>>) -> Element {
    let mut widths = widths;
    let mut grabbed = use_signal(|| None::<(f64, f64)>);
    let detail = view.detail.read();
    let Some(about) = detail.columns.get(index).cloned() else { return rsx! {} };
    let is_foreign = detail.foreign_keys.iter().any(|key| key.columns.contains(&about.name));
    let order = query::RowQuery::current().order_of(&about.name);
    let sort = match order {
        Some(true) => "descending",
        Some(false) => "ascending",
        None => "none",
    };
    let name = about.name.clone();
    let mut class = if column == 0 { "key".to_owned() } else { String::new() };
    if is_number(&about.data_type) {
        class.push_str(" num");
    }
    rsx! {
        th { class, "aria-sort": sort, "aria-colindex": "{column + 1}", scope: "col",
            button {
                class: "sort",
                r#type: "button",
                tabindex: "-1",
                title: "{about.name} {about.data_type}",
                onclick: move |_| {
                    let next = match order {
                        None => Some(false),
                        Some(false) => Some(true),
                        Some(true) => None,
                    };
                    let order = next.map(|descending| query::write_order(&[(name.clone(), descending)]));
                    address::replace_parameters(&[("order", order.into_iter().collect()), ("after", Vec::new()), ("offset", Vec::new())]);
                },
                if about.primary_key {
                    Icon { name: IconName::Key }
                } else if is_foreign {
                    Icon { name: IconName::ForeignKey }
                }
                span { class: "cut", "{about.name}" }
                span { class: "type", "{short_type(&about.data_type)}" }
                if let Some(descending) = order {
                    Icon { name: if descending { IconName::ArrowDown } else { IconName::ArrowUp }, small: true }
                }
            }
            span {
                class: "resize",
                "aria-hidden": "true",
                onpointerdown: move |event| {
                    event.prevent_default();
                    let Some(raw) = event.data().try_as_web_event() else { return };
                    let Some(handle) = raw.target().and_then(|target| target.dyn_into::<web_sys::Element>().ok()) else { return };
                    let _ = handle.set_pointer_capture(raw.pointer_id());
                    let width = handle.parent_element().map_or(100, |header| header.client_width());
                    grabbed.set(Some((event.client_coordinates().x, f64::from(width))));
                },
                onpointermove: move |event| {
                    if let Some((from, width)) = *grabbed.peek() {
                        widths.write().insert(index, (width + event.client_coordinates().x - from).clamp(56.0, 1200.0));
                    }
                },
                onpointerup: move |_| grabbed.set(None),
                onpointercancel: move |_| grabbed.set(None),
            }
        }
    }
}
