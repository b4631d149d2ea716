//! Time-based one-time passwords (RFC 6238) with the parameters that every authenticator app supports: HMAC-SHA-1, six
//! digits, steps of 30 seconds.

use data_encoding::BASE32_NOPAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use rand::RngCore as _;
use sha1::Sha1;
use zeroize::Zeroizing;

use crate::secrets::constant_time_eq;

const STEP_SECONDS: i64 = 30;
pub(super) const DIGITS: usize = 6;
/// Maximum number of steps by which the clock of the user's device may differ.
const MAX_SKEW_STEPS: i64 = 1;
/// Length of a secret: that of an HMAC-SHA-1 value, as RFC 4226 recommends in section 4.
const SECRET_BYTES: usize = 20;
/// Characters that stay as they are in the label of a URI.
const LABEL: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'@');

/// The secret that the user's authenticator app and the server share.
pub(super) struct TotpSecret(Zeroizing<Vec<u8>>);

impl TotpSecret {
    pub(super) fn generate() -> Self {
        let mut bytes = Zeroizing::new(vec![0; SECRET_BYTES]);
        rand::rng().fill_bytes(&mut bytes);
        Self(bytes)
    }

    pub(super) fn from_bytes(bytes: Zeroizing<Vec<u8>>) -> Self {
        Self(bytes)
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub(super) fn to_base32(&self) -> String {
        BASE32_NOPAD.encode(&self.0)
    }

    /// Returns the URI that authenticator apps read from a QR code.
    pub(super) fn to_uri(&self, issuer: &str, account: &str) -> String {
        let (issuer, account) = (utf8_percent_encode(issuer, LABEL), utf8_percent_encode(account, LABEL));
        format!(
            "otpauth://totp/{issuer}:{account}?secret={}&issuer={issuer}&algorithm=SHA1&digits={DIGITS}&period={}",
            self.to_base32(),
            STEP_SECONDS
        )
    }

    /// Returns the step whose code this is, if it is at most [`MAX_SKEW_STEPS`] away from the current step, and later
    /// than the last accepted one. `now` is in seconds since 1970.
    pub(super) fn accepted_step(&self, code: &str, now: i64, last_step: Option<i64>) -> Option<i64> {
        let current = now.div_euclid(STEP_SECONDS);
        let mut accepted = None;
        // The loop does not end at a match, so that the time does not depend on which step matches.
        for step in current - MAX_SKEW_STEPS..=current + MAX_SKEW_STEPS {
            let expected = format!("{:0width$}", self.truncated(step) % 10_u32.pow(DIGITS as u32), width = DIGITS);
            if constant_time_eq(expected.as_bytes(), code.as_bytes()) && last_step.is_none_or(|last| step > last) {
                accepted = Some(step);
            }
        }
        accepted
    }

    /// Returns the 31 bits from which a code is computed (RFC 4226, section 5.3).
    fn truncated(&self, step: i64) -> u32 {
        // HMAC takes keys of any length.
        let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(&self.0) else { return 0 };
        mac.update(&step.to_be_bytes());
        let digest = mac.finalize().into_bytes();
        let offset = usize::from(digest[digest.len() - 1] & 0xf);
        let mut bytes = [0; 4];
        bytes.copy_from_slice(&digest[offset..offset + 4]);
        u32::from_be_bytes(bytes) & 0x7fff_ffff
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rfc_secret() -> TotpSecret {
        TotpSecret(Zeroizing::new(b"12345678901234567890".to_vec()))
    }

    /// The vectors of RFC 6238, appendix B, for SHA-1: seconds since 1970, and eight digits.
    const VECTORS: [(i64, u32); 6] = [
        (59, 94_287_082),
        (1_111_111_109, 7_081_804),
        (1_111_111_111, 14_050_471),
        (1_234_567_890, 89_005_924),
        (2_000_000_000, 69_279_037),
        (20_000_000_000, 65_353_130),
    ];

    #[test]
    fn codes_are_those_of_rfc_6238() {
        for (seconds, code) in VECTORS {
            assert_eq!(rfc_secret().truncated(seconds / STEP_SECONDS) % 100_000_000, code, "{seconds}");
            let six_digits = format!("{:06}", code % 1_000_000);
            let step = seconds / STEP_SECONDS;
            assert_eq!(rfc_secret().accepted_step(&six_digits, seconds, None), Some(step), "{seconds}");
        }
    }

    #[test]
    fn code_is_accepted_one_step_early_or_late_and_once() {
        let secret = rfc_secret();
        for (now, is_accepted) in [(-1, false), (0, true), (29, true), (59, true), (89, true), (90, false)] {
            // The code of seconds 30 to 59.
            assert_eq!(secret.accepted_step("287082", now, None), is_accepted.then_some(1), "{now}");
        }
        assert_eq!(secret.accepted_step("287082", 59, Some(0)), Some(1));
        assert_eq!(secret.accepted_step("287082", 59, Some(1)), None);
        assert_eq!(secret.accepted_step("287082", 59, Some(2)), None);
        for wrong in ["287083", "94287082", "87082", "", "２８７０８２"] {
            assert_eq!(secret.accepted_step(wrong, 59, None), None, "{wrong}");
        }
    }

    #[test]
    fn uri_contains_the_secret_and_names_issuer_and_account() {
        let uri = rfc_secret().to_uri("Shop & Söhne: 1", "ada@example.com");
        let issuer = "Shop%20%26%20S%C3%B6hne%3A%201";
        let expected = format!(
            "otpauth://totp/{issuer}:ada@example.com?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer={issuer}\
             &algorithm=SHA1&digits=6&period=30"
        );
        assert_eq!(uri, expected);
        assert_eq!(TotpSecret::generate().to_base32().len(), 32);
    }
}
