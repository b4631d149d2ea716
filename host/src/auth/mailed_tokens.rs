//! The SQL for the tokens in mailed links. Using a token deletes it.

use tokio_postgres::{Row, error::SqlState};

use super::{
    database::{AuthDatabase, Bind as _, column, read, write},
    email_address::EmailAddress,
    queries::{after_reset, email_taken},
    schema::is_parent_gone,
    users::{UserRow, user_columns},
};
use crate::{
    db::{DbError, Statement},
    error::{ApiError, ApiResult, Code},
    secrets::{random_token, sha256},
};

const PREFIX: &str = "ah_mail_";
/// Lifetime of a mailed token, except one that signs in.
const LIFETIME_MINUTES: i32 = 60;
/// Lifetime of a token that signs in. It is shorter, because the user waits for the mail.
const MAGIC_LINK_LIFETIME_MINUTES: i32 = 15;

/// The purpose of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    Verify,
    Reset,
    ChangeEmail,
    MagicLink,
}

impl Purpose {
    fn as_str(self) -> &'static str {
        match self {
            Self::Verify => "verify",
            Self::Reset => "reset",
            Self::ChangeEmail => "change_email",
            Self::MagicLink => "magic_link",
        }
    }

    fn lifetime_minutes(self) -> i32 {
        match self {
            Self::Verify | Self::Reset | Self::ChangeEmail => LIFETIME_MINUTES,
            Self::MagicLink => MAGIC_LINK_LIFETIME_MINUTES,
        }
    }
}

pub(super) fn invalid_token() -> ApiError {
    ApiError::new(Code::InvalidToken, "The token is no longer valid.")
        .with_hint("Each link works once and expires soon. Ask for a new one.")
}

/// Invalidates the mailed links that confirm a new address of a user.
pub(super) async fn cancel_email_change(database: &AuthDatabase, project: &str, user: &str) -> ApiResult<()> {
    database.rows(project, &cancelling_email_change(user)).await.map(drop)
}

/// Returns the statement of [`cancel_email_change`].
pub(super) fn cancelling_email_change(user: &str) -> Statement {
    write("DELETE FROM auth.mailed_tokens WHERE user_id = $1::pg_catalog.uuid AND purpose = 'change_email'").bind(user)
}

/// Returns a new token. It is valid once the statement of [`storing`] has run.
pub(super) fn new_token() -> String {
    random_token(PREFIX)
}

/// Returns a statement that stores a token for an e-mail address of a user. The statement returns one row. If the user
/// was deleted or disabled in the meantime, it stores and returns nothing.
pub(super) fn storing(token: &str, user: &str, purpose: Purpose, email: &EmailAddress) -> Statement {
    write(
        "INSERT INTO auth.mailed_tokens (hash, user_id, purpose, email, expires_at)
         SELECT $1::pg_catalog.bytea, u.id, $3::pg_catalog.text, $4::pg_catalog.text,
             pg_catalog.now() + pg_catalog.make_interval(mins => $5::pg_catalog.int4)
         FROM auth.users u WHERE u.id = $2::pg_catalog.uuid AND u.disabled_at IS NULL
         RETURNING true",
    )
    .bind_bytes(&sha256(token.as_bytes()))
    .bind(user)
    .bind(purpose.as_str())
    .bind(email.as_str())
    .bind(purpose.lifetime_minutes().to_string())
}

/// Creates a token for an address of a user. Returns `None` if the user was deleted or disabled in the meantime.
pub(super) async fn create(
    database: &AuthDatabase,
    project: &str,
    user: &str,
    purpose: Purpose,
    email: &EmailAddress,
) -> ApiResult<Option<String>> {
    let token = new_token();
    let rows = match database.fetch(project, &storing(&token, user, purpose, email)).await {
        Err(error) if is_parent_gone(&error) => return Ok(None),
        rows => rows?,
    };
    Ok((!rows.is_empty()).then_some(token))
}

/// Uses a token that verifies an address, or confirms a new one, and invalidates the user's other tokens for these
/// purposes. Returns the changed user and the token's purpose, or `None` if the token is not valid.
///
/// # Errors
/// Returns 409 `email_taken` if another user has the new address by now.
pub(super) async fn use_for_verification(
    database: &AuthDatabase,
    project: &str,
    token: &str,
) -> ApiResult<Option<(UserRow, Purpose)>> {
    let statement = write(concat!(
        "WITH token AS (
             DELETE FROM auth.mailed_tokens
             WHERE hash = $1::pg_catalog.bytea AND purpose IN ('verify', 'change_email')
               AND expires_at > pg_catalog.now()
             RETURNING user_id, email, purpose
         ), u AS (
             UPDATE auth.users SET email = token.email, email_verified_at = pg_catalog.now(),
                 updated_at = pg_catalog.now()
             FROM token
             WHERE users.id = token.user_id AND users.disabled_at IS NULL
               AND (token.purpose = 'change_email' OR users.email = token.email)
             RETURNING users.*
         ), others AS (
             DELETE FROM auth.mailed_tokens t USING u
             WHERE t.user_id = u.id AND t.purpose IN ('verify', 'change_email') AND t.hash <> $1::pg_catalog.bytea
         )
         SELECT ",
        user_columns!(),
        ", token.purpose = 'change_email' AS is_change FROM u, token"
    ))
    .bind_bytes(&sha256(token.as_bytes()));
    let rows = database.fetch(project, &statement).await.map_err(taken_or)?;
    let purpose = |is_change| if is_change { Purpose::ChangeEmail } else { Purpose::Verify };
    rows.first().map(|row| Ok((UserRow::parse(row)?, purpose(column(row, "is_change")?)))).transpose()
}

/// Maps the error of a statement that sets an address.
fn taken_or(error: DbError) -> ApiError {
    let is_taken = error.as_db_error().is_some_and(|error| *error.code() == SqlState::UNIQUE_VIOLATION);
    if is_taken { email_taken() } else { error.into() }
}

/// The user whose password a token resets.
pub(super) struct ResetTarget {
    pub user: String,
    pub email: String,
    pub has_second_factor: bool,
}

/// Returns the user whose password a token resets, or `None` if the token is not valid.
pub(super) async fn reset_target(
    database: &AuthDatabase,
    project: &str,
    token: &str,
) -> ApiResult<Option<ResetTarget>> {
    let statement = read(
        "SELECT u.id::pg_catalog.text AS id, u.email, u.second_factor_at IS NOT NULL AS has_second_factor
         FROM auth.mailed_tokens t JOIN auth.users u ON u.id = t.user_id
         WHERE t.hash = $1::pg_catalog.bytea AND t.purpose = 'reset' AND t.expires_at > pg_catalog.now()
           AND u.disabled_at IS NULL AND u.email = t.email",
    )
    .bind_bytes(&sha256(token.as_bytes()));
    let parse = |row| {
        Ok(ResetTarget {
            user: column(row, "id")?,
            email: column(row, "email")?,
            has_second_factor: column(row, "has_second_factor")?,
        })
    };
    database.rows(project, &statement).await?.first().map(parse).transpose()
}

/// Uses a token that resets the password of a user with a second factor. Only marks the address as verified: the
/// password changes after the second factor. Returns `None` if the token is not valid.
pub(super) async fn use_for_guarded_reset(
    database: &AuthDatabase,
    project: &str,
    token: &str,
) -> ApiResult<Option<UserRow>> {
    let statement = write(concat!(
        "WITH token AS (
             DELETE FROM auth.mailed_tokens
             WHERE hash = $1::pg_catalog.bytea AND purpose = 'reset' AND expires_at > pg_catalog.now()
             RETURNING user_id, email
         ), u AS (
             UPDATE auth.users SET email_verified_at = coalesce(email_verified_at, pg_catalog.now())
             FROM token
             WHERE users.id = token.user_id AND users.disabled_at IS NULL AND users.email = token.email
             RETURNING users.*
         )
         SELECT ",
        user_columns!(),
        " FROM u"
    ))
    .bind_bytes(&sha256(token.as_bytes()));
    database.rows(project, &statement).await?.first().map(UserRow::parse).transpose()
}

/// Uses a token that resets a password: sets the hash, ends all sessions, invalidates the user's other mailed tokens,
/// and marks the address as verified, because the holder of the address has opened the link. Returns `None` if the
/// token is not valid, or the user has a second factor by now.
pub(super) async fn use_for_reset(
    database: &AuthDatabase,
    project: &str,
    token: &str,
    password_hash: &str,
) -> ApiResult<Option<UserRow>> {
    let statement = write(concat!(
        "WITH token AS (
             DELETE FROM auth.mailed_tokens
             WHERE hash = $1::pg_catalog.bytea AND purpose = 'reset' AND expires_at > pg_catalog.now()
             RETURNING user_id, email
         ), u AS (
             UPDATE auth.users SET email_verified_at = coalesce(email_verified_at, pg_catalog.now()),
                 updated_at = pg_catalog.now()
             FROM token
             WHERE users.id = token.user_id AND users.disabled_at IS NULL AND users.email = token.email
               AND users.second_factor_at IS NULL
             RETURNING users.*
         ), p AS (
             INSERT INTO auth.passwords (user_id, hash) SELECT u.id, $2::pg_catalog.text FROM u
             ON CONFLICT (user_id) DO UPDATE SET hash = excluded.hash, changed_at = pg_catalog.now()
         ), s AS (
             DELETE FROM auth.sessions s USING u WHERE s.user_id = u.id
         ), others AS (
             DELETE FROM auth.mailed_tokens t USING u WHERE t.user_id = u.id AND t.hash <> $1::pg_catalog.bytea
         )
         SELECT ",
        user_columns!(),
        " FROM u"
    ))
    .bind_bytes(&sha256(token.as_bytes()))
    .bind(password_hash);
    let rows = match database.fetch_with_follow_ups(project, &statement, &after_reset).await {
        Err(error) if is_parent_gone(&error) => return Ok(None),
        rows => rows?,
    };
    rows.first().map(UserRow::parse).transpose()
}

/// Uses a token that signs in, invalidates the user's other tokens that sign in, and marks the address as verified,
/// because the holder of the address has opened the link. If the address was not verified before and the user has no
/// second factor, deletes the password, all sessions and all mailed tokens: they may belong to someone who signed up
/// with an address that is not theirs. Returns `None` if the token is not valid.
pub(super) async fn use_for_magic_link(
    database: &AuthDatabase,
    project: &str,
    token: &str,
) -> ApiResult<Option<UserRow>> {
    let hash = sha256(token.as_bytes());
    // Only if the address is not verified yet can sessions end, which needs follow-ups on a separate connection.
    // Otherwise, the statement runs on a shared one.
    let lookup = read(
        "SELECT u.email_verified_at IS NOT NULL AS is_verified
         FROM auth.mailed_tokens t JOIN auth.users u ON u.id = t.user_id
         WHERE t.hash = $1::pg_catalog.bytea AND t.purpose = 'magic_link'",
    )
    .bind_bytes(&hash);
    let found = database.rows(project, &lookup).await?;
    let is_verified = found.first().map(|row| column::<bool>(row, "is_verified")).transpose()?;
    let Some(is_verified) = is_verified else { return Ok(None) };
    let statement = write(concat!(
        "WITH token AS (
             DELETE FROM auth.mailed_tokens
             WHERE hash = $1::pg_catalog.bytea AND purpose = 'magic_link' AND expires_at > pg_catalog.now()
             RETURNING user_id, email
         ), before AS (
             SELECT users.id, users.email_verified_at IS NULL AS is_unverified
             FROM auth.users JOIN token ON users.id = token.user_id
         ), u AS (
             UPDATE auth.users SET email_verified_at = coalesce(email_verified_at, pg_catalog.now())
             FROM token
             WHERE users.id = token.user_id AND users.disabled_at IS NULL AND users.email = token.email
             RETURNING users.*
         ), unproved AS (
             SELECT u.id FROM u JOIN before ON before.id = u.id
             WHERE before.is_unverified AND u.second_factor_at IS NULL
         ), p AS (
             DELETE FROM auth.passwords p USING unproved WHERE p.user_id = unproved.id
         ), s AS (
             DELETE FROM auth.sessions s USING unproved WHERE s.user_id = unproved.id
         ), others AS (
             DELETE FROM auth.mailed_tokens t USING u
             WHERE t.user_id = u.id AND t.hash <> $1::pg_catalog.bytea
               AND (t.purpose = 'magic_link' OR EXISTS (SELECT FROM unproved))
         )
         SELECT ",
        user_columns!(),
        ", EXISTS (SELECT FROM unproved) AS is_unproved FROM u"
    ))
    .bind_bytes(&hash);
    let after_use = |row: &Row| -> ApiResult<Vec<Statement>> {
        if column(row, "is_unproved")? { after_reset(row) } else { Ok(Vec::new()) }
    };
    let rows = match is_verified {
        // A verified address stays verified.
        true => database.rows(project, &statement).await?,
        false => database.fetch_with_follow_ups(project, &statement, &after_use).await?,
    };
    rows.first().map(UserRow::parse).transpose()
}
