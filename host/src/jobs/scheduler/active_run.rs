//! A run that this scheduler executes, and the reason why it was stopped.

use std::{
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::queries::HeldLease;
use crate::jobs::runs::output::RunLog;

/// The reason why a run was stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StopReason {
    /// The owner cancelled the run.
    Cancelled,
    /// The run has lost its lease, or will lose it soon. Another scheduler may then end it and start its next attempt.
    LeaseLost,
    SchedulerStopped,
}

/// A run that this scheduler executes.
pub(super) struct ActiveRun {
    lease: HeldLease,
    pub(super) log: Arc<RunLog>,
    pub(super) stop: CancellationToken,
    stop_reason: OnceLock<StopReason>,
    renewed_at: Mutex<Instant>,
}

impl ActiveRun {
    pub(super) fn new(id: Uuid, lease: Uuid, log: Arc<RunLog>) -> Self {
        Self {
            lease: HeldLease { id, lease },
            log,
            stop: CancellationToken::new(),
            stop_reason: OnceLock::new(),
            renewed_at: Mutex::new(Instant::now()),
        }
    }

    pub(super) fn lease(&self) -> HeldLease {
        self.lease
    }

    /// Records that the lease was renewed at `at` or later.
    pub(super) fn set_renewed_at(&self, at: Instant) {
        *self.renewed_at.lock() = at;
    }

    pub(super) fn time_since_renewal(&self) -> Duration {
        self.renewed_at.lock().elapsed()
    }

    /// Stops the run. If this function is called more than once, the first reason counts.
    pub(super) fn stop(&self, reason: StopReason) {
        self.stop_reason.get_or_init(|| reason);
        self.stop.cancel();
    }

    pub(super) fn stop_reason(&self) -> Option<StopReason> {
        self.stop_reason.get().copied()
    }
}
