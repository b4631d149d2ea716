//! Numbers, sizes and times as text.

use std::cell::RefCell;

use chrono::{DateTime, Utc};
use wasm_bindgen::{JsCast as _, JsValue};

use crate::theme;

/// Returns a number with narrow no-break spaces between groups of three digits: `12 345`.
pub fn number(value: i64) -> String {
    let digits = value.unsigned_abs().to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    if value < 0 {
        text.push('\u{2212}');
    }
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// Returns a number of bytes in the largest unit in which it is at least 1, with one decimal below 10: `3.4 GB`,
/// `61 GB`, `812 B`.
pub fn bytes(value: i64) -> String {
    const UNITS: [&str; 5] = ["B", "KB", "MB", "GB", "TB"];
    let mut amount = value.max(0) as f64;
    let mut unit = UNITS[0];
    for next in &UNITS[1..] {
        // 999.5 and more would be rounded to 1000.
        if amount < 999.5 {
            break;
        }
        amount /= 1000.0;
        unit = next;
    }
    if unit == "B" || amount >= 9.95 {
        format!("{} {unit}", amount.round() as i64)
    } else {
        format!("{} {unit}", decimal((amount * 10.0).round() as i64))
    }
}

/// Returns a number of tenths as a number with one decimal: `3.4` for 34. Formatting floats would add code and tables
/// to the first module.
fn decimal(tenths: i64) -> String {
    format!("{}.{}", tenths / 10, tenths % 10)
}

/// Returns the number followed by `singular` or `plural`: `1 table`, `12 tables`.
pub fn count(value: i64, singular: &str, plural: &str) -> String {
    format!("{} {}", number(value), if value == 1 { singular } else { plural })
}

/// Returns how often something failed, for example `Failed 3 times since 02:00:00`, `Failed at 02:00:00` or `Failed on
/// 3 Feb`.
pub fn failed_times(count: i64, since: DateTime<Utc>) -> String {
    let preposition = if is_recent(since, now()) { "at" } else { "on" };
    let since = moment(since, now());
    if count == 1 {
        format!("Failed {preposition} {since}")
    } else {
        format!("Failed {} times since {since}", number(count))
    }
}

/// Returns names as a list in words: `a, b and c`.
pub fn list(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [name] => name.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// Returns the time since a moment: `just now`, `3 min ago`, `2 h ago`, `5 days ago`.
pub fn age(time: DateTime<Utc>, now: DateTime<Utc>) -> String {
    let seconds = (now - time).num_seconds().max(0);
    match seconds {
        0..60 => "just now".to_owned(),
        60..3_600 => format!("{} min ago", seconds / 60),
        3_600..86_400 => format!("{} h ago", seconds / 3_600),
        86_400..172_800 => "1 day ago".to_owned(),
        _ => format!("{} days ago", seconds / 86_400),
    }
}

/// Returns the time until a later moment: `under a minute`, `12 min`, `23 h`, `9 days`.
pub fn until(time: DateTime<Utc>, now: DateTime<Utc>) -> String {
    let seconds = (time - now).num_seconds().max(0);
    match seconds {
        0..60 => "under a minute".to_owned(),
        60..3_600 => format!("{} min", seconds / 60),
        3_600..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// Returns a date in the chosen zone: `14 Mar 2025`.
pub fn date(time: DateTime<Utc>) -> String {
    write(Form::Date, &js_date(time))
}

/// Returns the time of day of a moment in milliseconds since 1970, in the chosen zone: `14:32:06`.
pub fn clock(milliseconds: f64) -> String {
    local_clock(&js_sys::Date::new(&milliseconds.into()))
}

fn local_clock(date: &js_sys::Date) -> String {
    write(Form::Clock, date)
}

/// Returns date and time in full, for tooltips: `14 Mar 2025, 15:32:06 (2025-03-14 14:32:06 UTC)`. The first part is in
/// the chosen zone.
pub fn exact(time: DateTime<Utc>) -> String {
    // `2026-11-28T19:10:57.123Z`
    let utc = String::from(js_date(time).to_iso_string()).replace('T', " ");
    let utc = utc.split_once('.').map_or(utc.as_str(), |(seconds, _)| seconds);
    format!("{}, {} ({utc} UTC)", date(time), local_clock(&js_date(time)))
}

/// Returns words with an upper-case letter at the start.
pub fn sentence(words: &str) -> String {
    let mut letters = words.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// Returns a duration in milliseconds as text: `812 ms`, `5.0 s`, `41 s`, `3 min 12 s`, `2 h 5 min`.
pub fn duration(milliseconds: i64) -> String {
    let seconds = milliseconds / 1000;
    match milliseconds {
        ..1_000 => format!("{milliseconds} ms"),
        1_000..10_000 => format!("{} s", decimal((milliseconds + 50) / 100)),
        10_000..60_000 => format!("{seconds} s"),
        60_000..3_600_000 if seconds % 60 == 0 => format!("{} min", seconds / 60),
        60_000..3_600_000 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ if seconds % 3_600 < 60 => format!("{} h", seconds / 3_600),
        _ => format!("{} h {} min", seconds / 3_600, seconds % 3_600 / 60),
    }
}

/// Returns a duration in one unit, in words: `5 minutes`, `3 hours`, `2 days`. Days are used from two days on.
pub fn duration_in_words(duration: chrono::Duration) -> String {
    let seconds = duration.num_seconds().max(0);
    match seconds {
        0..60 => "less than a minute".to_owned(),
        60..3_600 => count(seconds / 60, "minute", "minutes"),
        3_600..172_800 => count(seconds / 3_600, "hour", "hours"),
        _ => count(seconds / 86_400, "day", "days"),
    }
}

/// Returns the time of day of a moment in the last 24 hours, and the date of an earlier one: `14:30:00`, `3 Feb`,
/// `14 Sep 2025`.
pub fn moment(time: DateTime<Utc>, now: DateTime<Utc>) -> String {
    if is_recent(time, now) {
        return local_clock(&js_date(time));
    }
    if year(time) == year(now) { write(Form::DayAndMonth, &js_date(time)) } else { date(time) }
}

/// Returns whether a moment is less than 24 hours ago.
fn is_recent(time: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    (now - time).num_hours() < 24
}

/// Returns day and time of a moment in the chosen zone, with the year only if it is not the current one: `Tuesday 3
/// February, 14:32`.
pub fn day_and_time(time: DateTime<Utc>) -> String {
    let date = js_date(time);
    let day = write(Form::Weekday, &date).replace(',', "");
    let clock: String = local_clock(&date).chars().take(5).collect();
    if year(time) == year(now()) { format!("{day}, {clock}") } else { format!("{day} {}, {clock}", year(time)) }
}

/// Returns the year of a moment in the chosen zone.
fn year(time: DateTime<Utc>) -> String {
    date(time).rsplit(' ').next().unwrap_or_default().to_owned()
}

/// Returns the time until a later moment, or its day and time: `in under a minute`, `in 13 min`, `in 5 h`, `tomorrow
/// 02:00`, `today 22:00`, `Sun 04:00`, `1 Mar 06:00`.
pub fn upcoming(time: DateTime<Utc>, now: DateTime<Utc>) -> String {
    let minutes = (time - now).num_minutes().max(0);
    match minutes {
        0 => "in under a minute".to_owned(),
        1..60 => format!("in {minutes} min"),
        60..720 => format!("in {} h", (minutes + 30) / 60),
        _ => {
            let day = |time| part(time, None, &[("day", "numeric"), ("month", "short")]);
            let clock = part(time, None, &[("hour", "2-digit"), ("minute", "2-digit")]);
            if day(time) == day(now) {
                format!("today {clock}")
            } else if day(time) == day(now + chrono::Duration::days(1)) {
                format!("tomorrow {clock}")
            } else if minutes < 6 * 1_440 {
                format!("{} {clock}", part(time, None, &[("weekday", "short")]))
            } else {
                format!("{} {clock}", day(time))
            }
        }
    }
}

/// Returns day and time in a time zone, or in the chosen one: `Mon 9 Feb, 03:00`.
pub fn date_and_time(time: DateTime<Utc>, zone: Option<&str>) -> String {
    format!("{}, {}", weekday_and_date(time, zone), time_of_day(time, zone))
}

/// Returns a day in a time zone, or in the chosen one: `Mon 9 Feb`.
pub fn weekday_and_date(time: DateTime<Utc>, zone: Option<&str>) -> String {
    part(time, zone, &[("weekday", "short"), ("day", "numeric"), ("month", "short")]).replace(',', "")
}

/// Returns a time of day in a time zone, or in the chosen one: `03:00`.
pub fn time_of_day(time: DateTime<Utc>, zone: Option<&str>) -> String {
    part(time, zone, &[("hour", "2-digit"), ("minute", "2-digit")])
}

/// Returns day and time in the chosen zone, with the year only if it is not the current one: `3 Feb, 02:00`,
/// `14 Sep 2025, 02:00`.
pub fn short_date_and_time(time: DateTime<Utc>) -> String {
    let parts =
        [("day", "numeric"), ("month", "short"), ("hour", "2-digit"), ("minute", "2-digit"), ("year", "numeric")];
    let shown = if year(time) == year(now()) { 4 } else { 5 };
    part(time, None, parts.get(..shown).unwrap_or_default())
}

/// Returns a day in a time zone: `8 March`.
pub fn day_and_month(time: DateTime<Utc>, zone: &str) -> String {
    part(time, Some(zone), &[("day", "numeric"), ("month", "long")])
}

/// Returns a day in the chosen zone, with the year only if it is not the current one: `2 Feb`, `14 Sep 2025`.
pub fn day(time: DateTime<Utc>) -> String {
    if year(time) == year(now()) { part(time, None, &[("day", "numeric"), ("month", "short")]) } else { date(time) }
}

/// Returns the offset of a time zone from UTC at a time, as the browser writes it: `GMT+02:00`.
pub fn utc_offset(time: DateTime<Utc>, zone: &str) -> String {
    let text = part(time, Some(zone), &[("day", "2-digit"), ("timeZoneName", "longOffset")]);
    text.rsplit([' ', ',']).next().unwrap_or_default().to_owned()
}

/// Returns parts of a time in a time zone, or in the chosen one. If the browser does not know the zone, returns the
/// date and time in UTC.
fn part(time: DateTime<Utc>, zone: Option<&str>, parts: &[(&str, &str)]) -> String {
    let options = options(parts);
    if let Some(zone) = zone {
        let _ = js_sys::Reflect::set(&options, &"timeZone".into(), &zone.into());
    }
    let date = js_date(time);
    let write = |options: &js_sys::Object| {
        let function =
            js_sys::Reflect::get(&date, &"toLocaleString".into()).ok()?.dyn_into::<js_sys::Function>().ok()?;
        function.call2(&date, &"en-GB".into(), options).ok()?.as_string()
    };
    write(&options).unwrap_or_else(|| time.format("%Y-%m-%d %H:%M UTC").to_string())
}

/// Returns the browser's time zone, for example `Europe/Berlin`.
pub fn browser_timezone() -> String {
    let format = js_sys::Intl::DateTimeFormat::new(&js_sys::Array::new(), &js_sys::Object::new());
    let zone = js_sys::Reflect::get(&format.resolved_options(), &"timeZone".into()).ok();
    zone.and_then(|zone| zone.as_string()).unwrap_or_else(|| "UTC".to_owned())
}

fn js_date(time: DateTime<Utc>) -> js_sys::Date {
    js_sys::Date::new(&(time.timestamp_millis() as f64).into())
}

/// A format of dates and times. Creating a formatter takes the browser long, and lists contain hundreds of times, so
/// the formatter of each format is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// `14 Mar 2025`
    Date,
    /// `14:32:06`
    Clock,
    /// `3 Feb`
    DayAndMonth,
    /// `Tuesday 3 February`
    Weekday,
}

impl Form {
    const fn options(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Date => &[("day", "numeric"), ("month", "short"), ("year", "numeric")],
            Self::Clock => &[("timeStyle", "medium")],
            Self::DayAndMonth => &[("day", "numeric"), ("month", "short")],
            Self::Weekday => &[("weekday", "long"), ("day", "numeric"), ("month", "long")],
        }
    }
}

thread_local! {
    static FORMATTERS: RefCell<Vec<((Form, theme::Times), js_sys::Function)>> = const { RefCell::new(Vec::new()) };
}

/// Returns a date in a format, in the chosen zone.
fn write(form: Form, date: &js_sys::Date) -> String {
    let key = (form, theme::times());
    let kept = FORMATTERS.with_borrow(|kept| kept.iter().find(|(of, _)| *of == key).map(|(_, format)| format.clone()));
    let format = kept.unwrap_or_else(|| {
        let locales = js_sys::Array::of1(&"en-GB".into());
        let format = js_sys::Intl::DateTimeFormat::new(&locales, &options(form.options())).format();
        FORMATTERS.with_borrow_mut(|kept| kept.push((key, format.clone())));
        format
    });
    format.call1(&JsValue::UNDEFINED, date).ok().and_then(|text| text.as_string()).unwrap_or_default()
}

/// Returns options for a formatter, with the chosen zone.
fn options(values: &[(&str, &str)]) -> js_sys::Object {
    let options = js_sys::Object::new();
    let zone = (theme::times() == theme::Times::Utc).then_some(("timeZone", "UTC"));
    for (name, value) in values.iter().copied().chain(zone) {
        let _ = js_sys::Reflect::set(&options, &name.into(), &value.into());
    }
    options
}

/// Returns the current time.
pub fn now() -> DateTime<Utc> {
    DateTime::from_timestamp_millis(js_sys::Date::now() as i64).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_groups() {
        for (value, expected) in
            [(0, "0"), (999, "999"), (1000, "1\u{202f}000"), (-1_234_567, "\u{2212}1\u{202f}234\u{202f}567")]
        {
            assert_eq!(number(value), expected);
        }
    }

    #[test]
    fn sizes_use_the_largest_fitting_unit() {
        for (value, expected) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.0 KB"),
            (999_600, "1.0 MB"),
            (812_000_000, "812 MB"),
            (3_400_000_000, "3.4 GB"),
        ] {
            assert_eq!(bytes(value), expected);
        }
    }

    #[test]
    fn durations_use_fitting_units() {
        for (milliseconds, expected) in [
            (812, "812 ms"),
            (5_000, "5.0 s"),
            (41_900, "41 s"),
            (60_000, "1 min"),
            (192_000, "3 min 12 s"),
            (7_500_000, "2 h 5 min"),
            (86_400_000, "24 h"),
        ] {
            assert_eq!(duration(milliseconds), expected);
        }
        assert_eq!(duration_in_words(chrono::Duration::seconds(59)), "less than a minute");
        assert_eq!(duration_in_words(chrono::Duration::seconds(60)), "1 minute");
        assert_eq!(duration_in_words(chrono::Duration::hours(3)), "3 hours");
        assert_eq!(duration_in_words(chrono::Duration::hours(50)), "2 days");
    }

    #[test]
    fn ages_use_one_unit() {
        let now = DateTime::from_timestamp(1_000_000, 0).unwrap_or_default();
        for (seconds, expected) in [
            (-5, "just now"),
            (59, "just now"),
            (60, "1 min ago"),
            (7_200, "2 h ago"),
            (90_000, "1 day ago"),
            (200_000, "2 days ago"),
        ] {
            assert_eq!(age(now - chrono::Duration::seconds(seconds), now), expected);
        }
        for (seconds, expected) in [(-5, "under a minute"), (59, "under a minute"), (60, "1 min"), (7_200, "2 h")] {
            assert_eq!(until(now + chrono::Duration::seconds(seconds), now), expected);
        }
    }
}
