//! Reads the times that the server writes, such as `2026-11-28T19:10:57.123Z`.
//!
//! chrono's parser accepts many more forms, which makes it large. Types that the dashboard's first page receives use
//! this module instead, so that the page loads faster: `#[serde(deserialize_with = "utc_time::deserialize")]`.

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize as _, Deserializer, de::Error as _};

/// Deserializes a time.
///
/// # Errors
/// Fails if the value does not look like `2026-11-28T19:10:57.123Z`: the time zone must be `Z`, the seconds may have at
/// most nine decimals, and leap seconds are rejected. The number of digits of the other parts is not checked.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<DateTime<Utc>, D::Error> {
    parse(&String::deserialize(deserializer)?).ok_or_else(|| D::Error::custom(NOT_A_TIME))
}

/// Deserializes a time or null.
///
/// # Errors
/// Returns the errors of [`deserialize`], unless the value is null.
pub fn deserialize_option<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<DateTime<Utc>>, D::Error> {
    match Option::<String>::deserialize(deserializer)? {
        Some(text) => parse(&text).map(Some).ok_or_else(|| D::Error::custom(NOT_A_TIME)),
        None => Ok(None),
    }
}

const NOT_A_TIME: &str = "expected a time such as 2026-11-28T19:10:57Z";

fn parse(text: &str) -> Option<DateTime<Utc>> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let (time, decimals) = time.split_once('.').unwrap_or((time, "0"));
    let [year, month, day] = numbers(date, '-')?;
    let [hour, minute, second] = numbers(time, ':')?;
    if decimals.len() > 9 {
        return None;
    }
    let nanoseconds = number(decimals)? * 10_u32.pow(9 - decimals.len() as u32);
    let date = NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, month, day)?;
    Some(date.and_hms_nano_opt(hour, minute, second, nanoseconds)?.and_utc())
}

fn numbers(text: &str, separator: char) -> Option<[u32; 3]> {
    let mut parts = text.split(separator).map(number);
    let numbers = [parts.next()??, parts.next()??, parts.next()??];
    parts.next().is_none().then_some(numbers)
}

/// Parses digits. Unlike `str::parse`, rejects a sign.
fn number(digits: &str) -> Option<u32> {
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_chrono_writes_them() {
        for (seconds, nanoseconds) in [
            (0, 0),
            (1_764_357_057, 123_000_000),
            (1_764_357_057, 123_456_000),
            (1_764_357_057, 1),
            (951_782_399, 999_999_999),
            (-1, 500_000_000),
            (253_402_300_799, 0),
        ] {
            let time = DateTime::from_timestamp(seconds, nanoseconds).unwrap();
            let json = serde_json::to_string(&time).unwrap();
            assert_eq!(parse(json.trim_matches('"')), Some(time), "{json}");
        }
    }

    #[test]
    fn other_texts_are_rejected() {
        for text in [
            "",
            "Z",
            "2026-11-28",
            "2026-11-28T19:10:57",
            "2026-11-28T19:10:57+01:00",
            "2026-11-28T19:10Z",
            "2026-11-28T19:10:57:01Z",
            "2026-02-30T19:10:57Z",
            "2026-11-28T24:10:57Z",
            "2026-+1-28T19:10:57Z",
            "2026-11-28T19:10:57.1234567891Z",
            "2026-11-28T19:10:57.-1Z",
            "99999999999-11-28T19:10:57Z",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
