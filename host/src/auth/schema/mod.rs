//! The tables of schema `auth`, with migrations of their own.
//!
//! `auth.schema_migrations` records the migrations that were applied to a database. A newer version of AtlasHub may
//! have applied more than this version contains. So every migration must leave the schema usable by the previous
//! version, as the platform's migrations do.

use tokio_postgres::{Client, error::SqlState};

use crate::{
    db::{DbError, DbRole, ProjectPools, Statement},
    error::ApiResult,
    projects::{self, AuthResources, AuthTables, RESTORED, prepare_auth_role},
};

/// SQL of each migration. Its version is its position, counted from 1. Never change a released migration.
const MIGRATIONS: &[&str] = &[
    include_str!("0001_create_users.sql"),
    include_str!("0002_allow_magic_links.sql"),
    include_str!("0003_add_second_factors.sql"),
];
/// The defaults, checks and indexes of the tables. Taking over a restored database removes those of its tables, because
/// they could differ from these. If a migration adds one, add it here too.
const COMPLETION: &str = include_str!("completion.sql");
/// Every table that the migrations create, and the one that records them.
const TABLES: AuthTables = AuthTables { names: NAMES, marker: MARKER, users: "users" };
const NAMES: &[&str] = &[
    "users",
    "passwords",
    "sessions",
    "refresh_tokens",
    "mailed_tokens",
    "totp_factors",
    "recovery_codes",
    "mfa_challenges",
    MARKER,
];
const MARKER: &str = "schema_migrations";

/// Returns whether the login role may insert into `auth.users`, every migration was applied, and a restored database
/// was completed. Returns false if the database can't be read.
pub(super) async fn is_current(pools: &ProjectPools, project: &str) -> bool {
    let statement = Statement::of_catalogue(
        "SELECT pg_catalog.max(version)::pg_catalog.int4 FROM auth.schema_migrations
         WHERE pg_catalog.has_table_privilege('auth.users', 'INSERT')
           AND pg_catalog.obj_description('auth'::pg_catalog.regnamespace, 'pg_namespace') IS NULL",
    );
    let rows = pools.fetch(project, DbRole::Auth, &statement).await;
    let version = rows.ok().and_then(|rows| rows.first()?.try_get::<_, Option<i32>>(0).ok().flatten());
    version.is_some_and(|version| version >= latest())
}

fn latest() -> i32 {
    i32::try_from(MIGRATIONS.len()).unwrap_or(i32::MAX)
}

/// Brings the schema up to date: creates the role, takes the schema over if the database was restored, and applies
/// missing migrations. After a restore, deletes all sessions, mailed tokens and challenges of second factors: the
/// backup may contain some that ended or were used after it was made.
pub(super) async fn prepare(state: &AuthResources, project: &str) -> ApiResult<()> {
    prepare_auth_role(state, project, TABLES).await?;
    // Pooled connections may still be open to a database that was replaced.
    state.pools.renew(project, DbRole::Auth);
    let mut client = state.pools.exclusive(project, DbRole::Auth).await?;
    client.mark_busy();
    let result = migrate(&mut client, project).await;
    client.mark_idle();
    result.map_err(DbError::Postgres)?;
    Ok(())
}

/// Makes the login role the owner of the tables in a database that is being restored, if it has them. [`prepare`] does
/// the rest when login is used for the first time after the restore.
///
/// # Errors
/// Returns 409 if schema `auth` contains tables or other objects that can't be taken over.
pub(super) async fn take_over_restored(state: &AuthResources, project: &str, database: &str) -> ApiResult<()> {
    projects::take_over_restored(state, project, database, TABLES).await
}

async fn migrate(client: &mut Client, project: &str) -> Result<(), tokio_postgres::Error> {
    let transaction = client.transaction().await?;
    transaction
        .batch_execute(
            "SET LOCAL search_path = pg_catalog;
             SELECT pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended('atlashub auth schema', 0));
             CREATE TABLE IF NOT EXISTS auth.schema_migrations (
                 version    integer PRIMARY KEY,
                 applied_at timestamptz NOT NULL DEFAULT pg_catalog.now()
             )",
        )
        .await?;
    let applied: i32 = transaction
        .query_one("SELECT coalesce(max(version), 0)::int4 FROM auth.schema_migrations", &[])
        .await?
        .try_get(0)?;
    for (version, text) in (1..).zip(MIGRATIONS).filter(|(version, _)| *version > applied) {
        transaction.batch_execute(text).await?;
        // In a restored database, `applied_at` has no default until `COMPLETION` sets it again, see below.
        let insert = "INSERT INTO auth.schema_migrations (version, applied_at) VALUES ($1, now())";
        transaction.execute(insert, &[&version]).await?;
    }
    let is_restored: bool = transaction
        .query_one("SELECT coalesce(obj_description('auth'::regnamespace, 'pg_namespace') = $1, false)", &[&RESTORED])
        .await?
        .try_get(0)?;
    if is_restored {
        transaction.batch_execute(COMPLETION).await?;
        transaction
            .batch_execute(
                "DELETE FROM auth.sessions; DELETE FROM auth.mailed_tokens; DELETE FROM auth.mfa_challenges;
                 COMMENT ON SCHEMA auth IS NULL",
            )
            .await?;
    }
    transaction.batch_execute(&projects::auth_grants(project, TABLES)).await?;
    transaction.commit().await
}

/// Returns whether a row could not be written because its user or session was deleted in the meantime.
pub(super) fn is_parent_gone(error: &DbError) -> bool {
    error.as_db_error().is_some_and(|error| *error.code() == SqlState::FOREIGN_KEY_VIOLATION)
}
