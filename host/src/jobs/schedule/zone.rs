//! Converts local times to instants around changes of the clock.

use chrono::{DateTime, MappedLocalTime, NaiveDateTime, Offset, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;

/// Time before and after a local time that is searched for a change of the clock. No zone has ever moved its clock by
/// more: Samoa skipped a day.
const WINDOW: TimeDelta = TimeDelta::hours(50);

/// The instants of a local time.
pub(super) enum Instants {
    One(DateTime<Utc>),
    /// The local time occurs twice, because the clock was set back.
    Two(DateTime<Utc>, DateTime<Utc>),
    /// The local time does not exist, because the clock was set forward.
    Gap(Gap),
}

/// Local times that do not exist.
pub(super) struct Gap {
    /// The first local time that doesn't exist.
    pub(super) local_start: NaiveDateTime,
    /// The first local time after the gap.
    pub(super) local_end: NaiveDateTime,
    /// The instant of `local_end`.
    pub(super) end: DateTime<Utc>,
}

/// Local times that occur twice.
pub(super) struct Repeated {
    pub(super) local_start: NaiveDateTime,
    /// End of the repeated local times, exclusive.
    pub(super) local_end: NaiveDateTime,
    offset_before: TimeDelta,
    offset_after: TimeDelta,
}

impl Repeated {
    pub(super) fn first_pass(&self, local: NaiveDateTime) -> DateTime<Utc> {
        (local - self.offset_before).and_utc()
    }

    pub(super) fn second_pass(&self, local: NaiveDateTime) -> DateTime<Utc> {
        (local - self.offset_after).and_utc()
    }
}

impl Instants {
    pub(super) fn earliest(self) -> Option<DateTime<Utc>> {
        match self {
            Self::One(at) | Self::Two(at, _) => Some(at),
            Self::Gap(gap) => Some(gap.end),
        }
    }
}

/// Returns the instants at which a clock in the zone shows a local time.
pub(super) fn resolve(zone: Tz, local: NaiveDateTime) -> Instants {
    match zone.from_local_datetime(&local) {
        MappedLocalTime::Single(at) => Instants::One(at.to_utc()),
        MappedLocalTime::Ambiguous(first, second) => Instants::Two(first.to_utc(), second.to_utc()),
        MappedLocalTime::None => Instants::Gap(gap_at(zone, local)),
    }
}

/// Returns the repeated local times if the instant is in their first pass.
pub(super) fn first_pass_at(zone: Tz, at: DateTime<Utc>) -> Option<Repeated> {
    let local = at.with_timezone(&zone).naive_local();
    let Instants::Two(first, second) = resolve(zone, local) else { return None };
    let offset_before = offset(zone, first);
    if at >= second {
        return None;
    }
    // The clock is set back between `first` and `second`.
    let change = first_instant(first, second, |at| offset(zone, at) != offset_before);
    let offset_after = offset(zone, change);
    Some(Repeated {
        local_start: change.naive_utc() + offset_after,
        local_end: change.naive_utc() + offset_before,
        offset_before,
        offset_after,
    })
}

fn gap_at(zone: Tz, local: NaiveDateTime) -> Gap {
    let (low, high) = ((local - WINDOW).and_utc(), (local + WINDOW).and_utc());
    let end = first_instant(low, high, |at| at.naive_utc() + offset(zone, at) > local);
    let before = end - TimeDelta::seconds(1);
    Gap {
        local_start: before.naive_utc() + offset(zone, before) + TimeDelta::seconds(1),
        local_end: end.naive_utc() + offset(zone, end),
        end,
    }
}

/// Returns the first whole second in `low..=high` for which `holds` is true, by binary search. `holds` must be true at
/// `high` and must not become false again.
fn first_instant(low: DateTime<Utc>, high: DateTime<Utc>, holds: impl Fn(DateTime<Utc>) -> bool) -> DateTime<Utc> {
    let at = |second: i64| DateTime::from_timestamp(second, 0).unwrap_or(high);
    let (mut low, mut high_second) = (low.timestamp(), high.timestamp());
    while low < high_second {
        let middle = low + (high_second - low) / 2;
        if holds(at(middle)) { high_second = middle } else { low = middle + 1 }
    }
    at(high_second)
}

fn offset(zone: Tz, at: DateTime<Utc>) -> TimeDelta {
    TimeDelta::seconds(i64::from(zone.offset_from_utc_datetime(&at.naive_utc()).fix().local_minus_utc()))
}
