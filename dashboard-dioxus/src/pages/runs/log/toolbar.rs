//! The controls above a log.

use dioxus::prelude::*;

use super::{
    LEVELS,
    tail::{Line, Tail},
};
use crate::{
    address, clipboard, dom,
    ui::{Icon, IconName, messages},
};

#[component]
pub(super) fn FindField(
    wanted: Signal<String>,
    hits: usize,
    current: usize,
    on_change: EventHandler<()>,
    on_jump: EventHandler<isize>,
) -> Element {
    let mut wanted = wanted;
    let is_empty = wanted.read().is_empty();
    let count =
        if hits == 0 { "none".to_owned() } else { format!("{} of {hits}", current.min(hits.saturating_sub(1)) + 1) };
    rsx! {
        div { class: "input input-icon m grow-phone find",
            Icon { name: IconName::Search }
            input {
                r#type: "search",
                "aria-label": "Find in log",
                placeholder: "Find in log",
                value: "{wanted}",
                oninput: move |event| {
                    wanted.set(event.value());
                    on_change.call(());
                },
                onkeydown: move |event| {
                    if event.key() == Key::Enter {
                        event.prevent_default();
                        on_jump.call(if event.modifiers().shift() { -1 } else { 1 });
                    }
                },
            }
            if !is_empty {
                span { class: "label muted tab-nums", role: "status", "{count}" }
                button {
                    class: "btn btn-ghost btn-s btn-icon",
                    r#type: "button",
                    "aria-label": "Previous match",
                    disabled: hits == 0,
                    onclick: move |_| on_jump.call(-1),
                    Icon { name: IconName::ChevronUp }
                }
                button {
                    class: "btn btn-ghost btn-s btn-icon",
                    r#type: "button",
                    "aria-label": "Next match",
                    disabled: hits == 0,
                    onclick: move |_| on_jump.call(1),
                    Icon { name: IconName::ChevronDown }
                }
            }
        }
    }
}

#[component]
pub(super) fn LevelField(level: usize) -> Element {
    rsx! {
        label { class: "input select m select-native",
            span { class: "what", "aria-hidden": "true", "Level" }
            select {
                "aria-label": "Level",
                onchange: |event| {
                    let level = event.value();
                    address::replace_parameter("level", (level != "debug").then_some(level.as_str()));
                },
                for (index, (choice, label)) in LEVELS.into_iter().enumerate() {
                    option { key: "{index}", value: "{choice}", selected: index == level, "{label}" }
                }
            }
        }
    }
}

#[component]
pub(super) fn LogActs(run: String, tail: Tail, shown: ReadSignal<Vec<usize>>, level: usize) -> Element {
    let level = LEVELS.get(level).filter(|_| level > 0).map(|(level, _)| level.as_str());
    rsx! {
        button {
            class: "btn btn-ghost btn-icon",
            r#type: "button",
            "aria-label": "Copy log",
            title: "Copy log",
            onclick: move |_| async move {
                let text: String = {
                    let (lines, shown) = (tail.lines.peek(), shown.peek());
                    shown.iter().filter_map(|at| lines.get(*at)).map(Line::as_text).collect()
                };
                if clipboard::copy(&text).await {
                    messages::show("Copied");
                } else {
                    messages::show_failure("The browser did not allow copying. Download the log instead.");
                }
            },
            Icon { name: IconName::Copy }
        }
        button {
            class: "btn btn-ghost btn-icon",
            r#type: "button",
            "aria-label": "Download log",
            title: "Download log",
            onclick: move |_| {
                let path = format!("/admin/v1/runs/{run}/log");
                dom::download(&address::with_parameters(&path, &[("download", Some("true")), ("level", level)]));
            },
            Icon { name: IconName::Download }
        }
    }
}
