//! Saved queries and the history of the SQL editor.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// A query that the owner saved in a project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SavedQuery {
    /// Id of the query.
    pub id: String,
    /// Name of the query. Not necessarily unique.
    pub name: String,
    /// The SQL.
    pub sql: String,
    /// Version, which increases with every change. `"<version>"` is the entity tag for `If-Match`.
    pub version: i64,
    /// When it was created.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
}

/// A new query.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CreateSavedQuery {
    /// Name, 1 to 200 characters.
    pub name: String,
    /// The SQL.
    pub sql: String,
}

/// Changes to a saved query. Fields that are absent stay as they are.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct UpdateSavedQuery {
    /// Name, 1 to 200 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The SQL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sql: Option<String>,
}

/// SQL that was sent to the SQL editor, even if it failed or was refused. Entries are kept for 90 days, at most 1000
/// per project.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SqlHistoryEntry {
    /// Number of the entry; later ones are larger.
    pub id: i64,
    /// The SQL.
    pub sql: String,
    /// When the request began.
    pub at: DateTime<Utc>,
    /// Duration of the request, in milliseconds.
    pub duration_ms: f64,
    /// Number of rows that all statements together returned or changed. Null if the request failed.
    pub row_count: Option<i64>,
    /// Message of the error. Null if the request succeeded.
    pub error: Option<String>,
}
