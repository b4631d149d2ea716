//! The exports of a project.

use api_types::{Export, ExportSource, ExportState, Page as ApiPage, RunDetail, TableSummary};
use dioxus::prelude::*;

use super::{
    Choice, ExportDialog, NEW, PARAMETER, acts,
    words::{format_in_words, name_of, rows_in_words, rows_of, state_of, whole_table},
};
use crate::{
    address,
    pages::refresh::use_refresh,
    remote::{RemoteState, use_remote},
    run_progress, text,
    ui::{
        CodeText, Empty, ErrorBox, Icon, IconName, Link, LoadingTable, Mark, Menu, MenuItem, Shape,
        narrow::use_is_narrow,
    },
};

/// Maximum number of listed exports. Exports are kept for a day, so there are few.
const SHOWN: &str = "100";

/// The tab "Export" of a project's database tools.
#[component]
pub(in crate::pages) fn ExportsPart(project: String, name: String) -> Element {
    let open = address::use_parameter(PARAMETER);
    let mut exports = use_remote::<ApiPage<Export>>(use_signal(|| list_path(&project)).into());
    let items = exports.value().map(|page| page.items).unwrap_or_default();
    use_refresh("/exports", items.iter().any(|export| export.state == ExportState::Running));
    let is_narrow = use_is_narrow();
    let content = match exports.state() {
        RemoteState::Loading => rsx! { LoadingTable { name: "Exports", columns: 7 } },
        RemoteState::Failed(failure) => rsx! {
            ErrorBox { what: "Exports could not be loaded.", failure, on_retry: move |()| exports.refresh() }
        },
        RemoteState::Ready(page) if page.items.is_empty() => rsx! {
            Empty {
                title: "No exports yet",
                text: "An export is a file with the whole database, a table, or the result of a query. The server \
                       creates it and keeps it for 24 hours.",
                NewExportButton {}
            }
        },
        RemoteState::Ready(page) if is_narrow => rsx! {
            ul { class: "cards", "aria-label": "Exports",
                for export in page.items {
                    ExportCard { key: "{export.id}", export }
                }
            }
        },
        RemoteState::Ready(page) => rsx! {
            table { class: "table", "aria-label": "Exports",
                thead {
                    tr {
                        th { "What" }
                        th { "Format" }
                        th { class: "num", "Rows" }
                        th { class: "num", "Size" }
                        th { "State" }
                        th { class: "num hide-800", "Started" }
                        th { class: "num hide-800", "Will be removed" }
                        th { class: "acts", span { class: "sr", "Actions" } }
                    }
                }
                tbody {
                    for export in page.items {
                        ExportRow { key: "{export.id}", export }
                    }
                }
            }
        },
    };
    rsx! {
        {content}
        if let Some(open) = open {
            OpenExport { project, name, open }
        }
    }
}

/// The button "New export" in the page's head. While there is no export, the empty list contains the button instead.
#[component]
pub(in crate::pages) fn ExportsHeadButton(project: String) -> Element {
    let exports = use_remote::<ApiPage<Export>>(use_memo(use_reactive!(|project| list_path(&project))).into());
    rsx! {
        if exports.value().is_some_and(|page| !page.items.is_empty()) {
            NewExportButton {}
        }
    }
}

fn list_path(project: &str) -> String {
    address::with_parameters("/exports", &[("projectId", Some(project)), ("limit", Some(SHOWN))])
}

/// The button that opens the form for a new export.
#[component]
fn NewExportButton() -> Element {
    rsx! {
        button {
            class: "btn btn-primary",
            r#type: "button",
            "data-create": "true",
            onclick: |_| address::push_parameter(PARAMETER, Some(NEW)),
            Icon { name: IconName::Plus }
            "New export"
        }
    }
}

/// The dialog for a new export, or for the existing export with the id `open`.
#[component]
fn OpenExport(project: String, name: String, open: String) -> Element {
    if open != NEW {
        return rsx! {
            ExportDialog {
                title: "Export",
                choices: Vec::new(),
                started: Some(open),
                on_started: |_| {},
                on_close: |()| address::replace_parameter(PARAMETER, None),
            }
        };
    }
    rsx! { NewExport { project, name } }
}

/// The dialog for a new export of the database or of one of its tables.
#[component]
fn NewExport(project: String, name: String) -> Element {
    let path = format!("/projects/{project}/tables?fields=summary&limit=1000");
    let tables = use_remote::<ApiPage<TableSummary>>(use_signal(|| path).into());
    let (tables, note): (Vec<String>, String) = match tables.state() {
        RemoteState::Loading => return rsx! {},
        RemoteState::Failed(failure) => (Vec::new(), format!("The tables could not be loaded. {}", failure.message())),
        RemoteState::Ready(page) => {
            let note = match page.next_cursor {
                Some(_) => "These are the first 1\u{202f}000 tables. Other tables are exported on their own page.",
                None => "",
            };
            (page.items.into_iter().map(|table| table.name).collect(), note.to_owned())
        }
    };
    rsx! { NewExportDialog { project, name, tables, note } }
}

#[component]
fn NewExportDialog(
    project: String,
    name: String,
    tables: Vec<String>,
    /// The reason why tables are missing in the list. Empty if none is.
    note: String,
) -> Element {
    // The open dialog keeps its list, see `ExportDialog`. So it keeps the note about the list, too.
    let note = use_hook(|| note);
    let mut choices = vec![Choice {
        label: format!("The whole database of {name}"),
        help: "All tables with their structure, policies, functions and rows. Also the tables of end-user login, with \
               the users' e-mail addresses and password hashes."
            .to_owned(),
        source: ExportSource::Database { project_id: Some(project.clone()) },
    }];
    choices.extend(tables.into_iter().map(|table| Choice {
        label: table.clone(),
        help: "All rows of the table.".to_owned(),
        source: whole_table(project.clone(), table),
    }));
    rsx! {
        ExportDialog {
            title: "New export",
            choices,
            is_list: true,
            on_started: |export: String| address::replace_parameter(PARAMETER, Some(&export)),
            on_close: |()| address::replace_parameter(PARAMETER, None),
            if !note.is_empty() {
                p { class: "row", role: "note", Mark { shape: Shape::Attention } span { CodeText { text: note } } }
            }
        }
    }
}

/// The link that opens the dialog of an export.
#[component]
fn ExportLink(export: Export) -> Element {
    let to = address::with_parameter(PARAMETER, &export.id);
    rsx! { Link { to, {name_of(&export.source)} } }
}

#[component]
fn ExportRow(export: Export) -> Element {
    let rows = rows_of(&export.source);
    rsx! {
        tr {
            td { class: "name export-what",
                ExportLink { export: export.clone() }
                if let Some(rows) = rows {
                    span { class: "mono muted", title: "{rows}", " {rows}" }
                }
            }
            td { {format_in_words(export.format, export.gzip)} }
            td { class: "num", {rows_in_words(&export)} }
            td { class: "num", {size_in_words(&export)} }
            td { ExportBadge { export: export.clone() } }
            td { class: "num hide-800", title: text::exact(export.created_at),
                {text::short_date_and_time(export.created_at)}
            }
            td { class: "num muted hide-800", title: text::exact(export.expires_at),
                "in {text::until(export.expires_at, text::now())}"
            }
            td { class: "acts", ExportActs { export: export.clone() } }
        }
    }
}

#[component]
fn ExportCard(export: Export) -> Element {
    let mut facts = format_in_words(export.format, export.gzip);
    if let Some(rows) = export.row_count {
        facts.push_str(&format!(" · {} · {}", text::count(rows, "row", "rows"), size_in_words(&export)));
    }
    let goes = text::until(export.expires_at, text::now());
    rsx! {
        li { class: "card",
            h3 {
                span { class: "grow cut", ExportLink { export: export.clone() } }
                ExportActs { export: export.clone() }
            }
            if let Some(rows) = rows_of(&export.source) {
                p { class: "mono cut", "{rows}" }
            }
            p { "{facts}" }
            p { ExportBadge { export } " · removed in {goes}" }
        }
    }
}

fn size_in_words(export: &Export) -> String {
    if export.state == ExportState::Ready { text::bytes(export.size_bytes) } else { "–".to_owned() }
}

#[component]
fn ExportBadge(export: Export) -> Element {
    let (shape, state) = state_of(export.state);
    rsx! {
        span { class: "badge tab-nums", title: export.error_text.clone(),
            Mark { shape }
            "{state}"
            if export.state == ExportState::Running {
                for run in [export.run_id.clone()] {
                    RunShare { key: "{run}", run }
                }
            }
        }
        if let Some(why) = &export.error_text {
            span { class: "muted cut", " {why}" }
        }
    }
}

/// The progress of a run, for example `, 45 %`.
#[component]
fn RunShare(run: String) -> Element {
    let path = format!("/runs/{run}");
    let detail = use_remote::<RunDetail>(use_signal(|| path).into());
    let progress = detail.value().and_then(|detail| detail.run.progress);
    let share = progress.as_ref().and_then(run_progress::percent);
    rsx! {
        if let Some(share) = share {
            ", {share} %"
        }
    }
}

#[component]
fn ExportActs(export: Export) -> Element {
    let name = match export.state {
        ExportState::Ready => export.file_name.clone(),
        _ => name_of(&export.source),
    };
    let is_ready = export.state == ExportState::Ready;
    let is_running = export.state == ExportState::Running;
    let (to_download, to_copy, to_cancel, to_delete) =
        (export.id.clone(), export.id.clone(), export.clone(), export.clone());
    let run = export.run_id.clone();
    let mut deleting = use_signal(|| None::<Export>);
    rsx! {
        span { class: "row row-1",
            if is_ready {
                button {
                    class: "btn btn-ghost btn-s",
                    r#type: "button",
                    "aria-label": "Download {name}",
                    onclick: move |_| acts::download(&to_download),
                    Icon { name: IconName::Download }
                    "Download"
                }
            }
            if is_running {
                button {
                    class: "btn btn-ghost btn-s",
                    r#type: "button",
                    "aria-label": "Cancel export of {name}",
                    onclick: move |_| acts::cancel(&to_cancel),
                    "Cancel"
                }
            }
            Menu { name: "Actions for {name}", icon: IconName::Dots, class: "btn-s",
                if is_ready {
                    MenuItem { icon: Some(IconName::Copy), onselect: move |()| acts::copy_link(&to_copy), "Copy link" }
                }
                MenuItem {
                    icon: Some(IconName::List),
                    onselect: move |()| address::go(&format!("/runs/{run}")),
                    "Open run"
                }
                hr {}
                MenuItem {
                    icon: Some(IconName::Trash),
                    danger: true,
                    onselect: move |()| deleting.set(Some(to_delete.clone())),
                    "Delete export"
                }
            }
            if let Some(export) = deleting() {
                acts::DeleteExport { export, on_close: move |()| deleting.set(None) }
            }
        }
    }
}
