//! Tables as lines of fields with tabs between them: the text that spreadsheets copy and paste.

use super::Text;

/// Characters that a field contains only between quotes.
const QUOTED: [char; 4] = ['\t', '\n', '\r', '"'];

/// Writes rows. `NULL` becomes an empty field. As in spreadsheets, a field with a tab, a line break or a quote stands
/// between quotes, and its quotes are doubled.
pub fn write(rows: &[Vec<Text>]) -> String {
    let field = |text: &Text| match text.as_deref().unwrap_or_default() {
        text if text.contains(QUOTED) => format!("\"{}\"", text.replace('"', "\"\"")),
        text => text.to_owned(),
    };
    let line = |row: &Vec<Text>| row.iter().map(field).collect::<Vec<_>>().join("\t");
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Reads rows. A line break at the end does not begin another row.
pub fn read(text: &str) -> Vec<Vec<String>> {
    let text = text.replace("\r\n", "\n");
    let mut rest = text.strip_suffix('\n').unwrap_or(&text);
    let mut rows = vec![Vec::new()];
    loop {
        let (field, after) = read_quoted(rest).unwrap_or_else(|| {
            let end = rest.find(['\t', '\n']).unwrap_or(rest.len());
            let (field, after) = rest.split_at(end);
            (field.to_owned(), after)
        });
        if let Some(row) = rows.last_mut() {
            row.push(field);
        }
        let mut characters = after.chars();
        match characters.next() {
            None => return rows,
            Some('\n') => rows.push(Vec::new()),
            Some(_) => {}
        }
        rest = characters.as_str();
    }
}

/// Reads a field between quotes, and returns it with the text after it. Returns `None` if the quotes are part of the
/// value: programs quote only fields that need it.
fn read_quoted(text: &str) -> Option<(String, &str)> {
    let inner = text.strip_prefix('"')?;
    let mut field = String::new();
    let mut rest = inner;
    loop {
        let (before, after) = rest.split_once('"')?;
        field.push_str(before);
        match after.strip_prefix('"') {
            Some(after) => {
                field.push('"');
                rest = after;
            }
            None => {
                let is_end = after.is_empty() || after.starts_with(['\t', '\n']);
                return (is_end && field.contains(QUOTED)).then_some((field, after));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_fields_can_be_read_back() {
        let rows = [
            vec![Some("a\tb".into()), None, Some("say \"hi\"".into())],
            vec![Some("".into()), Some("2\n\n3".into()), Some("plain".into())],
        ];
        let text = write(&rows);
        assert_eq!(text, "\"a\tb\"\t\t\"say \"\"hi\"\"\"\n\t\"2\n\n3\"\tplain");
        assert_eq!(read(&text), [vec!["a\tb", "", "say \"hi\""], vec!["", "2\n\n3", "plain"]]);
    }

    #[test]
    fn tables_of_spreadsheets_are_read() {
        for (text, expected) in [
            ("\"line1\nline2\"\t5", vec![vec!["line1\nline2", "5"]]),
            ("a\tb\r\nc\td\r\n", vec![vec!["a", "b"], vec!["c", "d"]]),
            ("a\n\nb", vec![vec!["a"], vec![""], vec!["b"]]),
            // Quotes that no program would have written.
            ("\"a\" b\t\"c\"", vec![vec!["\"a\" b", "\"c\""]]),
            ("\"open\t1\n2", vec![vec!["\"open", "1"], vec!["2"]]),
            ("\"\"", vec![vec!["\"\""]]),
        ] {
            assert_eq!(read(text), expected, "{text:?}");
        }
    }
}
