//! Decides whether browsers open or save a downloaded object (RFC 6266, RFC 8187).

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// Returns whether a browser would run scripts in an object of this type. An object opened from the store's own origin
/// could then access everything else that the origin serves. A malformed type counts as active.
pub(super) fn is_active(content_type: Option<&str>) -> bool {
    // Without a type, browsers guess one from the bytes.
    let Some(content_type) = content_type else { return true };
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let Some((_, subtype)) = essence.split_once('/') else { return true };
    matches!(subtype, "html" | "xml" | "xsl" | "xslt" | "related" | "x-mixed-replace") || subtype.ends_with("+xml")
}

/// Every character except `attr-char` of RFC 8187.
const NON_ATTR_CHAR: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'!')
    .remove(b'#')
    .remove(b'$')
    .remove(b'&')
    .remove(b'+')
    .remove(b'-')
    .remove(b'.')
    .remove(b'^')
    .remove(b'_')
    .remove(b'`')
    .remove(b'|')
    .remove(b'~');

/// Returns a `Content-Disposition` that makes browsers save the response as `file_name`. A name with characters that
/// the plain form can't contain is given twice: simplified for old clients, and in full.
pub(super) fn attachment(file_name: &str) -> String {
    let plain: String = file_name
        .chars()
        .map(|character| match character {
            // In the plain form, some clients decode percent signs and some stop at a backslash.
            '"' | '\\' | '%' | '/' => '_',
            ' '..='~' => character,
            _ => '_',
        })
        .collect();
    if plain == file_name {
        return format!("attachment; filename=\"{plain}\"");
    }
    format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{}", utf8_percent_encode(file_name, NON_ATTR_CHAR))
}

/// Returns whether `name` may be the name of a saved file: 1 to 255 bytes, neither `.` nor `..`, and no slash,
/// backslash, control character, line separator or mark of text direction.
pub(super) fn is_file_name(name: &str) -> bool {
    (1..=255).contains(&name.len())
        && !matches!(name, "." | "..")
        && !name.chars().any(|character| {
            character.is_control()
                || matches!(character, '/' | '\\' | '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}')
                || matches!(character, '\u{2066}'..='\u{2069}')
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_that_run_scripts_are_active() {
        for active in
            ["text/html", "TEXT/HTML; charset=utf-8", "image/svg+xml", "application/xhtml+xml", "text/xml", "x"]
        {
            assert!(is_active(Some(active)), "{active}");
        }
        assert!(is_active(None));
        for passive in ["image/png", "application/pdf", "text/plain", "video/mp4", "application/json"] {
            assert!(!is_active(Some(passive)), "{passive}");
        }
    }

    #[test]
    fn attachment_header_names_the_file() {
        for (name, header) in [
            ("a.txt", "attachment; filename=\"a.txt\""),
            ("my file.txt", "attachment; filename=\"my file.txt\""),
            ("a\"b.txt", "attachment; filename=\"a_b.txt\"; filename*=UTF-8''a%22b.txt"),
            ("100%.txt", "attachment; filename=\"100_.txt\"; filename*=UTF-8''100%25.txt"),
            ("naïve €.txt", "attachment; filename=\"na_ve _.txt\"; filename*=UTF-8''na%C3%AFve%20%E2%82%AC.txt"),
            ("it's (1).txt", "attachment; filename=\"it's (1).txt\""),
        ] {
            assert_eq!(attachment(name), header);
        }
        assert!(is_file_name("naïve €.txt"));
        for bad in ["", ".", "..", "a/b", "a\\b", "a\nb", "a\u{202e}b", &"x".repeat(256)] {
            assert!(!is_file_name(bad), "{bad:?}");
        }
    }
}
