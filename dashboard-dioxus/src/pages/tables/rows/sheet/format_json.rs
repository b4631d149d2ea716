//! Indents JSON documents.

/// Returns a JSON text with indents. Numbers, escapes and the order of members stay as they are. `None` if the text is
/// not JSON.
pub(super) fn format_json(text: &str) -> Option<String> {
    serde_json::from_str::<&serde_json::value::RawValue>(text).ok()?;
    let mut formatted = String::with_capacity(text.len() * 2);
    let mut depth = 0_usize;
    let (mut in_string, mut escaped) = (false, false);
    let mut characters = text.trim().chars().peekable();
    let newline = |formatted: &mut String, depth: usize| {
        formatted.push('\n');
        formatted.push_str(&"  ".repeat(depth));
    };
    while let Some(character) = characters.next() {
        if in_string {
            formatted.push(character);
            (in_string, escaped) = (character != '"' || escaped, character == '\\' && !escaped);
            continue;
        }
        match character {
            '"' => {
                in_string = true;
                formatted.push(character);
            }
            '{' | '[' => {
                formatted.push(character);
                while characters.peek().is_some_and(|next| next.is_whitespace()) {
                    characters.next();
                }
                if characters.peek().is_some_and(|next| matches!(next, '}' | ']')) {
                    formatted.extend(characters.next());
                } else {
                    depth += 1;
                    newline(&mut formatted, depth);
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                newline(&mut formatted, depth);
                formatted.push(character);
            }
            ',' => {
                formatted.push(',');
                newline(&mut formatted, depth);
            }
            ':' => formatted.push_str(": "),
            other if other.is_whitespace() => {}
            other => formatted.push(other),
        }
    }
    Some(formatted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_indented_without_changing_values() {
        for (text, formatted) in [
            (r#"{"a":1.10,"b":[]}"#, Some("{\n  \"a\": 1.10,\n  \"b\": []\n}")),
            (r#"["x\",{:", 9007199254740993]"#, Some("[\n  \"x\\\",{:\",\n  9007199254740993\n]")),
            ("{ }", Some("{}")),
            ("12", Some("12")),
            ("{a", None),
        ] {
            assert_eq!(format_json(text).as_deref(), formatted, "{text}");
        }
    }
}
