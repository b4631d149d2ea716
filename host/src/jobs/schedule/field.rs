//! Parses one field of a cron expression into the values that it selects.

use super::ScheduleError;

/// Selected values, one bit per value.
pub(super) type Values = u64;

/// One of the six fields of an expression.
pub(super) struct Field {
    name: &'static str,
    takes: &'static str,
    first: u32,
    last: u32,
    /// Names of the values, starting with `first`.
    names: &'static [&'static str],
    /// Maximum step of `*`.
    max_step: u32,
}

const TIME_TAKES: &str = "0 to 59, lists (0,30), ranges (10-20) and steps (*/15)";
const MONTHS: &[&str] = &["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const WEEKDAYS: &[&str] = &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

const SECOND: Field = Field { name: "second", takes: TIME_TAKES, first: 0, last: 59, names: &[], max_step: 59 };
const MINUTE: Field = Field { name: "minute", takes: TIME_TAKES, first: 0, last: 59, names: &[], max_step: 59 };
const HOUR: Field = Field {
    name: "hour",
    takes: "0 to 23, lists (6,18), ranges (9-17) and steps (*/2)",
    first: 0,
    last: 23,
    names: &[],
    max_step: 23,
};
const DAY: Field = Field {
    name: "day of the month",
    takes: "1 to 31, lists (1,15), ranges (1-7), steps (*/2), L for the last day, LW for the last day from Monday to \
            Friday and 15W for the day from Monday to Friday that is nearest to the 15th",
    first: 1,
    last: 31,
    names: &[],
    max_step: 31,
};
const MONTH: Field = Field {
    name: "month",
    takes: "1 to 12 or JAN to DEC, lists (1,7), ranges (4-9) and steps (*/3)",
    first: 1,
    last: 12,
    names: MONTHS,
    max_step: 12,
};
const WEEKDAY: Field = Field {
    name: "weekday",
    takes: "0 to 7 (0 and 7 are Sunday) or SUN to SAT, lists (1,3), ranges (MON-FRI), steps (*/2), MON#1 for the \
            first Monday of the month and 5L for the last Friday",
    first: 0,
    last: 7,
    names: WEEKDAYS,
    max_step: 7,
};

/// The days of a month that the field selects.
#[derive(Debug, Clone, Default)]
pub(super) struct Days {
    pub(super) values: Values,
    /// `L`: the last day of the month.
    pub(super) last: bool,
    /// `LW`: the last day from Monday to Friday.
    pub(super) last_workday: bool,
    /// `15W`: the day from Monday to Friday in the same month that is nearest to the 15th.
    pub(super) nearest_workdays: Values,
    /// Whether the field begins with `*` or `?`.
    pub(super) starred: bool,
}

/// The weekdays that the field selects; Sunday is 0.
#[derive(Debug, Clone, Default)]
pub(super) struct Weekdays {
    pub(super) values: Values,
    /// `MON#2`: at index n - 1, the weekdays whose n-th occurrence in the month is selected.
    pub(super) nth: [Values; 5],
    /// `5L`: the weekdays whose last occurrence in the month is selected.
    pub(super) last: Values,
    /// Whether the field begins with `*` or `?`.
    pub(super) starred: bool,
}

pub(super) fn parse_seconds(text: &str) -> Result<Values, ScheduleError> {
    SECOND.parse(text)
}

pub(super) fn parse_minutes(text: &str) -> Result<Values, ScheduleError> {
    MINUTE.parse(text)
}

pub(super) fn parse_hours(text: &str) -> Result<Values, ScheduleError> {
    HOUR.parse(text)
}

pub(super) fn parse_months(text: &str) -> Result<Values, ScheduleError> {
    MONTH.parse(text)
}

pub(super) fn parse_days(text: &str) -> Result<Days, ScheduleError> {
    let mut days = Days { starred: is_starred(text), ..Days::default() };
    for item in DAY.items(text) {
        match item.strip_suffix('W') {
            _ if item == "L" => days.last = true,
            Some("L") => days.last_workday = true,
            Some(day) => days.nearest_workdays |= bit(DAY.number(day).ok_or_else(|| DAY.invalid(text))?),
            None => days.values |= DAY.parse_item(&item, text)?,
        }
    }
    Ok(days)
}

pub(super) fn parse_weekdays(text: &str) -> Result<Weekdays, ScheduleError> {
    let mut weekdays = Weekdays { starred: is_starred(text), ..Weekdays::default() };
    for item in WEEKDAY.items(text) {
        let (selected, range) = match item.split_once('#') {
            Some((range, "L")) => (&mut weekdays.last, range),
            Some((range, nth)) => {
                let nth: usize = nth.parse().map_err(|_| WEEKDAY.invalid(text))?;
                let nth = nth.checked_sub(1).and_then(|index| weekdays.nth.get_mut(index));
                (nth.ok_or_else(|| WEEKDAY.invalid(text))?, range)
            }
            None => match item.strip_suffix('L') {
                Some(range) => (&mut weekdays.last, range),
                None => (&mut weekdays.values, item.as_str()),
            },
        };
        let values = WEEKDAY.parse_item(range, text)?;
        // 7 is Sunday too.
        *selected |= (values | values >> 7) & WEEK;
    }
    Ok(weekdays)
}

/// All weekdays.
pub(super) const WEEK: Values = 0b111_1111;

impl Field {
    fn parse(&self, text: &str) -> Result<Values, ScheduleError> {
        self.items(text).try_fold(0, |values, item| Ok(values | self.parse_item(&item, text)?))
    }

    /// Splits a list. A `?` is another spelling of `*` in the fields for days.
    fn items(&self, text: &str) -> impl Iterator<Item = String> {
        let text = if text == "?" && matches!(self.name, "day of the month" | "weekday") { "*" } else { text };
        text.split(',').map(str::to_ascii_uppercase).collect::<Vec<_>>().into_iter()
    }

    /// Parses a value, a range or `*`, the latter two optionally with a step.
    fn parse_item(&self, item: &str, text: &str) -> Result<Values, ScheduleError> {
        let invalid = || self.invalid(text);
        let (range, step) = match item.split_once('/') {
            Some((range, step)) => (range, Some(digits(step).filter(|step| *step > 0).ok_or_else(invalid)?)),
            None => (item, None),
        };
        let (start, end, max_step) = match range.split_once('-') {
            _ if range == "*" => (self.first, self.last, self.max_step),
            Some((start, end)) => {
                let (start, end) = self.range(start, end).ok_or_else(invalid)?;
                (start, end, (end - start).max(1))
            }
            // As in Vixie cron, a step needs a range or `*`.
            None if step.is_some() => return Err(invalid()),
            None => {
                let value = self.number(range).ok_or_else(invalid)?;
                (value, value, 1)
            }
        };
        let step = step.unwrap_or(1);
        if step > max_step {
            return Err(ScheduleError::Step { field: self.name, text: text.to_owned(), step, max: max_step });
        }
        Ok((start..=end).step_by(step as usize).map(bit).fold(0, |values, value| values | value))
    }

    fn range(&self, start: &str, end: &str) -> Option<(u32, u32)> {
        let (first, mut last) = (self.number(start)?, self.number(end)?);
        // In `FRI-SUN`, Sunday is the day after Saturday.
        if end == "SUN" && first > 0 {
            last = 7;
        }
        (first <= last).then_some((first, last))
    }

    fn number(&self, text: &str) -> Option<u32> {
        let named = || self.names.iter().position(|name| *name == text).map(|index| self.first + index as u32);
        digits(text).or_else(named).filter(|value| (self.first..=self.last).contains(value))
    }

    fn invalid(&self, text: &str) -> ScheduleError {
        ScheduleError::Field { field: self.name, text: text.to_owned(), takes: self.takes }
    }
}

/// Returns whether a field for days begins with `*` or `?`. As in Vixie cron, a date must then match both fields for
/// days.
fn is_starred(text: &str) -> bool {
    text.starts_with(['*', '?'])
}

/// Parses a number without a sign. Rust's parser would accept one.
fn digits(text: &str) -> Option<u32> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

pub(super) fn bit(value: u32) -> Values {
    1 << value
}

pub(super) fn contains(values: Values, value: u32) -> bool {
    values & bit(value) != 0
}
