//! Converts positions in a text. The page counts bytes, JavaScript counts UTF-16 code units, Postgres counts
//! characters.

/// Returns the byte offset of a UTF-16 offset.
pub(super) fn from_utf16(text: &str, offset: usize) -> usize {
    let mut units = 0;
    for (byte, character) in text.char_indices() {
        if units >= offset {
            return byte;
        }
        units += character.len_utf16();
    }
    text.len()
}

/// Returns the UTF-16 offset of a byte offset.
pub(super) fn to_utf16(text: &str, byte: usize) -> usize {
    text.char_indices().take_while(|(start, _)| *start < byte).map(|(_, character)| character.len_utf16()).sum()
}

/// Returns the byte offset of a character, counted from 0.
pub(super) fn from_characters(text: &str, characters: usize) -> usize {
    text.char_indices().nth(characters).map_or(text.len(), |(byte, _)| byte)
}

/// Returns the line and column of a byte offset, both counted from 1.
pub(super) fn line_and_column(text: &str, byte: usize) -> (usize, usize) {
    let before = text.get(..byte).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |line| line.chars().count()) + 1;
    (line, column)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_convert_both_ways() {
        let text = "aé😀b";
        for (byte, utf16, character) in [(0, 0, 0), (1, 1, 1), (3, 2, 2), (7, 4, 3), (8, 5, 4)] {
            assert_eq!(from_utf16(text, utf16), byte);
            assert_eq!(to_utf16(text, byte), utf16);
            assert_eq!(from_characters(text, character), byte);
        }
    }

    #[test]
    fn lines_and_columns_start_at_one() {
        assert_eq!(line_and_column("ab\ncd", 0), (1, 1));
        assert_eq!(line_and_column("ab\ncd", 4), (2, 2));
    }
}
