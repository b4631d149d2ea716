//! The status line under the editor, and the bar shown after another window changed the text.

use dioxus::prelude::*;

use super::{drafts, offsets, toolbar::TransactionSwitch, workspace::Workspace};
use crate::{
    frame::shortcuts::keys_to_leave_sql,
    ui::{Icon, IconName, Mark, Shape},
};

#[component]
pub(super) fn StatusLine(workspace: Workspace, plain: bool) -> Element {
    let mut settings = workspace.settings;
    let tab = workspace.active_tab();
    let text = tab.as_ref().map(|tab| tab.text.clone()).unwrap_or_default();
    let (line, column) = offsets::line_and_column(&text, workspace.editor_selection.read().cursor);
    let is_hidden = settings.read().is_side_hidden;
    let stored = match &tab {
        Some(tab) if tab.is_refused => "Draft not kept: the browser refused to store it. Save the query.".to_owned(),
        Some(tab) if tab.other.is_some() => "Draft not kept".to_owned(),
        Some(tab) if tab.is_changed => "Keeping the draft…".to_owned(),
        Some(tab) => {
            tab.stored_at.map(|time| format!("Draft kept at {}", drafts::time_of_day(time))).unwrap_or_default()
        }
        None => String::new(),
    };
    rsx! {
        div { class: "foot sql-status",
            button {
                class: "btn btn-ghost btn-s btn-icon only-wide",
                r#type: "button",
                "aria-label": if is_hidden { "Show schema and queries" } else { "Hide schema and queries" },
                title: if is_hidden { "Show schema and queries" } else { "Hide schema and queries" },
                onclick: move |_| {
                    settings.write().is_side_hidden = !is_hidden;
                    settings.peek().store();
                },
                Icon { name: IconName::Sidebar }
            }
            span { "Line {line}, column {column}" }
            span { "{stored}" }
            TransactionSwitch { workspace }
            if !plain {
                span { class: "push only-wide", kbd { {keys_to_leave_sql()} } " lets Tab leave the editor" }
            }
        }
    }
}

#[component]
pub(super) fn Conflict(workspace: Workspace) -> Element {
    let Some(tab) = workspace.active_tab().filter(|tab| tab.other.is_some()) else { return rsx! {} };
    let other = tab.other.clone();
    let age = other.as_ref().map(|other| drafts::age(other.stored_at)).unwrap_or_default();
    let (take, keep) = (tab.id.clone(), tab.id.clone());
    rsx! {
        div { class: "notbar", role: "status",
            Mark { shape: Shape::Attention }
            span {
                class: "grow",
                strong { "Changed in another window" }
                ", {age}. This window keeps its text until you choose."
            }
            button {
                class: "btn btn-s",
                r#type: "button",
                onclick: move |_| workspace.resolve_conflict(&take, true),
                "Load that text"
            }
            button {
                class: "btn btn-s",
                r#type: "button",
                onclick: move |_| workspace.resolve_conflict(&keep, false),
                "Keep this text"
            }
        }
    }
}
