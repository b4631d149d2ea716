//! The command palette: finds pages, actions, projects and tables by a few letters.

use dioxus::prelude::*;

use super::{
    commands::{self, Action, Command},
    gate, overlay,
};
use crate::{
    address, dom,
    remote::{PageBrief, RemoteState, TableBrief, use_projects, use_remote},
    theme,
    ui::{Finder, FinderOption, ModalDialog},
};

/// Maximum number of entries in the list.
const MAX_SHOWN: usize = 50;

#[component]
pub fn Palette(project: Option<String>) -> Element {
    let query = overlay::query();
    let is_entered = use_hook(overlay::take_entered);
    let projects = use_projects();
    // Whether the project has more tables than one page contains. The server then searches among them.
    let mut has_many_tables = use_signal(|| false);
    let tables_path = use_memo(use_reactive!(|project| {
        let Some(id) = project else { return String::new() };
        let query = query.read();
        let word = if has_many_tables() { longest_word(&query) } else { None };
        address::with_parameters(&format!("/projects/{id}/tables"), &[("limit", Some("200")), ("q", word)])
    }));
    let tables = use_remote::<PageBrief<TableBrief>>(tables_path.into());
    if tables.value().is_some_and(|page| page.next_cursor.is_some()) && !has_many_tables() {
        has_many_tables.set(true);
    }
    let loading =
        projects.state == RemoteState::Loading || (project.is_some() && matches!(tables.state(), RemoteState::Loading));
    let empty = match (projects.state, tables.state()) {
        _ if loading => "Loading…".to_owned(),
        (RemoteState::Failed(failure), _) | (_, RemoteState::Failed(failure)) => {
            format!("Nothing matches, but not everything could be searched. {}", failure.message())
        }
        _ => "Nothing matches.".to_owned(),
    };
    let tables = tables.value().map(|page| page.items).unwrap_or_default();
    let mut found = commands::find(project.as_deref(), &projects.items, &tables, &query.read());
    found.truncate(MAX_SHOWN);
    let options = found
        .iter()
        .map(|command| FinderOption {
            group: command.group,
            icon: command.icon,
            text: command.text.clone(),
            detail: command.detail.clone(),
            keys: command.keys.clone(),
        })
        .collect();
    rsx! {
        ModalDialog { name: "Command palette", on_close: |()| overlay::close(),
            div { class: "palette",
                Finder {
                    name: "Search or run a command",
                    list_name: "Commands",
                    options,
                    query,
                    empty,
                    loading,
                    is_entered,
                    on_choose: move |(index, new_tab): (usize, bool)| {
                        if let Some(command) = found.get(index) {
                            overlay::close();
                            run(command, new_tab);
                        }
                    },
                }
                div { class: "keys",
                    span { kbd { "↑" } kbd { "↓" } "move" }
                    span { kbd { "↵" } "open" }
                    span { kbd { "Ctrl" } kbd { "↵" } "open in a new tab" }
                    span { class: "push", kbd { "?" } "all shortcuts" }
                }
            }
        }
    }
}

/// Returns the longest word of a query. The server finds names that contain one text, not several words.
fn longest_word(query: &str) -> Option<&str> {
    query.split_whitespace().max_by_key(|word| word.len())
}

fn run(command: &Command, new_tab: bool) {
    match &command.action {
        Action::Open(to) if new_tab => dom::open_tab(to),
        Action::Open(to) => address::go(to),
        Action::Theme(theme) => theme::choose(*theme),
        Action::Show(next) => overlay::open(*next),
        Action::SignOut => gate::sign_out(),
    }
}
