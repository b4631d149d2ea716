//! Rows on a phone: cards with the key, a text that describes the row, and the first columns. The form of a row shows
//! all columns.

use api_types::ColumnDetail;
use dioxus::prelude::*;

use super::{PageRef, View, data::RowKey, query, staged};
use crate::{
    address,
    pages::tables::view_as,
    ui::{Link, Mark, Shape},
    value::{is_text, one_line},
};

/// Number of columns on a card besides the key.
const SHOWN_COLUMNS: usize = 3;

/// Returns the indexes of the columns on a card: the column of its title, and further ones. The title is the first text
/// besides the key that can't be NULL, or else the first text that isn't NULL in this row, or else the first value.
fn shown_columns(
    columns: &[ColumnDetail],
    key: &[String],
    is_null: impl Fn(usize) -> bool,
) -> (Option<usize>, Vec<usize>) {
    let others: Vec<(usize, &ColumnDetail)> =
        columns.iter().enumerate().filter(|(_, column)| !key.contains(&column.name)).collect();
    let texts = || others.iter().filter(|(_, column)| is_text(&column.data_type));
    let text = texts().find(|(_, column)| !column.nullable).or_else(|| texts().find(|(index, _)| !is_null(*index)));
    let title = text.or(others.first()).map(|(index, _)| *index);
    let first = others.iter().take(SHOWN_COLUMNS).map(|(index, _)| *index);
    (title, first.filter(|index| Some(*index) != title).collect())
}

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
                    let value_in = |index: usize| {
                        let (column, cell) = (detail.columns.get(index)?, row.0.get(index)?);
                        let changed = key.as_ref().and_then(|key| staged.cell(key, &column.name));
                        let text = changed.map_or(cell.text.as_deref(), |changed| changed.now.as_deref());
                        Some(text.map(|text| one_line(text).0))
                    };
                    let text_in = |index: usize| Some(value_in(index)?.unwrap_or_else(|| "NULL".to_owned()));
                    let is_null = |index: usize| value_in(index).flatten().is_none();
                    let (title_column, first_columns) = shown_columns(&detail.columns, &key_columns, is_null);
                    // A link needs a text.
                    let title = match title_column.and_then(text_in) {
                        Some(text) if text.trim().is_empty() => "Empty text".to_owned(),
                        Some(text) => text,
                        None => key.as_ref().map(RowKey::to_parameter).unwrap_or_default(),
                    };
                    let named = |index: &usize| {
                        let column = detail.columns.get(*index)?;
                        Some(format!("{} {}", column.name, text_in(*index)?))
                    };
                    let rest = first_columns.iter().filter_map(named).collect::<Vec<_>>().join(" · ");
                    let opened = key.as_ref().filter(|_| view_as::viewer().is_none());
                    let to = opened.map(|key| address::with_parameter("row", &key.to_parameter()));
                    let class = if to.is_some() { "card card-link" } else { "card" };
                    rsx! {
                        li { key: "{index}", class,
                            h3 {
                                if let Some(key) = key.as_ref().filter(|_| title_column.is_some()) {
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

#[cfg(test)]
mod tests {
    use super::{super::fixtures::column, *};

    #[test]
    fn first_text_that_can_not_be_null_is_the_title_of_a_card() {
        let key = ["id".to_owned()];
        let with_null = |nulls: usize, names: &[(&str, &str)]| {
            let described = |(name, data_type): &(&str, &str)| ColumnDetail {
                nullable: *name == "note",
                ..column(name, data_type)
            };
            shown_columns(&names.iter().map(described).collect::<Vec<_>>(), &key, |index| index == nulls)
        };
        let of = |names: &[(&str, &str)]| with_null(usize::MAX, names);
        let created = ("created_at", "timestamp with time zone");
        assert_eq!(of(&[("id", "bigint"), created, ("name", "text")]), (Some(2), vec![1]));
        let late = [("id", "text"), created, ("price", "numeric"), ("stock", "integer"), ("name", "text")];
        assert_eq!(of(&late), (Some(4), vec![1, 2, 3]));
        assert_eq!(of(&[("id", "text"), created]), (Some(1), Vec::new()));
        let nullable = [("id", "text"), created, ("note", "text")];
        assert_eq!(of(&nullable), (Some(2), vec![1]));
        assert_eq!(with_null(2, &nullable), (Some(1), vec![2]));
        assert_eq!(of(&[("id", "text")]), (None, Vec::new()));
    }
}
