//! The dialog that starts an export and shows its progress until the file is ready.

use api_types::ExportStarted;
use dioxus::prelude::*;

use super::{
    acts::refresh,
    follow::FollowExport,
    form::{Choice, Chosen, ExportFields, PROBLEM},
};
use crate::{
    remote::{self, Failure, Method},
    ui::{CodeText, Dialog, Mark, Shape},
};

const FORM: &str = "export-form";

#[component]
pub(in crate::pages) fn ExportDialog(
    title: String,
    #[props(default)] description: String,
    choices: Vec<Choice>,
    /// Whether the choices are shown as a list instead of as radio buttons.
    #[props(default)]
    is_list: bool,
    /// Text of the button that starts the export.
    #[props(default = "Export".to_owned())]
    act: String,
    /// Id of the export that was started.
    started: Option<String>,
    on_started: EventHandler<String>,
    on_close: EventHandler<()>,
    /// Content below the fields, such as other ways to export the rows.
    children: Element,
) -> Element {
    // Dioxus compares keys only in lists, so this is a list of one element: another export must create a new component.
    if let Some(export) = started {
        return rsx! {
            for export in [export] {
                FollowExport { key: "{export}", title: title.clone(), export, on_close }
            }
        };
    }
    rsx! {
        ExportFormDialog { title, description, choices, is_list, act, on_started, on_close, {children} }
    }
}

#[component]
fn ExportFormDialog(
    title: String,
    description: String,
    choices: Vec<Choice>,
    is_list: bool,
    act: String,
    on_started: EventHandler<String>,
    on_close: EventHandler<()>,
    children: Element,
) -> Element {
    // The choice is an index into the list, so the open dialog keeps its list, even if the tables are read again.
    let choices = use_hook(|| choices);
    let chosen = use_signal(|| Chosen::new(&choices));
    let mut failure = use_signal(|| None::<Failure>);
    let mut busy = use_signal(|| false);
    let known = choices.clone();
    let start = move |event: FormEvent| {
        event.prevent_default();
        let Some(request) = chosen.peek().request(&known).filter(|_| !busy()) else { return };
        spawn(async move {
            busy.set(true);
            failure.set(None);
            match remote::send::<_, ExportStarted>(Method::Post, "/exports", &request).await {
                Ok(started) => {
                    refresh();
                    on_started.call(started.export_id);
                }
                Err(refused) => failure.set(Some(refused)),
            }
            busy.set(false);
        });
    };
    let refused_field = failure.read().as_ref().and_then(|failure| failure.field().map(str::to_owned));
    rsx! {
        Dialog {
            title,
            description,
            on_close: move |()| on_close.call(()),
            footer: rsx! {
                button { class: "btn btn-l", r#type: "button", onclick: move |_| on_close.call(()), "Cancel" }
                button {
                    class: "btn btn-primary btn-l", r#type: "submit", form: FORM, "aria-disabled": busy(), "{act}"
                }
            },
            form { id: FORM, class: "stack", onsubmit: start,
                ExportFields { choices, chosen, is_list, refused_field }
                if let Some(failure) = failure() {
                    p { class: "error", id: PROBLEM, role: "alert",
                        Mark { shape: Shape::Failed }
                        span { CodeText { text: failure.message() } }
                    }
                }
            }
            {children}
        }
    }
}
