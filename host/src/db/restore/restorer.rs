//! Verifies archives by restoring them into scratch databases, and finds scratch databases that were left behind.

use std::{path::PathBuf, sync::Arc};

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};
use sqlx::Connection as _;
use uuid::Uuid;

use super::{
    FailedObjects, RestoreError, ScratchName,
    archive_list::{ListFile, filter_list},
    check_constraints,
    loader::{major_of_format, read_begin},
    program::{Purpose, RestoreInput, RestoreProgram, Section},
    scratch::{self, Scratch},
    search_path,
    target_server::TargetServer,
};
use crate::{
    config::Secret,
    db::{
        dump::{TableRows, program::DumpPrograms, snapshot},
        programs::parse_major,
        server,
    },
};

/// Restores archives on the platform's server: into scratch databases, databases of projects, and new platform
/// databases. Cheap to clone.
#[derive(Clone)]
pub struct Restorer {
    pub(super) server: Arc<TargetServer>,
    pub(super) programs: Arc<DumpPrograms>,
}

/// An archive to restore, in `pg_dump`'s custom format.
pub struct Archive<'a, A> {
    /// The archive's bytes. Reading stops at the first error.
    pub bytes: &'a mut A,
    /// Version of the `pg_dump` that created it, for example `15.14`.
    pub dump_version: Option<&'a str>,
}

/// The content of a restored scratch database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// Number of rows of every table, sorted by schema and name.
    pub tables: Vec<TableRows>,
}

impl Restorer {
    /// Creates a restorer for the server of the platform database, whose URL is `database_url`. The database itself may
    /// be missing. `program_folder` is searched for `pg_restore` in addition to the usual folders, and preferred among
    /// programs of the same version.
    ///
    /// # Errors
    /// Fails if the URL is invalid, or if its root certificates can't be loaded.
    pub fn new(database_url: &Secret, program_folder: Option<PathBuf>) -> anyhow::Result<Self> {
        Ok(Self {
            server: Arc::new(TargetServer::new(database_url)?),
            programs: Arc::new(DumpPrograms::new(program_folder)),
        })
    }

    /// Restores an archive into a scratch database, counts the rows of its tables, and removes the database.
    ///
    /// `run` becomes part of the scratch database's name. `password` is for the scratch role. If `pg_restore` fails,
    /// the archive is still read completely.
    ///
    /// # Errors
    /// Returns `NoProgram` if the archive or the server is newer than the programs on this machine,
    /// `Refused` if the scratch database can't be created, and `Failed` or `FailedObject` if the archive can't be
    /// restored or its rows can't be counted. Also returns the errors of reading the archive, of starting `pg_restore`,
    /// and of the connection to Postgres.
    pub async fn restore<A>(&self, run: Uuid, password: &str, archive: Archive<'_, A>) -> Result<Restored, RestoreError>
    where
        A: Stream<Item = std::io::Result<Bytes>> + Unpin + Send,
    {
        let server = &self.server;
        let name = ScratchName::new(&server.platform_database, run);
        let mut marker = server.connect(&name.to_string(), None).await.map_err(RestoreError::from_administration)?;
        let server_major = server::major(&mut marker).await.map_err(RestoreError::from_administration)?;
        // Fused, because both reading the head and reading the rest may poll the stream after its end.
        let mut bytes = archive.bytes.fuse();
        let (first, begin) = read_begin(&mut bytes).await?;
        // An archive can be read by the version that wrote it and by newer versions. `pg_restore` refuses bytes that
        // are no archive. They are then read completely.
        let dump_major = archive
            .dump_version
            .and_then(|version| parse_major(&format!("(PostgreSQL) {version}")))
            .or_else(|| major_of_format(&begin).ok());
        let program = self.programs.find(server_major.max(dump_major.unwrap_or(0))).await?;
        let program = RestoreProgram::beside(&program);
        let bytes = &mut stream::iter(first).chain(bytes).fuse();
        let head = match program.read_head(bytes).await {
            Err(error @ RestoreError::Failed(_)) => {
                while let Some(chunk) = bytes.next().await {
                    chunk.map_err(RestoreError::Archive)?;
                }
                return Err(error);
            }
            head => head?,
        };
        let list = ListFile::write(&filter_list(&head.list)).map_err(|error| RestoreError::NotRun(error.into()))?;
        let creating = tokio::spawn(Scratch::create(Arc::clone(server), name, marker, password.to_owned()));
        let scratch = creating.await.map_err(|error| RestoreError::Unreachable(error.into()))??;
        let login = scratch.login(password);
        let restored = async {
            let purpose = Purpose::Verify;
            let input = |section| RestoreInput { list: &list, head: &head, section, purpose, server_major };
            let prepared = async {
                program.restore(&server.address, &login, input(Section::PreData), None::<&mut A>).await?;
                let client = snapshot::connect(&server.address, &login).await?;
                search_path::set_for_functions(&client).await?;
                check_constraints::take_out(&client).await
            };
            let checks = match prepared.await {
                Ok(checks) => checks,
                Err(error) => {
                    while let Some(chunk) = bytes.next().await {
                        chunk.map_err(RestoreError::Archive)?;
                    }
                    return Err(error);
                }
            };
            program.restore(&server.address, &login, input(Section::Data), Some(bytes)).await?;
            program.restore(&server.address, &login, input(Section::PostData), None::<&mut A>).await?;
            let mut client = snapshot::connect(&server.address, &login).await?;
            client.mark_busy();
            checks.put_back(&client, FailedObjects::Fail).await?;
            drop(client);
            let mut client = snapshot::connect(&server.address, &login).await?;
            let tables = snapshot::list_tables(&client).await.map_err(RestoreError::from_scratch)?;
            let tables = snapshot::count_rows(&mut client, &tables).await.map_err(RestoreError::from_scratch)?;
            Ok(Restored { tables })
        };
        let restored = restored.await;
        scratch.remove().await;
        restored
    }

    /// Lists scratch databases and roles of this platform that are no longer used by any process.
    ///
    /// # Errors
    /// Returns the error of the connection or the query.
    pub async fn list_leftovers(&self) -> Result<Vec<ScratchName>, sqlx::Error> {
        let platform_database = &self.server.platform_database;
        let mut connection = self.server.connect("atlashub sweep", None).await?;
        let names: Vec<String> = sqlx::query_scalar(
            "SELECT name FROM (SELECT datname::text AS name FROM pg_database UNION SELECT rolname::text FROM \
             pg_roles) AS names
             WHERE starts_with(name, $1)
               AND NOT EXISTS (SELECT FROM pg_stat_activity
                               WHERE application_name = name AND usename = session_user)
             ORDER BY name",
        )
        .bind(ScratchName::prefix(platform_database))
        .fetch_all(&mut connection)
        .await?;
        connection.close().await?;
        Ok(names.iter().filter_map(|name| ScratchName::parse(platform_database, name)).collect())
    }

    /// Removes a leftover scratch database and role, and terminates their sessions.
    ///
    /// # Errors
    /// Returns the error of the connection or the statements.
    pub async fn remove(&self, name: &ScratchName) -> Result<(), sqlx::Error> {
        scratch::remove_by_name(&self.server, name).await
    }

    /// Waits until dropped scratch databases are removed. Call this function before the process exits.
    pub async fn wait_for_cleanup(&self) {
        self.server.removals.close();
        self.server.removals.wait().await;
    }
}
