//! Rows on a phone: cards with the key and the first columns. The form of a row shows all columns.

use dioxus::prelude::*;

use super::{PageRef, View, data::RowKey, query, staged};
use crate::{
    address,
    pages::tables::view_as,
    ui::{Link, Mark, Shape},
    value::one_line,
};

/// Number of columns on a card besides the key.
const SHOWN_COLUMNS: usize = 3;

#[component]
pub(super) fn Cards(view: View, page: PageRef) -> Element {
    let detail = view.detail.read().0.clone();
    let key_columns = query::key_columns(&detail).unwrap_or_default();
    let staged = staged::of(&view.staged.read());
    rsx! {
        ul { class: "cards", role: "list", "aria-label": "Rows of {view.table}",
            for (index, row) in page.0.rows.iter().enumerate() {
                {
                    let key = (!key_columns.is_empty()).then(|| RowKey::of(row, &detail, &key_columns)).flatten();
                    let texts: Vec<(String, String)> = detail
                        .columns
                        .iter()
                        .zip(row.0.iter())
                        .filter(|(column, _)| !key_columns.contains(&column.name))
                        .take(SHOWN_COLUMNS)
                        .map(|(column, cell)| {
                            let changed = key.as_ref().and_then(|key| staged.cell(key, &column.name));
                            let text = changed.map_or(cell.text.as_deref(), |changed| changed.now.as_deref());
                            (column.name.clone(), text.map_or_else(|| "NULL".to_owned(), |text| one_line(text).0))
                        })
                        .collect();
                    let title = texts.first().map(|(_, text)| text.clone()).unwrap_or_default();
                    let rest: Vec<String> = texts.iter().skip(1).map(|(name, text)| format!("{name} {text}")).collect();
                    let rest = rest.join(" · ");
                    let opened = key.as_ref().filter(|_| view_as::viewer().is_none());
                    let to = opened.map(|key| address::with_parameter("row", &key.to_parameter()));
                    rsx! {
                        li { key: "{index}", class: "card",
                            h3 {
                                if let Some(key) = &key {
                                    span { class: "mono muted", {key.to_parameter()} }
                                }
                                match to {
                                    Some(to) => rsx! { Link { to, class: "cut grow", "{title}" } },
                                    None => rsx! { span { class: "cut grow", "{title}" } },
                                }
                            }
                            p { class: "mono cut", "{rest}" }
                            if key.as_ref().is_some_and(|key| staged.row(key).is_some()) {
                                p { class: "badge", Mark { shape: Shape::Attention } "Not saved" }
                            }
                        }
                    }
                }
            }
        }
    }
}
