//! `/projects/<id>/sql`: the SQL editor.
//!
//! State: [`workspace`] contains the open queries, each a [`tab`], and all other state that outlives the page.
//! [`storing`] stores the texts in the browser, with [`drafts`]. [`refresh`] reads the schema, the saved queries and
//! the history from the server. [`settings`] contains the owner's choices. [`wire`] contains the requests, and
//! [`bindings`] the bindings to JavaScript.
//!
//! Running: [`run`] lets the server parse the text, and then sends it. [`background`] starts a background run instead.
//! [`progress`] records each run in the workspace as an [`execution`], with a [`failure`] if the run has no result.
//!
//! Text: [`editor`] is Monaco or a plain field. [`statement`] finds the statement that "Run" would run, from the
//! server's response or with [`split`]. [`offsets`] converts positions in a text. [`origin`] finds the table of a
//! result.
//!
//! Views: [`tabs`], [`toolbar`], [`status`], [`splitter`], [`results`] with [`result_panel`], [`grid`], [`records`],
//! [`cell_dialog`], [`plan_view`] (of a [`plan`]) and [`export`] with [`export_all`], and [`side`] with [`schema_tree`]
//! (of [`schema_items`]), [`saved`] and [`history`]. [`schema`] prepares names for completion. [`destroy`] asks before
//! data is destroyed, and [`losses`] reads how much.
//!
//! Not here: the setup of Monaco, which is in `web/sql/`.

mod background;
mod bindings;
mod cell_dialog;
mod destroy;
mod drafts;
mod editor;
mod execution;
mod export;
mod export_all;
mod failure;
mod grid;
mod history;
mod losses;
mod offsets;
mod origin;
mod plan;
mod plan_view;
mod progress;
mod records;
mod refresh;
mod result_panel;
mod results;
mod run;
mod saved;
mod schema;
mod schema_items;
mod schema_tree;
mod settings;
mod side;
mod split;
mod splitter;
mod statement;
mod status;
mod storing;
mod tab;
mod tabs;
mod toolbar;
mod wire;
mod workspace;

use dioxus::prelude::*;

use crate::{address, frame::page::Page, ui::narrow::use_is_narrow};
use destroy::DestroyDialog;
use editor::Editor;
use results::Results;
use saved::SaveDialog;
use side::{Side, SideSheet};
use splitter::Splitter;
use statement::Target;
use status::{Conflict, StatusLine};
use tabs::QueryTabs;
use toolbar::{Toolbar, use_parsed};
use workspace::Workspace;

#[component]
pub fn Sql(id: ReadSignal<String>) -> Element {
    // The key discards the state of another project's page. Dioxus compares keys only in lists, so this is a list of
    // one element.
    rsx! {
        for project in [id()] {
            SqlOf { key: "{project}", id }
        }
    }
}

#[component]
fn SqlOf(id: ReadSignal<String>) -> Element {
    let workspace = use_hook(|| Workspace::of(&id.peek()));
    let is_handed_over = use_hook(move || {
        workspace.refresh_schema();
        workspace.refresh_saved();
        workspace.refresh_history();
        let sql = drafts::take_handed_over();
        if let Some(sql) = &sql {
            workspace.open(None, sql, None);
        }
        sql.is_some()
    });
    rsx! {
        Page { title: "SQL", own_head: true, class: "sql",
            h1 { id: "h1", class: "sr", "SQL" }
            if *workspace.is_loaded.read() {
                Work { workspace, is_handed_over }
            } else {
                div { class: "split late", "aria-busy": "true", p { class: "sr", role: "status", "Loading…" } }
            }
        }
    }
}

/// The page's content. `is_handed_over` is whether another page opened this one with a new query.
#[component]
fn Work(workspace: Workspace, is_handed_over: bool) -> Element {
    use_hook(move || {
        if is_handed_over {
            editor::focus_opened(workspace);
        }
    });
    let narrow = use_is_narrow();
    let is_plain = use_hook(|| address::parameter("editor").as_deref() == Some("plain"));
    let target = use_memo(move || {
        let text = workspace.active_tab().map(|tab| tab.text).unwrap_or_default();
        Target::of(&text, *workspace.editor_selection.read(), workspace.parsed.read().as_deref())
    });
    use_parsed(workspace);
    use_saved_query(workspace);
    use_effect(move || {
        let target = target();
        let _ = workspace.monaco.read();
        if let Some(tab) = workspace.peek_tab(&workspace.active.peek()) {
            editor::show_statement(workspace, &tab.text, target.range());
        }
    });
    let height = workspace.settings.read().editor_height;
    let is_side_hidden = workspace.settings.read().is_side_hidden;
    rsx! {
        div { class: if is_side_hidden { "split sql-split is-side-hidden" } else { "split sql-split" },
            if !narrow && !is_side_hidden {
                Side { workspace }
            }
            div { class: "pane sql-pane",
                QueryTabs { workspace }
                Toolbar { workspace, target }
                Conflict { workspace }
                div { class: "sql-text", style: if !narrow { "block-size: {height}px" },
                    for narrow in [narrow] {
                        Editor { key: "{narrow}", workspace, plain: is_plain || narrow }
                    }
                }
                StatusLine { workspace, plain: is_plain || narrow }
                if !narrow {
                    Splitter { workspace }
                }
                Results { workspace, narrow: narrow }
            }
        }
        if narrow {
            SideSheet { workspace }
        }
        DestroyDialog { workspace }
        SaveDialog { workspace }
    }
}

/// Opens the saved query that the address names, and then keeps the open saved query in the address.
fn use_saved_query(workspace: Workspace) {
    let mut wanted = use_signal(|| address::parameter("query"));
    use_effect(move || {
        let saved = workspace.saved.read();
        let (Some(id), Some(Ok(queries))) = (wanted.peek().clone(), &*saved) else { return };
        if let Some(query) = queries.iter().find(|query| query.id == id) {
            saved::open(workspace, query);
        }
        wanted.set(None);
    });
    let current = use_memo(move || workspace.active_tab().and_then(|tab| tab.saved).map(|(id, _)| id));
    use_effect(move || {
        let current = current();
        if wanted.read().is_none() && address::parameter("query") != current {
            address::replace_parameter("query", current.as_deref());
        }
    });
}
