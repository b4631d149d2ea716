//! The dialog "API": the requests that an app sends to read and change the rows of a table, as code to copy.
//!
//! [`calls`] builds the requests from the table's columns, [`callers`] says who may send them, and [`code`] writes
//! them.

mod callers;
mod calls;
mod code;

use api_types::{ApiCaller, SystemInfo, TableKind};
use dioxus::prelude::*;

use super::{rows::query::key_columns, table_page::Shared};
use crate::{
    pages::code_tabs::CodeTabs,
    remote::{RemoteState, use_remote},
    ui::{CopyButton, Dialog, ErrorBox, Link},
};
use calls::{Call, calls, missing_address};
use code::Language;

#[component]
pub(super) fn ApiReference(project: String, detail: Shared, on_close: EventHandler<()>) -> Element {
    let chosen = use_signal(|| 0_usize);
    let language = Language::ALL.get(chosen()).copied().unwrap_or(Language::Curl);
    let mut system = use_remote::<SystemInfo>(use_signal(|| "/system".to_owned()).into());
    let calls = if missing_address(&detail.name).is_none() { calls(&detail) } else { Vec::new() };
    let needs_token = calls.iter().any(|call| call.caller == ApiCaller::SignedIn);
    let content = match (missing_address(&detail.name), system.state()) {
        (Some(reason), _) => rsx! {
            p { "The API can't reach this table. {reason} Rename the table to use it in an app." }
        },
        (None, RemoteState::Ready(SystemInfo { public_url, .. })) => rsx! {
            for call in calls {
                CallCode {
                    key: "{call.name}",
                    detail: detail.clone(),
                    language,
                    api_url: public_url.clone(),
                    call,
                }
            }
        },
        (None, RemoteState::Failed(failure)) => rsx! {
            ErrorBox {
                what: "The address of the API could not be loaded.", failure, on_retry: move |()| system.refresh()
            }
        },
        (None, RemoteState::Loading) => rsx! { p { class: "late muted", role: "status", "Loading…" } },
    };
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
                {content}
            }
            if detail.kind == TableKind::Table && key_columns(&detail).is_none() {
                p { class: "help",
                    "The table has no key, so there are no examples for one row. Updates and deletions need a filter, \
                     and apply to every row that matches it."
                }
            }
            if needs_token {
                p { class: "help", "The access token is the one that a user of your app gets when signing in." }
            }
            p { class: "help",
                "The code reads keys from environment variables. Create keys on the page "
                Link { to: "/projects/{project}/keys", class: "link", "API keys" }
                ". A secret key must never reach a browser."
            }
        }
    }
}

/// A request as code, with the callers that may send it.
#[component]
fn CallCode(detail: Shared, language: Language, api_url: String, call: Call) -> Element {
    let text = code::write(language, &api_url, &call);
    rsx! {
        section { class: "stack stack-1", "aria-label": call.name,
            h3 { "{call.name}" }
            p { class: "help", {callers::in_words(&detail, call.operation)} }
            div { class: "code",
                div { class: "code-head",
                    span { class: "grow cut mono", "{call.method} {call.path}" }
                    CopyButton { name: "Copy code: {call.name}", text: text.clone() }
                }
                // Focusable, so that the keyboard can scroll it.
                pre { tabindex: "0", role: "group", "aria-label": "Code: {call.name}", "{text}" }
            }
        }
    }
}
