//! A countdown in seconds, for buttons that must wait before they try again.

use dioxus::{core::Task, prelude::*};
use gloo_timers::future::TimeoutFuture;

/// The number of seconds until an action may be tried again.
#[derive(Clone, Copy)]
pub struct Countdown {
    left: Signal<u32>,
    task: Signal<Option<Task>>,
}

/// Returns a countdown at zero.
pub fn use_countdown() -> Countdown {
    Countdown { left: use_signal(|| 0), task: use_signal(|| None) }
}

impl Countdown {
    /// Returns the seconds that are left, and subscribes the component to them.
    pub fn left(&self) -> u32 {
        (self.left)()
    }

    /// Counts down from `seconds`.
    pub fn start(&mut self, seconds: u32) {
        let mut left = self.left;
        if let Some(task) = self.task.take() {
            task.cancel();
        }
        left.set(seconds);
        self.task.set(Some(spawn(async move {
            while *left.peek() > 0 {
                TimeoutFuture::new(1_000).await;
                left -= 1;
            }
        })));
    }
}
