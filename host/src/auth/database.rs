use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use dashmap::DashMap;
use tokio_postgres::Row;

use super::schema;
use crate::{
    db::{DbError, DbRole, Statement},
    error::{ApiError, ApiResult},
    projects::AuthResources,
};

/// Minimum time between two repairs of a schema. It matters for errors that a repair does not remove.
const MIN_REPAIR_INTERVAL: Duration = Duration::from_secs(5);

/// Runs statements on schema `auth` of projects, as the role that owns it. Brings the schema up to date before its
/// first use in this process, and again after a restore, since the restored database has an earlier schema or none.
#[derive(Clone)]
pub(super) struct AuthDatabase {
    projects: AuthResources,
    schemas: Arc<DashMap<String, Arc<tokio::sync::Mutex<Prepared>>>>,
}

/// State of a project's schema, as this process knows it.
#[derive(Debug, Default)]
struct Prepared {
    /// Whether this process has found the schema up to date, or has updated it.
    is_ready: bool,
    /// Time of the last repair.
    repaired_at: Option<Instant>,
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
        let lock = self.lock_of(project);
        let mut prepared = lock.lock().await;
        schema::prepare(&self.projects, project).await?;
        prepared.is_ready = true;
        Ok(())
    }

    /// Runs a statement and returns its rows.
    ///
    /// # Errors
    /// The statement's own error, for the caller to map, or that of preparing the schema.
    pub(super) async fn fetch(&self, project: &str, statement: &Statement) -> Result<Vec<Row>, DbError> {
        self.prepare_once(project).await?;
        let arrived_at = Instant::now();
        let result = self.projects.pools.fetch(project, DbRole::Auth, statement).await;
        let Err(error) = result else { return result };
        if !may_be_replaced(&error) || !self.repair(project, arrived_at).await? {
            return Err(error);
        }
        match error {
            // The statement may have taken effect before the connection was lost.
            DbError::Unreachable(_) if statement.writes => Err(error),
            _ => self.projects.pools.fetch(project, DbRole::Auth, statement).await,
        }
    }

    /// Like [`Self::fetch`], for statements whose errors need no mapping by the caller.
    pub(super) async fn rows(&self, project: &str, statement: &Statement) -> ApiResult<Vec<Row>> {
        Ok(self.fetch(project, statement).await?)
    }

    /// Runs a statement on the app's own tables, as another role of the project.
    pub(super) async fn rows_as(&self, project: &str, role: DbRole, statement: &Statement) -> ApiResult<Vec<Row>> {
        Ok(self.projects.pools.fetch(project, role, statement).await?)
    }

    fn lock_of(&self, project: &str) -> Arc<tokio::sync::Mutex<Prepared>> {
        if let Some(lock) = self.schemas.get(project) {
            return lock.clone();
        }
        self.schemas.entry(project.to_owned()).or_default().clone()
    }

    /// Checks the schema before its first use in this process, and brings it up to date if needed.
    async fn prepare_once(&self, project: &str) -> Result<(), DbError> {
        let lock = self.lock_of(project);
        let mut prepared = lock.lock().await;
        if prepared.is_ready {
            return Ok(());
        }
        if !schema::is_current(&self.projects.pools, project).await {
            schema::prepare(&self.projects, project).await.map_err(DbError::Refused)?;
        }
        prepared.is_ready = true;
        Ok(())
    }

    /// Prepares the schema again, unless that was just done. Returns whether the statement may succeed now.
    async fn repair(&self, project: &str, arrived_at: Instant) -> Result<bool, DbError> {
        let lock = self.lock_of(project);
        let mut prepared = lock.lock().await;
        match prepared.repaired_at {
            // Another request has repaired it in the meantime.
            Some(at) if at >= arrived_at => return Ok(true),
            Some(at) if at.elapsed() < MIN_REPAIR_INTERVAL => return Ok(false),
            _ => {}
        }
        // Without a server, nothing can be repaired.
        self.projects.pools.availability().check()?;
        tracing::warn!(project, "schema `auth` is missing or belongs to another role; preparing it again");
        prepared.repaired_at = Some(Instant::now());
        schema::prepare(&self.projects, project).await.map_err(DbError::Refused)?;
        Ok(true)
    }
}

/// Returns whether a replaced database can cause the error. Such a database has the same name, but the role has no
/// privileges in it, or the tables are missing. Except for a lost connection, the statement has changed nothing.
fn may_be_replaced(error: &DbError) -> bool {
    match error {
        // The role has no password yet, or may not connect.
        DbError::Gone | DbError::Unreachable(_) => true,
        // Insufficient privilege; unknown schema, table, column.
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
