//! The settings of channels: checks them, merges them with stored ones, seals them, and removes their secrets.

use std::net::IpAddr;

use api_types::{ChannelKind, ChannelSettings, SmtpTls};
use lettre::message::Mailbox;

use crate::{
    config::Secret,
    egress::Egress,
    error::{ApiError, ApiResult},
    secrets::{SealedColumn, Sealer},
};

/// Placeholder for a stored secret in responses.
const HIDDEN: &str = "***";
const MAX_URL_BYTES: usize = 2048;
const MAX_RECIPIENTS: usize = 50;
const MIN_SECRET_LENGTH: usize = 16;
/// Maximum number of characters of a secret, a user name, a password or an e-mail address.
const MAX_TEXT_LENGTH: usize = 500;

/// Complete, valid settings of a channel.
#[derive(Debug, Clone)]
pub(super) enum Settings {
    Discord { url: Secret },
    Webhook { url: Secret, secret: Secret },
    Email(EmailSettings),
}

#[derive(Debug, Clone)]
pub(super) struct EmailSettings {
    pub host: String,
    pub port: u16,
    pub tls: SmtpTls,
    pub credentials: Option<(String, Secret)>,
    pub from: Mailbox,
    pub to: Vec<Mailbox>,
}

const SEALED_SETTINGS: SealedColumn = SealedColumn {
    table: "notification_channels",
    column: "sealed",
    key_columns: &["id"],
    identity: "notification_channels/{id}",
};
/// Columns of this slice that are sealed under the master key.
pub const SEALED_COLUMNS: &[SealedColumn] = &[SEALED_SETTINGS];

pub(super) fn seal(sealer: &Sealer, id: uuid::Uuid, settings: &ChannelSettings) -> anyhow::Result<Vec<u8>> {
    let plain = zeroize::Zeroizing::new(serde_json::to_vec(settings)?);
    Ok(sealer.seal(&plain, &SEALED_SETTINGS.identity(&[&id]))?)
}

pub(super) fn open(sealer: &Sealer, id: uuid::Uuid, sealed: &[u8]) -> anyhow::Result<ChannelSettings> {
    Ok(serde_json::from_slice(&sealer.open(sealed, &SEALED_SETTINGS.identity(&[&id]))?)?)
}

/// Returns the settings without secrets, as in responses: URLs are reduced to scheme, host and port; other secrets are
/// `***`.
pub(super) fn without_secrets(settings: &ChannelSettings) -> ChannelSettings {
    ChannelSettings {
        url: settings.url.as_deref().map(origin_of),
        secret: settings.secret.as_ref().map(|_| HIDDEN.to_owned()),
        password: settings.password.as_ref().map(|_| HIDDEN.to_owned()),
        ..settings.clone()
    }
}

fn origin_of(url: &str) -> String {
    url::Url::parse(url).map_or_else(|_| HIDDEN.to_owned(), |url| url.origin().ascii_serialization())
}

/// Merges changed settings into the previous ones. Omitted settings keep their values, as do secrets in the form in
/// which responses contain them. An empty user name or password removes both. If the encryption changes, the default
/// port of the previous encryption becomes that of the new one.
pub(super) fn merge(changed: ChannelSettings, previous: ChannelSettings) -> ChannelSettings {
    let hidden = without_secrets(&previous);
    let secret = |new: Option<String>, old: Option<String>, hidden: Option<String>| match new {
        Some(new) if Some(&new) == hidden.as_ref() => old,
        Some(new) => Some(new),
        None => old,
    };
    let is_replaced = changed.tls.is_some() && previous.port == Some(default_port(previous.tls));
    let mut merged = ChannelSettings {
        url: secret(changed.url, previous.url, hidden.url),
        secret: secret(changed.secret, previous.secret, hidden.secret),
        password: secret(changed.password, previous.password, hidden.password),
        host: changed.host.or(previous.host),
        port: changed.port.or(previous.port.filter(|_| !is_replaced)),
        tls: changed.tls.or(previous.tls),
        username: changed.username.or(previous.username),
        from: changed.from.or(previous.from),
        to: changed.to.or(previous.to),
    };
    let empty = |text: &Option<String>| text.as_deref() == Some("");
    if empty(&merged.username) || empty(&merged.password) {
        (merged.username, merged.password) = (None, None);
    }
    merged
}

/// Returns settings that replace previous ones that can't be opened. Like [`merge`], but nothing can be kept.
///
/// # Errors
/// Returns 400 for a secret in the form in which responses contain it, and for an e-mail channel without a decision on
/// the user name and the password.
pub(super) fn without_previous(kind: ChannelKind, settings: ChannelSettings) -> ApiResult<ChannelSettings> {
    let is_hidden = |text: &Option<String>| text.as_deref() == Some(HIDDEN);
    if is_hidden(&settings.secret) {
        return Err(missing("secret"));
    }
    if is_hidden(&settings.password) {
        return Err(missing("password"));
    }
    if settings.url.as_deref().is_some_and(|url| url == origin_of(url)) {
        return Err(ApiError::invalid("`url` has no path, as in responses, which omit it.")
            .with_hint("If the receiver's URL has no path, end it with `/`."));
    }
    let is_empty = |text: &Option<String>| text.as_deref() == Some("");
    // An empty user name or password removes both.
    if kind == ChannelKind::Email && !is_empty(&settings.username) && !is_empty(&settings.password) {
        let named = [("username", &settings.username), ("password", &settings.password)];
        if let Some((name, _)) = named.into_iter().find(|(_, text)| text.is_none()) {
            return Err(missing(name).with_hint("If the server needs no authentication, send an empty string."));
        }
    }
    Ok(merge(settings, ChannelSettings::default()))
}

/// Validates settings. Returns them in typed form, and as they are stored, with defaults filled in.
///
/// # Errors
/// Returns 400 for the first setting that is missing or invalid, or that belongs to another kind of channel.
pub(super) fn check(
    kind: ChannelKind,
    mut settings: ChannelSettings,
    egress: &Egress,
) -> ApiResult<(Settings, ChannelSettings)> {
    reject_other_kinds(kind, &settings)?;
    let checked = match kind {
        ChannelKind::Discord => Settings::Discord { url: discord_url(&settings, egress)? },
        ChannelKind::Webhook => {
            Settings::Webhook { url: web_url(&settings, egress)?, secret: signing_secret(&settings)? }
        }
        ChannelKind::Email => {
            let email = email(&settings)?;
            (settings.port, settings.tls) = (Some(email.port), Some(email.tls));
            Settings::Email(email)
        }
    };
    Ok((checked, settings))
}

fn reject_other_kinds(kind: ChannelKind, settings: &ChannelSettings) -> ApiResult<()> {
    let (web, webhook, email) = match kind {
        ChannelKind::Discord => (true, false, false),
        ChannelKind::Webhook => (true, true, false),
        ChannelKind::Email => (false, false, true),
    };
    let given = [
        ("url", settings.url.is_some(), web),
        ("secret", settings.secret.is_some(), webhook),
        ("host", settings.host.is_some(), email),
        ("port", settings.port.is_some(), email),
        ("tls", settings.tls.is_some(), email),
        ("username", settings.username.is_some(), email),
        ("password", settings.password.is_some(), email),
        ("from", settings.from.is_some(), email),
        ("to", settings.to.is_some(), email),
    ];
    match given.into_iter().find(|(_, is_set, belongs)| *is_set && !belongs) {
        Some((name, ..)) => Err(ApiError::invalid(format!("A channel of kind `{kind}` has no setting `{name}`."))),
        None => Ok(()),
    }
}

fn required<'a>(value: Option<&'a str>, name: &str) -> ApiResult<&'a str> {
    match value.map(str::trim) {
        Some(text) if !text.is_empty() => Ok(text),
        _ => Err(missing(name)),
    }
}

fn missing(name: &str) -> ApiError {
    ApiError::invalid(format!("`{name}` is missing."))
}

fn web_url(settings: &ChannelSettings, egress: &Egress) -> ApiResult<Secret> {
    let url = required(settings.url.as_deref(), "url")?;
    if url.len() > MAX_URL_BYTES {
        return Err(ApiError::invalid(format!("`url` is longer than {MAX_URL_BYTES} bytes.")));
    }
    egress.only(url).map_err(|error| ApiError::invalid(format!("`url`: {error}.")))?;
    Ok(Secret::new(url))
}

fn discord_url(settings: &ChannelSettings, egress: &Egress) -> ApiResult<Secret> {
    let url = web_url(settings, egress)?;
    let parsed = url::Url::parse(url.expose()).map_err(|_| ApiError::invalid("`url` is not a URL."))?;
    let host = parsed.host_str().unwrap_or_default();
    let discord =
        ["discord.com", "discordapp.com"].iter().any(|name| host == *name || host.ends_with(&format!(".{name}")));
    if discord && !(parsed.scheme() == "https" && parsed.path().starts_with("/api/webhooks/")) {
        return Err(ApiError::invalid("`url` is not the URL of a Discord webhook.").with_hint(
            "In Discord: channel settings, Integrations, Webhooks, Copy Webhook URL. \
             It starts with https://discord.com/api/webhooks/.",
        ));
    }
    Ok(url)
}

fn signing_secret(settings: &ChannelSettings) -> ApiResult<Secret> {
    let secret = settings.secret.as_deref().ok_or_else(|| {
        ApiError::invalid("`secret` is missing.")
            .with_hint("Send a random string of at least 16 characters; the receiver verifies the signature with it.")
    })?;
    if secret.chars().count() < MIN_SECRET_LENGTH || is_too_long(secret) || secret == HIDDEN {
        return Err(ApiError::invalid(format!(
            "`secret` must have {MIN_SECRET_LENGTH} to {MAX_TEXT_LENGTH} characters."
        )));
    }
    Ok(Secret::new(secret))
}

fn email(settings: &ChannelSettings) -> ApiResult<EmailSettings> {
    let host = required(settings.host.as_deref(), "host")?;
    let parsed = url::Host::parse(host).or_else(|_| url::Host::parse(&format!("[{host}]")));
    let parsed = parsed.map_err(|_| ApiError::invalid("`host` must be a host name or an IP address."))?;
    let tls = settings.tls.unwrap_or(SmtpTls::Starttls);
    let loopback = match &parsed {
        url::Host::Domain(name) => name == "localhost",
        url::Host::Ipv4(address) => address.is_loopback(),
        url::Host::Ipv6(address) => IpAddr::V6(*address).to_canonical().is_loopback(),
    };
    if tls == SmtpTls::None && !loopback {
        return Err(ApiError::invalid("`tls` can be `none` only for a server on this machine.")
            .with_hint("Set it to `starttls` or `tls`."));
    }
    let port = settings.port.unwrap_or_else(|| default_port(Some(tls)));
    if port == 0 {
        return Err(ApiError::invalid("`port` must be 1 to 65535."));
    }
    let credentials = match (settings.username.as_deref(), settings.password.as_deref()) {
        (None, None) => None,
        (Some(username), Some(password)) => {
            let long = is_too_long(username) || is_too_long(password);
            if long || username.contains(char::is_control) || password.contains(char::is_control) {
                return Err(ApiError::invalid(format!(
                    "`username` and `password` must have at most {MAX_TEXT_LENGTH} characters, none of them a control \
                     character."
                )));
            }
            Some((username.to_owned(), Secret::new(password)))
        }
        (Some(_), None) => return Err(ApiError::invalid("`username` is set, but `password` is not.")),
        (None, Some(_)) => return Err(ApiError::invalid("`password` is set, but `username` is not.")),
    };
    let to = settings.to.as_deref().unwrap_or_default();
    if to.is_empty() || to.len() > MAX_RECIPIENTS {
        return Err(ApiError::invalid(format!("`to` must contain 1 to {MAX_RECIPIENTS} e-mail addresses.")));
    }
    Ok(EmailSettings {
        // In a URL, an IPv6 address has brackets. `to_string` of the address omits them.
        host: match parsed {
            url::Host::Domain(name) => name,
            url::Host::Ipv4(address) => address.to_string(),
            url::Host::Ipv6(address) => address.to_string(),
        },
        port,
        tls,
        credentials,
        from: mailbox(required(settings.from.as_deref(), "from")?, "from")?,
        to: to.iter().map(|address| mailbox(address, "to")).collect::<ApiResult<_>>()?,
    })
}

/// Returns the default port of an SMTP server with this encryption.
fn default_port(tls: Option<SmtpTls>) -> u16 {
    if tls == Some(SmtpTls::Tls) { 465 } else { 587 }
}

fn is_too_long(text: &str) -> bool {
    text.chars().count() > MAX_TEXT_LENGTH
}

fn mailbox(text: &str, name: &str) -> ApiResult<Mailbox> {
    let is_valid = !is_too_long(text) && !text.contains(char::is_control);
    let mailbox = if is_valid { text.trim().parse().ok() } else { None };
    mailbox.ok_or_else(|| {
        ApiError::invalid(format!("`{name}` contains an invalid e-mail address."))
            .with_hint("Write addresses as `hub@example.com` or `AtlasHub <hub@example.com>`.")
    })
}
