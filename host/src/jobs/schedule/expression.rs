//! A cron expression on a calendar without time zones.

use chrono::{DateTime, NaiveDateTime, Timelike};
use croner::{
    Cron,
    parser::{CronParser, Seconds, Year},
};

use super::ScheduleError;

#[derive(Debug, Clone)]
pub(super) struct Expression {
    cron: Cron,
    /// The minute is a wildcard or a step.
    minutes_step: bool,
    /// The hour is one.
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
        let cron = CronParser::builder()
            .seconds(Seconds::Optional)
            .year(Year::Disallowed)
            .build()
            .parse(&fields.join(" "))
            .map_err(|error| ScheduleError::Invalid(error.to_string().trim_end_matches('.').to_owned()))?;
        let expression = Self { cron, minutes_step, hours_step };
        match expression.next(DateTime::UNIX_EPOCH.naive_utc(), true) {
            Some(_) => Ok(expression),
            None => Err(ScheduleError::NeverFires),
        }
    }

    pub(super) fn description(&self) -> String {
        self.cron.describe().trim_end_matches('.').to_owned()
    }

    /// True where minute or hour is a wildcard or a step; the others are fixed local times.
    pub(super) fn follows_elapsed_time(&self) -> bool {
        self.minutes_step || self.hours_step
    }

    pub(super) fn minutes_step(&self) -> bool {
        self.minutes_step
    }

    /// Whether it fires in the hour before that of a local time as well.
    pub(super) fn fires_in_hour_before(&self, local: NaiveDateTime) -> bool {
        let before = (local.hour() + 23) % 24;
        self.cron.pattern.hour_match(before).unwrap_or(false)
    }

    /// The first local time at or after `from`, or after it.
    pub(super) fn next(&self, from: NaiveDateTime, inclusive: bool) -> Option<NaiveDateTime> {
        self.cron.find_next_occurrence(&from, inclusive).ok()
    }

    /// The last local time at or before `from`, or before it.
    pub(super) fn previous(&self, from: NaiveDateTime, inclusive: bool) -> Option<NaiveDateTime> {
        self.cron.find_previous_occurrence(&from, inclusive).ok()
    }
}
