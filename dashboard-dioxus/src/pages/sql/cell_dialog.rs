//! The dialog that shows one value of a result in full.

use dioxus::prelude::*;

use super::execution::Column;
use crate::{
    text,
    ui::{CopyButton, Dialog, Link},
    value::Text,
};

/// Maximum number of bytes of a value that are shown. Copying still copies the whole value.
const SHOWN_BYTES: usize = 200_000;

#[component]
pub(super) fn CellDialog(
    column: Option<Column>,
    row: usize,
    value: Text,
    /// Address of the row's form, if the row is that of a table.
    table_row: Option<String>,
    on_close: EventHandler<()>,
) -> Element {
    let Some(column) = column else { return rsx! {} };
    let mut is_formatted = use_signal(|| false);
    let whole = value.clone().unwrap_or_default();
    let document = serde_json::from_str::<serde_json::Value>(&whole)
        .ok()
        .filter(|document| document.is_object() || document.is_array());
    let text = match &document {
        Some(document) if is_formatted() => serde_json::to_string_pretty(document).unwrap_or_default(),
        _ => whole.to_string(),
    };
    let end = (0..=text.len().min(SHOWN_BYTES)).rev().find(|end| text.is_char_boundary(*end)).unwrap_or_default();
    let is_cut = end < text.len();
    let shown = text.get(..end).unwrap_or_default();
    let size = text::bytes(whole.len() as i64);
    rsx! {
        Dialog {
            title: "{column.name}, row {row}",
            description: match &value {
                Some(_) => format!("{} · {size}", column.data_type),
                None => column.data_type.clone(),
            },
            wide: true,
            on_close: move |()| on_close.call(()),
            footer: rsx! {
                if let Some(to) = table_row {
                    Link { to, class: "btn btn-l", "Open row in table" }
                }
                if document.is_some() {
                    button {
                        class: "btn btn-l",
                        r#type: "button",
                        "aria-pressed": "{is_formatted()}",
                        onclick: move |_| is_formatted.toggle(),
                        "Format JSON"
                    }
                }
                if value.is_some() {
                    CopyButton { name: "Copy value", label: "Copy value", text: whole.to_string(), class: "btn-l" }
                }
                button {
                    class: "btn btn-l",
                    r#type: "button",
                    autofocus: true,
                    onclick: move |_| on_close.call(()),
                    "Close"
                }
            },
            if value.is_some() {
                pre { class: "sql-value mono", tabindex: "0", "{shown}" }
                if is_cut {
                    p {
                        class: "label muted",
                        "Only the first {text::bytes(end as i64)} are shown. “Copy value” copies all of it."
                    }
                }
            } else {
                p { class: "muted", "NULL" }
            }
        }
    }
}
