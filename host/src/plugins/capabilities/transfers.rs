//! The interface `transfers`: exports and imports that the owner started.

use plugin_manifest::{Capability, Scope};
use uuid::Uuid;
use wasmtime::component::{FutureReader, Linker, StreamReader};

use super::databases::problem;
use crate::{
    db::DatabaseName,
    error::describe_cause,
    plugins::guest::{
        Accessor, CallError, Host, LoadMethod, OpenExport, RunLease, RunScope, RunState, StoredExport, TransferError,
        begin_call,
        bindings::{
            transfers,
            types::{self, ErrorCode},
        },
        charge_result,
        streams::{self, ByteStream},
    },
};
use futures_util::StreamExt as _;

/// Memory held for an export: rows that are being encoded or wait to be sent.
const EXPORT_BYTES: usize = 1 << 20;

/// Memory held for an import: bytes of the file, and rows that wait to be sent to Postgres.
const IMPORT_BYTES: usize = 4 << 20;

/// File of an export, its content, and its properties once the content is complete.
type ExportStream =
    (transfers::ExportFile, StreamReader<u8>, FutureReader<Result<transfers::ExportInfo, types::Error>>);

pub(super) fn add_to_linker(linker: &mut Linker<RunState>) -> wasmtime::Result<()> {
    transfers::add_to_linker::<_, Host>(linker, |state| state)
}

impl transfers::Host for RunState {
    fn progress(&mut self) -> wasmtime::Result<transfers::TransferProgress> {
        self.charge(0)?;
        let progress = self.run.services.transfers.progress(self.run.call.run_id);
        Ok(transfers::TransferProgress { done: progress.done, total: progress.total })
    }
}

impl transfers::HostWithStore<RunState> for Host {
    async fn open_export(accessor: &Accessor, id: String) -> Result<ExportStream, CallError> {
        let run = begin_call(accessor, id.len())?;
        let id = parse_id(&id, "export")?;
        check_any_scope(&run, id)?;
        let _permit = run.enter().await;
        check_scope(&run, &run.services.transfers.export_database(id).await?)?;
        let transfer = accessor.with(|mut access| access.get().begin_transfer())?;
        let held = run.calls.hold(EXPORT_BYTES)?;
        // Reading a whole table puts as much load on the server as a dump.
        let permit = Box::new(run.calls.begin_dump().await);
        let OpenExport { object_key, content_type, content, outcome } =
            run.services.transfers.open_export(id, lease(&run), permit).await?;
        let content: ByteStream = Box::pin(content.map(move |chunk| {
            let _transfer = (&transfer, &held);
            chunk
        }));
        let scope = run.share();
        let outcome = async move {
            match outcome.await {
                Ok(row_count) => Ok(transfers::ExportInfo { row_count }),
                Err(error) => {
                    let error = CallError::from(error);
                    scope.log_failure(&error);
                    Err(error.into_wit_value())
                }
            }
        };
        let file = transfers::ExportFile { object_key, content_type: content_type.to_owned() };
        accessor.with(|mut access| {
            Ok((file, streams::send(&mut access, content)?, streams::send_outcome(&mut access, outcome)?))
        })
    }

    async fn record_export(accessor: &Accessor, id: String, stored: transfers::StoredExport) -> Result<(), CallError> {
        let run = begin_call(accessor, id.len() + stored.sha256.len())?;
        let id = parse_id(&id, "export")?;
        check_any_scope(&run, id)?;
        let _permit = run.enter().await;
        check_scope(&run, &run.services.transfers.export_database(id).await?)?;
        let transfers::StoredExport { size_bytes, sha256, row_count } = stored;
        let stored = StoredExport { size_bytes, sha256, row_count };
        Ok(run.services.transfers.record_export(id, stored, lease(&run)).await?)
    }

    async fn open_import(accessor: &Accessor, id: String) -> Result<transfers::ImportFile, CallError> {
        let run = begin_call(accessor, id.len())?;
        let id = parse_id(&id, "import")?;
        check_any_scope(&run, id)?;
        let _permit = run.enter().await;
        check_scope(&run, &run.services.transfers.import_database(id).await?)?;
        let file = run.services.transfers.open_import(id, lease(&run)).await?;
        charge_result(accessor, file.object_key.len())?;
        Ok(transfers::ImportFile { object_key: file.object_key, size_bytes: file.size_bytes, direct: file.direct })
    }

    async fn load_import(
        accessor: &Accessor,
        id: String,
        body: StreamReader<u8>,
        method: transfers::LoadMethod,
    ) -> Result<Option<transfers::ImportResult>, CallError> {
        // The stream is received before anything can fail, because the writer of a stream that is not received waits
        // forever.
        let body = accessor.with(|mut access| streams::receive(&mut access, body))?;
        let run = begin_call(accessor, id.len())?;
        let id = parse_id(&id, "import")?;
        check_any_scope(&run, id)?;
        let _permit = run.enter().await;
        check_scope(&run, &run.services.transfers.import_database(id).await?)?;
        let _transfer = accessor.with(|mut access| access.get().begin_transfer())?;
        let _held = run.calls.hold(IMPORT_BYTES)?;
        // Writing a whole table puts as much load on the server as a dump.
        let _dump = run.calls.begin_dump().await;
        let method = match method {
            transfers::LoadMethod::Direct => LoadMethod::Direct,
            transfers::LoadMethod::Staged => LoadMethod::Staged,
        };
        let loaded = run.services.transfers.load_import(id, body, method, lease(&run)).await?;
        Ok(loaded.map(|loaded| transfers::ImportResult {
            dry_run: loaded.dry_run,
            rows_read: loaded.rows_read,
            rows_inserted: loaded.rows_inserted,
            rows_updated: loaded.rows_updated,
            rows_skipped: loaded.rows_skipped,
            error_count: loaded.error_count,
        }))
    }
}

fn lease(run: &RunScope) -> RunLease {
    RunLease { run_id: run.call.run_id, lease: run.call.lease }
}

fn parse_id(id: &str, what: &'static str) -> Result<Uuid, CallError> {
    id.parse().map_err(|_| TransferError::NotFound(what).into())
}

/// Checks that the grant includes at least one database. Called before the database of the export or import is looked
/// up.
fn check_any_scope(run: &RunScope, id: Uuid) -> Result<(), CallError> {
    if run.scope(Capability::Transfers).databases.is_empty() {
        return Err(run.deny(Capability::Transfers, &format!("the transfer `{id}`")));
    }
    Ok(())
}

fn check_scope(run: &RunScope, database: &DatabaseName) -> Result<(), CallError> {
    let database = database.to_string();
    if !Scope::reaches(&run.scope(Capability::Transfers).databases, &database) {
        return Err(run.deny(Capability::Transfers, &format!("database `{database}`")));
    }
    Ok(())
}

impl From<TransferError> for CallError {
    fn from(error: TransferError) -> Self {
        let message = error.to_string();
        match error {
            TransferError::NotFound(_) => Self::not_found(message),
            TransferError::Refused(_) => Self::new(ErrorCode::Failed, message),
            TransferError::Conflict(_) | TransferError::LeaseLost => Self::new(ErrorCode::Conflict, message),
            TransferError::Dump(error) => error.into(),
            TransferError::Unavailable { cause, .. } => {
                let message = problem(&message, cause.as_ref());
                Self::unavailable(message).caused_by("transfer", describe_cause(cause.as_ref()))
            }
        }
    }
}
