//! The log of a run. [`tail`] receives the log, [`find`] searches it, and [`toolbar`] contains its controls. Only the
//! lines in view are part of the page ([`window`]), each as a [`row`], so that long logs scroll smoothly.

mod find;
mod row;
mod tail;
mod toolbar;
mod window;

use api_types::LogLevel;
use dioxus::prelude::*;

use crate::{
    address, text,
    ui::{ErrorBox, Icon, IconName, Mark, Shape, narrow::use_is_narrow},
};
use find::is_in;
use row::{Emphasis, LogRow};
use tail::{Line, TailState, use_tail};
use toolbar::{FindField, LevelField, LogActs};
use window::{Layout, View, scroll_to_end, update_view};

/// Height of a line in pixels, as in `style/runs.css`.
const LINE_HEIGHT: f64 = 20.0;
/// Height of a line in pixels on a phone, where the time is above the text.
const LINE_HEIGHT_NARROW: f64 = 56.0;

/// Maximum number of lines that the server adds after the line that reports dropped ones.
const MAX_LINES_AFTER_CUT: usize = 2;

/// The levels of a log, the least important first, each with the label of its choice.
const LEVELS: [(LogLevel, &str); 4] = [
    (LogLevel::Debug, "Debug and above"),
    (LogLevel::Info, "Info and above"),
    (LogLevel::Warn, "Warn and above"),
    (LogLevel::Error, "Error"),
];

#[component]
pub(super) fn Log(
    run: String,
    /// Whether the run has not ended.
    active: bool,
    /// Days for which runs are kept.
    retention: Option<String>,
) -> Element {
    let tail = use_tail(&run, active);
    let level = address::use_parameter("level").and_then(|level| level.parse::<LogLevel>().ok());
    let level = use_memo(use_reactive!(|level| rank(level.unwrap_or(LogLevel::Debug))));
    let wanted = use_signal(|| address::parameter("find").unwrap_or_default());
    let mut current_hit = use_signal(|| 0_usize);
    let mut follows = use_signal(|| active);
    let view = use_signal(View::initial);
    // The line that the arrow keys moved to or that was clicked, and the line with details, by their index in all
    // lines.
    let mut cursor = use_signal(|| None::<usize>);
    let mut opened = use_signal(|| None::<usize>);
    let mut opened_height = use_signal(|| 0.0);
    // Indices of the lines with at least the chosen level.
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
    use_effect(move || {
        let _ = shown.read();
        if follows() {
            scroll_to_end();
        }
    });
    let line_height = if use_is_narrow() { LINE_HEIGHT_NARROW } else { LINE_HEIGHT };
    if let TailState::Failed(failure) = &*tail.state.read() {
        return rsx! {
            ErrorBox {
                what: "The log could not be loaded.",
                failure: failure.clone(),
                on_retry: move |()| tail.retry(),
            }
        };
    }
    let count = shown.read().len();
    let opened_at = opened().and_then(|line| shown.read().binary_search(&line).ok());
    let layout = Layout { line_height, count, details: opened_at.map(|at| (at, opened_height())) };
    let range = layout.drawn(view());
    let before = layout.height_before(range.start);
    let after = layout.height() - layout.height_before(range.end);
    let rows: Vec<(usize, Line)> = {
        let (lines, shown) = (tail.lines.read(), shown.read());
        let indices = shown.get(range).unwrap_or_default().iter();
        indices.filter_map(|at| Some((*at, lines.get(*at)?.clone()))).collect()
    };
    let hit_line = hits.read().get(current_hit()).and_then(|position| shown.read().get(*position).copied());
    let jump = use_callback(move |step: isize| {
        let hits = hits.peek();
        if hits.is_empty() {
            return;
        }
        let next = (*current_hit.peek() as isize + step).rem_euclid(hits.len() as isize) as usize;
        current_hit.set(next);
        follows.set(false);
        if let Some(position) = hits.get(next) {
            layout.center(*position, *view.peek());
        }
    });
    let mut toggle = move |at: usize| opened.set(if opened() == Some(at) { None } else { Some(at) });
    let onkeydown = move |event: KeyboardEvent| {
        let at = cursor().and_then(|line| shown.peek().binary_search(&line).ok());
        let next = match (event.key(), at) {
            (Key::ArrowDown, Some(at)) => (at + 1).min(count.saturating_sub(1)),
            (Key::ArrowUp, Some(at)) => at.saturating_sub(1),
            (Key::ArrowDown | Key::ArrowUp, None) => layout.first_in_view(*view.peek()),
            (Key::Enter, Some(_)) => {
                event.prevent_default();
                cursor().into_iter().for_each(&mut toggle);
                return;
            }
            _ => return,
        };
        event.prevent_default();
        follows.set(false);
        cursor.set(shown.peek().get(next).copied());
        layout.reveal(next, *view.peek());
    };
    let is_following = follows() && active;
    rsx! {
        section { class: "run-log", "aria-label": "Log of the run",
            div { class: "toolbar log-bar",
                FindField {
                    wanted, hits: hits.read().len(), current: current_hit(), on_change: move |()| current_hit.set(0),
                    on_jump: jump
                }
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
                        update_view(view);
                    },
                    onresize: move |_| {
                        update_view(view);
                    },
                    onscroll: move |_| {
                        let is_at_end = update_view(view);
                        if *follows.peek() && !is_at_end {
                            follows.set(false);
                        }
                    },
                    onkeydown,
                    span { class: "space", style: "block-size:{before}px" }
                    for (at, line) in rows {
                        LogRow {
                            key: "{at}",
                            line,
                            wanted: wanted(),
                            emphasis: Emphasis {
                                is_match: hit_line == Some(at),
                                is_current: cursor() == Some(at),
                                has_details: opened() == Some(at),
                            },
                            on_toggle: move |()| {
                                cursor.set(Some(at));
                                toggle(at);
                            },
                            on_height: move |height| opened_height.set(height),
                        }
                    }
                    span { class: "space", style: "block-size:{after}px" }
                }
                if !layout.is_at_end(view()) && count > 0 {
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
                    span {
                        class: "badge", Mark { shape: Shape::Attention }
                        "The log was full: later lines are missing."
                    }
                }
                span { class: "push only-wide",
                    "Times are UTC."
                    if let Some(days) = retention {
                        " Logs are kept for {days}."
                    }
                }
            }
        }
    }
}

/// Returns whether the server dropped lines. One of the last lines then reports their number.
fn is_cut(lines: &[Line]) -> bool {
    lines.iter().rev().take(MAX_LINES_AFTER_CUT + 1).any(|line| line.fields.contains("droppedLines="))
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

fn rank(level: LogLevel) -> usize {
    LEVELS.iter().position(|(known, _)| *known == level).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use api_types::LogLine;
    use serde_json::json;

    use super::*;

    #[test]
    fn log_is_cut_if_one_of_its_last_lines_reports_dropped_lines() {
        let line = |fields| {
            let (at, message) = (chrono::DateTime::default(), "The log was cut here".to_owned());
            Line::from(LogLine { at, level: LogLevel::Warn, message, fields })
        };
        let (cut, other) = (line(json!({ "droppedLines": 3 })), line(json!({})));
        assert!(is_cut(&[other.clone(), cut.clone()]));
        assert!(is_cut(&[cut, other.clone()]));
        assert!(!is_cut(&[other]));
        assert!(!is_cut(&[]));
    }
}
