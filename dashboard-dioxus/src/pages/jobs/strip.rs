//! The strip of a job's last runs: a bar for each run.

use api_types::{RecentRun, RunStatus};
use dioxus::{prelude::*, web::WebEventExt as _};
use wasm_bindgen::JsCast as _;

use super::super::recent_runs::run_state_in_words;
use crate::{address, dom, text};

/// Height in pixels of the bar of the longest run.
const MAX_HEIGHT: f64 = 20.0;
/// Minimum height of a bar in pixels.
const MIN_HEIGHT: f64 = 4.0;

/// The newest runs of a job as bars, oldest first. The height of a bar stands for the duration, its shape for the
/// result. The strip is one tab stop, and the arrow keys move between its bars.
#[component]
pub(super) fn Strip(name: String, runs: Vec<RecentRun>) -> Element {
    let longest = runs.iter().filter_map(|run| run.duration_ms).max().unwrap_or(1).max(1) as f64;
    let newest = runs.first().map(|run| run.id.clone());
    rsx! {
        ol { class: "strip", "aria-label": "Last 30 runs of {name}", onkeydown: move_focus,
            for run in runs.into_iter().rev() {
                li { key: "{run.id}",
                    a {
                        href: "/runs/{run.id}",
                        class: bar_class(run.status),
                        style: "--h:{height(&run, longest):.0}px",
                        "aria-label": bar_name(&run),
                        title: bar_name(&run),
                        tabindex: if Some(&run.id) == newest.as_ref() { "0" } else { "-1" },
                        onclick: move |event: MouseEvent| {
                            if event.modifiers().is_empty() {
                                event.prevent_default();
                                address::go(&format!("/runs/{}", run.id));
                            }
                        },
                    }
                }
            }
        }
    }
}

fn move_focus(event: KeyboardEvent) {
    let Some(raw) = event.data().try_as_web_event() else { return };
    let Some(list) = dom::closest(&raw, ".strip") else { return };
    let Ok(bars) = list.query_selector_all("a") else { return };
    let active = dom::active_element();
    let count = bars.length();
    let at = (0..count).find(|index| bars.get(*index).as_ref() == active.as_ref().map(AsRef::as_ref)).unwrap_or(0);
    let next = match event.key() {
        Key::ArrowRight => (at + 1).min(count.saturating_sub(1)),
        Key::ArrowLeft => at.saturating_sub(1),
        Key::Home => 0,
        Key::End => count.saturating_sub(1),
        _ => return,
    };
    event.prevent_default();
    if let Some(bar) = bars.get(next).and_then(|bar| bar.dyn_into::<web_sys::HtmlElement>().ok()) {
        let _ = bar.focus();
    }
}

/// Returns the height of a bar. It grows with the square root of the duration, so that short runs still differ. Without
/// a duration, the bar has a medium height.
fn height(run: &RecentRun, longest: f64) -> f64 {
    let share = run.duration_ms.map_or(0.5, |duration| (duration.max(0) as f64 / longest).sqrt());
    MIN_HEIGHT + (MAX_HEIGHT - MIN_HEIGHT) * share
}

const fn bar_class(status: RunStatus) -> &'static str {
    match status {
        RunStatus::Success => "inset",
        RunStatus::Fail => "inset failed",
        RunStatus::Timeout => "inset timeout",
        RunStatus::Cancelled => "inset cancelled",
        RunStatus::Skipped => "inset skipped",
        RunStatus::Queued | RunStatus::Running => "inset running",
    }
}

/// Returns the accessible name of a bar, for example `Failed, 3 Feb, 02:00, 12 s`.
fn bar_name(run: &RecentRun) -> String {
    let at = text::short_date_and_time(run.started_at.unwrap_or(run.created_at));
    let took = run.duration_ms.map(|duration| format!(", {}", text::duration(duration))).unwrap_or_default();
    format!("{}, {at}{took}", run_state_in_words(run.status))
}
