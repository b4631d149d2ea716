//! The first step: the owner chooses a table and a file, and the browser uploads the file directly to the store.

use api_types::{Import, ImportFormat, ImportState, Page as ApiPage, TableKind, TableSummary};
use dioxus::prelude::*;
use web_sys::File;

use super::{
    PARAMETER, TABLE, draft, import_address,
    inspect::inspect,
    new_address, upload,
    words::{file_name, format_in_words},
};
use crate::{
    address, dom,
    pages::storage::upload::{chosen_files, dropped_file},
    remote::{RemoteState, use_remote},
    text,
    ui::{CodeText, DropTarget, ErrorBox, Icon, IconName, Link, Mark, Shape, messages},
};

const FIELD: &str = "import-file";

/// The form for a new import.
#[component]
pub(super) fn NewImport(project: String) -> Element {
    let path = format!("/projects/{project}/tables?fields=summary&limit=1000");
    let mut tables = use_remote::<ApiPage<TableSummary>>(use_signal(|| path).into());
    let content = match tables.state() {
        RemoteState::Loading => rsx! { div { class: "late", "aria-busy": "true", span { class: "sk" } } },
        RemoteState::Failed(failure) => rsx! {
            ErrorBox { what: "Tables could not be loaded.", failure, on_retry: move |()| tables.refresh() }
        },
        RemoteState::Ready(page) => {
            let names = page.items.into_iter().filter(|table| table.kind == TableKind::Table).map(|table| table.name);
            rsx! { TableAndFile { project, tables: names.collect::<Vec<_>>(), has_more: page.next_cursor.is_some() } }
        }
    };
    rsx! {
        ol { class: "steps",
            li { class: "is-now",
                span { class: "dot", "aria-hidden": "true", "1" }
                h2 { "Table and file" }
                div { class: "stack", {content} }
            }
        }
    }
}

#[component]
fn TableAndFile(
    project: String,
    tables: Vec<String>,
    /// Whether the project has more tables than these.
    has_more: bool,
) -> Element {
    // A table that the incomplete list does not contain may still exist. If it does not, the server says so.
    let chosen = address::use_parameter(TABLE).filter(|chosen| has_more || tables.contains(chosen));
    let only = tables.first().filter(|_| tables.len() == 1 && !has_more).cloned();
    let table = chosen.or(only);
    let mut is_missing = use_signal(|| false);
    let mut tables = tables;
    tables.extend(table.clone().filter(|table| !tables.contains(table)));
    if tables.is_empty() && !has_more {
        return rsx! {
            p {
                "The project has no tables yet. Create one for the file's rows: its form can read the columns from a \
                 CSV file."
            }
            p { Link { to: "/projects/{project}/tables?new=table", class: "btn", "New table" } }
        };
    }
    let has_problem = is_missing() && table.is_none();
    rsx! {
        div { class: "field import-table",
            label { r#for: "import-table", "Table" }
            select {
                id: "import-table",
                class: "input",
                "aria-invalid": if has_problem { "true" },
                "aria-describedby": if has_problem { "import-table-error" },
                onchange: |event| {
                    address::replace_parameter(TABLE, Some(event.value().as_str()).filter(|table| !table.is_empty()));
                },
                option { value: "", selected: table.is_none(), disabled: true, "Choose a table" }
                for name in tables {
                    option { key: "{name}", value: "{name}", selected: table.as_ref() == Some(&name), "{name}" }
                }
            }
            if has_problem {
                p { class: "error", id: "import-table-error", role: "alert",
                    Mark { shape: Shape::Failed }
                    "Choose the table that the rows go into."
                }
            }
            if has_more {
                p { class: "help",
                    "These are the first 1\u{202f}000 tables. To import into another one, choose “Import…” on its page."
                }
            }
        }
        ChooseFile { project, table: table.clone(), on_no_table: move |()| is_missing.set(true) }
    }
}

/// The field for the file. Choosing or dropping a file creates an import.
#[component]
fn ChooseFile(
    project: String,
    table: Option<String>,
    /// An import whose upload was interrupted. The same file continues it; another file replaces it.
    #[props(default)]
    interrupted: Option<Import>,
    #[props(default)] on_no_table: EventHandler<()>,
) -> Element {
    let format = use_signal(|| None::<ImportFormat>);
    let mut problem = use_signal(|| None::<String>);
    let mut busy = use_signal(|| false);
    let begin =
        use_callback(move |(project, table, interrupted, file): (String, Option<String>, Option<Import>, File)| {
            let Some(table) = table else {
                on_no_table.call(());
                dom::focus("#import-table");
                return;
            };
            if busy() {
                return;
            }
            busy.set(true);
            problem.set(None);
            spawn(async move {
                match start_import(&project, &table, interrupted, file, format()).await {
                    Ok(import) if address::parameter(PARAMETER).as_ref() == Some(&import) => {}
                    Ok(import) => address::go(&import_address(&project, &import)),
                    Err(why) => problem.set(Some(why)),
                }
                busy.set(false);
            });
        });
    let given = (project, table, interrupted);
    let on_chosen = {
        let given = given.clone();
        move |event: FormEvent| {
            let (project, table, interrupted) = given.clone();
            if let Some(file) = chosen_files(&event).into_iter().next() {
                begin.call((project, table, interrupted, file));
            }
        }
    };
    let has_problem = problem.read().is_some();
    rsx! {
        div { class: "field",
            span { class: "lab", "File" }
            div { class: "import-drop",
                Icon { name: IconName::Upload }
                input {
                    id: FIELD,
                    class: "sr",
                    r#type: "file",
                    tabindex: "-1",
                    "aria-hidden": "true",
                    accept: ".csv,.tsv,.txt,.json,.ndjson,.jsonl,text/csv,application/json",
                    onchange: on_chosen,
                }
                button {
                    class: "btn btn-primary",
                    r#type: "button",
                    "aria-disabled": busy(),
                    "data-create": "true",
                    "aria-describedby": if has_problem {
                        "import-file-help import-file-error"
                    } else {
                        "import-file-help"
                    },
                    onclick: |_| {
                        if let Some(field) = dom::find(&format!("#{FIELD}")) {
                            field.click();
                        }
                    },
                    "Choose a file"
                }
                p { class: "help", id: "import-file-help",
                    span { class: "only-wide", "or drop it here. " }
                    "CSV, JSON or NDJSON, up to 20 GiB. The uploaded file is deleted after 24 hours."
                }
            }
            if let Some(problem) = problem() {
                p { class: "error", id: "import-file-error", role: "alert",
                    Mark { shape: Shape::Failed }
                    span { CodeText { text: problem } }
                }
            }
        }
        FormatField { format }
        DropTarget {
            on_drop: move |data| {
                let (project, table, interrupted) = given.clone();
                spawn(async move {
                    if let Some(file) = dropped_file(data).await {
                        begin.call((project, table, interrupted, file));
                    }
                });
            },
            "Drop a file to import it"
        }
    }
}

#[component]
fn FormatField(format: Signal<Option<ImportFormat>>) -> Element {
    let mut format = format;
    let choices = [ImportFormat::Csv, ImportFormat::Json, ImportFormat::Ndjson];
    rsx! {
        div { class: "field import-table",
            label { r#for: "import-format", "Format" }
            select {
                id: "import-format",
                class: "input",
                onchange: move |event| format.set(event.value().parse().ok()),
                option { value: "", selected: format().is_none(), "Detect from the file" }
                for choice in choices {
                    option {
                        key: "{choice}",
                        value: choice.as_str(),
                        selected: format() == Some(choice),
                        {format_in_words(choice)}
                    }
                }
            }
        }
    }
}

/// Inspects a file and starts its upload. Returns the import's id.
///
/// Continues the interrupted import if the file has the same size and format. If not, or if no import was interrupted,
/// creates another import and deletes the interrupted one.
async fn start_import(
    project: &str,
    table: &str,
    interrupted: Option<Import>,
    file: File,
    format: Option<ImportFormat>,
) -> Result<String, String> {
    let inspected = inspect(&file).await?;
    let format = format.unwrap_or(inspected.format);
    let is_same = |import: &Import| import.format == format && import.size_bytes == file.size() as i64;
    if let Some(import) = interrupted.as_ref().filter(|import| is_same(import)) {
        let resumed = upload::resume(&import.id, file, inspected.is_utf8).await;
        return resumed.map(|()| import.id.clone()).map_err(|failure| failure.message());
    }
    let begun = upload::begin(project, table, file, format, inspected.is_utf8).await;
    let id = begun.map_err(|failure| failure.message())?;
    if let Some(import) = interrupted {
        // If the old import can't be deleted, it expires.
        let _ = upload::cancel(&import.id).await;
    }
    Ok(id)
}

/// The file of an import: its format and size, its upload, and the button for another file.
#[component]
pub(super) fn FileStep(project: String, import: Import) -> Element {
    let mut busy = use_signal(|| false);
    let is_waiting = import.state == ImportState::AwaitingUpload;
    let is_over = import.state == ImportState::Done && !import.dry_run;
    let name = file_name(&import);
    let table = address::with_parameters(&format!("/projects/{project}/tables"), &[("table", Some(&import.table))]);
    let to_new = new_address(&project, Some(&import.table));
    let again = to_new.clone();
    let id = import.id.clone();
    let discard = move |_| {
        let (id, to) = (id.clone(), to_new.clone());
        spawn(async move {
            busy.set(true);
            match upload::cancel(&id).await {
                Ok(()) => {
                    draft::forget(&id);
                    address::go(&to);
                }
                Err(failure) => messages::show_failure(failure.message()),
            }
            busy.set(false);
        });
    };
    rsx! {
        li { class: if is_waiting { "is-now" },
            span { class: "dot", "aria-hidden": "true", "1" }
            div { class: "row wrap import-file",
                h2 { class: "cut", title: "{name}", "{name}" }
                span { class: "muted",
                    "{format_in_words(import.format)} · {text::bytes(import.size_bytes)} · into "
                    Link { to: table, class: "link mono", "{import.table}" }
                }
                span { class: "push",
                    if is_over {
                        Link { to: again, class: "btn btn-s", "Import another file" }
                    } else if import.state != ImportState::Running && !is_waiting {
                        button {
                            class: "btn btn-ghost btn-s",
                            r#type: "button",
                            "aria-disabled": busy(),
                            onclick: discard.clone(),
                            "Choose another file"
                        }
                    }
                }
            }
            if is_waiting {
                Upload { project, import, on_cancel: discard }
            }
        }
    }
}

/// The progress of an upload, or why it stopped.
#[component]
fn Upload(project: String, import: Import, on_cancel: EventHandler<MouseEvent>) -> Element {
    let Some(upload) = upload::find(&import.id) else {
        return rsx! {
            div { class: "stack",
                div { class: "banner t-warning", role: "note",
                    Mark { shape: Shape::Attention }
                    p {
                        "The upload was interrupted, or another window is sending the file. Choose the file again to \
                            continue here."
                    }
                }
                ChooseFile { project, table: import.table.clone(), interrupted: import }
            }
        };
    };
    let share = if upload.size > 0 { (upload.sent * 100 / upload.size).clamp(0, 99) } else { 0 };
    let name = file_name(&import);
    let id = import.id;
    rsx! {
        div { class: "stack stack-2 import-upload",
            div {
                class: if upload.problem.is_some() { "bar bad" } else { "bar" },
                role: "progressbar",
                "aria-label": "Uploading {name}",
                "aria-valuemin": "0",
                "aria-valuemax": "100",
                "aria-valuenow": "{share}",
                style: "--p:{share}%",
                i {}
            }
            if let Some(problem) = &upload.problem {
                p { class: "error", role: "alert",
                    Mark { shape: Shape::Failed }
                    span { CodeText { text: problem.clone() } }
                }
                div { class: "row",
                    button {
                        class: "btn btn-primary", r#type: "button", onclick: move |_| upload::retry(&id), "Try again"
                    }
                    button {
                        class: "btn",
                        r#type: "button",
                        onclick: move |event| on_cancel.call(event),
                        "Cancel upload"
                    }
                }
            } else {
                div { class: "row",
                    p { class: "muted tab-nums",
                        "{share} % · {text::bytes(upload.sent)} of {text::bytes(upload.size)}"
                    }
                    button {
                        class: "btn push",
                        r#type: "button",
                        onclick: move |event| on_cancel.call(event),
                        "Cancel upload"
                    }
                }
            }
        }
    }
}

/// The button "New import", which leaves an import that no longer exists.
#[component]
pub(super) fn CloseButton() -> Element {
    rsx! {
        button {
            class: "btn", r#type: "button", onclick: |_| address::replace_parameter(PARAMETER, None), "New import"
        }
    }
}
