//! The sheet beside the list of users: facts, sessions and login events of one user.

use api_types::{AuditEntry, AuditResult, Page as ApiPage, ProjectUser, ProjectUserDetail, ProjectUserSession};
use chrono::{DateTime, Utc};
use dioxus::prelude::*;

use super::{
    acts::{DisableButton, Open, UserMenu},
    words::{event_in_words, role_label, state_of},
};
use crate::{
    address,
    remote::{RemoteState, use_remote},
    text,
    ui::{CopyButton, Empty, ErrorBox, Link, Mark, Shape, Sheet},
};

/// Maximum number of login events in the sheet. The audit log contains all that are kept.
const SHOWN_EVENTS: usize = 20;

#[component]
pub(super) fn UserSheet(project: String, user: String, open: Signal<Open>) -> Element {
    let path = format!("/projects/{project}/users/{user}");
    let mut detail = use_remote::<ProjectUserDetail>(use_signal(|| path).into());
    let close = |()| address::push_parameter("user", None);
    let (title, content) = match detail.state() {
        RemoteState::Loading => {
            ("User".to_owned(), rsx! { div { class: "late", "aria-busy": "true", span { class: "sk" } } })
        }
        RemoteState::Failed(failure) if failure.is_not_found() => (
            "User".to_owned(),
            rsx! {
                Empty { title: "No such user", text: "The user was deleted, or the address is wrong.",
                    button { class: "btn", r#type: "button", onclick: move |_| close(()), "Back to the list" }
                }
            },
        ),
        RemoteState::Failed(failure) => (
            "User".to_owned(),
            rsx! {
                ErrorBox { what: "The user could not be loaded.", failure, on_retry: move |()| detail.refresh() }
            },
        ),
        RemoteState::Ready(detail) => (
            detail.user.email.clone(),
            rsx! {
                Facts {
                    project: project.clone(),
                    user: detail.user.clone(),
                    second_factor_at: detail.second_factor_at,
                    open,
                }
                Sessions { sessions: detail.sessions }
                Events { project, user: detail.user.id }
            },
        ),
    };
    rsx! { Sheet { title, on_close: close, {content} } }
}

#[component]
fn Facts(project: String, user: ProjectUser, second_factor_at: Option<DateTime<Utc>>, open: Signal<Open>) -> Element {
    let (shape, state) = state_of(&user);
    let now = text::now();
    let verified = user.email_verified_at.map_or_else(|| "no".to_owned(), text::date);
    let signed_in = user.last_sign_in_at.map_or_else(|| "never".to_owned(), |time| text::age(time, now));
    let data = match &user.data {
        serde_json::Value::Object(fields) if fields.is_empty() => None,
        data => serde_json::to_string_pretty(data).ok(),
    };
    rsx! {
        div { class: "row",
            span { class: "badge grow", Mark { shape } "{state}" }
            DisableButton { project: project.clone(), user: user.clone(), open }
            UserMenu { project, user: user.clone(), open }
        }
        dl { class: "dl entry-facts",
            dt { "Role" }
            dd { "{role_label(user.role)}" }
            dt { "Verified" }
            dd { title: user.email_verified_at.map(text::exact), "{verified}" }
            dt { "Password" }
            dd { if user.has_password { "set" } else { "none" } }
            dt { "Second factor" }
            dd { class: "row wrap",
                match second_factor_at {
                    None => rsx! { "none" },
                    Some(since) => rsx! {
                        span { title: text::exact(since), "since {text::date(since)}" }
                        button {
                            class: "btn btn-s",
                            r#type: "button",
                            onclick: {
                                let user = user.clone();
                                move |_| open.clone().set(Open::RemoveSecondFactor(user.clone()))
                            },
                            "Remove second factor…"
                        }
                    },
                }
            }
            dt { "Last sign-in" }
            dd { title: user.last_sign_in_at.map(text::exact), "{signed_in}" }
            dt { "Created" }
            dd { title: text::exact(user.created_at), "{text::date(user.created_at)}" }
            dt { "Id" }
            dd {
                class: "row", span { class: "mono cut", "{user.id}" }
                CopyButton { name: "Copy id", text: user.id.clone() }
            }
        }
        if let Some(data) = data {
            section { class: "stack stack-2", "aria-label": "Data",
                h3 { "Data" }
                div { class: "code",
                    CopyButton { name: "Copy data", text: data.clone() }
                    pre { tabindex: "0", "{data}" }
                }
            }
        }
    }
}

#[component]
fn Sessions(sessions: Vec<ProjectUserSession>) -> Element {
    let now = text::now();
    rsx! {
        section { class: "stack stack-2", "aria-label": "Sessions",
            h3 { "Sessions" }
            if sessions.is_empty() {
                p { class: "muted", "The user is not signed in." }
            } else {
                ul { class: "cards", "aria-label": "Sessions",
                    for session in sessions {
                        li { key: "{session.id}", class: "card",
                            h3 {
                                span {
                                    class: "cut", {session.user_agent.unwrap_or_else(|| "Unknown program".to_owned())}
                                }
                            }
                            p { title: text::exact(session.refreshed_at),
                                "Used {text::age(session.refreshed_at, now)}"
                                if let Some(address) = &session.address {
                                    " from {address}"
                                }
                                ". Ends in {text::until(session.expires_at, now)} if unused."
                            }
                        }
                    }
                }
            }
        }
    }
}

#[component]
fn Events(project: String, user: String) -> Element {
    let path = address::with_parameters(
        "/audit",
        &[
            ("projectId", Some(&project)),
            ("target", Some(&user)),
            ("action", Some("auth.*")),
            ("limit", Some(&SHOWN_EVENTS.to_string())),
        ],
    );
    let in_audit_log = address::with_parameters(
        "/audit",
        &[("project", Some(&project)), ("target", Some(&user)), ("action", Some("auth.*"))],
    );
    let mut events = use_remote::<ApiPage<AuditEntry>>(use_signal(|| path).into());
    let now = text::now();
    let content = match events.state() {
        RemoteState::Loading => rsx! { div { class: "late", "aria-busy": "true", span { class: "sk" } } },
        RemoteState::Failed(failure) => rsx! {
            ErrorBox { what: "Login events could not be loaded.", failure, on_retry: move |()| events.refresh() }
        },
        RemoteState::Ready(page) if page.items.is_empty() => rsx! {
            p { class: "muted", "No login events. Sign-ins and changes of the account appear here." }
        },
        RemoteState::Ready(page) => rsx! {
            ul { class: "stack stack-1", "aria-label": "Login events",
                for event in page.items {
                    li { key: "{event.id}", class: "row wrap",
                        Mark {
                            shape: if event.result == AuditResult::Success { Shape::Succeeded } else { Shape::Failed }
                        }
                        span { class: "grow", "{text::sentence(&event_in_words(&event.action))}" }
                        if let Some(address) = &event.address {
                            span { class: "mono muted", "{address}" }
                        }
                        span { class: "muted", title: text::exact(event.at), "{text::age(event.at, now)}" }
                    }
                }
            }
            if page.next_cursor.is_some() {
                p { class: "label muted",
                    "These are the newest {SHOWN_EVENTS}. "
                    Link { to: in_audit_log, class: "link", "Show all in the audit log" }
                }
            }
        },
    };
    rsx! { section { class: "stack stack-2", "aria-label": "Login events", h3 { "Login events" } {content} } }
}
