use std::{
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::{Duration, Instant},
};

use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::jobs::{queries::HeldLease, runs::output::RunLog};

/// Why a run was told to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StopReason {
    /// The owner cancelled it.
    Cancelled,
    /// Somebody else may run it by now, or soon.
    LeaseLost,
    /// This scheduler ends.
    SchedulerStopped,
}

/// A run that this scheduler has.
pub(super) struct LiveRun {
    pub(super) lease: Uuid,
    pub(super) log: Arc<RunLog>,
    pub(super) stop: CancellationToken,
    reason: OnceLock<StopReason>,
    renewed_at: Mutex<Instant>,
}

impl LiveRun {
    pub(super) fn new(lease: Uuid, log: Arc<RunLog>) -> Self {
        Self {
            lease,
            log,
            stop: CancellationToken::new(),
            reason: OnceLock::new(),
            renewed_at: Mutex::new(Instant::now()),
        }
    }

    pub(super) fn held(&self, id: Uuid) -> HeldLease {
        HeldLease { id, lease: self.lease }
    }

    /// The lease lasts from that moment on, at least.
    pub(super) fn renewed(&self, at: Instant) {
        *self.renewed_at.lock().unwrap_or_else(PoisonError::into_inner) = at;
    }

    pub(super) fn unrenewed_for(&self) -> Duration {
        self.renewed_at.lock().unwrap_or_else(PoisonError::into_inner).elapsed()
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
