//! Rows of `auth.users`, and the `data` that users store with their account.

use api_types::{ProjectUser, User, UserRole};
use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use tokio_postgres::Row;

use super::database::column;
use crate::error::{ApiError, ApiResult};

/// Maximum size of the `data` of a request, as JSON.
const MAX_DATA_BYTES: usize = 64 * 1024;

/// A row of `auth.users`.
#[derive(Debug, Clone)]
pub(super) struct UserRow {
    pub user: User,
    pub disabled_at: Option<DateTime<Utc>>,
    /// When the user set up a second factor.
    pub second_factor_at: Option<DateTime<Utc>>,
}

/// The columns that [`UserRow::parse`] reads, of a row source `u`.
macro_rules! user_columns {
    () => {
        "u.id::pg_catalog.text AS id, u.email, u.email_verified_at, u.role, u.data, u.created_at, u.updated_at,
         u.last_sign_in_at, u.disabled_at, u.second_factor_at"
    };
}
pub(super) use user_columns;

impl UserRow {
    pub(super) fn parse(row: &Row) -> ApiResult<Self> {
        let role: String = column(row, "role")?;
        Ok(Self {
            user: User {
                id: column(row, "id")?,
                email: column(row, "email")?,
                email_verified_at: column(row, "email_verified_at")?,
                role: role.parse::<UserRole>().map_err(ApiError::internal)?,
                data: column(row, "data")?,
                created_at: column(row, "created_at")?,
                updated_at: column(row, "updated_at")?,
                last_sign_in_at: column(row, "last_sign_in_at")?,
            },
            disabled_at: column(row, "disabled_at")?,
            second_factor_at: column(row, "second_factor_at")?,
        })
    }

    pub(super) fn with_sessions(self, sessions: i64) -> ProjectUser {
        let Self { user, disabled_at, second_factor_at: _ } = self;
        ProjectUser {
            id: user.id,
            email: user.email,
            email_verified_at: user.email_verified_at,
            role: user.role,
            data: user.data,
            created_at: user.created_at,
            updated_at: user.updated_at,
            last_sign_in_at: user.last_sign_in_at,
            disabled_at,
            sessions,
        }
    }
}

/// A valid value of `data`, or of a change to it.
#[derive(Debug, Clone, Default)]
pub(super) struct UserData(Map<String, Value>);

impl UserData {
    /// Parses the `data` of a request.
    ///
    /// # Errors
    /// Returns 400 if the value is not an object, or too large.
    pub(super) fn parse(value: Option<Value>) -> ApiResult<Self> {
        let members = match value {
            None | Some(Value::Null) => Map::new(),
            Some(Value::Object(members)) => members,
            Some(_) => return Err(ApiError::invalid("`data` must be a JSON object.")),
        };
        let data = Self(members);
        if data.set().len() > MAX_DATA_BYTES {
            return Err(ApiError::invalid(format!("`data` is larger than {MAX_DATA_BYTES} bytes.")));
        }
        Ok(data)
    }

    /// Returns the members to set, as JSON.
    pub(super) fn set(&self) -> String {
        let members = self.0.iter().filter(|(_, value)| !value.is_null());
        Value::Object(members.map(|(name, value)| (name.clone(), value.clone())).collect()).to_string()
    }

    /// Returns the names of the members to remove, as a JSON array.
    pub(super) fn removed(&self) -> String {
        let names = self.0.iter().filter(|(_, value)| value.is_null()).map(|(name, _)| Value::from(name.as_str()));
        Value::Array(names.collect()).to_string()
    }
}
