//! Modal dialogs, and the functions that dialogs and sheets share: they return the focus, and submit with Ctrl-Enter.

use std::{
    cell::RefCell,
    sync::atomic::{AtomicU32, Ordering},
};

use dioxus::web::WebEventExt as _;
use dioxus::{events::MountedEvent, prelude::*};
use gloo_timers::future::TimeoutFuture;
use wasm_bindgen::JsCast as _;
use web_sys::{HtmlDialogElement, HtmlElement};

use super::{FormError, messages::DialogMessages};
use crate::{dom, focus};

static NEXT_ID: AtomicU32 = AtomicU32::new(0);

/// A native modal dialog with any content. The dialog keeps the focus inside, and returns the focus when it closes. The
/// dialog is open as long as it is rendered.
#[component]
pub fn ModalDialog(
    /// Accessible name. Absent if `labelled_by` names an element of the content.
    #[props(default)]
    name: Option<String>,
    #[props(default)] labelled_by: Option<String>,
    #[props(default)] described_by: Option<String>,
    #[props(default)] alert: bool,
    #[props(default)] class: String,
    /// Whether Esc and a click outside of the content close the dialog.
    #[props(default = true)]
    closable: bool,
    on_close: EventHandler<()>,
    children: Element,
) -> Element {
    use_returned_focus();
    rsx! {
        dialog {
            class: "overlay-dialog {class}",
            role: if alert { "alertdialog" },
            "aria-label": name,
            "aria-labelledby": labelled_by,
            "aria-describedby": described_by,
            onmounted: open_modal,
            oncancel: move |event| {
                event.prevent_default();
                if closable {
                    on_close.call(());
                }
            },
            onkeydown: move |event| {
                // Browsers close a dialog at the second Esc even if the first one was prevented.
                let is_prevented = event.data().try_as_web_event().is_some_and(|event| event.default_prevented());
                if submits(&event) {
                    event.prevent_default();
                    submit_by_key(&event, "dialog");
                } else if event.key() == Key::Escape && !is_prevented && !has_open_popover() {
                    event.prevent_default();
                    event.stop_propagation();
                    if closable {
                        on_close.call(());
                    }
                }
            },
            onmousedown: move |event| {
                if closable && event.data().try_as_web_event().is_some_and(|event| is_outside(&event)) {
                    on_close.call(());
                }
            },
            {children}
            DialogMessages {}
        }
    }
}

/// Returns whether a menu or another popover is open. The browser closes it with Esc, before the dialog or the sheet
/// that contains it.
pub(super) fn has_open_popover() -> bool {
    dom::find(":popover-open").is_some()
}

/// When the component is removed, gives the focus back to the element that has it now.
pub(super) fn use_returned_focus() {
    let before = use_hook(opener);
    use_drop(move || {
        // Elements outside of a modal dialog can get the focus only after it is removed.
        dioxus::core::spawn_forever(async move {
            TimeoutFuture::new(0).await;
            return_focus(before);
        });
    });
}

thread_local! {
    /// The element outside of all dialogs and sheets that had the focus when one of them was opened.
    static OPENER: RefCell<Option<HtmlElement>> = const { RefCell::new(None) };
}

/// Returns the element that opens the dialog or the sheet: the one that has the focus. If no element has the focus and
/// another dialog is open, returns the element that opened the first dialog or sheet.
fn opener() -> Option<HtmlElement> {
    let element = dom::active_element()?.dyn_into::<HtmlElement>().ok()?;
    // No element has the focus if the one that had it was removed or disabled, such as the button in a dialog that
    // opens another dialog.
    if element.tag_name() == "BODY" {
        if dom::find("dialog[open], .sheet").is_none() {
            // No element opens this dialog or sheet, and the one that opened an earlier one must not get the focus.
            OPENER.set(None);
        }
        return dom::find("dialog[open]").and_then(|_| OPENER.with_borrow(Clone::clone));
    }
    if element.closest("dialog, .sheet").is_ok_and(|around| around.is_none()) {
        OPENER.set(Some(element.clone()));
    }
    Some(element)
}

/// Focuses the element that had the focus before a dialog or a sheet. If it is gone, because another dialog or sheet
/// contained it or its row was deleted, focuses the element that opened the first of them, or the content of the page.
/// Does nothing if another element already has the focus, for example a field of a page that the dialog opened.
fn return_focus(before: Option<HtmlElement>) {
    let has_focus = || dom::active_element().is_some_and(|active| active.tag_name() != "BODY");
    let Some(before) = before.filter(|before| before.tag_name() != "BODY" && !has_focus()) else { return };
    let known = [Some(before), OPENER.with_borrow(Clone::clone)].into_iter().flatten();
    let is_returned = known.filter(|element| element.is_connected()).any(|element| {
        let _ = element.focus();
        has_focus()
    });
    if is_returned {
        // The row that opened the dialog may be removed once the list is read again.
        focus::hand_over("#main-content");
    } else {
        dom::focus("#main-content");
    }
}

/// Returns whether the keys are Ctrl-Enter or ⌘-Enter, which submit a form even from a field with several lines.
pub(super) fn submits(event: &KeyboardEvent) -> bool {
    event.key() == Key::Enter && (event.modifiers().ctrl() || event.modifiers().meta())
}

/// Clicks the submit button of the footer in the element `around` the event's target. Buttons that destroy something
/// have another type, so this function never clicks them.
pub(super) fn submit_by_key(event: &KeyboardEvent, around: &str) {
    let button = event
        .data()
        .try_as_web_event()
        .and_then(|event| dom::closest(&event, around))
        .and_then(|around| around.query_selector("footer button[type=submit]").ok().flatten())
        .and_then(|button| button.dyn_into::<HtmlElement>().ok());
    if let Some(button) = button {
        button.click();
    }
}

/// Returns whether an event is outside of a dialog's content. The dialog itself fills the window, and everything in it
/// is an element of its own.
fn is_outside(event: &web_sys::MouseEvent) -> bool {
    event.target().is_some_and(|target| target.has_type::<HtmlDialogElement>())
}

/// A modal dialog with a title, a body and buttons.
#[component]
pub fn Dialog(
    title: String,
    #[props(default)] description: String,
    /// Whether Esc and a click outside of the content close the dialog. False for content that is shown only once, and
    /// while a request is in progress that must not be interrupted.
    #[props(default = true)]
    closable: bool,
    #[props(default)] alert: bool,
    #[props(default)] wide: bool,
    on_close: EventHandler<()>,
    children: Element,
    footer: Element,
) -> Element {
    let class = if wide { "dialog dialog-wide" } else { "dialog" };
    // A dialog can open another one, so each has ids of its own.
    let id = use_hook(|| format!("dialog-{}", NEXT_ID.fetch_add(1, Ordering::Relaxed)));
    // Makes screen readers read the description when the dialog opens. They would skip it, because the focus begins
    // after it.
    let described_by = (!description.is_empty()).then(|| format!("{id}-description"));
    rsx! {
        ModalDialog {
            labelled_by: "{id}-title",
            described_by,
            alert,
            closable,
            on_close: move |()| on_close.call(()),
            div { class,
                header {
                    h2 { id: "{id}-title", "{title}" }
                    if !description.is_empty() {
                        p { id: "{id}-description", "{description}" }
                    }
                }
                div { class: "body", {children} }
                footer { {footer} }
            }
        }
    }
}

/// A dialog that asks before something is lost. Its button names the action.
#[component]
pub fn Confirm(
    act: String,
    /// The heading, if it says more than the button.
    #[props(default)]
    title: Option<String>,
    description: String,
    /// Text that must be typed before the button works.
    #[props(default)]
    typed: Option<String>,
    busy: bool,
    /// Whether the dialog can be closed. False while a request is in progress: closing the dialog would end the
    /// request's task, and the result would be lost.
    #[props(default = true)]
    closable: bool,
    #[props(default)] failure: Option<String>,
    on_confirm: EventHandler<()>,
    on_close: EventHandler<()>,
    children: Element,
) -> Element {
    let mut text = use_signal(String::new);
    let is_typed = typed.as_ref().is_none_or(|expected| *text.read() == *expected);
    let field = typed.map(|expected| {
        rsx! {
            label { class: "field",
                span { "Type " span { class: "mono", "{expected}" } " to confirm" }
                input {
                    class: "input",
                    "aria-label": "Type {expected} to confirm",
                    "data-confirm": "true",
                    autocomplete: "off",
                    spellcheck: "false",
                    value: "{text}",
                    oninput: move |event| text.set(event.value()),
                }
            }
        }
    });
    rsx! {
        Dialog {
            title: title.unwrap_or_else(|| act.clone()),
            description,
            closable,
            on_close: move |()| on_close.call(()),
            footer: rsx! {
                button {
                    class: "btn btn-l",
                    r#type: "button",
                    autofocus: true,
                    disabled: !closable,
                    onkeydown: move |event| {
                        if is_text(&event) {
                            // The browser then types the character into the field, if there is one.
                            dom::focus("dialog[open] input[data-confirm]");
                        }
                    },
                    onclick: move |_| on_close.call(()),
                    "Cancel"
                }
                button {
                    class: if is_typed && !busy { "btn btn-danger btn-l" } else { "btn btn-l" },
                    r#type: "button",
                    disabled: !is_typed,
                    "aria-disabled": busy,
                    onclick: move |_| on_confirm.call(()),
                    "{act}"
                }
            },
            {children}
            {field}
            if let Some(failure) = failure {
                FormError { text: failure }
            }
        }
    }
}

/// Returns whether a key types a character that is not a space, which clicks buttons.
fn is_text(event: &KeyboardEvent) -> bool {
    let modifiers = event.modifiers();
    let is_command = modifiers.ctrl() || modifiers.meta() || modifiers.alt();
    !is_command && matches!(event.key(), Key::Character(text) if text != " ")
}

fn open_modal(event: MountedEvent) {
    if let Some(element) = event.data().try_as_web_event()
        && let Ok(dialog) = element.dyn_into::<HtmlDialogElement>()
    {
        let _ = dialog.show_modal();
    }
}
