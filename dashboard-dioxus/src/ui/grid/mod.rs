//! A grid of values for any number of rows, after the grid pattern of the ARIA authoring practices: one tab stop, the
//! arrow keys move, Shift selects a range, Ctrl-C copies it, Enter edits or opens. Arrow up from the first row reaches
//! the header, where Enter sorts and Shift with an arrow key resizes.
//!
//! A page implements [`GridSource`] and draws a [`DataGrid`]. The grid reads the rows in view from the source, and
//! calls the source when the owner opens, sorts, edits or selects.
//!
//! [`source`] is this interface. [`cursor`] computes where a key moves the focus, and [`window`] computes which rows
//! and columns are drawn. Both are pure. [`state`] contains the signals of one grid, which [`keys`] and [`pointer`]
//! change. [`clipboard`] copies and pastes, and [`cell_menu`] is the menu of a cell. [`leaving`] notices that the tab
//! is reloaded or closed. [`row`], [`header`] and [`field`] draw. A row is a component that follows its own part of the
//! state, so that moving the cursor redraws two rows and not the grid. Scrolling adds a limited number of rows per
//! frame.
//!
//! Deliberately absent: a page's own state of its rows, such as unsaved edits.

mod cell_menu;
mod clipboard;
mod cursor;
mod field;
mod header;
mod keys;
mod leaving;
mod pointer;
mod row;
mod source;
mod state;
mod window;

use dioxus::{events::MountedEvent, prelude::*, web::WebEventExt as _};

pub use cursor::CellPosition;
pub use source::{
    CellChange, CellState, Edited, EditedCell, Field, GridCell, GridColumn, GridColumns, GridRow, GridSource, Source,
};

use cell_menu::{CellMenu, MenuCorner};
use header::{Corner, Header};
use row::Row;

/// Width in pixels of the column before the first one, with the number of the row or the checkbox that selects the row.
const LEAD_WIDTH: f64 = 44.0;
/// The same width if the column also has the button that opens the row.
const LEAD_WIDTH_WITH_BUTTON: f64 = 68.0;

#[component]
pub fn DataGrid(
    /// Accessible name.
    name: String,
    source: ReadSignal<Source>,
    columns: ReadSignal<GridColumns>,
    /// Number of rows.
    rows: ReadSignal<usize>,
    /// Number of rows, including those of other pages. `None` if it is not known.
    total: Option<i64>,
    /// The columns that the rows are ordered by, each with whether the order is descending.
    #[props(default)]
    sorted: Vec<(usize, bool)>,
    #[props(default)] read_only: bool,
    #[props(default)] busy: bool,
) -> Element {
    let mut state = state::use_state(source, columns, rows);
    use_effect(move || state.follow_focus_request());
    use_effect(move || state.follow_edited_cell());
    // The page may be left, or the tab reloaded or closed, while a cell is edited.
    use_drop(move || state.stage_edit());
    leaving::use_leaving(move || state.commit());

    let (row_count, column_count) = (rows(), columns.read().len());
    let window = state.window.read().within(row_count, column_count);
    let widths = state.widths.read();
    let span = |from: usize, to: usize| widths.iter().take(to).skip(from).sum::<f64>();
    let (before, after) = (span(1, window.first_column), span(window.last_column, column_count));
    let lead = state.lead();
    // Dioxus compares keys only in lists, so this is a list of at most one menu.
    let menus: Vec<MenuCorner> = (state.menu)().into_iter().collect();
    let total_width = lead + span(0, column_count);
    let spacer = |rows: usize| {
        let height = rows as f64 * window::ROW_HEIGHT;
        rsx! {
            tr { "aria-hidden": "true", class: "spacer",
                td { colspan: "{column_count + 4}", style: "block-size: {height}px" }
            }
        }
    };
    let order_of = |column: usize| sorted.iter().find(|(other, _)| *other == column).map(|(_, descending)| *descending);
    let width_of = |column: usize| widths.get(column).copied().unwrap_or_default();
    rsx! {
        div {
            class: "grid-wrap data-grid",
            tabindex: "-1",
            onmounted: move |event: MountedEvent| {
                state.element.set(event.data().try_as_web_event());
                state.update_window();
            },
            onresize: move |_| state.update_window(),
            onscroll: move |_| state.scrolled(),
            onkeydown: move |event| keys::handle(state, &event),
            onpaste: move |event| clipboard::paste(state, &event),
            table {
                class: "grid",
                role: "grid",
                "aria-label": "{name}",
                "aria-multiselectable": "true",
                "aria-readonly": if read_only { "true" },
                "aria-busy": if busy { "true" },
                "aria-rowcount": total.map_or(-1, |total| total + 1),
                "aria-colcount": "{column_count}",
                style: "inline-size: {total_width}px; --lead: {lead}px",
                onmousedown: move |event| pointer::down(state, &event),
                onmouseover: move |event| pointer::over(state, &event),
                ondoubleclick: move |event| pointer::double(state, &event),
                oncontextmenu: move |event| pointer::context(state, &event),
                colgroup {
                    col { style: "inline-size: {lead}px" }
                    // The first column stays in view.
                    col { style: "inline-size: {width_of(0)}px" }
                    if before > 0.0 {
                        col { style: "inline-size: {before}px" }
                    }
                    for column in window.columns() {
                        col { key: "{column}", style: "inline-size: {width_of(column)}px" }
                    }
                    if after > 0.0 {
                        col { style: "inline-size: {after}px" }
                    }
                    col {}
                }
                thead {
                    tr { "aria-rowindex": "1",
                        Corner { state }
                        Header { state, column: 0, sorted: order_of(0) }
                        if before > 0.0 {
                            th { "aria-hidden": "true" }
                        }
                        for column in window.columns() {
                            Header { key: "{column}", state, column, sorted: order_of(column) }
                        }
                        if after > 0.0 {
                            th { "aria-hidden": "true" }
                        }
                        th { class: "rest", "aria-hidden": "true" }
                    }
                }
                tbody {
                    if window.first_row > 0 {
                        {spacer(window.first_row)}
                    }
                    for index in window.first_row..window.last_row {
                        Row {
                            key: "{index}",
                            state,
                            index,
                            first_column: window.first_column,
                            last_column: window.last_column,
                            has_before: before > 0.0,
                            has_after: after > 0.0,
                        }
                    }
                    if window.last_row < row_count {
                        {spacer(row_count - window.last_row)}
                    }
                }
            }
        }
        // With another key, the menu is created again, so that it opens at its new place.
        for corner in menus {
            CellMenu { key: "{corner.left},{corner.top}", state, corner }
        }
    }
}
