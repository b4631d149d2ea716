//! The SQL of the scheduler: `planning` queues the runs of due jobs, `claiming` claims queued runs, `leases` renews the
//! leases of active runs and writes their output, and `ending` ends runs and queues their retries.
//!
//! All conditions use the database's clock, because the clocks of nodes can differ. Deliberately absent: statements
//! built at run time.

mod claiming;
mod ending;
mod leases;
mod planning;

pub(super) use claiming::{ClaimLimits, ClaimedRow, claim_run, claim_runs, seconds_until_queued};
pub(super) use ending::{EndedRow, Ending, EndingRun, SCHEDULER_STOPPED, end_expired_runs, end_runs};
pub(super) use leases::{HeldLease, Renewal, RunOutputRow, renew_leases, write_output};
pub(super) use planning::{DueJob, FiredRun, JobCursor, lock_due_jobs, queue_due_runs, seconds_until_due};

/// Returns one field of all rows, as a parameter for `unnest`.
fn column<'a, Row, Field>(rows: &'a [Row], field: impl Fn(&'a Row) -> Field) -> Vec<Field> {
    rows.iter().map(field).collect()
}
