//! The keys that may sign plugins: their list, the sheet of a key, and the dialogs that trust and revoke a key.

use api_types::{AddTrustedKey, Page as ApiPage, Plugin, RevokeTrustedKey, TrustedKey};
use dioxus::prelude::*;

use super::{super::not_saved::NotSaved, acts::forget_plugins};
use crate::{
    address, draft,
    remote::{self, Method, RemoteState, use_remote},
    text,
    ui::{
        Confirm, CopyButton, Dialog, ErrorBox, Field, Icon, IconName, Link, LoadingTable, Mark, RequiredMark, Shape,
        Sheet, messages, narrow::use_is_narrow,
    },
};

/// The keys that may sign plugins.
#[component]
pub(super) fn TrustedKeys(plugins: Vec<Plugin>) -> Element {
    let mut keys = use_remote::<ApiPage<TrustedKey>>(use_signal(|| "/trusted-keys?limit=200".to_owned()).into());
    let mut revoking = use_signal(|| None::<TrustedKey>);
    let trusting = address::use_parameter("trust");
    let open = address::use_parameter("key");
    let is_narrow = use_is_narrow();
    let items = keys.value().map(|page| page.items).unwrap_or_default();
    let content = match keys.state() {
        RemoteState::Loading => rsx! { LoadingTable { name: "Trusted keys", columns: 5 } },
        RemoteState::Failed(failure) => rsx! {
            ErrorBox { what: "Keys could not be loaded.", failure, on_retry: move |()| keys.refresh() }
        },
        RemoteState::Ready(page) if is_narrow => rsx! {
            ul { class: "cards", "aria-label": "Trusted keys",
                for key in page.items {
                    li { key: "{key.id}", class: "card",
                        h3 { KeyLink { trusted: key.clone() } KeyState { trusted: key.clone() } }
                        p { class: "mono", "{key.id}" }
                        div { class: "row", KeyActs { trusted: key, revoking } }
                    }
                }
            }
        },
        RemoteState::Ready(page) => rsx! {
            table { class: "table", "aria-label": "Trusted keys",
                thead {
                    tr {
                        th { "Name" }
                        th { "Id" }
                        th { "State" }
                        th { class: "num", "Since" }
                        th { class: "acts", span { class: "sr", "Actions" } }
                    }
                }
                tbody {
                    for key in page.items {
                        tr { key: "{key.id}", "aria-selected": (open.as_ref() == Some(&key.id)).to_string(),
                            td { class: "name", KeyLink { trusted: key.clone() } }
                            td { class: "mono", "{key.id}" }
                            td { KeyState { trusted: key.clone() } }
                            td { class: "num muted", title: text::exact(key.created_at), {text::date(key.created_at)} }
                            td { class: "acts", KeyActs { trusted: key.clone(), revoking } }
                        }
                    }
                }
            }
        },
    };
    let opened = open.and_then(|id| items.iter().find(|key| key.id == id).cloned());
    rsx! {
        div { class: "bleed-head",
            h2 { "Trusted keys" }
            span {
                class: "push",
                Link { to: "/plugins?trust=", class: "btn btn-ghost btn-s", Icon { name: IconName::Plus } "Add key" }
            }
        }
        {content}
        // Dioxus compares keys only in lists, so this is a loop instead of a condition: another key must create a new
        // dialog.
        for id in trusting {
            TrustKey { key: "{id}", proposed: items.iter().find(|key| key.id == id).cloned(), id }
        }
        if let Some(key) = opened {
            KeySheet { trusted: key, plugins: plugins.clone() }
        }
        if let Some(key) = revoking() {
            RevokeKey { trusted: key, plugins, on_close: move |()| revoking.set(None) }
        }
    }
}

#[component]
fn KeyLink(trusted: TrustedKey) -> Element {
    rsx! {
        Link { to: address::with_parameters("/plugins", &[("key", Some(&trusted.id))]), class: "grow",
            "{trusted.name}"
        }
    }
}

#[component]
fn KeyState(trusted: TrustedKey) -> Element {
    let (shape, words) = match &trusted.revoked_at {
        Some(at) => (Shape::Cancelled, format!("Revoked {}", text::day(*at))),
        None if trusted.proposed => (Shape::Attention, "Proposed by a file".to_owned()),
        None => (Shape::Succeeded, "Trusted".to_owned()),
    };
    rsx! { span { class: "badge", title: trusted.revoked_at.map(text::exact), Mark { shape } "{words}" } }
}

#[component]
fn KeyActs(trusted: TrustedKey, revoking: Signal<Option<TrustedKey>>) -> Element {
    let mut revoking = revoking;
    if trusted.revoked_at.is_some() {
        return rsx! {};
    }
    if trusted.proposed {
        let to = address::with_parameters("/plugins", &[("trust", Some(&trusted.id))]);
        return rsx! {
            button {
                class: "btn btn-s",
                r#type: "button",
                "aria-label": "Trust key {trusted.name}",
                onclick: move |_| address::go(&to),
                "Trust key"
            }
        };
    }
    if trusted.first_party {
        return rsx! { span { class: "muted", "comes with AtlasHub" } };
    }
    rsx! {
        button {
            class: "btn btn-ghost btn-s",
            r#type: "button",
            "aria-label": "Revoke key {trusted.name}",
            onclick: move |_| revoking.set(Some(trusted.clone())),
            "Revoke key"
        }
    }
}

/// The dialog that trusts a key: a key that a file proposes, or one that the owner pastes.
#[component]
fn TrustKey(id: String, proposed: Option<TrustedKey>) -> Element {
    let is_proposed = proposed.is_some();
    let form = draft::use_form(|| format!("trust-key.{id}"));
    let (saved_name, saved_key) = proposed.map(|key| (key.name, key.public_key)).unwrap_or_default();
    let name = form.use_field("name", saved_name.clone());
    let mut public_key = form.use_field("key", saved_key.clone());
    let is_dirty = *name.read() != saved_name || *public_key.read() != saved_key;
    let mut error = use_signal(|| None::<String>);
    let mut busy = use_signal(|| false);
    let close = || address::push_parameter("trust", None);
    let cancel = move |_| {
        form.forget();
        close();
    };
    let description = match (is_proposed, id.is_empty()) {
        (true, _) => "A file in the folder trusted-keys proposes this key. Compare its id with the id that the \
                      publisher states, for example on a website."
            .to_owned(),
        (false, false) => format!("The plugin is signed with the key {id}. Get the public key from its publisher."),
        (false, true) => "Plugins that are signed with a trusted key can ask for your approval.".to_owned(),
    };
    rsx! {
        Dialog {
            title: "Trust key",
            description,
            on_close: move |()| close(),
            footer: rsx! {
                NotSaved { is_dirty }
                button { class: "btn btn-l", r#type: "button", onclick: cancel, "Cancel" }
                button {
                    class: "btn btn-primary btn-l",
                    r#type: "submit",
                    form: "trust-key",
                    "aria-disabled": busy(),
                    "Trust key"
                }
            },
            form {
                id: "trust-key",
                class: "stack",
                onsubmit: move |event| {
                    event.prevent_default();
                    spawn(async move {
                        busy.set(true);
                        let request = AddTrustedKey {
                            name: name.peek().trim().to_owned(),
                            public_key: public_key.peek().trim().to_owned(),
                        };
                        match remote::send::<_, TrustedKey>(Method::Post, "/trusted-keys", &request).await {
                            Ok(_) => {
                                form.forget();
                                messages::show("Key trusted");
                                forget_plugins();
                                close();
                            }
                            Err(refused) => error.set(Some(refused.message())),
                        }
                        busy.set(false);
                    });
                },
                Field { id: "trusted-name", label: "Name", required: true, value: name, autofocus: true }
                div { class: "field",
                    label { r#for: "trusted-key",
                        "Public key"
                        RequiredMark {}
                    }
                    textarea {
                        id: "trusted-key",
                        class: "input mono",
                        rows: 3,
                        spellcheck: "false",
                        readonly: is_proposed,
                        placeholder: "The line of base64, or the whole .pub file",
                        value: "{public_key}",
                        "aria-required": "true",
                        "aria-describedby": "trusted-key-error",
                        "aria-invalid": if error.read().is_some() { "true" },
                        oninput: move |event| public_key.set(event.value()),
                    }
                    if let Some(error) = error() {
                        p {
                            class: "error",
                            id: "trusted-key-error",
                            role: "alert",
                            Mark { shape: Shape::Failed }
                            "{error}"
                        }
                    }
                }
            }
        }
    }
}

#[component]
fn RevokeKey(trusted: TrustedKey, plugins: Vec<Plugin>, on_close: EventHandler<()>) -> Element {
    let mut busy = use_signal(|| false);
    let mut failure = use_signal(|| None::<String>);
    let stopped: Vec<String> = signed_with(&plugins, &trusted.id).into_iter().map(|plugin| plugin.name).collect();
    let lost = match stopped.len() {
        0 => "No plugin uses it.".to_owned(),
        1 => format!("1 plugin stops: {}.", text::list(&stopped)),
        count => format!("{count} plugins stop: {}.", text::list(&stopped)),
    };
    let ends = match trusted.first_party {
        true => " Backups, cleanups, imports, exports, HTTP jobs and jobs of the plugin migrations never run again.",
        false => "",
    };
    let path = format!("/trusted-keys/{}", trusted.id);
    let name = trusted.name.clone();
    rsx! {
        Confirm {
            act: "Revoke key",
            description: "{trusted.name}: {lost}{ends} A revoked key can't be trusted again.",
            typed: (trusted.first_party || !stopped.is_empty()).then(|| trusted.name.clone()),
            busy: busy(),
            closable: !busy(),
            failure: failure(),
            on_close: move |()| on_close.call(()),
            on_confirm: move |()| {
                let (path, request) = (path.clone(), RevokeTrustedKey { confirm: name.clone() });
                spawn(async move {
                    busy.set(true);
                    match remote::send::<_, ()>(Method::Delete, &path, &request).await {
                        Ok(()) => {
                            messages::show("Key revoked");
                            forget_plugins();
                            on_close.call(());
                        }
                        Err(refused) => failure.set(Some(refused.message())),
                    }
                    busy.set(false);
                });
            },
        }
    }
}

fn signed_with(plugins: &[Plugin], key: &str) -> Vec<Plugin> {
    plugins.iter().filter(|plugin| plugin.key_id.as_deref() == Some(key)).cloned().collect()
}

#[component]
fn KeySheet(trusted: TrustedKey, plugins: Vec<Plugin>) -> Element {
    let signed = signed_with(&plugins, &trusted.id);
    rsx! {
        Sheet { title: "Key {trusted.name}", on_close: |()| address::push_parameter("key", None),
            dl { class: "dl",
                dt { "State" }
                dd { KeyState { trusted: trusted.clone() } }
                dt { "Id" }
                dd { class: "mono", "{trusted.id}" }
                dt { "Since" }
                dd { title: text::exact(trusted.created_at), {text::date(trusted.created_at)} }
                dt { "Public key" }
                dd { class: "row",
                    span { class: "mono cut", title: "{trusted.public_key}", "{trusted.public_key}" }
                    CopyButton { name: "Copy public key", text: trusted.public_key.clone() }
                }
            }
            div { class: "stack stack-2",
                h3 { "Signs" }
                if signed.is_empty() {
                    p { class: "muted", "No plugin on this server is signed with this key." }
                }
                ul { class: "rows",
                    for plugin in signed {
                        li { key: "{plugin.name}",
                            Link {
                                to: address::with_parameters("/plugins", &[("plugin", Some(&plugin.name))]),
                                "{plugin.name}"
                            }
                        }
                    }
                }
            }
        }
    }
}
