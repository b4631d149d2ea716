//! The columns for the rows of a CSV file, according to its first lines.

use std::collections::HashSet;

use super::{NewColumn, first_columns};

/// Characters that separate fields. The one that is most frequent in the first line separates those of a file.
const DELIMITERS: [char; 4] = [',', ';', '\t', '|'];

/// Returns the columns for the fields that the first line names, with types for the values in the following lines. A
/// table without a column `id` gets one, because rows of a table without a primary key can't be edited.
///
/// # Errors
/// Returns a message if the first line is empty.
pub(super) fn columns_for(lines: &str) -> Result<Vec<NewColumn>, String> {
    let lines = lines.strip_prefix('\u{feff}').unwrap_or(lines);
    let mut rows = records(lines, delimiter(lines)).into_iter();
    let names = rows.next().filter(|names| names.iter().any(|name| !name.trim().is_empty()));
    let names = names.ok_or("The first line is empty. It must contain the names of the columns.")?;
    let rows: Vec<Vec<String>> = rows.filter(|row| row.iter().any(|value| !value.is_empty())).collect();
    let mut columns: Vec<NewColumn> = names
        .iter()
        .enumerate()
        .map(|(position, name)| {
            let values: Vec<&str> = rows.iter().map(|row| row.get(position).map_or("", |value| value.trim())).collect();
            column_for(name.trim(), position, &values)
        })
        .collect();
    let has_id = columns.iter().any(|column| column.name.eq_ignore_ascii_case("id"));
    if let Some(key) = first_columns().into_iter().next().filter(|_| !has_id) {
        columns.insert(0, key);
    }
    Ok(columns)
}

fn column_for(name: &str, position: usize, values: &[&str]) -> NewColumn {
    let name = if name.is_empty() { format!("column_{}", position + 1) } else { name.to_owned() };
    let present: Vec<&str> = values.iter().copied().filter(|value| !value.is_empty()).collect();
    let is_unique = present.len() == values.len() && present.iter().collect::<HashSet<_>>().len() == values.len();
    let primary_key = name.eq_ignore_ascii_case("id") && is_unique && !present.is_empty();
    NewColumn {
        name,
        data_type: data_type_of(&present).to_owned(),
        nullable: !primary_key,
        primary_key,
        ..NewColumn::default()
    }
}

/// A data type and the check whether a text is a value of it.
type TypeCheck = (&'static str, fn(&str) -> bool);

/// Returns the most specific type that all values have.
fn data_type_of(values: &[&str]) -> &'static str {
    let types: [TypeCheck; 6] = [
        ("bigint", |value| is_number(value) && value.parse::<i64>().is_ok()),
        ("numeric", is_number),
        ("boolean", |value| value.eq_ignore_ascii_case("true") || value.eq_ignore_ascii_case("false")),
        ("uuid", |value| has_shape(value, "hhhhhhhh-hhhh-hhhh-hhhh-hhhhhhhhhhhh")),
        ("date", |value| has_shape(value, "dddd-dd-dd")),
        ("timestamptz", is_time),
    ];
    let found =
        types.into_iter().find(|(_, is_value)| !values.is_empty() && values.iter().all(|value| is_value(value)));
    found.map_or("text", |(data_type, _)| data_type)
}

/// Returns whether a text is a decimal number. Numbers with leading zeros are texts, for example postal codes.
fn is_number(value: &str) -> bool {
    let digits = value.strip_prefix('-').unwrap_or(value);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let are_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    are_digits(whole) && are_digits(fraction) && (whole == "0" || !whole.starts_with('0'))
}

/// Returns whether a text is a date and a time of day, such as `2026-03-01T08:30:00Z`.
fn is_time(value: &str) -> bool {
    let is_date_and_hour = |separator: &str| {
        let shape = format!("dddd-dd-dd{separator}dd:dd");
        value.get(..shape.len()).is_some_and(|start| has_shape(start, &shape))
    };
    is_date_and_hour("T") || is_date_and_hour(" ")
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

fn delimiter(lines: &str) -> char {
    let first = lines.lines().next().unwrap_or_default();
    let count = |delimiter: char| first.matches(delimiter).count();
    // The first of equally frequent ones.
    DELIMITERS.into_iter().rev().max_by_key(|delimiter| count(*delimiter)).unwrap_or(',')
}

/// Returns the fields of each line. A field in quotes may contain delimiters, line breaks, and doubled quotes.
fn records(lines: &str, delimiter: char) -> Vec<Vec<String>> {
    let (mut records, mut record, mut field) = (Vec::new(), Vec::new(), String::new());
    let mut is_quoted = false;
    let mut characters = lines.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' if is_quoted && characters.peek() == Some(&'"') => {
                characters.next();
                field.push('"');
            }
            '"' if is_quoted || field.is_empty() => is_quoted = !is_quoted,
            '\r' if !is_quoted && characters.peek() == Some(&'\n') => {}
            '\n' if !is_quoted => {
                record.push(std::mem::take(&mut field));
                records.push(std::mem::take(&mut record));
            }
            _ if character == delimiter && !is_quoted => record.push(std::mem::take(&mut field)),
            _ => field.push(character),
        }
    }
    if !field.is_empty() || !record.is_empty() {
        record.push(field);
        records.push(record);
    }
    records
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(lines: &str) -> Vec<(String, String, bool)> {
        let columns = columns_for(lines).unwrap();
        columns.into_iter().map(|column| (column.name, column.data_type, column.primary_key)).collect()
    }

    #[test]
    fn columns_have_the_names_of_the_first_line() {
        let column = |name: &str, data_type: &str, primary_key| (name.to_owned(), data_type.to_owned(), primary_key);
        assert_eq!(
            columns("\u{feff}ID;\"first; \"\"name\"\"\";\r\n1;a;x\r\n2;\"b\nc\";\r\n\r\n"),
            [column("ID", "bigint", true), column("first; \"name\"", "text", false), column("column_3", "text", false)]
        );
        assert_eq!(
            columns("a,b"),
            [column("id", "bigint", true), column("a", "text", false), column("b", "text", false)]
        );
        assert!(columns_for("").is_err() && columns_for("\nid\n").is_err());
    }

    #[test]
    fn id_that_is_not_unique_is_no_key() {
        for rows in ["1,a\n1,b\n", "1,a\n,b\n", ""] {
            assert!(columns(&format!("id,name\n{rows}")).iter().all(|(_, _, is_key)| !is_key), "{rows}");
        }
    }

    #[test]
    fn types_fit_all_values() {
        let cases: [(&[&str], &str); 13] = [
            (&["1", "-20", "0"], "bigint"),
            (&["1", "2.50"], "numeric"),
            (&["9223372036854775808"], "numeric"),
            (&["01234"], "text"),
            (&["1,5"], "text"),
            (&["true", "FALSE"], "boolean"),
            (&["2026-03-01"], "date"),
            (&["2026-03-01", "2026-03-01T08:30:00Z"], "text"),
            (&["2026-03-01 08:30", "2026-03-01T08:30:00.5+01:00"], "timestamptz"),
            (&["2026-03-0ä 08:30"], "text"),
            (&["6f1b1c1e-0000-4000-8000-0123456789AB"], "uuid"),
            (&["a"], "text"),
            (&[], "text"),
        ];
        for (values, expected) in cases {
            assert_eq!(data_type_of(values), expected, "{values:?}");
        }
    }
}
