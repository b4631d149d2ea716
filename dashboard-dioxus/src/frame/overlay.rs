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

/// The text in the search field of the palette or of the switcher.
static QUERY: GlobalSignal<String> = Signal::global(String::new);

/// Whether Enter was pressed before the palette or the switcher was shown.
static WAS_ENTERED: GlobalSignal<bool> = Signal::global(|| false);

/// Returns the open dialog, and subscribes the component to changes.
pub fn current() -> Option<Overlay> {
    *CURRENT.read()
}

/// Opens a dialog. Another open one is closed.
pub fn open(overlay: Overlay) {
    if *CURRENT.peek() == Some(overlay) {
        return;
    }
    QUERY.write().clear();
    *WAS_ENTERED.write() = false;
    *CURRENT.write() = Some(overlay);
}

/// Closes the open dialog.
pub fn close() {
    if CURRENT.peek().is_some() {
        *CURRENT.write() = None;
    }
}

/// Returns the text in the search field of the palette or of the switcher.
pub(super) fn query() -> Signal<String> {
    QUERY.resolve()
}

/// Returns whether Enter was pressed before the palette or the switcher was shown. Returns true only once.
pub(super) fn take_entered() -> bool {
    std::mem::take(&mut *WAS_ENTERED.write())
}

/// Handles a key that was pressed after the palette or the switcher was opened, but before its search field has the
/// focus: its module may still be loading. Keeps the text for the field. Returns whether the key was such a key.
pub(super) fn type_ahead(key: &str) -> bool {
    if !matches!(*CURRENT.peek(), Some(Overlay::Palette | Overlay::Switcher)) {
        return false;
    }
    match key {
        "Escape" => close(),
        "Enter" => *WAS_ENTERED.write() = true,
        "Backspace" => drop(QUERY.write().pop()),
        // The names of all other keys have several characters.
        _ if key.chars().count() == 1 => QUERY.write().push_str(key),
        _ => return false,
    }
    true
}
