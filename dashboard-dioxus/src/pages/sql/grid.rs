//! The grid of a result. Only the cells in view are rendered.
//!
//! It follows the grid pattern of the ARIA authoring practices: one tab stop, the arrow keys move, Shift extends the
//! selection, and Ctrl-C copies it.

use std::{cmp::Ordering, rc::Rc};

use dioxus::{events::MountedEvent, prelude::*, web::WebEventExt as _};
use gloo_timers::future::TimeoutFuture;
use wasm_bindgen::JsCast as _;
use web_sys::{Element as Node, HtmlElement};

use super::{
    cell_dialog::CellDialog,
    execution::{Column, ResultSet},
    export,
    value::{Cell, one_line},
};
use crate::{
    clipboard,
    ui::{Icon, IconName, messages},
};

const ROW_HEIGHT: f64 = 30.0;
const HEADER_HEIGHT: f64 = 32.0;
const NUMBER_WIDTH: f64 = 56.0;
/// Rows above and below the view that are also rendered.
const OVERSCAN: usize = 12;
/// Number of rows by which the rendered window moves, so that most scroll events render nothing.
const STEP: usize = 6;
/// Number of columns above which only those in view are rendered.
const MANY_COLUMNS: usize = 40;
/// Number of rows that Page Up and Page Down move.
const PAGE: usize = 12;

/// A row, compared by identity, because results never change.
#[derive(Debug, Clone)]
struct Row(Rc<[Cell]>);

impl PartialEq for Row {
    fn eq(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }
}

/// The columns, compared by identity like a [`Row`].
#[derive(Debug, Clone)]
struct Columns(Rc<[Column]>);

impl PartialEq for Columns {
    fn eq(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }
}

/// The part of the grid that is rendered.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Window {
    first_row: usize,
    rows: usize,
    first_column: usize,
    columns: usize,
}

/// A cell that has the focus, and the cell where the selection began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Selection {
    row: usize,
    column: usize,
    from_row: usize,
    from_column: usize,
}

impl Selection {
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

#[component]
pub(super) fn ResultGrid(result: Rc<ResultSet>) -> Element {
    let column_count = result.columns.len();
    let row_count = result.rows.len();
    let widths = use_signal(|| result.columns.iter().map(|column| column.width).collect::<Vec<_>>());
    let sort = use_signal(|| None::<(usize, bool)>);
    let mut window = use_signal(|| Window { first_row: 0, rows: 40, first_column: 0, columns: MANY_COLUMNS });
    let mut selection = use_signal(Selection::default);
    let mut element = use_signal(|| None::<Node>);
    let mut has_focus = use_signal(|| false);
    let mut opened = use_signal(|| None::<(usize, usize)>);
    let rows = result.rows.clone();
    let columns = result.columns.clone();
    let order = use_memo(move || sorted(&rows, &columns, sort()));

    // The focus follows the selection, once the cell is rendered.
    use_effect(move || {
        let at = selection();
        if !*has_focus.peek() {
            return;
        }
        spawn(async move {
            TimeoutFuture::new(0).await;
            if let Some(cell) = element.peek().as_ref().and_then(|grid| cell_of(grid, at)) {
                let _ = cell.focus();
            }
        });
    });

    let mut go = move |row: usize, column: usize, extend: bool| {
        let (row, column) = (row.min(row_count.saturating_sub(1)), column.min(column_count.saturating_sub(1)));
        let mut next = Selection::at(row, column);
        if extend {
            let before = *selection.peek();
            (next.from_row, next.from_column) = (before.from_row, before.from_column);
        }
        if let Some(grid) = element.peek().as_ref() {
            reveal(grid, row, column, &widths.peek());
        }
        selection.set(next);
    };
    let copy = {
        let result = result.clone();
        move || {
            let at = *selection.peek();
            let order = order.peek();
            let shown: Vec<Vec<Cell>> = at
                .rows()
                .filter_map(|row| result.rows.get(*order.get(row)?))
                .map(|row| at.columns().map(|column| row.get(column).cloned().flatten()).collect())
                .collect();
            // A single cell is copied as it is, several cells as tab-separated text for spreadsheets.
            let text = match shown.as_slice() {
                [row] if row.len() == 1 => row.first().cloned().flatten().unwrap_or_default().to_string(),
                rows => export::tsv(rows.iter().map(Vec::as_slice)),
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
    let copy_selection = copy.clone();
    let onkeydown = move |event: KeyboardEvent| {
        let at = *selection.peek();
        let modifiers = event.modifiers();
        let control = modifiers.ctrl() || modifiers.meta();
        let extend = modifiers.shift();
        let last = (row_count.saturating_sub(1), column_count.saturating_sub(1));
        let (row, column) = match event.key() {
            Key::ArrowDown => (if control { last.0 } else { at.row + 1 }, at.column),
            Key::ArrowUp => (if control { 0 } else { at.row.saturating_sub(1) }, at.column),
            Key::ArrowRight => (at.row, if control { last.1 } else { at.column + 1 }),
            Key::ArrowLeft => (at.row, if control { 0 } else { at.column.saturating_sub(1) }),
            Key::PageDown => (at.row + PAGE, at.column),
            Key::PageUp => (at.row.saturating_sub(PAGE), at.column),
            Key::Home => (if control { 0 } else { at.row }, 0),
            Key::End => (if control { last.0 } else { at.row }, last.1),
            Key::Enter => {
                event.prevent_default();
                return opened.set(Some((at.row, at.column)));
            }
            Key::Character(key) if control && key == "c" => {
                event.prevent_default();
                return copy_selection();
            }
            Key::Character(key) if control && key == "a" => {
                event.prevent_default();
                return selection.set(Selection { row: at.row, column: at.column, ..Selection::default() }.all(last));
            }
            Key::Escape => return selection.set(Selection::at(at.row, at.column)),
            _ => return,
        };
        event.prevent_default();
        go(row, column, extend);
    };

    let shown = window();
    let first_row = shown.first_row.min(row_count.saturating_sub(1));
    let last_row = (first_row + shown.rows).min(row_count);
    let is_wide = column_count > MANY_COLUMNS;
    let (first_column, last_column) = if is_wide {
        (shown.first_column.min(column_count), (shown.first_column + shown.columns).min(column_count))
    } else {
        (0, column_count)
    };
    let all_widths = widths();
    let before: f64 = all_widths.iter().take(first_column).sum();
    let after: f64 = all_widths.iter().skip(last_column).sum();
    let total = NUMBER_WIDTH + all_widths.iter().sum::<f64>();
    let at = selection();
    // If the focused cell is out of view, the first one in view is the tab stop.
    let stop_row = if (first_row..last_row).contains(&at.row) { at.row } else { first_row };
    let ordered = order.read();
    let drawn: Vec<(usize, Row)> = (first_row..last_row)
        .filter_map(|index| Some((index, Row(result.rows.get(*ordered.get(index)?)?.clone()))))
        .collect();
    rsx! {
        div {
            class: "grid-wrap sql-grid",
            tabindex: "-1",
            onmounted: move |event: MountedEvent| {
                element.set(event.data().try_as_web_event());
                if let Some(grid) = element.peek().as_ref() {
                    window.set(window_of(grid, &widths.peek()));
                }
            },
            onresize: move |_| {
                if let Some(grid) = element.peek().as_ref() {
                    let next = window_of(grid, &widths.peek());
                    if *window.peek() != next {
                        window.set(next);
                    }
                }
            },
            onscroll: move |_| {
                if let Some(grid) = element.peek().as_ref() {
                    let next = window_of(grid, &widths.peek());
                    if *window.peek() != next {
                        window.set(next);
                        let is_gone = !(next.first_row..next.first_row + next.rows).contains(&selection.peek().row);
                        if is_gone && *has_focus.peek() && let Some(grid) = grid.dyn_ref::<HtmlElement>() {
                            let _ = grid.focus();
                        }
                    }
                }
            },
            onfocusin: move |_| has_focus.set(true),
            onfocusout: move |_| has_focus.set(false),
            onkeydown,
            table {
                class: "grid",
                role: "grid",
                "aria-label": "Result",
                "aria-readonly": "true",
                "aria-multiselectable": "true",
                "aria-rowcount": "{row_count + 1}",
                "aria-colcount": "{column_count}",
                style: "inline-size: {total}px",
                colgroup {
                    col { style: "inline-size: {NUMBER_WIDTH}px" }
                    if first_column > 0 {
                        col { style: "inline-size: {before}px" }
                    }
                    for (column, width) in all_widths.iter().enumerate().skip(first_column).take(last_column - first_column) {
                        col { key: "{column}", style: "inline-size: {width}px" }
                    }
                    if last_column < column_count {
                        col { style: "inline-size: {after}px" }
                    }
                    col {}
                }
                thead {
                    tr { "aria-rowindex": "1",
                        th { class: "num faint sql-number", "aria-label": "Row number", "#" }
                        if first_column > 0 {
                            th { "aria-hidden": "true" }
                        }
                        for (index, column) in result.columns.iter().enumerate().skip(first_column).take(last_column - first_column) {
                            Header { key: "{index}", column: column.clone(), index, sort, widths }
                        }
                        if last_column < column_count {
                            th { "aria-hidden": "true" }
                        }
                        th { class: "sql-rest", "aria-hidden": "true" }
                    }
                }
                tbody {
                    if first_row > 0 {
                        tr { "aria-hidden": "true", class: "sql-spacer", td { colspan: "{column_count + 2}", style: "block-size: {first_row as f64 * ROW_HEIGHT}px" } }
                    }
                    for (index, row) in drawn {
                        GridRow {
                            key: "{index}",
                            index,
                            row,
                            columns: Columns(result.columns.clone()),
                            first_column,
                            last_column,
                            focused: (index == stop_row).then_some(at.column.clamp(first_column, last_column.saturating_sub(1))),
                            selected: at.rows().contains(&index).then(|| (*at.columns().start(), *at.columns().end())),
                            on_down: move |(column, extend)| go(index, column, extend),
                            on_enter: move |column| {
                                let before = *selection.peek();
                                selection.set(Selection { row: index, column, ..before });
                            },
                            on_copy: {
                                let copy = copy.clone();
                                move |()| copy()
                            },
                            on_open: move |column| opened.set(Some((index, column))),
                        }
                    }
                    if last_row < row_count {
                        tr { "aria-hidden": "true", class: "sql-spacer", td { colspan: "{column_count + 2}", style: "block-size: {(row_count - last_row) as f64 * ROW_HEIGHT}px" } }
                    }
                }
            }
        }
        if let Some((row, column)) = opened() {
            CellDialog {
                column: result.columns.get(column).cloned(),
                row: row + 1,
                value: ordered.get(row).and_then(|index| result.rows.get(*index)).and_then(|row| row.get(column).cloned().flatten()),
                on_close: move |()| opened.set(None),
            }
        }
    }
}

impl Selection {
    /// Selects all cells, and keeps the focus where it is.
    fn all(self, last: (usize, usize)) -> Self {
        Self { row: last.0, column: last.1, from_row: 0, from_column: 0 }
    }
}

#[component]
fn Header(column: Column, index: usize, sort: Signal<Option<(usize, bool)>>, widths: Signal<Vec<f64>>) -> Element {
    let mut sort = sort;
    let mut widths = widths;
    let mut grabbed = use_signal(|| None::<(f64, f64)>);
    let direction = sort().filter(|(sorted, _)| *sorted == index).map(|(_, descending)| descending);
    rsx! {
        th {
            class: if column.is_number { "num" },
            "aria-sort": match direction { Some(true) => "descending", Some(false) => "ascending", None => "none" },
            "aria-colindex": "{index + 1}",
            button {
                class: "sql-sort",
                r#type: "button",
                title: "{column.name} {column.data_type}",
                onclick: move |_| {
                    let next = match direction {
                        None => Some((index, false)),
                        Some(false) => Some((index, true)),
                        Some(true) => None,
                    };
                    sort.set(next);
                },
                span { class: "cut", "{column.name}" }
                span { class: "type", "{column.data_type}" }
                if let Some(descending) = direction {
                    Icon { name: if descending { IconName::ArrowDown } else { IconName::ArrowUp }, small: true }
                }
            }
            span {
                class: "sql-resize",
                "aria-hidden": "true",
                onpointerdown: move |event| {
                    event.prevent_default();
                    if let Some(raw) = event.data().try_as_web_event()
                        && let Some(handle) = raw.target().and_then(|target| target.dyn_into::<Node>().ok())
                    {
                        let _ = handle.set_pointer_capture(raw.pointer_id());
                    }
                    let width = widths.peek().get(index).copied().unwrap_or(100.0);
                    grabbed.set(Some((event.client_coordinates().x, width)));
                },
                onpointermove: move |event| {
                    if let Some((from, width)) = *grabbed.peek()
                        && let Some(current) = widths.write().get_mut(index)
                    {
                        *current = (width + event.client_coordinates().x - from).clamp(48.0, 1200.0);
                    }
                },
                onpointerup: move |_| grabbed.set(None),
                onpointercancel: move |_| grabbed.set(None),
            }
        }
    }
}

#[component]
fn GridRow(
    index: usize,
    row: Row,
    columns: Columns,
    first_column: usize,
    last_column: usize,
    /// The column of the tab stop, if it is in this row.
    focused: Option<usize>,
    /// The first and last selected column of this row.
    selected: Option<(usize, usize)>,
    on_down: EventHandler<(usize, bool)>,
    on_enter: EventHandler<usize>,
    on_copy: EventHandler<()>,
    on_open: EventHandler<usize>,
) -> Element {
    let cells = row.0.iter().zip(columns.0.iter()).enumerate().skip(first_column).take(last_column - first_column);
    let cells: Vec<_> = cells
        .map(|(column, (cell, about))| {
            let is_selected = selected.is_some_and(|(from, to)| (from..=to).contains(&column));
            let mut class = String::new();
            if about.is_number {
                class.push_str("num ");
            }
            if is_selected {
                class.push_str("is-selected ");
            }
            let (text, is_cut) = cell.as_deref().map_or_else(|| ("NULL".to_owned(), false), one_line);
            (column, text, cell.is_none(), is_cut, is_selected, class)
        })
        .collect();
    rsx! {
        tr { "aria-rowindex": "{index + 2}",
            td { class: "num faint sql-number", "aria-hidden": "true", "{index + 1}" }
            if first_column > 0 {
                td { "aria-hidden": "true" }
            }
            for (column, text, is_null, is_cut, is_selected, class) in cells {
                td {
                    key: "{column}",
                    class,
                    "data-cell": "{index}-{column}",
                    "aria-colindex": "{column + 1}",
                    "aria-selected": if is_selected { "true" },
                    tabindex: if focused == Some(column) { "0" } else { "-1" },
                    title: (is_cut || text.len() > 24).then(|| text.clone()),
                    onmousedown: move |event| {
                        if event.trigger_button() == Some(dioxus::html::input_data::MouseButton::Primary) {
                            on_down.call((column, event.modifiers().shift()));
                        }
                    },
                    onmouseenter: move |event| {
                        if event.held_buttons().contains(dioxus::html::input_data::MouseButton::Primary) {
                            on_enter.call(column);
                        }
                    },
                    ondoubleclick: move |_| on_open.call(column),
                    if is_null {
                        span { class: "null", "NULL" }
                    } else {
                        "{text}"
                    }
                    if focused == Some(column) && is_selected {
                        button {
                            class: "cell-copy",
                            r#type: "button",
                            tabindex: "-1",
                            "aria-label": "Copy cell",
                            onmousedown: move |event| event.stop_propagation(),
                            onclick: move |_| on_copy.call(()),
                            Icon { name: IconName::Copy }
                        }
                    }
                }
            }
            if last_column < columns.0.len() {
                td { "aria-hidden": "true" }
            }
            td { class: "sql-rest", "aria-hidden": "true" }
        }
    }
}

/// Returns the indexes of the rows in the order of a column.
fn sorted(rows: &[Rc<[Cell]>], columns: &[Column], sort: Option<(usize, bool)>) -> Vec<usize> {
    let mut order: Vec<usize> = (0..rows.len()).collect();
    let Some((column, descending)) = sort else { return order };
    let is_number = columns.get(column).is_some_and(|column| column.is_number);
    let value = |row: usize| rows.get(row).and_then(|row| row.get(column)?.as_deref());
    order.sort_by(|a, b| {
        let compared = match (value(*a), value(*b)) {
            (None, None) => return Ordering::Equal,
            // NULL comes last in both directions.
            (None, _) => return Ordering::Greater,
            (_, None) => return Ordering::Less,
            (Some(a), Some(b)) if is_number => {
                let number = |text: &str| text.parse::<f64>().unwrap_or(f64::NAN);
                number(a).total_cmp(&number(b)).then_with(|| a.cmp(b))
            }
            (Some(a), Some(b)) => a.cmp(b),
        };
        if descending { compared.reverse() } else { compared }
    });
    order
}

/// Returns the rows and columns in view, rounded to [`STEP`] rows.
fn window_of(grid: &Node, widths: &[f64]) -> Window {
    let top = f64::from(grid.scroll_top());
    let first = (top / ROW_HEIGHT) as usize;
    let first_row = first.saturating_sub(OVERSCAN) / STEP * STEP;
    let rows = (f64::from(grid.client_height()) / ROW_HEIGHT) as usize + 2 * OVERSCAN + STEP + 1;
    if widths.len() <= MANY_COLUMNS {
        return Window { first_row, rows, first_column: 0, columns: widths.len() };
    }
    let left = f64::from(grid.scroll_left()) - 600.0;
    let right = f64::from(grid.scroll_left() + grid.client_width()) + 600.0;
    let mut edge = 0.0;
    let mut first_column = 0;
    let mut last_column = widths.len();
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
    let first_column = first_column / 4 * 4;
    let last_column = last_column.next_multiple_of(4).min(widths.len());
    Window { first_row, rows, first_column, columns: last_column.saturating_sub(first_column) }
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
    let (left, width) = (f64::from(grid.scroll_left()), f64::from(grid.client_width()) - NUMBER_WIDTH);
    let cell_left: f64 = widths.iter().take(column).sum();
    let cell_width = widths.get(column).copied().unwrap_or_default();
    if cell_left < left {
        grid.set_scroll_left(cell_left as i32);
    } else if cell_left + cell_width > left + width {
        grid.set_scroll_left((cell_left + cell_width - width) as i32);
    }
}

fn cell_of(grid: &Node, at: Selection) -> Option<HtmlElement> {
    let selector = format!("[data-cell=\"{}-{}\"]", at.row, at.column);
    grid.query_selector(&selector).ok().flatten()?.dyn_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sorting_is_numeric_for_numbers_with_null_last() {
        let rows: Vec<Rc<[Cell]>> = ["10", "9", "-1"].iter().map(|text| [Some((*text).into())].into()).collect();
        let rows = [rows, vec![[None].into()]].concat();
        let column = |is_number| [Column { name: "n".to_owned(), data_type: "int4".to_owned(), is_number, width: 1.0 }];
        assert_eq!(sorted(&rows, &column(true), Some((0, false))), [2, 1, 0, 3]);
        assert_eq!(sorted(&rows, &column(true), Some((0, true))), [0, 1, 2, 3]);
        assert_eq!(sorted(&rows, &column(false), Some((0, false))), [2, 0, 1, 3]);
        assert_eq!(sorted(&rows, &column(true), None), [0, 1, 2, 3]);
    }
}
