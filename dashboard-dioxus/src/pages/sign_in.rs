//! `/sign-in`: signs in with the admin token. A one-time code in the address's fragment signs in without the form.

use api_types::CreateSession;
use dioxus::prelude::*;

use crate::{
    address, dom,
    frame::{ServerGone, gate::SessionUnchecked},
    remote::{
        Failure,
        session::{self, SessionState},
    },
    ui::{Icon, IconName, Link, Mark, Shape, use_countdown},
};

#[component]
pub fn SignIn() -> Element {
    address::use_first();
    use_hook(|| spawn(session::start()));
    use_effect(|| match session::state() {
        SessionState::SignedIn { .. } => open_next(),
        SessionState::Unreachable | SessionState::Unchecked(_) => {}
        _ => dom::set_title("Sign in · AtlasHub"),
    });
    let content = match session::state() {
        SessionState::Unreachable => return rsx! { ServerGone {} },
        SessionState::Unchecked(failure) => return rsx! { SessionUnchecked { failure } },
        SessionState::SignedOut { by_access: false } => rsx! { TokenForm {} },
        SessionState::SignedOut { by_access: true } => rsx! { AccessHelp {} },
        SessionState::Ended => rsx! { SignInElsewhere {} },
        SessionState::Unknown | SessionState::SignedIn { .. } => rsx! {
            p { class: "muted late", role: "status", "Loading…" }
        },
    };
    rsx! {
        main { class: "solo", "aria-labelledby": "h1",
            div { class: "solo-card",
                div {
                    p { class: "row muted label mb-3", span { class: "glyph", "aria-hidden": "true", "A" } "AtlasHub" }
                    h1 { id: "h1", "Sign in" }
                }
                {content}
            }
        }
    }
}

#[component]
fn TokenForm() -> Element {
    let mut token = use_signal(String::new);
    let mut shown = use_signal(|| false);
    let mut busy = use_signal(|| false);
    let mut error = use_signal(|| None::<String>);
    let mut countdown = use_countdown();
    let submit = move |event: FormEvent| {
        event.prevent_default();
        if busy() || countdown.left() > 0 {
            return;
        }
        spawn(async move {
            busy.set(true);
            let credentials = CreateSession { code: None, token: Some(token.peek().trim().to_owned()) };
            if let Err(failure) = session::sign_in(&credentials).await {
                countdown.start(failure.retry_after().unwrap_or_default());
                error.set(Some(describe(&failure)));
                focus_token();
            }
            busy.set(false);
        });
    };
    rsx! {
        form { class: "stack", onsubmit: submit,
            div { class: "field",
                label { r#for: "token", "Admin token" }
                div { class: "input input-icon", "aria-invalid": if error().is_some() { "true" },
                    input {
                        id: "token",
                        class: "mono",
                        r#type: if shown() { "text" } else { "password" },
                        autocomplete: "current-password",
                        autofocus: true,
                        required: true,
                        value: "{token}",
                        "aria-invalid": if error().is_some() { "true" },
                        "aria-describedby": if error().is_some() { "token-error" },
                        oninput: move |event| token.set(event.value()),
                    }
                    button {
                        class: "btn btn-ghost btn-icon btn-s",
                        r#type: "button",
                        "aria-label": "Show token",
                        "aria-pressed": "{shown}",
                        onclick: move |_| shown.toggle(),
                        Icon { name: IconName::Eye }
                    }
                }
                if let Some(error) = error() {
                    p {
                        class: "error", id: "token-error", role: "alert", Mark { shape: Shape::Failed }
                        "{error}"
                    }
                }
            }
            button { class: "btn btn-primary btn-l", r#type: "submit", "aria-disabled": busy() || countdown.left() > 0,
                if countdown.left() > 0 { "Sign in (wait {countdown.left()} s)" } else { "Sign in" }
            }
        }
        hr { class: "rule" }
        div { class: "stack stack-2 label muted",
            p {
                "The token is in the file " code { "secrets/admin-token" }
                " of the data folder, by default " code { ".atlashub/secrets/admin-token" }
                ", or in " code { "DEV_ADMIN_TOKEN" }
                " if you set it."
            }
            p { "When AtlasHub starts, it also prints a link that signs you in once." }
            p { "In production, Cloudflare Access signs you in, and this page is not needed." }
        }
    }
}

/// Instructions for servers that accept only Cloudflare Access.
#[component]
fn AccessHelp() -> Element {
    rsx! {
        div { class: "stack stack-3 muted",
            p { "This server accepts only sign-ins through Cloudflare Access. Your request did not come through it." }
            p {
                "Open the dashboard at its public address. The section “Cloudflare Tunnel and Access” of the README \
                 explains how to set up Access."
            }
            Link { to: "/", class: "btn btn-l", "Try again" }
        }
    }
}

/// Shown if another program in front of the server asks for a sign-in, for example Cloudflare Access.
#[component]
fn SignInElsewhere() -> Element {
    rsx! {
        p { class: "muted", "Your sign-in has ended. Sign in again to continue." }
        button {
            class: "btn btn-primary btn-l",
            r#type: "button",
            // A real navigation, so that Cloudflare Access can show its sign-in page.
            onclick: |_| dom::open_here(&next_address()),
            "Sign in again"
        }
    }
}

/// Opens the page that the owner requested before the sign-in.
fn open_next() {
    navigator().replace(address::target(&next_address()));
}

fn next_address() -> String {
    address::parameter("next").filter(|next| is_own_address(next)).unwrap_or_else(|| "/".to_owned())
}

/// Returns whether an address is one of the dashboard. Browsers treat a backslash as a slash and ignore line breaks and
/// tabs, so `/\example.com` would lead to another host.
fn is_own_address(address: &str) -> bool {
    let is_path = address.starts_with('/') && !address.starts_with("//");
    is_path && !address.contains(|character: char| character == '\\' || character.is_control())
}

fn describe(failure: &Failure) -> String {
    match failure {
        Failure::Refused { status: 401, .. } => "That token isn't valid.".to_owned(),
        Failure::Refused { status: 429, retry_after: Some(seconds), .. } => {
            format!("Too many attempts. Wait {seconds} s, then try again.")
        }
        other => other.message(),
    }
}

fn focus_token() {
    dom::focus("#token");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sign_in_leads_to_no_other_host() {
        for address in ["/", "/jobs?q=a%5Cb", "/projects/proj_1/tables?table=a"] {
            assert!(is_own_address(address), "{address}");
        }
        for address in
            ["", "jobs", "https://a.example", "//a.example", "/\\a.example", "/\t/a.example", "/\n//a.example"]
        {
            assert!(!is_own_address(address), "{address}");
        }
    }
}
