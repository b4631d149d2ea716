//! The fixed SQL on logins that wait for the second factor.

use super::FirstFactor;
use crate::{
    auth::{
        database::{AuthDatabase, Bind as _, column, write},
        queries::after_reset,
        schema::is_parent_gone,
    },
    error::ApiResult,
};

/// Seconds that a login waits for the second factor.
pub(super) const LIFETIME_SECONDS: i32 = 300;
/// Maximum number of codes per challenge. Recovery codes have no limit per user, because they can't be guessed. So a
/// user can sign in with one even while someone else, who knows the password, uses up the attempts for codes of the
/// app.
const MAX_ATTEMPTS: i32 = 5;

/// Inserts a challenge. Returns false if the user is gone or disabled, if the password was changed since it was
/// verified, or if the user has no second factor.
pub(super) async fn insert(
    database: &AuthDatabase,
    project: &str,
    user: &str,
    hash: &[u8; 32],
    first: &FirstFactor<'_>,
) -> ApiResult<bool> {
    let statement = write(
        "INSERT INTO auth.mfa_challenges (hash, user_id, methods, password_changed_at, new_password_hash, expires_at)
         SELECT $1::pg_catalog.bytea, u.id, pg_catalog.jsonb_build_array(pg_catalog.jsonb_build_object(
                 'method', $3::pg_catalog.text, 'timestamp',
                 pg_catalog.floor(pg_catalog.date_part('epoch', pg_catalog.now()))::pg_catalog.int8)),
             p.changed_at, $5::pg_catalog.text,
             pg_catalog.now() + pg_catalog.make_interval(secs => $6::pg_catalog.float8)
         FROM auth.users u LEFT JOIN auth.passwords p ON p.user_id = u.id
         WHERE u.id = $2::pg_catalog.uuid AND u.disabled_at IS NULL AND u.second_factor_at IS NOT NULL
           AND ($4::pg_catalog.text IS NULL OR p.hash = $4::pg_catalog.text) RETURNING true",
    )
    .bind_bytes(hash)
    .bind(user)
    .bind(first.method.as_str())
    .bind_option(first.password_hash)
    .bind_option(first.new_password_hash)
    .bind(LIFETIME_SECONDS.to_string());
    match database.fetch(project, &statement).await {
        Err(error) if is_parent_gone(&error) => Ok(false),
        rows => Ok(!rows?.is_empty()),
    }
}

/// The user of a challenge.
pub(super) struct ChallengedUser {
    pub id: String,
    pub email: String,
    /// Whether completing the challenge sets a new password.
    pub sets_password: bool,
}

/// Charges an attempt to a challenge and returns its user, or `None` if the challenge can't be used.
pub(super) async fn charge(
    database: &AuthDatabase,
    project: &str,
    hash: &[u8; 32],
) -> ApiResult<Option<ChallengedUser>> {
    let statement = write(
        "UPDATE auth.mfa_challenges c SET attempts = attempts + 1
         FROM auth.users u LEFT JOIN auth.passwords p ON p.user_id = u.id
         WHERE c.hash = $1::pg_catalog.bytea AND c.expires_at > pg_catalog.now()
           AND c.attempts < $2::pg_catalog.int4 AND u.id = c.user_id AND u.disabled_at IS NULL
           AND u.second_factor_at IS NOT NULL AND p.changed_at IS NOT DISTINCT FROM c.password_changed_at
         RETURNING c.user_id::pg_catalog.text AS id, u.email, c.new_password_hash IS NOT NULL AS sets_password",
    )
    .bind_bytes(hash)
    .bind(MAX_ATTEMPTS.to_string());
    let parse = |row| {
        Ok(ChallengedUser {
            id: column(row, "id")?,
            email: column(row, "email")?,
            sets_password: column(row, "sets_password")?,
        })
    };
    database.rows(project, &statement).await?.first().map(parse).transpose()
}

/// A proof of the second factor.
pub(super) enum Proof {
    /// The step of an accepted code of the authenticator app.
    Step(i64),
    /// The hash of a text that may be a recovery code of the user.
    RecoveryCode([u8; 32]),
}

/// A completed challenge.
pub(super) struct Completed {
    /// The first factor, as JSON in the format of `auth.sessions.methods`.
    pub methods: String,
    /// The hash of the user's password, if there is one. A session may only be opened while it stays the same.
    pub password_hash: Option<String>,
}

/// The beginning of a statement that completes a challenge. The row source `challenge` contains the challenge of the
/// hash `$1`. It is empty if the user was disabled or the password was changed in the meantime.
///
/// Locks the user, the challenge and the password, in this order. So of several completions at the same time, all but
/// the first find no challenge, and a completion waits for another request that is changing the password.
macro_rules! locked_challenge {
    () => {
        "WITH locked AS (
             SELECT u.id FROM auth.users u
             WHERE u.id = (SELECT c.user_id FROM auth.mfa_challenges c WHERE c.hash = $1::pg_catalog.bytea)
               AND u.disabled_at IS NULL
             FOR NO KEY UPDATE
         ), waiting AS (
             SELECT c.hash, c.user_id, c.methods, c.new_password_hash, c.password_changed_at
             FROM auth.mfa_challenges c JOIN locked ON locked.id = c.user_id
             WHERE c.hash = $1::pg_catalog.bytea FOR UPDATE OF c
         ), proved AS (
             SELECT p.user_id, p.hash FROM auth.passwords p JOIN waiting ON waiting.user_id = p.user_id
             WHERE p.changed_at = waiting.password_changed_at FOR NO KEY UPDATE OF p
         ), challenge AS MATERIALIZED (
             SELECT waiting.hash, waiting.user_id, waiting.methods, waiting.new_password_hash,
                 proved.hash AS password_hash
             FROM waiting LEFT JOIN proved ON proved.user_id = waiting.user_id
             WHERE proved.user_id IS NOT NULL OR (waiting.password_changed_at IS NULL
                 AND NOT EXISTS (SELECT FROM auth.passwords p WHERE p.user_id = waiting.user_id))
         ), "
    };
}

/// The end of a statement whose row source `met` contains the challenge if the proof was accepted. Deletes the
/// challenge. If the challenge contains a new password, sets that password and deletes the user's sessions and mailed
/// tokens.
macro_rules! completion {
    () => {
        ", done AS (
             DELETE FROM auth.mfa_challenges WHERE hash IN (SELECT met.hash FROM met)
         ), password AS (
             INSERT INTO auth.passwords (user_id, hash)
             SELECT met.user_id, met.new_password_hash FROM met WHERE met.new_password_hash IS NOT NULL
             ON CONFLICT (user_id) DO UPDATE SET hash = excluded.hash, changed_at = pg_catalog.now()
         ), sessions AS (
             DELETE FROM auth.sessions s USING met WHERE s.user_id = met.user_id AND met.new_password_hash IS NOT NULL
         ), tokens AS (
             DELETE FROM auth.mailed_tokens t USING met
             WHERE t.user_id = met.user_id AND met.new_password_hash IS NOT NULL
         )
         SELECT met.user_id::pg_catalog.text AS id, met.methods::pg_catalog.text AS methods,
             coalesce(met.new_password_hash, met.password_hash) AS password_hash
         FROM met"
    };
}

/// Uses the proof and the challenge. Returns `None`, and changes nothing, if one of them was used in the meantime, if
/// the user was disabled, if the password was changed since it was verified, or if the user has no such recovery code.
pub(super) async fn complete(
    database: &AuthDatabase,
    project: &str,
    user: &ChallengedUser,
    hash: &[u8; 32],
    proof: &Proof,
) -> ApiResult<Option<Completed>> {
    let statement = match proof {
        Proof::Step(step) => write(concat!(
            locked_challenge!(),
            "met AS (
                 UPDATE auth.totp_factors f SET last_step = $2::pg_catalog.int8, attempts_full_at = NULL
                 FROM challenge c
                 WHERE f.user_id = c.user_id AND f.confirmed_at IS NOT NULL
                   AND (f.last_step IS NULL OR f.last_step < $2::pg_catalog.int8)
                 RETURNING c.hash, c.user_id, c.methods, c.new_password_hash, c.password_hash
             )",
            completion!()
        ))
        .bind_bytes(hash)
        .bind(step.to_string()),
        Proof::RecoveryCode(code) => write(concat!(
            locked_challenge!(),
            "met AS (
                 DELETE FROM auth.recovery_codes r USING challenge c
                 WHERE r.user_id = c.user_id AND r.hash = $2::pg_catalog.bytea
                 RETURNING c.hash, c.user_id, c.methods, c.new_password_hash, c.password_hash
             )",
            completion!()
        ))
        .bind_bytes(hash)
        .bind_bytes(code),
    };
    let rows = match user.sets_password {
        true => database.fetch_with_follow_ups(project, &statement, &after_reset).await?,
        false => database.rows(project, &statement).await?,
    };
    let parse = |row| Ok(Completed { methods: column(row, "methods")?, password_hash: column(row, "password_hash")? });
    rows.first().map(parse).transpose()
}
