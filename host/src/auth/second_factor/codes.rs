//! The codes that a user types: codes of the authenticator app, and recovery codes.

use data_encoding::BASE32_NOPAD;
use rand::RngCore as _;

use super::totp::DIGITS;
use crate::secrets::sha256;

/// Number of recovery codes that a user receives.
const RECOVERY_CODES: usize = 10;
/// Number of random bytes in a recovery code. Nobody can guess a code with 80 random bits, even if its hash is known.
const RECOVERY_CODE_BYTES: usize = 10;
/// Characters of a recovery code without its hyphens.
const RECOVERY_CODE_CHARS: usize = 16;
const GROUP_CHARS: usize = 4;

/// A code that a user typed as the second factor.
pub(super) enum GivenCode {
    /// A code of the authenticator app.
    Totp(String),
    /// The hash of a recovery code.
    Recovery([u8; 32]),
}

impl GivenCode {
    /// Parses a code. Returns `None` if `text` is of neither kind. Spaces, hyphens and case don't matter.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let text: String = text.chars().filter(|c| !c.is_whitespace() && *c != '-').take(64).collect();
        match text.len() {
            DIGITS if text.bytes().all(|byte| byte.is_ascii_digit()) => Some(Self::Totp(text)),
            RECOVERY_CODE_CHARS if text.is_ascii() => Some(Self::Recovery(hash(&text))),
            _ => None,
        }
    }
}

fn hash(code: &str) -> [u8; 32] {
    sha256(code.to_ascii_lowercase().as_bytes())
}

/// A recovery code with its hash.
pub(super) struct RecoveryCode {
    pub text: String,
    pub hash: [u8; 32],
}

/// Returns new recovery codes, such as `k3hd-q2wy-7mva-x5ne`.
pub(super) fn recovery_codes() -> Vec<RecoveryCode> {
    let generate = |_| {
        let mut bytes = [0; RECOVERY_CODE_BYTES];
        rand::rng().fill_bytes(&mut bytes);
        let code = BASE32_NOPAD.encode(&bytes).to_lowercase();
        let groups: Vec<_> = code.as_bytes().chunks(GROUP_CHARS).map(String::from_utf8_lossy).collect();
        RecoveryCode { text: groups.join("-"), hash: hash(&code) }
    };
    (0..RECOVERY_CODES).map(generate).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typed_codes_are_recognized_by_their_length() {
        for text in ["123456", " 123 456 ", "123-456"] {
            assert!(matches!(GivenCode::parse(text), Some(GivenCode::Totp(code)) if code == "123456"), "{text}");
        }
        for text in ["", "12345", "1234567", "12345a", "１２３４５６", "abcd-efgh", &"a".repeat(1000)] {
            assert!(GivenCode::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn recovery_codes_differ_and_are_recognized_without_regard_to_case_and_hyphens() {
        let codes = recovery_codes();
        assert_eq!(codes.len(), RECOVERY_CODES);
        let texts: std::collections::BTreeSet<_> = codes.iter().map(|code| &code.text).collect();
        assert_eq!(texts.len(), RECOVERY_CODES);
        for code in &codes {
            for text in [code.text.clone(), code.text.to_uppercase(), code.text.replace('-', " ")] {
                assert!(matches!(GivenCode::parse(&text), Some(GivenCode::Recovery(hash)) if hash == code.hash));
            }
        }
    }
}
