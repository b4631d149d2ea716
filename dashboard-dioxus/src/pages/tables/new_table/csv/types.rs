//! The type of a column whose values are texts in a CSV file.

use std::collections::HashSet;

use chrono::NaiveDate;

use super::records::Field;

/// A data type, and the check whether Postgres reads a text as a value of it.
type TypeCheck = (&'static str, fn(&str) -> bool);

/// The types of columns, from the most specific one.
const TYPES: [TypeCheck; 6] = [
    ("bigint", |value| is_number(value) && value.trim_ascii().parse::<i64>().is_ok()),
    ("numeric", is_number),
    ("boolean", |value| ["true", "false"].iter().any(|word| value.trim_ascii().eq_ignore_ascii_case(word))),
    // Unlike the other types, this one accepts no spaces.
    ("uuid", |value| has_shape(value, "hhhhhhhh-hhhh-hhhh-hhhh-hhhhhhhhhhhh")),
    ("date", |value| is_date(value.trim_ascii())),
    ("timestamptz", |value| is_time(value.trim_ascii())),
];

/// What the values of a column have in common.
#[derive(Debug, Clone)]
pub(super) struct Values {
    /// Whether each of the [`TYPES`] fits all values.
    fits: [bool; TYPES.len()],
    has_values: bool,
    has_nulls: bool,
    /// The distinct values. `None` if a value is repeated, or the column is not to be a key.
    distinct: Option<HashSet<String>>,
}

impl Values {
    /// `may_be_key` is whether the column becomes the primary key if its values are unique.
    pub(super) fn new(may_be_key: bool) -> Self {
        let distinct = may_be_key.then(HashSet::new);
        Self { fits: [true; TYPES.len()], has_values: false, has_nulls: false, distinct }
    }

    pub(super) fn add(&mut self, field: &Field) {
        if field.is_null() {
            self.has_nulls = true;
            return;
        }
        self.has_values = true;
        for (fits, (_, is_value)) in self.fits.iter_mut().zip(TYPES) {
            *fits = *fits && is_value(&field.text);
        }
        let is_new = self.distinct.as_mut().is_some_and(|distinct| distinct.insert(field.text.trim_ascii().to_owned()));
        if !is_new {
            self.distinct = None;
        }
    }

    pub(super) fn is_key(&self) -> bool {
        self.distinct.is_some() && self.has_values && !self.has_nulls
    }

    /// Returns the most specific type that all values have.
    pub(super) fn data_type(&self) -> &'static str {
        let fitting = self.fits.iter().zip(TYPES).find(|(fits, _)| self.has_values && **fits);
        fitting.map_or("text", |(_, (data_type, _))| data_type)
    }
}

/// Returns whether a text in the first line is a value rather than the name of a column. It begins as the server
/// expects of values, so that an import reads the line in the same way.
pub(super) fn is_value(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_digit() || first == '-') && TYPES.iter().any(|(_, fits)| fits(text))
}

/// Returns whether a text is a decimal number. Numbers with leading zeros are texts, for example postal codes.
fn is_number(value: &str) -> bool {
    let value = value.trim_ascii();
    let digits = value.strip_prefix('-').unwrap_or(value);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    are_digits(whole) && are_digits(fraction) && (whole == "0" || !whole.starts_with('0'))
}

fn are_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Returns whether a text is a day of the calendar, such as `2026-03-01`.
fn is_date(value: &str) -> bool {
    if !has_shape(value, "dddd-dd-dd") {
        return false;
    }
    let mut parts = value.split('-').map(str::parse::<u32>);
    let (Some(Ok(year)), Some(Ok(month)), Some(Ok(day))) = (parts.next(), parts.next(), parts.next()) else {
        return false;
    };
    // Postgres has no year 0.
    year > 0 && NaiveDate::from_ymd_opt(year as i32, month, day).is_some()
}

/// Returns whether a text is a date and a time of day, such as `2026-03-01T08:30:00Z`.
fn is_time(value: &str) -> bool {
    let Some((date, rest)) = value.split_at_checked(10) else { return false };
    let Some(rest) = rest.strip_prefix(['T', ' ']).filter(|_| is_date(date)) else { return false };
    let end = rest.find(|one: char| !one.is_ascii_digit() && !matches!(one, ':' | '.')).unwrap_or(rest.len());
    let (time, zone) = rest.split_at(end);
    is_time_of_day(time) && is_zone(zone)
}

/// Returns whether a text is a time of day, such as `08:30` or `08:30:00.5`.
fn is_time_of_day(text: &str) -> bool {
    let (time, is_complete) = match text.split_once('.') {
        Some((time, fraction)) => (time, has_shape(time, "dd:dd:dd") && are_digits(fraction) && fraction.len() <= 9),
        None => (text, has_shape(text, "dd:dd") || has_shape(text, "dd:dd:dd")),
    };
    is_complete && are_at_most(time.split(':'), [23, 59, 59])
}

/// Returns whether a text is a time zone, such as `Z` or `+01:00`, or empty.
fn is_zone(text: &str) -> bool {
    let zone = text.trim_ascii_start();
    if matches!(zone, "" | "Z" | "UTC") {
        return true;
    }
    let Some(offset) = zone.strip_prefix(['+', '-']) else { return false };
    let has_known_shape = ["dd", "dd:dd", "dddd"].iter().any(|shape| has_shape(offset, shape));
    let (hours, minutes) = offset.split_at_checked(2).unwrap_or((offset, ""));
    let minutes = minutes.strip_prefix(':').unwrap_or(minutes);
    has_known_shape && are_at_most([hours, minutes].into_iter().filter(|part| !part.is_empty()), [15, 59])
}

/// Returns whether the parts are numbers up to these limits.
fn are_at_most<'a>(parts: impl Iterator<Item = &'a str>, limits: impl IntoIterator<Item = u32>) -> bool {
    parts.zip(limits).all(|(part, limit)| part.parse::<u32>().is_ok_and(|number| number <= limit))
}

/// Returns whether a text has a shape, in which `d` stands for a digit and `h` for a hexadecimal digit.
fn has_shape(value: &str, shape: &str) -> bool {
    let fits = |(byte, wanted): (u8, u8)| match wanted {
        b'd' => byte.is_ascii_digit(),
        b'h' => byte.is_ascii_hexdigit(),
        _ => byte == wanted,
    };
    value.len() == shape.len() && value.bytes().zip(shape.bytes()).all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn type_of(values: &[&str]) -> &'static str {
        let mut all = Values::new(false);
        for text in values {
            all.add(&Field { text: (*text).to_owned(), is_quoted: false });
        }
        all.data_type()
    }

    #[test]
    fn types_fit_all_values() {
        let cases: [(&[&str], &str); 27] = [
            (&["1", "-20", "0", ""], "bigint"),
            (&["1", "2.50"], "numeric"),
            (&["9223372036854775808"], "numeric"),
            (&["01234"], "text"),
            (&["1,5"], "text"),
            (&[" 1", "2 "], "bigint"),
            (&["1", " "], "text"),
            (&["1", "n/a"], "text"),
            (&["true", " FALSE"], "boolean"),
            (&["2026-03-01"], "date"),
            (&["2024-02-29"], "date"),
            (&["2026-02-29"], "text"),
            (&["0000-00-00"], "text"),
            (&["2026-13-01"], "text"),
            (&["2026-03-01", "2026-03-01T08:30:00Z"], "text"),
            (&["2026-03-01 08:30", "2026-03-01T08:30:00.5+01:00", "2026-03-01 08:30:59 -0330"], "timestamptz"),
            (&["2026-03-01 08:30:00 UTC", "2026-03-01 23:59+00"], "timestamptz"),
            (&["2026-03-01 24:30"], "text"),
            (&["2026-03-01 08:30:61"], "text"),
            (&["2026-03-01 08:30 Uhr"], "text"),
            (&["2026-03-01 08:30+99"], "text"),
            (&["2026-03-01 08:30.5"], "text"),
            (&["2026-03-0ä 08:30"], "text"),
            (&["6f1b1c1e-0000-4000-8000-0123456789AB"], "uuid"),
            (&[" 6f1b1c1e-0000-4000-8000-0123456789ab"], "text"),
            (&["a"], "text"),
            (&[], "text"),
        ];
        for (values, expected) in cases {
            assert_eq!(type_of(values), expected, "{values:?}");
        }
    }

    #[test]
    fn empty_text_in_quotes_is_a_text() {
        let mut values = Values::new(true);
        for (text, is_quoted) in [("1", true), ("", true)] {
            values.add(&Field { text: text.to_owned(), is_quoted });
        }
        assert_eq!((values.data_type(), values.is_key()), ("text", true));
    }

    #[test]
    fn values_begin_with_a_digit_or_a_sign() {
        for (text, expected) in [
            ("1", true),
            ("-2.5", true),
            ("2026-03-01", true),
            ("1st", false),
            ("true", false),
            ("-", false),
            ("", false),
        ] {
            assert_eq!(is_value(text), expected, "{text}");
        }
    }
}
