//! The list of channels: a table, or cards on a phone.

use api_types::{NotificationChannel, NotificationTest, UpdateNotificationChannel};
use chrono::{DateTime, Utc};
use dioxus::prelude::*;

use super::{
    PATH,
    words::{destination, events_in_words, is_untested, kind_in_words},
};
use crate::{
    address,
    remote::{self, Method},
    text,
    ui::{CodeText, IconName, Mark, Menu, MenuItem, Shape, messages, narrow::use_is_narrow},
};

#[component]
pub(super) fn Channels(
    channels: Vec<NotificationChannel>,
    /// Whether a sheet is open beside the list, which leaves room only for the most important columns.
    is_beside: bool,
    on_delete: EventHandler<NotificationChannel>,
) -> Element {
    let off = channels.iter().filter(|channel| !channel.enabled).count();
    let total = channels.len();
    let counted = if off == 0 { format!("{total}") } else { format!("{total}, {off} off") };
    let is_narrow = use_is_narrow();
    rsx! {
        div { class: "bleed-head channels-head", h2 { "Channels" } span { class: "label muted", "{counted}" } }
        if is_narrow {
            ul { class: "cards", "aria-label": "Channels",
                for channel in channels {
                    ChannelCard { key: "{channel.id}", channel, on_delete }
                }
            }
        } else {
            table { class: "table two", "aria-label": "Channels",
                thead {
                    tr {
                        th { class: "switch-cell", span { class: "sr", "Enabled" } }
                        th { "Name" }
                        if !is_beside {
                            th { class: "hide-1060", "Kind" }
                        }
                        th { "Hears of" }
                        if !is_beside {
                            th { class: "num hide-800", "Last sent" }
                        }
                        th { "Last problem" }
                        th { span { class: "sr", "Actions" } }
                    }
                }
                tbody {
                    for channel in channels {
                        ChannelRow { key: "{channel.id}", channel, is_beside, on_delete }
                    }
                }
            }
        }
    }
}

#[component]
fn ChannelRow(channel: NotificationChannel, is_beside: bool, on_delete: EventHandler<NotificationChannel>) -> Element {
    let kind = kind_in_words(channel.kind);
    rsx! {
        tr { class: if !channel.enabled { "is-off" },
            td { class: "switch-cell", EnableSwitch { channel: channel.clone() } }
            td { class: "channel-name",
                EditLink { id: channel.id.clone(), name: channel.name.clone() }
                span {
                    class: "sub cut",
                    title: destination(&channel),
                    if is_beside { "{kind}" } else { "{destination(&channel)}" }
                }
            }
            if !is_beside {
                td { class: "muted hide-1060", "{kind}" }
            }
            td { class: "wrapped", "{events_in_words(&channel.events)}" }
            if !is_beside {
                td { class: "num hide-800", title: channel.last_sent_at.map(text::exact), "{last_sent(&channel)}" }
            }
            td { class: "why wrapped", Problem { channel: channel.clone() } }
            td { class: "acts",
                span { class: "row row-1",
                    if !is_beside {
                        TestButton { channel: channel.clone() }
                    }
                    ChannelMenu { channel: channel.clone(), on_delete }
                }
            }
        }
    }
}

#[component]
fn ChannelCard(channel: NotificationChannel, on_delete: EventHandler<NotificationChannel>) -> Element {
    rsx! {
        li { class: "card",
            h3 {
                if channel.last_error.is_some() {
                    Mark { shape: Shape::Failed }
                }
                span { class: "grow", EditLink { id: channel.id.clone(), name: channel.name.clone() } }
                EnableSwitch { channel: channel.clone() }
                ChannelMenu { channel: channel.clone(), on_delete }
            }
            if let Some(problem) = &channel.last_error {
                p { class: "text-text", CodeText { text: problem.clone() } }
            }
            p { "{kind_in_words(channel.kind)} · {destination(&channel)}" }
            p { "{events_in_words(&channel.events)}" }
            div { class: "row", TestButton { channel: channel.clone() } }
        }
    }
}

/// The link that opens the form of a channel.
#[component]
fn EditLink(id: String, name: String) -> Element {
    rsx! {
        a {
            class: "name",
            href: "{PATH}?channel={id}",
            onclick: {
                let id = id.clone();
                move |event: MouseEvent| {
                    if event.modifiers().is_empty() {
                        event.prevent_default();
                        address::push_parameter("channel", Some(&id));
                    }
                }
            },
            "{name}"
        }
    }
}

#[component]
fn Problem(channel: NotificationChannel) -> Element {
    let untested = is_untested(&channel);
    match channel.last_error {
        None if untested => rsx! { span { class: "muted", "Not tested since it was saved" } },
        None => rsx! { span { class: "faint", "none" } },
        Some(problem) => rsx! {
            span { class: "row items-start",
                span { class: "at-line", Mark { shape: Shape::Failed } }
                span { CodeText { text: problem } }
            }
        },
    }
}

fn last_sent(channel: &NotificationChannel) -> String {
    channel.last_sent_at.map_or_else(|| "never".to_owned(), |time| text::age(time, text::now()))
}

/// The switch of a channel. It shows the new state at once, and the old one again if the server refuses. Once the
/// channel is read again, it shows the state of the channel, which another tab may have changed.
#[component]
fn EnableSwitch(channel: NotificationChannel) -> Element {
    // The state that the owner has chosen, and the time of the change once the server has confirmed it.
    let mut chosen = use_signal(|| None::<(bool, Option<DateTime<Utc>>)>);
    // The number of choices, because the response to an earlier one must not replace the latest one.
    let mut choices = use_signal(|| 0_u32);
    let path = format!("{PATH}/{}", channel.id);
    let confirmed_at = (*chosen.peek()).and_then(|(_, confirmed_at)| confirmed_at);
    if confirmed_at.is_some_and(|confirmed_at| channel.updated_at >= confirmed_at) {
        chosen.set(None);
    }
    rsx! {
        input {
            class: "switch",
            r#type: "checkbox",
            role: "switch",
            "aria-label": "Enable {channel.name}",
            "data-act": "true",
            checked: chosen().map_or(channel.enabled, |(enabled, _)| enabled),
            onchange: move |event| {
                let path = path.clone();
                let enabled = event.checked();
                chosen.set(Some((enabled, None)));
                choices += 1;
                let choice = *choices.peek();
                spawn(async move {
                    let unchanged = UpdateNotificationChannel::default();
                    let change = UpdateNotificationChannel { enabled: Some(enabled), ..unchanged };
                    let saved: Result<NotificationChannel, _> = remote::send(Method::Patch, &path, &change).await;
                    let confirmed = saved.as_ref().ok().map(|channel| (enabled, Some(channel.updated_at)));
                    if *choices.peek() == choice {
                        chosen.set(confirmed);
                    }
                    if let Err(failure) = saved {
                        messages::show_failure(failure.message());
                    }
                    remote::forget(PATH);
                });
            },
        }
    }
}

#[component]
fn TestButton(channel: NotificationChannel) -> Element {
    let mut busy = use_signal(|| false);
    let (path, name) = (format!("{PATH}/{}/test", channel.id), channel.name.clone());
    rsx! {
        button {
            class: "btn btn-ghost btn-s",
            r#type: "button",
            "aria-label": "Send test to {channel.name}",
            "data-act": "true",
            "aria-disabled": busy(),
            onclick: move |_| {
                let (path, name) = (path.clone(), name.clone());
                spawn(async move {
                    busy.set(true);
                    let nothing = serde_json::json!({});
                    match remote::send::<_, NotificationTest>(Method::Post, &path, &nothing).await {
                        Ok(test) if test.delivered => {
                            messages::show(format!("Delivered to {name} in {}", text::duration(test.duration_ms)));
                        }
                        Ok(test) => {
                            let why = test.error.unwrap_or_else(|| "The receiver gave no reason.".to_owned());
                            messages::show_failure(format!("{name}: {}", why.replace('`', "")));
                        }
                        Err(failure) => messages::show_failure(failure.message()),
                    }
                    remote::forget(PATH);
                    busy.set(false);
                });
            },
            if busy() {
                span { class: "spin" }
            }
            "Send test"
        }
    }
}

#[component]
fn ChannelMenu(channel: NotificationChannel, on_delete: EventHandler<NotificationChannel>) -> Element {
    let id = channel.id.clone();
    rsx! {
        Menu { name: "Actions for {channel.name}", icon: IconName::Dots, class: "btn-s",
            MenuItem {
                icon: Some(IconName::Settings),
                onselect: move |()| address::push_parameter("channel", Some(&id)),
                "Edit channel"
            }
            hr {}
            MenuItem {
                icon: Some(IconName::Trash),
                danger: true,
                onselect: move |()| on_delete.call(channel.clone()),
                "Delete channel"
            }
        }
    }
}
