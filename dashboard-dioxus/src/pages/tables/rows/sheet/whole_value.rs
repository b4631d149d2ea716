//! Values that are too large to be read whole with their row.

use api_types::ColumnDetail;
use dioxus::prelude::*;

use super::{copies::NamedText, fields::FieldValue};
use crate::{
    pages::tables::rows::{View, data::RowKey},
    remote, text,
    ui::{CodeText, Icon, IconName},
};

/// The beginning of a large value, a button that reads the whole value unless it is binary, and a link that downloads
/// it as a file.
#[component]
pub(super) fn WholeValue(
    view: View,
    id: String,
    column: ColumnDetail,
    bytes: u64,
    row_key: Option<RowKey>,
    start: String,
    /// Whether the whole value can be edited once it is loaded.
    can_edit: bool,
    autofocus: bool,
    on_load: EventHandler<String>,
) -> Element {
    let mut busy = use_signal(|| false);
    let mut failure = use_signal(|| None::<String>);
    let size = text::bytes(i64::try_from(bytes).unwrap_or(i64::MAX));
    let Some(key) = row_key else { return rsx! {} };
    let path = cell_path(view, &key, &column.name, false);
    let download = format!("/admin/v1{}", cell_path(view, &key, &column.name, true));
    let is_binary = column.data_type == "bytea";
    let (advice, act) = match (is_binary, can_edit) {
        (true, _) => (" Download the value to get all of it.", String::new()),
        (false, true) => (" Only the full value can be edited.", format!("Load all {size} to edit")),
        (false, false) => ("", format!("Load all {size}")),
    };
    rsx! {
        textarea {
            id: "{id}",
            class: "input mono",
            rows: 4,
            autofocus,
            readonly: true,
            "aria-readonly": "true",
            "aria-describedby": "{id}-cut",
            value: "{start}…",
        }
        div { class: "row wrap",
            span { class: "help grow", id: "{id}-cut", "The beginning of {size}.{advice}" }
            if !is_binary {
                button {
                    class: "btn btn-s",
                    r#type: "button",
                    "aria-disabled": busy(),
                    onclick: move |_| {
                        let path = path.clone();
                        spawn(async move {
                            busy.set(true);
                            match remote::get_text(&path).await {
                                Ok(whole) => on_load.call(whole),
                                Err(refused) => failure.set(Some(refused.message())),
                            }
                            busy.set(false);
                        });
                    },
                    "{act}"
                }
            }
            a { class: "btn btn-s", href: download, download: "", Icon { name: IconName::Download } "Download" }
        }
        if let Some(failure) = failure() {
            p { class: "error", role: "alert", span { CodeText { text: failure } } }
        }
    }
}

fn cell_path(view: View, key: &RowKey, column: &str, download: bool) -> String {
    let filters = key.filters();
    let mut parameters: Vec<(&str, Option<&str>)> =
        vec![("column", Some(column)), ("download", download.then_some("true"))];
    parameters.extend(filters.iter().map(|(name, value)| (name.as_str(), Some(value.as_str()))));
    view.path("cell", &parameters)
}

/// Returns the whole texts of a row's fields, or why one of them can't be copied.
pub(super) async fn whole_texts(view: View, key: &RowKey, values: &[FieldValue]) -> Result<Vec<NamedText>, String> {
    let columns = view.detail.peek().columns.clone();
    let mut texts = Vec::new();
    for (column, value) in columns.into_iter().zip(values) {
        let text = match (value.whole_bytes, column.data_type.as_str()) {
            (Some(_), "bytea") => {
                return Err(format!("{} is too large to be copied. Download it instead.", column.name));
            }
            (Some(_), _) => Some(
                remote::get_text(&cell_path(view, key, &column.name, false))
                    .await
                    .map_err(|refused| refused.message())?,
            ),
            (None, _) => value.now.clone().flatten(),
        };
        texts.push((column.name, text));
    }
    Ok(texts)
}
