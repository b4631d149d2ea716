//! Jobs: schedule, queue, leases, runs, logs, retention.

pub mod attempts;
pub mod catalogue;
pub mod check;
pub mod clock;
pub mod end_to_end;
pub mod http;
pub mod leases;
pub mod lists;
pub mod logs;
pub mod outages;
pub mod retention;
pub mod runs;
pub mod schedulers;
pub mod scheduling;
pub mod sealed;
pub mod sweeps;
