//! The tab "Rows", with a banner if the rows are those of another viewer.

use std::rc::Rc;

use api_types::{SupportedWrites, TableDetail};
use dioxus::prelude::*;

use super::{PUBLISHABLE, show_as, use_user, use_viewer};
use crate::{
    pages::tables::{rows::Rows, table_page::Shared},
    ui::{Icon, IconName},
};

#[component]
pub(in crate::pages::tables) fn ViewedRows(
    project: ReadSignal<String>,
    table: ReadSignal<String>,
    detail: ReadSignal<Shared>,
) -> Element {
    let viewer = use_viewer().unwrap_or_default();
    let detail = if viewer.is_empty() { detail() } else { read_only(&detail.read()) };
    rsx! {
        if !viewer.is_empty() {
            Banner { project, viewer: viewer.clone() }
        }
        // Rows of one viewer must not be shown as those of another, so each viewer gets a new component. Dioxus
        // compares keys only in lists, so this is a list of one element.
        for viewer in [viewer] {
            Rows { key: "{viewer}", project, table, detail: detail.clone() }
        }
    }
}

/// Returns the details of a table whose rows can't be changed.
fn read_only(detail: &TableDetail) -> Shared {
    let supports = SupportedWrites { insert: false, update: false, delete: false };
    Shared(Rc::new(TableDetail { supports, ..detail.clone() }))
}

#[component]
fn Banner(project: ReadSignal<String>, viewer: ReadSignal<String>) -> Element {
    let user = use_user(project, viewer);
    let who = match user.value() {
        Some(user) => user.user.email,
        None if *viewer.read() == PUBLISHABLE => "a visitor with the publishable key".to_owned(),
        None => "this user".to_owned(),
    };
    rsx! {
        div { class: "section viewer-note",
            div { class: "banner t-accent", role: "note",
                Icon { name: IconName::Eye }
                span { "You see the rows that {who} can read." }
                button { class: "btn btn-s", r#type: "button", onclick: |_| show_as(""), "Back to owner" }
            }
        }
    }
}
