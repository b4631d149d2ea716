//! The list of tables beside the page. So that thousands of tables don't slow the page down, the server searches, and a
//! long list renders only the tables in view.

use api_types::{Page as ApiPage, TableAccess, TableKind, TableSummary};
use dioxus::{prelude::*, web::WebEventExt as _};

use super::{counted::Counted, rows::has_changes};
use crate::{
    address,
    remote::{RemoteState, use_remote},
    text,
    ui::{CodeText, Icon, IconName, Link, Mark, Shape},
};

const ROW_HEIGHT: usize = 28;
/// Number of entries above which only those in view are rendered.
const MANY_TABLES: usize = 200;

#[component]
pub(super) fn TableList(
    project: ReadSignal<String>,
    project_name: String,
    open: Option<String>,
    on_new: EventHandler<()>,
) -> Element {
    let mut query = use_signal(String::new);
    let path = use_memo(move || {
        let base = format!("/projects/{project}/tables");
        let query = query.read();
        let wanted = query.trim();
        address::with_parameters(
            &base,
            &[("fields", Some("summary")), ("limit", Some("1000")), ("q", (!wanted.is_empty()).then_some(wanted))],
        )
    });
    let tables = use_remote::<ApiPage<TableSummary>>(path.into());
    let mut last = use_signal(Vec::<TableSummary>::new);
    let mut has_more = use_signal(|| false);
    use_effect(move || {
        if let RemoteState::Ready(page) = tables.state() {
            has_more.set(page.next_cursor.is_some());
            last.set(page.items);
        }
    });
    let failure = match tables.state() {
        RemoteState::Failed(failure) => Some(failure.message()),
        _ => None,
    };
    let count = last.read().len();
    rsx! {
        nav { class: "table-list", "aria-label": "Tables of {project_name}",
            div { class: "row",
                div { class: "input input-icon m grow",
                    Icon { name: IconName::Search }
                    input {
                        r#type: "search",
                        "aria-label": "Find a table",
                        placeholder: "Find a table",
                        value: "{query}",
                        oninput: move |event| query.set(event.value()),
                    }
                }
                button {
                    class: "btn btn-ghost btn-icon",
                    r#type: "button",
                    "aria-label": "New table",
                    title: "New table",
                    onclick: move |_| on_new.call(()),
                    Icon { name: IconName::Plus }
                }
            }
            if let Some(failure) = failure {
                p { class: "muted p-2", role: "alert", CodeText { text: failure } }
            } else if count == 0 && !query.read().trim().is_empty() && tables.value().is_some() {
                p { class: "muted p-2", role: "status", "No table matches." }
            } else {
                Entries { project, tables: last, open }
            }
            if has_more() {
                p { class: "muted label p-2",
                    "Showing the first {text::number(count as i64)} tables. Search to find others."
                }
            }
        }
    }
}

#[component]
fn Entries(project: ReadSignal<String>, tables: ReadSignal<Vec<TableSummary>>, open: Option<String>) -> Element {
    let mut from = use_signal(|| 0_usize);
    let tables = tables.read();
    let (first, last) = if tables.len() > MANY_TABLES {
        (from().min(tables.len()), (from() + 80).min(tables.len()))
    } else {
        (0, tables.len())
    };
    let shown = tables.get(first..last).unwrap_or_default().to_vec();
    rsx! {
        div {
            class: "rows table-entries",
            onscroll: move |event| {
                if let Some(list) = event.data().try_as_web_event().and_then(|event| event.target()) {
                    use wasm_bindgen::JsCast as _;
                    if let Some(list) = list.dyn_ref::<web_sys::Element>() {
                        let next = (list.scroll_top().max(0) as usize / ROW_HEIGHT).saturating_sub(20) / 10 * 10;
                        if *from.peek() != next {
                            from.set(next);
                        }
                    }
                }
            },
            if first > 0 {
                div { style: "block-size: {first * ROW_HEIGHT}px" }
            }
            for table in shown {
                Entry { key: "{table.name}", project, is_open: open.as_ref() == Some(&table.name), table }
            }
            if last < tables.len() {
                div { style: "block-size: {(tables.len() - last) * ROW_HEIGHT}px" }
            }
        }
    }
}

#[component]
fn Entry(project: ReadSignal<String>, table: TableSummary, is_open: bool) -> Element {
    let to = address::with_parameters(&format!("/projects/{project}/tables"), &[("table", Some(&table.name))]);
    let icon = if table.kind == TableKind::Table { IconName::Table } else { IconName::View };
    let counted = use_context::<Counted>().get(&project.read(), &table.name);
    let rows = counted.map(text::number).or_else(|| table.estimated_rows.map(estimate));
    let rows = rows.filter(|_| table.kind != TableKind::View);
    let is_unsaved = use_memo({
        let name = table.name.clone();
        move || has_changes(&project.read(), &name)
    });
    // This is the tooltip of the link, which screen readers read as its description.
    let title = format!(
        "{}\n{}{}\n{}{}",
        table.name,
        rows.as_ref().map(|rows| format!("{rows} {}, ", if rows == "1" { "row" } else { "rows" })).unwrap_or_default(),
        text::bytes(table.total_bytes),
        reach(&table),
        if is_unsaved() { "\nIt has unsaved changes." } else { "" },
    );
    let mark = match (table.exposure.publishable, table.exposure.signed_in) {
        (TableAccess::Write, _) if is_unlimited(&table) => Some((IconName::Unlocked, "warning row")),
        (TableAccess::None, TableAccess::None) => None,
        (TableAccess::None, _) => Some((IconName::Account, "faint row")),
        _ => Some((IconName::Globe, "faint row")),
    };
    rsx! {
        Link { to, current: is_open, title,
            Icon { name: icon }
            span { class: "cut", "{table.name}" }
            if is_unsaved() {
                Mark { shape: Shape::Attention }
            }
            if let Some((icon, class)) = mark {
                span { class, Icon { name: icon, small: true } }
            }
            if let Some(rows) = rows {
                span { class: "n", "aria-hidden": "true", "{rows}" }
            }
        }
    }
}

/// Returns whether callers reach every row of a table that is open to them.
fn is_unlimited(table: &TableSummary) -> bool {
    !table.row_level_security && table.kind != TableKind::View
}

/// Returns who can reach a table's rows through the API: `Browsers with the publishable key can read it.`
fn reach(table: &TableSummary) -> String {
    let can = |who: &str, access| match access {
        TableAccess::None => None,
        TableAccess::Read => Some(format!("{who} can read it.")),
        TableAccess::Write => Some(format!("{who} can read and change it.")),
    };
    let publishable = can("Browsers with the publishable key", table.exposure.publishable);
    let signed_in = can("Signed-in users", table.exposure.signed_in);
    if publishable.is_none() && signed_in.is_none() {
        return "Only servers with the secret key can reach it.".to_owned();
    }
    let limit = match table.kind {
        TableKind::Table if table.row_level_security => Some("Policies limit the rows.".to_owned()),
        TableKind::Table => Some("Row-level security is off, so they reach every row.".to_owned()),
        _ => None,
    };
    [publishable, signed_in, limit].into_iter().flatten().collect::<Vec<_>>().join(" ")
}

/// Returns an estimated number of rows in a few characters: `412`, `18 402`, `~1.2 M`.
pub(super) fn estimate(rows: i64) -> String {
    match rows {
        0..100_000 => text::number(rows),
        100_000..1_000_000 => format!("~{} k", rows / 1_000),
        1_000_000.. => format!("~{:.1} M", rows as f64 / 1_000_000.0),
        _ => "–".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use api_types::TableExposure;

    use super::*;

    #[test]
    fn reach_names_the_callers_and_whether_policies_limit_the_rows() {
        for (publishable, signed_in, row_level_security, expected) in [
            (TableAccess::None, TableAccess::None, false, "Only servers with the secret key can reach it."),
            (
                TableAccess::Read,
                TableAccess::None,
                false,
                "Browsers with the publishable key can read it. Row-level security is off, so they reach every row.",
            ),
            (
                TableAccess::None,
                TableAccess::Write,
                true,
                "Signed-in users can read and change it. Policies limit the rows.",
            ),
        ] {
            let table = TableSummary {
                name: "notes".to_owned(),
                kind: TableKind::Table,
                exposure: TableExposure { publishable, signed_in },
                row_level_security,
                column_count: 1,
                has_primary_key: true,
                policy_count: 0,
                estimated_rows: None,
                total_bytes: 0,
                comment: None,
            };
            assert_eq!(reach(&table), expected);
        }
    }
}
