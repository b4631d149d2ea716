//! Ids as a time index: UUIDs of version 7 begin with the time at which they were created.

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

/// Maximum difference between the clocks of nodes and of Postgres.
const MAX_CLOCK_DIFFERENCE: TimeDelta = TimeDelta::days(1);
/// Bits that follow the milliseconds.
const RANDOM_BITS: u32 = 80;
/// The largest number of milliseconds that an id can contain.
const MAX_MILLIS: i64 = (1 << 48) - 1;

/// Returns a lower bound for the ids of rows that were inserted at or after the time.
pub fn lowest_id(at: DateTime<Utc>) -> Uuid {
    id_of(at.checked_sub_signed(MAX_CLOCK_DIFFERENCE).map_or(0, |at| at.timestamp_millis()))
}

/// Returns an id above the ids of all rows that were inserted before the time.
pub fn highest_id(at: DateTime<Utc>) -> Uuid {
    id_of(at.checked_add_signed(MAX_CLOCK_DIFFERENCE).map_or(MAX_MILLIS, |at| at.timestamp_millis()))
}

fn id_of(millis: i64) -> Uuid {
    Uuid::from_u128((millis.clamp(0, MAX_MILLIS) as u128) << RANDOM_BITS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_now_are_between_the_bounds() {
        let (now, id) = (Utc::now(), Uuid::now_v7());
        assert!(lowest_id(now) < id && id < highest_id(now));
        assert!(lowest_id(now + TimeDelta::days(3)) > id);
        assert!(highest_id(now - TimeDelta::days(3)) < id);
        assert_eq!(lowest_id(DateTime::<Utc>::MIN_UTC), Uuid::nil());
        assert!(highest_id(DateTime::<Utc>::MAX_UTC) > id);
    }
}
