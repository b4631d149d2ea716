//! Random tokens and passwords, hashes, and comparison in constant time.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use rand::RngCore;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

const RANDOM_BYTES: usize = 32;
/// Length of [`RANDOM_BYTES`] in base64url.
const RANDOM_CHARS: usize = 43;

pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// Returns `prefix` followed by 32 random bytes in base64url.
pub fn random_token(prefix: &str) -> String {
    let mut token = String::with_capacity(prefix.len() + RANDOM_CHARS);
    token.push_str(prefix);
    URL_SAFE_NO_PAD.encode_string(random_bytes(), &mut token);
    token
}

/// Returns a password for a database role: 32 random bytes in hexadecimal, which need no escaping anywhere.
pub fn random_password() -> Zeroizing<String> {
    Zeroizing::new(hex::encode(random_bytes()))
}

fn random_bytes() -> Zeroizing<[u8; RANDOM_BYTES]> {
    let mut bytes = Zeroizing::new([0; RANDOM_BYTES]);
    rand::rng().fill_bytes(bytes.as_mut());
    bytes
}

/// Returns whether two slices are equal, in a time that depends only on their lengths.
pub fn constant_time_eq(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}
