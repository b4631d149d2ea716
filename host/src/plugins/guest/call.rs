use std::sync::Arc;

use super::{Accessor, CallError, RunScope, bindings::types::ErrorCode};

/// Counts the bytes of an async host call and returns the run. The first step of every such call.
///
/// # Errors
/// Traps if the run exceeds its limit for host calls.
pub(in crate::plugins) fn begin_call<S: Send + Sync + 'static>(
    accessor: &Accessor<S>,
    bytes: usize,
) -> wasmtime::Result<Arc<RunScope<S>>> {
    accessor.with(|mut access| {
        let state = access.get();
        state.charge(bytes)?;
        Ok(Arc::clone(&state.run))
    })
}

/// Checks that the run still holds its lease; otherwise another node may be running it.
///
/// Every call that changes the platform checks this right before the change, unless the change and
/// [`Runs::lock_lease`] can be one transaction.
///
/// # Errors
/// Returns `conflict` if the lease is lost.
///
/// [`Runs::lock_lease`]: crate::jobs::Runs::lock_lease
pub(in crate::plugins) async fn check_lease(run: &RunScope) -> Result<(), CallError> {
    if run.services.runs.lease_is_valid(run.call.run_id, run.call.lease).await? {
        return Ok(());
    }
    Err(CallError::new(ErrorCode::Conflict, "the run no longer holds its lease, so nothing was changed"))
}
