//! The list of keys: a table, and cards on a phone.

use api_types::{ApiKey, KeyType, UpdateApiKey};
use dioxus::prelude::*;

use super::{
    Open,
    state::{Listed, ambiguous_names, ends_before, key_state, old_key_use, pair},
};
use crate::{
    remote::{self, Method},
    text,
    ui::{Empty, IconName, Mark, Menu, MenuItem, SearchBox, Shape, messages},
};

/// Days from now until the old key of a rotation expires if the owner extends it.
const LONGER_DAYS: i64 = 7;

#[component]
pub(super) fn KeyTable(
    project: String,
    keys: Vec<ApiKey>,
    has_more: bool,
    open: Signal<Open>,
    /// Shown at the end of the line under the list.
    children: Element,
) -> Element {
    let mut filter = use_signal(String::new);
    let mut show_ended = use_signal(|| false);
    let now = text::now();
    let wanted = filter.read().trim().to_lowercase();
    let ambiguous = ambiguous_names(&keys, now);
    let is_ambiguous = move |key: &ApiKey| ambiguous.contains(&key.name);
    let shown: Vec<ApiKey> = keys
        .into_iter()
        .filter(|key| show_ended() || !key_state(key, now).ended)
        .filter(|key| key.name.to_lowercase().contains(&wanted))
        .collect();
    let total = shown.len() as i64;
    let listed = pair(shown, now);
    rsx! {
        div { class: "toolbar",
            SearchBox { name: "Filter API keys", value: filter }
            label { class: "check push",
                input {
                    class: "switch",
                    r#type: "checkbox",
                    role: "switch",
                    checked: show_ended(),
                    onchange: move |event| show_ended.set(event.checked()),
                }
                "Show ended keys"
            }
        }
        if total == 0 {
            if filter.read().trim().is_empty() {
                Empty {
                    title: "No active keys",
                    text: "All keys have expired or were revoked. Turn on “Show ended keys” to see them.",
                    button { class: "btn", r#type: "button", onclick: move |_| show_ended.set(true), "Show ended keys" }
                }
            } else {
                Empty {
                    title: "No key matches",
                    text: if show_ended() {
                        "No key name contains this text."
                    } else {
                        "The name of no active key contains this text. To search all keys, turn on “Show ended keys”."
                    },
                    button {
                        class: "btn", r#type: "button", onclick: move |_| filter.set(String::new()), "Clear filters"
                    }
                }
            }
        } else {
            table { class: "table only-wide", "aria-label": "API keys",
                thead {
                    tr {
                        th { "Name" }
                        th { "Type" }
                        th { "Prefix" }
                        th { "State" }
                        th { class: "num hide-800", "Requests 24 h" }
                        th { class: "num", "Last used" }
                        th { class: "num", "Created" }
                        th { span { class: "sr", "Actions" } }
                    }
                }
                tbody {
                    for item in listed.clone() {
                        match item {
                            Listed::Single(key) => rsx! {
                                KeyRow { key: "{key.id}", with_type: is_ambiguous(&key), api_key: key.clone(), open }
                            },
                            Listed::Pair { new, old } => rsx! {
                                KeyRow {
                                    key: "{new.id}",
                                    with_type: is_ambiguous(&new),
                                    api_key: new.clone(),
                                    open,
                                    in_pair: true,
                                }
                                KeyRow {
                                    with_type: is_ambiguous(&old),
                                    api_key: old.clone(),
                                    open,
                                    in_pair: true,
                                    is_old: true,
                                }
                                tr { class: "pair",
                                    td {
                                        colspan: 8, class: "wrapped", OldKeyUse { project: project.clone(), old, open }
                                    }
                                }
                            },
                        }
                    }
                }
            }
            ul { class: "cards only-narrow", "aria-label": "API keys",
                for item in listed {
                    match item {
                        Listed::Single(key) => rsx! {
                            KeyCard { key: "{key.id}", with_type: is_ambiguous(&key), api_key: key.clone(), open }
                        },
                        Listed::Pair { new, old } => rsx! {
                            KeyCard { key: "{new.id}", with_type: is_ambiguous(&new), api_key: new.clone(), open }
                            KeyCard { with_type: is_ambiguous(&old), api_key: old.clone(), open, is_old: true,
                                OldKeyUse { project: project.clone(), old, open }
                            }
                        },
                    }
                }
            }
            div { class: "foot",
                span {
                    "{text::count(total, \"key\", \"keys\")}"
                    if has_more {
                        " of the newest 200"
                    }
                }
                {children}
            }
        }
    }
}

#[component]
fn KeyRow(
    api_key: ApiKey,
    open: Signal<Open>,
    #[props(default)] in_pair: bool,
    #[props(default)] is_old: bool,
    /// Whether a key of the other type has the same name.
    with_type: bool,
) -> Element {
    let ended = key_state(&api_key, text::now()).ended;
    let class = match (ended, in_pair) {
        (true, _) => "is-off",
        (false, true) => "pair",
        (false, false) => "",
    };
    rsx! {
        tr { class,
            td { class: "name",
                if is_old {
                    span { class: "row",
                        span { class: "faint", "aria-hidden": "true", "└" }
                        "{api_key.name}"
                        span { class: "tag", "old" }
                    }
                } else {
                    "{api_key.name}"
                }
            }
            td { "{type_label(api_key.key_type)}" }
            td { class: "mono", "{api_key.prefix}" }
            td { KeyBadge { api_key: api_key.clone() } }
            td { class: "num hide-800", "{text::number(api_key.requests_24h)}" }
            td { class: "num", title: api_key.last_used_at.map(text::exact), "{last_used(&api_key)}" }
            td { class: "num muted", title: text::exact(api_key.created_at), "{text::date(api_key.created_at)}" }
            td { class: "acts", KeyMenu { api_key: api_key.clone(), open, is_old, with_type } }
        }
    }
}

#[component]
fn KeyCard(
    api_key: ApiKey,
    open: Signal<Open>,
    #[props(default)] is_old: bool,
    /// Whether a key of the other type has the same name.
    with_type: bool,
    children: Element,
) -> Element {
    rsx! {
        li { class: "card",
            h3 {
                span { class: "grow", "{api_key.name}" }
                if is_old {
                    span { class: "tag", "old" }
                }
                span { class: "tag", "{type_label(api_key.key_type)}" }
                KeyMenu { api_key: api_key.clone(), open, is_old, with_type }
            }
            p { class: "mono", "{api_key.prefix}" }
            p { class: "badge-line",
                KeyBadge { api_key: api_key.clone() }
                span { title: api_key.last_used_at.map(text::exact), "{used_in_words(&api_key)}" }
            }
            {children}
        }
    }
}

/// The use of the old key of a rotation, with the buttons that extend or revoke the key.
#[component]
fn OldKeyUse(project: String, old: ApiKey, open: Signal<Open>) -> Element {
    let mut open = open;
    let mut busy = use_signal(|| false);
    let (words, is_silent) = old_key_use(&old, text::now());
    let path = format!("/projects/{project}/keys/{}", old.id);
    let longer = || text::now() + chrono::Duration::days(LONGER_DAYS);
    let can_extend = ends_before(&old, longer());
    rsx! {
        div { class: "row wrap",
            span { class: "row grow-phone grow",
                Mark { shape: if is_silent { Shape::Succeeded } else { Shape::Attention } }
                "{words}"
            }
            if can_extend {
                button {
                    class: "btn btn-ghost btn-s",
                    r#type: "button",
                    "data-act": "true",
                    "aria-disabled": busy(),
                    onclick: move |_| {
                        let path = path.clone();
                        spawn(async move {
                            busy.set(true);
                            let change = UpdateApiKey { expires_at: Some(Some(longer())), ..UpdateApiKey::default() };
                            match remote::send::<_, ApiKey>(Method::Patch, &path, &change).await {
                                Ok(_) => messages::show("The old key keeps working for 7 days"),
                                Err(failure) => messages::show_failure(failure.message()),
                            }
                            remote::forget(&path);
                            remote::forget(path.rsplit_once('/').map_or("", |(keys, _)| keys));
                            busy.set(false);
                        });
                    },
                    "Keep for 7 days"
                }
            }
            button {
                class: "btn btn-s",
                r#type: "button",
                onclick: move |_| open.set(Open::Revoke(old.clone())),
                "Revoke old key"
            }
        }
    }
}

#[component]
fn KeyBadge(api_key: ApiKey) -> Element {
    let state = key_state(&api_key, text::now());
    let title = api_key.revoked_at.or(api_key.expires_at).map(text::exact);
    rsx! {
        span { class: "badge", title, Mark { shape: state.shape } "{state.words}" }
    }
}

#[component]
fn KeyMenu(api_key: ApiKey, open: Signal<Open>, is_old: bool, with_type: bool) -> Element {
    if key_state(&api_key, text::now()).ended {
        return rsx! {};
    }
    let (to_edit, to_rotate, to_revoke) = (api_key.clone(), api_key.clone(), api_key.clone());
    let key_type = type_label(api_key.key_type).to_lowercase();
    let addition = match (with_type, is_old) {
        (true, true) => format!(" ({key_type}, old)"),
        (true, false) => format!(" ({key_type})"),
        (false, true) => " (old)".to_owned(),
        (false, false) => String::new(),
    };
    let name = format!("Actions for {}{addition}", api_key.name);
    rsx! {
        Menu { name, icon: IconName::Dots, class: "btn-s",
            MenuItem {
                onselect: move |()| open.clone().set(Open::Edit(to_edit.clone())),
                "Edit key"
            }
            MenuItem {
                icon: Some(IconName::Refresh),
                onselect: move |()| open.clone().set(Open::Rotate(to_rotate.clone())),
                "Rotate key"
            }
            hr {}
            MenuItem {
                icon: Some(IconName::Trash),
                danger: true,
                onselect: move |()| open.clone().set(Open::Revoke(to_revoke.clone())),
                "Revoke key"
            }
        }
    }
}

fn type_label(key_type: KeyType) -> &'static str {
    match key_type {
        KeyType::Publishable => "Publishable",
        KeyType::Secret => "Secret",
    }
}

/// Returns type, name and prefix of a key, to distinguish it from others of the same name: `Secret key default,
/// ah_sec_XcQ6…`.
pub(super) fn full_name(key: &ApiKey) -> String {
    format!("{} key {}, {}…", type_label(key.key_type), key.name, key.prefix)
}

fn used_in_words(key: &ApiKey) -> String {
    key.last_used_at.map_or_else(|| "never used".to_owned(), |time| format!("used {}", text::age(time, text::now())))
}

fn last_used(key: &ApiKey) -> String {
    key.last_used_at.map_or_else(|| "never".to_owned(), |time| text::age(time, text::now()))
}
