//! Finds the text that "Run" runs: the selection, or the statement under the cursor.

use std::{ops::Range, rc::Rc};

use api_types::{ParsedSql, ParsedStatement};

use super::{offsets, split, workspace::EditorSelection};

/// A text that the server has parsed.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Parsed {
    pub(super) text: Rc<str>,
    pub(super) statements: Vec<Statement>,
}

/// A statement and its range of bytes.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Statement {
    pub(super) range: Range<usize>,
    pub(super) parsed: ParsedStatement,
}

impl Parsed {
    pub(super) fn new(text: Rc<str>, response: ParsedSql) -> Self {
        let range = |statement: &ParsedStatement| {
            let start = offsets::from_characters(&text, statement.start as usize);
            let end = offsets::from_characters(&text, statement.end as usize);
            start..end.max(start)
        };
        let statements =
            response.statements.into_iter().map(|parsed| Statement { range: range(&parsed), parsed }).collect();
        Self { text, statements }
    }

    /// Returns the first statement that Postgres can't run in a transaction block.
    pub(super) fn outside_transactions(&self) -> Option<&Statement> {
        self.statements.iter().find(|statement| !statement.parsed.in_transaction && statement.parsed.error.is_none())
    }

    /// Returns the byte ranges and messages of the syntax errors.
    pub(super) fn problems(&self) -> impl Iterator<Item = (Range<usize>, &str)> {
        self.statements.iter().filter_map(|statement| {
            let error = statement.parsed.error.as_ref()?;
            let range = match error.position {
                Some(position) => word_at(&self.text, offsets::from_characters(&self.text, position as usize - 1)),
                None => statement.range.clone(),
            };
            Some((range, error.message.as_str()))
        })
    }
}

/// Returns the range of the word, or of the other character, that starts at a byte offset. If the text ends there,
/// returns the range of the last word.
pub(super) fn word_at(text: &str, byte: usize) -> Range<usize> {
    let is_word = |character: &char| character.is_alphanumeric() || *character == '_';
    let rest = text.get(byte..).unwrap_or_default();
    let length: usize = rest.chars().take_while(is_word).map(char::len_utf8).sum();
    let length = if length > 0 { length } else { rest.chars().next().map_or(0, char::len_utf8) };
    if length > 0 {
        return byte..byte + length;
    }
    let before = text.get(..byte).unwrap_or(text).trim_end();
    let length: usize = before.chars().rev().take_while(is_word).map(char::len_utf8).sum();
    before.len() - length..before.len()
}

/// The text that "Run" would run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    /// There is no statement.
    Nothing,
    Selection(Range<usize>),
    Statement {
        index: usize,
        count: usize,
        range: Range<usize>,
    },
}

impl Target {
    pub(super) fn of(text: &str, editor_selection: EditorSelection, parsed: Option<&Parsed>) -> Self {
        let selection = editor_selection.start..editor_selection.end;
        if text.get(selection.clone()).is_some_and(|selected| !selected.trim().is_empty()) {
            return Self::Selection(selection);
        }
        // Uses the server's ranges if they belong to this text.
        let ranges = match parsed.filter(|parsed| *parsed.text == *text) {
            Some(parsed) => parsed.statements.iter().map(|statement| statement.range.clone()).collect(),
            None => split::statements(text),
        };
        let index = split::at_cursor(&ranges, editor_selection.cursor);
        match index.and_then(|index| Some((index, ranges.get(index)?.clone()))) {
            Some((index, range)) => Self::Statement { index, count: ranges.len(), range },
            None => Self::Nothing,
        }
    }

    pub(super) fn range(&self) -> Option<Range<usize>> {
        match self {
            Self::Nothing => None,
            Self::Selection(range) | Self::Statement { range, .. } => Some(range.clone()),
        }
    }

    /// Returns the text after "Run" on the button.
    pub(super) fn label(&self) -> String {
        match self {
            Self::Selection(_) => " selection".to_owned(),
            Self::Statement { index, count, .. } if *count > 1 => format!(" statement {} of {count}", index + 1),
            _ => String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selection_takes_precedence_over_the_cursor() {
        let text = "select 1; select 2;";
        for (editor_selection, expected) in [
            (EditorSelection { cursor: 3, start: 3, end: 3 }, " statement 1 of 2"),
            (EditorSelection { cursor: 12, start: 12, end: 12 }, " statement 2 of 2"),
            (EditorSelection { cursor: 8, start: 0, end: 8 }, " selection"),
            (EditorSelection { cursor: 10, start: 9, end: 10 }, " statement 2 of 2"),
        ] {
            assert_eq!(Target::of(text, editor_selection, None).label(), expected);
        }
        assert_eq!(Target::of(" -- x", EditorSelection::default(), None), Target::Nothing);
    }

    #[test]
    fn words_are_found_at_and_before_a_byte() {
        for (byte, expected) in [(0, "select"), (7, "1"), (9, "frm"), (12, "frm")] {
            let text = "select 1 frm";
            assert_eq!(text.get(word_at(text, byte)), Some(expected));
        }
    }
}
