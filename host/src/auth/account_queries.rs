//! The fixed SQL on changes that users make to themselves. Each function runs one statement that changes rows.

use super::{
    database::{AuthDatabase, Bind as _, read, write},
    schema::is_parent_gone,
    users::{UserData, UserRow, data_fits, data_too_large, merged_data, user_columns},
};
use crate::error::ApiResult;

/// A new password of a signed-in user.
#[derive(Clone, Copy)]
pub(super) struct NewPassword<'a> {
    pub hash: &'a str,
    /// The session that does not end.
    pub session: &'a str,
}

/// Sets and removes members of a user's data. If given, sets the password, ends the user's other sessions, and makes
/// mailed links that reset the password or confirm a new address invalid. Returns `None` if there is no such user.
///
/// # Errors
/// Returns 400 if the user's data would be too large.
pub(super) async fn update_own(
    database: &AuthDatabase,
    project: &str,
    user: &str,
    data: &UserData,
    password: Option<NewPassword<'_>>,
) -> ApiResult<Option<UserRow>> {
    let statement = write(concat!(
        "WITH u AS (
             UPDATE auth.users SET updated_at = pg_catalog.now(), data = ",
        merged_data!(),
        " WHERE id = $1::pg_catalog.uuid AND ",
        data_fits!(),
        " RETURNING *
         ), p AS (
             INSERT INTO auth.passwords (user_id, hash)
             SELECT u.id, $4::pg_catalog.text FROM u WHERE $4::pg_catalog.text IS NOT NULL
             ON CONFLICT (user_id) DO UPDATE SET hash = excluded.hash, changed_at = pg_catalog.now()
         ), links AS (
             DELETE FROM auth.mailed_tokens t USING u
             WHERE t.user_id = u.id AND t.purpose IN ('reset', 'change_email') AND $4::pg_catalog.text IS NOT NULL
         ), ended AS (
             DELETE FROM auth.sessions s USING u WHERE s.user_id = u.id AND s.id <> $5::pg_catalog.uuid
         )
         SELECT ",
        user_columns!(),
        " FROM u"
    ))
    .bind(user)
    .bind(data.set())
    .bind(data.removed())
    .bind_option(password.map(|password| password.hash))
    .bind_option(password.map(|password| password.session));
    let rows = match database.fetch(project, &statement).await {
        Err(error) if is_parent_gone(&error) => return Ok(None),
        rows => rows?,
    };
    if rows.is_empty() && user_exists(database, project, user).await? {
        return Err(data_too_large());
    }
    rows.first().map(UserRow::parse).transpose()
}

async fn user_exists(database: &AuthDatabase, project: &str, user: &str) -> ApiResult<bool> {
    let statement = read("SELECT FROM auth.users WHERE id = $1::pg_catalog.uuid").bind(user);
    Ok(!database.rows(project, &statement).await?.is_empty())
}
