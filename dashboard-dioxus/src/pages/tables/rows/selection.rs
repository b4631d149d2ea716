//! The rows and columns that the page shows, as the source of an export.

use api_types::ExportSource;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use super::query::{Filter, RowQuery, name_and_value, quoted_if_needed};

/// The characters that have a meaning in a query string.
const RESERVED: &AsciiSet = &CONTROLS.add(b' ').add(b'#').add(b'%').add(b'&').add(b'+').add(b'=');

/// Returns the rows and columns that the address selects, in the order of the page, as the source of an export. Returns
/// `None` if the address selects the whole table and names no order. `default_order` is the order of the page if the
/// address names none. `columns` are the shown columns; an empty list stands for all columns.
pub(super) fn shown_source(
    project: &str,
    table: &str,
    rows: &RowQuery,
    default_order: Option<String>,
    columns: &[String],
) -> Option<ExportSource> {
    let encoded = |text: &str| utf8_percent_encode(text, RESERVED).to_string();
    let filters: Vec<String> = rows
        .filters
        .iter()
        .filter_map(|filter| name_and_value(filter))
        .map(|(name, value)| format!("{}={}", encoded(&name), encoded(value)))
        .collect();
    let columns: Vec<String> = columns.iter().map(|name| quoted_if_needed(name)).collect();
    let is_whole = filters.is_empty() && columns.is_empty() && rows.order.is_none();
    (!is_whole).then(|| ExportSource::Table {
        project_id: project.to_owned(),
        table: table.to_owned(),
        filter: (!filters.is_empty()).then(|| filters.join("&")),
        order: rows.order.clone().or(default_order),
        select: (!columns.is_empty()).then(|| columns.join(",")),
    })
}

/// Describes the rows and columns that the address selects: `price ≥ 10. Sorted by price (descending), id.`
pub(super) fn selection_in_words(rows: &RowQuery, columns: &[String]) -> String {
    let filters: Vec<String> = rows
        .filters
        .iter()
        .map(|filter| Filter::parse(filter).map_or_else(|| filter.clone(), |filter| filter.words()))
        .collect();
    let orders: Vec<String> = rows
        .orders()
        .into_iter()
        .map(|(column, descending)| if descending { format!("{column} (descending)") } else { column })
        .collect();
    let sentences = [("", filters), ("Sorted by ", orders), ("Columns ", columns.to_vec())];
    let sentences = sentences.into_iter().filter(|(_, parts)| !parts.is_empty());
    let sentences: Vec<String> = sentences.map(|(begin, parts)| format!("{begin}{}.", parts.join(", "))).collect();
    sentences.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(filters: &[&str], order: Option<&str>) -> RowQuery {
        let filters = filters.iter().map(|filter| (*filter).to_owned()).collect();
        RowQuery { filters, order: order.map(str::to_owned), ..RowQuery::default() }
    }

    fn columns(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn shown_rows_are_a_source_with_encoded_filters() {
        let filters = [
            "gte.price=10",
            "ilike.title=%it's & more+%",
            "eq.a%3Db%25=100%",
            "or=(eq.id:1,is.note:null)",
            "no filter",
        ];
        let rows = rows(&filters, Some("price.desc,id"));
        let source = shown_source("p", "books", &rows, Some("id".to_owned()), &columns(&["id", "a,b"]));
        assert_eq!(
            source,
            Some(ExportSource::Table {
                project_id: "p".to_owned(),
                table: "books".to_owned(),
                filter: Some(
                    "gte.price=10&ilike.title=%25it's%20%26%20more%2B%25&eq.a%3Db%25=100%25&or=(eq.id:1,is.note:null)"
                        .to_owned()
                ),
                order: Some("price.desc,id".to_owned()),
                select: Some("id,\"a,b\"".to_owned()),
            })
        );
    }

    #[test]
    fn whole_table_without_order_is_no_selection() {
        assert_eq!(shown_source("p", "books", &rows(&[], None), Some("id".to_owned()), &[]), None);
    }

    #[test]
    fn filtered_rows_are_in_the_order_of_the_page() {
        let source = shown_source("p", "books", &rows(&["gte.price=10"], None), Some("id".to_owned()), &[]);
        let order = match source {
            Some(ExportSource::Table { order, .. }) => order,
            _ => None,
        };
        assert_eq!(order.as_deref(), Some("id"));
    }

    #[test]
    fn selection_is_described_in_sentences() {
        let words = |filters: &[&str], order: Option<&str>, names: &[&str]| {
            selection_in_words(&rows(filters, order), &columns(names))
        };
        assert_eq!(words(&["lte.id=3", "or=(eq.id:1)"], None, &[]), "id ≤ 3, or=(eq.id:1).");
        assert_eq!(
            words(&["lte.id=3"], Some("price.desc,id"), &["id", "price"]),
            "id ≤ 3. Sorted by price (descending), id. Columns id, price."
        );
    }
}
