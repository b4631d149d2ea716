//! Loads the rows of a platform dump into a new platform database.
//!
//! The tables come from the migrations of this binary. The archive supplies rows, positions of sequences, and the
//! statements that load them. So nothing that the archive defines, such as a function or a trigger, can run later with
//! the platform's privileges. The statements run as a role that may only insert rows and set sequences.

use std::collections::BTreeSet;

use bytes::Bytes;
use futures_util::Stream;
use postgres_protocol::escape::escape_identifier;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use uuid::Uuid;

use super::{
    RestoreError, Restorer, ScratchName,
    archive_list::ListFile,
    contents::entry,
    loader::{AfterInvalidHead, read_to_end},
    program::{Purpose, RestoreInput, Section},
    restorer::Archive,
    scratch,
};
use crate::{
    config::Secret,
    db::{
        connect::Login,
        dump::TableRows,
        migrations::{self, MigrationError},
        server,
    },
};

/// Table of the migrations, whose rows the migrator writes.
const MIGRATIONS_TABLE: &str = "platform_migrations";
const CONNECTION_LIMIT: u32 = 3;

/// The result of loading a backup into a new platform database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadedPlatform {
    /// Number of rows of every table.
    pub tables: Vec<TableRows>,
    /// Tables of the archive that this version of AtlasHub does not know.
    pub unknown_tables: Vec<String>,
}

impl Restorer {
    /// Returns the name of the platform database.
    pub fn platform_database(&self) -> &str {
        &self.server.platform_database
    }

    /// Connects to a maintenance database as the platform's role, so that the platform database can be renamed.
    ///
    /// # Errors
    /// Fails if the server can't be reached, or if the role can't connect to any maintenance database.
    pub async fn connect_for_maintenance(&self) -> Result<PgConnection, sqlx::Error> {
        self.server.connect_for_maintenance("atlashub restore").await
    }

    /// Connects to a database as the platform's role.
    ///
    /// # Errors
    /// Fails if the server can't be reached, if the database does not exist, or if the role can't connect to it.
    pub async fn connect_to(&self, database: &str) -> Result<PgConnection, sqlx::Error> {
        self.server.connect("atlashub restore", Some(database)).await
    }

    /// Creates the database `name` with the tables of a platform database, and loads the archive's rows as a temporary
    /// role with this password. If a database of that name exists, for example from an earlier attempt, it is dropped
    /// first. If loading fails, the rest of the archive is still read.
    ///
    /// # Errors
    /// Returns `Refused` if Postgres rejects a statement of the platform's role, for example one that creates the
    /// tables. Returns `Failed` if the rows can't be loaded. Also returns the errors of [`Self::inspect`], except
    /// `OfPlatform`.
    pub async fn load_platform<A>(
        &self,
        name: &str,
        password: &str,
        archive: Archive<'_, A>,
    ) -> Result<LoadedPlatform, RestoreError>
    where
        A: Stream<Item = std::io::Result<Bytes>> + Unpin + Send,
    {
        let mut archive = self.open(archive, AfterInvalidHead::ReadToEnd).await?;
        let mut connection = self.connect_for_maintenance().await.map_err(RestoreError::from_administration)?;
        let quoted = escape_identifier(name);
        execute(&mut connection, format!("DROP DATABASE IF EXISTS {quoted} WITH (FORCE)")).await?;
        execute(&mut connection, format!("CREATE DATABASE {quoted} TEMPLATE template0 ENCODING 'UTF8'")).await?;
        execute(&mut connection, format!("REVOKE ALL ON DATABASE {quoted} FROM PUBLIC")).await?;
        migrations::apply(&self.server.url_of(name)).await.map_err(migration_failed)?;
        let server_major = server::major(&mut connection).await.map_err(RestoreError::from_administration)?;
        let role = ScratchName::new(&self.server.platform_database, Uuid::now_v7());
        let mut inside = self.connect_to(name).await.map_err(RestoreError::from_administration)?;
        let loaded = async {
            let prepared = prepare(&mut inside, name, &role.to_string(), password).await?;
            let (list, unknown_tables) = rows_list(&archive.head.list, &prepared.tables);
            let list = ListFile::write(&list).map_err(|error| RestoreError::NotRun(error.into()))?;
            let password = Some(Secret::new(password));
            let login = Login { user: Some(role.to_string()), password, database: name.to_owned() };
            let input = RestoreInput {
                list: &list,
                head: &archive.head,
                section: Section::Data,
                purpose: Purpose::Restore,
                server_major,
            };
            archive.program.restore(&self.server.address, &login, input, Some(&mut archive.rest)).await?;
            for statement in &prepared.foreign_keys {
                execute(&mut inside, statement.clone()).await?;
            }
            Ok(LoadedPlatform { tables: count(&mut inside, &prepared.tables).await?, unknown_tables })
        };
        let loaded = loaded.await;
        let removed = execute(&mut inside, format!("DROP OWNED BY {role}")).await;
        let _ = inside.close().await;
        let removed = match removed {
            Ok(()) => scratch::remove_by_name(&self.server, &role).await,
            Err(_) => Ok(()),
        };
        let _ = connection.close().await;
        let loaded = match removed.map_err(RestoreError::from_administration) {
            // If loading failed too, only the error of loading is returned.
            Err(error) if loaded.is_ok() => Err(error),
            Err(error) => {
                tracing::warn!(%role, %error, "the role of a failed restore could not be removed");
                loaded
            }
            Ok(()) => loaded,
        };
        if loaded.is_err() {
            read_to_end(&mut archive.rest).await?;
        }
        loaded
    }
}

/// Converts an error of creating the tables. Such an error says nothing about the archive.
fn migration_failed(error: MigrationError) -> RestoreError {
    match error {
        MigrationError::Failed { cause, .. } | MigrationError::Database(cause) => {
            RestoreError::from_administration(cause)
        }
        MigrationError::Changed { .. } | MigrationError::Unfinished { .. } => RestoreError::Refused(error.to_string()),
    }
}

struct Prepared {
    tables: BTreeSet<String>,
    /// Statements that create the foreign keys again.
    foreign_keys: Vec<String>,
}

/// Empties the tables, drops their foreign keys (rows arrive in any order), and creates the role that inserts rows.
async fn prepare(inside: &mut PgConnection, name: &str, role: &str, password: &str) -> Result<Prepared, RestoreError> {
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT c.relname::text FROM pg_class c WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace
             AND c.relname <> $1",
    )
    .bind(MIGRATIONS_TABLE)
    .fetch_all(&mut *inside)
    .await
    .map_err(RestoreError::from_administration)?;
    let keys: Vec<(String, String, String)> = sqlx::query_as(
        "SELECT conrelid::regclass::text, quote_ident(conname), pg_get_constraintdef(oid) FROM pg_constraint
         WHERE contype = 'f' AND connamespace = 'public'::regnamespace",
    )
    .fetch_all(&mut *inside)
    .await
    .map_err(RestoreError::from_administration)?;
    let verifier = postgres_protocol::password::scram_sha_256(password.as_bytes());
    let mut statements = vec![
        format!("TRUNCATE {}", tables.join(", ")),
        format!(
            "CREATE ROLE {role} LOGIN NOCREATEDB NOCREATEROLE CONNECTION LIMIT {CONNECTION_LIMIT} PASSWORD '{verifier}'"
        ),
        format!("GRANT {role} TO CURRENT_USER"),
        format!("GRANT CONNECT ON DATABASE {} TO {role}", escape_identifier(name)),
        format!("GRANT USAGE ON SCHEMA public TO {role}"),
        format!("GRANT UPDATE ON ALL SEQUENCES IN SCHEMA public TO {role}"),
    ];
    statements.extend(tables.iter().map(|table| format!("GRANT INSERT ON {table} TO {role}")));
    statements.extend(keys.iter().map(|(table, key, _)| format!("ALTER TABLE {table} DROP CONSTRAINT {key}")));
    for statement in statements {
        execute(inside, statement).await?;
    }
    let foreign_keys = keys
        .into_iter()
        .map(|(table, key, definition)| format!("ALTER TABLE {table} ADD CONSTRAINT {key} {definition}"))
        .collect();
    Ok(Prepared { tables: tables.into_iter().collect(), foreign_keys })
}

/// Returns the entries with rows of known tables and with positions of sequences, and the names of unknown tables.
fn rows_list(list: &str, tables: &BTreeSet<String>) -> (String, Vec<String>) {
    let (mut kept, mut unknown) = (String::new(), Vec::new());
    for line in list.lines() {
        let Some(entry) = entry(line) else { continue };
        let table = entry.strip_prefix("TABLE DATA public ").and_then(|rest| rest.split(' ').next());
        match table {
            Some(MIGRATIONS_TABLE) => continue,
            Some(table) if !tables.contains(table) => {
                unknown.push(table.to_owned());
                continue;
            }
            Some(_) => {}
            None if entry.starts_with("SEQUENCE SET public ") => {}
            None => continue,
        }
        kept.push_str(line);
        kept.push('\n');
    }
    (kept, unknown)
}

async fn count(inside: &mut PgConnection, tables: &BTreeSet<String>) -> Result<Vec<TableRows>, RestoreError> {
    let mut counted = Vec::with_capacity(tables.len());
    for table in tables {
        let count = format!("SELECT count(*) FROM public.{table}");
        let rows: i64 = sqlx::query_scalar(AssertSqlSafe(count))
            .fetch_one(&mut *inside)
            .await
            .map_err(RestoreError::from_administration)?;
        counted.push(TableRows { schema: "public".to_owned(), table: table.clone(), rows: rows.unsigned_abs() });
    }
    Ok(counted)
}

async fn execute(connection: &mut PgConnection, sql: String) -> Result<(), RestoreError> {
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await.map(drop).map_err(RestoreError::from_administration)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_that_cannot_be_created_are_no_fault_of_the_archive() {
        let error = migration_failed(MigrationError::Database(sqlx::Error::PoolClosed));
        assert!(!error.is_of_content(), "{error}");
    }

    #[test]
    fn only_rows_of_known_tables_and_sequences_are_loaded() {
        let list = "; header\n1; 1259 1 TABLE public projects postgres\n2; 0 1 TABLE DATA public projects postgres\n\
                    3; 0 1 TABLE DATA public platform_migrations postgres\n4; 0 1 TABLE DATA public future postgres\n\
                    5; 0 0 SEQUENCE SET public sql_history_id_seq postgres\n6; 1255 1 FUNCTION public f() postgres\n\
                    7; 0 0 ACL - SCHEMA public postgres\n";
        let (kept, unknown) = rows_list(list, &BTreeSet::from(["projects".to_owned()]));
        let kinds: Vec<&str> = kept.lines().filter_map(|line| line.split(';').next()).collect();
        assert_eq!((kinds, unknown), (vec!["2", "5"], vec!["future".to_owned()]));
    }
}
