//! Replaces a project's database. A restore loads a new, empty database, which is then swapped in. The previous
//! database is kept for a rollback until it is dropped.
//!
//! The swap is one transaction of the platform database: either both databases are renamed and the caller records the
//! swap, or nothing happens. A login during the swap waits for the lock of the rename, and then fails because the
//! database was renamed. The pools of projects' connections then log in again, and reach the new database.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use chrono::Utc;
use futures_util::future::BoxFuture;
use sqlx::{Connection as _, PgConnection};
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

use super::{
    database, extensions,
    provisioning::{self, LifecycleError},
};
use crate::{
    config::Secret,
    db::{
        Credentials, DbRole, project_database,
        restore::{FailedObjects, LoadTarget},
    },
    error::{ApiError, ApiResult},
    projects::keys,
};

/// Interval at which sessions are ended while a database is renamed.
const END_SESSIONS_INTERVAL: Duration = Duration::from_millis(30);
/// Maximum time to wait for the project's lock, which another operation may hold.
const PROJECT_LOCK_TIMEOUT: Duration = Duration::from_secs(30);
const LOCK_POLL_INTERVAL: Duration = Duration::from_millis(100);
/// Maximum time in milliseconds that a rename waits for a lock. Logins to the database wait for the rename, and then
/// for the commit.
const RENAME_LOCK_TIMEOUT_MS: u32 = 2000;
/// Maximum number of attempts to swap databases whose sessions don't end.
const MAX_SWAP_ATTEMPTS: u32 = 3;

/// Returns the prefix, in the platform's bucket, of archives that are uploaded for restores of a project.
pub fn restore_uploads_prefix(project: &str) -> String {
    format!("restores/{project}/")
}

/// Replaces projects' databases. Cheap to clone.
#[derive(Clone)]
pub struct Replacements {
    database_url: Secret,
    credentials: Arc<dyn Credentials>,
    allow_create_extension: bool,
    on_swapped: OnSwapped,
    take_over_auth: TakeOverAuth,
}

/// Makes the project's role for login the owner of the tables of end-user login. Called with the id of a project and
/// the name of a database that was loaded for it.
pub type TakeOverAuth = Arc<dyn Fn(String, String) -> BoxFuture<'static, ApiResult<()>> + Send + Sync>;

/// Called with the id of a project whose database was replaced: closes its connections and clears caches.
pub type OnSwapped = Arc<dyn Fn(&str) + Send + Sync>;

/// The databases of a swap.
#[derive(Debug, Clone)]
pub struct Swap {
    pub project: String,
    /// Becomes the project's database.
    pub incoming: String,
    /// The new name of the project's current database.
    pub kept: String,
}

/// Records a swap in the platform database.
#[async_trait]
pub trait RecordSwap: Send + Sync {
    /// Runs in the swap's transaction. If it returns false, the swap is rolled back.
    async fn record(&self, transaction: &mut PgConnection) -> Result<bool, sqlx::Error>;
}

/// The reason why a database could not be replaced.
#[derive(Debug, thiserror::Error)]
pub enum ReplacementError {
    #[error("Postgres: {0}")]
    Database(#[from] sqlx::Error),
    #[error("another request is changing this project")]
    Busy,
    #[error("the project no longer exists")]
    Gone,
    #[error("the database `{0}` no longer exists")]
    Missing(String),
    #[error("other sessions use the project's database and can't be ended; close them and try again")]
    InUse,
    /// The caller did not record the swap, so it did not happen.
    #[error("the run no longer holds its lease")]
    NotRecorded,
    #[error("{0}")]
    Refused(ApiError),
}

impl From<LifecycleError> for ReplacementError {
    fn from(error: LifecycleError) -> Self {
        match error {
            LifecycleError::Database(error) => Self::Database(error),
            LifecycleError::Busy => Self::Busy,
            error => Self::Database(sqlx::Error::Protocol(error.to_string())),
        }
    }
}

/// The statements of a new project that an archive may lack.
pub struct NewProjectSql {
    schema_auth: String,
    standard_privileges: String,
}

impl Replacements {
    pub fn new(
        database_url: Secret,
        credentials: Arc<dyn Credentials>,
        allow_create_extension: bool,
        on_swapped: OnSwapped,
        take_over_auth: TakeOverAuth,
    ) -> Self {
        Self { database_url, credentials, allow_create_extension, on_swapped, take_over_auth }
    }

    /// Returns the name of the database that a run loads.
    pub fn name_for_run(project: &str, run: Uuid) -> String {
        // The id of a run is a UUIDv7, whose last 12 digits are random.
        let run = run.simple().to_string();
        format!("proj_{project}_restore_{}", &run[run.len() - 12..])
    }

    /// Returns the name under which a swap that starts now keeps the current database.
    pub fn name_of_kept(project: &str) -> String {
        format!("proj_{project}_before_{}", Utc::now().format("%Y%m%d%H%M%S%3f"))
    }

    /// Creates an empty database that only the project's owner role and its role for dumps may connect to.
    ///
    /// # Errors
    /// Returns `Gone` if the project is not ready, `Busy` if another connection holds the project's lock for longer
    /// than 30 seconds, and `Database` if a statement fails.
    pub async fn create(&self, project: &str, name: &str) -> Result<(), ReplacementError> {
        let mut connection = self.locked(project).await?;
        let created = self.create_closed(&mut connection, project, name).await;
        provisioning::unlock(connection).await;
        Ok(created?)
    }

    async fn create_closed(&self, connection: &mut PgConnection, project: &str, name: &str) -> Result<(), sqlx::Error> {
        database::create_closed_database(connection, name).await?;
        database::give_schema_public(&self.database_url, project, name).await?;
        database::grant_access(connection, project, name, &[DbRole::Owner, DbRole::Backup]).await
    }

    /// Returns the statements of a new project that an archive may lack.
    pub fn new_project_sql(&self, project: &str) -> NewProjectSql {
        NewProjectSql {
            schema_auth: database::schema_auth(project),
            standard_privileges: database::standard_privileges(project),
        }
    }

    /// Returns the target of a load into a database of the project.
    pub fn load_target<'a>(&'a self, project: &'a str, database: &'a str, sql: &'a NewProjectSql) -> LoadTarget<'a> {
        LoadTarget {
            project,
            database,
            credentials: &*self.credentials,
            schema_auth: &sql.schema_auth,
            standard_privileges: &sql.standard_privileges,
            failed_objects: FailedObjects::Fail,
            expected: &[],
        }
    }

    /// Makes a loaded database ready for use: its SQL may create extensions only if the configuration allows it, and
    /// the tables of end-user login belong to the project's role for login.
    ///
    /// # Errors
    /// Returns `Refused` with the error of the take-over, for example if schema `auth` contains objects that AtlasHub
    /// did not create. Returns `Database` if a statement fails.
    pub async fn finish(&self, project: &str, name: &str) -> Result<(), ReplacementError> {
        (self.take_over_auth)(project.to_owned(), name.to_owned()).await.map_err(ReplacementError::Refused)?;
        Ok(extensions::apply_to_database(&self.database_url, name, self.allow_create_extension).await?)
    }

    /// Gives the standard roles of a project access to its database again, if it exists. The SQL in an archive can
    /// revoke the access of the owner role that runs it.
    ///
    /// # Errors
    /// Returns `Database` if a statement fails.
    pub async fn restore_access(&self, project: &str) -> Result<(), ReplacementError> {
        let (mut connection, database) = (self.connect().await?, project_database(project));
        if database::database_exists(&mut connection, &database).await? {
            database::grant_access(&mut connection, project, &database, &DbRole::OF_EVERY_PROJECT).await?;
        }
        Ok(connection.close().await?)
    }

    /// Replaces the project's database with `incoming`, and keeps the current one as `kept`. `record` runs in the same
    /// transaction, on the platform database.
    ///
    /// # Errors
    /// Returns every variant of [`ReplacementError`] except `Refused`. After an error, nothing was changed. The
    /// exception is a connection that was lost during the commit: then the outcome is unknown.
    pub async fn swap(&self, swap: &Swap, record: &dyn RecordSwap) -> Result<(), ReplacementError> {
        let mut connection = self.locked(&swap.project).await?;
        let mut attempt = 1;
        let swapped = loop {
            match self.try_swap(&mut connection, swap, record).await {
                Err(ReplacementError::Database(error)) if is_in_use(&error) && attempt < MAX_SWAP_ATTEMPTS => {
                    attempt += 1;
                }
                Err(ReplacementError::Database(error)) if is_in_use(&error) => break Err(ReplacementError::InUse),
                swapped => break swapped,
            }
        };
        provisioning::unlock(connection).await;
        swapped?;
        (self.on_swapped)(&swap.project);
        tracing::info!(project = swap.project, kept = swap.kept, "replaced a project's database");
        Ok(())
    }

    async fn try_swap(
        &self,
        connection: &mut PgConnection,
        swap: &Swap,
        record: &dyn RecordSwap,
    ) -> Result<(), ReplacementError> {
        let Swap { project, incoming, kept } = swap;
        let live = project_database(project);
        if !database::database_exists(connection, incoming).await? {
            return Err(ReplacementError::Missing(incoming.clone()));
        }
        let mut transaction = connection.begin().await?;
        sqlx::query("SELECT set_config('lock_timeout', $1, true)")
            .bind(RENAME_LOCK_TIMEOUT_MS.to_string())
            .execute(&mut *transaction)
            .await?;
        let _ending = AbortOnDropHandle::new(tokio::spawn(end_sessions(
            self.database_url.clone(),
            [live.clone(), incoming.clone()],
        )));
        // The lock that the first rename takes blocks new sessions until the commit.
        if database::database_exists(&mut transaction, &live).await? {
            database::rename_database(&mut transaction, &live, kept).await?;
            database::revoke_access(&mut transaction, project, kept).await?;
        }
        database::rename_database(&mut transaction, incoming, &live).await?;
        database::grant_access(&mut transaction, project, &live, &DbRole::OF_EVERY_PROJECT).await?;
        // `record` is called last, because it locks the row of the run. While that row is locked, the lease can't be
        // renewed, and the renames may wait for sessions.
        if !record.record(&mut transaction).await? {
            return Err(ReplacementError::NotRecorded);
        }
        keys::notify_project_changed(&mut *transaction, project).await?;
        Ok(transaction.commit().await?)
    }

    /// Returns the databases that restores of the project are loading, or were loading when their process was killed.
    ///
    /// # Errors
    /// Returns `Database` if the query fails.
    pub async fn leftovers(&self, project: &str) -> Result<Vec<String>, ReplacementError> {
        let mut connection = self.connect().await?;
        let names = sqlx::query_scalar("SELECT datname::text FROM pg_database WHERE starts_with(datname, $1)")
            .bind(format!("proj_{project}_restore_"))
            .fetch_all(&mut connection)
            .await?;
        connection.close().await?;
        Ok(names)
    }

    /// Drops a database that was loaded or kept, and ends its sessions. Succeeds if it does not exist.
    ///
    /// # Errors
    /// Returns `Database` if the statement fails.
    pub async fn drop(&self, name: &str) -> Result<(), ReplacementError> {
        let mut connection = self.connect().await?;
        database::drop_database(&mut connection, name).await?;
        tracing::info!(database = name, "dropped a database of a restore");
        Ok(connection.close().await?)
    }

    async fn connect(&self) -> Result<PgConnection, sqlx::Error> {
        database::connect_as_platform(&self.database_url, None).await
    }

    /// Connects and takes the lock of a ready project. Waits up to [`PROJECT_LOCK_TIMEOUT`] for the lock. The caller
    /// releases it with [`provisioning::unlock`].
    async fn locked(&self, project: &str) -> Result<PgConnection, ReplacementError> {
        let mut connection = self.connect().await?;
        let deadline = Instant::now() + PROJECT_LOCK_TIMEOUT;
        loop {
            match provisioning::lock(&mut connection, project).await {
                // A load that took hours must not fail because of a short request.
                Err(LifecycleError::Busy) if Instant::now() < deadline => tokio::time::sleep(LOCK_POLL_INTERVAL).await,
                locked => break locked?,
            }
        }
        let is_ready: bool =
            sqlx::query_scalar("SELECT EXISTS (SELECT FROM projects WHERE id = $1 AND state = 'ready')")
                .bind(project)
                .fetch_one(&mut connection)
                .await?;
        if is_ready {
            return Ok(connection);
        }
        provisioning::unlock(connection).await;
        Err(ReplacementError::Gone)
    }
}

/// Returns whether a database could not be renamed because it has sessions, or is locked by another command.
fn is_in_use(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    code.is_some_and(|code| ["55006", "55P03"].contains(&&*code))
}

/// Ends the sessions of the databases again and again, until the task is aborted or a statement fails.
async fn end_sessions(url: Secret, databases: [String; 2]) {
    let ending = async {
        let mut connection = database::connect_as_platform(&url, None).await?;
        loop {
            // Only a superuser can end a superuser's session, and the statement must not fail because of one.
            sqlx::query(
                "SELECT pg_terminate_backend(a.pid) FROM pg_stat_activity a JOIN pg_roles r ON r.oid = a.usesysid
                 WHERE a.datname = ANY($1) AND a.pid <> pg_backend_pid()
                   AND (NOT r.rolsuper OR (SELECT rolsuper FROM pg_roles WHERE rolname = current_user))",
            )
            .bind(&databases[..])
            .execute(&mut connection)
            .await?;
            tokio::time::sleep(END_SESSIONS_INTERVAL).await;
        }
    };
    let Err(error): Result<std::convert::Infallible, sqlx::Error> = ending.await;
    tracing::warn!(%error, "the sessions of a project's database could not be ended");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_databases_fit_identifiers_and_belong_to_their_project() {
        let project = "a".repeat(24);
        for name in [Replacements::name_for_run(&project, Uuid::now_v7()), Replacements::name_of_kept(&project)] {
            assert!(name.len() < 64 && name.starts_with(&format!("proj_{project}_")), "{name}");
        }
    }
}
