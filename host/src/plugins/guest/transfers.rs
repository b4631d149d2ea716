//! Limits the number of open transfers of a run.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{CallError, RunState};

/// Maximum number of open transfers of one run. Each may hold several MiB of buffers.
const MAX_TRANSFERS: usize = 8;

/// The permit of an open transfer, which is a call or stream that moves many bytes: an upload, download, copy of
/// objects, dump, verification, query, export, import or streamed HTTP request. Dropping it releases the permit.
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
    /// Takes one of the run's transfer permits.
    ///
    /// # Errors
    /// Returns `too-large` if all permits are in use.
    pub fn begin_transfer(&mut self) -> Result<Transfer, CallError> {
        let permits = Arc::clone(&self.capability_state::<TransferPermits>().0);
        match permits.try_acquire_owned() {
            Ok(permit) => Ok(Transfer { _permit: permit }),
            Err(_) => Err(CallError::too_large(format!(
                "this run already has {MAX_TRANSFERS} open transfers (uploads, downloads, copies of objects, dumps, \
                 verifications, queries, exports, imports and streamed HTTP requests), the maximum; finish one first"
            ))),
        }
    }
}
