//! The fixed SQL on schema `auth`, for users and their sessions.
//!
//! Each function that accesses the database runs one statement, so it changes everything or nothing. Only
//! [`end_sessions`] runs two.

use tokio_postgres::Row;

use super::{
    database::{AuthDatabase, Bind as _, column, read, write},
    email_address::EmailAddress,
    mailed_tokens::{cancel_email_change, cancelling_email_change},
    methods::Assurance,
    request::ClientFacts,
    schema::is_parent_gone,
    sessions::SignInProof,
    users::{UserData, UserRow, user_columns},
};
use crate::{
    db::Statement,
    error::{ApiError, ApiResult, Code},
};

/// A user with the hash of the password, if there is one.
pub(super) struct Account {
    pub row: UserRow,
    pub password_hash: Option<String>,
}

impl Account {
    fn parse(row: &Row) -> ApiResult<Self> {
        Ok(Self { row: UserRow::parse(row)?, password_hash: column(row, "hash")? })
    }
}

pub(super) async fn account_by_email(
    database: &AuthDatabase,
    project: &str,
    email: &EmailAddress,
) -> ApiResult<Option<Account>> {
    let statement = read(concat!(
        "SELECT ",
        user_columns!(),
        ", p.hash FROM auth.users u LEFT JOIN auth.passwords p ON p.user_id = u.id WHERE u.email = $1::pg_catalog.text"
    ))
    .bind(email.as_str());
    database.rows(project, &statement).await?.first().map(Account::parse).transpose()
}

/// Returns the user of a session that still exists, unless the user is disabled.
pub(super) async fn account_of_session(
    database: &AuthDatabase,
    project: &str,
    user: &str,
    session: &str,
) -> ApiResult<Option<Account>> {
    let statement = read(concat!(
        "SELECT ",
        user_columns!(),
        ", p.hash FROM auth.users u JOIN auth.sessions s ON s.user_id = u.id
         LEFT JOIN auth.passwords p ON p.user_id = u.id
         WHERE u.id = $1::pg_catalog.uuid AND s.id = $2::pg_catalog.uuid AND u.disabled_at IS NULL"
    ))
    .bind(user)
    .bind(session);
    database.rows(project, &statement).await?.first().map(Account::parse).transpose()
}

/// Returns whether the session exists and its user is not disabled.
pub(super) async fn session_exists(
    database: &AuthDatabase,
    project: &str,
    user: &str,
    session: &str,
) -> ApiResult<bool> {
    let statement = read(
        "SELECT FROM auth.sessions s JOIN auth.users u ON u.id = s.user_id
         WHERE u.id = $1::pg_catalog.uuid AND s.id = $2::pg_catalog.uuid AND u.disabled_at IS NULL",
    )
    .bind(user)
    .bind(session);
    Ok(!database.rows(project, &statement).await?.is_empty())
}

/// A user to insert.
pub(super) struct NewUser<'a> {
    pub id: &'a str,
    pub email: &'a EmailAddress,
    pub role: &'a str,
    pub data: &'a UserData,
    pub is_verified: bool,
    pub password_hash: Option<&'a str>,
}

/// Inserts a user. Returns `None` if the e-mail address is taken.
pub(super) async fn insert_user(
    database: &AuthDatabase,
    project: &str,
    new: &NewUser<'_>,
) -> ApiResult<Option<UserRow>> {
    let statement = write(concat!(
        "WITH u AS (
             INSERT INTO auth.users (id, email, role, data, email_verified_at)
             VALUES ($1::pg_catalog.uuid, $2::pg_catalog.text, $3::pg_catalog.text, $4::pg_catalog.jsonb,
                 CASE WHEN $5::pg_catalog.bool THEN pg_catalog.now() END)
             ON CONFLICT (email) DO NOTHING
             RETURNING *
         ), p AS (
             INSERT INTO auth.passwords (user_id, hash)
             SELECT u.id, $6::pg_catalog.text FROM u WHERE $6::pg_catalog.text IS NOT NULL
         )
         SELECT ",
        user_columns!(),
        " FROM u"
    ))
    .bind(new.id)
    .bind(new.email.as_str())
    .bind(new.role)
    .bind(new.data.set())
    .bind(if new.is_verified { "true" } else { "false" })
    .bind_option(new.password_hash);
    database.rows(project, &statement).await?.first().map(UserRow::parse).transpose()
}

/// A session to insert.
pub(super) struct NewSession<'a> {
    pub id: &'a str,
    pub user: &'a str,
    /// Hash of the first refresh token.
    pub token_hash: &'a [u8; 32],
    /// Days after which the session and its token expire, unless the token is exchanged.
    pub days: i32,
    pub proof: &'a SignInProof<'a>,
    pub client: &'a ClientFacts,
}

fn assurance_of(row: &Row) -> ApiResult<Assurance> {
    Assurance::parse(column(row, "methods")?, column(row, "has_second_factor")?)
}

/// Inserts a session with its first refresh token. Returns the user, the current time in seconds since 1970 and how the
/// session was opened, or `None` if the user is gone or disabled, if the password was changed since it was verified, or
/// if the user has a second factor that was not proved.
///
/// Locks the user, and then the password: if another request is replacing the password, waits and checks the new one.
pub(super) async fn insert_session(
    database: &AuthDatabase,
    project: &str,
    new: &NewSession<'_>,
) -> ApiResult<Option<(UserRow, i64, Assurance)>> {
    let statement = write(concat!(
        "WITH locked AS (
             SELECT id FROM auth.users
             WHERE id = $1::pg_catalog.uuid AND disabled_at IS NULL
               AND (second_factor_at IS NULL OR $9::pg_catalog.jsonb IS NOT NULL)
             FOR NO KEY UPDATE
         ), proved AS (
             SELECT locked.id FROM locked
             WHERE $5::pg_catalog.text IS NULL OR EXISTS (
                 SELECT FROM auth.passwords p WHERE p.user_id = locked.id AND p.hash = $5::pg_catalog.text FOR SHARE)
         ), u AS (
             UPDATE auth.users SET last_sign_in_at = pg_catalog.now() FROM proved WHERE users.id = proved.id
             RETURNING users.*
         ), s AS (
             INSERT INTO auth.sessions (id, user_id, expires_at, address, user_agent, methods, has_second_factor)
             SELECT $2::pg_catalog.uuid, u.id, pg_catalog.now() + pg_catalog.make_interval(days => $4::pg_catalog.int4),
                 $6::pg_catalog.text, $7::pg_catalog.text,
                 pg_catalog.jsonb_build_array(pg_catalog.jsonb_build_object('method', $8::pg_catalog.text, 'timestamp',
                     pg_catalog.floor(pg_catalog.date_part('epoch', pg_catalog.now()))::pg_catalog.int8))
                     || coalesce($9::pg_catalog.jsonb, '[]'),
                 $9::pg_catalog.jsonb IS NOT NULL
             FROM u RETURNING id, expires_at, methods, has_second_factor
         ), t AS (
             INSERT INTO auth.refresh_tokens (hash, session_id, expires_at)
             SELECT $3::pg_catalog.bytea, s.id, s.expires_at FROM s
         )
         SELECT ",
        user_columns!(),
        ", s.methods, s.has_second_factor,
           pg_catalog.floor(pg_catalog.date_part('epoch', pg_catalog.now()))::pg_catalog.int8 AS issued_at FROM u, s"
    ))
    .bind(new.user)
    .bind(new.id)
    .bind_bytes(new.token_hash)
    .bind(new.days.to_string())
    .bind_option(new.proof.password_hash)
    .bind(new.client.address.to_string())
    .bind_option(new.client.user_agent.as_deref())
    .bind(new.proof.method.as_str())
    .bind_option(new.proof.first_factor);
    let rows = match database.fetch(project, &statement).await {
        // The user was deleted at the same moment.
        Err(error) if is_parent_gone(&error) => return Ok(None),
        rows => rows?,
    };
    rows.first().map(|row| Ok((UserRow::parse(row)?, column(row, "issued_at")?, assurance_of(row)?))).transpose()
}

/// An exchange of a refresh token.
pub(super) struct Exchange<'a> {
    /// Hash of the token to use.
    pub hash: &'a [u8; 32],
    /// Salt of its successor.
    pub salt: &'a [u8; 32],
    /// Hash of its successor.
    pub successor: &'a [u8; 32],
    /// Days after which the session and the successor expire, unless the successor is exchanged.
    pub days: i32,
}

/// A session whose refresh token was exchanged.
pub(super) struct Exchanged {
    pub user: UserRow,
    pub session: String,
    /// When the exchanged token was used, in seconds since 1970.
    pub used_at: i64,
    pub assurance: Assurance,
}

impl Exchanged {
    fn parse(row: &Row) -> ApiResult<Self> {
        Ok(Self {
            user: UserRow::parse(row)?,
            session: column(row, "session_id")?,
            used_at: column(row, "used_at")?,
            assurance: assurance_of(row)?,
        })
    }
}

/// Returns the user of an unused token whose session still exists, even if the token has expired.
pub(super) async fn user_of_unused_token(
    database: &AuthDatabase,
    project: &str,
    hash: &[u8; 32],
) -> ApiResult<Option<String>> {
    let statement = read(
        "SELECT s.user_id::pg_catalog.text AS id FROM auth.refresh_tokens t JOIN auth.sessions s ON s.id = t.session_id
         WHERE t.hash = $1::pg_catalog.bytea AND t.used_at IS NULL",
    )
    .bind_bytes(hash);
    database.rows(project, &statement).await?.first().map(|row| column(row, "id")).transpose()
}

/// Uses an unused token and inserts its successor. Returns `None` if the token can't be used. Of several exchanges of a
/// token at the same time, at most one succeeds.
pub(super) async fn exchange_token(
    database: &AuthDatabase,
    project: &str,
    exchange: &Exchange<'_>,
) -> ApiResult<Option<Exchanged>> {
    let statement = write(concat!(
        "WITH used AS (
             UPDATE auth.refresh_tokens t SET used_at = pg_catalog.now(), successor_salt = $2::pg_catalog.bytea
             FROM auth.sessions s JOIN auth.users u ON u.id = s.user_id
             WHERE t.hash = $1::pg_catalog.bytea AND t.used_at IS NULL AND t.expires_at > pg_catalog.now()
               AND s.id = t.session_id AND u.disabled_at IS NULL
               AND (u.second_factor_at IS NULL OR s.has_second_factor)
             RETURNING t.session_id, s.user_id, t.used_at
         ), s AS (
             UPDATE auth.sessions SET refreshed_at = used.used_at,
                 expires_at = used.used_at + pg_catalog.make_interval(days => $4::pg_catalog.int4)
             FROM used WHERE sessions.id = used.session_id
             RETURNING sessions.id, sessions.expires_at, sessions.methods, sessions.has_second_factor
         ), t AS (
             INSERT INTO auth.refresh_tokens (hash, session_id, expires_at)
             SELECT $3::pg_catalog.bytea, s.id, s.expires_at FROM s
         )
         SELECT ",
        user_columns!(),
        ", used.session_id::pg_catalog.text AS session_id, s.methods, s.has_second_factor,
           pg_catalog.floor(pg_catalog.date_part('epoch', used.used_at))::pg_catalog.int8 AS used_at
         FROM used JOIN s ON s.id = used.session_id JOIN auth.users u ON u.id = used.user_id"
    ))
    .bind_bytes(exchange.hash)
    .bind_bytes(exchange.salt)
    .bind_bytes(exchange.successor)
    .bind(exchange.days.to_string());
    let rows = match database.fetch(project, &statement).await {
        // The session ended at the same moment.
        Err(error) if is_parent_gone(&error) => return Ok(None),
        rows => rows?,
    };
    rows.first().map(Exchanged::parse).transpose()
}

/// A token that was used before, of a session that still exists.
pub(super) struct UsedToken {
    pub exchanged: Exchanged,
    pub salt: Vec<u8>,
    pub is_within_grace: bool,
}

pub(super) async fn used_token(
    database: &AuthDatabase,
    project: &str,
    hash: &[u8; 32],
    grace_seconds: i32,
) -> ApiResult<Option<UsedToken>> {
    let statement = read(concat!(
        "SELECT ",
        user_columns!(),
        ", s.id::pg_catalog.text AS session_id, s.methods, s.has_second_factor, t.successor_salt,
           pg_catalog.floor(pg_catalog.date_part('epoch', t.used_at))::pg_catalog.int8 AS used_at,
           t.used_at >= pg_catalog.now() - pg_catalog.make_interval(secs => $2::pg_catalog.float8) AS is_within_grace
         FROM auth.refresh_tokens t JOIN auth.sessions s ON s.id = t.session_id JOIN auth.users u ON u.id = s.user_id
         WHERE t.hash = $1::pg_catalog.bytea AND t.used_at IS NOT NULL AND u.disabled_at IS NULL
           AND (u.second_factor_at IS NULL OR s.has_second_factor)"
    ))
    .bind_bytes(hash)
    .bind(grace_seconds.to_string());
    let parse = |row| {
        Ok(UsedToken {
            exchanged: Exchanged::parse(row)?,
            salt: column(row, "successor_salt")?,
            is_within_grace: column(row, "is_within_grace")?,
        })
    };
    database.rows(project, &statement).await?.first().map(parse).transpose()
}

pub(super) async fn end_session(database: &AuthDatabase, project: &str, session: &str) -> ApiResult<()> {
    let statement = write("DELETE FROM auth.sessions WHERE id = $1::pg_catalog.uuid").bind(session);
    database.rows(project, &statement).await.map(drop)
}

/// Ends sessions of a user: the session `only`, all except `except`, or all if both are `None`. Returns their number.
///
/// Unless only one session ends, a requested change of the e-mail address and logins that wait for the second factor
/// are cancelled, because whoever has to be signed out may have begun them. A change that one of the sessions requested
/// while the statement ran is cancelled by a second statement. After that, the ended sessions can't request another
/// change.
pub(super) async fn end_sessions(
    database: &AuthDatabase,
    project: &str,
    user: &str,
    only: Option<&str>,
    except: Option<&str>,
) -> ApiResult<usize> {
    let ended = database.rows(project, &ending_sessions(user, only, except)).await?.len();
    if only.is_none() {
        cancel_email_change(database, project, user).await?;
    }
    Ok(ended)
}

/// Returns the statement that ends sessions of a user, as [`end_sessions`] describes them.
fn ending_sessions(user: &str, only: Option<&str>, except: Option<&str>) -> Statement {
    write(
        "WITH tokens AS (
             DELETE FROM auth.mailed_tokens
             WHERE user_id = $1::pg_catalog.uuid AND purpose = 'change_email' AND $2::pg_catalog.uuid IS NULL
         ), challenges AS (
             DELETE FROM auth.mfa_challenges WHERE user_id = $1::pg_catalog.uuid AND $2::pg_catalog.uuid IS NULL
         )
         DELETE FROM auth.sessions WHERE user_id = $1::pg_catalog.uuid
         AND ($2::pg_catalog.uuid IS NULL OR id = $2::pg_catalog.uuid)
         AND ($3::pg_catalog.uuid IS NULL OR id <> $3::pg_catalog.uuid) RETURNING true",
    )
    .bind(user)
    .bind_option(only)
    .bind_option(except)
}

/// Returns the follow-ups of a statement that replaced or deleted a user's password. They end the sessions, except
/// `except`, that were opened with the old password while the statement was running: the statement itself ends only
/// those that existed when it began. They also cancel what [`end_sessions`] cancels. From then on, [`insert_session`]
/// refuses the old password.
pub(super) fn after_change_of_password(user: &str, except: Option<&str>) -> Vec<Statement> {
    vec![ending_sessions(user, None, except), cancelling_email_change(user)]
}

/// Like [`after_change_of_password`], for all sessions of the user whose `id` the row contains.
pub(super) fn after_reset(row: &Row) -> ApiResult<Vec<Statement>> {
    Ok(after_change_of_password(column(row, "id")?, None))
}

pub(super) fn email_taken() -> ApiError {
    ApiError::new(Code::EmailTaken, "Another user of this project has this e-mail address.")
        .with_hint("Sign in with this e-mail address, or use another one.")
}
