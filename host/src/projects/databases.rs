use serde::Deserialize;
use sqlx::PgPool;

use super::queries;
use crate::db::{
    DatabaseName, DbError, DbRole, ProjectPools, Statement,
    dump::{Dump, DumpError, DumpOptions, Dumper},
};

const TABLES: &str = include_str!("tables_of_database.sql");

/// The databases that there are, by their logical names: the platform's, and those of ready projects.
#[derive(Clone)]
pub struct Databases {
    platform: PgPool,
    pools: ProjectPools,
    dumper: Dumper,
}

/// One database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabaseEntry {
    pub name: DatabaseName,
    /// The project's name as the owner wrote it; none for the platform.
    pub title: Option<String>,
    /// Bytes.
    pub size: u64,
}

/// One table of a database.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DatabaseTable {
    pub schema: String,
    pub name: String,
    /// The planner's.
    pub estimated_rows: u64,
    pub columns: Vec<DatabaseColumn>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DatabaseColumn {
    pub name: String,
    /// As Postgres writes it, for example `numeric(10,2)`.
    pub data_type: String,
    pub nullable: bool,
}

impl Databases {
    pub fn new(platform: PgPool, pools: ProjectPools, dumper: Dumper) -> Self {
        Self { platform, pools, dumper }
    }

    /// The platform's first, then by id.
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

    /// The project's name as the owner wrote it, none for the platform.
    ///
    /// # Errors
    /// [`DbError::Gone`] where there is no such project, or it is not ready.
    pub async fn title(&self, database: &DatabaseName) -> Result<Option<String>, DbError> {
        let DatabaseName::Project(id) = database else { return Ok(None) };
        let project = queries::project(&self.platform, id).await.map_err(|error| DbError::Unreachable(error.into()))?;
        let ready = project.filter(|project| project.state == api_types::ProjectState::Ready);
        ready.map(|project| Some(project.name)).ok_or(DbError::Gone)
    }

    /// Tables by schema and name, without the system's own.
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

    /// Begins a dump, see [`Dumper::dump`].
    pub async fn dump(&self, database: &DatabaseName, options: DumpOptions) -> Result<Dump, DumpError> {
        self.title(database).await?;
        self.dumper.dump(database, options).await
    }
}
