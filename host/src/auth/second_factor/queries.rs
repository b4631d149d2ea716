//! The fixed SQL on second factors. Each function that accesses the database runs one statement.

use chrono::{DateTime, Utc};

use crate::{
    auth::{
        database::{AuthDatabase, Bind as _, column, read, write},
        schema::is_parent_gone,
    },
    error::ApiResult,
};

/// Number of wrong codes of the authenticator app that a user may send before having to wait.
const ATTEMPT_BURST: f64 = 10.0;
/// Seconds until another attempt is allowed. With this limit, someone who knows the password guesses a code with a
/// probability of about 0.2 % per day.
pub(super) const ATTEMPT_SECONDS: f64 = 120.0;

pub(super) struct StoredFactor {
    pub confirmed_at: Option<DateTime<Utc>>,
    pub recovery_codes_left: i64,
}

/// Returns the user's factor, which may not be active yet.
pub(super) async fn factor(database: &AuthDatabase, project: &str, user: &str) -> ApiResult<Option<StoredFactor>> {
    let statement = read(
        "SELECT f.confirmed_at, (SELECT pg_catalog.count(*) FROM auth.recovery_codes r WHERE r.user_id = f.user_id)
             AS recovery_codes
         FROM auth.totp_factors f WHERE f.user_id = $1::pg_catalog.uuid",
    )
    .bind(user);
    let rows = database.rows(project, &statement).await?;
    let parse = |row| {
        Ok(StoredFactor {
            confirmed_at: column(row, "confirmed_at")?,
            recovery_codes_left: column(row, "recovery_codes")?,
        })
    };
    rows.first().map(parse).transpose()
}

/// Stores the secret of a factor that is not active yet, in place of an earlier one. Returns false if the user has an
/// active factor, or is gone.
pub(super) async fn store_pending(
    database: &AuthDatabase,
    project: &str,
    user: &str,
    sealed: &[u8],
) -> ApiResult<bool> {
    let statement = write(
        "INSERT INTO auth.totp_factors (user_id, sealed) VALUES ($1::pg_catalog.uuid, $2::pg_catalog.bytea)
         ON CONFLICT (user_id) DO UPDATE SET sealed = excluded.sealed, created_at = pg_catalog.now(), last_step = NULL
         WHERE totp_factors.confirmed_at IS NULL RETURNING true",
    )
    .bind(user)
    .bind_bytes(sealed);
    match database.fetch(project, &statement).await {
        Err(error) if is_parent_gone(&error) => Ok(false),
        rows => Ok(!rows?.is_empty()),
    }
}

/// A factor for which an attempt was charged or refused.
pub(super) struct ChargedFactor {
    pub sealed: Vec<u8>,
    pub is_confirmed: bool,
    pub last_step: Option<i64>,
    /// The time of the attempt, in seconds since 1970, by the clock of the database.
    pub now: i64,
    /// Whether the attempt is allowed, and was charged.
    pub is_allowed: bool,
}

/// Charges an attempt at a code of the authenticator app. Attempts are counted in the database, so the limit holds for
/// all nodes together. Returns `None` if the user has no factor.
pub(super) async fn charge(database: &AuthDatabase, project: &str, user: &str) -> ApiResult<Option<ChargedFactor>> {
    let statement = write(
        "WITH charged AS (
             UPDATE auth.totp_factors SET attempts_full_at = greatest(attempts_full_at, pg_catalog.now())
                 + pg_catalog.make_interval(secs => $2::pg_catalog.float8)
             WHERE user_id = $1::pg_catalog.uuid
               AND greatest(attempts_full_at, pg_catalog.now())
                 + pg_catalog.make_interval(secs => $2::pg_catalog.float8)
                 <= pg_catalog.now() + pg_catalog.make_interval(secs => $3::pg_catalog.float8)
             RETURNING user_id
         )
         SELECT f.sealed, f.confirmed_at IS NOT NULL AS is_confirmed, f.last_step,
             pg_catalog.floor(pg_catalog.date_part('epoch', pg_catalog.now()))::pg_catalog.int8 AS now,
             EXISTS (SELECT FROM charged) AS is_allowed
         FROM auth.totp_factors f WHERE f.user_id = $1::pg_catalog.uuid",
    )
    .bind(user)
    .bind(ATTEMPT_SECONDS.to_string())
    .bind((ATTEMPT_BURST * ATTEMPT_SECONDS).to_string());
    let rows = database.rows(project, &statement).await?;
    let parse = |row| {
        Ok(ChargedFactor {
            sealed: column(row, "sealed")?,
            is_confirmed: column(row, "is_confirmed")?,
            last_step: column(row, "last_step")?,
            now: column(row, "now")?,
            is_allowed: column(row, "is_allowed")?,
        })
    };
    rows.first().map(parse).transpose()
}

/// Activates a factor with its recovery codes. Records the factor in the session, ends the user's other sessions, and
/// cancels a requested change of the e-mail address, which one of them may have begun. Returns false if the secret was
/// replaced or the session has ended in the meantime.
pub(super) async fn activate(
    database: &AuthDatabase,
    project: &str,
    (user, session): (&str, &str),
    (sealed, step): (&[u8], i64),
    recovery_hashes: &[[u8; 32]],
) -> ApiResult<bool> {
    let statement = write(
        "WITH locked AS (
             SELECT u.id FROM auth.users u JOIN auth.sessions s ON s.user_id = u.id
             WHERE u.id = $1::pg_catalog.uuid AND s.id = $2::pg_catalog.uuid AND u.disabled_at IS NULL
             FOR NO KEY UPDATE OF u FOR KEY SHARE OF s
         ), f AS (
             UPDATE auth.totp_factors SET confirmed_at = pg_catalog.now(), last_step = $4::pg_catalog.int8,
                 attempts_full_at = NULL
             FROM locked WHERE totp_factors.user_id = locked.id AND totp_factors.confirmed_at IS NULL
               AND totp_factors.sealed = $3::pg_catalog.bytea
             RETURNING totp_factors.user_id
         ), u AS (
             UPDATE auth.users SET second_factor_at = pg_catalog.now(), updated_at = pg_catalog.now()
             FROM f WHERE users.id = f.user_id RETURNING users.id
         ), codes AS (
             INSERT INTO auth.recovery_codes (user_id, hash)
             SELECT u.id, pg_catalog.unnest($5::pg_catalog.bytea[]) FROM u
         ), this AS (
             UPDATE auth.sessions SET has_second_factor = true, methods = pg_catalog.jsonb_build_array(
                 pg_catalog.jsonb_build_object('method', 'totp', 'timestamp',
                     pg_catalog.floor(pg_catalog.date_part('epoch', pg_catalog.now()))::pg_catalog.int8)) || methods
             FROM u WHERE sessions.id = $2::pg_catalog.uuid AND sessions.user_id = u.id
         ), others AS (
             DELETE FROM auth.sessions s USING u WHERE s.user_id = u.id AND s.id <> $2::pg_catalog.uuid
         ), tokens AS (
             DELETE FROM auth.mailed_tokens t USING u WHERE t.user_id = u.id AND t.purpose = 'change_email'
         )
         SELECT FROM u",
    )
    .bind(user)
    .bind(session)
    .bind_bytes(sealed)
    .bind(step.to_string())
    .bind(array_of(recovery_hashes));
    Ok(!database.rows(project, &statement).await?.is_empty())
}

/// Marks the code of a step as used, and makes all attempts available again. Returns false if this code or a later one
/// was used in the meantime.
pub(super) async fn use_step(database: &AuthDatabase, project: &str, user: &str, step: i64) -> ApiResult<bool> {
    let statement = write(
        "UPDATE auth.totp_factors SET last_step = $2::pg_catalog.int8, attempts_full_at = NULL
         WHERE user_id = $1::pg_catalog.uuid AND confirmed_at IS NOT NULL
           AND (last_step IS NULL OR last_step < $2::pg_catalog.int8) RETURNING true",
    )
    .bind(user)
    .bind(step.to_string());
    Ok(!database.rows(project, &statement).await?.is_empty())
}

/// Marks the code of a step as used, and replaces the user's recovery codes. Returns false, and changes nothing, if
/// this code or a later one was used in the meantime.
pub(super) async fn replace_recovery_codes(
    database: &AuthDatabase,
    project: &str,
    user: &str,
    step: i64,
    recovery_hashes: &[[u8; 32]],
) -> ApiResult<bool> {
    let statement = write(
        "WITH f AS (
             UPDATE auth.totp_factors SET last_step = $2::pg_catalog.int8, attempts_full_at = NULL
             WHERE user_id = $1::pg_catalog.uuid AND confirmed_at IS NOT NULL
               AND (last_step IS NULL OR last_step < $2::pg_catalog.int8) RETURNING user_id
         ), previous AS (
             DELETE FROM auth.recovery_codes r USING f WHERE r.user_id = f.user_id
         ), codes AS (
             INSERT INTO auth.recovery_codes (user_id, hash)
             SELECT f.user_id, pg_catalog.unnest($3::pg_catalog.bytea[]) FROM f
         )
         SELECT FROM f",
    )
    .bind(user)
    .bind(step.to_string())
    .bind(array_of(recovery_hashes));
    Ok(!database.rows(project, &statement).await?.is_empty())
}

/// Returns hashes in the text format of `bytea[]`.
fn array_of(hashes: &[[u8; 32]]) -> String {
    let hashes: Vec<_> = hashes.iter().map(|hash| format!("\"\\\\x{}\"", hex::encode(hash))).collect();
    format!("{{{}}}", hashes.join(","))
}

/// Uses a recovery code. Returns false if the user has no such code.
pub(super) async fn use_recovery_code(
    database: &AuthDatabase,
    project: &str,
    user: &str,
    hash: &[u8; 32],
) -> ApiResult<bool> {
    let statement = write(
        "DELETE FROM auth.recovery_codes WHERE user_id = $1::pg_catalog.uuid AND hash = $2::pg_catalog.bytea
         RETURNING true",
    )
    .bind(user)
    .bind_bytes(hash);
    Ok(!database.rows(project, &statement).await?.is_empty())
}

/// Removes a user's factor with its recovery codes, and deletes the challenges that wait for it. The user's sessions no
/// longer count as opened with a second factor. Returns false if there was no active factor, or if the user's password
/// no longer has the given hash.
pub(super) async fn remove(
    database: &AuthDatabase,
    project: &str,
    user: &str,
    password_hash: Option<&str>,
) -> ApiResult<bool> {
    let statement = write(
        "WITH locked AS (
             SELECT id FROM auth.users WHERE id = $1::pg_catalog.uuid AND second_factor_at IS NOT NULL
             FOR NO KEY UPDATE
         ), proved AS (
             SELECT locked.id FROM locked
             WHERE $2::pg_catalog.text IS NULL OR EXISTS (
                 SELECT FROM auth.passwords p WHERE p.user_id = locked.id AND p.hash = $2::pg_catalog.text FOR SHARE)
         ), u AS (
             UPDATE auth.users SET second_factor_at = NULL, updated_at = pg_catalog.now()
             FROM proved WHERE users.id = proved.id RETURNING users.id
         ), f AS (
             DELETE FROM auth.totp_factors f USING u WHERE f.user_id = u.id
         ), codes AS (
             DELETE FROM auth.recovery_codes r USING u WHERE r.user_id = u.id
         ), challenges AS (
             DELETE FROM auth.mfa_challenges c USING u WHERE c.user_id = u.id
         ), s AS (
             UPDATE auth.sessions SET has_second_factor = false FROM u WHERE sessions.user_id = u.id
         )
         SELECT FROM u",
    )
    .bind(user)
    .bind_option(password_hash);
    Ok(!database.rows(project, &statement).await?.is_empty())
}
