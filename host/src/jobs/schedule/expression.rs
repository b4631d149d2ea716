//! A cron expression on a calendar without time zones.

use chrono::{DateTime, Datelike, Days as ChronoDays, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Timelike};

use super::{
    ScheduleError, describe,
    field::{self, Days, Values, Weekdays, contains},
};

/// The values that the fields of a cron expression select.
#[derive(Debug, Clone)]
pub(super) struct Expression {
    pub(super) seconds: Values,
    pub(super) minutes: Values,
    pub(super) hours: Values,
    pub(super) days: Days,
    pub(super) months: Values,
    pub(super) weekdays: Weekdays,
    /// Whether the minute is a wildcard or a step.
    minutes_step: bool,
    /// Whether the hour is a wildcard or a step.
    hours_step: bool,
}

const NICKNAMES: &[(&str, &str)] = &[
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
    ("@monthly", "0 0 1 * *"),
    ("@weekly", "0 0 * * 0"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@hourly", "0 * * * *"),
];

/// Number of days after which the calendar repeats, including the weekdays: 400 years.
const CALENDAR_CYCLE: u64 = 146_097;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    Forward,
    Backward,
}

impl Expression {
    pub(super) fn parse(text: &str) -> Result<Self, ScheduleError> {
        let text = text.trim();
        let text = match text.strip_prefix('@') {
            None => text,
            Some(_) => NICKNAMES
                .iter()
                .find(|(name, _)| name.eq_ignore_ascii_case(text))
                .map(|(_, meaning)| *meaning)
                .ok_or_else(|| ScheduleError::UnknownNickname(text.to_owned()))?,
        };
        let fields: Vec<&str> = text.split_whitespace().collect();
        let (second, minute, hour, day, month, weekday) = match *fields.as_slice() {
            [] => return Err(ScheduleError::Empty),
            [minute, hour, day, month, weekday] => ("0", minute, hour, day, month, weekday),
            [second, minute, hour, day, month, weekday] => (second, minute, hour, day, month, weekday),
            [_, _, _, _, _, _, _] => return Err(ScheduleError::Year),
            _ => return Err(ScheduleError::Fields(fields.len())),
        };
        let steps = |field: &str| field.contains(['*', '/']);
        let expression = Self {
            seconds: field::parse_seconds(second)?,
            minutes: field::parse_minutes(minute)?,
            hours: field::parse_hours(hour)?,
            days: field::parse_days(day)?,
            months: field::parse_months(month)?,
            weekdays: field::parse_weekdays(weekday)?,
            minutes_step: steps(minute),
            hours_step: steps(hour),
        };
        match expression.next_from(DateTime::UNIX_EPOCH.naive_utc()) {
            Some(_) => Ok(expression),
            None => Err(ScheduleError::NeverFires),
        }
    }

    pub(super) fn description(&self) -> String {
        describe::describe(self)
    }

    /// Returns whether the minute or hour is a wildcard or a step. Other expressions are fixed local times.
    pub(super) fn follows_elapsed_time(&self) -> bool {
        self.minutes_step || self.hours_step
    }

    pub(super) fn minutes_step(&self) -> bool {
        self.minutes_step
    }

    /// Returns whether the field for hours also selects the hour before that of `local`.
    pub(super) fn fires_in_hour_before(&self, local: NaiveDateTime) -> bool {
        contains(self.hours, (local.hour() + 23) % 24)
    }

    /// Returns the first matching local time at or after `from`.
    pub(super) fn next_from(&self, from: NaiveDateTime) -> Option<NaiveDateTime> {
        if from.with_nanosecond(0)? == from { self.search(from, Direction::Forward) } else { self.next_after(from) }
    }

    /// Returns the first matching local time after `from`.
    pub(super) fn next_after(&self, from: NaiveDateTime) -> Option<NaiveDateTime> {
        let next_second = from.with_nanosecond(0)?.checked_add_signed(TimeDelta::seconds(1))?;
        self.search(next_second, Direction::Forward)
    }

    /// Returns the last matching local time before `from`.
    pub(super) fn previous_before(&self, from: NaiveDateTime) -> Option<NaiveDateTime> {
        let whole = from.with_nanosecond(0)?;
        let last = if whole < from { whole } else { whole.checked_sub_signed(TimeDelta::seconds(1))? };
        self.search(last, Direction::Backward)
    }

    /// Returns the matching local time nearest to `from` in one direction, `from` included. If there is none within a
    /// cycle of the calendar, there is none at all.
    fn search(&self, from: NaiveDateTime, direction: Direction) -> Option<NaiveDateTime> {
        let forward = direction == Direction::Forward;
        let (mut date, mut time) = (from.date(), from.time());
        let last_date = if forward {
            date.checked_add_days(ChronoDays::new(CALENDAR_CYCLE)).unwrap_or(NaiveDate::MAX)
        } else {
            date.checked_sub_days(ChronoDays::new(CALENDAR_CYCLE)).unwrap_or(NaiveDate::MIN)
        };
        let end_of_day = if forward { NaiveTime::MIN } else { NaiveTime::from_hms_opt(23, 59, 59)? };
        while if forward { date <= last_date } else { date >= last_date } {
            if contains(self.months, date.month()) {
                if self.matches_day(date)
                    && let Some(time) = self.search_time(time, direction)
                {
                    return Some(date.and_time(time));
                }
                date = if forward { date.succ_opt()? } else { date.pred_opt()? };
            } else if forward {
                date = date.with_day(1)?.checked_add_months(chrono::Months::new(1))?;
            } else {
                date = date.with_day(1)?.pred_opt()?;
            }
            time = end_of_day;
        }
        None
    }

    /// Returns the matching time of day nearest to `from` in one direction, `from` included.
    fn search_time(&self, from: NaiveTime, direction: Direction) -> Option<NaiveTime> {
        let (hour, minute, second) = (from.hour(), from.minute(), from.second());
        // If a larger unit changes, the smaller ones start again from their first or last value.
        let start = if direction == Direction::Forward { 0 } else { 59 };
        if contains(self.hours, hour) {
            if contains(self.minutes, minute)
                && let Some(second) = direction.nearest(self.seconds, second)
            {
                return NaiveTime::from_hms_opt(hour, minute, second);
            }
            if let Some(minute) = direction.nearest_after(self.minutes, minute) {
                return NaiveTime::from_hms_opt(hour, minute, direction.nearest(self.seconds, start)?);
            }
        }
        let hour = direction.nearest_after(self.hours, hour)?;
        let (minute, second) = (direction.nearest(self.minutes, start)?, direction.nearest(self.seconds, start)?);
        NaiveTime::from_hms_opt(hour, minute, second)
    }

    /// Returns whether the expression fires on a date. As in Vixie cron, it does if both fields for days select the
    /// date, or if one of them does and neither begins with `*` or `?`.
    fn matches_day(&self, date: NaiveDate) -> bool {
        let (day, weekday) = (self.days.select(date), self.weekdays.select(date));
        if self.days.starred || self.weekdays.starred { day && weekday } else { day || weekday }
    }
}

impl Days {
    fn select(&self, date: NaiveDate) -> bool {
        let length = u32::from(date.num_days_in_month());
        let day = date.day();
        contains(self.values, day)
            || (self.last && day == length)
            || (self.last_workday && day == nearest_workday(date, length))
            || (self.nearest_workdays != 0
                && (1..=length).any(|near| contains(self.nearest_workdays, near) && nearest_workday(date, near) == day))
    }
}

impl Weekdays {
    fn select(&self, date: NaiveDate) -> bool {
        let (day, weekday) = (date.day(), date.weekday().num_days_from_sunday());
        contains(self.values, weekday)
            || contains(self.nth[(day as usize - 1) / 7], weekday)
            || (day + 7 > u32::from(date.num_days_in_month()) && contains(self.last, weekday))
    }
}

/// Returns the day from Monday to Friday that is nearest to `day` in the month of `date`.
fn nearest_workday(date: NaiveDate, day: u32) -> u32 {
    let weekday = date.with_day(day).map(|date| date.weekday());
    match weekday {
        Some(chrono::Weekday::Sat) if day == 1 => 3,
        Some(chrono::Weekday::Sat) => day - 1,
        Some(chrono::Weekday::Sun) if day == u32::from(date.num_days_in_month()) => day - 2,
        Some(chrono::Weekday::Sun) => day + 1,
        _ => day,
    }
}

impl Direction {
    /// Returns the selected value nearest to `from`, `from` included.
    fn nearest(self, values: Values, from: u32) -> Option<u32> {
        match self {
            Self::Forward => {
                let rest = values >> from << from;
                (rest != 0).then(|| rest.trailing_zeros())
            }
            Self::Backward => (values & (Values::MAX >> (63 - from))).checked_ilog2(),
        }
    }

    /// Returns the selected value nearest to `from`, `from` excluded.
    fn nearest_after(self, values: Values, from: u32) -> Option<u32> {
        match self {
            Self::Forward => self.nearest(values, from + 1),
            Self::Backward => self.nearest(values, from.checked_sub(1)?),
        }
    }
}
