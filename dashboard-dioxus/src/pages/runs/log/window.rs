//! Computes which lines of a log are in view, and scrolls the log.

use std::ops::Range;

use dioxus::prelude::*;

use crate::dom;

/// Number of lines that are drawn above the view, and below it.
const OVERSCAN: usize = 20;
/// Maximum distance to the end, in pixels, at which the view counts as at the end.
const AT_END: f64 = 24.0;

/// The part of the log that is in view, in pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct View {
    top: f64,
    height: f64,
}

impl View {
    /// Returns the view before the browser has laid out the log.
    pub(super) fn initial() -> Self {
        Self { top: 0.0, height: 600.0 }
    }
}

/// The layout of the shown lines of a log. All lines have the same height. The details of one line may be open below
/// it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Layout {
    pub(super) line_height: f64,
    pub(super) count: usize,
    /// Position of the line with details, and the height of the details.
    pub(super) details: Option<(usize, f64)>,
}

impl Layout {
    /// Returns the positions of the lines to draw.
    pub(super) fn drawn(&self, view: View) -> Range<usize> {
        let extra = self.details.map_or(0.0, |(_, extra)| extra);
        let first = ((view.top - extra) / self.line_height).floor().max(0.0) as usize;
        let last = ((view.top + view.height) / self.line_height).ceil().max(0.0) as usize;
        first.saturating_sub(OVERSCAN).min(self.count)..(last + OVERSCAN).min(self.count)
    }

    /// Returns the height of all lines before a position.
    pub(super) fn height_before(&self, position: usize) -> f64 {
        let extra = self.details.filter(|(at, _)| *at < position).map_or(0.0, |(_, extra)| extra);
        position as f64 * self.line_height + extra
    }

    pub(super) fn height(&self) -> f64 {
        self.height_before(self.count)
    }

    pub(super) fn is_at_end(&self, view: View) -> bool {
        view.top + view.height >= self.height() - AT_END
    }

    /// Returns the first line that is entirely in view.
    pub(super) fn first_in_view(&self, view: View) -> usize {
        let first = (view.top / self.line_height).ceil().max(0.0) as usize;
        first.min(self.count.saturating_sub(1))
    }

    /// Scrolls just far enough to show a line.
    pub(super) fn reveal(&self, position: usize, view: View) {
        let top = self.height_before(position);
        let bottom = top + self.line_height;
        if top < view.top {
            scroll_to(top);
        } else if bottom > view.top + view.height {
            scroll_to(bottom - view.height);
        }
    }

    /// Scrolls so that a line is in the middle.
    pub(super) fn center(&self, position: usize, view: View) {
        scroll_to(self.height_before(position) - view.height / 2.0);
    }
}

/// Stores the part of the log that is in view. Returns whether the end of the log is in view.
pub(super) fn update_view(view: Signal<View>) -> bool {
    let mut view = view;
    let Some(element) = dom::find("#run-log") else { return true };
    let now = View { top: element.scroll_top().into(), height: element.client_height().into() };
    if *view.peek() != now {
        view.set(now);
    }
    now.top + now.height >= f64::from(element.scroll_height()) - AT_END
}

/// Scrolls to the end once new lines are drawn.
pub(super) fn scroll_to_end() {
    dioxus::core::spawn(async {
        gloo_timers::future::TimeoutFuture::new(0).await;
        scroll_to(f64::from(i32::MAX / 2));
    });
}

fn scroll_to(top: f64) {
    if let Some(element) = dom::find("#run-log") {
        element.set_scroll_top(top.max(0.0) as i32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lines_in_view_are_drawn() {
        let layout = |count| Layout { line_height: 20.0, count, details: None };
        let view = View { top: 2_000.0, height: 400.0 };
        assert_eq!(layout(10_000).drawn(view), 80..140);
        assert_eq!(layout(90).drawn(view), 80..90);
        assert_eq!(layout(10_000).drawn(View { top: 0.0, ..view }), 0..40);
    }

    #[test]
    fn details_move_the_lines_after_them() {
        let layout = Layout { line_height: 20.0, count: 100, details: Some((3, 60.0)) };
        assert_eq!(layout.height_before(3), 60.0);
        assert_eq!(layout.height_before(80), 1_660.0);
        assert!(layout.is_at_end(View { top: 1_660.0, height: 400.0 }));
    }
}
