//! Searches lines, ignoring the case of ASCII letters.

use super::tail::Line;

/// A part of a text, and whether it is a match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) text: String,
    pub(super) is_hit: bool,
}

pub(super) fn is_in(line: &Line, wanted: &str) -> bool {
    position(&line.message, wanted).is_some() || position(&line.fields, wanted).is_some()
}

/// Splits a text before and after every match.
pub(super) fn parts(text: &str, wanted: &str) -> Vec<Part> {
    let part = |text: &str, is_hit| Part { text: text.to_owned(), is_hit };
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(at) = position(rest, wanted).filter(|_| !wanted.is_empty()) {
        let (before, from) = rest.split_at(at);
        let (hit, after) = from.split_at(wanted.len());
        if !before.is_empty() {
            parts.push(part(before, false));
        }
        parts.push(part(hit, true));
        rest = after;
    }
    if !rest.is_empty() {
        parts.push(part(rest, false));
    }
    parts
}

/// Returns the byte offset of the first match. In UTF-8, equal bytes begin and end at the boundaries of characters.
fn position(text: &str, wanted: &str) -> Option<usize> {
    let found = text
        .as_bytes()
        .windows(wanted.len().max(1))
        .position(|window| window.eq_ignore_ascii_case(wanted.as_bytes()))?;
    (text.is_char_boundary(found) && text.is_char_boundary(found + wanted.len())).then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_split_at_matches() {
        let found = parts("Part 1 stored, part 2", "PART");
        let texts: Vec<(&str, bool)> = found.iter().map(|part| (part.text.as_str(), part.is_hit)).collect();
        assert_eq!(texts, [("Part", true), (" 1 stored, ", false), ("part", true), (" 2", false)]);
    }

    #[test]
    fn non_ascii_letters_are_found() {
        assert_eq!(parts("größe", "ö").len(), 3);
        assert_eq!(parts("größe", "").len(), 1);
    }
}
