//! Days, weeks, and the format of times in the names of objects.

use atlashub_plugin_sdk::date::DateTime;

const DAY_MS: u64 = 24 * 3600 * 1000;

/// Returns the number of days since 1970-01-01.
pub(crate) fn day_number(ms: u64) -> u64 {
    ms / DAY_MS
}

/// Returns the number of weeks since the week of 1970-01-01. Weeks start on Monday; 1970-01-01 was a Thursday.
pub(crate) fn week_number(ms: u64) -> u64 {
    (day_number(ms) + 3) / 7
}

/// Formats a time as `20260102T030405Z`. The texts sort in the order of the times.
pub(crate) fn compact(ms: u64) -> String {
    let DateTime { year, month, day, hour, minute, second, .. } = DateTime::from_millis(ms);
    format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compact_times_sort_by_time() {
        assert_eq!(compact(1_767_323_045_999), "20260102T030405Z");
        assert!(compact(1_767_323_045_000) < compact(1_767_323_046_000));
    }

    #[test]
    fn weeks_start_on_monday() {
        // 2026-01-04 is a Sunday.
        let sunday = 1_767_484_800_000;
        assert_eq!(DateTime::from_millis(sunday).to_string(), "2026-01-04T00:00:00.000Z");
        assert_eq!(week_number(sunday) + 1, week_number(sunday + DAY_MS));
        assert_eq!(week_number(sunday), week_number(sunday - 6 * DAY_MS));
    }
}
