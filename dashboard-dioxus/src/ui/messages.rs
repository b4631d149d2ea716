//! Short messages in the corner, about actions that succeeded or failed, and about work that continues on the server.

use std::rc::Rc;

use dioxus::prelude::*;
use gloo_timers::future::TimeoutFuture;

use super::{CodeText, Icon, IconName, Link, Mark, Shape};
use crate::{address, dom};

/// Time for which a message about a success is shown, unless it has a link. A message about a failure stays until it is
/// dismissed or its page is left, and one about a run that has not succeeded until it is dismissed or replaced.
const SHOWN_MS: u32 = 6_000;

/// Minimum time for which a message about a failure is shown, even if its page is left.
const MIN_SHOWN_MS: f64 = 5_000.0;

/// Maximum number of messages about successes that are shown at once, except those with a link or an undo button.
const MAX_SUCCESSES: usize = 3;

/// Interval at which the position is updated while messages are shown.
const POSITION_MS: u32 = 200;

/// Height of a message of one line with the space around it, in pixels.
const MESSAGE_HEIGHT: f64 = 72.0;

/// The bars and trays at the bottom of the window, which messages must not cover.
const BARS: &str = ".foot.sticky:not(.backup-page *), .staged, .dock:not(.dock-top), .sheet > footer";

#[derive(Debug, Clone, PartialEq)]
struct Message {
    id: MessageId,
    /// Increases with every message, and when a message is replaced.
    revision: u32,
    text: String,
    /// How often the message appeared since it was last dismissed.
    count: u32,
    shape: Shape,
    /// Id of the run that does the work.
    run: Option<String>,
    /// Address and text of another link.
    link: Option<(String, &'static str)>,
    /// Path of the page on which the message appeared.
    page: String,
    /// When the message appeared, in milliseconds since 1970.
    shown_at: f64,
    /// Undoes what the message is about.
    undo: Option<Undo>,
}

/// An action that undoes another one. Two are equal if they are the same object.
#[derive(Clone)]
struct Undo(Rc<dyn Fn()>);

impl PartialEq for Undo {
    fn eq(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }
}

impl std::fmt::Debug for Undo {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Undo")
    }
}

impl Message {
    fn new(id: MessageId, text: String, shape: Shape, run: Option<String>) -> Self {
        let revision = next_revision();
        let page = address::path();
        Self { id, revision, text, count: 1, shape, run, link: None, page, shown_at: js_sys::Date::now(), undo: None }
    }

    /// Returns whether the message is about a failure on a page that was left.
    fn is_outdated(&self, page: &str, now: f64) -> bool {
        self.shape == Shape::Failed && self.run.is_none() && self.page != page && now - self.shown_at >= MIN_SHOWN_MS
    }

    /// Returns whether the message contains only a text: no link, and no button besides "Dismiss".
    fn is_plain(&self) -> bool {
        self.run.is_none() && self.link.is_none() && self.undo.is_none()
    }

    fn is_plain_success(&self) -> bool {
        self.shape == Shape::Succeeded && self.is_plain()
    }

    /// Returns whether another message says the same.
    fn is_repeated_by(&self, other: &Self) -> bool {
        self.is_plain() && other.is_plain() && self.shape == other.shape && self.text == other.text
    }
}

/// The identity of a message about work that continues: its first revision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageId(u32);

static MESSAGES: GlobalSignal<Vec<Message>> = Signal::global(Vec::new);
static NEXT_REVISION: GlobalSignal<u32> = Signal::global(|| 0);
/// Height of the bars and trays below the messages, in pixels.
static HEIGHT_BELOW: GlobalSignal<i32> = Signal::global(|| 0);

/// Shows that something succeeded.
pub fn show(text: impl Into<String>) {
    add(new(text.into(), Shape::Succeeded, None));
}

/// Shows that something succeeded, with a link, until the message is dismissed.
pub fn show_with_link(text: impl Into<String>, to: String, label: &'static str) {
    position_region();
    let message = new(text.into(), Shape::Succeeded, None);
    MESSAGES.write().push(Message { link: Some((to, label)), ..message });
}

/// Shows that something succeeded, with a button "Undo".
pub fn show_with_undo(text: impl Into<String>, undo: impl Fn() + 'static) {
    add(Message { undo: Some(Undo(Rc::new(undo))), ..new(text.into(), Shape::Succeeded, None) });
}

/// Shows that something failed.
pub fn show_failure(text: impl Into<String>) {
    add(new(text.into(), Shape::Failed, None));
}

/// Shows that a run does some work. [`finish`] replaces the message.
pub fn begin(text: impl Into<String>, run: &str) -> MessageId {
    add(new(text.into(), Shape::Running, Some(run.to_owned())))
}

/// Replaces the message about a run that has ended. If the message was dismissed, the new one is shown unless the run
/// succeeded.
pub fn finish(id: MessageId, text: impl Into<String>, shape: Shape, run: &str) {
    let message = Message::new(id, text.into(), shape, Some(run.to_owned()));
    let is_shown = MESSAGES.peek().iter().any(|shown| shown.id == id);
    if is_shown {
        MESSAGES.write().iter_mut().filter(|shown| shown.id == id).for_each(|shown| *shown = message.clone());
    } else if shape != Shape::Succeeded {
        MESSAGES.write().push(message);
    }
    dismiss_later(id, shape);
}

fn new(text: String, shape: Shape, run: Option<String>) -> Message {
    Message::new(MessageId(next_revision()), text, shape, run)
}

fn add(message: Message) -> MessageId {
    let (id, shape) = (message.id, message.shape);
    position_region();
    insert(&mut MESSAGES.write(), message);
    dismiss_later(id, shape);
    id
}

/// Inserts a message. It replaces one that says the same. Removes the oldest messages about successes, so that they
/// never cover the page.
fn insert(messages: &mut Vec<Message>, mut message: Message) {
    if let Some(index) = messages.iter().position(|shown| shown.is_repeated_by(&message)) {
        message.count += messages.remove(index).count;
    }
    messages.push(message);
    let mut excess = messages.iter().filter(|shown| shown.is_plain_success()).count().saturating_sub(MAX_SUCCESSES);
    messages.retain(|shown| {
        let is_kept = excess == 0 || !shown.is_plain_success();
        excess -= usize::from(!is_kept);
        is_kept
    });
}

fn next_revision() -> u32 {
    let revision = *NEXT_REVISION.peek();
    *NEXT_REVISION.write() = revision + 1;
    revision
}

fn dismiss_later(id: MessageId, shape: Shape) {
    if shape == Shape::Succeeded {
        dioxus::core::spawn_forever(async move {
            TimeoutFuture::new(SHOWN_MS).await;
            dismiss(id);
        });
    }
}

/// Removes a message.
pub fn dismiss(id: MessageId) {
    MESSAGES.write().retain(|message| message.id != id);
}

/// Removes the messages about failures on pages that were left.
fn dismiss_outdated() {
    let (page, now) = (address::path(), js_sys::Date::now());
    if MESSAGES.peek().iter().any(|message| message.is_outdated(&page, now)) {
        MESSAGES.write().retain(|message| !message.is_outdated(&page, now));
    }
}

/// Moves the messages above the bars at the bottom of the window.
fn position_region() {
    let window = web_sys::window().and_then(|window| window.inner_height().ok()?.as_f64()).unwrap_or_default();
    let edges = dom::find_all(BARS).into_iter().map(|bar| {
        let bounds = bar.get_bounding_client_rect();
        (bounds.top(), bounds.bottom())
    });
    let bars: Vec<_> = edges.collect();
    let height = height_of_bars(window, &bars).ceil() as i32;
    if *HEIGHT_BELOW.peek() != height {
        *HEIGHT_BELOW.write() = height;
    }
}

/// Returns the height from the bottom of the window to the highest top edge of the bars. Each bar is given by its top
/// and its bottom edge. A bar counts if no message fits between it and the bars below it. A hidden bar has no height.
fn height_of_bars(window: f64, bars: &[(f64, f64)]) -> f64 {
    let mut height = 0.0;
    // Each round adds the bars that are close to those of the round before.
    loop {
        let is_close =
            |(top, bottom): &&(f64, f64)| bottom > top && *top < window && window - height - bottom < MESSAGE_HEIGHT;
        let higher = bars.iter().filter(is_close).map(|(top, _)| window - top).fold(height, f64::max);
        if higher <= height {
            return height;
        }
        height = higher;
    }
}

/// The region in which messages appear.
#[component]
pub fn Messages() -> Element {
    use_future(|| async {
        loop {
            TimeoutFuture::new(POSITION_MS).await;
            if !MESSAGES.peek().is_empty() {
                dismiss_outdated();
                position_region();
            }
        }
    });
    let below = *HEIGHT_BELOW.read();
    rsx! {
        section { class: "toasts", "aria-label": "Messages", style: "--below: {below}px",
            for message in MESSAGES.read().iter().cloned() {
                div { key: "{message.id.0}", class: "toast", role: "status",
                    Mark { shape: message.shape }
                    span { class: "grow", CodeText { text: message.text.clone() } }
                    if message.count > 1 {
                        span { class: "label muted tab-nums", "{message.count} times" }
                    }
                    if let Some(run) = message.run {
                        Link { to: "/runs/{run}", class: "link", "Open run" }
                    }
                    if let Some((to, label)) = message.link {
                        Link { to, class: "link", onfollow: move |()| dismiss(message.id), "{label}" }
                    }
                    if let Some(undo) = message.undo {
                        button {
                            class: "btn btn-s",
                            r#type: "button",
                            onclick: move |_| {
                                (undo.0)();
                                dismiss(message.id);
                            },
                            "Undo"
                        }
                    }
                    button {
                        class: "btn btn-ghost btn-s btn-icon",
                        r#type: "button",
                        "aria-label": "Dismiss",
                        onclick: move |_| dismiss(message.id),
                        Icon { name: IconName::Close }
                    }
                }
            }
        }
    }
}

/// Announces the messages that appear or are replaced while a modal dialog is open. Until it is closed, screen readers
/// ignore everything outside of it, including [`Messages`].
#[component]
pub(super) fn DialogMessages() -> Element {
    let first = use_hook(|| *NEXT_REVISION.peek());
    rsx! {
        div { class: "sr", role: "status", "aria-atomic": "false",
            for message in MESSAGES.read().iter().filter(|message| message.revision >= first).cloned() {
                p { key: "{message.revision}", CodeText { text: message.text.clone() } }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(id: u32, shape: Shape, text: &str) -> Message {
        Message {
            id: MessageId(id),
            revision: id,
            text: text.to_owned(),
            count: 1,
            shape,
            run: None,
            link: None,
            page: "/jobs".to_owned(),
            shown_at: 1_000.0,
            undo: None,
        }
    }

    #[test]
    fn failure_is_dismissed_once_its_page_is_left_and_it_was_read() {
        let failure = message(0, Shape::Failed, "");
        assert!(failure.is_outdated("/runs", 6_000.0));
        assert!(!failure.is_outdated("/runs", 5_999.0), "too short to be read");
        assert!(!failure.is_outdated("/jobs", 600_000.0), "the page is still shown");
        let of_run = Message { run: Some("1".to_owned()), ..failure.clone() };
        let running = Message { shape: Shape::Running, ..failure };
        assert!(!of_run.is_outdated("/runs", 6_000.0) && !running.is_outdated("/runs", 6_000.0));
    }

    #[test]
    fn equal_messages_are_counted_and_only_the_newest_successes_stay() {
        let mut messages = Vec::new();
        for (id, text) in ["a", "b", "b", "c", "d"].into_iter().enumerate() {
            insert(&mut messages, message(id as u32, Shape::Succeeded, text));
        }
        let shown = |messages: &[Message]| -> Vec<(String, u32)> {
            messages.iter().map(|message| (message.text.clone(), message.count)).collect()
        };
        assert_eq!(shown(&messages), [("b".to_owned(), 2), ("c".to_owned(), 1), ("d".to_owned(), 1)]);
        for (id, text) in ["b", "e", "f", "g"].into_iter().enumerate() {
            insert(&mut messages, message(id as u32 + 5, Shape::Failed, text));
        }
        assert_eq!(messages.len(), 7, "failures stay, and are not counted with successes");
    }

    #[test]
    fn messages_with_buttons_of_their_own_are_not_merged() {
        let undo = Some(Undo(Rc::new(|| {})));
        let mut messages = Vec::new();
        for id in 0..5 {
            insert(&mut messages, Message { undo: undo.clone(), ..message(id, Shape::Succeeded, "Hidden") });
        }
        assert_eq!(messages.len(), 5);
    }

    #[test]
    fn messages_are_above_the_highest_bar_at_the_bottom() {
        let height = |edges: &[(f64, f64)]| height_of_bars(800.0, edges);
        assert_eq!(height(&[]), 0.0);
        assert_eq!(height(&[(760.0, 800.0), (710.0, 760.0)]), 90.0);
        assert_eq!(height(&[(690.0, 730.0), (760.0, 800.0)]), 110.0, "no message fits between the bars");
        assert_eq!(height(&[(430.0, 480.0)]), 0.0, "in the middle, because the list is short");
        assert_eq!(height(&[(0.0, 0.0), (200.0, 240.0), (900.0, 940.0)]), 0.0, "hidden, far above, scrolled away");
    }
}
