//! Converts milliseconds to UTC dates. A date library would make the component much larger.

/// A date in the Gregorian calendar, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Date {
    pub(crate) year: i64,
    pub(crate) month: u32,
    pub(crate) day: u32,
}

const DAY_MS: u64 = 24 * 3600 * 1000;

/// Returns the number of days since 1970-01-01.
pub(crate) fn day_number(ms: u64) -> u64 {
    ms / DAY_MS
}

/// Returns the number of weeks since the week of 1970-01-01. Weeks start on Monday; 1970-01-01 was a Thursday.
pub(crate) fn week_number(ms: u64) -> u64 {
    (day_number(ms) + 3) / 7
}

/// Returns the date of a time.
///
/// This is Howard Hinnant's `civil_from_days`. Its years start in March, so that the leap day is the last day of a
/// year.
pub(crate) fn date(ms: u64) -> Date {
    const DAYS_PER_400_YEARS: u64 = 146_097;
    // Days since 0000-03-01.
    let days = day_number(ms) + 719_468;
    let era = days / DAYS_PER_400_YEARS;
    let day_of_era = days % DAYS_PER_400_YEARS;
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    Date { year: year as i64, month: month as u32, day: day as u32 }
}

/// Formats a time as `20260102T030405Z`. The text sorts like the time.
pub(crate) fn compact(ms: u64) -> String {
    let Date { year, month, day } = date(ms);
    let (hour, minute, second) = time_of_day(ms);
    format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z")
}

/// Formats a time in RFC 3339, with milliseconds.
pub(crate) fn rfc3339(ms: u64) -> String {
    let Date { year, month, day } = date(ms);
    let (hour, minute, second) = time_of_day(ms);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", ms % 1000)
}

/// Returns hours, minutes and seconds.
fn time_of_day(ms: u64) -> (u64, u64, u64) {
    let seconds = ms % DAY_MS / 1000;
    (seconds / 3600, seconds / 60 % 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_formatted_as_calendar_dates() {
        let check = |ms: u64, expected: &str| assert_eq!(rfc3339(ms), expected);
        check(0, "1970-01-01T00:00:00.000Z");
        check(951_782_399_999, "2000-02-28T23:59:59.999Z");
        check(951_782_400_000, "2000-02-29T00:00:00.000Z");
        check(951_868_800_000, "2000-03-01T00:00:00.000Z");
        check(1_767_323_045_000, "2026-01-02T03:04:05.000Z");
        check(1_798_761_599_000, "2026-12-31T23:59:59.000Z");
        check(1_835_395_200_000, "2028-02-29T00:00:00.000Z");
        check(4_107_542_400_000, "2100-03-01T00:00:00.000Z");
    }

    #[test]
    fn compact_times_sort_by_time() {
        assert_eq!(compact(1_767_323_045_999), "20260102T030405Z");
        assert!(compact(1_767_323_045_000) < compact(1_767_323_046_000));
    }

    #[test]
    fn weeks_start_on_monday() {
        // 2026-01-04 is a Sunday.
        let sunday = 1_767_484_800_000;
        assert_eq!(rfc3339(sunday), "2026-01-04T00:00:00.000Z");
        assert_eq!(week_number(sunday) + 1, week_number(sunday + DAY_MS));
        assert_eq!(week_number(sunday), week_number(sunday - 6 * DAY_MS));
    }
}
