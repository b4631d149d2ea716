use dioxus::web::WebEventExt as _;
use dioxus::{events::MountedEvent, prelude::*};
use gloo_timers::future::TimeoutFuture;
use wasm_bindgen::JsCast as _;
use web_sys::{HtmlDialogElement, HtmlElement};

use crate::dom;

/// A native modal dialog with any content. It keeps the focus inside and returns it when it closes. It is open as long
/// as it is rendered.
#[component]
pub fn ModalDialog(
    /// Accessible name. Absent if `labelled_by` names an element of the content.
    #[props(default)]
    name: Option<String>,
    #[props(default)] labelled_by: Option<String>,
    #[props(default)] alert: bool,
    #[props(default)] class: String,
    /// Whether Esc and a click outside of the content close the dialog.
    #[props(default = true)]
    closable: bool,
    on_close: EventHandler<()>,
    children: Element,
) -> Element {
    let before = use_hook(|| dom::active_element().and_then(|element| element.dyn_into::<HtmlElement>().ok()));
    use_drop(move || {
        if let Some(before) = before {
            // Elements outside of a modal dialog can get the focus only after it is removed.
            dioxus::core::spawn_forever(async move {
                TimeoutFuture::new(0).await;
                let _ = before.focus();
            });
        }
    });
    rsx! {
        dialog {
            class: "overlay-dialog {class}",
            role: if alert { "alertdialog" },
            "aria-label": name,
            "aria-labelledby": labelled_by,
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
                if event.key() == Key::Escape && !is_prevented {
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
        }
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
    /// Whether Esc closes the dialog. False for content that is shown only once.
    #[props(default = true)]
    closable: bool,
    #[props(default)] alert: bool,
    #[props(default)] wide: bool,
    on_close: EventHandler<()>,
    children: Element,
    footer: Element,
) -> Element {
    let class = if wide { "dialog dialog-wide" } else { "dialog" };
    rsx! {
        ModalDialog { labelled_by: "dialog-title", alert, closable, on_close: move |()| on_close.call(()),
            div { class,
                header {
                    h2 { id: "dialog-title", "{title}" }
                    if !description.is_empty() {
                        p { "{description}" }
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
            on_close: move |()| on_close.call(()),
            footer: rsx! {
                button {
                    class: "btn btn-l", r#type: "button", autofocus: true, onclick: move |_| on_close.call(()), "Cancel"
                }
                button {
                    class: if is_typed && !busy { "btn btn-danger btn-l" } else { "btn btn-l" },
                    r#type: "button",
                    disabled: busy || !is_typed,
                    onclick: move |_| on_confirm.call(()),
                    "{act}"
                }
            },
            {children}
            {field}
            if let Some(failure) = failure {
                p { class: "error", role: "alert", "{failure}" }
            }
        }
    }
}

fn open_modal(event: MountedEvent) {
    if let Some(element) = event.data().try_as_web_event()
        && let Ok(dialog) = element.dyn_into::<HtmlDialogElement>()
    {
        let _ = dialog.show_modal();
    }
}
