use api_types::NotificationChannel;
use dioxus::prelude::*;

use super::words::reports_failures;
use crate::ui::{Mark, Shape};

/// Names the channels that report failures, or warns that there are none.
#[component]
pub(super) fn Summary(channels: Vec<NotificationChannel>) -> Element {
    let reporting: Vec<&NotificationChannel> = channels.iter().filter(|channel| reports_failures(channel)).collect();
    let names = |is_broken: bool| -> Vec<String> {
        let of_kind = reporting.iter().filter(|channel| channel.last_error.is_some() == is_broken);
        of_kind.map(|channel| channel.name.clone()).collect()
    };
    let (working, broken) = (names(false), names(true));
    if reporting.is_empty() {
        return rsx! {
            div { class: "section mb-4",
                div { class: "banner t-warning", role: "note",
                    Mark { shape: Shape::Attention }
                    div {
                        strong { "Nobody is told when a run or backup fails." }
                        p { "Add a channel that reports failed runs and failed backups." }
                    }
                }
            }
        };
    }
    let all_broken = working.is_empty();
    rsx! {
        div { class: "section mb-4",
            div { class: "well", role: "status",
                Mark { shape: if all_broken { Shape::Attention } else { Shape::Succeeded } }
                span {
                    if all_broken {
                        "Failures go to " Names { names: broken } ", but the last message was not delivered."
                    } else {
                        "Failures go to " Names { names: working } "."
                        if !broken.is_empty() {
                            span {
                                class: "muted",
                                " The last message to "
                                Names { names: broken }
                                " was not delivered."
                            }
                        }
                    }
                }
            }
        }
    }
}

/// A list of names in a sentence: `Ops`, `Ops and Mail`, `Ops, Mail and Lab`.
#[component]
fn Names(names: Vec<String>) -> Element {
    let last = names.len().saturating_sub(1);
    rsx! {
        for (index, name) in names.into_iter().enumerate() {
            if index > 0 {
                if index == last { " and " } else { ", " }
            }
            strong { "{name}" }
        }
    }
}
