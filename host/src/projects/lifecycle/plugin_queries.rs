//! Queries of plugins, and the role `proj_<id>_query` that they run as.
//!
//! The role is created for the first query of a project. It may read the tables and views of schema `public`, also
//! those that the owner creates later. Tables that the owner closes to the role stay closed until a restore replaces
//! the database. If the owner closes the schema itself, the next query grants all privileges again.

use std::{any::Any, sync::Arc, time::Duration};

use postgres_protocol::escape::escape_identifier as ident;
use sqlx::{Connection as _, PgPool};

use super::{database, databases::Databases, optional_role::OptionalRole};
use crate::{
    config::Secret,
    db::{
        Credentials, DatabaseName, DbError, DbRole, ExclusiveClient, project_database,
        query::{self, Query, QueryError, QuerySessions, RunningQuery},
    },
    error::ApiResult,
    secrets::Sealer,
};

/// Runs queries of plugins. Cheap to clone.
#[derive(Clone)]
pub struct PluginQueries {
    platform: PgPool,
    database_url: Secret,
    sealer: Sealer,
    databases: Databases,
    sessions: QuerySessions,
    max_timeout: Duration,
}

impl PluginQueries {
    /// Creates the state. `platform` and `databases` use the connections for plugins. `max_timeout` limits a query and
    /// the reading of its rows.
    ///
    /// # Errors
    /// Fails if `database_url`, the URL of the platform database, is invalid.
    pub fn new(
        platform: PgPool,
        database_url: Secret,
        sealer: Sealer,
        credentials: Arc<dyn Credentials>,
        databases: Databases,
        max_timeout: Duration,
    ) -> anyhow::Result<Self> {
        let sessions = QuerySessions::new(&database_url, credentials)?;
        Ok(Self { platform, database_url, sealer, databases, sessions, max_timeout })
    }

    /// Returns the maximum time for a query and for reading its rows.
    pub fn max_timeout(&self) -> Duration {
        self.max_timeout
    }

    /// Starts a query on a project's database. `permit` is dropped when the query's connection is closed.
    ///
    /// # Errors
    /// See [`QueryError`]. [`RunningQuery::outcome`] reports problems after the start.
    pub async fn start(
        &self,
        project: &str,
        query: &Query,
        permit: Box<dyn Any + Send>,
    ) -> Result<RunningQuery, QueryError> {
        let name = DatabaseName::Project(project.to_owned());
        match self.databases.title(&name).await {
            Ok(_) => {}
            Err(DbError::Gone) => return Err(QueryError::Gone),
            Err(error) => return Err(QueryError::Unreachable(error.into())),
        }
        let client = self.connect(project, query.timeout).await?;
        query::start(client, query, permit).await
    }

    async fn connect(&self, project: &str, timeout: Duration) -> Result<ExclusiveClient, QueryError> {
        match self.sessions.open(project, timeout).await {
            Err(QueryError::Unprepared) => {}
            opened => return opened,
        }
        if let Err(error) = self.prepare(project).await {
            return Err(QueryError::Unreachable(anyhow::anyhow!("preparing the role for queries: {error:?}")));
        }
        match self.sessions.open(project, timeout).await {
            Err(QueryError::Unprepared) => Err(QueryError::Invalid(
                "the database can't be queried: its schema `public` is missing, or closed to the role for queries"
                    .to_owned(),
            )),
            opened => opened,
        }
    }

    /// Creates the role and grants its privileges. It is idempotent.
    async fn prepare(&self, project: &str) -> ApiResult<()> {
        let Self { platform, database_url, sealer, .. } = self;
        let role = OptionalRole { platform, database_url, sealer, role: DbRole::Query };
        // `locked` holds the role's lock, so that several nodes don't change the same privileges at the same time.
        let locked = role.create(project).await?;
        let database = project_database(project);
        let mut connection = database::connect_as_platform(database_url, Some(&database)).await?;
        let (owner, role) = (ident(&DbRole::Owner.name(project)), ident(&DbRole::Query.name(project)));
        let script = format!(
            "SET search_path = ''; SET lock_timeout = 5000; BEGIN; SET LOCAL ROLE {owner};
             GRANT USAGE ON SCHEMA public TO {role};
             GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role};
             ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO {role};
             COMMIT"
        );
        let granted = database::execute(&mut connection, script).await;
        let _ = connection.close().await;
        let _ = locked.close().await;
        granted?;
        tracing::info!(project, "prepared a project's database for queries of plugins");
        Ok(())
    }
}
