//! One export in a dialog: its progress, and then its file.

use api_types::{Export, ExportState, RunDetail};
use dioxus::prelude::*;

use super::{
    acts,
    words::{command_for, format_in_words, name_of, rows_of, state_of},
};
use crate::{
    pages::{refresh::use_refresh, runs::Progress},
    remote::{RemoteState, use_remote},
    text,
    ui::{CopyButton, Dialog, ErrorBox, Icon, IconName, Link, Mark},
};

#[component]
pub(super) fn FollowExport(title: String, export: String, on_close: EventHandler<()>) -> Element {
    let path = format!("/exports/{export}");
    let mut current = use_remote::<Export>(use_signal(|| path).into());
    let state = current.value().map(|export| export.state);
    use_refresh("/exports", state == Some(ExportState::Running));
    let content = match current.state() {
        RemoteState::Loading => rsx! { div { class: "late", "aria-busy": "true", span { class: "sk" } } },
        RemoteState::Failed(failure) if failure.is_not_found() => rsx! {
            p { "This export is no longer kept: it was deleted, or it was started more than 24 hours ago." }
        },
        RemoteState::Failed(failure) => rsx! {
            ErrorBox { what: "The export could not be loaded.", failure, on_retry: move |()| current.refresh() }
        },
        RemoteState::Ready(export) => rsx! { Content { export } },
    };
    rsx! {
        Dialog {
            title,
            wide: true,
            on_close: move |()| on_close.call(()),
            footer: rsx! {
                if let Some(export) = current.value() {
                    Acts { export, on_close }
                } else {
                    button { class: "btn btn-l", r#type: "button", onclick: move |_| on_close.call(()), "Close" }
                }
            },
            {content}
        }
    }
}

#[component]
fn Content(export: Export) -> Element {
    let (shape, state) = state_of(export.state);
    let name = name_of(&export.source);
    let format = format_in_words(export.format, export.gzip);
    rsx! {
        p { class: "row", role: "status",
            Mark { shape }
            strong { "{state}" }
            span { class: "muted", "{name} · {format}" }
        }
        if let Some(rows) = rows_of(&export.source) {
            p { class: "mono muted cut", title: "{rows}", "{rows}" }
        }
        match export.state {
            ExportState::Running => rsx! {
                for run in [export.run_id.clone()] {
                    RunProgress { key: "{run}", run }
                }
                p { class: "help",
                    "You can close this dialog. The export continues, and its file appears in Database tools."
                }
            },
            ExportState::Ready => rsx! { File { export } },
            ExportState::Failed => rsx! {
                p { class: "error", role: "alert", {export.error_text.clone().unwrap_or_default()} }
                p { Link { to: "/runs/{export.run_id}", class: "link", "Open run" } }
            },
            ExportState::Cancelled => rsx! { p { "No file was created." } },
        }
    }
}

/// The file of an export, and the command that loads it into a database.
#[component]
fn File(export: Export) -> Element {
    let command = command_for(&export);
    rsx! {
        dl { class: "dl",
            dt { "File" }
            dd { class: "mono", "{export.file_name}" }
            dt { "Size" }
            dd { {text::bytes(export.size_bytes)} }
            if let Some(rows) = export.row_count {
                dt { "Rows" }
                dd { {text::number(rows)} }
            }
            dt { "Kept until" }
            dd { title: text::exact(export.expires_at),
                "{text::short_date_and_time(export.expires_at)} ({text::until(export.expires_at, text::now())} left)"
            }
        }
        if let Some(command) = command {
            div { class: "code",
                div { class: "code-head",
                    span { class: "grow", "Load the file into a database" }
                    CopyButton { name: "Copy command", label: "Copy", text: command.clone() }
                }
                pre { tabindex: "0", "{command}" }
            }
        }
    }
}

#[component]
fn Acts(export: Export, on_close: EventHandler<()>) -> Element {
    let (to_copy, to_download, to_cancel) = (export.id.clone(), export.id.clone(), export.clone());
    rsx! {
        match export.state {
            ExportState::Running => rsx! {
                button {
                    class: "btn btn-l",
                    r#type: "button",
                    onclick: move |_| acts::cancel(&to_cancel),
                    "Cancel export"
                }
            },
            ExportState::Ready => rsx! {
                button {
                    class: "btn btn-ghost btn-l", r#type: "button", onclick: move |_| acts::copy_link(&to_copy),
                    Icon { name: IconName::Copy }
                    "Copy link"
                }
            },
            ExportState::Failed | ExportState::Cancelled => rsx! {},
        }
        button { class: "btn btn-l", r#type: "button", onclick: move |_| on_close.call(()), "Close" }
        if export.state == ExportState::Ready {
            button {
                class: "btn btn-primary btn-l",
                r#type: "button",
                onclick: move |_| acts::download(&to_download),
                Icon { name: IconName::Download }
                "Download"
            }
        }
    }
}

/// The progress of the run that writes the file.
#[component]
pub(super) fn RunProgress(run: String) -> Element {
    let path = format!("/runs/{run}");
    let detail = use_remote::<RunDetail>(use_signal(|| path).into());
    rsx! {
        if let Some(detail) = detail.value() {
            Progress { run: detail.run }
        }
    }
}
