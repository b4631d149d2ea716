//! The owner's view of one user: sessions, second factor, and the rows of the app that refer to the user.

use std::time::Duration;

use api_types::{ProjectUserDetail, ProjectUserSession, UserReference, UserReferenceAction};
use chrono::{DateTime, Utc};
use tokio::time::{Instant, timeout_at};
use tokio_postgres::Row;
use uuid::Uuid;

use super::{
    AuthState, administration,
    database::{Bind as _, column, read},
};
use crate::{
    db::{DbError, DbRole, Statement},
    error::ApiResult,
};

/// Maximum time for counting the rows of one foreign key, so that a table that is locked, or large and without an
/// index, does not delay the response.
const COUNT_TIMEOUT: Duration = Duration::from_secs(1);
/// Maximum time for counting the rows of all foreign keys.
const COUNTS_TIMEOUT: Duration = Duration::from_secs(3);

/// Returns a user with the time of setting up the second factor, with the newest 100 sessions that have not expired,
/// and with the number of rows that refer to the user.
///
/// # Errors
/// Returns 404 if the user does not exist, and 404 `auth_disabled` if login is off.
pub(super) async fn get(state: &AuthState, project: &str, user: Uuid) -> ApiResult<ProjectUserDetail> {
    let found = administration::get(state, project, user).await?;
    let id = user.to_string();
    let (second_factor_at, sessions, references) = tokio::try_join!(
        second_factor_at(state, project, &id),
        sessions(state, project, &id),
        references(state, project, &id)
    )?;
    Ok(ProjectUserDetail { user: found, second_factor_at, sessions, references })
}

async fn second_factor_at(state: &AuthState, project: &str, user: &str) -> ApiResult<Option<DateTime<Utc>>> {
    let statement = read("SELECT second_factor_at FROM auth.users WHERE id = $1::pg_catalog.uuid").bind(user);
    let rows = state.database.rows(project, &statement).await?;
    Ok(rows.first().map(|row| column(row, "second_factor_at")).transpose()?.flatten())
}

async fn sessions(state: &AuthState, project: &str, user: &str) -> ApiResult<Vec<ProjectUserSession>> {
    let statement = read(
        "SELECT id::pg_catalog.text AS id, created_at, refreshed_at, expires_at, address, user_agent
         FROM auth.sessions
         WHERE user_id = $1::pg_catalog.uuid AND expires_at > pg_catalog.now()
         ORDER BY created_at DESC LIMIT 100",
    )
    .bind(user);
    state.database.rows(project, &statement).await?.iter().map(parse_session).collect()
}

fn parse_session(row: &Row) -> ApiResult<ProjectUserSession> {
    Ok(ProjectUserSession {
        id: column(row, "id")?,
        created_at: column(row, "created_at")?,
        refreshed_at: column(row, "refreshed_at")?,
        expires_at: column(row, "expires_at")?,
        address: column(row, "address")?,
        user_agent: column(row, "user_agent")?,
    })
}

/// Counts the rows that refer to the user, up to 10 000 for each foreign key to `auth.users (id)`. Considers at most 50
/// foreign keys, and only those with one column that are outside schema `auth`. The role `proj_<id>_owner` counts the
/// rows, because `proj_<id>_auth` has no access to the app's tables. Rows that forced row-level security hides from
/// that role don't count. If the rows of a foreign key can't be counted, or not in time, `counted` is false and `rows`
/// is 0.
async fn references(state: &AuthState, project: &str, user: &str) -> ApiResult<Vec<UserReference>> {
    let keys = read(
        "SELECT CASE n.nspname WHEN 'public' THEN c.relname::pg_catalog.text
                     ELSE n.nspname::pg_catalog.text OPERATOR(pg_catalog.||) '.' OPERATOR(pg_catalog.||) c.relname END
                    AS name,
                a.attname::pg_catalog.text AS column_name, k.confdeltype::pg_catalog.text AS action,
                pg_catalog.format('SELECT pg_catalog.count(*) AS rows FROM (SELECT FROM %I.%I
                    WHERE %I = $1::pg_catalog.uuid LIMIT 10000) AS r', n.nspname, c.relname, a.attname) AS counting
         FROM pg_catalog.pg_constraint k
         JOIN pg_catalog.pg_class c ON c.oid = k.conrelid
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
         JOIN pg_catalog.pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = k.conkey[1]
         JOIN pg_catalog.pg_attribute u ON u.attrelid = k.confrelid AND u.attnum = k.confkey[1]
         WHERE k.contype = 'f' AND k.confrelid = 'auth.users'::pg_catalog.regclass AND u.attname = 'id'
           AND pg_catalog.cardinality(k.conkey) = 1 AND n.nspname <> 'auth' AND k.conparentid = 0
         ORDER BY 1, 2 LIMIT 50",
    );
    let deadline = Instant::now() + COUNTS_TIMEOUT;
    let mut references = Vec::new();
    for key in state.database.rows(project, &keys).await? {
        let counting: String = column(&key, "counting")?;
        let counting = Statement { cacheable: false, heavy: true, ..Statement::new(counting) }.bind(user);
        let rows = count(state, project, &counting, deadline).await?;
        let action: String = column(&key, "action")?;
        references.push(UserReference {
            table: column(&key, "name")?,
            columns: vec![column(&key, "column_name")?],
            rows: rows.unwrap_or_default(),
            counted: rows.is_some(),
            on_delete: match action.as_str() {
                "c" => UserReferenceAction::Cascade,
                "n" => UserReferenceAction::SetNull,
                "d" => UserReferenceAction::SetDefault,
                "r" => UserReferenceAction::Restrict,
                _ => UserReferenceAction::NoAction,
            },
        });
    }
    Ok(references)
}

/// Returns the number of rows. Returns `None` if they can't be counted in time, if no connection is free, or if
/// Postgres refuses to count them, for example because the table was dropped in the meantime.
async fn count(state: &AuthState, project: &str, counting: &Statement, deadline: Instant) -> ApiResult<Option<i64>> {
    let now = Instant::now();
    if now >= deadline {
        return Ok(None);
    }
    // A statement is cancelled when its future is dropped.
    let counted = state.database.fetch_as(project, DbRole::Owner, counting);
    match timeout_at(deadline.min(now + COUNT_TIMEOUT), counted).await {
        Ok(Ok(rows)) => rows.first().map(|row| column(row, "rows")).transpose(),
        Err(_) | Ok(Err(DbError::Timeout | DbError::Overloaded | DbError::Interrupted)) => Ok(None),
        Ok(Err(error)) if error.as_db_error().is_some() => Ok(None),
        Ok(Err(error)) => Err(error.into()),
    }
}
