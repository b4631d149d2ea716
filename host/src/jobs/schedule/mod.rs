//! Computes when a job is due: cron expressions in a time zone. Pure: the current time is a parameter.
//!
//! `expression` computes local times, on a calendar without time zones. This module and `zone` apply daylight saving
//! time: a fixed local time that does not exist runs once at the next valid time, and one that occurs twice runs once;
//! wildcards and steps follow elapsed time. The section "Clock changes" in `docs/OPERATIONS.md` compares this with
//! Debian's cron, in which steps behave differently.
//!
//! Deliberately absent: years, `@reboot`, and fixed offsets from UTC. In a place with daylight saving time, such an
//! offset would be wrong for a part of the year.
//!
//! Reading order: `field` (text to values), `expression` (values to local times), `describe` (values to words), this
//! file, `zone` (one local time to its instants), `due`.

mod describe;
mod due;
mod expression;
mod field;
mod zone;

use chrono::{DateTime, NaiveDateTime, Utc};
use chrono_tz::Tz;

pub(super) use due::due_runs;
use expression::Expression;

#[cfg(test)]
mod tests;

/// A cron expression that fires at least once, in an IANA time zone.
#[derive(Debug, Clone)]
pub struct Schedule {
    expression: Expression,
    zone: Tz,
}

/// The reason why a schedule is invalid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    #[error("the cron expression is empty")]
    Empty,
    #[error("`{0}` is not one of @hourly, @daily, @midnight, @weekly, @monthly, @yearly and @annually")]
    UnknownNickname(String),
    #[error("the cron expression has {0} fields; it needs 5 (minute hour day month weekday), or 6 with seconds first")]
    Fields(usize),
    #[error("the cron expression has 7 fields, but a field for years is not supported")]
    Year,
    #[error("`{text}` is not a valid {field} of a cron expression; supported: {takes}")]
    Field { field: &'static str, text: String, takes: &'static str },
    #[error(
        "`{text}` is not a valid {field} of a cron expression: its step {step} is beyond its range; use at most {max}"
    )]
    Step { field: &'static str, text: String, step: u32, max: u32 },
    #[error("the cron expression never fires: no date matches it")]
    NeverFires,
    #[error("`{0}` is not an IANA time zone such as Europe/Berlin")]
    UnknownZone(String),
}

impl Schedule {
    /// Parses a cron expression and the name of a time zone.
    ///
    /// # Errors
    /// Returns the reason why one of them is not valid.
    pub fn parse(expression: &str, zone: &str) -> Result<Self, ScheduleError> {
        let zone: Tz = zone.parse().map_err(|_| ScheduleError::UnknownZone(zone.to_owned()))?;
        Ok(Self { expression: Expression::parse(expression)?, zone })
    }

    /// Returns a description in words, for example `At 03:00, on Monday`.
    pub fn description(&self) -> String {
        self.expression.description()
    }

    /// Returns the first fire time after `after`, or `None` if there is none.
    pub fn next_after(&self, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let local = after.with_timezone(&self.zone).naive_local();
        // In the first pass of a repeated hour, the rest of this pass comes first, and then the whole second pass.
        if let Some(repeated) = zone::first_pass_at(self.zone, after) {
            let here = self.expression.next_after(local)?;
            if here < repeated.local_end {
                return zone::resolve(self.zone, here).earliest();
            }
            if let Some(again) = self.in_second_pass(&repeated, after) {
                return Some(again);
            }
        }
        let mut local = local;
        loop {
            local = self.expression.next_after(local)?;
            if let Some(at) = self.instant_of(local, after).filter(|at| *at > after) {
                return Some(at);
            }
        }
    }

    /// Returns the first `count` fire times after `after`, or fewer if the schedule has no more.
    pub fn upcoming(&self, after: DateTime<Utc>, count: usize) -> Vec<DateTime<Utc>> {
        std::iter::successors(self.next_after(after), |at| self.next_after(*at)).take(count).collect()
    }

    /// Returns the last fire time up to `until`. `first` must be a fire time up to `until`.
    fn latest_until(&self, first: DateTime<Utc>, until: DateTime<Utc>) -> DateTime<Utc> {
        let (mut latest, mut high) = (first, until);
        while latest < high {
            let middle = latest + (high - latest) / 2;
            match self.next_after(middle) {
                Some(at) if at <= until => latest = at,
                _ => high = middle,
            }
        }
        latest
    }

    /// Returns the fire time for a matching local time, if there is one. If the local time occurs twice and its first
    /// instant is not after `after`, only the second instant can be a fire time.
    fn instant_of(&self, local: NaiveDateTime, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        match zone::resolve(self.zone, local) {
            zone::Instants::One(at) => Some(at),
            zone::Instants::Two(first, _) if first > after => Some(first),
            zone::Instants::Two(first, second) => {
                let repeated = zone::first_pass_at(self.zone, first)?;
                self.runs_twice(&repeated, local).then_some(second)
            }
            zone::Instants::Gap(gap) => self.runs_after_gap(&gap, local).then_some(gap.end),
        }
    }

    /// Returns the first fire time after `after` in the second pass of a repeated hour.
    fn in_second_pass(&self, repeated: &zone::Repeated, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let mut local = self.expression.next_from(repeated.local_start)?;
        while local < repeated.local_end {
            if self.runs_twice(repeated, local) {
                return Some(repeated.second_pass(local)).filter(|at| *at > after);
            }
            local = self.expression.next_after(local)?;
        }
        None
    }

    /// Returns whether a local time that occurs twice also runs the second time.
    ///
    /// It does if the minute is a wildcard or a step, because the repeated hour is an hour like any other. It also does
    /// if only the hour is a wildcard or a step, the expression fires in the hour before, and at least as much time has
    /// passed since the previous run as lies between the local times of the two runs. Everything else runs once.
    fn runs_twice(&self, repeated: &zone::Repeated, local: NaiveDateTime) -> bool {
        if !self.expression.follows_elapsed_time() {
            return false;
        }
        if self.expression.minutes_step() {
            return true;
        }
        if !self.expression.fires_in_hour_before(local) {
            return false;
        }
        let Some(before) = self.expression.previous_before(local) else { return false };
        let previous = if before >= repeated.local_start && self.runs_twice(repeated, before) {
            repeated.second_pass(before)
        } else {
            match self.expression.previous_before(repeated.local_end) {
                Some(last) if last >= repeated.local_start => repeated.first_pass(last),
                _ => return true,
            }
        };
        repeated.second_pass(local) - previous >= local - before
    }

    /// Returns whether a local time that does not exist runs at the end of the gap. It does not if the end of the gap
    /// is a fire time anyway. Otherwise, a fixed local time does, and a wildcard or step does if the pause would be
    /// longer than the expression specifies.
    fn runs_after_gap(&self, gap: &zone::Gap, local: NaiveDateTime) -> bool {
        if self.expression.next_from(gap.local_end) == Some(gap.local_end) {
            return false;
        }
        if !self.expression.follows_elapsed_time() {
            return true;
        }
        let first = self.expression.next_from(gap.local_start).unwrap_or(local);
        let (Some(before), Some(after)) =
            (self.expression.previous_before(first), self.expression.next_from(gap.local_end))
        else {
            return true;
        };
        let latest = |local| match zone::resolve(self.zone, local) {
            zone::Instants::One(at) | zone::Instants::Two(_, at) => at,
            zone::Instants::Gap(gap) => gap.end,
        };
        latest(after) - latest(before) > first - before
    }
}
