//! `/projects/<id>/keys`: the project's API keys.
//!
//! [`list`] shows the keys, and [`state`] describes whether a key still works. The dialogs are [`create`], [`edit`],
//! [`rotate`] and [`revoke`]. [`expiry`] is the field that [`create`] and [`edit`] share.

mod create;
mod edit;
mod expiry;
mod list;
mod revoke;
mod rotate;
mod state;

use api_types::{ApiKey, CreatedApiKey, Page as ApiPage};
use dioxus::prelude::*;

use super::store_keys::show_key;
use crate::{
    address,
    frame::page::Page,
    remote::{RemoteState, use_remote},
    text,
    ui::{Empty, ErrorBox, Icon, IconName, LoadingTable, Updated},
};
use create::CreateKey;
use edit::EditKey;
use list::KeyTable;
use revoke::RevokeKey;
use rotate::RotateKey;
use state::is_last_of_type;

/// The dialog that is open.
#[derive(Debug, Clone, PartialEq)]
enum Open {
    Nothing,
    Create,
    Edit(ApiKey),
    Rotate(ApiKey),
    Revoke(ApiKey),
}

#[component]
pub fn Keys(id: ReadSignal<String>) -> Element {
    let mut keys = use_remote::<ApiPage<ApiKey>>(use_memo(move || format!("/projects/{id}/keys?limit=200")).into());
    let mut open = use_signal(|| Open::Nothing);
    // The palette opens the dialog through the address.
    let is_new_asked = address::use_parameter("new").is_some();
    use_effect(use_reactive!(|is_new_asked| {
        if is_new_asked {
            open.set(Open::Create);
            address::replace_parameter("new", None);
        }
    }));
    let close = move |()| open.set(Open::Nothing);
    let store = move |created: CreatedApiKey| {
        open.set(Open::Nothing);
        show_key(id(), created);
        keys.refresh();
    };
    let content = match keys.state() {
        RemoteState::Loading => rsx! { LoadingTable { name: "API keys", columns: 7 } },
        RemoteState::Failed(failure) => rsx! {
            ErrorBox { what: "API keys could not be loaded.", failure, on_retry: move |()| keys.refresh() }
        },
        RemoteState::Ready(page) if page.items.is_empty() => rsx! {
            Empty { title: "No API keys", text: "Without a key, no app can reach the project.", help: "keys",
                button {
                    class: "btn btn-primary", r#type: "button", onclick: move |_| open.set(Open::Create), "New key"
                }
            }
        },
        RemoteState::Ready(page) => rsx! {
            // Dioxus compares keys only in lists, so this is a list of one element: another project must not show the
            // filter of this project.
            for page in [page] {
                KeyTable {
                    key: "{id}",
                    project: id(),
                    has_more: page.next_cursor.is_some(),
                    keys: page.items,
                    open,
                    Updated { at: keys.updated_at(), on_refresh: move |()| keys.refresh() }
                }
            }
        },
    };
    let dialog = match open() {
        Open::Nothing => rsx! {},
        Open::Create => rsx! { CreateKey { project: id(), on_created: store, on_close: close } },
        Open::Edit(key) => rsx! {
            EditKey {
                project: id(),
                api_key: key,
                on_saved: move |()| {
                    open.set(Open::Nothing);
                    keys.refresh();
                },
                on_close: close,
            }
        },
        Open::Rotate(key) => rsx! { RotateKey { project: id(), api_key: key, on_created: store, on_close: close } },
        Open::Revoke(key) => rsx! {
            RevokeKey {
                project: id(),
                is_last: keys.value().is_some_and(|page| {
                    page.next_cursor.is_none() && is_last_of_type(&key, &page.items, text::now())
                }),
                api_key: key.clone(),
                on_revoked: move |()| {
                    open.set(Open::Nothing);
                    keys.refresh();
                },
                on_close: close,
            }
        },
    };
    rsx! {
        Page {
            title: "API keys",
            subtitle: "Every request carries a key. Secret keys are for servers and can do everything. Publishable \
                       keys are for browsers and reach only what you open.",
            acts: rsx! {
                button {
                    class: "btn btn-primary",
                    r#type: "button",
                    "data-create": "true",
                    onclick: move |_| open.set(Open::Create),
                    Icon { name: IconName::Plus }
                    "New key"
                }
            },
            {content}
            {dialog}
        }
    }
}
