//! Content types as clients may send them (RFC 9110, section 8.3.1).

/// Maximum length of a content type in bytes.
const MAX_LENGTH: usize = 255;

/// Returns whether `text` is a well-formed `type/subtype` with optional parameters. Allows no spaces except one after
/// a semicolon: signatures are made over headers with folded spaces, so other spaces would not match.
pub(super) fn is_content_type(text: &str) -> bool {
    if text.len() > MAX_LENGTH {
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

/// Returns whether a quoted value may contain `byte` unescaped. Excludes spaces, as above.
fn is_quotable(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\' | b';')
}

fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
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
            "text/plain; charset=\"utf-8\"",
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
            assert!(!is_content_type(bad), "{bad:?}");
        }
        assert!(!is_content_type(&format!("a/{}", "b".repeat(254))));
    }
}
