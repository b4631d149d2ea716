//! `/notifications`: the channels that messages are sent to.
//!
//! [`summary`] names the channels that report failures. [`channels`] lists the channels. [`form`] creates and changes a
//! channel in a sheet, with its [`fields`] and [`events`]. [`tested`] remembers channels that were tested before they
//! were saved. [`deliveries`] lists the messages to a channel. [`words`] contains texts about channels.

mod channels;
mod deliveries;
mod events;
mod fields;
mod form;
mod summary;
mod tested;
mod words;

use api_types::{NotificationChannel, Page as ApiPage};
use dioxus::prelude::*;

use crate::{
    address,
    frame::page::Page,
    remote::{self, RemoteState, use_remote},
    ui::{Confirm, Empty, ErrorBox, Icon, IconName, LoadingTable, messages},
};
use channels::Channels;
use form::ChannelSheet;
use summary::Summary;

/// Value of the parameter `channel` while the form of a new channel is open.
const NEW: &str = "new";
const PATH: &str = "/notifications";

#[component]
pub fn Notifications() -> Element {
    let mut channels = use_remote::<ApiPage<NotificationChannel>>(use_signal(|| format!("{PATH}?limit=200")).into());
    let open = address::use_parameter("channel");
    let mut deleting = use_signal(|| None::<NotificationChannel>);
    let list = channels.value().map(|page| page.items);
    let edited = open.as_ref().and_then(|id| list.iter().flatten().find(|channel| channel.id == *id)).cloned();
    let is_new = open.as_deref() == Some(NEW);
    let is_missing = open.is_some() && !is_new && edited.is_none() && list.is_some();
    let content = match channels.state() {
        RemoteState::Loading => rsx! { LoadingTable { name: "Channels", columns: 6 } },
        RemoteState::Failed(failure) => rsx! {
            ErrorBox { what: "Channels could not be loaded.", failure, on_retry: move |()| channels.refresh() }
        },
        RemoteState::Ready(page) if page.items.is_empty() => rsx! {
            Summary { channels: Vec::new() }
            Empty {
                title: "No channels", text: "A channel sends messages to a webhook, to Discord or by e-mail.",
                help: "notifications",
                button { class: "btn btn-primary", r#type: "button", onclick: |_| open_new(), "New channel" }
            }
        },
        RemoteState::Ready(page) => rsx! {
            Summary { channels: page.items.clone() }
            Channels {
                channels: page.items,
                is_beside: open.is_some(),
                on_delete: move |channel| deleting.set(Some(channel)),
            }
            p { class: "section label muted mt-4 prose",
                "A message says what failed, why, and where to look. "
                "Repetitions within ten minutes become one message with their count."
            }
        },
    };
    rsx! {
        Page { title: "Notifications", own_head: true, class: if open.is_some() { "has-sheet" } else { "" },
            div { class: "beside",
                div { class: "head",
                    div { h1 { id: "h1", "Notifications" } }
                    div { class: "acts",
                        button {
                            class: "btn btn-primary",
                            r#type: "button",
                            "data-create": "true",
                            onclick: |_| open_new(),
                            Icon { name: IconName::Plus }
                            "New channel"
                        }
                    }
                }
                {content}
            }
            if is_new {
                // Dioxus compares keys only in lists, so this is a list of one element: another channel must not show
                // the text that was typed for this channel.
                for channel in [None] {
                    ChannelSheet { key: "{NEW}", channel }
                }
            } else if let Some(channel) = edited {
                for channel in [channel] {
                    ChannelSheet { key: "{channel.id}", channel: Some(channel) }
                }
            } else if is_missing {
                MissingChannel {}
            }
            if let Some(channel) = deleting() {
                DeleteChannel { channel, on_close: move |()| deleting.set(None) }
            }
        }
    }
}

fn open_new() {
    address::push_parameter("channel", Some(NEW));
}

#[component]
fn MissingChannel() -> Element {
    rsx! {
        crate::ui::Sheet { title: "Channel", on_close: |()| address::push_parameter("channel", None),
            Empty { title: "No such channel", text: "It was deleted, or the address is wrong.",
                button {
                    class: "btn",
                    r#type: "button",
                    onclick: |_| address::push_parameter("channel", None),
                    "Back to the list"
                }
            }
        }
    }
}

#[component]
fn DeleteChannel(channel: NotificationChannel, on_close: EventHandler<()>) -> Element {
    let mut failure = use_signal(|| None::<String>);
    let mut busy = use_signal(|| false);
    let path = format!("{PATH}/{}", channel.id);
    rsx! {
        Confirm {
            act: "Delete channel",
            description: "{channel.name} gets no more messages. Messages that are waiting for it are discarded.",
            busy: busy(),
            closable: !busy(),
            failure: failure(),
            on_confirm: move |()| {
                let (path, id) = (path.clone(), channel.id.clone());
                spawn(async move {
                    busy.set(true);
                    match remote::delete(&path).await {
                        Ok(()) => {
                            messages::show("Channel deleted");
                            if address::parameter("channel") == Some(id) {
                                address::replace_parameter("channel", None);
                            }
                            remote::forget(PATH);
                            on_close.call(());
                        }
                        Err(refused) => failure.set(Some(refused.message())),
                    }
                    busy.set(false);
                });
            },
            on_close: move |()| on_close.call(()),
        }
    }
}
