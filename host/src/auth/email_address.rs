//! Checks the e-mail addresses of users, and converts them to lowercase.

use crate::error::{ApiError, ApiResult};

/// Maximum length of an e-mail address that mail servers accept (RFC 5321).
const MAX_BYTES: usize = 254;
const MAX_LOCAL_BYTES: usize = 64;

/// A valid e-mail address in lowercase. Equal addresses are equal strings.
///
/// Only ASCII is accepted, because two different e-mail addresses in Unicode can look the same, or become the same in
/// lowercase, and one of them could then receive the other's mail. Domains in other scripts have an ASCII form
/// (punycode).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct EmailAddress(String);

impl EmailAddress {
    /// Parses an e-mail address and converts it to lowercase.
    ///
    /// # Errors
    /// Returns 400 if `text` is not a valid e-mail address.
    pub(super) fn parse(text: &str) -> ApiResult<Self> {
        if !text.is_ascii() {
            return Err(ApiError::invalid("`email` contains characters that are not ASCII.").with_hint(
                "Write the domain in its ASCII form, which begins with `xn--`. Before the `@`, only ASCII is allowed.",
            ));
        }
        let is_valid = text.len() <= MAX_BYTES
            && text.rsplit_once('@').is_some_and(|(local, domain)| is_local_part(local) && is_domain(domain));
        match is_valid {
            true => Ok(Self(text.to_ascii_lowercase())),
            false => Err(ApiError::invalid("`email` is not an e-mail address.")
                .with_hint("Send an e-mail address such as `ada@example.com`.")),
        }
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Accepts a dot-atom (RFC 5322). Quoted local parts are refused; hardly any e-mail address has one.
fn is_local_part(text: &str) -> bool {
    text.len() <= MAX_LOCAL_BYTES
        && text.split('.').all(|atom| {
            !atom.is_empty()
                && atom.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&byte))
        })
}

fn is_domain(text: &str) -> bool {
    text.split('.').all(|label| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_checked_and_lowercased() {
        for (text, expected) in [
            ("ada@example.com", Some("ada@example.com")),
            ("Ada.Lovelace+news@Example.COM", Some("ada.lovelace+news@example.com")),
            ("o'brien@xn--mnchen-3ya.de", Some("o'brien@xn--mnchen-3ya.de")),
            ("root@localhost", Some("root@localhost")),
            ("", None),
            ("ada", None),
            ("@example.com", None),
            ("ada@", None),
            ("ada@@example.com", None),
            ("a b@example.com", None),
            (" ada@example.com", None),
            ("ada@example.com\r\nBcc: eve@example.com", None),
            ("ada@example.com,eve@example.com", None),
            ("<ada@example.com>", None),
            ("\"ada\"@example.com", None),
            ("ada..lovelace@example.com", None),
            ("ada@-example.com", None),
            ("ada@example..com", None),
            ("ada@exa_mple.com", None),
            ("ada\0@example.com", None),
            // The Kelvin sign, whose lowercase is `k`.
            ("mi\u{212a}e@example.com", None),
            ("\u{ff41}da@example.com", None),
        ] {
            assert_eq!(EmailAddress::parse(text).ok().as_ref().map(EmailAddress::as_str), expected, "{text:?}");
        }
        let long = format!("{}@example.com", "a".repeat(65));
        assert!(EmailAddress::parse(&long).is_err());
    }
}
