//! The dialog that shows new keys once. It belongs to no page, so that neither the Back button nor a change that the
//! server reports can close it before the owner has stored the keys.
//!
//! The dashboard loads the code of the dialog in the background, and shows new keys as soon as the code is loaded.

use api_types::{CreatedApiKey, CreatedProject, KeyType};
use dioxus::prelude::*;

use super::{
    allowed_origins::{AllowLocal, use_allows_no_origins},
    code_tabs::CodeTabs,
};
use crate::{
    address,
    remote::{RemoteState, SystemBrief, use_remote},
    ui::{CodeText, CopyButton, Dialog, Icon, IconName, Mark, Shape},
};

/// New keys, which are shown only once.
#[derive(Debug, Clone, PartialEq, Default)]
struct NewKeys {
    project: String,
    secret: Option<String>,
    publishable: Option<String>,
    /// The page that opens afterwards. `None` stays on the current page.
    next: Option<String>,
}

static SHOWN: GlobalSignal<Option<NewKeys>> = Signal::global(|| None);

/// Shows the keys of a new project, and then the project.
pub(super) fn show_keys_of_project(created: CreatedProject) {
    let next = format!("/projects/{}", created.project.id);
    show_keys_before(created, Some(next));
}

/// Shows the keys of a new project. Then opens the page `next`, or stays on the current page if `next` is `None`.
pub(super) fn show_keys_before(created: CreatedProject, next: Option<String>) {
    *SHOWN.write() = Some(NewKeys {
        secret: Some(created.secret_key),
        publishable: Some(created.publishable_key),
        next,
        project: created.project.id,
    });
}

/// Shows a new key of a project.
pub(super) fn show_key(project: String, created: CreatedApiKey) {
    let (secret, publishable) = match created.api_key.key_type {
        KeyType::Secret => (Some(created.key), None),
        KeyType::Publishable => (None, Some(created.key)),
    };
    *SHOWN.write() = Some(NewKeys { project, secret, publishable, next: None });
}

/// The dialog, shown while there are new keys.
#[component]
pub fn NewKeysDialog() -> Element {
    let Some(keys) = SHOWN.read().clone() else { return rsx! {} };
    rsx! { StoreKeys { keys } }
}

#[component]
fn StoreKeys(keys: NewKeys) -> Element {
    let mut system = use_remote::<SystemBrief>(use_signal(|| "/system".to_owned()).into());
    let (api_url, url_failure) = match system.state() {
        RemoteState::Ready(system) => (system.public_url, None),
        RemoteState::Failed(failure) => (String::new(), Some(failure.message())),
        RemoteState::Loading => (String::new(), None),
    };
    let allows_no_origins = use_allows_no_origins(use_signal(|| keys.project.clone()).into());
    let mut stored = use_signal(|| false);
    let title = if keys.secret.is_some() && keys.publishable.is_some() { "Store your keys" } else { "Store your key" };
    let description = if title == "Store your keys" {
        "They are shown only once. Copy them into your app's .env file or a password manager."
    } else {
        "It is shown only once. Copy it into your app's .env file or a password manager."
    };
    let chosen = use_signal(|| 0_usize);
    let (copy, lines) = match chosen() {
        0 => ("Copy .env lines", env_lines(&keys, &api_url)),
        _ => ("Copy .env.local lines", next_js_lines(&keys, &api_url)),
    };
    let for_browsers = keys.publishable.is_some();
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
                    onclick: {
                        let next = keys.next.clone();
                        move |_| {
                            *SHOWN.write() = None;
                            if let Some(next) = &next {
                                address::go(next);
                            }
                        }
                    },
                    "Done"
                }
            },
            if let Some(key) = keys.secret {
                ShownKey {
                    label: "Secret key", copy: "Copy secret key", text: key,
                    help: "For servers only. It can read and write everything in the project."
                }
            }
            if let Some(key) = keys.publishable {
                ShownKey {
                    label: "Publishable key", copy: "Copy publishable key", text: key,
                    help: "For browsers. It can reach only the tables and buckets that you open for it."
                }
                if allows_no_origins {
                    div { class: "banner", role: "note",
                        Icon { name: IconName::Globe }
                        p {
                            "Before an app in a browser can use this key, enter the app's origin under Settings › \
                             Allowed origins of the project. Until then, the app gets 403 "
                            code { "origin_not_allowed" }
                            "."
                        }
                        AllowLocal { project: keys.project.clone() }
                    }
                }
            }
            if let Some(failure) = url_failure {
                div { class: "banner t-warning", role: "alert",
                    Mark { shape: Shape::Attention }
                    p {
                        "The API URL could not be loaded, so it is missing in the lines below. "
                        CodeText { text: failure }
                    }
                    button { class: "btn btn-s", r#type: "button", onclick: move |_| system.refresh(), "Try again" }
                }
            }
            div { class: "code",
                div { class: "code-head",
                    if for_browsers {
                        CodeTabs { name: "Lines", id: "key-lines", labels: vec![".env", "Next.js .env.local"], chosen }
                    } else {
                        span { class: "grow", ".env" }
                    }
                    CopyButton { name: copy, label: copy, text: lines.clone() }
                }
                pre {
                    id: "key-lines-panel",
                    role: for_browsers.then_some("tabpanel"),
                    "aria-label": for_browsers.then_some("Lines"),
                    class: "whitespace-pre-wrap break-all",
                    "{lines}"
                }
            }
        }
    }
}

/// Returns the lines of an `.env` file.
fn env_lines(keys: &NewKeys, api_url: &str) -> String {
    let mut lines = format!("ATLASHUB_API_URL={api_url}\n");
    for (name, key) in [("ATLASHUB_PUBLISHABLE_KEY", &keys.publishable), ("ATLASHUB_SECRET_KEY", &keys.secret)] {
        if let Some(key) = key {
            lines.push_str(&format!("{name}={key}\n"));
        }
    }
    lines
}

/// Returns the lines of the `.env.local` file of a Next.js app. Only variables whose names start with `NEXT_PUBLIC_`
/// reach the browser.
fn next_js_lines(keys: &NewKeys, api_url: &str) -> String {
    let mut lines = String::new();
    if let Some(key) = &keys.publishable {
        lines
            .push_str(&format!("NEXT_PUBLIC_ATLASHUB_API_URL={api_url}\nNEXT_PUBLIC_ATLASHUB_PUBLISHABLE_KEY={key}\n"));
    }
    if let Some(key) = &keys.secret {
        lines.push_str(&format!("ATLASHUB_API_URL={api_url}\nATLASHUB_SECRET_KEY={key}\n"));
    }
    lines
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_publishable_key_reaches_browsers_of_a_next_js_app() {
        let keys = NewKeys {
            secret: Some("ah_sec_1".to_owned()),
            publishable: Some("ah_pub_1".to_owned()),
            ..NewKeys::default()
        };
        assert_eq!(
            next_js_lines(&keys, "https://api.example.com"),
            "NEXT_PUBLIC_ATLASHUB_API_URL=https://api.example.com\n\
             NEXT_PUBLIC_ATLASHUB_PUBLISHABLE_KEY=ah_pub_1\n\
             ATLASHUB_API_URL=https://api.example.com\nATLASHUB_SECRET_KEY=ah_sec_1\n"
        );
        assert!(env_lines(&keys, "").starts_with("ATLASHUB_API_URL=\nATLASHUB_PUBLISHABLE_KEY=ah_pub_1\n"));
    }
}
