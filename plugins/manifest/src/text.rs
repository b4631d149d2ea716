//! Characters that must not be in an author's texts, because they could deceive the owner who reads the texts before
//! approving the plugin.

/// Returns whether a character can make a text look like another: control characters, characters that change the
/// direction of text, and invisible ones. Joiners (U+200C and U+200D) are allowed, because scripts and emoji need them.
pub fn is_deceptive(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}'
                | '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'
                | '\u{200e}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

/// Returns the text with an escape in place of each character that can make it look like another.
pub fn escape_deceptive(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if is_deceptive(character) {
            escaped.extend(character.escape_default());
        } else {
            escaped.push(character);
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deceptive_characters_are_escaped() {
        assert_eq!(escape_deceptive("a\u{202e}ü\n"), r"a\u{202e}ü\n");
    }
}
