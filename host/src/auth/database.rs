//! Runs statements on schema `auth` of a project's database, and repairs the schema after the database was replaced.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use dashmap::DashMap;
use tokio_postgres::{Row, error::SqlState};

use super::schema;
use crate::{
    db::{DbError, DbRole, FollowUps, Statement},
    error::{ApiError, ApiResult, describe_cause},
    projects::AuthResources,
};

/// Minimum time between two repairs of a schema. It matters for errors that a repair does not remove.
const MIN_REPAIR_INTERVAL: Duration = Duration::from_secs(5);

/// Maximum number of times that a statement runs again after Postgres ended it because of a deadlock.
const DEADLOCK_RETRIES: u32 = 3;

/// Pause before a statement runs again after a deadlock.
const DEADLOCK_PAUSE: Duration = Duration::from_millis(20);

/// Runs statements on schema `auth` of projects, as the role that owns it. Brings the schema up to date before its
/// first use in this process, and again after a restore, since the schema of the restored database may be older or
/// missing, or the role may lack its privileges.
#[derive(Clone)]
pub(super) struct AuthDatabase {
    projects: AuthResources,
    schemas: Arc<DashMap<String, Arc<Prepared>>>,
}

/// State of a project's schema, as this process knows it.
#[derive(Debug, Default)]
struct Prepared {
    /// Whether this process has found the schema up to date, or has updated it.
    is_ready: AtomicBool,
    /// Time of the last repair: of its end, or of its start if it was cancelled. Locked while the schema is prepared.
    repaired_at: tokio::sync::Mutex<Option<Instant>>,
}

impl AuthDatabase {
    pub(super) fn new(projects: AuthResources) -> Self {
        Self { projects, schemas: Arc::default() }
    }

    pub(super) fn forget(&self, project: &str) {
        self.schemas.remove(project);
    }

    /// Brings the schema up to date.
    pub(super) async fn prepare(&self, project: &str) -> ApiResult<()> {
        let prepared = self.prepared(project);
        let _preparing = prepared.repaired_at.lock().await;
        schema::prepare(&self.projects, project).await?;
        prepared.is_ready.store(true, Ordering::Release);
        Ok(())
    }

    /// Runs a statement and returns its rows. Runs it again after a deadlock and, unless it may have taken effect,
    /// after a repair of the schema.
    ///
    /// # Errors
    /// Returns the statement's own error, which the caller maps, or the error of preparing the schema.
    pub(super) async fn fetch(&self, project: &str, statement: &Statement) -> Result<Vec<Row>, DbError> {
        self.run(project, statement, None).await
    }

    /// Like [`Self::fetch`]. Then runs the statements that `follow_ups` returns for the first row, in the same
    /// transaction. For rare requests, because it opens a connection. If the caller stops waiting, either all the
    /// statements take effect or none.
    pub(super) async fn fetch_with_follow_ups(
        &self,
        project: &str,
        statement: &Statement,
        follow_ups: FollowUps<'_>,
    ) -> Result<Vec<Row>, DbError> {
        self.run(project, statement, Some(follow_ups)).await
    }

    async fn run(
        &self,
        project: &str,
        statement: &Statement,
        follow_ups: Option<FollowUps<'_>>,
    ) -> Result<Vec<Row>, DbError> {
        self.prepare_once(project).await?;
        let arrived_at = Instant::now();
        let mut result = self.attempt(project, statement, follow_ups).await;
        // For example, a refresh locks the token and then the session, and a logout the other way round. Postgres has
        // undone this statement, and the other one continues. Without the pause, this statement could take its first
        // lock again before the other one wakes up.
        for _ in 0..DEADLOCK_RETRIES {
            if !result.as_ref().is_err_and(is_deadlock) {
                break;
            }
            tokio::time::sleep(DEADLOCK_PAUSE).await;
            result = self.attempt(project, statement, follow_ups).await;
        }
        let Err(error) = result else { return result };
        if !may_be_replaced(&error) || !self.repair(project, &error, arrived_at).await? {
            return Err(error);
        }
        match error {
            // The statement may have taken effect before the connection was lost.
            DbError::Unreachable(_) if statement.writes => Err(error),
            _ => self.attempt(project, statement, follow_ups).await,
        }
    }

    async fn attempt(
        &self,
        project: &str,
        statement: &Statement,
        follow_ups: Option<FollowUps<'_>>,
    ) -> Result<Vec<Row>, DbError> {
        let pools = &self.projects.pools;
        match follow_ups {
            None => pools.fetch(project, DbRole::Auth, statement).await,
            // Boxed, because most statements don't need its space.
            Some(follow_ups) => {
                Box::pin(pools.fetch_with_follow_ups(project, DbRole::Auth, statement, follow_ups)).await
            }
        }
    }

    /// Like [`Self::fetch`], for statements whose errors need no mapping by the caller.
    pub(super) async fn rows(&self, project: &str, statement: &Statement) -> ApiResult<Vec<Row>> {
        Ok(self.fetch(project, statement).await?)
    }

    /// Runs a statement on the app's own tables, as another role of the project.
    pub(super) async fn fetch_as(
        &self,
        project: &str,
        role: DbRole,
        statement: &Statement,
    ) -> Result<Vec<Row>, DbError> {
        self.projects.pools.fetch(project, role, statement).await
    }

    fn prepared(&self, project: &str) -> Arc<Prepared> {
        if let Some(prepared) = self.schemas.get(project) {
            return prepared.clone();
        }
        self.schemas.entry(project.to_owned()).or_default().clone()
    }

    /// Checks the schema before its first use in this process, and brings it up to date if needed.
    async fn prepare_once(&self, project: &str) -> Result<(), DbError> {
        let prepared = self.prepared(project);
        if prepared.is_ready.load(Ordering::Acquire) {
            return Ok(());
        }
        let _preparing = prepared.repaired_at.lock().await;
        // Another request may have prepared the schema in the meantime.
        if prepared.is_ready.load(Ordering::Acquire) {
            return Ok(());
        }
        if !schema::is_current(&self.projects.pools, project).await {
            schema::prepare(&self.projects, project).await.map_err(DbError::Refused)?;
        }
        prepared.is_ready.store(true, Ordering::Release);
        Ok(())
    }

    /// Prepares the schema again after a statement failed, unless that was just done. Returns whether the statement may
    /// succeed now.
    ///
    /// # Errors
    /// Returns `Unreachable` while another request prepares the schema. Requests don't wait for that, because it can
    /// take long, and with `checkSession` every request of the project's users would have to wait. Also fails if
    /// Postgres does not respond, or if the preparation fails.
    async fn repair(&self, project: &str, error: &DbError, arrived_at: Instant) -> Result<bool, DbError> {
        let prepared = self.prepared(project);
        let Ok(mut repaired_at) = prepared.repaired_at.try_lock() else {
            return Err(DbError::Unreachable(anyhow::anyhow!("another request is preparing schema `auth`")));
        };
        match *repaired_at {
            // Another request has repaired it in the meantime.
            Some(at) if at >= arrived_at => return Ok(true),
            Some(at) if at.elapsed() < MIN_REPAIR_INTERVAL => return Ok(false),
            _ => {}
        }
        // Without a server, nothing can be repaired.
        self.projects.pools.availability().check()?;
        let cause = describe_cause(error);
        tracing::warn!(project, cause, "schema `auth` can't be used; preparing it again");
        *repaired_at = Some(Instant::now());
        let result = schema::prepare(&self.projects, project).await;
        *repaired_at = Some(Instant::now());
        result.map_err(DbError::Refused)?;
        Ok(true)
    }
}

fn is_deadlock(error: &DbError) -> bool {
    error.as_db_error().is_some_and(|error| *error.code() == SqlState::T_R_DEADLOCK_DETECTED)
}

/// Returns whether a replaced database can cause the error. Such a database has the same name, but the role has no
/// privileges in it, or the tables are missing. The statement has changed nothing, unless the connection was lost.
fn may_be_replaced(error: &DbError) -> bool {
    match error {
        // The role has no password yet, or may not connect.
        DbError::Gone | DbError::Unreachable(_) => true,
        // The codes mean: insufficient privilege, and unknown schema, table or column.
        error => {
            error.as_db_error().is_some_and(|error| ["42501", "3F000", "42P01", "42703"].contains(&error.code().code()))
        }
    }
}

/// Returns a statement that reads.
pub(super) fn read(text: &'static str) -> Statement {
    Statement::of_catalogue(text)
}

/// Returns a statement that changes rows.
pub(super) fn write(text: &'static str) -> Statement {
    Statement { writes: true, ..Statement::of_catalogue(text) }
}

/// Adds parameters to statements.
pub(super) trait Bind: Sized {
    fn bind(self, value: impl AsRef<str>) -> Self;
    fn bind_option(self, value: Option<&str>) -> Self;
    fn bind_bytes(self, value: &[u8]) -> Self;
}

impl Bind for Statement {
    fn bind(mut self, value: impl AsRef<str>) -> Self {
        self.push(Some(value.as_ref()));
        self
    }

    fn bind_option(mut self, value: Option<&str>) -> Self {
        self.push(value);
        self
    }

    fn bind_bytes(mut self, value: &[u8]) -> Self {
        self.push(Some(format!("\\x{}", hex::encode(value))));
        self
    }
}

/// Returns the value of a column.
pub(super) fn column<'a, T: tokio_postgres::types::FromSql<'a>>(row: &'a Row, name: &str) -> ApiResult<T> {
    row.try_get(name).map_err(ApiError::internal)
}
