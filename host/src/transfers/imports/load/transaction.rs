//! The transaction of an import, with the direct and the staged method.

use std::pin::pin;

use api_types::{ImportError, ImportFormat, OnImportError};
use bytes::{Bytes, BytesMut};
use futures_util::{SinkExt as _, StreamExt as _};

use super::{
    faults::{self, Faults},
    reader::{LineFormat, Reader},
    sequences,
    staged::{AllRows, Mover, Written},
    statements::{COPY_STAGING, CREATE_STAGING, Statements},
};
use crate::{
    db::ExclusiveClient,
    plugins::{LoadMethod, TransferError, guest::streams::ByteStream},
    transfers::{
        imports::{parse::RecordError, plan::Plan, target::Target},
        postgres::{SETTINGS, refused},
        progress::RunningTransfer,
    },
};

/// Parameters of [`load`].
pub(in crate::transfers::imports) struct Load<'a> {
    pub(in crate::transfers::imports) table: &'a str,
    pub(in crate::transfers::imports) format: ImportFormat,
    pub(in crate::transfers::imports) plan: &'a Plan,
    pub(in crate::transfers::imports) size_bytes: u64,
    pub(in crate::transfers::imports) method: LoadMethod,
}

/// The result of [`load`]. The transaction is still open.
#[derive(Debug, Default)]
pub(in crate::transfers::imports) struct Loaded {
    pub(in crate::transfers::imports) read: u64,
    pub(in crate::transfers::imports) inserted: u64,
    pub(in crate::transfers::imports) updated: u64,
    pub(in crate::transfers::imports) skipped: u64,
    pub(in crate::transfers::imports) errors: Vec<ImportError>,
    pub(in crate::transfers::imports) error_count: u64,
    /// The reason why nothing may be committed, if there is one.
    pub(in crate::transfers::imports) failure: Option<String>,
}

/// Begins a transaction and loads the file into the table. Returns `None` if Postgres refused the rows of the direct
/// method. The connection must then be closed, and the staged method can find the reason.
pub(in crate::transfers::imports) async fn load(
    client: &ExclusiveClient,
    load: &Load<'_>,
    body: ByteStream,
    progress: &RunningTransfer,
) -> Result<Option<Loaded>, TransferError> {
    progress.set_total(load.size_bytes);
    client.batch_execute(&format!("{SETTINGS}; SET row_security = on; BEGIN")).await.map_err(refused)?;
    // Deferred constraints are checked when rows are written, so that a bad row is found.
    client.batch_execute("SET CONSTRAINTS ALL IMMEDIATE").await.map_err(refused)?;
    let target = Target::read(client, load.table).await?;
    let statements = Statements::new(&target, load.plan);
    let mut file = File { body, read: 0, size: load.size_bytes, progress };
    let loaded = match load.method {
        LoadMethod::Direct => match copy_directly(client, load, &statements, &mut file).await? {
            Some(loaded) => loaded,
            // The caller closes the connection, which rolls back. The connection can no longer be used: after a `COPY`
            // that did not start, the client library sends a message to which Postgres responds once more.
            None => return Ok(None),
        },
        LoadMethod::Staged => load_staged(client, load, &statements, &mut file).await?,
    };
    if loaded.failure.is_none() && !load.plan.dry_run {
        sequences::advance(client, &target, &statements).await?;
    }
    Ok(Some(loaded))
}

/// The bytes of the file.
struct File<'a> {
    body: ByteStream,
    read: u64,
    size: u64,
    progress: &'a RunningTransfer,
}

impl File<'_> {
    /// Returns the next bytes. `None` is the end of the whole file.
    async fn next(&mut self) -> Result<Option<Bytes>, TransferError> {
        let cut = |cause: anyhow::Error| TransferError::Unavailable { what: "the object store", cause };
        match self.body.next().await {
            Some(Ok(bytes)) => {
                self.read += bytes.len() as u64;
                self.progress.set_done(self.read);
                Ok(Some(bytes))
            }
            Some(Err(error)) => Err(cut(error.into())),
            // A stream that was cut short ends like a complete one.
            None if self.read != self.size => {
                Err(cut(anyhow::anyhow!("received {} of {} bytes of the file", self.read, self.size)))
            }
            None => Ok(None),
        }
    }
}

/// The reason why copying the file stopped.
enum Stopped {
    /// A row of the file can't be read.
    Record {
        error: RecordError,
        /// Number of rows before it that Postgres accepted, even if a trigger discarded them. 0 if the copy was undone.
        accepted: u64,
    },
    Postgres(tokio_postgres::Error),
    Other(TransferError),
}

/// Copies the rows of a file into a table.
struct CopyRows<'a> {
    client: &'a ExclusiveClient,
    statement: &'a str,
    reader: Reader<'a>,
    /// Whether the rows before one that can't be read stay in the table. If not, the copy is undone with an error, and
    /// the transaction needs a rollback.
    keeps_rows: bool,
}

impl CopyRows<'_> {
    /// Returns the number of rows that were read, and the number of rows that Postgres inserted, which is smaller if a
    /// trigger discards rows.
    async fn run(
        self,
        file: &mut File<'_>,
        on_bad: &mut (dyn FnMut(RecordError) -> Result<(), RecordError> + Send),
    ) -> Result<(u64, u64), Stopped> {
        let Self { client, statement, mut reader, keeps_rows } = self;
        let mut sink = pin!(client.copy_in::<_, Bytes>(statement).await.map_err(Stopped::Postgres)?);
        let mut lines = BytesMut::new();
        let (written, read) = loop {
            let Some(bytes) = file.next().await.map_err(Stopped::Other)? else {
                break reader.finish(&mut lines, &mut *on_bad);
            };
            if let Err(error) = reader.read(&bytes, &mut lines, &mut *on_bad) {
                break (reader.written, Err(error));
            }
            if !lines.is_empty() {
                sink.send(lines.split().freeze()).await.map_err(Stopped::Postgres)?;
            }
        };
        let read = match read {
            // Dropping the sink undoes the copy.
            Err(error) if !keeps_rows => return Err(Stopped::Record { error, accepted: 0 }),
            read => read,
        };
        if !lines.is_empty() {
            sink.send(lines.freeze()).await.map_err(Stopped::Postgres)?;
        }
        let copied = sink.finish().await.map_err(Stopped::Postgres)?;
        match read {
            Ok(read) => Ok((read, copied)),
            Err(error) => Err(Stopped::Record { error, accepted: written }),
        }
    }
}

async fn copy_directly(
    client: &ExclusiveClient,
    load: &Load<'_>,
    statements: &Statements,
    file: &mut File<'_>,
) -> Result<Option<Loaded>, TransferError> {
    let reader = Reader::new(load.plan, load.format, LineFormat::Values);
    let mut stop = Err::<(), RecordError>;
    let copy = CopyRows { client, statement: &statements.copy, reader, keeps_rows: true };
    match copy.run(file, &mut stop).await {
        Ok((read, inserted)) => {
            Ok(Some(Loaded { read, inserted, skipped: read.saturating_sub(inserted), ..Loaded::default() }))
        }
        Err(Stopped::Other(error)) => Err(error),
        // Postgres accepted the rows before this one, so it is the first bad row.
        Err(Stopped::Record { error, accepted }) => {
            let column = load.plan.column_of_error(&error);
            let fault = faults::of_record(error, column);
            let failure = Some(format!("{} Nothing was imported.", faults::sentence(&fault)));
            Ok(Some(Loaded { read: accepted, error_count: 1, errors: vec![fault], failure, ..Loaded::default() }))
        }
        Err(Stopped::Postgres(error)) if error.as_db_error().is_none() => Err(refused(error)),
        // The staged method finds the bad row, or the other reason.
        Err(Stopped::Postgres(_)) => Ok(None),
    }
}

async fn load_staged(
    client: &ExclusiveClient,
    load: &Load<'_>,
    statements: &Statements,
    file: &mut File<'_>,
) -> Result<Loaded, TransferError> {
    // A dry run skips rows that can't be read, so that it finds all of them.
    let on_error = if load.plan.dry_run { OnImportError::Skip } else { load.plan.on_error };
    client.batch_execute(CREATE_STAGING).await.map_err(refused)?;
    let mut faults = Faults::default();
    let (read, cut_at) = stage(client, load, on_error, file, &mut faults).await?;
    let mover = Mover::new(client, statements, &mut faults).await?;
    let all = if cut_at.is_some() { AllRows::No } else { AllRows::Yes };
    let Written { inserted, updated, skipped } = mover.run(read, all, load.plan.on_error, load.plan.dry_run).await?;
    // The rows before the one at which an `Abort` stopped were moved too, so an earlier row may be the reason.
    let undone = on_error == OnImportError::Abort && faults.count > 0;
    let reason = if undone { Some(faults.first()) } else { cut_at };
    let failure = reason.map(|reason| {
        let more = match faults.count {
            1 => String::new(),
            count => format!(" {count} rows can't be imported."),
        };
        format!("{reason}{more} Nothing was imported.")
    });
    let error_count = faults.count;
    let loaded = Loaded { read, error_count, errors: faults.into_errors(), failure, ..Loaded::default() };
    match loaded.failure {
        Some(_) => Ok(loaded),
        None => Ok(Loaded { inserted, updated, skipped: skipped + error_count, ..loaded }),
    }
}

/// Copies the file into the temporary table. Returns the number of rows that were read. If the rest of the file can't
/// be read, or must not be, also returns a sentence about the row at which it stopped. An `Abort` stops at the first
/// bad row, and returns the number of rows before it, which are in the table. If a `Skip` stops, the table is empty.
async fn stage(
    client: &ExclusiveClient,
    load: &Load<'_>,
    on_error: OnImportError,
    file: &mut File<'_>,
    faults: &mut Faults,
) -> Result<(u64, Option<String>), TransferError> {
    let reader = Reader::new(load.plan, load.format, LineFormat::Documents);
    client.batch_execute("SAVEPOINT atlashub_file").await.map_err(refused)?;
    let mut on_bad = |error: RecordError| match on_error {
        OnImportError::Abort => Err(error),
        OnImportError::Skip => {
            let column = load.plan.column_of_error(&error);
            faults.add_record(error, column);
            Ok(())
        }
    };
    let keeps_rows = on_error == OnImportError::Abort;
    let copy = CopyRows { client, statement: COPY_STAGING, reader, keeps_rows };
    match copy.run(file, &mut on_bad).await {
        Ok((read, _)) => Ok((read, None)),
        Err(Stopped::Record { error, accepted }) => {
            if !keeps_rows {
                // The rows before the bad one are lost with the copy.
                client.batch_execute("ROLLBACK TO SAVEPOINT atlashub_file").await.map_err(refused)?;
            }
            let column = load.plan.column_of_error(&error);
            let fault = faults::of_record(error, column);
            let cut_at = faults::sentence(&fault);
            faults.add(fault);
            Ok((accepted, Some(cut_at)))
        }
        Err(Stopped::Postgres(error)) => Err(refused(error)),
        Err(Stopped::Other(error)) => Err(error),
    }
}
