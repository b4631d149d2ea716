//! Rows of `auth.users`, and the `data` that users store with their account.

use api_types::{ProjectUser, User, UserRole};
use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use tokio_postgres::Row;

use super::database::column;
use crate::error::{ApiError, ApiResult};

/// Maximum size of the `data` of a request and of the stored `data`, as JSON without spaces. `data_fits` repeats this
/// number.
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

/// The `data` of a row of `auth.users` after a change. `$2` is [`UserData::set`], and `$3` is [`UserData::removed`].
macro_rules! merged_data {
    () => {
        "((data || $2::pg_catalog.jsonb) - ARRAY(SELECT pg_catalog.jsonb_array_elements_text($3::pg_catalog.jsonb)))"
    };
}
pub(super) use merged_data;

/// Whether `merged_data` may be stored: it is at most as large as [`MAX_DATA_BYTES`] or as the present `data`. The text
/// that Postgres writes has at most one space for each other byte. So a text of more than 128 KiB is too large, and
/// only texts between 64 KiB and that size are measured without spaces.
macro_rules! data_fits {
    () => {
        concat!(
            "(SELECT CASE
                 WHEN m.bytes <= greatest(65536, pg_catalog.octet_length(data::pg_catalog.text)) THEN true
                 WHEN m.bytes > 131072 THEN false
                 ELSE pg_catalog.octet_length(pg_catalog.regexp_replace(
                     m.json, '(\"(?:[^\"\\\\]|\\\\.)*\")|\\s', '\\1', 'g')) <= 65536 END
             FROM (SELECT n.json, pg_catalog.octet_length(n.json) AS bytes FROM (SELECT ",
            merged_data!(),
            "::pg_catalog.text AS json) AS n) AS m)"
        )
    };
}
pub(super) use data_fits;

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

    /// Returns the user as the owner sees it.
    pub(super) fn for_owner(self, has_password: bool, sessions: i64) -> ProjectUser {
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
            has_password,
            sessions,
        }
    }
}

/// Returns the error for a change after which the stored `data` would be too large.
pub(super) fn data_too_large() -> ApiError {
    ApiError::invalid(format!("With this change, the user's `data` would be larger than {MAX_DATA_BYTES} bytes."))
        .with_hint("Remove members of `data` by setting them to null.")
}

/// Returns the number of bytes by which the database's form of a value is longer than the given one: Postgres stores
/// numbers without an exponent.
fn expansion(value: &Value) -> usize {
    match value {
        Value::Number(number) if number.is_f64() => {
            let plain = number.as_f64().map_or(0, |float| float.to_string().len());
            plain.saturating_sub(number.to_string().len())
        }
        Value::Array(items) => items.iter().map(expansion).sum(),
        Value::Object(members) => members.values().map(expansion).sum(),
        _ => 0,
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
        if data.set().len() + data.0.values().map(expansion).sum::<usize>() > MAX_DATA_BYTES {
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn size_of_data_counts_numbers_as_they_are_stored() {
        assert_eq!(expansion(&json!({ "a": [1, 1.5, "1e300", null, true], "b": -0.25 })), 0);
        // `1` with 300 zeros, and `0.0000001`.
        let given = |number: f64| json!(number).to_string().len();
        assert_eq!(expansion(&json!([{ "a": 1e300 }, 1e-7])), (301 - given(1e300)) + (9 - given(1e-7)));
        assert!(UserData::parse(Some(json!({ "a": vec![1e300; 200] }))).is_ok());
        assert!(UserData::parse(Some(json!({ "a": vec![1e300; 300] }))).is_err());
    }
}
