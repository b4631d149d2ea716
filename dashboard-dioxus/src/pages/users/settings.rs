//! The tab "Settings": how end users sign up and sign in, the lifetimes of tokens and sessions, the links in mails, and
//! the signing key.

use api_types::{AuthSettings, RotatedSigningKey};
use dioxus::prelude::*;

use super::{super::submit_key::submit_by_key, mails::MailFields, typed_settings::Typed};
use crate::{
    draft,
    remote::{self, Method},
    ui::{Confirm, FormError, messages},
};

#[component]
pub(super) fn SettingsForm(project: String, current: AuthSettings, on_saved: EventHandler<()>) -> Element {
    let name = use_hook(|| format!("auth.{project}"));
    let mut typed = draft::use_struct_draft(&name, Typed::from(&current));
    let mut error = use_signal(|| None::<String>);
    let mut busy = use_signal(|| false);
    let is_dirty = *typed.read() != Typed::from(&current);
    let saved = current.clone();
    let path = format!("/projects/{project}/auth");
    let submit = move |event: FormEvent| {
        event.prevent_default();
        if busy() || !is_dirty {
            return;
        }
        let (path, sent, before) = (path.clone(), typed.peek().clone(), saved.clone());
        spawn(async move {
            busy.set(true);
            error.set(None);
            match save(&path, &sent, &before).await {
                Ok(saved) => {
                    // The owner may have typed on during the request.
                    let now = draft::rebase(&*typed.peek(), &sent, &Typed::from(&saved));
                    typed.set(now);
                    messages::show("Settings saved");
                    on_saved.call(());
                }
                Err(problem) => error.set(Some(problem)),
            }
            busy.set(false);
        });
    };
    let reset = current.clone();
    rsx! {
        form { class: "section pt-2", onsubmit: submit, onkeydown: |event| submit_by_key(&event),
            div { class: "form",
                Switches { typed, has_mail: current.mail_configured }
                Lifetimes { typed }
                Links { typed }
                MailFields { mails: typed.read().mails.clone(), on_change: move |mails| typed.write().mails = mails }
                if let Some(error) = error() {
                    FormError { text: error }
                }
                div { class: "row",
                    button {
                        class: "btn btn-primary btn-l", r#type: "submit", "aria-disabled": busy() || !is_dirty,
                        "Save settings"
                    }
                    if is_dirty {
                        button {
                            class: "btn btn-ghost btn-l",
                            r#type: "button",
                            onclick: move |_| {
                                typed.set(Typed::from(&reset));
                                error.set(None);
                            },
                            "Cancel"
                        }
                    }
                    span { class: "muted", role: "status", if is_dirty { "Not saved" } }
                }
            }
        }
        if current.enabled {
            SigningKey { project }
        }
    }
}

/// Saves the changes from `saved`. Fails with a message.
async fn save(path: &str, typed: &Typed, saved: &AuthSettings) -> Result<AuthSettings, String> {
    let mut changes = typed.changes(saved)?;
    if changes.mail_texts.is_some() {
        // The API replaces the texts of all mails at once. Another tab may have changed other mails.
        let newest: AuthSettings = remote::get(path).await.map_err(|failure| failure.message())?;
        changes = draft::rebase(typed, &Typed::from(saved), &Typed::from(&newest)).changes(&newest)?;
    }
    remote::send(Method::Patch, path, &changes).await.map_err(|failure| failure.message())
}

#[component]
fn Switches(typed: Signal<Typed>, has_mail: bool) -> Element {
    let mut typed = typed;
    let has_site = !typed.read().site_url.trim().is_empty();
    rsx! {
        Switch {
            name: "End-user login",
            help: "While it is off, nobody can sign in, and users and their sessions are kept.",
            checked: typed.read().enabled,
            on_change: move |checked| typed.write().enabled = checked,
        }
        Switch {
            name: "Sign-up is open",
            help: "Anybody who has your publishable key can create an account. While it is off, only you can create \
                   users.",
            checked: typed.read().allow_signup,
            on_change: move |checked| typed.write().allow_signup = checked,
        }
        Switch {
            name: "Require a verified e-mail address",
            help: mail_help(has_mail, has_site, "Users can sign in once they have opened the mailed link."),
            checked: typed.read().require_verified_email,
            on_change: move |checked| typed.write().require_verified_email = checked,
        }
        Switch {
            name: "Sign-in with a mailed link",
            help: mail_help(
                has_mail,
                has_site,
                "Users can sign in with a link that works once, instead of a password.",
            ),
            checked: typed.read().allow_magic_link,
            on_change: move |checked| typed.write().allow_magic_link = checked,
        }
        Switch {
            name: "Check the session on every request",
            help: "Disabled and signed-out users are refused at once instead of when their access token expires. Each \
                   request needs one more lookup.",
            checked: typed.read().check_session,
            on_change: move |checked| typed.write().check_session = checked,
        }
    }
}

/// Returns the help for a setting that needs mailed links: `help`, or why no links are mailed.
fn mail_help(has_mail: bool, has_site: bool, help: &'static str) -> &'static str {
    match (has_mail, has_site) {
        (false, _) => "The server sends no mail: ATLASHUB_SMTP_URL and ATLASHUB_SMTP_FROM are not set.",
        (true, false) => "No links are mailed until you enter the address of the app below.",
        (true, true) => help,
    }
}

#[component]
fn Switch(name: String, help: String, checked: bool, on_change: EventHandler<bool>) -> Element {
    let id = name.to_lowercase().replace(' ', "-");
    rsx! {
        label { class: "check",
            input {
                class: "switch",
                r#type: "checkbox",
                role: "switch",
                "aria-label": "{name}",
                "aria-describedby": "{id}-help",
                checked,
                onchange: move |event| on_change.call(event.checked()),
            }
            span { "{name}" small { id: "{id}-help", "{help}" } }
        }
    }
}

#[component]
fn Lifetimes(typed: Signal<Typed>) -> Element {
    let mut typed = typed;
    rsx! {
        TextField {
            id: "access-token-seconds",
            label: "Access token lifetime (seconds)",
            help: "120 to 86 400. The app must refresh it before it expires.",
            value: typed.read().access_token_seconds.clone(),
            on_change: move |text| typed.write().access_token_seconds = text,
        }
        TextField {
            id: "refresh-token-days",
            label: "Lifetime of an unused session (days)",
            help: "1 to 3 650. Users who stay away for longer have to sign in again.",
            value: typed.read().refresh_token_days.clone(),
            on_change: move |text| typed.write().refresh_token_days = text,
        }
        TextField {
            id: "password-min-length",
            label: "Minimum password length (characters)",
            help: "6 to 128. Common passwords are refused at any length.",
            value: typed.read().password_min_length.clone(),
            on_change: move |text| typed.write().password_min_length = text,
        }
    }
}

#[component]
fn Links(typed: Signal<Typed>) -> Element {
    let mut typed = typed;
    rsx! {
        TextField {
            id: "site-url",
            label: "Address of the app",
            help: "Mailed links begin with it, for example https://app.example.com. Without it, no links are mailed.",
            value: typed.read().site_url.clone(),
            on_change: move |text| typed.write().site_url = text,
        }
        TextField {
            id: "verify-path",
            label: "Path of the link that verifies an e-mail address",
            value: typed.read().verify_path.clone(),
            on_change: move |text| typed.write().verify_path = text,
        }
        TextField {
            id: "reset-path",
            label: "Path of the link that resets a password",
            value: typed.read().reset_path.clone(),
            on_change: move |text| typed.write().reset_path = text,
        }
        TextField {
            id: "magic-link-path",
            label: "Path of the sign-in link",
            value: typed.read().magic_link_path.clone(),
            on_change: move |text| typed.write().magic_link_path = text,
        }
        TextField {
            id: "issuer",
            label: "Issuer",
            help: "The claim iss of access tokens. Leave empty for the default.",
            value: typed.read().issuer.clone(),
            on_change: move |text| typed.write().issuer = text,
        }
    }
}

#[component]
fn TextField(
    id: &'static str,
    label: &'static str,
    value: String,
    #[props(default)] help: &'static str,
    on_change: EventHandler<String>,
) -> Element {
    rsx! {
        div { class: "field",
            label { r#for: id, "{label}" }
            input {
                id,
                class: "input",
                autocomplete: "off",
                spellcheck: "false",
                value,
                "aria-describedby": (!help.is_empty()).then(|| format!("{id}-help")),
                oninput: move |event| on_change.call(event.value()),
            }
            if !help.is_empty() {
                p { class: "help", id: "{id}-help", "{help}" }
            }
        }
    }
}

#[component]
fn SigningKey(project: String) -> Element {
    let mut asking = use_signal(|| false);
    let mut busy = use_signal(|| false);
    let mut failure = use_signal(|| None::<String>);
    rsx! {
        section { class: "section", "aria-labelledby": "signing-key",
            div { class: "section-head", h2 { id: "signing-key", "Signing key" } }
            p { class: "muted mb-3",
                "Access tokens are signed with a key of this project. Rotating it signs nobody out: tokens of the old \
                    key stay valid until they expire."
            }
            button { class: "btn", r#type: "button", onclick: move |_| asking.set(true), "Rotate signing key" }
            if asking() {
                Confirm {
                    act: "Rotate signing key",
                    description: "New access tokens are signed with a new key from now on. Services that check tokens \
                        themselves must read the project's JWKS again.",
                    busy: busy(),
                    closable: !busy(),
                    failure: failure(),
                    on_confirm: move |()| {
                        let path = format!("/projects/{project}/auth/rotate-key");
                        spawn(async move {
                            busy.set(true);
                            let body = serde_json::json!({});
                            match remote::send::<_, RotatedSigningKey>(Method::Post, &path, &body).await {
                                Ok(rotated) => {
                                    messages::show(format!("The new key is {}", rotated.kid));
                                    asking.set(false);
                                }
                                Err(refused) => failure.set(Some(refused.message())),
                            }
                            busy.set(false);
                        });
                    },
                    on_close: move |()| asking.set(false),
                }
            }
        }
    }
}
