use serde::Deserialize;
use sqlx::PgPool;

use crate::{
    db::{
        DatabaseName, DbError, DbRole, ProjectPools, Statement,
        dump::{Dump, DumpError, DumpOptions, Dumper},
    },
    projects::queries,
};

const TABLES: &str = include_str!("tables_of_database.sql");

/// The platform database and the databases of ready projects, by their logical names.
#[derive(Clone)]
pub struct Databases {
    platform: PgPool,
    pools: ProjectPools,
    dumper: Dumper,
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
    /// The planner's estimate.
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
    pub fn new(platform: PgPool, pools: ProjectPools, dumper: Dumper) -> Self {
        Self { platform, pools, dumper }
    }

    /// Returns the platform database, then those of projects by their id.
    pub async fn list(&self) -> Result<Vec<DatabaseEntry>, sqlx::Error> {
        let size: i64 =
            sqlx::query_scalar("SELECT pg_database_size(current_database())").fetch_one(&self.platform).await?;
        let mut entries = vec![DatabaseEntry { name: DatabaseName::Platform, title: None, size: size.unsigned_abs() }];
        for (id, name, size) in queries::project_databases(&self.platform).await? {
            entries.push(DatabaseEntry {
                name: DatabaseName::Project(id),
                title: Some(name),
                size: size.unsigned_abs(),
            });
        }
        Ok(entries)
    }

    /// Returns the name of the project, as the owner spelled it; `None` for the platform database.
    ///
    /// # Errors
    /// [`DbError::Gone`] if there is no such project or it is not ready.
    pub async fn title(&self, database: &DatabaseName) -> Result<Option<String>, DbError> {
        let DatabaseName::Project(id) = database else { return Ok(None) };
        let project = queries::project(&self.platform, id).await.map_err(|error| DbError::Unreachable(error.into()))?;
        let ready = project.filter(|project| project.state == api_types::ProjectState::Ready);
        ready.map(|project| Some(project.name)).ok_or(DbError::Gone)
    }

    /// Returns the tables by schema and name, without system tables.
    pub async fn tables(&self, database: &DatabaseName) -> Result<Vec<DatabaseTable>, DbError> {
        self.title(database).await?;
        let unreachable = |error: sqlx::Error| DbError::Unreachable(error.into());
        let text: String = match database {
            DatabaseName::Platform => {
                sqlx::query_scalar(TABLES).fetch_one(&self.platform).await.map_err(unreachable)?
            }
            DatabaseName::Project(id) => {
                let rows = self.pools.fetch(id, DbRole::Backup, &Statement::new(TABLES)).await?;
                rows.first().map(|row| row.try_get(0)).transpose()?.unwrap_or_default()
            }
        };
        serde_json::from_str(&text).map_err(|error| DbError::Unreachable(error.into()))
    }

    /// Starts a dump, see [`Dumper::dump`].
    pub async fn dump(&self, database: &DatabaseName, options: DumpOptions) -> Result<Dump, DumpError> {
        self.title(database).await?;
        self.dumper.dump(database, options).await
    }
}
