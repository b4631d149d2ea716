//! What lies over the page. At most one of these is open.

use dioxus::prelude::*;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overlay {
    Palette,
    Switcher,
    Running,
    Shortcuts,
    /// The phone's menu.
    Menu,
}

static CURRENT: GlobalSignal<Option<Overlay>> = Signal::global(|| None);

/// Returns what is open, and subscribes the component to it.
pub fn current() -> Option<Overlay> {
    *CURRENT.read()
}

pub fn open(overlay: Overlay) {
    *CURRENT.write() = Some(overlay);
}

pub fn close() {
    if CURRENT.peek().is_some() {
        *CURRENT.write() = None;
    }
}
