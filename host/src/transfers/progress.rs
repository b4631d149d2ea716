//! The progress of the transfers of this process.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use dashmap::DashMap;
use uuid::Uuid;

use crate::plugins::TransferProgress;

/// The transfers in progress in this process, by run.
#[derive(Clone, Default)]
pub(super) struct RunningTransfers(Arc<DashMap<Uuid, Arc<Counter>>>);

/// The progress of a run: rows for an export of rows, bytes for an export of a database and for an import.
#[derive(Default)]
struct Counter {
    done: AtomicU64,
    /// 0 if it is not known.
    total: AtomicU64,
}

/// Counts the work of a run. Dropping this value ends the count.
pub(super) struct RunningTransfer {
    run: Uuid,
    counter: Arc<Counter>,
    all: RunningTransfers,
}

impl RunningTransfers {
    pub(super) fn begin(&self, run: Uuid) -> RunningTransfer {
        let counter = Arc::new(Counter::default());
        self.0.insert(run, counter.clone());
        RunningTransfer { run, counter, all: self.clone() }
    }

    pub(super) fn of_run(&self, run: Uuid) -> TransferProgress {
        let Some(counter) = self.0.get(&run) else { return TransferProgress::default() };
        let total = counter.total.load(Ordering::Relaxed);
        TransferProgress { done: counter.done.load(Ordering::Relaxed), total: (total > 0).then_some(total) }
    }
}

impl RunningTransfer {
    pub(super) fn set_total(&self, total: u64) {
        self.counter.total.store(total, Ordering::Relaxed);
    }

    pub(super) fn set_done(&self, done: u64) {
        self.counter.done.store(done, Ordering::Relaxed);
    }
}

impl Drop for RunningTransfer {
    fn drop(&mut self) {
        self.all.0.remove_if(&self.run, |_, counter| Arc::ptr_eq(counter, &self.counter));
    }
}
