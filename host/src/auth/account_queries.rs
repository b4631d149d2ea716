//! The fixed SQL on changes that users make to themselves. Each function changes everything or nothing.

use tokio_postgres::Row;

use super::{
    database::{AuthDatabase, Bind as _, column, write},
    email_address::EmailAddress,
    login::invalid_credentials,
    mailed_tokens::{Purpose, cancelling_email_change, storing},
    queries::after_change_of_password,
    schema::is_parent_gone,
    users::{UserData, UserRow, data_fits, data_too_large, merged_data, user_columns},
};
use crate::{db::Statement, error::ApiResult};

/// A new password of a signed-in user.
#[derive(Clone, Copy)]
pub(super) struct NewPassword<'a> {
    pub hash: &'a str,
    /// The hash that the user's password must still have, if the user has one.
    pub current_hash: Option<&'a str>,
}

/// The effect on mailed links that confirm a new e-mail address of a signed-in user.
#[derive(Clone, Copy)]
pub(super) enum EmailChange<'a> {
    /// Links stay valid, unless the password changes.
    Keep,
    /// Links become invalid.
    Cancel,
    /// Older links become invalid. The link with this new token will confirm the e-mail address.
    Request { email: &'a EmailAddress, token: &'a str },
}

/// Sets and removes members of a user's data, and applies `email_change`. If a password is given, sets it, ends the
/// user's other sessions, and makes mailed links that reset the password or confirm an older new e-mail address
/// invalid. Returns `None` if the session has ended, or the user is gone or disabled.
///
/// Locks the user, the session and the password. If another request is ending the session or changing the password,
/// waits for it, and then checks them again. A request that ends the session meanwhile waits too, and then cancels the
/// new link.
///
/// # Errors
/// Returns 400 if the user's data would be too large, and 401 `invalid_credentials` if the password was changed since
/// it was verified.
pub(super) async fn update_own(
    database: &AuthDatabase,
    project: &str,
    (user, session): (&str, &str),
    data: &UserData,
    password: Option<NewPassword<'_>>,
    email_change: EmailChange<'_>,
) -> ApiResult<Option<UserRow>> {
    let statement = write(concat!(
        "WITH locked AS (
             SELECT u.id FROM auth.users u JOIN auth.sessions s ON s.user_id = u.id
             WHERE u.id = $1::pg_catalog.uuid AND s.id = $4::pg_catalog.uuid AND u.disabled_at IS NULL
             FOR NO KEY UPDATE OF u FOR KEY SHARE OF s
         ), proved AS (
             SELECT locked.id FROM locked
             WHERE $6::pg_catalog.text IS NULL OR EXISTS (
                 SELECT FROM auth.passwords p WHERE p.user_id = locked.id AND p.hash = $6::pg_catalog.text
                 FOR NO KEY UPDATE)
         ), u AS (
             UPDATE auth.users SET updated_at = pg_catalog.now(), data = ",
        merged_data!(),
        " FROM proved WHERE users.id = proved.id AND ",
        data_fits!(),
        " RETURNING users.*
         ), p AS (
             INSERT INTO auth.passwords (user_id, hash)
             SELECT u.id, $5::pg_catalog.text FROM u WHERE $5::pg_catalog.text IS NOT NULL
             ON CONFLICT (user_id) DO UPDATE SET hash = excluded.hash, changed_at = pg_catalog.now()
         ), links AS (
             DELETE FROM auth.mailed_tokens t USING u
             WHERE t.user_id = u.id
                 AND (t.purpose IN ('reset', 'change_email') AND $5::pg_catalog.text IS NOT NULL
                     OR t.purpose = 'change_email' AND $7::pg_catalog.bool)
         ), ended AS (
             DELETE FROM auth.sessions s USING u
             WHERE s.user_id = u.id AND s.id <> $4::pg_catalog.uuid AND $5::pg_catalog.text IS NOT NULL
         )
         SELECT ",
        user_columns!(),
        ", proved.id IS NOT NULL AS is_proved, u.id IS NOT NULL AS is_updated
         FROM locked LEFT JOIN proved ON proved.id = locked.id LEFT JOIN u ON u.id = locked.id"
    ))
    .bind(user)
    .bind(data.set())
    .bind(data.removed())
    .bind(session)
    .bind_option(password.map(|password| password.hash))
    .bind_option(password.and_then(|password| password.current_hash))
    .bind(matches!(email_change, EmailChange::Cancel).to_string());
    let after_update = |row: &Row| -> ApiResult<Vec<Statement>> {
        let is_updated: bool = column(row, "is_updated")?;
        if !is_updated {
            return Ok(Vec::new());
        }
        let mut statements = match password {
            Some(_) => after_change_of_password(user, Some(session)),
            None => Vec::new(),
        };
        match email_change {
            // The statement itself cancels.
            EmailChange::Keep | EmailChange::Cancel => {}
            EmailChange::Request { email, token } => {
                statements.push(cancelling_email_change(user));
                statements.push(storing(token, user, Purpose::ChangeEmail, email));
            }
        }
        Ok(statements)
    };
    let fetched = match (password, email_change) {
        // These requests are not limited in number, so they must not open a connection, as follow-ups would.
        (None, EmailChange::Keep | EmailChange::Cancel) => database.fetch(project, &statement).await,
        _ => database.fetch_with_follow_ups(project, &statement, &after_update).await,
    };
    let rows = match fetched {
        Err(error) if is_parent_gone(&error) => return Ok(None),
        rows => rows?,
    };
    let Some(row) = rows.first() else { return Ok(None) };
    match (column(row, "is_proved")?, column(row, "is_updated")?) {
        (false, _) => Err(invalid_credentials()),
        (true, false) => Err(data_too_large()),
        (true, true) => UserRow::parse(row).map(Some),
    }
}
