//! API keys of projects.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::text_enum::text_enum;

/// The type of an API key, which determines its access.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum KeyType {
    /// Access to the tables and buckets that the owner exposed. Safe to use in browsers.
    Publishable,
    /// Access to all tables and files of the project. For servers only.
    Secret,
}

text_enum!(KeyType {
    Publishable => "publishable",
    Secret => "secret",
});

/// An API key without its secret part.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ApiKey {
    /// Id of the key.
    pub id: String,
    /// What the key may access.
    #[serde(rename = "type")]
    pub key_type: KeyType,
    /// Name of the key.
    pub name: String,
    /// First characters of the key, to recognize it.
    pub prefix: String,
    /// When the key was created.
    pub created_at: DateTime<Utc>,
    /// When the key stops working. Null if it does not expire.
    pub expires_at: Option<DateTime<Utc>>,
    /// When the key was last used, accurate to a minute. Null if it has never been used.
    pub last_used_at: Option<DateTime<Utc>>,
    /// When the key was revoked. Null if it is not revoked.
    pub revoked_at: Option<DateTime<Utc>>,
    /// Id of the key that this one replaced when it was rotated. Null if there is none.
    pub replaces: Option<String>,
    /// Id of the key that replaced this one. Null if there is none.
    pub replaced_by: Option<String>,
    /// Number of requests with this key in the last 24 hours, counted by the hour and up to a minute late.
    #[serde(rename = "requests24h")]
    pub requests_24h: i64,
}

/// An API key to create.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CreateApiKey {
    /// What the key may access.
    #[serde(rename = "type")]
    pub key_type: KeyType,
    /// Name of the key, 1 to 64 characters.
    pub name: String,
    /// When the key stops working. Without it, the key does not expire.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<DateTime<Utc>>,
}

/// A new API key. This is the only response that contains `key`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CreatedApiKey {
    /// Properties of the key.
    pub api_key: ApiKey,
    /// The key itself. It can't be retrieved again.
    pub key: String,
}

/// A request to replace an API key with a new one.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RotateApiKey {
    /// Seconds until the old key stops working, 0 to 2592000 (30 days; default 0).
    #[serde(default)]
    pub overlap_seconds: u32,
}

/// Changes to an API key. Fields that are absent stay as they are.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct UpdateApiKey {
    /// Name of the key, 1 to 64 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// When the key stops working. Null for a key that does not expire.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "crate::nullable::deserialize")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<DateTime<Utc>>))]
    pub expires_at: Option<Option<DateTime<Utc>>>,
}
