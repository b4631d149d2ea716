//! The rows that refer to a row.

use dioxus::prelude::*;

use crate::{
    address,
    pages::tables::{
        rows::{
            View,
            data::Row,
            query::{filter_text, quoted_if_needed},
        },
        table_page::table_path,
    },
    remote, text,
    ui::{Icon, IconName, Link},
};

/// The numbers of rows that refer to this row, by table and column, with links to them. Leaves out foreign keys of
/// several columns and those of tables outside of the schema `public`.
#[component]
pub(super) fn ReferencedBy(view: View, row: Row) -> Element {
    let detail = view.detail.read().0.clone();
    let references: Vec<(String, String, String)> = detail
        .referenced_by
        .iter()
        .filter(|reference| reference.schema == "public")
        .filter_map(|reference| {
            let ([column], [own]) = (reference.columns.as_slice(), reference.references_columns.as_slice()) else {
                return None;
            };
            let at = detail.columns.iter().position(|known| known.name == *own)?;
            Some((reference.table.clone(), column.clone(), row.0.get(at)?.text.as_deref()?.to_owned()))
        })
        .collect();
    if references.is_empty() {
        return rsx! {};
    }
    rsx! {
        section { class: "stack stack-1", "aria-label": "Referenced by",
            h3 { class: "label", "Referenced by" }
            div { class: "rows",
                for (table, column, text) in references {
                    Reference { key: "{table}.{column}", project: view.project.read().clone(), table, column, text }
                }
            }
        }
    }
}

#[component]
fn Reference(project: String, table: String, column: String, text: String) -> Element {
    let filter = filter_text("eq", &column, &text);
    let to = address::with_parameters(
        &format!("/projects/{project}/tables"),
        &[("table", Some(&table)), ("where", Some(&filter))],
    );
    let (by_column, select) = (format!("eq.{column}"), quoted_if_needed(&column));
    let parameters = [
        (by_column.as_str(), Some(text.as_str())),
        ("count", Some("exact")),
        ("limit", Some("1")),
        ("select", Some(&select)),
    ];
    let path = table_path(&project, &table, "rows", &parameters);
    let count = use_resource(move || {
        let path = path.clone();
        async move {
            let page: serde_json::Value = remote::get(&path).await.map_err(|failure| failure.message())?;
            let total = page.pointer("/page/total").and_then(serde_json::Value::as_i64);
            total.ok_or_else(|| "The response contains no count.".to_owned())
        }
    });
    let (count, failure) = match &*count.read() {
        Some(Ok(count)) => (text::count(*count, "row", "rows"), None),
        Some(Err(failure)) => ("Not counted".to_owned(), Some(failure.clone())),
        None => (String::new(), None),
    };
    rsx! {
        Link { to,
            Icon { name: IconName::Table }
            span { class: "cut", "{table}.{column}" }
            span { class: "n", title: failure, "{count}" }
        }
    }
}
