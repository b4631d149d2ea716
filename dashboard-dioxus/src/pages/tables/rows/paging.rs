//! The line under the rows: their positions, their total number, and the time at which they were read.

use dioxus::prelude::*;

use super::{
    View,
    query::{PAGE_SIZES, RowQuery},
};
use crate::{
    address,
    pages::cursor_paging::PageSizes,
    text,
    ui::{Icon, IconName},
};

#[component]
pub(super) fn Paging(view: View) -> Element {
    let _: crate::route::Route = use_route();
    let query = RowQuery::current();
    // `after` and `offset` of the pages before this one, because a cursor only leads to the next page.
    let mut before = use_signal(Vec::<(Option<String>, Option<String>)>::new);
    let mut exact = view.exact;
    let Some(page) = view.page.read().clone() else { return rsx! {} };
    let is_first = !query.is_later_page();
    if is_first && !before.peek().is_empty() {
        before.set(Vec::new());
    }
    let number = before.read().len() as u64;
    let first = if query.after.is_some() { number * u64::from(query.limit) } else { page.offset };
    let shown = page.rows.len() as u64;
    let is_placed = query.after.is_none() || number > 0;
    let has_more = page.next_cursor.is_some() || page.next_offset.is_some();
    let range = match (shown, is_placed) {
        (0, _) if page.total.is_some_and(|total| total > 0) => "None".to_owned(),
        (0, _) => "No rows".to_owned(),
        (_, true) => format!("{}–{}", text::number(first as i64 + 1), text::number((first + shown) as i64)),
        (_, false) => text::count(shown as i64, "row", "rows"),
    };
    let total = match page.total {
        Some(0) => String::new(),
        Some(total) if page.total_is_estimate => format!(" of ~{}", text::number(total)),
        Some(total) => format!(" of {}", text::number(total)),
        None if has_more => ", more".to_owned(),
        None => String::new(),
    };
    let next = (page.next_cursor.clone(), page.next_offset.map(|offset| offset.to_string()));
    let updated = text::clock(*view.updated_at.read());
    rsx! {
        div { class: "foot sticky", role: "group", "aria-label": "Paging",
            span { class: "row row-1",
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
                        let query = RowQuery::current();
                        before.write().push((query.after, query.offset));
                        let (cursor, offset) = next.clone();
                        turn(cursor.clone(), offset.filter(|_| cursor.is_none()));
                    },
                    Icon { name: IconName::ChevronRight }
                }
                if page.total_is_estimate || page.total.is_none() {
                    button {
                        class: "btn btn-ghost btn-s",
                        r#type: "button",
                        onclick: move |_| exact.set(true),
                        "Count exactly"
                    }
                }
            }
            PageSizes { sizes: PAGE_SIZES, size: query.limit }
            span { class: "push row row-1",
                span { class: "only-wide", "Updated {updated}" }
                button {
                    // On wide pages, the toolbar above the rows contains this button.
                    class: "btn btn-ghost btn-s btn-icon only-narrow",
                    r#type: "button",
                    "aria-label": "Refresh",
                    onclick: move |_| view.refresh(),
                    Icon { name: IconName::Refresh }
                }
            }
        }
    }
}

fn turn(after: Option<String>, offset: Option<String>) {
    address::replace_parameters(&[("after", after.into_iter().collect()), ("offset", offset.into_iter().collect())]);
}
