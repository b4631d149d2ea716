//! Reads and writes CSV as in RFC 4180: fields that contain a comma, a quote or a line break are quoted.

use crate::{Error, Result};

/// Appends a row to `text`, followed by CRLF.
///
/// ```
/// # use atlashub_plugin_sdk::csv;
/// let mut text = String::new();
/// csv::write_row(&mut text, ["id", "name"]);
/// csv::write_row(&mut text, ["1", "Smith, \"Jo\""]);
/// assert_eq!(text, "id,name\r\n1,\"Smith, \"\"Jo\"\"\"\r\n");
/// ```
pub fn write_row<T: AsRef<str>>(text: &mut String, fields: impl IntoIterator<Item = T>) {
    for (index, field) in fields.into_iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        let field = field.as_ref();
        // An empty field in the first column is quoted, because a row of one empty field would be an empty line.
        if field.contains(['"', ',', '\r', '\n']) || (field.is_empty() && index == 0) {
            text.push('"');
            text.push_str(&field.replace('"', "\"\""));
            text.push('"');
        } else {
            text.push_str(field);
        }
    }
    text.push_str("\r\n");
}

/// Splits CSV into rows of fields. Lines may end with LF or CRLF, empty lines are skipped, and a byte order mark at the
/// beginning is ignored.
///
/// # Errors
/// Returns `Invalid` with the number of the line if a quote is not closed, or if text follows a closing quote.
pub fn parse(text: &str) -> Result<Vec<Vec<String>>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let (mut rows, mut row, mut line) = (Vec::new(), Vec::new(), 1_usize);
    let mut characters = text.chars().peekable();
    while characters.peek().is_some() {
        let mut field = String::new();
        let is_quoted = characters.next_if_eq(&'"').is_some();
        if is_quoted {
            let first_line = line;
            loop {
                match characters.next() {
                    Some('"') if characters.next_if_eq(&'"').is_some() => field.push('"'),
                    Some('"') => break,
                    Some(character) => {
                        line += usize::from(character == '\n');
                        field.push(character);
                    }
                    None => return Err(Error::invalid(format!("line {first_line}: a quote is not closed"))),
                }
            }
        }
        loop {
            match characters.next() {
                Some(',') => {
                    row.push(field);
                    if characters.peek().is_none() {
                        row.push(String::new());
                        rows.push(std::mem::take(&mut row));
                    }
                    break;
                }
                Some('\r') if characters.peek() == Some(&'\n') => {}
                end @ (Some('\n') | None) => {
                    line += usize::from(end.is_some());
                    if !row.is_empty() || !field.is_empty() || is_quoted {
                        row.push(field);
                        rows.push(std::mem::take(&mut row));
                    }
                    break;
                }
                Some(_) if is_quoted => {
                    return Err(Error::invalid(format!("line {line}: text follows a closing quote")));
                }
                Some(character) => field.push(character),
            }
        }
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_parsed() {
        let check = |text: &str, expected: &[&[&str]]| assert_eq!(parse(text).unwrap(), expected, "{text:?}");
        check("", &[]);
        check("\n\r\n", &[]);
        check("a", &[&["a"]]);
        check("\u{feff}a,b\r\nc,d\n", &[&["a", "b"], &["c", "d"]]);
        check("a,\n,b", &[&["a", ""], &["", "b"]]);
        check("a,", &[&["a", ""]]);
        check("\"a, \"\"b\"\"\r\nc\",d", &[&["a, \"b\"\r\nc", "d"]]);
        check("\"\"\n", &[&[""]]);
        check("a\rb,c\"d", &[&["a\rb", "c\"d"]]);
    }

    #[test]
    fn invalid_quotes_are_reported_with_their_line() {
        let check = |text: &str, expected: &str| assert_eq!(parse(text).unwrap_err().message, expected);
        check("a\n\"b\nc", "line 2: a quote is not closed");
        check("a\n\"b\nc\"d", "line 3: text follows a closing quote");
    }

    #[test]
    fn written_rows_are_read_back() {
        let rows = [vec!["a", "b, \"c\"", "d\r\ne"], vec![""], vec!["", ""], vec!["\u{feff}x"]];
        let mut text = String::new();
        for row in &rows {
            write_row(&mut text, row);
        }
        assert_eq!(parse(&text).unwrap(), rows);
    }
}
