//! Lists the databases of the installation and their tables, and connects to and dumps them, for the owner and for
//! plugins.

use std::{any::Any, sync::Arc};

use serde::Deserialize;
use sqlx::PgPool;
use tokio::sync::Semaphore;

use crate::{
    db::{
        DatabaseName, DbError, DbRole, ExclusiveClient,
        dump::{Dump, DumpError, DumpOptions, Dumper},
    },
    error::ApiError,
    projects::queries,
};

const TABLES: &str = include_str!("tables_of_database.sql");
/// Settings for listing tables: the search path of apps' sessions, so that Postgres writes the names of types as it
/// does for apps, and a time limit.
const LIST_OPTIONS: &str = "SET search_path = public; SET statement_timeout = '15s'";

/// The platform database and the databases of ready projects, by their logical names.
#[derive(Clone)]
pub struct Databases {
    platform: PgPool,
    dumper: Dumper,
    /// Limits the connections that list tables. They are closed after use; apps' requests use other connections.
    connections: Arc<Semaphore>,
}

/// A database in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabaseEntry {
    pub name: DatabaseName,
    /// Name of the project, as the owner spelled it; `None` for the platform database.
    pub title: Option<String>,
    /// Size in bytes.
    pub size: u64,
}

/// A table of a database.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DatabaseTable {
    pub schema: String,
    pub name: String,
    /// The planner's estimate; 0 if the table was never analyzed.
    pub estimated_rows: u64,
    pub columns: Vec<DatabaseColumn>,
}

/// A column of a table.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DatabaseColumn {
    pub name: String,
    /// In Postgres's notation, for example `numeric(10,2)`.
    pub data_type: String,
    pub nullable: bool,
}

impl Databases {
    /// Gives access to the databases. At most `connections` connections list tables at the same time.
    pub fn new(platform: PgPool, dumper: Dumper, connections: usize) -> Self {
        Self { platform, dumper, connections: Arc::new(Semaphore::new(connections)) }
    }

    /// Returns the chosen databases that exist: the platform's, then those of projects by their id. Does not measure
    /// the others, because Postgres visits every file of a database to measure its size.
    ///
    /// # Errors
    /// Returns the error of a query.
    pub async fn list(&self, choose: impl Fn(&DatabaseName) -> bool) -> Result<Vec<DatabaseEntry>, sqlx::Error> {
        let mut entries = Vec::new();
        if choose(&DatabaseName::Platform) {
            let size: i64 =
                sqlx::query_scalar("SELECT pg_database_size(current_database())").fetch_one(&self.platform).await?;
            entries.push(DatabaseEntry { name: DatabaseName::Platform, title: None, size: size.unsigned_abs() });
        }
        let ids = queries::ready_projects(&self.platform).await?;
        let chosen: Vec<String> = ids.into_iter().filter(|id| choose(&DatabaseName::Project(id.clone()))).collect();
        if chosen.is_empty() {
            return Ok(entries);
        }
        for (id, name, size) in queries::project_databases(&self.platform, &chosen).await? {
            entries.push(DatabaseEntry {
                name: DatabaseName::Project(id),
                title: Some(name),
                size: size.unsigned_abs(),
            });
        }
        Ok(entries)
    }

    /// Returns the name of the project as the owner spelled it, or `None` for the platform database.
    ///
    /// # Errors
    /// Returns [`DbError::Gone`] if there is no such project or it is not ready, and [`DbError::Unreachable`] if
    /// Postgres can't be reached.
    pub async fn title(&self, database: &DatabaseName) -> Result<Option<String>, DbError> {
        let DatabaseName::Project(id) = database else { return Ok(None) };
        let project = queries::project(&self.platform, id).await.map_err(|error| DbError::Unreachable(error.into()))?;
        let ready = project.filter(|project| project.state == api_types::ProjectState::Ready);
        ready.map(|project| Some(project.name)).ok_or(DbError::Gone)
    }

    /// Returns the tables ordered by schema and name, without system tables.
    ///
    /// # Errors
    /// Returns the errors of [`Self::title`], [`DbError::Gone`] if the database does not exist,
    /// [`DbError::Unreachable`] if no connection can be opened, and the errors of the query.
    pub async fn tables(&self, database: &DatabaseName) -> Result<Vec<DatabaseTable>, DbError> {
        parse_tables(&self.tables_json(database).await?)
    }

    /// Returns the tables like [`Self::tables`], as JSON for [`parse_tables`].
    ///
    /// # Errors
    /// Fails like [`Self::tables`].
    pub async fn tables_json(&self, database: &DatabaseName) -> Result<String, DbError> {
        self.title(database).await?;
        // The semaphore is never closed.
        let _permit = self.connections.acquire().await.map_err(|error| DbError::Unreachable(error.into()))?;
        let mut client = self.dumper.connect(database).await.map_err(|error| match error {
            DumpError::Gone => DbError::Gone,
            error => DbError::Unreachable(error.into()),
        })?;
        client.mark_busy();
        client.batch_execute(LIST_OPTIONS).await?;
        let text = client.query_one(TABLES, &[]).await?.try_get(0)?;
        client.mark_idle();
        Ok(text)
    }

    /// Opens a connection, see [`Dumper::connect_as`].
    ///
    /// # Errors
    /// Returns the errors of [`Self::title`] and of [`Dumper::connect_as`].
    pub async fn connect_as(&self, database: &DatabaseName, role: DbRole) -> Result<ExclusiveClient, DumpError> {
        self.title(database).await?;
        self.dumper.connect_as(database, role).await
    }

    /// Starts a dump, see [`Dumper::dump`].
    ///
    /// # Errors
    /// Returns the errors of [`Self::title`] and of [`Dumper::dump`].
    pub async fn dump(
        &self,
        database: &DatabaseName,
        options: DumpOptions,
        permit: Box<dyn Any + Send>,
    ) -> Result<Dump, DumpError> {
        self.title(database).await?;
        self.dumper.dump(database, options, permit).await
    }
}

/// Parses the tables that [`Databases::tables_json`] returns.
///
/// # Errors
/// Returns an internal error if the string is not such JSON.
pub fn parse_tables(text: &str) -> Result<Vec<DatabaseTable>, DbError> {
    serde_json::from_str(text).map_err(|error| DbError::Refused(ApiError::internal(error)))
}
