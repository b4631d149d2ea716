//! Reads rows with `COPY … TO STDOUT` in one read-only transaction.

use std::{any::Any, io, pin::pin, sync::Arc};

use bytes::{Bytes, BytesMut};
use futures_util::{FutureExt as _, StreamExt as _, stream};
use tokio::sync::{mpsc, oneshot};

use super::rows::{RowFormat, RowWriter};
use crate::{
    db::ExclusiveClient,
    plugins::{ExportOutcome, TransferError},
    transfers::{
        postgres::{SETTINGS, refused},
        progress::RunningTransfer,
    },
};

/// Minimum size of a chunk in bytes. The last one can be smaller.
const CHUNK_BYTES: usize = 64 << 10;
/// Maximum number of chunks that wait to be read.
const MAX_QUEUED_CHUNKS: usize = 4;

/// The effect of row-level security policies on the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RowSecurity {
    /// Policies apply if the role is subject to them.
    Apply,
    /// Postgres returns an error if a policy would apply.
    Refuse,
}

/// The rows to copy, and the format of the file.
pub(super) struct Copy {
    /// A query without a semicolon at its end.
    pub(super) query: String,
    /// Names and values of the session's settings that the query reads. `COPY` has no parameters.
    pub(super) settings: Vec<(String, Arc<str>)>,
    pub(super) format: RowFormat,
    /// Expected number of rows.
    pub(super) total: Option<u64>,
}

/// The content of a file, and the outcome: the number of rows or an error.
pub(super) type Content = (stream::BoxStream<'static, io::Result<Bytes>>, ExportOutcome);

/// Prepares a session for [`start`].
pub(super) async fn prepare(client: &mut ExclusiveClient, row_security: RowSecurity) -> Result<(), TransferError> {
    let row_security = match row_security {
        RowSecurity::Apply => "on",
        RowSecurity::Refuse => "off",
    };
    let settings = format!("{SETTINGS}; SET row_security = {row_security}");
    client.mark_busy();
    client.batch_execute(&settings).await.map_err(refused)?;
    client.mark_idle();
    Ok(())
}

/// Starts to copy. Dropping the stream stops the copy.
pub(super) fn start(
    mut client: ExclusiveClient,
    copy: Copy,
    progress: RunningTransfer,
    permit: Box<dyn Any + Send>,
) -> Content {
    let (sender, mut receiver) = mpsc::channel::<Bytes>(MAX_QUEUED_CHUNKS);
    let (send_outcome, outcome) = oneshot::channel();
    if let Some(total) = copy.total {
        progress.set_total(total);
    }
    tokio::spawn(async move {
        let _permit = permit;
        let outcome = tokio::select! {
            outcome = copy_rows(&mut client, &copy, &sender, &progress) => outcome,
            () = sender.closed() => Err(stopped()),
        };
        // The outcome is sent before the stream ends, so that it is available to whoever has read the whole stream.
        let _ = send_outcome.send(outcome);
        drop(sender);
    });
    let content = stream::poll_fn(move |cx| receiver.poll_recv(cx).map(|chunk| chunk.map(Ok)));
    (content.boxed(), async move { outcome.await.unwrap_or_else(|_| Err(stopped())) }.boxed())
}

async fn copy_rows(
    client: &mut ExclusiveClient,
    copy: &Copy,
    sender: &mpsc::Sender<Bytes>,
    progress: &RunningTransfer,
) -> Result<u64, TransferError> {
    client.mark_busy();
    for (name, value) in &copy.settings {
        let value: &str = value;
        let set = "SELECT pg_catalog.set_config($1, $2, false)";
        client.execute(set, &[name, &value]).await.map_err(refused)?;
    }
    client.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await.map_err(refused)?;
    let mut writer = RowWriter::new(copy.format);
    let mut chunk = BytesMut::with_capacity(CHUNK_BYTES);
    let unexpected = |error: super::rows::UnexpectedCopy| TransferError::Refused(error.to_string());
    let mut messages = pin!(client.copy_out(&statement(copy)).await.map_err(refused)?);
    while let Some(message) = messages.next().await {
        writer.write(&message.map_err(refused)?, &mut chunk).map_err(unexpected)?;
        progress.set_done(writer.rows);
        if chunk.len() >= CHUNK_BYTES {
            sender.send(chunk.split().freeze()).await.map_err(|_| stopped())?;
        }
    }
    let rows = writer.finish(&mut chunk).map_err(unexpected)?;
    client.batch_execute("COMMIT").await.map_err(refused)?;
    client.mark_idle();
    if !chunk.is_empty() {
        sender.send(chunk.freeze()).await.map_err(|_| stopped())?;
    }
    Ok(rows)
}

/// Returns the SQL of the statement. The line break after the query ends a comment in it.
fn statement(copy: &Copy) -> String {
    let Copy { query, format, .. } = copy;
    match format {
        RowFormat::Csv => format!("COPY (\n{query}\n) TO STDOUT (FORMAT csv, HEADER true)"),
        RowFormat::Json | RowFormat::Ndjson => format!(
            "COPY (SELECT pg_catalog.row_to_json(atlashub_row) FROM (\n{query}\n) AS atlashub_row) \
             TO STDOUT (FORMAT binary)"
        ),
    }
}

fn stopped() -> TransferError {
    TransferError::Refused("the export was stopped before its end".to_owned())
}
