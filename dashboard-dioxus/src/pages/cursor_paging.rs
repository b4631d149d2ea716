//! The line under a paged list: the range of the listed entries, the buttons that turn the page, the page size, and
//! when the entries were read.

use dioxus::prelude::*;

use crate::{
    address, text,
    ui::{Empty, Icon, IconName, Updated},
};

/// The line under a list that the server pages by cursor. The address contains the cursor in `after`, the position of
/// the page in `offset` and the page size in `limit`, so that a reload shows the same page.
#[component]
pub(super) fn CursorPaging(
    shown: usize,
    next_cursor: Option<String>,
    updated_at: f64,
    /// Page sizes to choose from.
    sizes: &'static [u32],
    default_size: u32,
    on_refresh: EventHandler<()>,
) -> Element {
    let after = address::use_parameter("after");
    let offset = address::use_parameter("offset").and_then(|offset| offset.parse::<i64>().ok());
    // The first page has no cursor.
    let offset = offset.filter(|_| after.is_some()).unwrap_or_default();
    let size = page_size(sizes, default_size);
    // Cursors and positions of the pages before this one, because a cursor leads only forward.
    let mut before = use_signal(Vec::<(Option<String>, i64)>::new);
    if after.is_none() && !before.peek().is_empty() {
        before.set(Vec::new());
    }
    let has_more = next_cursor.is_some();
    let range = match shown as i64 {
        0 => "None".to_owned(),
        shown => format!("{}–{}", text::number(offset + 1), text::number(offset + shown)),
    };
    let total = match (has_more, offset + shown as i64) {
        (true, _) => ", more".to_owned(),
        (false, 0) => String::new(),
        (false, total) => format!(" of {}", text::number(total)),
    };
    let is_first = after.is_none();
    rsx! {
        div { class: "foot sticky",
            span { role: "group", "aria-label": "Paging", class: "row row-1",
                button {
                    class: "btn btn-ghost btn-s btn-icon",
                    r#type: "button",
                    "aria-label": "Previous page",
                    "aria-disabled": is_first,
                    onclick: move |_| {
                        let (after, offset) = before.write().pop().unwrap_or_default();
                        turn(after, offset);
                    },
                    Icon { name: IconName::ChevronLeft }
                }
                span { "{range}{total}" }
                button {
                    class: "btn btn-ghost btn-s btn-icon",
                    r#type: "button",
                    "aria-label": "Next page",
                    "aria-disabled": !has_more,
                    onclick: move |_| {
                        before.write().push((after.clone(), offset));
                        turn(next_cursor.clone(), offset + shown as i64);
                    },
                    Icon { name: IconName::ChevronRight }
                }
            }
            PageSizes { sizes, size }
            Updated { at: updated_at, on_refresh: move |()| on_refresh.call(()) }
        }
    }
}

/// The choice of the number of rows per page, which the address contains in `limit`.
#[component]
pub fn PageSizes(sizes: &'static [u32], size: u32) -> Element {
    rsx! {
        span { class: "input select m select-in only-wide",
            span { class: "what", "aria-hidden": "true", "Rows per page" }
            select {
                "aria-label": "Rows per page",
                onchange: |event: FormEvent| {
                    let limit = vec![event.value()];
                    address::replace_parameters(&[("limit", limit), ("after", Vec::new()), ("offset", Vec::new())]);
                },
                for choice in sizes {
                    option { key: "{choice}", value: "{choice}", selected: *choice == size, "{choice}" }
                }
            }
            Icon { name: IconName::ChevronDown }
        }
    }
}

/// Returns the page size of the address if it is one of the choices, otherwise the default.
pub(super) fn page_size(sizes: &[u32], default_size: u32) -> u32 {
    let chosen = address::parameter("limit").and_then(|limit| limit.parse().ok());
    chosen.filter(|chosen| sizes.contains(chosen)).unwrap_or(default_size)
}

/// Shown in place of a page whose entries are gone, unless it is the first page.
#[component]
pub(super) fn EmptyPage(
    /// The entries, for example `users`.
    entries: &'static str,
) -> Element {
    rsx! {
        Empty { title: "No {entries} on this page", text: "They were deleted, or moved to another page.",
            button { class: "btn", r#type: "button", onclick: |_| turn(None, 0), "First page" }
        }
    }
}

fn turn(after: Option<String>, offset: i64) {
    let offset = after.is_some().then(|| offset.to_string());
    address::replace_parameters(&[("after", after.into_iter().collect()), ("offset", offset.into_iter().collect())]);
}
