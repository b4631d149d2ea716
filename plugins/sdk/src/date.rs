//! Converts milliseconds since 1970 to calendar dates in UTC and back.
//!
//! Plugins can use this module instead of a date library, which would make a component much larger.

use std::fmt;

const DAY_MS: u64 = 24 * 3600 * 1000;
const DAYS_PER_400_YEARS: u64 = 146_097;
/// Days from 0000-03-01 to 1970-01-01. Years are counted from March, so that the leap day is the last day of a year.
const DAYS_TO_1970: u64 = 719_468;

/// A date and time in the Gregorian calendar, in UTC. Its `Display` is RFC 3339: `2026-01-02T03:04:05.678Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DateTime {
    /// The year, from 1970.
    pub year: u64,
    /// The month, 1 to 12.
    pub month: u64,
    /// The day of the month, 1 to 31.
    pub day: u64,
    /// The hour, 0 to 23.
    pub hour: u64,
    /// The minute, 0 to 59.
    pub minute: u64,
    /// The second, 0 to 59.
    pub second: u64,
    /// The millisecond, 0 to 999.
    pub millisecond: u64,
}

impl DateTime {
    /// Returns the current time.
    pub fn now() -> Self {
        Self::from_millis(crate::clock::now())
    }

    /// Converts milliseconds since 1970-01-01 UTC, for example `run.scheduled_for`.
    ///
    /// The algorithm is Howard Hinnant's `civil_from_days`.
    pub fn from_millis(ms: u64) -> Self {
        let days = ms / DAY_MS + DAYS_TO_1970;
        let era = days / DAYS_PER_400_YEARS;
        let day_of_era = days % DAYS_PER_400_YEARS;
        let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * day_of_year + 2) / 153;
        let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
        let seconds = ms % DAY_MS / 1000;
        Self {
            year: era * 400 + year_of_era + u64::from(month <= 2),
            month,
            day: day_of_year - (153 * month_from_march + 2) / 5 + 1,
            hour: seconds / 3600,
            minute: seconds / 60 % 60,
            second: seconds % 60,
            millisecond: ms % 1000,
        }
    }

    /// Converts to milliseconds since 1970-01-01 UTC.
    pub fn to_millis(self) -> u64 {
        let month_from_march = (self.month + 9) % 12;
        let year = self.year.saturating_sub(u64::from(self.month <= 2));
        let (era, year_of_era) = (year / 400, year % 400);
        let day_of_year = ((153 * month_from_march + 2) / 5 + self.day).saturating_sub(1);
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        let days = (era * DAYS_PER_400_YEARS + day_of_era).saturating_sub(DAYS_TO_1970);
        ((days * 24 + self.hour) * 60 + self.minute) * 60_000 + self.second * 1000 + self.millisecond
    }

    /// Parses a date in the form `2026-01-02`, or a time in UTC in the form `2026-01-02T03:04:05Z` or
    /// `2026-01-02T03:04:05.678Z`. Returns `None` for other texts, which include the other forms of RFC 3339, for dates
    /// that do not exist, and for dates before 1970.
    pub fn parse(text: &str) -> Option<Self> {
        let (date, time) = text.split_once('T').map_or((text, None), |(date, time)| (date, Some(time)));
        let mut date = date.splitn(3, '-').zip([4, 2, 2]).map(|(part, digits)| number(part, digits));
        let (year, month, day) = (date.next()??, date.next()??, date.next()??);
        let (mut hour, mut minute, mut second, mut millisecond) = (0, 0, 0, 0);
        if let Some(time) = time {
            let time = time.strip_suffix('Z')?;
            let (time, fraction) = time.split_once('.').map_or((time, "000"), |(time, fraction)| (time, fraction));
            let mut time = time.splitn(3, ':').map(|part| number(part, 2));
            (hour, minute, second) = (time.next()??, time.next()??, time.next()??);
            millisecond = number(fraction, 3)?;
        }
        let parsed = Self { year, month, day, hour, minute, second, millisecond };
        let is_in_range = year >= 1970 && (1..=12).contains(&month) && day >= 1 && hour < 24;
        // A day that does not exist in the month is converted to a day of the next month.
        (is_in_range && minute < 60 && second < 60 && Self::from_millis(parsed.to_millis()) == parsed).then_some(parsed)
    }

    /// Returns the date without the time, for example `2026-01-02`.
    pub fn date(&self) -> String {
        format!("{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }

    /// Returns the day of the week: 1 is Monday, 7 is Sunday.
    pub fn weekday(self) -> u64 {
        // 1970-01-01 was a Thursday.
        (self.to_millis() / DAY_MS + 3) % 7 + 1
    }
}

impl fmt::Display for DateTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { year, month, day, hour, minute, second, millisecond } = self;
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millisecond:03}Z")
    }
}

/// Parses exactly `digits` digits.
fn number(text: &str, digits: usize) -> Option<u64> {
    if text.len() != digits || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_converted_both_ways() {
        let check = |ms: u64, expected: &str| {
            let time = DateTime::from_millis(ms);
            assert_eq!(time.to_string(), expected);
            assert_eq!(time.to_millis(), ms);
            assert_eq!(DateTime::parse(expected), Some(time));
        };
        check(0, "1970-01-01T00:00:00.000Z");
        check(951_782_399_999, "2000-02-28T23:59:59.999Z");
        check(951_782_400_000, "2000-02-29T00:00:00.000Z");
        check(951_868_800_000, "2000-03-01T00:00:00.000Z");
        check(1_767_323_045_000, "2026-01-02T03:04:05.000Z");
        check(1_835_395_200_000, "2028-02-29T00:00:00.000Z");
        check(4_107_542_400_000, "2100-03-01T00:00:00.000Z");
        for day in 0..60_000 {
            assert_eq!(DateTime::from_millis(day * DAY_MS).to_millis(), day * DAY_MS, "{day}");
        }
    }

    #[test]
    fn invalid_dates_are_not_parsed() {
        for text in [
            "",
            "2026",
            "2026-1-2",
            "2026-02-30",
            "2025-02-29",
            "2026-13-01",
            "2026-00-01",
            "2026-01-00",
            "1969-12-31",
            "2026-01-02T24:00:00Z",
            "2026-01-02T00:60:00Z",
            "2026-01-02T00:00:00",
            "2026-01-02T00:00:00+01:00",
            "2026-01-02T00:00:00.1Z",
            "2026-01-02 00:00:00Z",
            "+026-01-02",
        ] {
            assert_eq!(DateTime::parse(text), None, "{text}");
        }
        assert_eq!(DateTime::parse("2026-01-02").unwrap().to_string(), "2026-01-02T00:00:00.000Z");
    }

    #[test]
    fn weeks_start_on_monday() {
        assert_eq!(DateTime::parse("2026-01-04").unwrap().weekday(), 7);
        assert_eq!(DateTime::parse("2026-01-05").unwrap().weekday(), 1);
        assert_eq!(DateTime::from_millis(0).weekday(), 4);
    }
}
