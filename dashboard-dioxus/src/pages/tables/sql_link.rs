//! Statements that this page writes and the SQL page runs.

use dioxus::prelude::*;

use crate::address;

/// Key of the statement for the SQL page's next new query, in the tab's storage.
const HANDOVER: &str = "atlashub.sql.open";

/// Opens the SQL page with a statement in a new query. Nothing runs until the owner says so.
pub(super) fn open_sql(project: &str, sql: &str) {
    if let Some(storage) = web_sys::window().and_then(|window| window.session_storage().ok().flatten()) {
        let _ = storage.set_item(HANDOVER, sql);
    }
    address::go(&format!("/projects/{project}/sql"));
}

/// A button that writes a statement into a new query.
#[component]
pub(super) fn SqlButton(project: String, sql: String, children: Element) -> Element {
    rsx! {
        button { class: "btn btn-s", r#type: "button", onclick: move |_| open_sql(&project, &sql), {children} }
    }
}
