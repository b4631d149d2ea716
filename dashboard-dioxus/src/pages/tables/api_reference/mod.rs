//! The dialog "API": the requests that an app sends to read and change the rows of a table, as code to copy.
//!
//! [`calls`] builds the requests from the table's columns, and [`code`] writes them.

mod calls;
mod code;

use api_types::{ApiCaller, RowAccess, SystemInfo, TableDetail};
use dioxus::prelude::*;

use super::table_page::Shared;
use crate::{
    pages::code_tabs::CodeTabs,
    remote::use_remote,
    ui::{CopyButton, Dialog, Link},
};
use calls::{Operation, calls};
use code::Language;

#[component]
pub(super) fn ApiReference(project: String, detail: Shared, on_close: EventHandler<()>) -> Element {
    let chosen = use_signal(|| 0_usize);
    let language = Language::ALL.get(chosen()).copied().unwrap_or(Language::Curl);
    let system = use_remote::<SystemInfo>(use_signal(|| "/system".to_owned()).into());
    let api_url = system.value().map(|system| system.public_url).unwrap_or_default();
    rsx! {
        Dialog {
            title: "API of {detail.name}",
            wide: true,
            on_close: move |()| on_close.call(()),
            footer: rsx! {
                button { class: "btn btn-l", r#type: "button", onclick: move |_| on_close.call(()), "Close" }
            },
            div {
                CodeTabs {
                    name: "Language", id: "table-api", labels: Language::ALL.map(Language::label).to_vec(), chosen,
                }
            }
            div { id: "table-api-panel", class: "stack", role: "tabpanel", "aria-label": language.label(),
                for call in calls(&detail) {
                    section { key: "{call.name}", class: "stack stack-1", "aria-label": call.name,
                        h3 { "{call.name}" }
                        p { class: "help", "{callers_in_words(&detail, call.operation)}" }
                        {
                            let text = code::write(language, &api_url, &call, caller_of(&detail, call.operation));
                            rsx! {
                                div { class: "code",
                                    div { class: "code-head",
                                        span { class: "grow cut mono", "{call.method} {call.path}" }
                                        CopyButton { name: "Copy code: {call.name}", text: text.clone() }
                                    }
                                    // Focusable, so that the keyboard can scroll it.
                                    pre { tabindex: "0", "{text}" }
                                }
                            }
                        }
                    }
                }
            }
            p { class: "help",
                "The code reads keys from environment variables. Create keys on the page "
                Link { to: "/projects/{project}/keys", class: "link", "API keys" }
                ". A secret key must never reach a browser."
            }
        }
    }
}

/// Returns the rows that an operation reaches, for each caller.
fn rows_of(detail: &TableDetail, operation: Operation) -> impl Iterator<Item = (ApiCaller, RowAccess)> {
    detail.access.iter().map(move |access| {
        let rows = match operation {
            Operation::Read => access.select,
            Operation::Insert => access.insert,
            Operation::Update => access.update,
            Operation::Delete => access.delete,
        };
        (access.caller, rows)
    })
}

/// Returns the caller that the code shows: the one with the fewest permissions that may perform the operation.
fn caller_of(detail: &TableDetail, operation: Operation) -> ApiCaller {
    let can = |wanted: ApiCaller| {
        rows_of(detail, operation).any(|(caller, rows)| caller == wanted && rows != RowAccess::None)
    };
    [ApiCaller::Publishable, ApiCaller::SignedIn]
        .into_iter()
        .find(|caller| can(*caller))
        .unwrap_or(ApiCaller::SecretKey)
}

/// Returns who may perform an operation, and which access the others need.
fn callers_in_words(detail: &TableDetail, operation: Operation) -> String {
    let names: Vec<String> = rows_of(detail, operation)
        .filter(|(_, rows)| *rows != RowAccess::None)
        .map(|(caller, rows)| {
            let name = match caller {
                ApiCaller::SecretKey => "the secret key",
                ApiCaller::Publishable => "the publishable key",
                ApiCaller::SignedIn => "the publishable key and a user's access token",
            };
            let limit = if rows == RowAccess::Policies { " (rows limited by policies)" } else { "" };
            format!("{name}{limit}")
        })
        .collect();
    let access = if operation == Operation::Read { "Read" } else { "Write" };
    let works = match names.as_slice() {
        [] => "No caller may do this.".to_owned(),
        [name] => format!("Works with {name}."),
        [first @ .., last] => format!("Works with {}, or {last}.", first.join(", ")),
    };
    if names.len() == detail.access.len() {
        works
    } else {
        format!("{works} For other callers, set the access “{access}” on the tab Access.")
    }
}
