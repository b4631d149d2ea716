//! Refuses passwords that are too short, too long or too common.

use crate::error::{ApiError, ApiResult, Code};

/// Maximum length of a password, in bytes. It bounds the work of hashing.
pub(super) const MAX_BYTES: usize = 1024;
/// The passwords that attackers try first, in lowercase, one per line.
const COMMON: &str = include_str!("common_passwords.txt");

/// Checks a new password: its length, and that it is neither the user's e-mail address nor one of the most common
/// passwords. There are no rules about its characters, because such rules make passwords harder to remember, not harder
/// to guess (NIST SP 800-63B).
///
/// # Errors
/// Returns 400 `weak_password` if the password is refused.
pub(super) fn check(password: &str, min_chars: i32, email: &str) -> ApiResult<()> {
    let weak = |message: String| Err(ApiError::new(Code::WeakPassword, message).with_hint("Choose another password."));
    if password.len() > MAX_BYTES {
        return weak(format!("The password is longer than {MAX_BYTES} bytes."));
    }
    if i32::try_from(password.chars().count()).is_ok_and(|chars| chars < min_chars) {
        return weak(format!("The password has fewer than {min_chars} characters."));
    }
    let lowercase = password.to_lowercase();
    if lowercase == email || COMMON.lines().any(|common| common == lowercase) {
        return weak("The password is too easy to guess.".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_that_are_short_long_common_or_the_address_are_refused() {
        for (password, is_good) in [
            ("correct horse battery staple", true),
            ("zzzzzzzv", true),
            ("seven77", false),
            ("Password123", false),
            ("12345678", false),
            ("ada@example.com", false),
            ("ünïcödé!", true),
            (&"a".repeat(MAX_BYTES), true),
            (&"a".repeat(MAX_BYTES + 1), false),
        ] {
            assert_eq!(check(password, 8, "ada@example.com").is_ok(), is_good, "{password}");
        }
    }
}
