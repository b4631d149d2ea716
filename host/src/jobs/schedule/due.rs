//! Computes the fire times of a job that are due.

use api_types::{CatchUp, RunTrigger};
use chrono::{DateTime, TimeDelta, Utc};

use super::Schedule;

/// Maximum number of fire times of one job that one call returns. Further calls return the rest.
const MAX_FIRE_TIMES: usize = 100;

/// A fire time for which a run is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::jobs) struct FireTime {
    pub(in crate::jobs) at: DateTime<Utc>,
    /// `Schedule`, or `CatchUp` if the fire time was missed.
    pub(in crate::jobs) trigger: RunTrigger,
}

/// The fire times of a job that are due, and its new position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::jobs) struct DueRuns {
    /// Earliest first.
    pub(in crate::jobs) fire_times: Vec<FireTime>,
    /// Fire times up to this time are handled.
    pub(in crate::jobs) scheduled_until: DateTime<Utc>,
    /// The next fire time, or `None` if the schedule has no more.
    pub(in crate::jobs) next_run_at: Option<DateTime<Utc>>,
}

/// Returns the fire times that are due at `now`, if those up to `scheduled_until` are handled.
///
/// A fire time older than `missed_after` counts as missed. Of the missed fire times, only the latest is returned with
/// [`CatchUp::Once`], and none with [`CatchUp::None`]. If the clock was set back, nothing is due until it reaches
/// `scheduled_until` again.
pub(in crate::jobs) fn due_runs(
    schedule: &Schedule,
    scheduled_until: DateTime<Utc>,
    now: DateTime<Utc>,
    missed_after: TimeDelta,
    catch_up: CatchUp,
) -> DueRuns {
    let mut due =
        DueRuns { fire_times: Vec::new(), scheduled_until, next_run_at: schedule.next_after(scheduled_until) };
    let missed_until = now - missed_after;
    if let Some(first) = due.next_run_at.filter(|first| *first <= missed_until) {
        let latest = schedule.latest_until(first, missed_until);
        if catch_up == CatchUp::Once {
            due.fire_times.push(FireTime { at: latest, trigger: RunTrigger::CatchUp });
        }
        due.scheduled_until = latest;
        due.next_run_at = schedule.next_after(latest);
    }
    while let Some(at) = due.next_run_at.filter(|at| *at <= now)
        && due.fire_times.len() < MAX_FIRE_TIMES
    {
        due.fire_times.push(FireTime { at, trigger: RunTrigger::Schedule });
        due.scheduled_until = at;
        due.next_run_at = schedule.next_after(at);
    }
    due
}
