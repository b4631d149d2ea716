//! Writes values of results as JSON, from Postgres's binary format.
//!
//! The JSON is the same as that of `row_to_json`. Tests compare them.

use tokio_postgres::types::Type;

use super::schema::ResultForm;

/// Converts the values of a result's column to JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ValueWriter {
    /// JSON, unchanged.
    Json,
    /// JSON after a version byte.
    Jsonb,
    Boolean,
    /// A big-endian integer of 2, 4 or 8 bytes.
    Integer,
    /// The text of a number, written as a string if it is not finite.
    Number,
    Text,
    Uuid,
    Date,
    Timestamp,
    TimestampTz,
}

impl ValueWriter {
    /// Returns the writer for a column of a result. The query asks for the column in `form`, and Postgres returned it
    /// as `data_type`. Returns `None` if they don't match, because the column was changed after the schema was read.
    pub(super) fn new(form: ResultForm, data_type: &Type) -> Option<Self> {
        Some(match (form, data_type) {
            (ResultForm::Json | ResultForm::Plain, &Type::JSON) => Self::Json,
            (ResultForm::Number, &Type::TEXT) => Self::Number,
            (ResultForm::Text, &Type::TEXT) => Self::Text,
            (ResultForm::Plain, &Type::TEXT | &Type::VARCHAR | &Type::BPCHAR) => Self::Text,
            (ResultForm::Plain, &Type::BOOL) => Self::Boolean,
            (ResultForm::Plain, &Type::INT2 | &Type::INT4 | &Type::INT8) => Self::Integer,
            (ResultForm::Plain, &Type::JSONB) => Self::Jsonb,
            (ResultForm::Plain, &Type::UUID) => Self::Uuid,
            (ResultForm::Plain, &Type::DATE) => Self::Date,
            (ResultForm::Plain, &Type::TIMESTAMP) => Self::Timestamp,
            (ResultForm::Plain, &Type::TIMESTAMPTZ) => Self::TimestampTz,
            _ => return None,
        })
    }

    /// Writes a value. `push` receives the JSON in pieces.
    ///
    /// # Errors
    /// Returns the errors of `push`, and `E::from(InvalidValue)` if the bytes are not a value of the type.
    pub(super) fn write<E: From<InvalidValue>>(
        self,
        value: &[u8],
        push: &mut impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        match self {
            Self::Json => push(value),
            // The only version is 1.
            Self::Jsonb => push(value.strip_prefix(&[1]).ok_or(InvalidValue)?),
            Self::Boolean => push(if fixed(value)? == [0] { "false" } else { "true" }.as_bytes()),
            Self::Integer => push(Digits::new(integer(value)?).as_bytes()),
            Self::Number => match value.strip_prefix(b"-").unwrap_or(value).first() {
                Some(b'0'..=b'9') => push(value),
                _ => write_string(value, push),
            },
            Self::Text => write_string(value, push),
            Self::Uuid => push(&uuid(fixed(value)?)),
            Self::Date => push(Moment::date(i32::from_be_bytes(fixed(value)?)).as_bytes()),
            Self::Timestamp => push(Moment::timestamp(i64::from_be_bytes(fixed(value)?), "").as_bytes()),
            // Sessions use UTC.
            Self::TimestampTz => push(Moment::timestamp(i64::from_be_bytes(fixed(value)?), "+00:00").as_bytes()),
        }
    }
}

/// The error for bytes that are not a valid value of the type.
#[derive(Debug, thiserror::Error)]
#[error("Postgres sent bytes that are not a value of the column's type")]
pub(super) struct InvalidValue;

fn fixed<const N: usize>(value: &[u8]) -> Result<[u8; N], InvalidValue> {
    value.try_into().map_err(|_| InvalidValue)
}

fn integer(value: &[u8]) -> Result<i64, InvalidValue> {
    Ok(match value.len() {
        2 => i16::from_be_bytes(fixed(value)?).into(),
        4 => i32::from_be_bytes(fixed(value)?).into(),
        _ => i64::from_be_bytes(fixed(value)?),
    })
}

/// Returns whether a byte of a string must be escaped.
const fn needs_escape(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

/// Writes a JSON string, with the escapes that Postgres uses.
pub(super) fn write_string<E>(text: &[u8], push: &mut impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
    push(b"\"")?;
    let mut rest = text;
    while let Some(position) = rest.iter().position(|byte| needs_escape(*byte)) {
        push(&rest[..position])?;
        match rest[position] {
            b'"' => push(b"\\\"")?,
            b'\\' => push(b"\\\\")?,
            b'\n' => push(b"\\n")?,
            b'\r' => push(b"\\r")?,
            b'\t' => push(b"\\t")?,
            8 => push(b"\\b")?,
            12 => push(b"\\f")?,
            control => push(&[b'\\', b'u', b'0', b'0', hex_digit(control >> 4), hex_digit(control & 15)])?,
        }
        rest = &rest[position + 1..];
    }
    push(rest)?;
    push(b"\"")
}

const fn hex_digit(value: u8) -> u8 {
    b"0123456789abcdef"[value as usize]
}

/// Returns a UUID in quotes.
fn uuid(bytes: [u8; 16]) -> [u8; 38] {
    let mut text = [b'-'; 38];
    (text[0], text[37]) = (b'"', b'"');
    let mut end = 1;
    for (position, byte) in bytes.iter().enumerate() {
        if matches!(position, 4 | 6 | 8 | 10) {
            end += 1;
        }
        (text[end], text[end + 1]) = (hex_digit(byte >> 4), hex_digit(byte & 15));
        end += 2;
    }
    text
}

/// A short string that is not allocated on the heap.
struct ShortText<const N: usize> {
    bytes: [u8; N],
    length: usize,
}

impl<const N: usize> ShortText<N> {
    const fn new() -> Self {
        Self { bytes: [0; N], length: 0 }
    }

    fn push(&mut self, text: &[u8]) {
        self.bytes[self.length..self.length + text.len()].copy_from_slice(text);
        self.length += text.len();
    }

    /// Writes a number with at least `width` digits.
    fn push_padded(&mut self, number: u64, width: usize) {
        let digits = Digits::new(number.cast_signed());
        for _ in digits.as_bytes().len()..width {
            self.push(b"0");
        }
        self.push(digits.as_bytes());
    }

    fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

/// The decimal digits of an integer, written from the end of the buffer.
struct Digits {
    bytes: [u8; 20],
    start: usize,
}

impl Digits {
    fn new(number: i64) -> Self {
        let mut digits = Self { bytes: [0; 20], start: 20 };
        let mut rest = number.unsigned_abs();
        loop {
            digits.start -= 1;
            digits.bytes[digits.start] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        if number < 0 {
            digits.start -= 1;
            digits.bytes[digits.start] = b'-';
        }
        digits
    }

    fn as_bytes(&self) -> &[u8] {
        &self.bytes[self.start..]
    }
}

const MICROSECONDS_PER_DAY: i64 = 86_400_000_000;
/// Days from 0000-03-01 to 2000-01-01, the origin of Postgres's dates.
const DAYS_TO_2000: i64 = 730_425;

/// Formats dates and timestamps as JSON strings in the format of XML Schema, as `row_to_json` does.
struct Moment;

impl Moment {
    /// Formats a date, given as days since 2000-01-01.
    fn date(days: i32) -> ShortText<40> {
        let mut text = ShortText::new();
        text.push(b"\"");
        match days {
            i32::MAX => text.push(b"infinity"),
            i32::MIN => text.push(b"-infinity"),
            _ => {
                let is_bc = Self::push_date(&mut text, days.into());
                text.push(if is_bc { " BC" } else { "" }.as_bytes());
            }
        }
        text.push(b"\"");
        text
    }

    /// Formats a timestamp, given as microseconds since the beginning of 2000-01-01.
    fn timestamp(microseconds: i64, zone: &str) -> ShortText<40> {
        let mut text = ShortText::new();
        text.push(b"\"");
        match microseconds {
            i64::MAX => text.push(b"infinity"),
            i64::MIN => text.push(b"-infinity"),
            _ => {
                let is_bc = Self::push_date(&mut text, microseconds.div_euclid(MICROSECONDS_PER_DAY));
                let of_day = microseconds.rem_euclid(MICROSECONDS_PER_DAY).cast_unsigned();
                let (seconds, fraction) = (of_day / 1_000_000, of_day % 1_000_000);
                for (separator, part) in [(b"T", seconds / 3600), (b":", seconds / 60 % 60), (b":", seconds % 60)] {
                    text.push(separator);
                    text.push_padded(part, 2);
                }
                if fraction > 0 {
                    text.push(b".");
                    text.push_padded(fraction, 6);
                    while text.as_bytes().last() == Some(&b'0') {
                        text.length -= 1;
                    }
                }
                text.push(zone.as_bytes());
                text.push(if is_bc { " BC" } else { "" }.as_bytes());
            }
        }
        text.push(b"\"");
        text
    }

    /// Writes the date, given as days since 2000-01-01. Returns whether its year is before the common era.
    ///
    /// The calendar repeats every 400 years. If a year starts with March, the leap day is its last day.
    /// Source: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`.
    fn push_date(text: &mut ShortText<40>, days: i64) -> bool {
        let days = days + DAYS_TO_2000;
        let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
        let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
        let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
        let year = 400 * era + year_of_era + i64::from(month <= 2);
        let is_bc = year <= 0;
        // The year before 1 is 1 BC; there is no year 0.
        text.push_padded(if is_bc { 1 - year } else { year }.unsigned_abs(), 4);
        text.push(b"-");
        text.push_padded(month.unsigned_abs(), 2);
        text.push(b"-");
        text.push_padded(day.unsigned_abs(), 2);
        is_bc
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(writer: ValueWriter, value: &[u8]) -> String {
        let mut json = Vec::new();
        let written = writer.write::<InvalidValue>(value, &mut |piece| {
            json.extend_from_slice(piece);
            Ok(())
        });
        match written {
            Ok(()) => String::from_utf8(json).unwrap(),
            Err(InvalidValue) => "invalid".to_owned(),
        }
    }

    #[test]
    fn values_are_written_as_json() {
        let check = |writer, value: &[u8], expected: &str| assert_eq!(written(writer, value), expected);
        check(ValueWriter::Json, b"{\"a\" : 1.0}", "{\"a\" : 1.0}");
        check(ValueWriter::Jsonb, b"\x01[1.10]", "[1.10]");
        check(ValueWriter::Jsonb, b"\x02[]", "invalid");
        check(ValueWriter::Boolean, &[1], "true");
        check(ValueWriter::Boolean, &[0], "false");
        check(ValueWriter::Integer, &(-32_768_i16).to_be_bytes(), "-32768");
        check(ValueWriter::Integer, &0_i32.to_be_bytes(), "0");
        check(ValueWriter::Integer, &i64::MIN.to_be_bytes(), "-9223372036854775808");
        check(ValueWriter::Integer, &[1, 2, 3], "invalid");
        check(ValueWriter::Number, b"-1.50", "-1.50");
        check(ValueWriter::Number, b"1e+20", "1e+20");
        check(ValueWriter::Number, b"NaN", "\"NaN\"");
        check(ValueWriter::Number, b"-Infinity", "\"-Infinity\"");
        check(
            ValueWriter::Text,
            "a\"\\/\u{8}\u{c}\n\r\t\u{1}\u{1f}\u{7f}é".as_bytes(),
            concat!(r#""a\"\\/\b\f\n\r\t\u0001\u001f"#, "\u{7f}é\""),
        );
        check(
            ValueWriter::Uuid,
            &[0xa0, 0xee, 0xbc, 0x99, 0x9c, 0x0b, 0x4e, 0xf8, 0xbb, 0x6d, 0x6b, 0xb9, 0xbd, 0x38, 0x0a, 0x11],
            "\"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11\"",
        );
    }

    #[test]
    fn moments_are_written_in_the_format_of_xml_schema() {
        let date = |days: i32, expected: &str| assert_eq!(written(ValueWriter::Date, &days.to_be_bytes()), expected);
        date(0, "\"2000-01-01\"");
        date(59, "\"2000-02-29\"");
        date(60, "\"2000-03-01\"");
        date(-1, "\"1999-12-31\"");
        date(-730_119, "\"0001-01-01\"");
        date(-730_120, "\"0001-12-31 BC\"");
        date(2_921_940, "\"10000-01-01\"");
        date(i32::MAX, "\"infinity\"");
        date(i32::MIN, "\"-infinity\"");
        let timestamp = |microseconds: i64, expected: &str| {
            assert_eq!(written(ValueWriter::Timestamp, &microseconds.to_be_bytes()), format!("\"{expected}\""));
            let (moment, era) = expected.split_once(' ').map_or((expected, ""), |(moment, _)| (moment, " BC"));
            let zone = if expected.ends_with("infinity") { "" } else { "+00:00" };
            let with_zone = format!("\"{moment}{zone}{era}\"");
            assert_eq!(written(ValueWriter::TimestampTz, &microseconds.to_be_bytes()), with_zone);
        };
        timestamp(0, "2000-01-01T00:00:00");
        timestamp(1, "2000-01-01T00:00:00.000001");
        timestamp(-1, "1999-12-31T23:59:59.999999");
        timestamp(86_399_500_000, "2000-01-01T23:59:59.5");
        timestamp(-63_082_281_600_000_001, "0001-12-31T23:59:59.999999 BC");
        timestamp(i64::MAX, "infinity");
        timestamp(i64::MIN, "-infinity");
    }
}
