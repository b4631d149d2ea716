//! The dialog "Rotate key".

use api_types::{ApiKey, CreatedApiKey, RotateApiKey};
use dioxus::prelude::*;

use super::{create::not_created, list::full_name};
use crate::{
    remote::{self, Method},
    text,
    ui::{Dialog, FormError},
};

/// Choices for how long a rotated key keeps working: label and seconds.
const OVERLAPS: [(&str, u32); 5] =
    [("Not at all", 0), ("1 hour", 3_600), ("1 day", 86_400), ("7 days", 604_800), ("30 days", 2_592_000)];

#[component]
pub(super) fn RotateKey(
    project: String,
    api_key: ApiKey,
    on_created: EventHandler<CreatedApiKey>,
    on_close: EventHandler<()>,
) -> Element {
    let mut overlap = use_signal(|| 86_400_u32);
    let mut error = use_signal(|| None::<String>);
    let mut busy = use_signal(|| false);
    let named = full_name(&api_key);
    let used = api_key.last_used_at.map_or_else(
        || "It has never been used.".to_owned(),
        |time| format!("It was last used {}.", text::age(time, text::now())),
    );
    let keys = format!("/projects/{project}/keys");
    let path = format!("{keys}/{}/rotate", api_key.id);
    let rotate = move |event: FormEvent| {
        event.prevent_default();
        let (path, keys) = (path.clone(), keys.clone());
        spawn(async move {
            busy.set(true);
            error.set(None);
            match remote::send::<_, CreatedApiKey>(Method::Post, &path, &RotateApiKey { overlap_seconds: overlap() })
                .await
            {
                Ok(created) => on_created.call(created),
                Err(failure) => {
                    remote::forget(&keys);
                    error.set(Some(not_created(&failure)));
                }
            }
            busy.set(false);
        });
    };
    rsx! {
        Dialog {
            title: "Rotate key",
            description: "A new key replaces this one: {named}. {used}",
            // Closing the dialog would end the request's task, and the new key would never be shown.
            closable: !busy(),
            on_close: move |()| on_close.call(()),
            footer: rsx! {
                button {
                    class: "btn btn-l", r#type: "button", "aria-disabled": busy(), onclick: move |_| on_close.call(()),
                    "Cancel"
                }
                button {
                    class: "btn btn-primary btn-l", r#type: "submit", form: "rotate-key", "aria-disabled": busy(),
                    "Rotate key"
                }
            },
            form { id: "rotate-key", class: "stack", onsubmit: rotate,
                div { class: "field",
                    label { r#for: "overlap", "Old key keeps working for" }
                    select {
                        id: "overlap",
                        class: "input",
                        autofocus: true,
                        onchange: move |event| overlap.set(event.value().parse().unwrap_or_default()),
                        for (label, seconds) in OVERLAPS {
                            option { key: "{seconds}", value: "{seconds}", selected: seconds == 86_400, "{label}" }
                        }
                    }
                }
                if let Some(error) = error() {
                    FormError { text: error }
                }
            }
        }
    }
}
