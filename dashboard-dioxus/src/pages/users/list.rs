//! The list of users: a table, and cards on a phone.

use api_types::ProjectUser;
use dioxus::prelude::*;
use gloo_timers::future::TimeoutFuture;

use super::{
    acts::{Open, UserMenu},
    words::{role_label, state_of},
};
use crate::{
    address, text,
    ui::{Mark, SearchBox, narrow::use_is_narrow},
};

/// Milliseconds between the last keystroke and the request.
const SEARCH_DELAY_MS: u32 = 200;

/// Shows the first page of the matching users.
pub(super) fn search_for(search: &str) {
    let search = search.trim();
    let values = if search.is_empty() { Vec::new() } else { vec![search.to_owned()] };
    address::replace_parameters(&[("q", values), ("after", Vec::new()), ("offset", Vec::new())]);
}

#[component]
pub(super) fn Toolbar(search: String) -> Element {
    let typed = use_signal(|| search.clone());
    let mut asked = use_signal(|| search.clone());
    // The address changed without typing: through "Back" or "Clear filters".
    use_effect(use_reactive!(|search| {
        if *asked.peek() != search {
            asked.set(search.clone());
            typed.clone().set(search);
        }
    }));
    use_effect(move || {
        let wanted = typed.read().trim().to_owned();
        if wanted != *asked.peek() {
            spawn(async move {
                TimeoutFuture::new(SEARCH_DELAY_MS).await;
                if typed.peek().trim() == wanted {
                    asked.set(wanted.clone());
                    search_for(&wanted);
                }
            });
        }
    });
    rsx! { div { class: "toolbar", SearchBox { name: "Filter users", value: typed } } }
}

#[component]
pub(super) fn UserList(project: String, users: Vec<ProjectUser>, open: Signal<Open>) -> Element {
    if use_is_narrow() {
        return rsx! {
            ul { class: "cards", "aria-label": "Users",
                for user in users {
                    UserCard { key: "{user.id}", project: project.clone(), user, open }
                }
            }
        };
    }
    rsx! {
        table { class: "table", "aria-label": "Users",
            thead {
                tr {
                    th { "E-mail" }
                    // Second, so that the sheet of a user does not cover it.
                    th { "State" }
                    th { "Role" }
                    th { class: "hide-800", "Verified" }
                    th { class: "num", "Last sign-in" }
                    th { class: "num hide-800", "Sessions" }
                    th { class: "num", "Created" }
                    th { span { class: "sr", "Actions" } }
                }
            }
            tbody {
                for user in users {
                    UserRow { key: "{user.id}", project: project.clone(), user, open }
                }
            }
        }
    }
}

#[component]
fn UserRow(project: String, user: ProjectUser, open: Signal<Open>) -> Element {
    let (shape, state) = state_of(&user);
    rsx! {
        tr { class: if user.disabled_at.is_some() { "is-off" },
            td { class: "name", OpenUser { id: user.id.clone(), email: user.email.clone() } }
            td {
                span { class: "badge", Mark { shape } "{state}" }
                if !user.has_password {
                    " "
                    span { class: "tag", "No password" }
                }
            }
            td { "{role_label(user.role)}" }
            td { class: "hide-800", title: user.email_verified_at.map(text::exact),
                if user.email_verified_at.is_some() { "Yes" } else { span { class: "muted", "No" } }
            }
            td { class: "num", title: user.last_sign_in_at.map(text::exact), "{last_sign_in(&user)}" }
            td { class: "num hide-800", "{text::number(user.sessions)}" }
            td { class: "num muted", title: text::exact(user.created_at), "{text::date(user.created_at)}" }
            td { class: "acts", UserMenu { project, user: user.clone(), open } }
        }
    }
}

#[component]
fn UserCard(project: String, user: ProjectUser, open: Signal<Open>) -> Element {
    let (shape, state) = state_of(&user);
    rsx! {
        li { class: "card",
            h3 {
                span { class: "grow cut", OpenUser { id: user.id.clone(), email: user.email.clone() } }
                span { class: "tag", "{role_label(user.role)}" }
                UserMenu { project, user: user.clone(), open }
            }
            p { class: "badge-line",
                span { class: "badge", Mark { shape } "{state}" }
                if user.email_verified_at.is_none() {
                    span { "not verified" }
                }
                if !user.has_password {
                    span { "no password" }
                }
                span { title: user.last_sign_in_at.map(text::exact), "signed in: {last_sign_in(&user)}" }
            }
        }
    }
}

/// The link that opens the sheet of a user.
#[component]
fn OpenUser(id: String, email: String) -> Element {
    let to = address::with_parameter("user", &id);
    rsx! {
        a {
            href: "{to}",
            class: "link cut",
            onclick: move |event: MouseEvent| {
                if event.modifiers().is_empty() {
                    event.prevent_default();
                    address::push_parameter("user", Some(&id));
                }
            },
            "{email}"
        }
    }
}

fn last_sign_in(user: &ProjectUser) -> String {
    user.last_sign_in_at.map_or_else(|| "never".to_owned(), |time| text::age(time, text::now()))
}
