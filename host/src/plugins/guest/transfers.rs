use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{CallError, RunState};

/// Maximum number of open uploads, downloads, dumps, queries and streamed HTTP requests of one run. Each may hold
/// several MiB of buffers.
const MAX_TRANSFERS: usize = 8;

/// An open upload, download, dump, query or streamed HTTP request. Dropping it releases the run's permit.
#[derive(Debug)]
pub struct Transfer {
    _permit: OwnedSemaphorePermit,
}

/// The transfer permits of one run.
struct TransferPermits(Arc<Semaphore>);

impl Default for TransferPermits {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MAX_TRANSFERS)))
    }
}

impl<S> RunState<S> {
    /// Reserves one of the run's transfer permits. Dropping the returned [`Transfer`] releases it.
    ///
    /// # Errors
    /// Returns `too-large` if all permits are in use.
    pub fn begin_transfer(&mut self) -> Result<Transfer, CallError> {
        let permits = Arc::clone(&self.capability_state::<TransferPermits>().0);
        match permits.try_acquire_owned() {
            Ok(permit) => Ok(Transfer { _permit: permit }),
            Err(_) => Err(CallError::too_large(format!(
                "this run already has {MAX_TRANSFERS} open transfers (uploads, downloads, dumps, queries, HTTP \
                 streams), the maximum; finish one first"
            ))),
        }
    }
}
