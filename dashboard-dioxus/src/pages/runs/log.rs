//! Draws a log: only the lines in view are part of the page, so that long logs scroll smoothly.

use std::ops::Range;

use api_types::LogLevel;
use dioxus::{prelude::*, web::WebEventExt as _};
use wasm_bindgen::JsCast as _;

use super::{
    find::{self, is_in},
    tail::{Line, Tail, TailState, use_tail},
};
use crate::{
    address, clipboard, dom, text,
    ui::{ErrorBox, Icon, IconName, Mark, Shape, messages, narrow::use_is_narrow},
};

/// Height of a line in pixels, as in `style/runs.css`.
const LINE_HEIGHT: f64 = 20.0;
/// On a phone, a line has its time above the text.
const LINE_HEIGHT_NARROW: f64 = 56.0;
/// Lines outside of the view that are drawn too.
const OVERSCAN: usize = 20;
/// Distance to the end, in pixels, at which the view counts as at the end.
const AT_END: f64 = 24.0;

/// The levels of a log, the least important first, with the words for "this one and those above".
const LEVELS: [(LogLevel, &str); 4] = [
    (LogLevel::Debug, "Debug and up"),
    (LogLevel::Info, "Info and up"),
    (LogLevel::Warn, "Warn and up"),
    (LogLevel::Error, "Error"),
];

/// What of the log is in view.
#[derive(Debug, Clone, Copy, PartialEq)]
struct View {
    top: f64,
    height: f64,
}

#[component]
pub(super) fn Log(run: String, active: bool, retention: Option<String>) -> Element {
    let tail = use_tail(&run);
    let level = address::use_parameter("level").and_then(|level| level.parse::<LogLevel>().ok());
    let level = use_memo(use_reactive!(|level| rank(level.unwrap_or(LogLevel::Debug))));
    let wanted = use_signal(|| address::parameter("find").unwrap_or_default());
    let mut current = use_signal(|| 0_usize);
    let mut follows = use_signal(|| active);
    let view = use_signal(|| View { top: 0.0, height: 600.0 });
    let mut opened = use_signal(|| None::<usize>);
    let mut opened_height = use_signal(|| 0.0);
    // Positions of the lines that the level lets through.
    let shown = use_memo(move || {
        let (lines, level) = (tail.lines.read(), level());
        lines.iter().enumerate().filter(|(_, line)| rank(line.level) >= level).map(|(at, _)| at).collect::<Vec<_>>()
    });
    // Positions in `shown`.
    let hits = use_memo(move || {
        let (lines, shown, wanted) = (tail.lines.read(), shown.read(), wanted.read());
        if wanted.is_empty() {
            return Vec::new();
        }
        let is_hit = |at: &usize| lines.get(*at).is_some_and(|line| is_in(line, &wanted));
        shown.iter().enumerate().filter(|(_, at)| is_hit(at)).map(|(position, _)| position).collect()
    });
    use_effect(move || {
        let wanted = wanted.read().clone();
        if address::parameter("find").unwrap_or_default() != wanted {
            address::replace_parameter("find", (!wanted.is_empty()).then_some(wanted.as_str()));
        }
    });
    let line_height = if use_is_narrow() { LINE_HEIGHT_NARROW } else { LINE_HEIGHT };
    use_effect(move || {
        let _ = shown.read();
        if follows() {
            scroll_to_end();
        }
    });
    if let TailState::Failed(failure) = &*tail.state.read() {
        return rsx! {
            ErrorBox { what: "The log could not be read.", failure: failure.clone(), on_retry: move |()| retry(tail) }
        };
    }
    let count = shown.read().len();
    let opened_at = opened().and_then(|line| shown.read().binary_search(&line).ok());
    let extra = if opened_at.is_some() { opened_height() } else { 0.0 };
    let range = range_in_view(view(), count, line_height, opened_at.map(|at| (at, extra)));
    let before = height_before(range.start, line_height, opened_at.map(|at| (at, extra)));
    let whole = count as f64 * line_height + extra;
    let drawn = height_before(range.end, line_height, opened_at.map(|at| (at, extra))) - before;
    let rows: Vec<(usize, Line)> = {
        let (lines, shown) = (tail.lines.read(), shown.read());
        let indices = shown.get(range.clone()).unwrap_or_default().iter();
        indices.filter_map(|at| Some((*at, lines.get(*at)?.clone()))).collect()
    };
    let hit_line = hits.read().get(current()).and_then(|position| shown.read().get(*position).copied());
    let jump = use_callback(move |step: isize| {
        let hits = hits.peek();
        if hits.is_empty() {
            return;
        }
        let next = (*current.peek() as isize + step).rem_euclid(hits.len() as isize) as usize;
        current.set(next);
        follows.set(false);
        if let Some(position) = hits.get(next) {
            scroll_to(*position as f64 * line_height - view.peek().height / 2.0);
        }
    });
    let is_following = follows() && active;
    rsx! {
        section { class: "run-log", "aria-label": "Log of the run",
            div { class: "toolbar log-bar",
                FindField { wanted, hits: hits.read().len(), current: current(), on_change: move |()| current.set(0), on_jump: jump }
                LevelField { level: level() }
                div { class: "push row",
                    if active {
                        label { class: "check items-center",
                            input {
                                class: "switch",
                                r#type: "checkbox",
                                role: "switch",
                                checked: is_following,
                                onchange: move |event| follows.set(event.checked()),
                            }
                            "Follow"
                        }
                    }
                    LogActs { run: run.clone(), tail, shown, level: level() }
                }
            }
            div { class: "log-well",
                div {
                    class: "log",
                    id: "run-log",
                    role: "log",
                    "aria-label": "Log",
                    "aria-busy": (*tail.state.read() == TailState::Loading).to_string(),
                    "aria-live": if is_following { "polite" } else { "off" },
                    tabindex: "0",
                    onmounted: move |_| {
                        note_view(view);
                    },
                    onresize: move |_| {
                        note_view(view);
                    },
                    onscroll: move |_| {
                        let is_at_end = note_view(view);
                        if *follows.peek() && !is_at_end {
                            follows.set(false);
                        }
                    },
                    span { class: "space", style: "block-size:{before}px" }
                    for (at, line) in rows {
                        LogRow {
                            key: "{at}",
                            line,
                            wanted: wanted(),
                            is_current: hit_line == Some(at),
                            is_open: opened() == Some(at),
                            on_toggle: move |()| opened.set(if opened() == Some(at) { None } else { Some(at) }),
                            on_height: move |height| opened_height.set(height),
                        }
                    }
                    span { class: "space", style: "block-size:{(whole - before - drawn).max(0.0)}px" }
                }
                if !is_at_end(view(), whole) && count > 0 {
                    button {
                        class: "btn to-end",
                        r#type: "button",
                        onclick: move |_| {
                            scroll_to_end();
                            if active {
                                follows.set(true);
                            }
                        },
                        Icon { name: IconName::ArrowDown }
                        "To the end"
                    }
                }
            }
            div { class: "foot sticky",
                LogState { state: tail.state.read().clone(), is_following, count, all: tail.lines.read().len() }
                if is_cut(&tail.lines.read()) {
                    span { class: "badge", Mark { shape: Shape::Attention } "The log was full: later lines are missing." }
                }
                span { class: "push only-wide",
                    "Times are UTC."
                    if let Some(days) = retention {
                        " Logs are kept for {days} days."
                    }
                }
            }
        }
    }
}

fn retry(tail: Tail) {
    let mut state = tail.state;
    state.set(TailState::Loading);
    tail.retry();
}

/// The server says in the last line that it dropped lines.
fn is_cut(lines: &[Line]) -> bool {
    lines.last().is_some_and(|line| line.message.contains("more lines were dropped"))
}

#[component]
fn LogState(state: TailState, is_following: bool, count: usize, all: usize) -> Element {
    let lines = text::count(count as i64, "line", "lines");
    let lines = if count == all { lines } else { format!("{lines} of {}", text::number(all as i64)) };
    let (shape, words) = match state {
        TailState::Reconnecting => (Some(Shape::Attention), format!("Reconnecting… {lines}")),
        TailState::Loading => (None, "Loading…".to_owned()),
        TailState::Following if is_following => (Some(Shape::Running), format!("Following, {lines}")),
        TailState::Ended if all == 0 => (None, "The run wrote no log.".to_owned()),
        _ => (None, lines),
    };
    rsx! {
        span { class: "badge", role: "status",
            if let Some(shape) = shape {
                Mark { shape }
            }
            "{words}"
        }
    }
}

#[component]
fn FindField(
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
fn LevelField(level: usize) -> Element {
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
fn LogActs(run: String, tail: Tail, shown: ReadSignal<Vec<usize>>, level: usize) -> Element {
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

#[component]
fn LogRow(
    line: Line,
    wanted: String,
    is_current: bool,
    is_open: bool,
    on_toggle: EventHandler<()>,
    on_height: EventHandler<f64>,
) -> Element {
    rsx! {
        div { class: level_class(line.level), onclick: move |_| on_toggle.call(()),
            time { title: text::exact(line.at), {line.at.format("%H:%M:%S%.3f").to_string()} }
            span { class: "lv", {line.level.as_str().to_uppercase()} }
            span { class: "line-text",
                Marked { text: line.message.to_string(), wanted: wanted.clone(), is_current }
                if !line.fields.is_empty() {
                    " "
                    span { class: "f", Marked { text: line.fields.to_string(), wanted, is_current } }
                }
            }
        }
        if is_open {
            span {
                class: "line-detail",
                onmounted: move |event| {
                    let element = event.data().try_as_web_event().and_then(|element| element.dyn_into::<web_sys::HtmlElement>().ok());
                    if let Some(element) = element {
                        on_height.call(element.offset_height().into());
                    }
                },
                pre { "{line.message}" }
                if !line.fields.is_empty() {
                    pre { class: "f", "{line.fields}" }
                }
            }
        }
    }
}

/// A text with what was looked for marked.
#[component]
fn Marked(text: String, wanted: String, is_current: bool) -> Element {
    if wanted.is_empty() {
        return rsx! { "{text}" };
    }
    rsx! {
        for (index, part) in find::parts(&text, &wanted).into_iter().enumerate() {
            if part.is_hit {
                mark { key: "{index}", class: if is_current { "is-on" }, "{part.text}" }
            } else {
                span { key: "{index}", "{part.text}" }
            }
        }
    }
}

fn rank(level: LogLevel) -> usize {
    LEVELS.iter().position(|(known, _)| *known == level).unwrap_or_default()
}

const fn level_class(level: LogLevel) -> &'static str {
    match level {
        LogLevel::Warn => "line warn",
        LogLevel::Error => "line err",
        _ => "line",
    }
}

/// Returns the lines to draw. `opened` is the line that is open, and the height of its details.
fn range_in_view(view: View, count: usize, line_height: f64, opened: Option<(usize, f64)>) -> Range<usize> {
    let extra = opened.map_or(0.0, |(_, extra)| extra);
    let first = ((view.top - extra) / line_height).floor().max(0.0) as usize;
    let last = ((view.top + view.height) / line_height).ceil().max(0.0) as usize;
    first.saturating_sub(OVERSCAN).min(count)..(last + OVERSCAN).min(count)
}

fn height_before(line: usize, line_height: f64, opened: Option<(usize, f64)>) -> f64 {
    let extra = opened.filter(|(at, _)| *at < line).map_or(0.0, |(_, extra)| extra);
    line as f64 * line_height + extra
}

fn is_at_end(view: View, whole: f64) -> bool {
    view.top + view.height >= whole - AT_END
}

fn log_element() -> Option<web_sys::HtmlElement> {
    dom::find("#run-log")
}

/// Notes what is in view. Returns whether that is the end.
fn note_view(view: Signal<View>) -> bool {
    let mut view = view;
    let Some(element) = log_element() else { return true };
    let now = View { top: element.scroll_top().into(), height: element.client_height().into() };
    if *view.peek() != now {
        view.set(now);
    }
    is_at_end(now, element.scroll_height().into())
}

fn scroll_to(top: f64) {
    if let Some(element) = log_element() {
        element.set_scroll_top(top.max(0.0) as i32);
    }
}

fn scroll_to_end() {
    // The new lines are drawn first.
    dioxus::core::spawn(async {
        gloo_timers::future::TimeoutFuture::new(0).await;
        scroll_to(f64::from(i32::MAX / 2));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lines_in_view_are_drawn() {
        let view = View { top: 2_000.0, height: 400.0 };
        assert_eq!(range_in_view(view, 10_000, 20.0, None), 80..140);
        assert_eq!(range_in_view(view, 90, 20.0, None), 80..90);
        assert_eq!(range_in_view(View { top: 0.0, ..view }, 10_000, 20.0, None), 0..40);
        assert_eq!(height_before(80, 20.0, Some((3, 60.0))), 1_660.0);
    }
}
