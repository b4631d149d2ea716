//! Opens the content of an export's file.

use std::any::Any;

use api_types::{ExportFormat, ExportSource};
use async_compression::tokio::bufread::GzipEncoder;
use futures_util::{FutureExt as _, StreamExt as _, future::BoxFuture};
use tokio_util::io::{ReaderStream, StreamReader};

use super::{
    copy::{self, Content, Copy, RowSecurity},
    queries::ExportRow,
    rows::RowFormat,
    selection::row_selection,
};
use crate::{
    data::{DataService, RowSelection},
    db::{
        DatabaseName, DbRole, ExclusiveClient,
        dump::{Dump, DumpFormat, DumpOptions},
    },
    error::ApiError,
    plugins::TransferError,
    projects::Databases,
    transfers::{postgres::refused, progress::RunningTransfer},
};

/// Maximum size of a compressed chunk.
const GZIP_CHUNK_BYTES: usize = 64 << 10;

/// Selects the quoted name of a table or view with its schema, its kind, and the estimated number of its rows.
const RELATION: &str = "SELECT pg_catalog.format('%I.%I', n.nspname, c.relname), c.relkind::pg_catalog.text,
         c.reltuples::pg_catalog.float8
     FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
     WHERE n.nspname OPERATOR(pg_catalog.=) 'public' AND c.relname OPERATOR(pg_catalog.=) $1
       AND c.relkind IN ('r', 'p', 'v', 'm', 'f')";

/// Starts to read the content of an export. `permit` is dropped at the end.
pub(in crate::transfers) async fn open(
    databases: &Databases,
    data: &DataService,
    export: &ExportRow,
    progress: RunningTransfer,
    permit: Box<dyn Any + Send>,
) -> Result<Content, TransferError> {
    let (content, outcome) = match &export.source.0 {
        ExportSource::Database { .. } => dump(databases, &export.database(), export.format, progress, permit).await?,
        ExportSource::Table { project_id, table, .. } => {
            // This role bypasses row-level security, even where it is forced.
            let mut client = databases.connect_as(&export.database(), DbRole::Backup).await?;
            let format = row_format(export.format)?;
            let (name, total) = prepare_table(&mut client, table).await?;
            let copy = match row_selection(&export.source.0) {
                None => Copy { query: format!("SELECT * FROM {name}"), settings: Vec::new(), format, total },
                Some(selection) => selected(data, project_id, table, selection, format).await?,
            };
            copy::start(client, copy, progress, permit)
        }
        ExportSource::Query { sql, .. } => {
            let mut client = databases.connect_as(&export.database(), DbRole::Owner).await?;
            copy::prepare(&mut client, RowSecurity::Apply).await?;
            let format = row_format(export.format)?;
            let copy = Copy { query: sql.clone(), settings: Vec::new(), format, total: None };
            copy::start(client, copy, progress, permit)
        }
    };
    if !export.gzip {
        return Ok((content, outcome));
    }
    let compressed = GzipEncoder::new(StreamReader::new(content));
    Ok((ReaderStream::with_capacity(compressed, GZIP_CHUNK_BYTES).boxed(), outcome))
}

fn row_format(format: ExportFormat) -> Result<RowFormat, TransferError> {
    match format {
        ExportFormat::Csv => Ok(RowFormat::Csv),
        ExportFormat::Json => Ok(RowFormat::Json),
        ExportFormat::Ndjson => Ok(RowFormat::Ndjson),
        ExportFormat::Sql | ExportFormat::Custom => {
            Err(TransferError::Refused(format!("rows can't be exported as {format}")))
        }
    }
}

/// Returns the copy of the selected rows and columns of a table. The number of rows is not known.
async fn selected(
    data: &DataService,
    project: &str,
    table: &str,
    selection: RowSelection<'_>,
    format: RowFormat,
) -> Result<Copy, TransferError> {
    let query = data.export_query(project, table, selection).await.map_err(|error| selection_refused(&error))?;
    Ok(Copy { query: query.sql.to_string(), settings: query.settings, format, total: None })
}

/// Converts the error of a selection, which was valid when the export was started.
fn selection_refused(error: &ApiError) -> TransferError {
    if error.status().is_server_error() {
        TransferError::Unavailable { what: "the project's database", cause: anyhow::anyhow!("{}", error.message()) }
    } else {
        TransferError::Refused(error.message().to_owned())
    }
}

/// Prepares the session, and returns the quoted name of a table and the expected number of its rows.
async fn prepare_table(client: &mut ExclusiveClient, table: &str) -> Result<(String, Option<u64>), TransferError> {
    copy::prepare(client, RowSecurity::Apply).await?;
    client.mark_busy();
    let row = client.query_opt(RELATION, &[&table]).await.map_err(refused)?;
    client.mark_idle();
    let row = row.ok_or(TransferError::NotFound("table"))?;
    let (name, kind, rows): (String, String, f64) = (row.get(0), row.get(1), row.get(2));
    if kind != "v" {
        // Views are exempt: a view reads its tables as its owner, to whom policies may apply.
        copy::prepare(client, RowSecurity::Refuse).await?;
    }
    Ok((name, (rows > 0.0).then_some(rows as u64)))
}

/// Dumps a database. The number of rows is known at the end.
async fn dump(
    databases: &Databases,
    database: &DatabaseName,
    format: ExportFormat,
    progress: RunningTransfer,
    permit: Box<dyn Any + Send>,
) -> Result<Content, TransferError> {
    let format = if format == ExportFormat::Sql { DumpFormat::Script } else { DumpFormat::Custom };
    let options = DumpOptions { format, ..DumpOptions::default() };
    let Dump { bytes, outcome } = databases.dump(database, options, permit).await?;
    let mut read = 0;
    let content = bytes.inspect(move |chunk| {
        read += chunk.as_ref().map_or(0, |chunk| chunk.len() as u64);
        progress.set_done(read);
    });
    let outcome: BoxFuture<'static, Result<u64, TransferError>> =
        async move { Ok(outcome.await?.tables.iter().map(|table| table.rows).sum()) }.boxed();
    Ok((content.boxed(), outcome))
}
