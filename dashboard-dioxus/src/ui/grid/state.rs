//! The signals of one grid.

use std::{collections::HashMap, rc::Rc};

use dioxus::prelude::*;
use wasm_bindgen::JsCast as _;
use web_sys::{Element as Node, FocusOptions, HtmlElement};

use super::{
    CellChange, CellPosition, Field, GridColumn, GridColumns, LEAD_WIDTH, LEAD_WIDTH_WITH_BUTTON, Source,
    cell_menu::MenuCorner,
    clipboard,
    cursor::{Cursor, Extent},
    window::{View, Window},
};
use crate::{dom, value::one_line};

/// Limits of the width of a column, in pixels.
const MIN_WIDTH: f64 = 48.0;
const MAX_WIDTH: f64 = 1200.0;

/// The edit of a cell.
#[derive(Clone, PartialEq)]
pub(super) struct Edit {
    /// The cell that contains the field.
    pub(super) position: CellPosition,
    pub(super) field: Field,
}

#[derive(Clone, Copy, PartialEq)]
pub(super) struct State {
    pub(super) source: ReadSignal<Source>,
    pub(super) columns: ReadSignal<GridColumns>,
    rows: ReadSignal<usize>,
    /// Widths that the owner chose, by the column's id.
    chosen_widths: Signal<HashMap<usize, f64>>,
    pub(super) widths: Memo<Rc<[f64]>>,
    pub(super) cursor: Signal<Cursor>,
    pub(super) window: Signal<Window>,
    /// Whether the next frame adds rows to the window.
    is_growing: Signal<bool>,
    /// The row with the tab stop: the row of the cursor if it is drawn, otherwise the first drawn row.
    stop_row: Memo<Option<usize>>,
    /// Whether rows can be selected.
    pub(super) can_select: Memo<bool>,
    pub(super) edit: Signal<Option<Edit>>,
    /// The text of the cell that is being edited. Typing does not redraw the grid.
    pub(super) draft: Signal<String>,
    /// The letters that were typed to choose a value.
    pub(super) typed: Signal<String>,
    /// Where the menu of the cursor's cell is open.
    pub(super) menu: Signal<Option<MenuCorner>>,
    pub(super) element: Signal<Option<Node>>,
    focus_requests: Signal<u32>,
}

/// The part of the state that concerns one row.
#[derive(Clone, PartialEq, Default)]
pub(super) struct RowMark {
    /// The column of the tab stop.
    pub(super) stop: Option<usize>,
    /// The first and last selected column.
    pub(super) range: Option<(usize, usize)>,
    pub(super) edit: Option<Edit>,
}

pub(super) fn use_state(
    source: ReadSignal<Source>,
    columns: ReadSignal<GridColumns>,
    rows: ReadSignal<usize>,
) -> State {
    let cursor = use_signal(Cursor::default);
    let window = use_signal(Window::default);
    let chosen_widths = use_signal(HashMap::<usize, f64>::new);
    let state = State {
        source,
        columns,
        rows,
        chosen_widths,
        widths: use_memo(move || {
            let chosen = chosen_widths.read();
            columns.read().iter().map(|column| chosen.get(&column.id).copied().unwrap_or(column.width)).collect()
        }),
        cursor,
        window,
        is_growing: use_signal(|| false),
        stop_row: use_memo(move || {
            let (cursor, window) = (cursor(), window());
            let row = cursor.at.row.min(rows().saturating_sub(1));
            (!cursor.in_header).then_some(if window.has_row(row) { row } else { window.first_row })
        }),
        can_select: use_memo(move || source.read().selection().is_some()),
        edit: use_signal(|| None),
        draft: use_signal(String::new),
        typed: use_signal(String::new),
        menu: use_signal(|| None),
        element: use_signal(|| None),
        focus_requests: use_signal(|| 0),
    };
    // Other rows or columns may need another window.
    use_effect(move || {
        let _ = (rows(), state.widths.read());
        let mut state = state;
        state.update_window();
    });
    state
}

impl State {
    pub(super) fn extent(self) -> Extent {
        let page = self.view().map_or(1, View::page);
        Extent { rows: *self.rows.peek(), columns: self.columns.peek().len(), page }
    }

    /// Returns the cell of the cursor, limited to the rows and columns that exist.
    pub(super) fn position(self) -> CellPosition {
        self.cursor.peek().within(self.extent()).at
    }

    /// Moves the cursor, shows its cell, and gives it the focus.
    pub(super) fn go(mut self, cursor: Cursor) {
        let cursor = cursor.within(self.extent());
        if let (Some(view), Some(grid)) = (self.view(), &*self.element.peek()) {
            let (top, left) = view.reveal(cursor.at, &self.widths.peek(), self.lead());
            grid.set_scroll_left(left as i32);
            if !cursor.in_header {
                grid.set_scroll_top(top as i32);
            }
        }
        self.complete_window();
        if *self.cursor.peek() != cursor {
            self.cursor.set(cursor);
        }
        *self.focus_requests.write() += 1;
    }

    /// Gives the focus to the cursor's cell, after it was drawn. Does nothing while the menu has the focus: a right
    /// click both moves the cursor and opens the menu, and the menu would close if it lost the focus.
    pub(super) fn follow_focus_request(self) {
        let is_in_menu = dom::find("#cell-menu:focus-within").is_some();
        if *self.focus_requests.read() > 0 && self.edit.peek().is_none() && !is_in_menu {
            self.focus_cursor();
        }
    }

    /// Returns whether there are no rows, and subscribes the caller to it.
    pub(super) fn is_empty(self) -> bool {
        (self.rows)() == 0
    }

    /// Returns the width in pixels of the column before the first one.
    pub(super) fn lead(self) -> f64 {
        if (self.can_select)() { LEAD_WIDTH_WITH_BUTTON } else { LEAD_WIDTH }
    }

    pub(super) fn open_menu(mut self, corner: MenuCorner) {
        self.menu.set(Some(corner));
    }

    /// Closes the menu, unless it is open at another place by now.
    pub(super) fn close_menu(mut self, corner: MenuCorner) {
        if *self.menu.peek() == Some(corner) {
            self.menu.set(None);
        }
    }

    /// Opens the menu of the cursor's cell under the cell.
    pub(super) fn open_menu_at_cursor(self) {
        if let Some(cell) = self.cursor_element() {
            let bounds = cell.get_bounding_client_rect();
            self.open_menu(MenuCorner { left: bounds.left(), top: bounds.bottom() });
        }
    }

    pub(super) fn focus_cursor(self) {
        let options = FocusOptions::new();
        options.set_prevent_scroll(true);
        if let Some(cell) = self.cursor_element() {
            let _ = cell.focus_with_options(&options);
        }
    }

    /// Returns the cell of the cursor, or the button of its header. `None` if it is not drawn.
    fn cursor_element(self) -> Option<HtmlElement> {
        let cursor = *self.cursor.peek();
        let CellPosition { row, column } = cursor.at;
        let selector = if cursor.in_header {
            format!("th[data-column=\"{column}\"] > button")
        } else {
            format!("tr[data-row=\"{row}\"] > [data-column=\"{column}\"]")
        };
        let grid = self.element.peek();
        grid.as_ref()?.query_selector(&selector).ok().flatten()?.dyn_into().ok()
    }

    /// Gives the focus to the grid itself, before the element that has it is removed, so that keys still reach the
    /// grid.
    fn hold_focus(self) {
        let options = FocusOptions::new();
        options.set_prevent_scroll(true);
        if let Some(grid) = self.element.peek().as_ref().and_then(|grid| grid.dyn_ref::<HtmlElement>()) {
            let _ = grid.focus_with_options(&options);
        }
    }

    fn has_focus(self) -> bool {
        let active = dom::active_element();
        self.element.peek().as_ref().is_some_and(|grid| grid.contains(active.as_ref().map(AsRef::as_ref)))
    }

    fn view(self) -> Option<View> {
        let grid = self.element.peek();
        let grid = grid.as_ref()?;
        Some(View {
            top: f64::from(grid.scroll_top()),
            left: f64::from(grid.scroll_left()),
            width: f64::from(grid.client_width()),
            height: f64::from(grid.client_height()),
        })
    }

    /// Draws the rows and columns in view, a limited number of rows per frame.
    pub(super) fn update_window(&mut self) {
        if *self.is_growing.peek() || self.step_to_window() {
            return;
        }
        let mut state = *self;
        state.is_growing.set(true);
        spawn(async move {
            loop {
                dom::next_frame().await;
                if state.step_to_window() {
                    break;
                }
            }
            state.is_growing.set(false);
        });
    }

    /// Moves the window one step toward the window of the view. Returns whether it has reached that window.
    fn step_to_window(&mut self) -> bool {
        let Some(view) = self.view() else { return true };
        let target = view.window(*self.rows.peek(), &self.widths.peek());
        let next = self.window.peek().toward(target, view.first_row());
        if *self.window.peek() != next {
            self.window.set(next);
        }
        next == target
    }

    /// Draws everything in view at once, because one of its cells gets the focus.
    fn complete_window(&mut self) {
        let Some(view) = self.view() else { return };
        let target = view.window(*self.rows.peek(), &self.widths.peek());
        if *self.window.peek() != target {
            self.window.set(target);
        }
    }

    pub(super) fn scrolled(&mut self) {
        self.update_window();
        let is_gone = !self.window.peek().has_row(self.cursor.peek().at.row);
        if is_gone && !self.cursor.peek().in_header && self.has_focus() {
            self.hold_focus();
        }
    }

    /// Returns the part of the state that concerns a row, and subscribes the caller to it.
    pub(super) fn mark(self, row: usize) -> RowMark {
        let cursor = *self.cursor.read();
        // Nothing is selected before the cursor has moved to a cell.
        let is_selecting = *self.focus_requests.read() > 0 && !cursor.in_header;
        let is_in_range = is_selecting && cursor.rows().contains(&row);
        RowMark {
            stop: (*self.stop_row.read() == Some(row)).then_some(cursor.at.column),
            range: is_in_range.then(|| cursor.columns().into_inner()),
            edit: self.edit.read().clone().filter(|edit| edit.position.row == row),
        }
    }

    /// Begins to edit a cell, or opens it if it can't be edited in the grid. `text` replaces the text of the cell, or
    /// chooses the value that begins with it.
    pub(super) fn begin_edit(mut self, position: CellPosition, text: Option<String>) {
        let source = self.source.peek().clone();
        let Some(field) = source.edit(position) else { return source.open(position) };
        let new_text = text.clone().filter(|_| field.choices.is_none());
        self.draft.set(new_text.unwrap_or_else(|| field.text.clone()));
        self.edit.set(Some(Edit { position, field }));
        self.typed.set(String::new());
        if let Some(letter) = text {
            self.type_choice(&letter);
        }
    }

    /// Sets the selected cells to `NULL`. Returns false if none of them can be changed.
    pub(super) fn set_null(self) -> bool {
        let cursor = self.cursor.peek().within(self.extent());
        if !clipboard::can_fill(cursor) {
            return true;
        }
        let cells = |row: usize| cursor.columns().map(move |column| (CellPosition { row, column }, None));
        let changes: Vec<CellChange> = cursor.rows().flat_map(cells).collect();
        let count = changes.len();
        let source = self.source.peek().clone();
        source.stage(changes) < count
    }

    /// Stages the text of the cell that is being edited, if there is one, and ends the edit.
    pub(super) fn commit(self) {
        if self.edit.peek().is_some() {
            self.stage_edit();
            self.end_edit();
        }
    }

    pub(super) fn cancel_edit(mut self) {
        self.end_edit();
        *self.focus_requests.write() += 1;
    }

    /// Stages the text of the cell that is being edited. Does nothing if it is the text that the cell had before, so
    /// that a cell that was NULL stays NULL if its field is empty.
    pub(super) fn stage_edit(self) {
        let Some(Edit { field, .. }) = self.edit.peek().clone() else { return };
        let text = self.draft.peek().clone();
        if text != field.text {
            field.cell.stage(Some(text));
        }
    }

    fn end_edit(mut self) {
        // The field reports that it loses the focus, so the edit must end first.
        self.edit.set(None);
        self.hold_focus();
    }

    /// Stages the text of the field at a position, which has lost the focus to another element, and ends the edit.
    pub(super) fn leave_field(mut self, position: CellPosition) {
        let is_current = self.edit.peek().as_ref().is_some_and(|edit| edit.position == position);
        // If the whole window lost the focus, the field gets it back with the window.
        if is_current && !self.has_focus() {
            self.stage_edit();
            self.edit.set(None);
        }
    }

    /// Moves the field to where the grid now shows the edited cell. If it no longer shows the cell, stages the text.
    pub(super) fn follow_edited_cell(mut self) {
        let Some(edit) = self.edit.read().clone() else { return };
        match edit.field.cell.position() {
            Some(position) if position == edit.position => {}
            Some(position) => {
                self.edit.set(Some(Edit { position, ..edit }));
                self.hold_focus();
                self.go(Cursor::at(position));
            }
            None => {
                self.commit();
                // Further keystrokes must not change the cell that is now at this position.
                self.go(Cursor::header(edit.position.column));
            }
        }
    }

    pub(super) fn resize(mut self, column: usize, width: f64) {
        if let Some(id) = self.columns.peek().get(column).map(|column| column.id) {
            self.chosen_widths.write().insert(id, width.clamp(MIN_WIDTH, MAX_WIDTH));
        }
    }

    pub(super) fn width(self, column: usize) -> f64 {
        self.widths.peek().get(column).copied().unwrap_or(MIN_WIDTH)
    }

    /// Sets the width of a column so that it fits the values in view.
    pub(super) fn fit(self, column: usize) {
        let window = *self.window.peek();
        let source = self.source.peek().clone();
        let values =
            (window.first_row..window.last_row).filter_map(|row| source.row(row).cells.get(column)?.text.clone());
        let lines: Vec<String> = values.map(|text| one_line(&text).0).collect();
        let Some(about) = self.columns.peek().get(column).cloned() else { return };
        let width = GridColumn::fitting_width(&about.name, &about.data_type, lines.iter().map(String::as_str));
        self.resize(column, width);
    }
}
