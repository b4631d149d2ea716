//! Notification channels.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::text_enum::text_enum;

/// The kind of a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum ChannelKind {
    /// A message to a Discord webhook.
    Discord,
    /// An e-mail over SMTP.
    Email,
    /// A JSON request with an HMAC signature.
    Webhook,
}

text_enum!(ChannelKind {
    Discord => "discord",
    Email => "email",
    Webhook => "webhook",
});

/// An event that channels can subscribe to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum NotificationEvent {
    /// A run failed or timed out, and is not tried again. For runs of the plugin `backup`, the event is `backupFailed`
    /// instead.
    RunFailed,
    /// A run succeeded after the previous run of its job had failed or timed out.
    RunRecovered,
    /// A run of the plugin `backup` completed a backup.
    BackupDone,
    /// A run of the plugin `backup` failed or timed out, and is not tried again.
    BackupFailed,
    /// A plugin was refused when it was loaded.
    PluginRejected,
    /// The disk of the data folder is nearly full.
    DiskLow,
    /// A plugin sent a message.
    Plugin,
}

text_enum!(NotificationEvent {
    RunFailed => "runFailed",
    RunRecovered => "runRecovered",
    BackupDone => "backupDone",
    BackupFailed => "backupFailed",
    PluginRejected => "pluginRejected",
    DiskLow => "diskLow",
    Plugin => "plugin",
});

/// A destination for notifications. Its secrets (webhook URLs, passwords) are write-only.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NotificationChannel {
    /// Id of the channel.
    pub id: String,
    /// Name of the channel.
    pub name: String,
    /// How the channel delivers notifications.
    pub kind: ChannelKind,
    /// Events that the channel subscribes to.
    pub events: Vec<NotificationEvent>,
    /// Whether notifications are delivered.
    pub enabled: bool,
    /// Settings of the channel.
    #[serde(flatten)]
    pub settings: ChannelSettings,
    /// When a notification or a test was last delivered. Null if none has been delivered.
    pub last_sent_at: Option<DateTime<Utc>>,
    /// Why the channel does not work: the error of the newest attempt or test, or a line for each e-mail address whose
    /// newest attempt failed. Null if there is none, or if the settings were changed since.
    pub last_error: Option<String>,
    /// When the channel was created.
    pub created_at: DateTime<Utc>,
    /// When the channel was last changed.
    pub updated_at: DateTime<Utc>,
}

/// The encryption of an SMTP connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum SmtpTls {
    /// The connection is upgraded with `STARTTLS`.
    Starttls,
    /// The connection uses TLS from the start.
    Tls,
    /// The connection is not encrypted. Only allowed for a server on the same machine.
    None,
}

text_enum!(SmtpTls {
    Starttls => "starttls",
    Tls => "tls",
    None => "none",
});

/// Settings of a channel. Settings of other kinds of channels are absent.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ChannelSettings {
    /// URL of a Discord or generic webhook. Write-only: reads as scheme, host and port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Key of the webhook's HMAC signature, 16 to 500 characters. Write-only: reads as `***`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    /// Host name of the SMTP server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Port of the SMTP server (default 465 with `tls`, otherwise 587).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// How the SMTP connection is encrypted (default `starttls`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<SmtpTls>,
    /// User name for the SMTP server. Without it, there is no authentication. An empty string removes it and the
    /// password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// Password for the SMTP server. Write-only: reads as `***`. An empty string removes it and the user name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// E-mail address of the sender.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// E-mail addresses of the recipients, 1 to 50.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Vec<String>>,
}

/// A channel to create.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", from = "CreateFields")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CreateNotificationChannel {
    /// Name of the channel, 1 to 120 characters.
    pub name: String,
    /// How the channel delivers notifications.
    pub kind: ChannelKind,
    /// Events that the channel subscribes to.
    pub events: Vec<NotificationEvent>,
    /// Whether notifications are delivered (default true).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Settings of the channel.
    #[serde(flatten)]
    pub settings: ChannelSettings,
}

/// Changes to a channel. Fields that are absent stay as they are.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", from = "UpdateFields")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct UpdateNotificationChannel {
    /// Name of the channel, 1 to 120 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Events that the channel subscribes to. Replaces all events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub events: Option<Vec<NotificationEvent>>,
    /// Whether notifications are delivered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Settings of the channel.
    #[serde(flatten)]
    pub settings: ChannelSettings,
}

/// Settings of a channel to test before they are stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", from = "TestFields")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TestNotificationSettings {
    /// Name of the channel, for the text of the message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// How the channel delivers notifications.
    pub kind: ChannelKind,
    /// Id of a stored channel of this kind. Settings that are absent, and secrets in the form that responses show, are
    /// taken from it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel_id: Option<String>,
    /// Settings of the channel.
    #[serde(flatten)]
    pub settings: ChannelSettings,
}

/// Defines the struct from which a request is deserialized. The settings are its own fields, so that serde refuses
/// unknown fields. serde can't do that for a struct with a flattened field.
macro_rules! request_fields {
    ($fields:ident, $request:ident { $($name:ident: $kind:ty,)* }) => {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase", deny_unknown_fields)]
        struct $fields {
            $($name: $kind,)*
            url: Option<String>,
            secret: Option<String>,
            host: Option<String>,
            port: Option<u16>,
            tls: Option<SmtpTls>,
            username: Option<String>,
            password: Option<String>,
            from: Option<String>,
            to: Option<Vec<String>>,
        }

        impl From<$fields> for $request {
            fn from(fields: $fields) -> Self {
                let settings = ChannelSettings {
                    url: fields.url,
                    secret: fields.secret,
                    host: fields.host,
                    port: fields.port,
                    tls: fields.tls,
                    username: fields.username,
                    password: fields.password,
                    from: fields.from,
                    to: fields.to,
                };
                Self { $($name: fields.$name,)* settings }
            }
        }
    };
}

request_fields!(CreateFields, CreateNotificationChannel {
    name: String,
    kind: ChannelKind,
    events: Vec<NotificationEvent>,
    enabled: Option<bool>,
});

request_fields!(UpdateFields, UpdateNotificationChannel {
    name: Option<String>,
    events: Option<Vec<NotificationEvent>>,
    enabled: Option<bool>,
});

request_fields!(TestFields, TestNotificationSettings {
    name: Option<String>,
    kind: ChannelKind,
    channel_id: Option<String>,
});

/// The state of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum DeliveryState {
    /// Waits for its first or next attempt.
    Pending,
    /// Delivered. An e-mail was delivered to at least one of its addresses.
    Sent,
    /// Not delivered, and not tried again.
    Failed,
}

text_enum!(DeliveryState {
    Pending => "pending",
    Sent => "sent",
    Failed => "failed",
});

/// One message to one channel. Deliveries are kept for 7 days after they end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NotificationDelivery {
    /// Id of the delivery.
    pub id: String,
    /// The event.
    pub event: NotificationEvent,
    /// The project that the event concerns. Null if the event concerns none.
    pub project_id: Option<String>,
    /// Name of the project. Null if the event concerns none, and if the project no longer exists.
    pub project_name: Option<String>,
    /// Title of the message.
    pub title: String,
    /// State of the delivery.
    pub state: DeliveryState,
    /// Number of equal events that were merged into the message.
    pub occurrences: i32,
    /// When the first of them happened.
    pub first_at: DateTime<Utc>,
    /// When the last of them happened.
    pub last_at: DateTime<Utc>,
    /// Number of attempts so far. An attempt that the receiver asked to repeat later (status 429) does not count.
    pub attempts: i32,
    /// When the next attempt is due. Null if the delivery has ended.
    pub next_attempt_at: Option<DateTime<Utc>>,
    /// When the delivery ended. Null if it is pending.
    pub finished_at: Option<DateTime<Utc>>,
    /// Why the last attempt failed. Null if it did not fail.
    pub error: Option<String>,
    /// The only e-mail address that the message is sent to, because the other addresses of the channel have already
    /// received it. Null for all addresses.
    pub recipient: Option<String>,
}

/// The result of a test notification.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NotificationTest {
    /// Whether the notification was delivered.
    pub delivered: bool,
    /// Why it was not delivered. Null if it was.
    pub error: Option<String>,
    /// Time that the attempt took, in milliseconds.
    pub duration_ms: i64,
}
