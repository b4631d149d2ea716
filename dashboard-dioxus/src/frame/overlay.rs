//! Dialogs over the page. At most one of them is open.

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

/// Returns the open dialog, and subscribes the component to changes.
pub fn current() -> Option<Overlay> {
    *CURRENT.read()
}

/// Opens a dialog. Another open one is closed.
pub fn open(overlay: Overlay) {
    *CURRENT.write() = Some(overlay);
}

/// Closes the open dialog.
pub fn close() {
    if CURRENT.peek().is_some() {
        *CURRENT.write() = None;
    }
}
