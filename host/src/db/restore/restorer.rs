use std::{path::PathBuf, str::FromStr as _, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use sqlx::{ConnectOptions as _, Connection as _, PgConnection, postgres::PgConnectOptions};
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::{
    RestoreError, ScratchName,
    contents::{self, ListFile},
    program::RestoreProgram,
    scratch::{self, Scratch},
};
use crate::{
    config::Secret,
    db::{
        ServerAddress,
        dump::{TableRows, program::DumpPrograms, snapshot},
        programs::parse_major,
        server,
    },
};

const PATIENCE: Duration = Duration::from_secs(10);
/// Databases that every server has, for when the platform's own is gone.
const MAINTENANCE: [&str; 2] = ["postgres", "template1"];

/// Restores archives into scratch databases on the platform's server. Cheap to clone.
#[derive(Clone)]
pub struct Restorer(Arc<Inner>);

pub(super) struct Inner {
    address: ServerAddress,
    options: PgConnectOptions,
    /// Name of the platform's database.
    platform: String,
    programs: DumpPrograms,
    /// Scratch databases that are being removed.
    pub(super) removals: TaskTracker,
}

/// An archive to restore, in `pg_dump`'s custom format.
pub struct Archive<'a, A> {
    /// The first error ends it.
    pub bytes: &'a mut A,
    /// Of the `pg_dump` that made it, for example `15.14`.
    pub dump_version: Option<&'a str>,
}

/// What was in the scratch database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// By schema and name.
    pub tables: Vec<TableRows>,
}

impl Restorer {
    /// `database_url` is the platform database's, which need not be there. `program_folder` is looked into for
    /// `pg_restore` before the usual places.
    pub fn new(database_url: &Secret, program_folder: Option<PathBuf>) -> anyhow::Result<Self> {
        let options = PgConnectOptions::from_str(database_url.expose())?.disable_statement_logging();
        Ok(Self(Arc::new(Inner {
            address: ServerAddress::from_url(database_url.expose())?,
            platform: options.get_database().unwrap_or("platform").to_owned(),
            options,
            programs: DumpPrograms::new(program_folder),
            removals: TaskTracker::new(),
        })))
    }

    /// Restores the archive for a run, counts the rows of its tables, and removes all again. `password` is for the
    /// scratch role. Once `pg_restore` was begun the archive is read to its end, also where restoring fails.
    pub async fn restore<A>(&self, run: Uuid, password: &str, archive: Archive<'_, A>) -> Result<Restored, RestoreError>
    where
        A: Stream<Item = std::io::Result<Bytes>> + Unpin + Send,
    {
        let inner = &self.0;
        let name = ScratchName::new(&inner.platform, run);
        let mut keeper = inner.connect(&name.to_string(), None).await.map_err(RestoreError::from_administration)?;
        let server_major = server::major(&mut keeper).await.map_err(RestoreError::from_administration)?;
        // An archive is read by the version that wrote it, and newer ones.
        let dump_major = archive.dump_version.and_then(|version| parse_major(&format!("(PostgreSQL) {version}")));
        let program = inner.programs.find(server_major.max(dump_major.unwrap_or(0))).await?;
        let program = RestoreProgram::beside(&program);
        // Asked again after its end, when head and rest are read by two.
        let bytes = &mut archive.bytes.fuse();
        let head = match program.list(bytes).await {
            Err(error @ RestoreError::Failed(_)) => {
                while let Some(chunk) = bytes.next().await {
                    chunk.map_err(RestoreError::Archive)?;
                }
                return Err(error);
            }
            head => head?,
        };
        let list =
            ListFile::write(&contents::restored(&head.list)).map_err(|error| RestoreError::NotRun(error.into()))?;
        let making = tokio::spawn(Scratch::make(Arc::clone(inner), name, keeper, password.to_owned()));
        let scratch = making.await.map_err(|error| RestoreError::Unreachable(error.into()))??;
        let login = scratch.login(password);
        let restored = async {
            program.restore(&inner.address, &login, &list, head, bytes).await?;
            let mut client = snapshot::connect(&inner.address, &login).await.map_err(RestoreError::from_scratch)?;
            let tables = snapshot::tables(&client).await.map_err(RestoreError::from_scratch)?;
            let tables = snapshot::count(&mut client, &tables).await.map_err(RestoreError::from_scratch)?;
            Ok(Restored { tables })
        };
        let restored = restored.await;
        scratch.remove().await;
        restored
    }

    /// Scratch databases and roles of this platform that nobody is at work on any more.
    pub async fn leftovers(&self) -> Result<Vec<ScratchName>, sqlx::Error> {
        let mut connection = self.0.connect("atlashub sweep", None).await?;
        let names: Vec<String> = sqlx::query_scalar(
            "SELECT name FROM (SELECT datname::text AS name FROM pg_database UNION SELECT rolname::text FROM pg_roles) AS names
             WHERE starts_with(name, $1)
               AND NOT EXISTS (SELECT FROM pg_stat_activity WHERE application_name = name)
             ORDER BY name",
        )
        .bind(ScratchName::prefix(&self.0.platform))
        .fetch_all(&mut connection)
        .await?;
        connection.close().await?;
        Ok(names.iter().filter_map(|name| ScratchName::parse(&self.0.platform, name)).collect())
    }

    /// Removes a leftover, sessions and all.
    pub async fn remove(&self, name: &ScratchName) -> Result<(), sqlx::Error> {
        scratch::remove_by_name(&self.0, name).await
    }

    /// Waits until every scratch database that was dropped is removed. For a process that ends.
    pub async fn settle(&self) {
        self.0.removals.close();
        self.0.removals.wait().await;
    }
}

impl Inner {
    /// A connection as the platform's role; to its database or, where that is gone, to one that every server has.
    pub(super) async fn connect(&self, application: &str, database: Option<&str>) -> Result<PgConnection, sqlx::Error> {
        let options = self
            .options
            .clone()
            .application_name(application)
            .options([("statement_timeout", "0"), ("lock_timeout", "0")]);
        let databases: Vec<&str> = match database {
            Some(database) => vec![database],
            None => std::iter::once(self.platform.as_str()).chain(MAINTENANCE).collect(),
        };
        let mut gone = None;
        for database in databases {
            match tokio::time::timeout(PATIENCE, options.clone().database(database).connect()).await {
                Ok(Err(sqlx::Error::Database(error))) if error.code().is_some_and(|code| code == "3D000") => {
                    gone = Some(sqlx::Error::Database(error));
                }
                Ok(connection) => return connection,
                Err(_) => {
                    let message = format!("no answer in {} seconds", PATIENCE.as_secs());
                    return Err(std::io::Error::new(std::io::ErrorKind::TimedOut, message).into());
                }
            }
        }
        Err(gone.unwrap_or(sqlx::Error::PoolClosed))
    }
}
