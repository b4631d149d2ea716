//! The note "Not saved" of a dialog with a form.

use dioxus::prelude::*;

/// The status of a form in the footer of its dialog: whether it has unsaved input.
#[component]
pub(super) fn NotSaved(is_dirty: bool) -> Element {
    rsx! { span { class: "label muted not-saved-first", role: "status", if is_dirty { "Not saved" } } }
}
