use std::sync::{Arc, OnceLock};

use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::jobs::{output::RunLog, queries::HeldLease};

/// Why a run was told to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StopReason {
    /// The owner cancelled it.
    Cancelled,
    /// Somebody else may run it by now.
    LeaseLost,
}

/// A run that this scheduler has.
pub(super) struct LiveRun {
    pub(super) lease: Uuid,
    pub(super) log: Arc<RunLog>,
    pub(super) stop: CancellationToken,
    reason: OnceLock<StopReason>,
}

impl LiveRun {
    pub(super) fn new(lease: Uuid, log: Arc<RunLog>) -> Self {
        Self { lease, log, stop: CancellationToken::new(), reason: OnceLock::new() }
    }

    pub(super) fn held(&self, id: Uuid) -> HeldLease {
        HeldLease { id, lease: self.lease }
    }

    /// The first reason counts.
    pub(super) fn stop(&self, reason: StopReason) {
        self.reason.get_or_init(|| reason);
        self.stop.cancel();
    }

    pub(super) fn reason(&self) -> Option<StopReason> {
        self.reason.get().copied()
    }
}
