//! The newest messages to a channel, with the state of their delivery.

use api_types::{DeliveryState, NotificationDelivery, Page as ApiPage};
use dioxus::prelude::*;

use super::PATH;
use crate::{
    remote::{RemoteState, use_remote},
    text,
    ui::{CodeText, ErrorBox, Mark, Shape},
};

/// Maximum number of deliveries in the list.
const SHOWN: &str = "20";

#[component]
pub(super) fn Deliveries(channel: String) -> Element {
    let path = use_signal(|| format!("{PATH}/{channel}/deliveries?limit={SHOWN}"));
    let mut deliveries = use_remote::<ApiPage<NotificationDelivery>>(path.into());
    let content = match deliveries.state() {
        RemoteState::Loading => rsx! { span { class: "sk late" } },
        RemoteState::Failed(failure) => rsx! {
            ErrorBox { what: "Messages could not be loaded.", failure, on_retry: move |()| deliveries.refresh() }
        },
        RemoteState::Ready(page) if page.items.is_empty() => rsx! {
            p { class: "muted label", "No message in the last 7 days. Tests are not listed." }
        },
        RemoteState::Ready(page) => rsx! {
            ul { class: "deliveries", "aria-label": "Messages",
                for delivery in page.items {
                    Delivery { key: "{delivery.id}", delivery }
                }
            }
            if page.next_cursor.is_some() {
                p { class: "muted label", "Only the newest {SHOWN} messages are listed." }
            }
        },
    };
    rsx! {
        section { class: "stack stack-2", "aria-label": "Messages of the last 7 days",
            h3 { "Messages of the last 7 days" }
            {content}
        }
    }
}

#[component]
fn Delivery(delivery: NotificationDelivery) -> Element {
    let (shape, state) = match delivery.state {
        DeliveryState::Pending => (Shape::Queued, "Waiting"),
        DeliveryState::Sent => (Shape::Succeeded, "Delivered"),
        DeliveryState::Failed => (Shape::Failed, "Not delivered"),
    };
    let now = text::now();
    let times = if delivery.occurrences > 1 { format!(" · {} times", delivery.occurrences) } else { String::new() };
    let attempts = if delivery.attempts > 1 { format!(" after {} attempts", delivery.attempts) } else { String::new() };
    let next =
        delivery.next_attempt_at.filter(|at| *at > now).map(|at| format!(", next try in {}", text::until(at, now)));
    let next = next.unwrap_or_default();
    rsx! {
        li {
            Mark { shape }
            div {
                p { "{delivery.title}" }
                p { class: "label muted", title: text::exact(delivery.last_at),
                    "{state}{attempts}{next} · {text::age(delivery.last_at, now)}{times}"
                }
                if let Some(error) = &delivery.error {
                    p { class: "label", CodeText { text: error.clone() } }
                }
            }
        }
    }
}
