//! Buttons that open the SQL page with a prepared statement.

use dioxus::prelude::*;

use crate::address;

/// Key in `sessionStorage` of the statement that the SQL page opens in a new query.
const HANDOVER: &str = "atlashub.sql.open";

/// Opens the SQL page with a statement in a new query. The owner runs it there.
pub(super) fn open_sql(project: &str, sql: &str) {
    if let Some(storage) = web_sys::window().and_then(|window| window.session_storage().ok().flatten()) {
        let _ = storage.set_item(HANDOVER, sql);
    }
    address::go(&format!("/projects/{project}/sql"));
}

/// A button that opens the SQL page with a statement.
#[component]
pub(super) fn SqlButton(project: String, sql: String, children: Element) -> Element {
    rsx! {
        button { class: "btn btn-s", r#type: "button", onclick: move |_| open_sql(&project, &sql), {children} }
    }
}
