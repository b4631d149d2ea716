use dioxus::prelude::*;

use crate::ui::{CopyButton, Dialog};

/// New keys, which are shown only once.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct NewKeys {
    pub(super) secret: Option<String>,
    pub(super) publishable: Option<String>,
}

/// Shows new keys until the owner confirms that they are stored.
#[component]
pub(super) fn StoreKeys(keys: NewKeys, api_url: String, on_done: EventHandler<()>) -> Element {
    let mut stored = use_signal(|| false);
    let title = if keys.secret.is_some() && keys.publishable.is_some() { "Store your keys" } else { "Store your key" };
    let description = if title == "Store your keys" {
        "They are shown only once. Later you see only their first characters."
    } else {
        "It is shown only once. Later you see only its first characters."
    };
    let mut lines = format!("ATLASHUB_API_URL={api_url}\n");
    for (name, key) in [("ATLASHUB_PUBLISHABLE_KEY", &keys.publishable), ("ATLASHUB_SECRET_KEY", &keys.secret)] {
        if let Some(key) = key {
            lines.push_str(&format!("{name}={key}\n"));
        }
    }
    rsx! {
        Dialog {
            title,
            description,
            wide: true,
            closable: false,
            on_close: |()| {},
            footer: rsx! {
                label { class: "check grow",
                    input {
                        class: "box",
                        r#type: "checkbox",
                        checked: stored(),
                        autofocus: true,
                        onchange: move |event| stored.set(event.checked()),
                    }
                    "I have stored it"
                }
                button {
                    class: "btn btn-primary btn-l",
                    r#type: "button",
                    disabled: !stored(),
                    onclick: move |_| on_done.call(()),
                    "Done"
                }
            },
            if let Some(key) = keys.secret {
                ShownKey { label: "Secret key", copy: "Copy secret key", text: key, help: "For servers only. It may read and write everything in the project." }
            }
            if let Some(key) = keys.publishable {
                ShownKey { label: "Publishable key", copy: "Copy publishable key", text: key, help: "For browsers. It may do nothing until you open a table or a bucket." }
            }
            div { class: "code",
                div { class: "code-head",
                    span { class: "grow", ".env" }
                    CopyButton { name: "Copy .env lines", label: "Copy .env lines", text: lines.clone() }
                }
                pre { "{lines}" }
            }
        }
    }
}

#[component]
fn ShownKey(label: String, copy: String, text: String, help: String) -> Element {
    rsx! {
        div { class: "field",
            span { class: "label", "{label}" }
            div { class: "input input-icon", "aria-readonly": "true",
                input { class: "mono", readonly: true, "aria-label": "{label}", value: "{text}" }
                CopyButton { name: copy, label: "Copy", class: "copy-short", text: text.clone() }
            }
            p { class: "help", "{help}" }
        }
    }
}
