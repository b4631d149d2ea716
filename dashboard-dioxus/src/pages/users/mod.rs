//! `/projects/<id>/users`: the end users of a project's app.
//!
//! [`list`] shows all users, and [`sheet`] shows one user with sessions and login events. [`acts`] contains the menu of
//! a user and its dialogs, except [`delete`]. [`create`] is the dialog "New user". [`settings`] is the form on the tab
//! "Settings", and [`typed_settings`] and [`mails`] contain its values. [`words`] contains texts about users.

mod acts;
mod create;
mod delete;
mod list;
mod mails;
mod settings;
mod sheet;
mod typed_settings;
mod words;

use api_types::{AuthSettings, Page as ApiPage, ProjectUser, UpdateAuthSettings};
use dioxus::prelude::*;

use super::cursor_paging::{CursorPaging, EmptyPage, page_size};
use crate::{
    address, focus,
    frame::page::Page,
    remote::{self, Method, RemoteState, use_remote},
    ui::{Empty, ErrorBox, Icon, IconName, Link, LoadingTable, TabLink, TabLinks, messages},
};
use acts::{Open, UserDialog};
use list::UserList;
use settings::SettingsForm;
use sheet::UserSheet;

const PAGE_SIZES: &[u32] = &[20, 50, 100, 200];
const DEFAULT_SIZE: u32 = 50;

const TABS: [(&str, &str); 2] = [("users", "Users"), ("settings", "Settings")];

#[component]
pub fn Users(id: ReadSignal<String>) -> Element {
    let mut settings = use_remote::<AuthSettings>(use_memo(move || format!("/projects/{id}/auth")).into());
    let on_settings = address::use_parameter("tab").as_deref() == Some("settings");
    let open = use_signal(|| Open::Nothing);
    let is_on = settings.value().is_some_and(|settings| settings.enabled);
    let selected = if on_settings { "settings" } else { "users" };
    let content = match settings.state() {
        RemoteState::Loading => rsx! { LoadingTable { name: "Users", columns: 7 } },
        RemoteState::Failed(failure) => rsx! {
            ErrorBox {
                what: "The settings of end-user login could not be loaded.", failure,
                on_retry: move |()| settings.refresh()
            }
        },
        RemoteState::Ready(current) if on_settings => rsx! {
            for project in [id()] {
                SettingsForm {
                    key: "{project}", project, current: current.clone(), on_saved: move |()| settings.refresh()
                }
            }
        },
        RemoteState::Ready(current) if !current.enabled => rsx! {
            TurnedOff {
                project: id(), allows_signup: current.allow_signup, on_enabled: move |()| settings.refresh()
            }
        },
        RemoteState::Ready(_) => rsx! {
            for project in [id()] {
                UserPage { key: "{project}", project, open }
            }
        },
    };
    rsx! {
        Page {
            title: "Users",
            class: "with-tabs",
            acts: rsx! {
                Link { to: address::with_parameter("help", "users"), class: "btn btn-ghost", "Connect" }
                if is_on && !on_settings {
                    button {
                        class: "btn btn-primary",
                        r#type: "button",
                        "data-create": "true",
                        onclick: move |_| open.clone().set(Open::Create),
                        Icon { name: IconName::Plus }
                        "New user"
                    }
                }
            },
            TabLinks {
                name: "Users",
                page: "/projects/{id}/users",
                tabs: TABS.map(|(name, label)| TabLink::new(name, label)).to_vec(),
                selected,
            }
            {content}
        }
    }
}

/// The content of the page while end-user login is off.
#[component]
fn TurnedOff(project: String, allows_signup: bool, on_enabled: EventHandler<()>) -> Element {
    let mut busy = use_signal(|| false);
    let sign_up = match allows_signup {
        true => {
            "Sign-up is open at first: anybody with your publishable key can create an account. You can close sign-up \
             under Settings."
        }
        false => "Sign-up is closed: only you can create users. You can open sign-up under Settings.",
    };
    let path = format!("/projects/{project}/auth");
    rsx! {
        Empty {
            title: "End-user login is off for this project",
            text: "Turn it on, and people can sign in to your app. On tables with row-level security, \
                policies decide which rows they reach. {sign_up}",
            help: "users",
            button {
                class: "btn btn-primary",
                r#type: "button",
                "aria-disabled": busy(),
                onclick: move |_| {
                    // The button is gone once login is on.
                    focus::hand_over("#main-content");
                    let path = path.clone();
                    spawn(async move {
                        busy.set(true);
                        let change = UpdateAuthSettings { enabled: Some(true), ..UpdateAuthSettings::default() };
                        match remote::send::<_, AuthSettings>(Method::Patch, &path, &change).await {
                            Ok(_) => {
                                messages::show("End-user login is on");
                                on_enabled.call(());
                            }
                            Err(failure) => messages::show_failure(failure.message()),
                        }
                        busy.set(false);
                    });
                },
                "Turn on"
            }
        }
    }
}

#[component]
fn UserPage(project: String, open: Signal<Open>) -> Element {
    let search = address::use_parameter("q").unwrap_or_default();
    let after = address::use_parameter("after");
    let shown = address::use_parameter("user");
    let limit = page_size(PAGE_SIZES, DEFAULT_SIZE).to_string();
    let path = address::with_parameters(
        &format!("/projects/{project}/users"),
        &[
            ("search", Some(search.as_str()).filter(|search| !search.is_empty())),
            ("limit", Some(&limit)),
            ("cursor", after.as_deref()),
        ],
    );
    rsx! {
        list::Toolbar { search: search.clone() }
        Listed { project: project.clone(), path, is_filtered: !search.is_empty(), open }
        for user in shown.into_iter() {
            UserSheet { key: "{user}", project: project.clone(), user, open }
        }
        UserDialog { project, open }
    }
}

#[component]
fn Listed(project: String, path: ReadSignal<String>, is_filtered: bool, open: Signal<Open>) -> Element {
    let mut users = use_remote::<ApiPage<ProjectUser>>(path);
    match users.state() {
        RemoteState::Loading => rsx! { LoadingTable { name: "Users", columns: 7 } },
        RemoteState::Failed(failure) => rsx! {
            ErrorBox { what: "Users could not be loaded.", failure, on_retry: move |()| users.refresh() }
        },
        RemoteState::Ready(page) if page.items.is_empty() && address::parameter("after").is_some() => rsx! {
            EmptyPage { entries: "users" }
        },
        RemoteState::Ready(page) if page.items.is_empty() && is_filtered => rsx! {
            Empty { title: "No user matches", text: "The filter matches part of an e-mail address, or a full id.",
                button { class: "btn", r#type: "button", onclick: |_| list::search_for(""), "Clear filters" }
            }
        },
        RemoteState::Ready(page) if page.items.is_empty() => rsx! {
            Empty {
                title: "No users yet",
                text: "Users who sign up in your app, and those that you create, appear here.",
                help: "users",
                button {
                    class: "btn", r#type: "button", onclick: move |_| open.clone().set(Open::Create), "New user"
                }
            }
        },
        RemoteState::Ready(page) => rsx! {
            UserList { project, users: page.items.clone(), open }
            CursorPaging {
                shown: page.items.len(),
                next_cursor: page.next_cursor,
                updated_at: users.updated_at(),
                sizes: PAGE_SIZES,
                default_size: DEFAULT_SIZE,
                on_refresh: move |()| users.refresh(),
            }
        },
    }
}

/// Discards the cached users after a change, so that lists and sheets read them again.
fn forget_users(project: &str) {
    remote::forget(&format!("/projects/{project}/users"));
}
