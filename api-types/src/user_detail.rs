//! One end user, with their sessions and the rows that refer to them.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::ProjectUser;

/// A user with their sessions, and the rows of the app that refer to them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ProjectUserDetail {
    /// The user.
    pub user: ProjectUser,
    /// When the user set up a second factor. Null if there is none.
    pub second_factor_at: Option<DateTime<Utc>>,
    /// Sessions that have not ended, newest first. At most 100.
    pub sessions: Vec<ProjectUserSession>,
    /// The foreign keys with one column that refer to users, at most 50, with the number of rows that refer to this
    /// user.
    pub references: Vec<UserReference>,
}

/// A session of an end user.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ProjectUserSession {
    /// Id of the session, a UUID. Access tokens contain it as `session_id`.
    pub id: String,
    /// When the user signed in.
    pub created_at: DateTime<Utc>,
    /// When the session's tokens were last refreshed.
    pub refreshed_at: DateTime<Utc>,
    /// When the session ends if it is not refreshed.
    pub expires_at: DateTime<Utc>,
    /// IP address from which the user signed in. Null if not known.
    pub address: Option<String>,
    /// Header `user-agent` of the sign-in, shortened. Null if there was none.
    pub user_agent: Option<String>,
}

/// Rows that refer to a user through a foreign key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct UserReference {
    /// Table of the rows, with its schema unless that is `public`.
    pub table: String,
    /// Columns of the foreign key.
    pub columns: Vec<String>,
    /// Number of rows. Counting stops at 10 000. Rows that forced row-level security hides from the project's owner
    /// role are not counted. Zero if the rows were not counted at all.
    pub rows: i64,
    /// Whether the rows were counted. False if that took too long, for example because the table is locked, or large
    /// and without an index on the column.
    pub counted: bool,
    /// What deleting the user does to the rows: `noAction`, `restrict`, `cascade`, `setNull` or `setDefault`.
    pub on_delete: UserReferenceAction,
}

/// The effect of deleting a user on rows that refer to the user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum UserReferenceAction {
    /// The deletion is refused.
    NoAction,
    /// The deletion is refused.
    Restrict,
    /// The rows are deleted, too.
    Cascade,
    /// The columns become null.
    SetNull,
    /// The columns are set to their default.
    SetDefault,
}
