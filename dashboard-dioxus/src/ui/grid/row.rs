//! A row of a grid.

use dioxus::prelude::*;

use super::{
    CellPosition, CellState, GridCell, GridColumn, clipboard,
    cursor::Cursor,
    field::CellField,
    state::{RowMark, State},
};
use crate::{
    text,
    ui::{Icon, IconName},
    value::{Text, is_number, one_line},
};

#[component]
pub(super) fn Row(
    state: State,
    index: usize,
    first_column: usize,
    last_column: usize,
    /// Whether columns before or after the drawn ones are left out.
    has_before: bool,
    has_after: bool,
) -> Element {
    let row = use_memo(move || state.source.read().row(index));
    let mark = use_memo(move || state.mark(index));
    let (row, mark) = (row.read(), mark.read());
    let columns = state.columns.read();
    let shown = |column: usize| {
        Some(Shown::new(column, columns.get(column)?, row.cells.get(column)?, &mark, row.name.is_some()))
    };
    let has_gaps = has_before || has_after;
    let first = shown(0).map(|cell| cell.draw(state, &mark, has_gaps));
    let others = (first_column..last_column).filter_map(shown).map(|cell| cell.draw(state, &mark, has_gaps));
    let name = row.name.clone();
    let is_selected = row.is_selected;
    let selected = name.is_some().then(|| is_selected.to_string());
    rsx! {
        tr {
            "aria-rowindex": "{index + 2}",
            "data-row": "{index}",
            "aria-selected": selected,
            Lead { state, index, name: name.clone(), is_selected }
            {first}
            if has_before {
                td { "aria-hidden": "true" }
            }
            {others}
            if has_after {
                td { "aria-hidden": "true" }
            }
            td { class: "rest",
                // Rows that can be selected have this button before the first column.
                if let Some(name) = name.filter(|_| !*state.can_select.read()) {
                    OpenRow { state, index, name }
                }
            }
        }
    }
}

/// The button that opens a row.
#[component]
fn OpenRow(state: State, index: usize, name: String) -> Element {
    rsx! {
        button {
            class: "btn btn-ghost btn-icon row-open",
            r#type: "button",
            tabindex: "-1",
            "aria-label": "Open row {name}",
            title: "Open row",
            onclick: move |_| {
                let source = state.source.peek().clone();
                source.open(CellPosition { row: index, column: 0 });
            },
            Icon { name: IconName::Sidebar }
        }
    }
}

/// The cell before the first column, with the checkbox that selects the row, or with the row's number.
#[component]
fn Lead(state: State, index: usize, name: Option<String>, is_selected: bool) -> Element {
    if !*state.can_select.read() {
        return rsx! {
            td { class: "pick number", "aria-hidden": "true", "{index + 1}" }
        };
    }
    rsx! {
        td { class: "pick",
            if let Some(name) = name {
                input {
                    r#type: "checkbox",
                    class: "box",
                    "aria-label": "Select row {name}",
                    tabindex: "-1",
                    checked: is_selected,
                    onchange: move |_| {
                        let source = state.source.peek().clone();
                        source.toggle_row(index);
                        // The next key starts at this row.
                        state.go(Cursor::at(CellPosition { row: index, column: state.position().column }));
                    },
                }
                OpenRow { state, index, name: name.clone() }
            }
        }
    }
}

/// The content of a cell, ready to be drawn.
struct Shown {
    column: usize,
    line: String,
    title: Option<String>,
    class: String,
    is_wrong: bool,
    is_stop: bool,
    is_in_range: bool,
}

impl Shown {
    fn new(column: usize, about: &GridColumn, cell: &GridCell, mark: &RowMark, can_open: bool) -> Self {
        let is_in_range = mark.range.is_some_and(|(from, to)| (from..=to).contains(&column));
        let is_edited = mark.edit.as_ref().is_some_and(|edit| edit.position.column == column);
        let mut line = cell.text.as_deref().map(one_line);
        if let (Some((line, is_cut)), Some(_)) = (&mut line, cell.whole_bytes) {
            line.push('…');
            *is_cut = true;
        }
        let title = match (&cell.state, &line) {
            (CellState::Changed { was }, _) => Some(was_in_words(was)),
            // A tooltip shows text only, without code between backticks.
            (CellState::Wrong { was, why }, _) => Some(format!("{}\n{}", why.replace('`', ""), was_in_words(was))),
            (CellState::AsRead, Some((line, is_cut))) if *is_cut || line.len() > 24 => Some(match cell.whole_bytes {
                Some(bytes) => {
                    let advice = if can_open { " Open the row to see the rest." } else { "" };
                    format!("{line}\nThe beginning of {}.{advice}", text::bytes(bytes as i64))
                }
                None => line.clone(),
            }),
            _ => None,
        };
        let class = [
            ("key", column == 0),
            ("num", is_number(&about.data_type)),
            ("null", line.is_none()),
            ("changed", matches!(cell.state, CellState::Changed { .. })),
            ("is-wrong", matches!(cell.state, CellState::Wrong { .. })),
            ("is-in", is_in_range),
            ("editing", is_edited),
        ];
        let class: Vec<&str> = class.into_iter().filter_map(|(name, is_set)| is_set.then_some(name)).collect();
        Self {
            column,
            line: line.map_or_else(|| "NULL".to_owned(), |(line, _)| line),
            title,
            class: class.join(" "),
            is_wrong: matches!(cell.state, CellState::Wrong { .. }),
            is_stop: mark.stop == Some(column) && !is_edited,
            is_in_range,
        }
    }

    /// Draws the cell. Most cells are one element and its text, because grids have thousands of them.
    fn draw(self, state: State, mark: &RowMark, has_gaps: bool) -> Element {
        let column = self.column;
        let edit = mark.edit.clone().filter(|edit| edit.position.column == column);
        let line = if edit.is_some() { String::new() } else { self.line };
        let extra = match edit {
            Some(edit) => Some(rsx! { CellField { state, edit } }),
            // This button is only for the mouse: the keyboard has Ctrl-C. So the button can be hidden from screen
            // readers, and the name of the cell stays its value.
            None if self.is_stop && self.is_in_range => Some(rsx! {
                button {
                    class: "cell-copy",
                    r#type: "button",
                    tabindex: "-1",
                    "aria-hidden": "true",
                    title: "Copy cell",
                    onclick: move |_| clipboard::copy(state),
                    Icon { name: IconName::Copy }
                }
            }),
            None => None,
        };
        rsx! {
            td {
                key: "{column}",
                class: self.class,
                "data-column": "{column}",
                "aria-colindex": has_gaps.then_some(column + 1),
                "aria-invalid": self.is_wrong.then_some("true"),
                "aria-selected": self.is_in_range.then_some("true"),
                tabindex: if self.is_stop { "0" } else { "-1" },
                title: self.title,
                "{line}"
                {extra}
            }
        }
    }
}

fn was_in_words(was: &Text) -> String {
    format!("Was {}", was.as_deref().map_or_else(|| "NULL".to_owned(), |was| one_line(was).0))
}
