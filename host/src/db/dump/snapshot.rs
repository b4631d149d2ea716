use tokio_postgres::error::SqlState;

use super::DumpError;
use crate::db::{
    ExclusiveClient, ServerAddress,
    connect::{Driver, Login},
    exclusive::Notices,
};

/// Nothing here ends because it takes long; nothing looks at another schema than it names; and a policy that would hide
/// rows is an error instead.
const OPTIONS: &str = "-c search_path= -c statement_timeout=0 -c idle_in_transaction_session_timeout=0 -c lock_timeout=30000 \
                       -c row_security=off -c max_parallel_workers_per_gather=0 -c jit=off";
/// Tables may go between being listed and being locked.
const TRIES: usize = 5;
/// Tables locked by one statement.
const LOCKED_AT_ONCE: usize = 500;

/// Tables whose rows `pg_dump` dumps: not views, not foreign or partitioned ones (their partitions count), not an
/// extension's, not temporary ones.
const TABLES: &str = "SELECT n.nspname::text, c.relname::text, pg_catalog.format('%I.%I', n.nspname, c.relname)
     FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
       AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
                       WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid AND d.deptype = 'e')
     ORDER BY 1, 2";

/// Rows of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableRows {
    pub schema: String,
    pub table: String,
    pub rows: u64,
}

/// A transaction that holds one view of a database open, for `pg_dump` to read and for us to count.
pub(super) struct Snapshot {
    client: ExclusiveClient,
    /// As `pg_dump --snapshot` takes it.
    pub(super) id: String,
    pub(super) server_major: u32,
    /// For example `15.14`.
    pub(super) server_version: String,
    tables: Vec<Table>,
}

pub(in crate::db) struct Table {
    schema: String,
    name: String,
    /// Schema and name, quoted by Postgres.
    quoted: String,
}

/// Drives the socket; the connection is in no pool's budget, since a dump is no request of an app.
struct DumpDriver;

impl Driver for DumpDriver {
    fn spawn<S, T>(self, connection: tokio_postgres::Connection<S, T>)
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
        T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    {
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a dump's connection ended");
            }
        });
    }
}

/// A connection for a dump.
pub(in crate::db) async fn connect(
    address: &ServerAddress,
    login: &Login,
) -> Result<ExclusiveClient, tokio_postgres::Error> {
    let client = address.log_in(login, OPTIONS, DumpDriver).await.map_err(|(error, _)| error)?;
    Ok(ExclusiveClient::new(client, Notices::default(), address.clone()))
}

impl Snapshot {
    /// Opens it. The tables are locked first (against changes of their schema, not against writes), so that none can be
    /// rewritten or emptied between the snapshot and `pg_dump`'s own locks.
    pub(super) async fn open(mut client: ExclusiveClient) -> Result<Self, DumpError> {
        client.running();
        let row = client
            .query_one(
                "SELECT pg_catalog.current_setting('server_version_num')::pg_catalog.int4, pg_catalog.current_setting('server_version')",
                &[],
            )
            .await
            .map_err(DumpError::from_postgres)?;
        let (number, version): (i32, String) = (row.get(0), row.get(1));
        let server_major = number.unsigned_abs() / 10_000;
        if server_major >= 17 {
            client.batch_execute("SET transaction_timeout = 0").await.map_err(DumpError::from_postgres)?;
        }
        let mut tried = 1;
        let id = loop {
            match begin(&client).await {
                Ok(id) => break id,
                Err(error) if tried < TRIES && vanished(&error) => {
                    tried += 1;
                    client.batch_execute("ROLLBACK").await.map_err(DumpError::from_postgres)?;
                }
                Err(error) => return Err(DumpError::from_postgres(error)),
            }
        };
        let tables = tables(&client).await.map_err(DumpError::from_postgres)?;
        client.settled();
        Ok(Self {
            client,
            id,
            server_major,
            server_version: version.split_whitespace().next().unwrap_or_default().to_owned(),
            tables,
        })
    }

    /// Counts every table. Dropped on the way, it stops in Postgres too.
    pub(super) async fn count(&mut self) -> Result<Vec<TableRows>, DumpError> {
        count(&mut self.client, &self.tables).await.map_err(DumpError::from_postgres)
    }
}

/// Counts the rows of each. Dropped on the way, it stops in Postgres too.
pub(in crate::db) async fn count(
    client: &mut ExclusiveClient,
    tables: &[Table],
) -> Result<Vec<TableRows>, tokio_postgres::Error> {
    let mut counted = Vec::with_capacity(tables.len());
    client.running();
    for table in tables {
        let count = format!("SELECT pg_catalog.count(*) FROM ONLY {}", table.quoted);
        let rows: i64 = client.query_one(&count, &[]).await?.get(0);
        counted.push(TableRows { schema: table.schema.clone(), table: table.name.clone(), rows: rows.unsigned_abs() });
    }
    client.settled();
    Ok(counted)
}

/// Begins the transaction and answers the snapshot's id.
async fn begin(client: &ExclusiveClient) -> Result<String, tokio_postgres::Error> {
    // Outside of the transaction: its first query would fix what it sees, before the locks are there.
    let listed = tables(client).await?;
    client.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
    for some in listed.chunks(LOCKED_AT_ONCE) {
        let names: Vec<String> = some.iter().map(|table| format!("ONLY {}", table.quoted)).collect();
        client.batch_execute(&format!("LOCK TABLE {} IN ACCESS SHARE MODE", names.join(", "))).await?;
    }
    Ok(client.query_one("SELECT pg_catalog.pg_export_snapshot()", &[]).await?.get(0))
}

/// Those that a dump holds rows of.
pub(in crate::db) async fn tables(client: &ExclusiveClient) -> Result<Vec<Table>, tokio_postgres::Error> {
    let rows = client.query(TABLES, &[]).await?;
    Ok(rows.iter().map(|row| Table { schema: row.get(0), name: row.get(1), quoted: row.get(2) }).collect())
}

/// A table or schema was dropped since it was listed.
fn vanished(error: &tokio_postgres::Error) -> bool {
    error.code().is_some_and(|code| *code == SqlState::UNDEFINED_TABLE || *code == SqlState::INVALID_SCHEMA_NAME)
}
