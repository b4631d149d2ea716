//! The snapshot that a dump reads, and the numbers of rows in it.

use std::collections::{HashMap, HashSet};

use tokio_postgres::error::SqlState;

use super::{
    DumpError,
    reading_checks::{self, ReadingCheck},
    unqualified::{self, UnqualifiedFunction},
};
use crate::db::{
    ExclusiveClient, ServerAddress,
    connect::{Login, LoginError},
    driver::{ConnectionDriver, Notices},
    session_settings,
};

/// Session options: no timeouts except for locks, an empty `search_path`, an error for a policy that would hide rows,
/// no parallel workers and no JIT.
const OPTIONS: &str = "-c search_path= -c statement_timeout=0 -c idle_in_transaction_session_timeout=0 \
     -c lock_timeout=30000 -c row_security=off -c max_parallel_workers_per_gather=0 -c jit=off";
/// Maximum number of attempts to lock the listed tables. A table may be dropped before it is locked.
const MAX_ATTEMPTS: usize = 5;
/// Maximum number of tables locked by one statement.
const TABLES_PER_LOCK: usize = 500;

/// Selects the tables whose rows `pg_dump` dumps. Excludes views, foreign tables, partitioned tables (their partitions
/// are included), temporary tables, system tables and tables of extensions.
const TABLES: &str = "SELECT n.nspname::text, c.relname::text, pg_catalog.format('%I.%I', n.nspname, c.relname)
     FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
       AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
                       WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid
                         AND d.deptype = 'e')
     ORDER BY 1, 2";

/// Selects the tables that were neither emptied by `TRUNCATE` nor had rows deleted, and the number of rows that were
/// inserted into each.
const INSERTED: &str = "SELECT n.nspname::text, c.relname::text, pg_catalog.pg_stat_get_tuples_inserted(c.oid)
     FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind = 'r' AND pg_catalog.pg_stat_get_tuples_deleted(c.oid) = 0
       AND pg_catalog.pg_relation_size(c.oid) > 0";

/// The number of rows of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableRows {
    pub schema: String,
    pub table: String,
    pub rows: u64,
}

/// A transaction with an exported snapshot. `pg_dump` reads the snapshot, and [`Self::count`] counts its rows.
pub(super) struct Snapshot {
    client: ExclusiveClient,
    /// The value for `pg_dump --snapshot`.
    pub(super) id: String,
    pub(super) server_major: u32,
    /// For example `15.14`.
    pub(super) server_version: String,
    pub(super) unqualified: Vec<UnqualifiedFunction>,
    pub(super) reading_checks: Vec<ReadingCheck>,
    tables: Vec<Table>,
}

pub(in crate::db) struct Table {
    schema: String,
    name: String,
    /// Schema and name, quoted by Postgres.
    quoted: String,
}

/// Opens a connection for a dump. It doesn't count towards the pools' budget, which is for apps' requests.
pub(in crate::db) async fn connect(address: &ServerAddress, login: &Login) -> Result<ExclusiveClient, LoginError> {
    let options = format!("{} {OPTIONS}", session_settings::ALWAYS);
    let client = address.log_in(login, &options, ConnectionDriver::default()).await.map_err(|(error, _)| error)?;
    Ok(ExclusiveClient::new(client, Notices::default(), address.clone()))
}

impl Snapshot {
    /// Begins the transaction and exports its snapshot. The tables are locked first, against changes of their schema
    /// but not against writes. So no table can be rewritten or truncated before `pg_dump` takes its own locks.
    pub(super) async fn open(mut client: ExclusiveClient) -> Result<Self, DumpError> {
        client.mark_busy();
        let row = client
            .query_one(
                "SELECT pg_catalog.current_setting('server_version_num')::pg_catalog.int4, \
                 pg_catalog.current_setting('server_version')",
                &[],
            )
            .await
            .map_err(DumpError::from_postgres)?;
        let (number, version): (i32, String) = (row.get(0), row.get(1));
        let server_major = number.unsigned_abs() / 10_000;
        if server_major >= 17 {
            client.batch_execute("SET transaction_timeout = 0").await.map_err(DumpError::from_postgres)?;
        }
        let mut attempt = 1;
        let id = loop {
            match begin(&client).await {
                Ok(id) => break id,
                Err(error) if attempt < MAX_ATTEMPTS && is_dropped_table(&error) => {
                    attempt += 1;
                    client.batch_execute("ROLLBACK").await.map_err(DumpError::from_postgres)?;
                }
                Err(error) => return Err(DumpError::from_postgres(error)),
            }
        };
        let tables = list_tables(&client).await.map_err(DumpError::from_postgres)?;
        let unqualified = warnings(&client, unqualified::find(&client)).await.map_err(DumpError::from_postgres)?;
        let reading_checks =
            warnings(&client, reading_checks::find(&client)).await.map_err(DumpError::from_postgres)?;
        client.mark_idle();
        Ok(Self {
            client,
            id,
            server_major,
            server_version: version.split_whitespace().next().unwrap_or_default().to_owned(),
            unqualified,
            reading_checks,
            tables,
        })
    }

    /// Counts the rows of every table. Dropping the future cancels the statement in Postgres.
    pub(super) async fn count(&mut self) -> Result<Vec<TableRows>, DumpError> {
        count_rows(&mut self.client, &self.tables).await.map_err(DumpError::from_postgres)
    }
}

/// Counts the rows of each table. Dropping the future cancels the statement in Postgres.
pub(in crate::db) async fn count_rows(
    client: &mut ExclusiveClient,
    tables: &[Table],
) -> Result<Vec<TableRows>, tokio_postgres::Error> {
    let mut counted = Vec::with_capacity(tables.len());
    client.mark_busy();
    for table in tables {
        let count = format!("SELECT pg_catalog.count(*) FROM ONLY {}", table.quoted);
        let rows: i64 = client.query_one(&count, &[]).await?.get(0);
        counted.push(TableRows { schema: table.schema.clone(), table: table.name.clone(), rows: rows.unsigned_abs() });
    }
    client.mark_idle();
    Ok(counted)
}

/// Returns the number of rows of each table of a database that was loaded just now. Reads it from the statistics of
/// Postgres if they agree with `expected`. Counts the rows of the other tables, because statistics may be missing. Also
/// counts those of tables that should be empty, because missing statistics say that no row was inserted.
pub(in crate::db) async fn count_loaded_rows(
    client: &mut ExclusiveClient,
    mut tables: Vec<Table>,
    expected: &[TableRows],
) -> Result<Vec<TableRows>, tokio_postgres::Error> {
    client.mark_busy();
    let rows = client.query(INSERTED, &[]).await?;
    client.mark_idle();
    let inserted: HashSet<(&str, &str, i64)> = rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect();
    let is_inserted = |rows: &&TableRows| {
        let number = i64::try_from(rows.rows).ok().filter(|number| *number > 0);
        number.is_some_and(|number| inserted.contains(&(&*rows.schema, &*rows.table, number)))
    };
    let expected: HashMap<(&str, &str), u64> =
        expected.iter().filter(is_inserted).map(|rows| ((&*rows.schema, &*rows.table), rows.rows)).collect();
    let mut loaded = Vec::with_capacity(tables.len());
    tables.retain(|Table { schema, name, .. }| match expected.get(&(&**schema, &**name)) {
        Some(&rows) => {
            loaded.push(TableRows { schema: schema.clone(), table: name.clone(), rows });
            false
        }
        None => true,
    });
    loaded.extend(count_rows(client, &tables).await?);
    loaded.sort_unstable_by(|a, b| (&a.schema, &a.table).cmp(&(&b.schema, &b.table)));
    Ok(loaded)
}

/// Begins the transaction and returns the snapshot's id.
async fn begin(client: &ExclusiveClient) -> Result<String, tokio_postgres::Error> {
    // The tables are listed outside of the transaction, whose first query would take the snapshot before the tables are
    // locked.
    let tables = list_tables(client).await?;
    client.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
    for chunk in tables.chunks(TABLES_PER_LOCK) {
        let names: Vec<String> = chunk.iter().map(|table| format!("ONLY {}", table.quoted)).collect();
        client.batch_execute(&format!("LOCK TABLE {} IN ACCESS SHARE MODE", names.join(", "))).await?;
    }
    Ok(client.query_one("SELECT pg_catalog.pg_export_snapshot()", &[]).await?.get(0))
}

/// Lists the tables whose rows a dump contains.
pub(in crate::db) async fn list_tables(client: &ExclusiveClient) -> Result<Vec<Table>, tokio_postgres::Error> {
    let rows = client.query(TABLES, &[]).await?;
    Ok(rows.iter().map(|row| Table { schema: row.get(0), name: row.get(1), quoted: row.get(2) }).collect())
}

/// Returns whether a table or schema was dropped after it was listed.
fn is_dropped_table(error: &tokio_postgres::Error) -> bool {
    error.code().is_some_and(|code| *code == SqlState::UNDEFINED_TABLE || *code == SqlState::INVALID_SCHEMA_NAME)
}

/// Runs a query that only finds warnings, with a time limit. If Postgres refuses it, there are no warnings: a change of
/// the schema at the same moment can make such a query fail, and the dump can do without it.
async fn warnings<T>(
    client: &ExclusiveClient,
    find: impl Future<Output = Result<Vec<T>, tokio_postgres::Error>>,
) -> Result<Vec<T>, tokio_postgres::Error> {
    client.batch_execute("SAVEPOINT warnings; SET LOCAL statement_timeout = '10s'").await?;
    let found = find.await;
    if found.as_ref().is_err_and(|error| error.as_db_error().is_none()) {
        return found;
    }
    client.batch_execute("ROLLBACK TO SAVEPOINT warnings").await?;
    Ok(found.unwrap_or_else(|error| {
        tracing::warn!(%error, "could not check the schema of a dump for problems");
        Vec::new()
    }))
}
