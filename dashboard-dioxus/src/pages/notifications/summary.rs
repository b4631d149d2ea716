//! The summary above the list of channels: which channels report failures.

use api_types::{NotificationChannel, NotificationEvent};
use dioxus::prelude::*;

use super::words::{is_untested, reports};
use crate::ui::{Mark, Shape};

/// Names the channels that report failures, or warns that there are none.
#[component]
pub(super) fn Summary(channels: Vec<NotificationChannel>) -> Element {
    let (of_runs, of_backups) = (NotificationEvent::RunFailed, NotificationEvent::BackupFailed);
    let reporting: Vec<&NotificationChannel> =
        channels.iter().filter(|channel| reports(channel, of_runs) || reports(channel, of_backups)).collect();
    let names = |is_named: fn(&NotificationChannel) -> bool| -> Vec<String> {
        reporting.iter().filter(|channel| is_named(channel)).map(|channel| channel.name.clone()).collect()
    };
    let working = names(|channel| channel.last_error.is_none());
    let broken = names(|channel| channel.last_error.is_some());
    let untested = names(is_untested);
    if reporting.is_empty() {
        let advice = if channels.is_empty() {
            "Add a channel that reports failed runs and failed backups."
        } else {
            "Enable a channel that reports failed runs and failed backups, or choose these events in another channel."
        };
        return rsx! {
            div { class: "section mb-4",
                div { class: "banner t-warning", role: "note",
                    Mark { shape: Shape::Attention }
                    div {
                        strong { "Nobody is notified when a run or backup fails." }
                        p { "{advice}" }
                    }
                }
            }
        };
    }
    let all_broken = working.is_empty();
    let shape = match (all_broken, untested == working) {
        (true, _) => Shape::Attention,
        (false, true) => Shape::Queued,
        (false, false) => Shape::Succeeded,
    };
    let is_heard = |event| reporting.iter().any(|channel| reports(channel, event));
    let (failures, unheard) = match (is_heard(of_runs), is_heard(of_backups)) {
        (true, false) => ("Failed runs", Some("Failed backups are reported to nobody.")),
        (false, true) => ("Failed backups", Some("Failed runs are reported to nobody.")),
        _ => ("Failures", None),
    };
    let (messages, were) = match broken.len() {
        1 => ("message", "was"),
        _ => ("messages", "were"),
    };
    rsx! {
        div { class: "section mb-4 stack stack-2",
            if let Some(unheard) = unheard {
                div { class: "banner t-warning", role: "note",
                    Mark { shape: Shape::Attention }
                    p { "{unheard}" }
                }
            }
            div { class: "well", role: "status",
                Mark { shape }
                span {
                    if all_broken {
                        "{failures} go to " Names { names: broken } ", but the last {messages} {were} not delivered."
                    } else {
                        "{failures} go to " Names { names: working } "."
                        if !untested.is_empty() {
                            span { class: "muted", " Nothing was sent to " Names { names: untested } " yet." }
                        }
                        if !broken.is_empty() {
                            span {
                                class: "muted",
                                " The last {messages} to "
                                Names { names: broken }
                                " {were} not delivered."
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
