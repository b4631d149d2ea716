//! Content types as clients may send them (RFC 9110, section 8.3.1).

/// Maximum length of a content type in bytes.
const MAX_LENGTH: usize = 255;

/// Returns whether `text` is a well-formed `type/subtype` with optional parameters.
///
/// Differs from the RFC:
/// - It allows at most 255 bytes.
/// - It allows only printable ASCII and no two spaces in a row, because signatures cover headers with folded spaces.
/// - It allows commas in an unquoted value, because browsers send types such as `video/webm;codecs=vp8,opus`.
pub(super) fn is_content_type(text: &str) -> bool {
    text.len() <= MAX_LENGTH
        && text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ')
        && !text.contains("  ")
        && !text.ends_with(' ')
        && parse(text).is_some()
}

/// Parses `type/subtype *( ";" [ parameter ] )`. Returns `None` if `text` has another form.
fn parse(text: &str) -> Option<()> {
    let rest = skip_token(text)?.strip_prefix('/')?;
    let mut rest = skip_token(rest)?;
    while !rest.is_empty() {
        rest = skip_space(skip_space(rest).strip_prefix(';')?);
        if !rest.is_empty() && !rest.starts_with(';') {
            rest = skip_parameter(rest)?;
        }
    }
    Some(())
}

fn skip_parameter(text: &str) -> Option<&str> {
    let value = skip_token(text)?.strip_prefix('=')?;
    match value.strip_prefix('"') {
        Some(quoted) => skip_quoted(quoted),
        None => skip_while(value, |byte| is_token_byte(byte) || byte == b','),
    }
}

/// Skips a quoted string after its opening quote. A backslash escapes the next character.
fn skip_quoted(text: &str) -> Option<&str> {
    let mut is_escaped = false;
    for (index, byte) in text.bytes().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => return text.get(index + 1..),
            _ => {}
        }
    }
    None
}

fn skip_token(text: &str) -> Option<&str> {
    skip_while(text, is_token_byte)
}

/// Skips at least one byte that satisfies `is_part`.
fn skip_while(text: &str, is_part: impl Fn(u8) -> bool) -> Option<&str> {
    let length = text.bytes().take_while(|byte| is_part(*byte)).count();
    text.get(length..).filter(|_| length > 0)
}

fn skip_space(text: &str) -> &str {
    text.strip_prefix(' ').unwrap_or(text)
}

fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_well_formed_content_types_are_accepted() {
        for good in [
            "image/png",
            "text/plain;charset=utf-8",
            "text/plain; charset=UTF-8",
            "text/plain ; charset=UTF-8",
            "text/plain; charset=\"utf-8\"",
            "text/plain; a=\"b c; d, \\\"e\\\\\"; f=g",
            "text/plain; a=\"\"",
            "video/webm;codecs=vp8,opus",
            "video/mp4; codecs=\"avc1.42E01E, mp4a.40.2\"",
            "application/ld+json;profile=\"http://www.w3.org/ns/anno.jsonld\"",
            "multipart/related; boundary=\"a b\"; type=\"text/xml\"",
            "image/png;",
            "image/png;;a=b",
            "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
            "image/svg+xml",
            "a/b",
        ] {
            assert!(is_content_type(good), "{good}");
        }
        for bad in [
            "",
            "image",
            "image/",
            "/png",
            "image/png/x",
            "image /png",
            "image/ png",
            " image/png",
            "image/png ",
            "image/png; charset",
            "image/png; charset =a",
            "image/png; charset= a",
            "image/png;  a=b",
            "image/png; a=",
            "image/png; =b",
            "image/png a=b",
            "image/png, text/plain",
            "image/pñg",
            "image/png\r\nx-a: b",
            "image/*\0",
            "text/plain; a=\"b\tc\"",
            "text/plain; a=\"b  c\"",
            "text/plain; a=\"",
            "text/plain; a=\"b\\\"",
            "text/plain; a=\"b\"c",
            "text/plain; a=\"é\"",
        ] {
            assert!(!is_content_type(bad), "{bad:?}");
        }
        assert!(!is_content_type(&format!("a/{}", "b".repeat(254))));
    }
}
