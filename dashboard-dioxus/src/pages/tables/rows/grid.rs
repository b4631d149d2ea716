//! The grid of rows. It follows the grid pattern of the ARIA authoring practices: one tab stop, the arrow keys move,
//! Enter edits. Only the rows and columns in view are rendered.

use std::{collections::HashMap, rc::Rc};

use dioxus::{events::MountedEvent, prelude::*, web::WebEventExt as _};
use gloo_timers::future::TimeoutFuture;
use wasm_bindgen::JsCast as _;
use web_sys::{Element as Node, HtmlElement};

use super::{
    PageRef, View,
    cells::{GridRow, Header, RowState},
    data::{Row, RowKey},
    foreign_key, query,
    staged,
    staged::StagedCell,
};
use crate::{
    address, clipboard,
    ui::messages,
    value::{self, is_number},
};

const ROW_HEIGHT: f64 = 30.0;
const HEADER_HEIGHT: f64 = 32.0;
const PICK_WIDTH: f64 = 40.0;
/// Rows above and below the view that are also rendered.
const OVERSCAN: usize = 10;
/// Number of rows by which the rendered window moves, so that most scroll events render nothing.
const STEP: usize = 5;
/// Number of columns above which only those in view are rendered.
const MANY_COLUMNS: usize = 40;
const PAGE: usize = 15;

/// The focused cell, and the cell where the selection began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Place {
    row: usize,
    column: usize,
    from_row: usize,
    from_column: usize,
}

impl Place {
    fn at(row: usize, column: usize) -> Self {
        Self { row, column, from_row: row, from_column: column }
    }

    fn rows(self) -> std::ops::RangeInclusive<usize> {
        self.row.min(self.from_row)..=self.row.max(self.from_row)
    }

    fn columns(self) -> std::ops::RangeInclusive<usize> {
        self.column.min(self.from_column)..=self.column.max(self.from_column)
    }
}

/// The part of the grid that is rendered.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Window {
    first_row: usize,
    rows: usize,
    first_column: usize,
    last_column: usize,
}

/// The cell that is being edited, and its current text.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Edit {
    pub(super) row: usize,
    pub(super) column: usize,
    pub(super) text: String,
}

#[component]
pub(super) fn Grid(view: View, page: PageRef) -> Element {
    let detail = view.detail.read().0.clone();
    let chosen = address::use_parameters("columns");
    // The indexes of the shown columns in the table.
    let columns: Rc<[usize]> = (0..detail.columns.len())
        .filter(|index| {
            chosen.is_empty() || detail.columns.get(*index).is_some_and(|column| chosen.contains(&column.name))
        })
        .collect();
    let (row_count, column_count) = (page.0.rows.len(), columns.len());
    let key_columns = query::key_columns(&detail);
    let can_edit = view.key().is_some();
    let widths = use_signal(HashMap::<usize, f64>::new);
    let mut place = use_signal(Place::default);
    let mut window = use_signal(|| Window { first_row: 0, rows: 40, first_column: 0, last_column: MANY_COLUMNS });
    let mut element = use_signal(|| None::<Node>);
    let mut has_focus = use_signal(|| false);
    let mut edit = use_signal(|| None::<Edit>);

    let width_of = move |column: usize, data_type: &str, name: &str| {
        widths.read().get(&column).copied().unwrap_or_else(|| default_width(data_type, name))
    };
    let all_widths: Rc<[f64]> = columns
        .iter()
        .filter_map(|index| detail.columns.get(*index).map(|column| width_of(*index, &column.data_type, &column.name)))
        .collect();

    let focus_cell = move || {
        spawn(async move {
            TimeoutFuture::new(0).await;
            if let Some(cell) = element.peek().as_ref().and_then(|grid| cell_of(grid, *place.peek())) {
                let options = web_sys::FocusOptions::new();
                options.set_prevent_scroll(true);
                let _ = cell.focus_with_options(&options);
            }
        });
    };
    let go = {
        let all_widths = all_widths.clone();
        move |row: usize, column: usize, extend: bool| {
            let mut place = place;
            let (row, column) = (row.min(row_count.saturating_sub(1)), column.min(column_count.saturating_sub(1)));
            let mut next = Place::at(row, column);
            if extend {
                let before = *place.peek();
                (next.from_row, next.from_column) = (before.from_row, before.from_column);
            }
            if let Some(grid) = element.peek().as_ref() {
                reveal(grid, row, column, &all_widths);
            }
            place.set(next);
            focus_cell();
        }
    };
    let rows = page.0.rows.clone();
    let row_key = {
        let (detail, rows, key_columns) = (detail.clone(), rows.clone(), key_columns.clone());
        move |row: usize| RowKey::of(rows.get(row)?, &detail, key_columns.as_deref()?)
    };
    let cell_text = {
        let (detail, rows, columns, row_key) = (detail.clone(), rows.clone(), columns.clone(), row_key.clone());
        move |row: usize, column: usize| -> Option<String> {
            let index = *columns.get(column)?;
            let name = &detail.columns.get(index)?.name;
            if let Some(key) = row_key(row)
                && let Some(changed) = staged::peek(&view.staged.peek()).cell(&key, name)
            {
                return changed.now.clone();
            }
            rows.get(row)?.0.get(index)?.text.as_deref().map(str::to_owned)
        }
    };
    let open_row = {
        let row_key = row_key.clone();
        move |row: usize| {
            if let Some(key) = row_key(row) {
                address::push_parameter("row", Some(&key.to_parameter()));
            }
        }
    };
    let set_cell = {
        let (detail, rows, columns, row_key) = (detail.clone(), rows.clone(), columns.clone(), row_key.clone());
        move |row: usize, column: usize, now: Option<String>| {
            let mut wrong = view.wrong;
            let (Some(index), Some(key)) = (columns.get(column), row_key(row)) else { return };
            let Some((about, cell)) = detail.columns.get(*index).zip(rows.get(row).and_then(|row| row.0.get(*index))) else {
                return;
            };
            if about.generated.is_some() || cell.whole_bytes.is_some() || !can_edit {
                return;
            }
            let changed = StagedCell { was: cell.json.to_string(), was_text: cell.text.as_deref().map(str::to_owned), now };
            wrong.write().retain(|(other, name)| *other != key || *name != about.name);
            staged::set(&view.staged.peek(), &key, &about.name, changed);
        }
    };
    let begin_edit = {
        let (detail, rows, columns, cell_text, open_row) =
            (detail.clone(), rows.clone(), columns.clone(), cell_text.clone(), open_row.clone());
        move |row: usize, column: usize, text: Option<String>| {
            let mut edit = edit;
            let Some(index) = columns.get(column) else { return };
            let is_cut = rows.get(row).and_then(|row| row.0.get(*index)).is_some_and(|cell| cell.whole_bytes.is_some());
            let is_generated = detail.columns.get(*index).is_some_and(|column| column.generated.is_some());
            let current = cell_text(row, column).unwrap_or_default();
            // A one-line field can't edit a value of several lines or one that is cut.
            if !can_edit || is_generated || is_cut || current.contains('\n') {
                return open_row(row);
            }
            edit.set(Some(Edit { row, column, text: text.unwrap_or(current) }));
        }
    };
    let commit = {
        let (set_cell, cell_text) = (set_cell.clone(), cell_text.clone());
        move || {
            let mut edit = edit;
            let Some(done) = edit.take() else { return };
            // A cell that was NULL stays NULL if nothing was typed.
            let before = cell_text(done.row, done.column);
            if before.is_some() || !done.text.is_empty() {
                set_cell(done.row, done.column, Some(done.text));
            }
        }
    };
    let copy = {
        let cell_text = cell_text.clone();
        move || {
            let at = *place.peek();
            let lines: Vec<Vec<Option<String>>> =
                at.rows().map(|row| at.columns().map(|column| cell_text(row, column)).collect()).collect();
            // A single cell is copied as it is, several cells as tab-separated text for spreadsheets.
            let text = match lines.as_slice() {
                [line] if line.len() == 1 => line.first().cloned().flatten().unwrap_or_default(),
                lines => lines.iter().map(|line| tsv_line(line)).collect::<Vec<_>>().join("\n"),
            };
            spawn(async move {
                if clipboard::copy(&text).await {
                    messages::show("Copied");
                } else {
                    messages::show_failure("The browser did not allow copying.");
                }
            });
        }
    };
    let toggle_row = {
        let row_key = row_key.clone();
        move |row: usize| {
            let mut selected = view.selected;
            if let Some(key) = row_key(row) {
                let parameter = key.to_parameter();
                let mut selected = selected.write();
                if !selected.remove(&parameter) {
                    selected.insert(parameter);
                }
            }
        }
    };
    let onkeydown = {
        let (go, copy, commit, begin_edit, set_cell, toggle_row, open_row, cell_text) = (
            go.clone(), copy.clone(), commit.clone(), begin_edit.clone(), set_cell.clone(), toggle_row.clone(), open_row.clone(),
            cell_text.clone(),
        );
        let (detail, columns) = (detail.clone(), columns.clone());
        move |event: KeyboardEvent| {
            let at = *place.peek();
            let modifiers = event.modifiers();
            let (control, alt, shift) = (modifiers.ctrl() || modifiers.meta(), modifiers.alt(), modifiers.shift());
            let key = event.key();
            if control && matches!(&key, Key::Character(letter) if letter == "s") || control && key == Key::Enter {
                event.prevent_default();
                commit();
                crate::dom::find("[data-save-changes]").inspect(|button| button.click());
                return focus_cell();
            }
            if edit.peek().is_some() {
                match key {
                    Key::Escape => {
                        event.stop_propagation();
                        edit.set(None);
                        focus_cell();
                    }
                    Key::Enter if !alt => {
                        commit();
                        go(at.row + 1, at.column, false);
                    }
                    Key::Tab => {
                        commit();
                        go(at.row, if shift { at.column.saturating_sub(1) } else { at.column + 1 }, false);
                    }
                    _ => return,
                }
                return event.prevent_default();
            }
            let last = (row_count.saturating_sub(1), column_count.saturating_sub(1));
            let follow = || {
                let name = columns.get(at.column).and_then(|index| detail.columns.get(*index)).map(|column| column.name.clone());
                let target = name.zip(cell_text(at.row, at.column));
                target.and_then(|(name, text)| foreign_key::target(&view.project.peek(), &detail, &name, &text))
            };
            let (row, column) = match key {
                Key::ArrowRight if alt => {
                    if let Some(to) = follow() {
                        event.prevent_default();
                        address::go(&to);
                    }
                    return;
                }
                Key::ArrowDown => (if control { last.0 } else { at.row + 1 }, at.column),
                Key::ArrowUp => (if control { 0 } else { at.row.saturating_sub(1) }, at.column),
                Key::ArrowRight => (at.row, if control { last.1 } else { at.column + 1 }),
                Key::ArrowLeft => (at.row, if control { 0 } else { at.column.saturating_sub(1) }),
                Key::PageDown => (at.row + PAGE, at.column),
                Key::PageUp => (at.row.saturating_sub(PAGE), at.column),
                Key::Home => (if control { 0 } else { at.row }, 0),
                Key::End => (if control { last.0 } else { at.row }, last.1),
                Key::Enter if alt => {
                    event.prevent_default();
                    return open_row(at.row);
                }
                Key::Enter | Key::F2 => {
                    event.prevent_default();
                    return begin_edit(at.row, at.column, None);
                }
                Key::Backspace if control => {
                    event.prevent_default();
                    return set_cell(at.row, at.column, None);
                }
                Key::Backspace | Key::Delete => {
                    event.prevent_default();
                    return begin_edit(at.row, at.column, Some(String::new()));
                }
                Key::Character(letter) if control => {
                    match letter.as_str() {
                        "c" => copy(),
                        "z" => {
                            staged::undo(&view.staged.peek());
                        }
                        "a" => place.set(Place { row: last.0, column: last.1, from_row: 0, from_column: 0 }),
                        _ => return,
                    }
                    return event.prevent_default();
                }
                Key::Character(letter) if letter == " " => {
                    event.prevent_default();
                    return toggle_row(at.row);
                }
                Key::Character(letter) if letter == "f" && !can_edit => {
                    event.prevent_default();
                    return filter_by(&detail, &columns, at.column, cell_text(at.row, at.column));
                }
                Key::Character(letter) if !alt && letter.chars().count() == 1 => {
                    event.prevent_default();
                    return begin_edit(at.row, at.column, Some(letter));
                }
                _ => return,
            };
            event.prevent_default();
            go(row, column, shift);
        }
    };
    let onpaste = {
        let set_cell = set_cell.clone();
        move |event: ClipboardEvent| {
            if edit.peek().is_some() {
                return;
            }
            let Some(text) = pasted_text(&event) else { return };
            event.prevent_default();
            let at = *place.peek();
            for (row, line) in text.trim_end_matches(['\r', '\n']).split('\n').enumerate() {
                for (column, cell) in line.trim_end_matches('\r').split('\t').enumerate() {
                    set_cell(at.row + row, at.column + column, Some(cell.to_owned()));
                }
            }
        }
    };

    let shown = window();
    let first_row = shown.first_row.min(row_count.saturating_sub(1));
    let last_row = (first_row + shown.rows).min(row_count);
    let is_wide = column_count > MANY_COLUMNS;
    // The first column is always rendered, because it is sticky.
    let (first, last) = if is_wide {
        (shown.first_column.clamp(1, column_count), shown.last_column.min(column_count))
    } else {
        (1.min(column_count), column_count)
    };
    let before: f64 = all_widths.iter().take(first).skip(1).sum();
    let after: f64 = all_widths.iter().skip(last).sum();
    let drawn_columns: Rc<[usize]> = (0..1.min(column_count)).chain(first..last).collect();
    let drawn_headers: Vec<(usize, usize)> =
        drawn_columns.iter().copied().skip(1).filter_map(|column| Some((column, *columns.get(column)?))).collect();
    let total = PICK_WIDTH + all_widths.iter().sum::<f64>();
    let at = place();
    let stop_row = if (first_row..last_row).contains(&at.row) { at.row } else { first_row };
    let staged_changes = staged::of(&view.staged.read());
    let wrong = view.wrong.read().clone();
    let selected_keys = view.selected.read().clone();
    let drawn: Vec<(usize, Row, RowState)> = (first_row..last_row)
        .filter_map(|index| {
            let row = page.0.rows.get(index)?.clone();
            let key = row_key(index);
            let state = RowState {
                changed: key.as_ref().and_then(|key| staged_changes.row(key)).map(|row| row.cells.clone()).unwrap_or_default(),
                wrong: key.as_ref().map(|key| wrong.iter().filter(|(other, _)| other == key).map(|(_, name)| name.clone()).collect()).unwrap_or_default(),
                focused: (index == stop_row).then_some(at.column),
                cells: at.rows().contains(&index).then(|| (*at.columns().start(), *at.columns().end())),
                edit: edit().filter(|edit| edit.row == index),
                is_selected: key.as_ref().is_some_and(|key| selected_keys.contains(&key.to_parameter())),
                name: key.as_ref().map(RowKey::words),
            };
            Some((index, row, state))
        })
        .collect();
    let all_selected = row_count > 0 && selected_keys.len() >= row_count;
    let mut selected = view.selected;
    rsx! {
        div {
            class: "grid-wrap data-grid",
            onmounted: {
                let all_widths = all_widths.clone();
                move |event: MountedEvent| {
                    element.set(event.data().try_as_web_event());
                    if let Some(grid) = element.peek().as_ref() {
                        window.set(window_of(grid, &all_widths));
                    }
                }
            },
            onresize: {
                let all_widths = all_widths.clone();
                move |_| update_window(element, window, &all_widths)
            },
            onscroll: {
                let all_widths = all_widths.clone();
                move |_| update_window(element, window, &all_widths)
            },
            onfocusin: move |_| has_focus.set(true),
            onfocusout: move |_| has_focus.set(false),
            onkeydown,
            onpaste,
            table {
                class: "grid",
                role: "grid",
                "aria-label": "Rows of {view.table}",
                "aria-multiselectable": "true",
                "aria-readonly": if !can_edit { "true" },
                "aria-busy": if *view.loading.read() { "true" },
                "aria-rowcount": page.0.total.map_or_else(|| "-1".to_owned(), |total| total.to_string()),
                "aria-colcount": "{column_count}",
                style: "inline-size: {total}px",
                colgroup {
                    col { style: "inline-size: {PICK_WIDTH}px" }
                    col { style: "inline-size: {all_widths.first().copied().unwrap_or(100.0)}px" }
                    if before > 0.0 {
                        col { style: "inline-size: {before}px" }
                    }
                    for column in drawn_columns.iter().copied().skip(1) {
                        col { key: "{column}", style: "inline-size: {all_widths.get(column).copied().unwrap_or(100.0)}px" }
                    }
                    if after > 0.0 {
                        col { style: "inline-size: {after}px" }
                    }
                    col {}
                }
                thead {
                    tr { "aria-rowindex": "1",
                        th { class: "pick",
                            if can_edit {
                                input {
                                    r#type: "checkbox",
                                    class: "box",
                                    "aria-label": "Select all rows",
                                    checked: all_selected,
                                    tabindex: "-1",
                                    onchange: {
                                        let row_key = row_key.clone();
                                        move |event: FormEvent| {
                                            let keys = (0..row_count).filter_map(&row_key).map(|key| key.to_parameter());
                                            selected.set(if event.checked() { keys.collect() } else { Default::default() });
                                        }
                                    },
                                }
                            }
                        }
                        if let Some(index) = columns.first().copied() {
                            Header { view, index, column: 0, widths }
                        }
                        if before > 0.0 {
                            th { "aria-hidden": "true" }
                        }
                        for (column, index) in drawn_headers {
                            Header { key: "{index}", view, index, column, widths }
                        }
                        if after > 0.0 {
                            th { "aria-hidden": "true" }
                        }
                        th { class: "rest", "aria-hidden": "true" }
                    }
                }
                tbody {
                    if first_row > 0 {
                        tr { "aria-hidden": "true", class: "spacer", td { colspan: "{column_count + 2}", style: "block-size: {first_row as f64 * ROW_HEIGHT}px" } }
                    }
                    for (index, row, state) in drawn {
                        GridRow {
                            key: "{index}",
                            index,
                            row,
                            state,
                            detail: view.detail.read().clone(),
                            columns: columns.clone(),
                            drawn: drawn_columns.clone(),
                            has_before: before > 0.0,
                            has_after: after > 0.0,
                            can_edit,
                            edit,
                            on_down: {
                                let (go, commit) = (go.clone(), commit.clone());
                                move |(column, extend): (usize, bool)| {
                                    commit();
                                    go(index, column, extend);
                                }
                            },
                            on_enter: move |column| {
                                let before = *place.peek();
                                place.set(Place { row: index, column, ..before });
                            },
                            on_edit: {
                                let begin_edit = begin_edit.clone();
                                move |column| begin_edit(index, column, None)
                            },
                            on_copy: {
                                let copy = copy.clone();
                                move |()| copy()
                            },
                            on_toggle: {
                                let toggle_row = toggle_row.clone();
                                move |()| toggle_row(index)
                            },
                            on_open: {
                                let open_row = open_row.clone();
                                move |()| open_row(index)
                            },
                        }
                    }
                    if last_row < row_count {
                        tr { "aria-hidden": "true", class: "spacer", td { colspan: "{column_count + 2}", style: "block-size: {(row_count - last_row) as f64 * ROW_HEIGHT}px" } }
                    }
                }
            }
        }
    }
}

/// Adds a filter for the value of a cell.
fn filter_by(detail: &api_types::TableDetail, columns: &[usize], column: usize, text: Option<String>) {
    let Some(about) = columns.get(column).and_then(|index| detail.columns.get(*index)) else { return };
    let filter = match text {
        None => format!("is.{}=null", about.name),
        Some(text) => format!("eq.{}={text}", about.name),
    };
    let mut filters = address::parameters("where");
    filters.push(filter);
    address::replace_parameters(&[("where", filters), ("after", Vec::new()), ("offset", Vec::new())]);
}

fn tsv_line(cells: &[Option<String>]) -> String {
    let cell = |cell: &Option<String>| cell.as_deref().unwrap_or_default().replace(['\t', '\n', '\r'], " ");
    cells.iter().map(cell).collect::<Vec<_>>().join("\t")
}

fn pasted_text(event: &ClipboardEvent) -> Option<String> {
    let raw: web_sys::Event = event.data().try_as_web_event()?;
    let data = js_sys::Reflect::get(&raw, &"clipboardData".into()).ok()?.dyn_into::<web_sys::DataTransfer>().ok()?;
    data.get_data("text/plain").ok().filter(|text| !text.is_empty())
}

fn default_width(data_type: &str, name: &str) -> f64 {
    let base: f64 = if is_number(data_type) || data_type == "boolean" {
        96.0
    } else if data_type.starts_with("timestamp") {
        232.0
    } else if data_type == "uuid" {
        280.0
    } else if value::is_document(data_type) || value::is_text(data_type) {
        220.0
    } else {
        140.0
    };
    let label = (name.chars().count() + value::short_type(data_type).chars().count()) as f64 * 7.0 + 48.0;
    base.max(label).min(320.0)
}

fn update_window(element: Signal<Option<Node>>, mut window: Signal<Window>, widths: &[f64]) {
    if let Some(grid) = element.peek().as_ref() {
        let next = window_of(grid, widths);
        if *window.peek() != next {
            window.set(next);
        }
    }
}

/// Returns the rows and columns in view, rounded to [`STEP`] rows.
fn window_of(grid: &Node, widths: &[f64]) -> Window {
    let first = (f64::from(grid.scroll_top()) / ROW_HEIGHT) as usize;
    let first_row = first.saturating_sub(OVERSCAN) / STEP * STEP;
    let rows = (f64::from(grid.client_height()) / ROW_HEIGHT) as usize + 2 * OVERSCAN + STEP + 1;
    if widths.len() <= MANY_COLUMNS {
        return Window { first_row, rows, first_column: 0, last_column: widths.len() };
    }
    let left = f64::from(grid.scroll_left()) - 600.0;
    let right = f64::from(grid.scroll_left() + grid.client_width()) + 600.0;
    let (mut edge, mut first_column, mut last_column) = (0.0, 0, widths.len());
    for (column, width) in widths.iter().enumerate() {
        if edge + width < left {
            first_column = column;
        }
        if edge > right {
            last_column = column;
            break;
        }
        edge += width;
    }
    Window {
        first_row,
        rows,
        first_column: first_column / 4 * 4,
        last_column: last_column.next_multiple_of(4).min(widths.len()),
    }
}

/// Scrolls as little as needed to show a cell.
fn reveal(grid: &Node, row: usize, column: usize, widths: &[f64]) {
    let (top, height) = (f64::from(grid.scroll_top()), f64::from(grid.client_height()) - HEADER_HEIGHT);
    let cell_top = row as f64 * ROW_HEIGHT;
    if cell_top < top {
        grid.set_scroll_top(cell_top as i32);
    } else if cell_top + ROW_HEIGHT > top + height {
        grid.set_scroll_top((cell_top + ROW_HEIGHT - height) as i32);
    }
    let fixed = PICK_WIDTH + widths.first().copied().unwrap_or_default();
    let (left, width) = (f64::from(grid.scroll_left()), f64::from(grid.client_width()) - fixed);
    let cell_left: f64 = widths.iter().take(column).skip(1).sum();
    let cell_width = widths.get(column).copied().unwrap_or_default();
    if column > 0 && cell_left < left {
        grid.set_scroll_left(cell_left as i32);
    } else if column > 0 && cell_left + cell_width > left + width {
        grid.set_scroll_left((cell_left + cell_width - width) as i32);
    }
}

fn cell_of(grid: &Node, at: Place) -> Option<HtmlElement> {
    let selector = format!("[data-cell=\"{}-{}\"]", at.row, at.column);
    grid.query_selector(&selector).ok().flatten()?.dyn_into().ok()
}
