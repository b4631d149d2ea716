use api_types::{CatchUp, RunTrigger};
use chrono::{DateTime, TimeDelta, Utc};

use super::Schedule;

/// Fire times of one job that are handled at once; the rest is handled right after.
const MOST_AT_ONCE: usize = 100;

/// A moment for which a job gets a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::jobs) struct FireTime {
    pub(in crate::jobs) at: DateTime<Utc>,
    /// `Schedule`, or `CatchUp` for those that passed while no scheduler ran.
    pub(in crate::jobs) trigger: RunTrigger,
}

/// What is to be done for a job now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::jobs) struct Due {
    /// Earliest first.
    pub(in crate::jobs) fire_times: Vec<FireTime>,
    /// Fire times up to here are handled then.
    pub(in crate::jobs) scheduled_until: DateTime<Utc>,
    /// When to look again; none where the schedule has no more fire times.
    pub(in crate::jobs) next_run_at: Option<DateTime<Utc>>,
}

/// Which runs a job gets at `now`, its fire times up to `scheduled_until` being handled.
///
/// A fire time is on time for `on_time`. Those that are older passed while no scheduler ran: `catch_up` says whether
/// they get one run, for the latest of them, or none. A clock that was put back gives nothing until it has reached
/// `scheduled_until` again.
pub(in crate::jobs) fn due(
    schedule: &Schedule,
    scheduled_until: DateTime<Utc>,
    now: DateTime<Utc>,
    on_time: TimeDelta,
    catch_up: CatchUp,
) -> Due {
    let mut due = Due { fire_times: Vec::new(), scheduled_until, next_run_at: schedule.next_after(scheduled_until) };
    let missed_until = now - on_time;
    if let Some(first) = due.next_run_at.filter(|first| *first <= missed_until) {
        let latest = schedule.latest_until(first, missed_until);
        if catch_up == CatchUp::Once {
            due.fire_times.push(FireTime { at: latest, trigger: RunTrigger::CatchUp });
        }
        due.scheduled_until = latest;
        due.next_run_at = schedule.next_after(latest);
    }
    while let Some(at) = due.next_run_at.filter(|at| *at <= now)
        && due.fire_times.len() < MOST_AT_ONCE
    {
        due.fire_times.push(FireTime { at, trigger: RunTrigger::Schedule });
        due.scheduled_until = at;
        due.next_run_at = schedule.next_after(at);
    }
    due
}
