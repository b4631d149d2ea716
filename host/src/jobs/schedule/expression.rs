//! A cron expression on a calendar without time zones.

use chrono::{DateTime, NaiveDateTime, Timelike};
use croner::{
    Cron,
    errors::CronError,
    parser::{CronParser, Seconds, Year},
};

use super::ScheduleError;

#[derive(Debug, Clone)]
pub(super) struct Expression {
    cron: Cron,
    /// The minute is a wildcard or a step.
    minutes_step: bool,
    /// The hour is a wildcard or a step.
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

/// One of six fields: its name and the values that it takes.
struct Field {
    name: &'static str,
    takes: &'static str,
}

const FIELDS: [Field; 6] = [
    Field { name: "second", takes: "0 to 59, lists (0,30), ranges (10-20) and steps (*/15)" },
    Field { name: "minute", takes: "0 to 59, lists (0,30), ranges (10-20) and steps (*/15)" },
    Field { name: "hour", takes: "0 to 23, lists (6,18), ranges (9-17) and steps (*/2)" },
    Field { name: "day of the month", takes: "1 to 31, lists (1,15), ranges (1-7), steps (*/2) and L for the last" },
    Field { name: "month", takes: "1 to 12 or JAN to DEC, lists (1,7), ranges (4-9) and steps (*/3)" },
    Field {
        name: "weekday",
        takes: "0 to 7 (0 and 7 are Sunday) or SUN to SAT, lists (1,3), ranges (MON-FRI), MON#1 for the first \
                and 5L for the last",
    },
];

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
        let (minute, hour) = match fields.as_slice() {
            [] => return Err(ScheduleError::Empty),
            [minute, hour, _, _, _] | [_, minute, hour, _, _, _] => (minute, hour),
            fields if fields.len() == 7 => return Err(ScheduleError::Year),
            fields => return Err(ScheduleError::Fields(fields.len())),
        };
        let steps = |field: &str| field.contains(['*', '/']);
        let (minutes_step, hours_step) = (steps(minute), steps(hour));
        let cron = parse_cron(&fields.join(" ")).map_err(|error| {
            invalid_field(&fields)
                .unwrap_or_else(|| ScheduleError::Invalid(error.to_string().trim_end_matches('.').to_owned()))
        })?;
        let expression = Self { cron, minutes_step, hours_step };
        match expression.next(DateTime::UNIX_EPOCH.naive_utc(), true) {
            Some(_) => Ok(expression),
            None => Err(ScheduleError::NeverFires),
        }
    }

    pub(super) fn description(&self) -> String {
        self.cron.describe().trim_end_matches('.').to_owned()
    }

    /// Returns whether the minute or hour is a wildcard or a step. Other expressions are fixed local times.
    pub(super) fn follows_elapsed_time(&self) -> bool {
        self.minutes_step || self.hours_step
    }

    pub(super) fn minutes_step(&self) -> bool {
        self.minutes_step
    }

    /// Returns whether the expression also fires in the hour before `local`.
    pub(super) fn fires_in_hour_before(&self, local: NaiveDateTime) -> bool {
        let before = (local.hour() + 23) % 24;
        self.cron.pattern.hour_match(before).unwrap_or(false)
    }

    /// Returns the first matching local time after `from`, or at `from` if `inclusive`.
    pub(super) fn next(&self, from: NaiveDateTime, inclusive: bool) -> Option<NaiveDateTime> {
        self.cron.find_next_occurrence(&from, inclusive).ok()
    }

    /// Returns the last matching local time before `from`, or at `from` if `inclusive`.
    pub(super) fn previous(&self, from: NaiveDateTime, inclusive: bool) -> Option<NaiveDateTime> {
        self.cron.find_previous_occurrence(&from, inclusive).ok()
    }
}

fn parse_cron(text: &str) -> Result<Cron, CronError> {
    CronParser::builder().seconds(Seconds::Optional).year(Year::Disallowed).build().parse(text)
}

/// Returns the first field that is invalid on its own. `croner` does not report which field is invalid.
fn invalid_field(fields: &[&str]) -> Option<ScheduleError> {
    let known = &FIELDS[FIELDS.len() - fields.len()..];
    known.iter().zip(fields).enumerate().find_map(|(index, (field, text))| {
        let mut alone = vec!["*"; fields.len()];
        alone[index] = text;
        let is_invalid = parse_cron(&alone.join(" ")).is_err();
        is_invalid.then(|| ScheduleError::Field { field: field.name, text: (*text).to_owned(), takes: field.takes })
    })
}
