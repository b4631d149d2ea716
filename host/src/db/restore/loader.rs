//! Loads an archive into an empty database of a project, as the project's owner.

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};
use tokio_postgres::error::SqlState;

use super::{
    ArchiveContents, FailedObjects, Privileges, RestoreError, Restorer,
    archive_list::ListFile,
    check_constraints,
    contents::Lists,
    failed_objects,
    program::{Head, Purpose, RestoreInput, RestoreProgram, Section},
    restorer::Archive,
    search_path,
    translate::{LateStatement, OnFailure, translate},
};
use crate::db::{
    Credentials, DbError, DbRole, ExclusiveClient,
    connect::{Login, LoginError},
    dump::{TableRows, snapshot},
    programs::parse_major,
    server,
};

/// The first bytes of every archive in custom format.
const MAGIC: &[u8] = b"PGDMP";
/// Number of bytes at the beginning of an archive that contain [`MAGIC`] and the version of the format.
const VERSION_BYTES: usize = 7;

/// Maximum number of connections of [`Restorer::load`] at a time: one updates the statistics, and one counts the rows.
pub const LOAD_CONNECTIONS: usize = 2;
/// Maximum number of attempts to log in while Postgres does not respond in time.
const MAX_LOGIN_ATTEMPTS: u32 = 5;

/// The database that an archive is loaded into.
pub struct LoadTarget<'a> {
    pub project: &'a str,
    /// Name of the database. The database is empty, and the project's owner may create schemas in it.
    pub database: &'a str,
    pub credentials: &'a dyn Credentials,
    /// SQL that creates the schema `auth` of a new project, for archives that don't contain one.
    pub schema_auth: &'a str,
    /// SQL that gives the project's roles the privileges that they have in a new project, for archives without
    /// privileges.
    pub standard_privileges: &'a str,
    /// Whether an object that can't be created after the rows were loaded makes the restore fail, or is left out.
    pub failed_objects: FailedObjects,
    /// Numbers of rows that the caller expects. A table is counted only if Postgres has not inserted this number, or if
    /// the number is 0.
    pub expected: &'a [TableRows],
}

/// The result of loading an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// Number of rows of every table, sorted by schema and name.
    pub tables: Vec<TableRows>,
    /// Descriptions of the parts that were left out, and of the check constraints that are `NOT VALID` now, for the
    /// owner.
    pub left_out: Vec<String>,
}

/// An archive whose [`Head`] was read.
pub(super) struct OpenArchive<S> {
    pub(super) program: RestoreProgram,
    server_major: u32,
    pub(super) head: Head,
    contents: ArchiveContents,
    pub(super) rest: S,
}

/// The treatment of the rest of an archive whose head is invalid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AfterInvalidHead {
    /// The rest is read, because the caller compares the SHA-256 of the whole archive.
    ReadToEnd,
    Stop,
}

impl Restorer {
    /// Reads the table of contents of an archive, and stops reading soon after it.
    ///
    /// # Errors
    /// Returns `NotAnArchive` if the bytes are no archive, `OfPlatform` if they are a dump of a platform database, and
    /// `NoProgram` if the archive or the server is newer than the programs on this machine. Otherwise, returns the
    /// errors of reading the archive, of `pg_restore`, and of the connection to Postgres.
    pub async fn inspect<A>(&self, archive: Archive<'_, A>) -> Result<ArchiveContents, RestoreError>
    where
        A: Stream<Item = std::io::Result<Bytes>> + Unpin + Send,
    {
        Ok(self.open_for_project(archive, AfterInvalidHead::Stop).await?.contents)
    }

    /// Loads an archive into the target as the project's owner, and counts the rows. Then creates the policies of the
    /// archive, and gives the project's roles the privileges of the archive or those of a new project. Schema `public`
    /// must belong to the project's owner. If the content of the archive makes this fail, the rest of the archive is
    /// still read.
    ///
    /// # Errors
    /// Returns `FailedObject` if an object that can be left out can't be created. Returns `Failed` if the archive can't
    /// be loaded for another reason, or if its rows can't be counted. Returns `DiskFull`, `Interrupted` or
    /// `Unreachable` for an error that says nothing about the archive. Also returns the errors of [`Self::inspect`].
    pub async fn load<A>(&self, target: &LoadTarget<'_>, archive: Archive<'_, A>) -> Result<Loaded, RestoreError>
    where
        A: Stream<Item = std::io::Result<Bytes>> + Unpin + Send,
    {
        let mut archive = self.open_for_project(archive, AfterInvalidHead::ReadToEnd).await?;
        let loaded = self.load_opened(target, &mut archive).await;
        if loaded.as_ref().is_err_and(RestoreError::is_of_content) {
            // The SHA-256 of the archive is known only at its end. If it differs from the manifest, the caller reports
            // this difference instead of the error.
            read_to_end(&mut archive.rest).await?;
        }
        loaded
    }

    async fn load_opened<S>(
        &self,
        target: &LoadTarget<'_>,
        archive: &mut OpenArchive<S>,
    ) -> Result<Loaded, RestoreError>
    where
        S: Stream<Item = std::io::Result<Bytes>> + Unpin + Send,
    {
        let OpenArchive { program, server_major, head, contents, rest } = archive;
        let address = &self.server.address;
        let lists = Lists::of(&head.list);
        let privileges = contents.privileges();
        let (list, late) = (list_file(&lists.loaded)?, list_file(&lists.translated)?);
        let late = translate(&program.statements(&late, head).await?, &privileges, target.project)
            .map_err(|problem| RestoreError::Failed(format!("its policies and grants can't be read: {problem}")))?;
        let owner = login(target, DbRole::Owner).await?;
        if !contents.has_schema_auth {
            run(&self.connect(&owner).await?, target.schema_auth).await?;
        }
        let input = |section| RestoreInput {
            list: &list,
            head,
            section,
            purpose: Purpose::Restore,
            server_major: *server_major,
        };
        // Each step may change the owner's password and settings, so each step uses a new login.
        program.restore(address, &owner, input(Section::PreData), None::<&mut S>).await?;
        let client = self.connect(&login(target, DbRole::Owner).await?).await?;
        let functions = search_path::set_for_functions(&client).await?;
        let checks = check_constraints::take_out(&client).await?;
        drop(client);
        let owner = login(target, DbRole::Owner).await?;
        program.restore(address, &owner, input(Section::Data), Some(rest)).await?;
        let owner = login(target, DbRole::Owner).await?;
        let mut left_out = Vec::new();
        match target.failed_objects {
            FailedObjects::Fail => {
                program.restore(address, &owner, input(Section::PostData), None::<&mut S>).await?;
            }
            FailedObjects::LeaveOut => {
                let failed = program.restore_leniently(address, &owner, input(Section::PostData)).await?;
                let client = self.connect(&login(target, DbRole::Owner).await?).await?;
                left_out.extend(failed_objects::create_again(program, head, &client, &failed).await?);
            }
        }
        let client = self.connect(&login(target, DbRole::Owner).await?).await?;
        // At the same time, because each reads the tables with one process of Postgres.
        let (analyzed, tables) = tokio::join!(client.batch_execute("ANALYZE"), self.count(target));
        if let Err(error) = analyzed {
            tracing::warn!(%error, project = target.project, "the statistics of a restored database are incomplete");
        }
        let tables = tables?;
        left_out.extend(checks.put_back(&client, target.failed_objects).await?);
        drop(client);
        let client = self.connect(&login(target, DbRole::Owner).await?).await?;
        run(&client, &functions.reset_statements()).await?;
        left_out.extend(late.left_out);
        left_out.extend(run_late(&client, &late.statements).await?);
        if privileges == Privileges::Standard {
            run(&client, target.standard_privileges).await?;
        }
        Ok(Loaded { tables, left_out })
    }

    /// Returns the number of rows of each table, as the role that creates dumps: policies hide no rows from it.
    async fn count(&self, target: &LoadTarget<'_>) -> Result<Vec<TableRows>, RestoreError> {
        let mut client = self.connect(&login(target, DbRole::Backup).await?).await?;
        let tables = snapshot::list_tables(&client).await.map_err(RestoreError::from_scratch)?;
        snapshot::count_loaded_rows(&mut client, tables, target.expected).await.map_err(RestoreError::from_scratch)
    }

    async fn connect(&self, login: &Login) -> Result<ExclusiveClient, RestoreError> {
        let mut attempt = 1;
        let mut client = loop {
            match snapshot::connect(&self.server.address, login).await {
                // A load that takes hours must not fail because a busy server is slow once.
                Err(LoginError::TimedOut) if attempt < MAX_LOGIN_ATTEMPTS => attempt += 1,
                connected => break connected?,
            }
        };
        client.mark_busy();
        Ok(client)
    }

    /// Reads the head of an archive that is restored into a project. Refuses dumps of platform databases, because the
    /// project's keys could read all tables of the dump.
    async fn open_for_project<'a, A>(
        &self,
        archive: Archive<'a, A>,
        after_invalid_head: AfterInvalidHead,
    ) -> Result<OpenArchive<impl Stream<Item = std::io::Result<Bytes>> + Unpin + Send + use<'a, A>>, RestoreError>
    where
        A: Stream<Item = std::io::Result<Bytes>> + Unpin + Send,
    {
        let archive = self.open(archive, after_invalid_head).await?;
        if archive.contents.is_of_platform() { Err(RestoreError::OfPlatform) } else { Ok(archive) }
    }

    /// Reads the head of an archive.
    pub(super) async fn open<'a, A>(
        &self,
        archive: Archive<'a, A>,
        after_invalid_head: AfterInvalidHead,
    ) -> Result<OpenArchive<impl Stream<Item = std::io::Result<Bytes>> + Unpin + Send + use<'a, A>>, RestoreError>
    where
        A: Stream<Item = std::io::Result<Bytes>> + Unpin + Send,
    {
        let mut connection =
            self.server.connect("atlashub restore", None).await.map_err(RestoreError::from_administration)?;
        let server_major = server::major(&mut connection).await.map_err(RestoreError::from_administration)?;
        drop(connection);
        let mut bytes = archive.bytes.fuse();
        let (first, begin) = read_begin(&mut bytes).await?;
        let format_major = major_of_format(&begin)?;
        let dump_major = archive.dump_version.and_then(|version| parse_major(&format!("(PostgreSQL) {version}")));
        // An archive can be read by the version that wrote it and by newer versions.
        let required = server_major.max(dump_major.unwrap_or(0)).max(format_major);
        let program = RestoreProgram::beside(&self.programs.find(required).await?);
        let mut rest = stream::iter(first).chain(bytes).fuse();
        let head = match program.read_head(&mut rest).await {
            Err(error @ RestoreError::Failed(_)) if after_invalid_head == AfterInvalidHead::ReadToEnd => {
                read_to_end(&mut rest).await?;
                return Err(error);
            }
            head => head?,
        };
        let contents = ArchiveContents::parse(&head.list).ok_or_else(not_custom_format)?;
        Ok(OpenArchive { program, server_major, head, contents, rest })
    }
}

/// Reads the beginning of an archive. Returns the chunks that were read, and the bytes that contain the version of the
/// format.
pub(super) async fn read_begin<S>(archive: &mut S) -> Result<(Vec<std::io::Result<Bytes>>, Vec<u8>), RestoreError>
where
    S: Stream<Item = std::io::Result<Bytes>> + Unpin,
{
    let (mut chunks, mut begin) = (Vec::new(), Vec::new());
    while begin.len() < VERSION_BYTES {
        let Some(chunk) = archive.next().await.transpose().map_err(RestoreError::Archive)? else { break };
        let missing = VERSION_BYTES - begin.len();
        begin.extend_from_slice(chunk.get(..missing).unwrap_or(&chunk));
        chunks.push(Ok(chunk));
    }
    Ok((chunks, begin))
}

/// Reads the rest of an archive and drops it.
pub(super) async fn read_to_end<S>(rest: &mut S) -> Result<(), RestoreError>
where
    S: Stream<Item = std::io::Result<Bytes>> + Unpin,
{
    while let Some(chunk) = rest.next().await {
        chunk.map_err(RestoreError::Archive)?;
    }
    Ok(())
}

/// Returns the first supported major version of Postgres that reads the format of an archive that begins with these
/// bytes.
pub(super) fn major_of_format(begin: &[u8]) -> Result<u32, RestoreError> {
    let Some([_, minor]) = begin.strip_prefix(MAGIC) else { return Err(not_custom_format()) };
    Ok(match minor {
        0..=14 => 15,
        15 => 16,
        _ => 17,
    })
}

fn not_custom_format() -> RestoreError {
    RestoreError::NotAnArchive("it is not an archive in pg_dump's custom format".to_owned())
}

fn list_file(list: &str) -> Result<ListFile, RestoreError> {
    ListFile::write(list).map_err(|error| RestoreError::NotRun(error.into()))
}

/// Resets the role's password and stored settings, which SQL of the project or of the archive may have changed, and
/// returns the role's login.
async fn login(target: &LoadTarget<'_>, role: DbRole) -> Result<Login, RestoreError> {
    let unreachable = |error: DbError| RestoreError::Unreachable(error.into());
    target.credentials.reset(target.project, role).await.map_err(unreachable)?;
    let password = target.credentials.password(target.project, role).await.map_err(unreachable)?;
    Ok(Login { database: target.database.to_owned(), ..Login::for_project(target.project, role, &password) })
}

async fn run(client: &ExclusiveClient, sql: &str) -> Result<(), RestoreError> {
    client.batch_execute(sql).await.map_err(failed)
}

fn failed(error: tokio_postgres::Error) -> RestoreError {
    RestoreError::from_statement("its policies or privileges can't be restored", error)
}

/// Runs the translated statements in one transaction. Returns the failed statements that the restore does not need.
async fn run_late(client: &ExclusiveClient, statements: &[LateStatement]) -> Result<Vec<String>, RestoreError> {
    let mut left_out = Vec::new();
    run(client, "BEGIN").await?;
    for LateStatement { sql, on_failure } in statements {
        if *on_failure == OnFailure::Fail {
            run(client, sql).await?;
            continue;
        }
        run(client, "SAVEPOINT late").await?;
        match client.batch_execute(sql).await {
            Ok(()) => run(client, "RELEASE SAVEPOINT late").await?,
            Err(error) => match error.as_db_error() {
                Some(refusal) if *refusal.code() == SqlState::DISK_FULL => return Err(RestoreError::DiskFull),
                Some(refusal) if !refusal.code().code().starts_with("57P") => {
                    left_out.push(format!("`{}`: {}", one_line(sql), refusal.message()));
                    run(client, "ROLLBACK TO SAVEPOINT late; RELEASE SAVEPOINT late").await?;
                }
                _ => return Err(RestoreError::Unreachable(error.into())),
            },
        }
    }
    run(client, "COMMIT").await?;
    Ok(left_out)
}

/// Returns the beginning of a statement as one line, without comments.
pub(super) fn one_line(sql: &str) -> String {
    let lines = sql.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("--"));
    lines.collect::<Vec<_>>().join(" ").chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn format_of_an_archive_decides_which_program_reads_it() {
        let major = |minor: u8| major_of_format(&[b"PGDMP".as_slice(), &[1, minor]].concat()).unwrap();
        assert_eq!([14, 15, 16].map(major), [15, 16, 17]);
        for begin in [b"".as_slice(), b"PGDMP", b"-- Postg"] {
            assert!(matches!(major_of_format(begin), Err(RestoreError::NotAnArchive(_))), "{begin:?}");
        }
    }

    #[tokio::test]
    async fn beginning_of_an_archive_can_arrive_in_chunks_of_any_size() {
        let archive: &[u8] = b"PGDMP\x01\x0e and more";
        for size in 1..=archive.len() {
            let mut chunks = stream::iter(archive.chunks(size).map(|chunk| Ok(Bytes::from_static(chunk))));
            let (_, begin) = read_begin(&mut chunks).await.unwrap();
            assert_eq!(major_of_format(&begin).unwrap(), 15, "chunks of {size} bytes");
        }
    }

    #[test]
    fn refused_statement_is_reported_in_one_line() {
        assert_eq!(one_line("\n\n--\n-- Name: t\n--\n\nGRANT SELECT\nON t TO x"), "GRANT SELECT ON t TO x");
    }
}
