use api_types::NotificationChannel;
use dioxus::prelude::*;

use super::words::{hears_of_failures, listed};
use crate::ui::{Mark, Shape};

/// Whether somebody hears when something fails.
#[component]
pub(super) fn Summary(channels: Vec<NotificationChannel>) -> Element {
    let hearing: Vec<&NotificationChannel> = channels.iter().filter(|channel| hears_of_failures(channel)).collect();
    let working: Vec<&str> =
        hearing.iter().filter(|channel| channel.last_error.is_none()).map(|channel| channel.name.as_str()).collect();
    let broken: Vec<&str> =
        hearing.iter().filter(|channel| channel.last_error.is_some()).map(|channel| channel.name.as_str()).collect();
    if hearing.is_empty() {
        return rsx! {
            div { class: "section mb-4",
                div { class: "banner t-warning", role: "note",
                    Mark { shape: Shape::Attention }
                    div {
                        strong { "Nobody is told when a run or backup fails." }
                        p { "Add a channel that hears of failed runs and failed backups." }
                    }
                }
            }
        };
    }
    let all_broken = working.is_empty();
    let does = if broken.len() == 1 { "could not be reached" } else { "could not be reached the last time" };
    rsx! {
        div { class: "section mb-4",
            div { class: "well", role: "status",
                Mark { shape: if all_broken { Shape::Attention } else { Shape::Succeeded } }
                span {
                    if all_broken {
                        "Failures go to {listed(&broken)}, which {does}."
                    } else {
                        "Failures go to {listed(&working)}."
                        if !broken.is_empty() {
                            span { class: "muted", " {listed(&broken)} {does}." }
                        }
                    }
                }
            }
        }
    }
}
