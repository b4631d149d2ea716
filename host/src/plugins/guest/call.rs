//! The first steps of host calls: they count bytes, reserve memory, wait for a permit and check the lease.

use std::{ops::Deref, sync::Arc};

use super::{
    Accessor, CallError, RunScope, Services,
    bindings::types::ErrorCode,
    call_limits::{CallPermit, HeldMemory},
};

/// An async host call in progress. Holds a reservation of memory for its arguments.
pub(in crate::plugins) struct Call<S = Services> {
    run: Arc<RunScope<S>>,
    _arguments: HeldMemory,
}

impl<S> Deref for Call<S> {
    type Target = RunScope<S>;

    fn deref(&self) -> &RunScope<S> {
        &self.run
    }
}

impl<S> Call<S> {
    /// Returns the run, for values that outlive the call.
    pub(in crate::plugins) fn share(&self) -> Arc<RunScope<S>> {
        Arc::clone(&self.run)
    }

    /// Waits until the limits of the run, and of all runs together, allow another call in progress. Must be called
    /// after the check of the scope, and before anything that takes time.
    pub(in crate::plugins) async fn enter(&self) -> CallPermit {
        self.run.calls.enter().await
    }
}

/// Counts the bytes of an async host call's arguments, and reserves memory for them. This is the first step of every
/// such call, except that a call with a stream receives the stream before.
///
/// # Errors
/// Returns an error, which traps the guest, if the run exceeds its limit on the bytes of host calls. See
/// [`RunCalls::hold`](super::RunCalls::hold) for other errors.
pub(in crate::plugins) fn begin_call<S: Send + Sync + 'static>(
    accessor: &Accessor<S>,
    bytes: usize,
) -> Result<Call<S>, CallError> {
    let run = accessor.with(|mut access| {
        let state = access.get();
        state.charge(bytes)?;
        Ok::<_, wasmtime::Error>(Arc::clone(&state.run))
    })?;
    let arguments = run.calls.hold_arguments(bytes)?;
    Ok(Call { run, _arguments: arguments })
}

/// Counts the bytes of a call's result. Called only for results that contain more than a few numbers.
///
/// # Errors
/// Returns an error, which traps the guest, if the run exceeds its limit on the bytes of host calls.
pub(in crate::plugins) fn charge_result<S: Send + Sync + 'static>(
    accessor: &Accessor<S>,
    bytes: usize,
) -> Result<(), CallError> {
    Ok(accessor.with(|mut access| access.get().charge(bytes))?)
}

/// Checks that the run still holds its lease. If not, another node may be executing a retry of the run.
///
/// Every call that changes the platform checks this right before the change, unless the change and
/// [`Runs::lock_lease`] can be in one transaction.
///
/// # Errors
/// Returns `conflict` if the lease is lost, and `unavailable` if the platform database can't be reached.
///
/// [`Runs::lock_lease`]: crate::jobs::Runs::lock_lease
pub(in crate::plugins) async fn check_lease(run: &RunScope) -> Result<(), CallError> {
    if run.services.runs.lease_is_valid(run.call.run_id, run.call.lease).await? {
        return Ok(());
    }
    Err(CallError::new(ErrorCode::Conflict, "the run no longer holds its lease, so nothing was changed"))
}
