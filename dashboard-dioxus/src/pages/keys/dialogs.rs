use api_types::{ApiKey, CreateApiKey, CreatedApiKey, KeyType, RotateApiKey, UpdateApiKey};
use chrono::{DateTime, Duration, Utc};
use dioxus::prelude::*;

use super::super::store_keys::NewKeys;
use crate::{
    remote::{self, Method},
    text,
    ui::{Confirm, Dialog, Field, messages},
};

/// Choices of a key's lifetime: label and days.
const LIFETIMES: [(&str, Option<i64>); 4] = [("Never", None), ("30 days", Some(30)), ("90 days", Some(90)), ("1 year", Some(365))];

/// Index of the choice "On a date", after those of [`LIFETIMES`].
const ON_A_DATE: usize = LIFETIMES.len();

/// Choices of how long the old key of a rotation keeps working: label and seconds.
const OVERLAPS: [(&str, u32); 5] =
    [("Not at all", 0), ("1 hour", 3_600), ("1 day", 86_400), ("7 days", 604_800), ("30 days", 2_592_000)];

#[component]
pub(super) fn CreateKey(project: String, on_created: EventHandler<NewKeys>, on_close: EventHandler<()>) -> Element {
    let name = use_signal(String::new);
    let mut key_type = use_signal(|| KeyType::Publishable);
    let mut lifetime = use_signal(|| 0_usize);
    let date = use_signal(String::new);
    let mut error = use_signal(|| None::<String>);
    let mut busy = use_signal(|| false);
    let mut create = move || {
        let project = project.clone();
        let expires_at = match expiry(lifetime(), &date.peek()) {
            Ok(expires_at) => expires_at,
            Err(problem) => {
                error.set(Some(problem.to_owned()));
                return;
            }
        };
        spawn(async move {
            busy.set(true);
            let request = CreateApiKey { key_type: key_type(), name: name.peek().trim().to_owned(), expires_at };
            match remote::send::<_, CreatedApiKey>(Method::Post, &format!("/projects/{project}/keys"), &request).await {
                Ok(created) => on_created.call(shown_once(created)),
                Err(failure) => error.set(Some(failure.message())),
            }
            busy.set(false);
        });
    };
    rsx! {
        Dialog {
            title: "New key",
            on_close: move |()| on_close.call(()),
            footer: rsx! {
                button { class: "btn btn-l", r#type: "button", onclick: move |_| on_close.call(()), "Cancel" }
                button { class: "btn btn-primary btn-l", r#type: "submit", form: "new-key", disabled: busy(), "Create key" }
            },
            form {
                id: "new-key",
                class: "stack",
                onsubmit: move |event| {
                    event.prevent_default();
                    create();
                },
                Field { id: "key-name", label: "Name", value: name, autofocus: true, error: error() }
                fieldset { class: "field", role: "radiogroup", "aria-label": "Type",
                    span { class: "label", "Type" }
                    for (choice, label, help) in [
                        (KeyType::Publishable, "Publishable", "For browsers. It may do only what you open."),
                        (KeyType::Secret, "Secret", "For servers. It may read and write everything."),
                    ] {
                        label { key: "{label}", class: "check",
                            input {
                                class: "box",
                                r#type: "radio",
                                name: "key-type",
                                checked: key_type() == choice,
                                onchange: move |_| key_type.set(choice),
                            }
                            span { "{label}" small { "{help}" } }
                        }
                    }
                }
                div { class: "field",
                    label { r#for: "key-expires", "Expires" }
                    select {
                        id: "key-expires",
                        class: "input",
                        onchange: move |event| lifetime.set(event.value().parse().unwrap_or_default()),
                        for (index, (label, _)) in LIFETIMES.iter().enumerate() {
                            option { key: "{index}", value: "{index}", "{label}" }
                        }
                        option { value: "{ON_A_DATE}", "On a date" }
                    }
                }
                if lifetime() == ON_A_DATE {
                    DateField { value: date }
                }
            }
        }
    }
}

/// Returns when a key expires: after the chosen lifetime, or at the end of the chosen day.
fn expiry(lifetime: usize, date: &str) -> Result<Option<DateTime<Utc>>, &'static str> {
    if lifetime != ON_A_DATE {
        let days = LIFETIMES.get(lifetime).and_then(|(_, days)| *days);
        return Ok(days.map(|days| text::now() + Duration::days(days)));
    }
    end_of_day(date).filter(|at| *at > text::now()).map(Some).ok_or("Choose today or a later day.")
}

/// Returns the last second of a day in the browser's zone, from `2026-03-14`.
fn end_of_day(date: &str) -> Option<DateTime<Utc>> {
    let milliseconds = js_sys::Date::new(&format!("{date}T23:59:59").into()).get_time();
    if milliseconds.is_nan() { None } else { DateTime::from_timestamp_millis(milliseconds as i64) }
}

/// The day on which a key expires.
#[component]
fn DateField(value: Signal<String>) -> Element {
    let mut value = value;
    rsx! {
        div { class: "field",
            label { r#for: "key-expires-on", "Expires on" }
            input {
                id: "key-expires-on",
                class: "input",
                r#type: "date",
                required: true,
                value: "{value}",
                oninput: move |event| value.set(event.value()),
            }
        }
    }
}

/// Changes a key's name and expiry.
#[component]
pub(super) fn EditKey(
    project: String,
    api_key: ApiKey,
    on_saved: EventHandler<()>,
    on_close: EventHandler<()>,
) -> Element {
    let name = use_signal(|| api_key.name.clone());
    // `None` keeps the current expiry.
    let mut lifetime = use_signal(|| None::<usize>);
    let date = use_signal(String::new);
    let mut error = use_signal(|| None::<String>);
    let mut busy = use_signal(|| false);
    let path = format!("/projects/{project}/keys/{}", api_key.id);
    let now = text::now();
    let kept = match api_key.expires_at {
        None => "Keep: it does not expire".to_owned(),
        Some(at) => format!("Keep: it expires in {}", text::until(at, now)),
    };
    let mut save = move || {
        let path = path.clone();
        let expires_at = match lifetime().map(|lifetime| expiry(lifetime, &date.peek())).transpose() {
            Ok(expires_at) => expires_at,
            Err(problem) => {
                error.set(Some(problem.to_owned()));
                return;
            }
        };
        spawn(async move {
            busy.set(true);
            let change = UpdateApiKey { name: Some(name.peek().trim().to_owned()), expires_at };
            match remote::send::<_, ApiKey>(Method::Patch, &path, &change).await {
                Ok(_) => {
                    messages::show("Key saved");
                    on_saved.call(());
                }
                Err(failure) => error.set(Some(failure.message())),
            }
            busy.set(false);
        });
    };
    rsx! {
        Dialog {
            title: "Edit key",
            on_close: move |()| on_close.call(()),
            footer: rsx! {
                button { class: "btn btn-l", r#type: "button", onclick: move |_| on_close.call(()), "Cancel" }
                button { class: "btn btn-primary btn-l", r#type: "submit", form: "edit-key", disabled: busy(), "Save key" }
            },
            form {
                id: "edit-key",
                class: "stack",
                onsubmit: move |event| {
                    event.prevent_default();
                    save();
                },
                Field { id: "key-name", label: "Name", value: name, autofocus: true, error: error() }
                div { class: "field",
                    label { r#for: "key-expires", "Expires" }
                    select {
                        id: "key-expires",
                        class: "input",
                        onchange: move |event| lifetime.set(event.value().parse().ok()),
                        option { value: "", "{kept}" }
                        for (index, (label, _)) in LIFETIMES.iter().enumerate() {
                            option { key: "{index}", value: "{index}", "{label}" }
                        }
                        option { value: "{ON_A_DATE}", "On a date" }
                    }
                }
                if lifetime() == Some(ON_A_DATE) {
                    DateField { value: date }
                }
            }
        }
    }
}

#[component]
pub(super) fn RotateKey(
    project: String,
    api_key: ApiKey,
    on_created: EventHandler<NewKeys>,
    on_close: EventHandler<()>,
) -> Element {
    let mut overlap = use_signal(|| 86_400_u32);
    let mut error = use_signal(|| None::<String>);
    let mut busy = use_signal(|| false);
    let used = api_key.last_used_at.map_or_else(
        || "It has never been used.".to_owned(),
        |time| format!("It was last used {}.", text::age(time, text::now())),
    );
    let path = format!("/projects/{project}/keys/{}/rotate", api_key.id);
    let rotate = move |_| {
        let path = path.clone();
        spawn(async move {
            busy.set(true);
            match remote::send::<_, CreatedApiKey>(Method::Post, &path, &RotateApiKey { overlap_seconds: overlap() }).await {
                Ok(created) => on_created.call(shown_once(created)),
                Err(failure) => error.set(Some(failure.message())),
            }
            busy.set(false);
        });
    };
    rsx! {
        Dialog {
            title: "Rotate key",
            description: "A new key takes the place of {api_key.name}. {used}",
            on_close: move |()| on_close.call(()),
            footer: rsx! {
                button { class: "btn btn-l", r#type: "button", onclick: move |_| on_close.call(()), "Cancel" }
                button { class: "btn btn-primary btn-l", r#type: "button", disabled: busy(), onclick: rotate, "Rotate key" }
            },
            div { class: "field",
                label { r#for: "overlap", "Old key keeps working for" }
                select {
                    id: "overlap",
                    class: "input",
                    autofocus: true,
                    onchange: move |event| overlap.set(event.value().parse().unwrap_or_default()),
                    for (label, seconds) in OVERLAPS {
                        option { key: "{seconds}", value: "{seconds}", selected: seconds == 86_400, "{label}" }
                    }
                }
            }
            if let Some(error) = error() {
                p { class: "error", role: "alert", "{error}" }
            }
        }
    }
}

#[component]
pub(super) fn RevokeKey(project: String, api_key: ApiKey, on_revoked: EventHandler<()>, on_close: EventHandler<()>) -> Element {
    let mut failure = use_signal(|| None::<String>);
    let mut busy = use_signal(|| false);
    let now = text::now();
    let used = api_key.last_used_at.map_or_else(
        || "Never used.".to_owned(),
        |time| format!("Last used {}.", text::age(time, now)),
    );
    // Revoking a key that was unused for 30 days needs no typed confirmation.
    let is_recent = api_key.last_used_at.is_some_and(|time| now - time < Duration::days(30));
    let path = format!("/projects/{project}/keys/{}", api_key.id);
    rsx! {
        Confirm {
            act: "Revoke key",
            description: "{api_key.name}: {used} Requests with it fail within a second. This can't be undone.",
            typed: is_recent.then(|| api_key.name.clone()),
            busy: busy(),
            failure: failure(),
            on_confirm: move |()| {
                let path = path.clone();
                spawn(async move {
                    busy.set(true);
                    match remote::delete(&path).await {
                        Ok(()) => {
                            messages::show("Key revoked");
                            on_revoked.call(());
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

fn shown_once(created: CreatedApiKey) -> NewKeys {
    match created.api_key.key_type {
        KeyType::Secret => NewKeys { secret: Some(created.key), publishable: None },
        KeyType::Publishable => NewKeys { secret: None, publishable: Some(created.key) },
    }
}
