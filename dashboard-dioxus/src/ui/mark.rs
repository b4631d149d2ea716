//! The marks of states: small shapes in front of the name of a state.

use dioxus::prelude::*;

/// The shapes of states. States must differ in more than their colors, for people who can't distinguish these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    Queued,
    Running,
    Succeeded,
    Failed,
    TimedOut,
    Cancelled,
    Skipped,
    Attention,
}

impl Shape {
    const fn class(self) -> &'static str {
        match self {
            Self::Queued => "mark m-queued",
            Self::Running => "mark m-running",
            Self::Succeeded => "mark m-ok",
            Self::Failed => "mark m-failed",
            Self::TimedOut => "mark m-timeout",
            Self::Cancelled => "mark m-cancelled",
            Self::Skipped => "mark m-skipped",
            Self::Attention => "mark m-warn",
        }
    }

    const fn drawing(self) -> &'static str {
        match self {
            Self::Queued => r#"<circle cx="6" cy="6" r="3.6" stroke-width="1.5"/>"#,
            Self::Running => r#"<circle class="pulse" cx="6" cy="6" r="3.5" fill="currentColor" stroke="none"/>"#,
            Self::Succeeded => r#"<path d="m2 6.5 2.7 2.7L10 3.3"/>"#,
            Self::Failed => r#"<path d="m2.5 2.5 7 7M9.5 2.5l-7 7"/>"#,
            Self::TimedOut => {
                r#"<circle cx="6" cy="6" r="4.6" stroke-width="1.5"/><path d="M6 6V1.4A4.6 4.6 0 0 1 10.6 6z" fill="currentColor" stroke="none"/>"#
            }
            Self::Cancelled => {
                r#"<circle cx="6" cy="6" r="4.6" stroke-width="1.5"/><path d="m3 9 6-6" stroke-width="1.5"/>"#
            }
            Self::Skipped => r#"<path d="M2.5 6h7"/>"#,
            Self::Attention => r#"<path d="M6 1.5 11 10.5H1zM6 5v2.3M6 9v.05" stroke-width="1.4"/>"#,
        }
    }
}

/// The shape of a state. The name of the state follows it as text.
#[component]
pub fn Mark(shape: Shape) -> Element {
    rsx! {
        svg {
            class: shape.class(), view_box: "0 0 12 12", "aria-hidden": "true", dangerous_inner_html: shape.drawing()
        }
    }
}
