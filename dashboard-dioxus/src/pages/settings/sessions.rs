//! The section "Sessions" of the settings: the browsers in which the owner is signed in.

use api_types::{AdminSession, EndedSessions, Page as ApiPage, Session, SignInMethod};
use dioxus::prelude::*;

use super::SectionHead;
use crate::{
    dom,
    remote::{self, Method, RemoteState, session, use_remote},
    text,
    ui::{Confirm, Empty, ErrorBox, LoadingTable, messages, narrow::use_is_narrow},
};

const PATH: &str = "/sessions";

#[component]
pub(super) fn Sessions() -> Element {
    let mut current = use_remote::<Session>(use_signal(|| "/session".to_owned()).into());
    let content = match current.state() {
        RemoteState::Loading => rsx! { LoadingTable { name: "Sessions", columns: 5 } },
        RemoteState::Failed(failure) => rsx! {
            ErrorBox { what: "Your session could not be loaded.", failure, on_retry: move |()| current.refresh() }
        },
        RemoteState::Ready(session) if session.method == SignInMethod::Access => rsx! { ByAccess { session } },
        RemoteState::Ready(_) => rsx! { SessionList {} },
    };
    rsx! {
        SectionHead { title: "Sessions", remark: "Browsers that are signed in." }
        {content}
    }
}

/// The content of the section if the owner is signed in through Cloudflare Access, which keeps the sessions.
#[component]
fn ByAccess(session: Session) -> Element {
    rsx! {
        div { class: "section stack",
            p {
                "You are signed in as "
                strong { "{session.actor}" }
                " through Cloudflare Access, which keeps the sessions."
            }
            if let Some(address) = session.sign_out_url {
                div { a { class: "btn", href: "{address}", "Sign out" } }
            }
        }
    }
}

#[component]
fn SessionList() -> Element {
    let mut sessions = use_remote::<ApiPage<AdminSession>>(use_signal(|| format!("{PATH}?limit=200")).into());
    let mut ending_others = use_signal(|| false);
    match sessions.state() {
        RemoteState::Loading => rsx! { LoadingTable { name: "Sessions", columns: 5 } },
        RemoteState::Failed(failure) => rsx! {
            ErrorBox { what: "Sessions could not be loaded.", failure, on_retry: move |()| sessions.refresh() }
        },
        RemoteState::Ready(page) if page.items.is_empty() => rsx! {
            Empty { title: "No sessions", text: "You are signed in with the admin token itself.",
                button { class: "btn", r#type: "button", onclick: |_| sign_out(), "Sign out" }
            }
        },
        RemoteState::Ready(page) => {
            let others = page.items.iter().filter(|session| !session.current).count() as i64;
            rsx! {
                div { class: "toolbar",
                    button { class: "btn", r#type: "button", onclick: |_| sign_out(), "Sign out" }
                    if others > 0 {
                        button {
                            class: "btn",
                            r#type: "button",
                            onclick: move |_| ending_others.set(true),
                            "Sign out all others"
                        }
                    }
                }
                SessionTable { sessions: page.items }
                if ending_others() {
                    EndOthers { others, on_close: move |()| ending_others.set(false) }
                }
            }
        }
    }
}

fn sign_out() {
    // The component may be removed before the server responds.
    dioxus::core::spawn_forever(async {
        match session::sign_out().await {
            Ok(Some(address)) => dom::open_here(&address),
            Ok(None) => {}
            Err(failure) => messages::show_failure(failure.message()),
        }
    });
}

#[component]
fn SessionTable(sessions: Vec<AdminSession>) -> Element {
    let now = text::now();
    if use_is_narrow() {
        return rsx! {
            ul { class: "cards", "aria-label": "Sessions",
                for session in sessions {
                    li { key: "{session.id}", class: "card",
                        h3 {
                            span { class: "grow", "{browser_of(&session)}" }
                            if session.current {
                                span { class: "tag", "this one" }
                            }
                        }
                        p { "{last_used(&session)} · from {address_of(&session)}" }
                        p { "Expires in {text::until(session.expires_at, now)} if unused" }
                        if !session.current {
                            div { class: "row", EndButton { session: session.clone() } }
                        }
                    }
                }
            }
        };
    }
    rsx! {
        table { class: "table", "aria-label": "Sessions",
            thead {
                tr {
                    th { "Browser" }
                    th { "From" }
                    th { class: "num", "Signed in" }
                    th { class: "num", "Last used" }
                    th { class: "num", title: "If the session is not used", "Expires in" }
                    th { span { class: "sr", "Actions" } }
                }
            }
            tbody {
                for session in sessions {
                    tr { key: "{session.id}",
                        td { title: session.user_agent.clone(),
                            span { class: "name", "{browser_of(&session)}" }
                            if session.current {
                                span { class: "tag ml-2", "this one" }
                            }
                        }
                        td { class: "mono muted", "{address_of(&session)}" }
                        td {
                            class: "num muted",
                            title: text::exact(session.created_at),
                            "{text::date(session.created_at)}"
                        }
                        td { class: "num", title: session.last_used_at.map(text::exact), "{last_used(&session)}" }
                        td {
                            class: "num muted",
                            title: text::exact(session.expires_at),
                            "{text::until(session.expires_at, now)}"
                        }
                        td { class: "acts",
                            if !session.current {
                                EndButton { session: session.clone() }
                            }
                        }
                    }
                }
            }
        }
    }
}

#[component]
fn EndButton(session: AdminSession) -> Element {
    let mut busy = use_signal(|| false);
    let path = format!("{PATH}/{}", session.id);
    rsx! {
        button {
            class: "btn btn-ghost btn-s",
            r#type: "button",
            "aria-label": "End session of {browser_of(&session)}, {address_of(&session)}",
            "data-act": "true",
            "aria-disabled": busy(),
            onclick: move |_| {
                let path = path.clone();
                spawn(async move {
                    busy.set(true);
                    match remote::delete(&path).await {
                        Ok(()) => messages::show("Session ended"),
                        Err(failure) => messages::show_failure(failure.message()),
                    }
                    remote::forget(PATH);
                    busy.set(false);
                });
            },
            "End session"
        }
    }
}

#[component]
fn EndOthers(others: i64, on_close: EventHandler<()>) -> Element {
    let mut failure = use_signal(|| None::<String>);
    let mut busy = use_signal(|| false);
    let browsers = text::count(others, "other browser", "other browsers");
    rsx! {
        Confirm {
            act: "Sign out all others",
            description: "{browsers} must sign in again. This browser stays signed in.",
            busy: busy(),
            closable: !busy(),
            failure: failure(),
            on_confirm: move |()| {
                spawn(async move {
                    busy.set(true);
                    let nothing = serde_json::json!({});
                    match remote::send::<_, EndedSessions>(Method::Delete, PATH, &nothing).await {
                        Ok(ended) => {
                            messages::show(format!("{} ended", text::count(ended.ended, "session", "sessions")));
                            remote::forget(PATH);
                            on_close.call(());
                        }
                        Err(refused) => failure.set(Some(refused.message())),
                    }
                    busy.set(false);
                });
            },
            on_close: move |()| on_close.call(()),
        }
    }
}

fn address_of(session: &AdminSession) -> String {
    session.address.clone().unwrap_or_else(|| "unknown".to_owned())
}

fn last_used(session: &AdminSession) -> String {
    session.last_used_at.map_or_else(|| "unknown".to_owned(), |at| text::age(at, text::now()))
}

/// Returns the browser and the system of a session, if its `User-Agent` names them: `Firefox on Linux`.
fn browser_of(session: &AdminSession) -> String {
    let Some(agent) = session.user_agent.as_deref() else { return "Unknown browser".to_owned() };
    // The order matters: most browsers also name those that they imitate.
    const BROWSERS: [(&str, &str); 7] = [
        ("Edg/", "Edge"),
        ("OPR/", "Opera"),
        ("Firefox/", "Firefox"),
        ("HeadlessChrome/", "Chrome"),
        ("Chrome/", "Chrome"),
        ("Safari/", "Safari"),
        ("curl/", "curl"),
    ];
    const SYSTEMS: [(&str, &str); 6] = [
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Android", "Android"),
        ("Windows", "Windows"),
        ("Mac OS X", "macOS"),
        ("Linux", "Linux"),
    ];
    let find =
        |known: &[(&str, &'static str)]| known.iter().find(|(mark, _)| agent.contains(mark)).map(|(_, name)| *name);
    match (find(&BROWSERS), find(&SYSTEMS)) {
        (Some(browser), Some(system)) => format!("{browser} on {system}"),
        (Some(browser), None) => browser.to_owned(),
        _ => agent.chars().take(40).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browsers_have_short_names() {
        for (agent, expected) in [
            ("Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0", "Firefox on Linux"),
            (
                "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/126.0 Safari/537.36 Edg/126.0",
                "Edge on Windows",
            ),
            ("curl/8.5.0", "curl"),
            ("something", "something"),
        ] {
            let session = AdminSession {
                id: String::new(),
                current: false,
                created_at: chrono::DateTime::default(),
                last_used_at: None,
                expires_at: chrono::DateTime::default(),
                address: None,
                user_agent: Some(agent.to_owned()),
            };
            assert_eq!(browser_of(&session), expected);
        }
    }
}
