//! Content types: which are well-formed (RFC 9110, section 8.3.1), which run code when a browser opens them, and
//! the header that makes a browser save instead of open (RFC 6266, RFC 8187).

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// Longest content type in bytes.
const MAX_BYTES: usize = 255;

/// `type/subtype`, with parameters or without; no spaces but one after a semicolon, since signers fold them.
pub(super) fn is_media_type(text: &str) -> bool {
    if text.len() > MAX_BYTES {
        return false;
    }
    let mut parts = text.split(';');
    let essence = parts.next().unwrap_or_default();
    let Some((kind, subtype)) = essence.split_once('/') else { return false };
    is_token(kind) && is_token(subtype) && parts.all(is_parameter)
}

fn is_parameter(text: &str) -> bool {
    let text = text.strip_prefix(' ').unwrap_or(text);
    let Some((name, value)) = text.split_once('=') else { return false };
    let quoted = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
    is_token(name)
        && quoted.map_or_else(|| is_token(value), |value| !value.is_empty() && value.bytes().all(is_quotable))
}

/// What may stand between quotes without being escaped; no spaces, which signers fold.
fn is_quotable(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\' | b';')
}

fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// True for what a browser would run scripts of: opened from the store's own address, such an object could reach
/// whatever else is served there. A type that can't be read counts as active.
pub(super) fn is_active(content_type: Option<&str>) -> bool {
    // Without a type browsers look into the bytes.
    let Some(content_type) = content_type else { return true };
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let Some((_, subtype)) = essence.split_once('/') else { return true };
    matches!(subtype, "html" | "xml" | "xsl" | "xslt" | "related" | "x-mixed-replace") || subtype.ends_with("+xml")
}

/// Everything but `attr-char` of RFC 8187.
const EXTENDED: &AsciiSet = &NON_ALPHANUMERIC
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

/// `Content-Disposition` that saves the answer as `file_name`: in plain ASCII for old clients, and whole.
pub(super) fn attachment(file_name: &str) -> String {
    let plain: String = file_name
        .chars()
        .map(|character| match character {
            // Some clients decode percent signs in the plain form, some end it at a backslash.
            '"' | '\\' | '%' | '/' => '_',
            ' '..='~' => character,
            _ => '_',
        })
        .collect();
    if plain == file_name {
        return format!("attachment; filename=\"{plain}\"");
    }
    format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{}", utf8_percent_encode(file_name, EXTENDED))
}

/// True for a name that a browser can save a file under.
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
    fn media_types() {
        for good in [
            "image/png",
            "text/plain;charset=utf-8",
            "text/plain; charset=UTF-8",
            "text/plain; charset=\"utf-8\"",
            "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
            "image/svg+xml",
            "a/b",
        ] {
            assert!(is_media_type(good), "{good}");
        }
        for bad in [
            "",
            "image",
            "image/",
            "/png",
            "image/png/x",
            "image /png",
            " image/png",
            "image/png ",
            "image/png;",
            "image/png; charset",
            "image/png;  a=b",
            "image/png; a=",
            "image/pñg",
            "image/png\r\nx-a: b",
            "image/*\0",
            "text/plain; a=\"b c\"",
            "text/plain; a=\"",
        ] {
            assert!(!is_media_type(bad), "{bad:?}");
        }
        assert!(!is_media_type(&format!("a/{}", "b".repeat(254))));
    }

    #[test]
    fn active_types() {
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
    fn dispositions() {
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
