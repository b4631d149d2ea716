//! The list "Needs attention": problems, each with its reason, the time at which it began, and one or two actions.
//!
//! [`words`] contains the texts and actions of an item. [`snooze`] hides items for a while.

mod snooze;
mod words;

use api_types::{Attention, RunStarted, Severity};
use dioxus::prelude::*;

use super::run_message::{self, Work};
use crate::{
    dom,
    remote::{self, Method},
    text,
    ui::{IconName, Link, Mark, Menu, MenuItem, Shape, messages},
};
pub(super) use snooze::is_snoozed;
use words::Act;
pub(super) use words::is_of_unheard_backups;

/// Id of the region.
const REGION: &str = "needs-attention";

/// The region "Needs attention".
#[component]
pub(super) fn NeedsAttention(
    items: Vec<Attention>,
    /// Shown if there is no item, not even a snoozed one.
    when_empty: Element,
    /// Whether items name their project.
    #[props(default = true)]
    with_project: bool,
) -> Element {
    let mut show_all = use_signal(|| false);
    use_effect(snooze::read_again);
    let is_hidden = |item: &Attention| item.can_snooze && is_snoozed(&item.id);
    let hidden = items.iter().filter(|item| is_hidden(item)).count();
    let shown: Vec<Attention> = items.iter().filter(|item| show_all() || !is_hidden(item)).cloned().collect();
    rsx! {
        section { id: REGION, class: "section first-phone", "aria-label": "Needs attention",
            if items.is_empty() {
                {when_empty}
            } else if !shown.is_empty() {
                div { class: "section-head",
                    h2 { "Needs attention" }
                    span { class: "label", "{shown.len()}" }
                }
                ul { class: "items",
                    for (index, item) in shown.into_iter().enumerate() {
                        Item {
                            key: "{item.id}",
                            item: item.clone(),
                            with_project,
                            on_snooze: move |days| {
                                let until = text::now() + chrono::Duration::days(days);
                                snooze::snooze(&item.id, until);
                                messages::show(if days == 1 { "Snoozed for 1 day" } else { "Snoozed for 7 days" });
                                spawn(focus_next(index));
                            },
                        }
                    }
                }
            }
            if hidden > 0 {
                p { class: "row label muted mt-2",
                    "{text::count(hidden as i64, \"item is\", \"items are\")} snoozed."
                    button {
                        class: "btn btn-ghost btn-s",
                        r#type: "button",
                        onclick: move |_| show_all.toggle(),
                        if show_all() { "Hide snoozed" } else { "Show snoozed" }
                    }
                }
            }
        }
    }
}

/// Moves the focus from a removed item to the button "Snooze" of the item after it, or else to the button that shows
/// the snoozed items.
async fn focus_next(index: usize) {
    dom::next_frame().await;
    let is_lost = dom::active_element().is_none_or(|active| active.tag_name() == "BODY");
    if is_lost && !dom::focus(&format!("#{REGION} .item:nth-child({}) [aria-haspopup=menu]", index + 1)) {
        dom::focus(&format!("#{REGION} > p button"));
    }
}

#[component]
fn Item(item: Attention, with_project: bool, on_snooze: EventHandler<i64>) -> Element {
    // The headline may already name the project.
    let project = item.project_name.clone().filter(|name| with_project && item.title.as_ref() != Some(name));
    let detail = words::detail(&item, text::now());
    let detail = [project, Some(detail)].into_iter().flatten().collect::<Vec<_>>().join(" · ");
    let title = item.since.map(text::exact);
    rsx! {
        li { class: "item",
            Mark { shape: if item.severity == Severity::Critical { Shape::Failed } else { words::shape(item.kind) } }
            div {
                h3 { title, "{words::headline(&item, text::now())}" }
                p { "{detail}" }
            }
            div { class: "acts",
                for (index, act) in words::acts(&item).into_iter().enumerate() {
                    ActButton {
                        key: "{act.label()}", act, is_first: index == 0, title: item.title.clone().unwrap_or_default()
                    }
                }
                if item.can_snooze {
                    Menu { name: "Snooze", icon: IconName::Snooze, label: "Snooze", class: "btn-s",
                        MenuItem { onselect: move |()| on_snooze.call(1), "For 1 day" }
                        MenuItem { onselect: move |()| on_snooze.call(7), "For 7 days" }
                    }
                }
            }
        }
    }
}

#[component]
fn ActButton(act: Act, is_first: bool, title: String) -> Element {
    let mut busy = use_signal(|| false);
    let label = act.label();
    let class = if is_first { "btn btn-s" } else { "btn btn-ghost btn-s" };
    match act {
        Act::Open { to, .. } => rsx! { Link { to, class, "{label}" } },
        Act::RunAgain(_) | Act::BackUp(_) => rsx! {
            button {
                class,
                r#type: "button",
                "data-act": "true",
                "aria-disabled": busy(),
                onclick: move |_| {
                    let (act, title) = (act.clone(), title.clone());
                    spawn(async move {
                        busy.set(true);
                        start(&act, &title).await;
                        busy.set(false);
                    });
                },
                "{label}"
            }
        },
    }
}

/// Starts the run of an action, and shows a message about it.
async fn start(act: &Act, title: &str) {
    let started: Result<RunStarted, _> = match act {
        Act::RunAgain(job) => remote::send(Method::Post, &format!("/jobs/{job}/run"), &serde_json::json!({})).await,
        Act::BackUp(target) => remote::send(Method::Post, "/backups", &serde_json::json!({ "target": target })).await,
        Act::Open { .. } => return,
    };
    match started {
        Ok(started) => run_message::follow(
            started.run_id,
            match act {
                Act::BackUp(_) if title.is_empty() => Work::backup("the platform"),
                Act::BackUp(_) => Work::backup(title),
                _ => Work::job(title),
            },
        ),
        Err(failure) => messages::show_failure(failure.message()),
    }
    remote::forget("/runs");
    remote::forget("/overview");
}
