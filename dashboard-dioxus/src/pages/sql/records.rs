//! A result on a phone: a list of records.

use std::rc::Rc;

use dioxus::prelude::*;

use super::execution::ResultSet;
use crate::{text, value::one_line};

/// Number of records that are shown at first, and that "Show more" adds.
const STEP: usize = 50;

#[component]
pub(super) fn Records(result: Rc<ResultSet>) -> Element {
    let mut shown = use_signal(|| STEP);
    let more = result.rows.len().saturating_sub(shown());
    rsx! {
        if result.rows.is_empty() {
            div { class: "empty", h2 { "No rows" } }
        }
        ul { class: "cards sql-records", "aria-label": "Result",
            for (index, row) in result.rows.iter().take(shown()).enumerate() {
                li { key: "{index}", class: "card",
                    dl { class: "dl",
                        for (column, (about, cell)) in result.columns.iter().zip(row.iter()).enumerate() {
                            dt { key: "{column}", "{about.name}" }
                            dd { class: "mono",
                                match cell.as_deref() {
                                    None => rsx! { span { class: "null", "NULL" } },
                                    Some(text) => rsx! { "{one_line(text).0}" },
                                }
                            }
                        }
                    }
                }
            }
        }
        if more > 0 {
            button {
                class: "btn sql-more",
                r#type: "button",
                onclick: move |_| shown += STEP,
                "Show more ({text::number(more as i64)})"
            }
        }
    }
}
