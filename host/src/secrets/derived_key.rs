//! Keys that are derived from the master key.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

/// A key for one purpose, derived from a master key. It reveals nothing about the master key or the keys for other
/// purposes.
#[derive(Clone)]
pub struct DerivedKey(Zeroizing<[u8; 32]>);

impl DerivedKey {
    pub(super) fn new(master: &[u8; 32], purpose: &str) -> Self {
        Self(Zeroizing::new(hmac_sha256(master, &[b"atlashub derived key: ", purpose.as_bytes()])))
    }

    /// Returns the HMAC-SHA256 of the concatenated parts.
    pub fn mac(&self, parts: &[&[u8]]) -> [u8; 32] {
        hmac_sha256(&self.0, parts)
    }
}

fn hmac_sha256(key: &[u8; 32], parts: &[&[u8]]) -> [u8; 32] {
    // HMAC fills up a key that is shorter than the block of 64 bytes with zeros.
    let mut block = Zeroizing::new([0_u8; 64]);
    block[..32].copy_from_slice(key);
    let mut mac = Hmac::<Sha256>::new(&(*block).into());
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}
