//! The fields of a channel's settings, which differ by the kind of channel, and the conversion between their texts and
//! the settings.

use std::collections::BTreeMap;

use api_types::{ChannelKind, ChannelSettings, SmtpTls};
use dioxus::prelude::*;

use crate::{
    dom,
    draft::FormDraft,
    ui::{CodeText, CopyButton, Mark, RequiredMark, Shape},
};

/// The texts of the fields, by the name of the field in the API.
pub(super) type Values = Signal<BTreeMap<&'static str, String>>;

/// A field of a kind of channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FieldOf {
    name: &'static str,
    label: &'static str,
    help: &'static str,
    /// Type of the input.
    input: &'static str,
    /// Whether the value is secret: the server never returns it.
    secret: bool,
    required: bool,
}

const fn field(name: &'static str, label: &'static str, help: &'static str) -> FieldOf {
    FieldOf { name, label, help, input: "text", secret: false, required: false }
}

const WEBHOOK: &[FieldOf] = &[
    FieldOf {
        input: "url",
        secret: true,
        required: true,
        ..field("url", "URL", "After saving, only the scheme and the host are shown.")
    },
    FieldOf {
        input: "password",
        secret: true,
        required: true,
        ..field("secret", "Secret", "Signs each message; at least 16 characters. Stored encrypted, never shown again.")
    },
];
const DISCORD: &[FieldOf] = &[FieldOf {
    input: "url",
    secret: true,
    required: true,
    ..field("url", "URL", "The URL of the webhook in Discord. After saving, only the scheme and the host are shown.")
}];
const EMAIL: &[FieldOf] = &[
    FieldOf { required: true, ..field("host", "Server", "Host name of the SMTP server.") },
    FieldOf { input: "number", ..field("port", "Port", "If empty: 465 with TLS from the start, otherwise 587.") },
    field("username", "User name", "Leave empty if the server needs no sign-in."),
    FieldOf {
        input: "password",
        secret: true,
        ..field("password", "Password", "Stored encrypted, never shown again.")
    },
    FieldOf { required: true, ..field("from", "From", "For example AtlasHub <atlashub@example.com>.") },
    FieldOf { required: true, ..field("to", "To", "E-mail addresses, separated by commas.") },
];

fn fields_of(kind: ChannelKind) -> &'static [FieldOf] {
    match kind {
        ChannelKind::Webhook => WEBHOOK,
        ChannelKind::Discord => DISCORD,
        ChannelKind::Email => EMAIL,
    }
}

/// Returns the texts of the fields for stored settings. Secrets are absent, because the server never returns them.
pub(super) fn values_of(settings: &ChannelSettings) -> BTreeMap<&'static str, String> {
    let mut values = BTreeMap::new();
    values.insert("host", settings.host.clone().unwrap_or_default());
    values.insert("port", settings.port.map(|port| port.to_string()).unwrap_or_default());
    values.insert("tls", settings.tls.unwrap_or(SmtpTls::Starttls).as_str().to_owned());
    values.insert("username", settings.username.clone().unwrap_or_default());
    values.insert("from", settings.from.clone().unwrap_or_default());
    values.insert("to", settings.to.clone().unwrap_or_default().join(", "));
    values
}

/// Returns the texts of the fields, with the unsaved input. `saved` contains the texts of the stored settings, which
/// fields without unsaved input follow. Secrets are not part of the unsaved input, which the browser stores.
pub(super) fn use_values(unsaved: FormDraft, saved: BTreeMap<&'static str, String>) -> Values {
    let mut kept = unsaved.use_fields("settings", without_secrets(&saved));
    let mut base = use_signal(|| saved.clone());
    let mut values = use_signal(|| {
        let names = saved.keys().copied().chain(storable());
        let text = |name: &'static str| kept.peek().get(name).or(saved.get(name)).cloned();
        names.filter_map(|name| Some((name, text(name)?))).collect::<BTreeMap<_, _>>()
    });
    if *base.peek() != saved {
        let followed = rebased(&values.peek(), &base.peek(), &saved);
        values.set(followed);
        base.set(saved);
    }
    use_effect(move || {
        let now = without_secrets(&values.read());
        if *kept.peek() != now {
            kept.set(now);
        }
    });
    values
}

/// Returns `saved` with those texts of `values` that differ from `base`.
fn rebased(
    values: &BTreeMap<&'static str, String>,
    base: &BTreeMap<&'static str, String>,
    saved: &BTreeMap<&'static str, String>,
) -> BTreeMap<&'static str, String> {
    let mut followed = saved.clone();
    for (name, text) in values {
        if base.get(name) != Some(text) {
            followed.insert(*name, text.clone());
        }
    }
    followed
}

/// Returns the names of the fields that are not secret.
fn storable() -> impl Iterator<Item = &'static str> {
    let fields = [WEBHOOK, DISCORD, EMAIL].into_iter().flatten();
    fields.filter(|field| !field.secret).map(|field| field.name).chain(["tls"])
}

fn without_secrets(values: &BTreeMap<&'static str, String>) -> BTreeMap<String, String> {
    storable().filter_map(|name| Some((name.to_owned(), values.get(name)?.clone()))).collect()
}

/// Returns the settings from the texts of the fields. An empty secret keeps its stored value.
///
/// # Errors
/// Returns the name of the first invalid field, and a message about it.
pub(super) fn settings_of(
    kind: ChannelKind,
    values: &BTreeMap<&'static str, String>,
) -> Result<ChannelSettings, (&'static str, String)> {
    let value = |name: &str| values.get(name).map(|value| value.trim().to_owned()).unwrap_or_default();
    let given = |name: &str| Some(value(name)).filter(|value| !value.is_empty());
    Ok(match kind {
        ChannelKind::Discord => ChannelSettings { url: given("url"), ..ChannelSettings::default() },
        ChannelKind::Webhook => {
            ChannelSettings { url: given("url"), secret: given("secret"), ..ChannelSettings::default() }
        }
        ChannelKind::Email => {
            let port = match given("port") {
                Some(port) => {
                    Some(port.parse().map_err(|_| ("port", "A port is a number from 1 to 65535.".to_owned()))?)
                }
                None => None,
            };
            let to: Vec<String> = value("to")
                .split([',', ';', '\n'])
                .map(str::trim)
                .filter(|to| !to.is_empty())
                .map(str::to_owned)
                .collect();
            ChannelSettings {
                host: given("host"),
                port,
                tls: SmtpTls::ALL.iter().find(|tls| tls.as_str() == value("tls")).copied(),
                // An empty user name removes the stored user name and password.
                username: Some(value("username")),
                password: given("password").filter(|_| !value("username").is_empty()),
                from: given("from"),
                to: (!to.is_empty()).then_some(to),
                ..ChannelSettings::default()
            }
        }
    })
}

/// Returns those of the settings that differ from the stored ones, because saving must not take back what another tab
/// has changed in the meantime. Secrets are kept: they are absent unless they were typed.
pub(super) fn changed_settings(settings: ChannelSettings, stored: &ChannelSettings) -> ChannelSettings {
    let has_new_tls = settings.tls != stored.tls;
    // The server requires a user name, even an empty one, if it can't open the stored settings.
    let is_unreadable = *stored == ChannelSettings::default();
    ChannelSettings {
        host: settings.host.filter(|host| stored.host.as_ref() != Some(host)),
        // With another encryption, the server would replace the default port that the form shows.
        port: settings.port.filter(|port| has_new_tls || stored.port != Some(*port)),
        tls: settings.tls.filter(|_| has_new_tls),
        username: settings
            .username
            .filter(|name| is_unreadable || stored.username.as_deref().unwrap_or_default() != name),
        from: settings.from.filter(|from| stored.from.as_ref() != Some(from)),
        to: settings.to.filter(|to| stored.to.as_ref() != Some(to)),
        ..settings
    }
}

/// Returns the field that a message of the server is about: the first text in backticks, if it is the name of a field.
pub(super) fn field_in(message: &str) -> Option<&'static str> {
    let word = message.split('`').nth(1)?;
    ["name", "events", "url", "secret", "host", "port", "tls", "username", "password", "from", "to"]
        .into_iter()
        .find(|name| *name == word)
}

/// The fields of a kind of channel.
#[component]
pub(super) fn KindFields(
    kind: ChannelKind,
    values: Values,
    stored: bool,
    error: Option<(&'static str, String)>,
) -> Element {
    rsx! {
        for field in fields_of(kind) {
            ValueField {
                key: "{field.name}",
                field: *field,
                values,
                stored,
                error: error.clone().filter(|(name, _)| *name == field.name).map(|(_, why)| why),
            }
            if field.name == "port" {
                Encryption { values }
            }
        }
    }
}

#[component]
fn ValueField(field: FieldOf, values: Values, stored: bool, error: Option<String>) -> Element {
    let mut values = values;
    let id = format!("channel-{}", field.name);
    // A stored secret is kept if its field is empty.
    let is_required = field.required && !(stored && field.secret);
    let value = values.read().get(field.name).cloned().unwrap_or_default();
    let described_by = if error.is_some() { format!("{id}-help {id}-error") } else { format!("{id}-help") };
    rsx! {
        div { class: "field",
            label { r#for: "{id}",
                "{field.label}"
                if is_required {
                    RequiredMark {}
                }
            }
            input {
                id: "{id}",
                class: if field.input == "url" { "input mono" } else { "input" },
                r#type: field.input,
                autocomplete: if field.input == "password" { "new-password" } else { "off" },
                spellcheck: "false",
                placeholder: if stored && field.secret { "Stored; type to replace" },
                value: "{value}",
                "aria-required": is_required.then_some("true"),
                "aria-describedby": described_by,
                "aria-invalid": error.is_some().then_some("true"),
                oninput: move |event| {
                    values.write().insert(field.name, event.value());
                },
            }
            if let Some(error) = &error {
                p { class: "error", id: "{id}-error", role: "alert",
                    Mark { shape: Shape::Failed }
                    span { CodeText { text: error.clone() } }
                }
            }
            p { class: "help", id: "{id}-help", "{field.help}" }
            if field.name == "secret" {
                GenerateSecret { values }
            }
        }
    }
}

/// The buttons that fill in a random secret and copy it. The receiver needs the secret, too.
#[component]
fn GenerateSecret(values: Values) -> Element {
    let mut values = values;
    let mut generated = use_signal(|| None::<String>);
    let current = values.read().get("secret").cloned();
    rsx! {
        div { class: "row wrap",
            button {
                class: "btn btn-s",
                r#type: "button",
                onclick: move |_| {
                    if let Some(secret) = dom::random_hex() {
                        values.write().insert("secret", secret.clone());
                        generated.set(Some(secret));
                    }
                },
                "Generate"
            }
            if let Some(secret) = generated().filter(|secret| current.as_ref() == Some(secret)) {
                CopyButton { name: "Copy secret", label: "Copy secret", text: secret }
                span { class: "help", "Copy it now for the receiver. It is not shown after saving." }
            }
        }
    }
}

#[component]
fn Encryption(values: Values) -> Element {
    let mut values = values;
    let chosen = values.read().get("tls").cloned().unwrap_or_default();
    rsx! {
        div { class: "field",
            label { r#for: "channel-tls", "Encryption" }
            select {
                id: "channel-tls",
                class: "input",
                onchange: move |event| {
                    values.write().insert("tls", event.value());
                },
                for (tls, label) in [
                    (SmtpTls::Starttls, "STARTTLS"),
                    (SmtpTls::Tls, "TLS from the start"),
                    (SmtpTls::None, "None, for a server on the same machine"),
                ] {
                    option { key: "{label}", value: tls.as_str(), selected: chosen == tls.as_str(), "{label}" }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_secrets_are_kept_and_addresses_are_split() {
        let mut values = values_of(&ChannelSettings::default());
        values.insert("to", " a@example.com, b@example.com;".to_owned());
        values.insert("password", "typed".to_owned());
        let settings = settings_of(ChannelKind::Email, &values).unwrap_or_default();
        assert_eq!(settings.to, Some(vec!["a@example.com".to_owned(), "b@example.com".to_owned()]));
        assert_eq!((settings.username.as_deref(), settings.password), (Some(""), None));
        assert_eq!(settings_of(ChannelKind::Webhook, &values).unwrap_or_default().url, None);
        values.insert("port", "x".to_owned());
        assert!(settings_of(ChannelKind::Email, &values).is_err());
    }

    #[test]
    fn only_changed_settings_are_sent_and_an_empty_user_name_if_they_are_unreadable() {
        let stored = ChannelSettings {
            host: Some("mail.example".to_owned()),
            port: Some(587),
            tls: Some(SmtpTls::Starttls),
            from: Some("a@example.com".to_owned()),
            to: Some(vec!["a@example.com".to_owned(), "b@example.com".to_owned()]),
            ..ChannelSettings::default()
        };
        let mut values = values_of(&stored);
        let changed = |values: &BTreeMap<&'static str, String>| {
            settings_of(ChannelKind::Email, values).map(|settings| changed_settings(settings, &stored))
        };
        assert_eq!(changed(&values), Ok(ChannelSettings::default()));
        values.insert("username", "ops".to_owned());
        values.insert("password", "typed".to_owned());
        values.insert("to", "b@example.com".to_owned());
        values.insert("tls", SmtpTls::Tls.as_str().to_owned());
        let expected = ChannelSettings {
            username: Some("ops".to_owned()),
            password: Some("typed".to_owned()),
            to: Some(vec!["b@example.com".to_owned()]),
            tls: Some(SmtpTls::Tls),
            port: Some(587),
            ..ChannelSettings::default()
        };
        assert_eq!(changed(&values), Ok(expected));
        let settings = ChannelSettings { username: Some(String::new()), ..ChannelSettings::default() };
        assert_eq!(changed_settings(settings.clone(), &ChannelSettings::default()), settings);
    }

    #[test]
    fn texts_without_input_follow_the_saved_ones() {
        let texts = |host: &str, from: &str| BTreeMap::from([("host", host.to_owned()), ("from", from.to_owned())]);
        let (base, saved) = (texts("a.example", "a@example.com"), texts("b.example", "b@example.com"));
        let mut values = texts("typed.example", "a@example.com");
        values.insert("password", "typed".to_owned());
        let expected = [("from", "b@example.com"), ("host", "typed.example"), ("password", "typed")];
        assert_eq!(rebased(&values, &base, &saved), expected.map(|(name, value)| (name, value.to_owned())).into());
    }

    #[test]
    fn secrets_are_not_stored_in_the_browser() {
        let texts = ["url", "secret", "password", "host", "to", "tls"].map(|name| (name, name.to_owned()));
        let stored = without_secrets(&BTreeMap::from(texts));
        assert_eq!(stored.keys().collect::<Vec<_>>(), ["host", "tls", "to"]);
    }

    #[test]
    fn messages_name_their_field() {
        assert_eq!(field_in("`secret` must have 16 to 500 characters."), Some("secret"));
        assert_eq!(field_in("The address is not allowed."), None);
    }
}
