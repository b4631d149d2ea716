//! The form of a channel. It can send a test message before the channel is saved.

use std::collections::BTreeMap;

use api_types::{
    ChannelKind, ChannelSettings, CreateNotificationChannel, NotificationChannel, NotificationTest,
    TestNotificationSettings, UpdateNotificationChannel,
};
use dioxus::prelude::*;

use super::{
    PATH,
    deliveries::Deliveries,
    events::{self, Choices, Events, choices_of, events_of},
    fields::{KindFields, Values, changed_settings, field_in, settings_of, use_values, values_of},
    tested::note_saved,
    words::kind_in_words,
};
use crate::{
    address, dom,
    draft::{self, FormDraft},
    remote::{self, Failure, Method},
    text,
    ui::{CodeText, Field, FormError, Mark, Shape, Sheet, messages},
};

/// The kind that the form of a new channel shows first.
const DEFAULT_KIND: ChannelKind = ChannelKind::Webhook;

/// Id of the element under the fields that shows the result of a test, or an error that is not about a field.
const OUTCOME: &str = "channel-outcome";

/// The state of the test message.
#[derive(Debug, Clone, PartialEq)]
enum Tested {
    No,
    Running,
    Delivered(String),
    Refused(String),
}

/// A message about the field with this name in the API.
type FieldError = Option<(&'static str, String)>;

/// The state that all parts of the form share.
#[derive(Clone, Copy, PartialEq)]
struct Form {
    /// The unsaved input. It does not contain secrets.
    unsaved: FormDraft,
    kind: Signal<ChannelKind>,
    name: Signal<String>,
    values: Values,
    events: Signal<Choices>,
    error: Signal<FieldError>,
    tested: Signal<Tested>,
    /// The kind and the values of the form at the last test, if its message was delivered.
    delivered: Signal<Option<(ChannelKind, BTreeMap<&'static str, String>)>>,
    busy: Signal<bool>,
}

#[component]
pub(super) fn ChannelSheet(channel: Option<NotificationChannel>) -> Element {
    let saved = channel.clone();
    let unsaved =
        draft::use_form(|| format!("channel.{}", channel.as_ref().map_or("new", |channel| channel.id.as_str())));
    let form = Form {
        unsaved,
        kind: unsaved.use_field("kind", channel.as_ref().map_or(DEFAULT_KIND, |channel| channel.kind)),
        name: unsaved.use_field("name", channel.as_ref().map(|channel| channel.name.clone()).unwrap_or_default()),
        values: use_values(unsaved, channel.as_ref().map(|channel| values_of(&channel.settings)).unwrap_or_default()),
        events: unsaved.use_fields("events", choices_of(channel.as_ref().map(|channel| channel.events.as_slice()))),
        error: use_signal(|| None),
        tested: use_signal(|| Tested::No),
        delivered: use_signal(|| None),
        busy: use_signal(|| false),
    };
    let is_new = saved.is_none();
    let is_dirty = match &saved {
        None => {
            !form.name.read().is_empty()
                || *form.kind.read() != DEFAULT_KIND
                || *form.events.read() != choices_of(None)
                || form.values.read().values().any(|value| !value.is_empty())
        }
        Some(saved) => {
            *form.name.read() != saved.name
                || *form.events.read() != choices_of(Some(&saved.events))
                || *form.values.read() != values_of(&saved.settings)
        }
    };
    let (to_test, to_save) = (saved.as_ref().map(|saved| saved.id.clone()), saved.clone());
    let cancel = move |_| {
        unsaved.forget();
        close();
    };
    let title = saved.as_ref().map_or_else(|| "New channel".to_owned(), |saved| saved.name.clone());
    let is_busy = form.busy.read().to_owned() || *form.tested.read() == Tested::Running;
    rsx! {
        Sheet {
            title,
            on_close: |()| close(),
            footer: rsx! {
                button { class: "btn btn-primary", r#type: "submit", form: "channel", "aria-disabled": is_busy,
                    if is_new { "Create channel" } else { "Save channel" }
                }
                button {
                    class: "btn",
                    r#type: "button",
                    "data-act": "true",
                    "aria-disabled": is_busy,
                    onclick: move |_| test(form, to_test.clone()),
                    if *form.tested.read() == Tested::Running {
                        span { class: "spin" }
                    }
                    "Send test"
                }
                button { class: "btn btn-ghost", r#type: "button", onclick: cancel, "Cancel" }
                span { class: "push label muted", role: "status", if is_dirty { "Not saved" } }
            },
            form {
                id: "channel",
                class: "stack channel-form",
                novalidate: true,
                onsubmit: move |event| {
                    event.prevent_default();
                    save(form, to_save.clone());
                },
                ChannelFields { form, saved: saved.clone() }
            }
            if let Some(saved) = saved {
                Deliveries { channel: saved.id }
            }
        }
    }
}

fn close() {
    address::push_parameter("channel", None);
}

#[component]
fn ChannelFields(form: Form, saved: Option<NotificationChannel>) -> Element {
    let Form { mut kind, name, values, error, mut tested, .. } = form;
    let problem = error.read().clone();
    let of = |field: &str| problem.clone().filter(|(name, _)| *name == field).map(|(_, why)| why);
    rsx! {
        match &saved {
            Some(saved) => rsx! { p { class: "muted", "{kind_in_words(saved.kind)}" } },
            None => rsx! {
                fieldset { class: "field", role: "radiogroup", "aria-label": "Kind",
                    legend { "Kind" }
                    div { class: "row wrap gap-4",
                        for choice in [ChannelKind::Webhook, ChannelKind::Discord, ChannelKind::Email] {
                            label { key: "{choice.as_str()}", class: "check",
                                input {
                                    class: "box",
                                    r#type: "radio",
                                    name: "channel-kind",
                                    checked: kind() == choice,
                                    onchange: move |_| {
                                        kind.set(choice);
                                        tested.set(Tested::No);
                                        form.error.clone().set(None);
                                    },
                                }
                                "{kind_in_words(choice)}"
                            }
                        }
                    }
                }
            },
        }
        Field { id: "channel-name", label: "Name", required: true, value: name, error: of("name") }
        KindFields { kind: kind(), values, stored: saved.is_some(), error: problem.clone() }
        Events { events: form.events, error: of("events") }
        if of("").is_some() || tested() != Tested::No {
            div { id: OUTCOME, class: "stack",
                if let Some(why) = of("") {
                    FormError { text: why }
                }
                TestResult { tested: tested() }
            }
        }
    }
}

#[component]
fn TestResult(tested: Tested) -> Element {
    match tested {
        Tested::No => rsx! {},
        Tested::Running => rsx! {
            div { class: "banner", role: "status", span { class: "spin accent" } p { "Sending a test…" } }
        },
        Tested::Delivered(took) => rsx! {
            div { class: "banner t-good", role: "status",
                Mark { shape: Shape::Succeeded }
                strong { "Delivered in {took}" }
            }
        },
        Tested::Refused(why) => rsx! {
            div { class: "banner t-bad", role: "alert",
                Mark { shape: Shape::Failed }
                div {
                    strong { "Not delivered" }
                    p { CodeText { text: why } }
                }
            }
        },
    }
}

/// Sends a test message with the settings of the form, without saving them.
fn test(form: Form, channel_id: Option<String>) {
    let Form { kind, name, values, mut error, mut tested, mut delivered, .. } = form;
    let sent_values = (kind(), values.peek().clone());
    let settings = match settings_of(kind(), &values.peek()) {
        Ok(settings) => settings,
        Err(wrong) => {
            error.set(Some(wrong));
            return show_outcome();
        }
    };
    let request = TestNotificationSettings {
        name: Some(name.peek().trim().to_owned()).filter(|name| !name.is_empty()),
        kind: kind(),
        channel_id,
        settings,
    };
    spawn(async move {
        error.set(None);
        tested.set(Tested::Running);
        show_outcome();
        let path = format!("{PATH}/test");
        let sent: Result<NotificationTest, Failure> = remote::send(Method::Post, &path, &request).await;
        delivered.set(matches!(&sent, Ok(test) if test.delivered).then_some(sent_values));
        tested.set(match sent {
            Ok(test) if test.delivered => Tested::Delivered(text::duration(test.duration_ms)),
            Ok(test) => Tested::Refused(test.error.unwrap_or_else(|| "The receiver gave no reason.".to_owned())),
            Err(failure) => {
                let message = failure.message();
                match field_in(&message) {
                    Some(field) => {
                        error.set(Some((field, message)));
                        Tested::No
                    }
                    None => Tested::Refused(message),
                }
            }
        });
        show_outcome();
    });
}

/// Focuses the field with a wrong value, or else scrolls to the error about the events or the result under the fields.
/// On a phone, all may be out of sight.
fn show_outcome() {
    spawn(async {
        dom::next_frame().await;
        if !dom::focus(".channel-form [aria-invalid=true]") {
            dom::scroll_into_view(events::ERROR);
            dom::scroll_into_view(OUTCOME);
        }
    });
}

/// Creates the channel, or saves the changes of a stored one.
fn save(form: Form, stored: Option<NotificationChannel>) {
    let Form { unsaved, kind, name, values, events, mut error, delivered, mut busy, .. } = form;
    let settings = match settings_of(kind(), &values.peek()) {
        Ok(settings) => settings,
        Err(wrong) => {
            error.set(Some(wrong));
            return show_outcome();
        }
    };
    let (name, choices) = (name.peek().trim().to_owned(), events.peek().clone());
    let was_tested = *delivered.peek() == Some((kind(), values.peek().clone()));
    spawn(async move {
        busy.set(true);
        let is_new = stored.is_none();
        let changed = stored.as_ref().map(|stored| changed_settings(settings.clone(), &stored.settings));
        let has_new_settings = changed != Some(ChannelSettings::default());
        let saved: Result<NotificationChannel, Failure> = match stored {
            None => {
                let (kind, events) = (kind(), events_of(&choices));
                let request = CreateNotificationChannel { name, kind, events, enabled: None, settings };
                remote::send(Method::Post, PATH, &request).await
            }
            Some(stored) => save_changes(&stored, name, &choices, settings).await,
        };
        busy.set(false);
        match saved {
            Ok(channel) => {
                // Settings that did not change stay tested.
                if was_tested || has_new_settings {
                    note_saved(&channel.id, was_tested);
                }
                unsaved.forget();
                messages::show(if is_new { "Channel created" } else { "Channel saved" });
                remote::forget(PATH);
                close();
            }
            Err(failure) => {
                let message = failure.message();
                error.set(Some((field_in(&message).unwrap_or_default(), message)));
                show_outcome();
            }
        }
    });
}

/// Saves what differs from the stored channel.
async fn save_changes(
    stored: &NotificationChannel,
    name: String,
    choices: &Choices,
    settings: ChannelSettings,
) -> Result<NotificationChannel, Failure> {
    let path = format!("{PATH}/{}", stored.id);
    let before = choices_of(Some(&stored.events));
    let events = if *choices == before {
        None
    } else {
        // The API replaces all events at once. Another tab may have changed others.
        let newest = remote::get::<NotificationChannel>(&path).await?;
        Some(events_of(&draft::rebase(choices, &before, &choices_of(Some(&newest.events)))))
    };
    let change = UpdateNotificationChannel {
        name: (name != stored.name).then_some(name),
        events,
        enabled: None,
        settings: changed_settings(settings, &stored.settings),
    };
    remote::send(Method::Patch, &path, &change).await
}
