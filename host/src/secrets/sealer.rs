//! Seals values with the master key, and opens them.

use std::{fmt, sync::Arc};

use aes_gcm::{
    Aes256Gcm, KeyInit,
    aead::{Aead, Payload},
};
use base64::Engine;
use rand::RngCore;
use zeroize::Zeroizing;

use super::DerivedKey;

const VERSION: u8 = 1;
const KEY_ID_BYTES: usize = 8;
const NONCE_BYTES: usize = 12;
const HEADER_BYTES: usize = 1 + KEY_ID_BYTES + NONCE_BYTES;

/// Id of a master key: the first bytes of a hash. The key can't be derived from it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyId([u8; KEY_ID_BYTES]);

impl KeyId {
    /// Number of bytes at the beginning of a sealed value that name the key.
    pub(super) const HEADER_BYTES: usize = 1 + KEY_ID_BYTES;

    /// Reads the id of the key from the beginning of a sealed value. Returns `None` if the value is malformed.
    pub(super) fn of_header(header: &[u8]) -> Option<Self> {
        let id = header.strip_prefix(&[VERSION])?.get(..KEY_ID_BYTES)?;
        Some(Self(id.try_into().ok()?))
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

/// The 32 bytes with which the platform's secrets are sealed.
#[derive(Clone)]
pub struct MasterKey(Zeroizing<[u8; 32]>);

/// The error for a string that is not a master key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not 32 bytes in base64")]
pub struct MasterKeyError;

impl MasterKey {
    /// Parses 32 bytes of standard or URL-safe base64, with or without padding.
    ///
    /// # Errors
    /// Fails if `text` is not base64 of 32 bytes.
    pub fn from_base64(text: &str) -> Result<Self, MasterKeyError> {
        use base64::{alphabet, engine};
        const CONFIG: engine::GeneralPurposeConfig =
            engine::GeneralPurposeConfig::new().with_decode_padding_mode(engine::DecodePaddingMode::Indifferent);
        let alphabet = if text.contains(['-', '_']) { alphabet::URL_SAFE } else { alphabet::STANDARD };
        let bytes = Zeroizing::new(
            engine::GeneralPurpose::new(&alphabet, CONFIG).decode(text.trim()).map_err(|_| MasterKeyError)?,
        );
        let key: [u8; 32] = bytes.as_slice().try_into().map_err(|_| MasterKeyError)?;
        Ok(Self(Zeroizing::new(key)))
    }

    /// Generates a random key.
    pub fn generate() -> Self {
        let mut key = Zeroizing::new([0; 32]);
        rand::rng().fill_bytes(key.as_mut());
        Self(key)
    }

    pub fn to_base64(&self) -> Zeroizing<String> {
        Zeroizing::new(base64::engine::general_purpose::STANDARD.encode(self.0.as_slice()))
    }

    /// Derives a key for one purpose.
    pub fn derive(&self, purpose: &str) -> DerivedKey {
        DerivedKey::new(&self.0, purpose)
    }

    /// Returns the id of this key.
    pub fn id(&self) -> KeyId {
        let mut input = Zeroizing::new(b"atlashub master key id".to_vec());
        input.extend_from_slice(self.0.as_ref());
        let mut id = [0; KEY_ID_BYTES];
        id.copy_from_slice(&super::sha256(&input)[..KEY_ID_BYTES]);
        KeyId(id)
    }
}

/// The reason why a value could not be sealed or opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    #[error("not a sealed value")]
    Malformed,
    #[error(
        "sealed with master key {0}, which is not configured; \
         set PLATFORM_MASTER_KEY or PLATFORM_MASTER_KEY_PREVIOUS to it"
    )]
    UnknownKey(KeyId),
    #[error("the sealed value was changed, or belongs to another row")]
    Forged,
    #[error("sealing failed")]
    Encrypt,
}

/// Seals values with the current key, and opens values that the current key or a previous one sealed.
///
/// AES-256-GCM. Layout: version, key id, random 96-bit nonce, ciphertext with tag. The identity of the row, such as
/// `project_db_creds/<project>/<role>`, is authenticated too, so that a value copied to another row can't be opened.
#[derive(Clone)]
pub struct Sealer {
    current: KeyId,
    keys: Arc<[(KeyId, Aes256Gcm)]>,
}

impl Sealer {
    /// Creates a sealer. Previous keys only open values. A previous master key is given while the master key is
    /// rotated.
    pub fn new<'a>(current: &'a MasterKey, previous: impl IntoIterator<Item = &'a MasterKey>) -> Self {
        let keys =
            std::iter::once(current).chain(previous).map(|key| (key.id(), Aes256Gcm::new(&(*key.0).into()))).collect();
        Self { current: current.id(), keys }
    }

    /// Returns the id of the key with which new values are sealed.
    pub fn current_key(&self) -> KeyId {
        self.current
    }

    /// Returns the ids of the previous keys.
    pub fn previous_keys(&self) -> impl Iterator<Item = KeyId> {
        self.keys.iter().skip(1).map(|(id, _)| *id)
    }

    /// Returns whether this sealer has the key, so that it opens values that the key sealed.
    pub fn has_key(&self, id: KeyId) -> bool {
        self.keys.iter().any(|(key, _)| *key == id)
    }

    /// Returns whether the value is sealed with the current key.
    pub fn is_current(&self, sealed: &[u8]) -> bool {
        sealed.len() > HEADER_BYTES && sealed[0] == VERSION && sealed[1..=KEY_ID_BYTES] == self.current.0
    }

    /// Seals a value for a row.
    ///
    /// # Errors
    /// Fails if the value is too long for AES-GCM.
    pub fn seal(&self, plain: &[u8], identity: &str) -> Result<Vec<u8>, SealError> {
        let cipher = self.cipher(self.current)?;
        let mut sealed = Vec::with_capacity(HEADER_BYTES + plain.len() + 16);
        sealed.push(VERSION);
        sealed.extend_from_slice(&self.current.0);
        let mut nonce = [0; NONCE_BYTES];
        rand::rng().fill_bytes(&mut nonce);
        sealed.extend_from_slice(&nonce);
        let payload = Payload { msg: plain, aad: identity.as_bytes() };
        let ciphertext = cipher.encrypt(&nonce.into(), payload).map_err(|_| SealError::Encrypt)?;
        sealed.extend_from_slice(&ciphertext);
        Ok(sealed)
    }

    /// Opens a value that was sealed for the same row.
    ///
    /// # Errors
    /// Fails if the value is malformed, was changed, belongs to another row, or was sealed with a key that this sealer
    /// does not have.
    pub fn open(&self, sealed: &[u8], identity: &str) -> Result<Zeroizing<Vec<u8>>, SealError> {
        if sealed.len() < HEADER_BYTES + 16 || sealed[0] != VERSION {
            return Err(SealError::Malformed);
        }
        let mut id = [0; KEY_ID_BYTES];
        id.copy_from_slice(&sealed[1..=KEY_ID_BYTES]);
        let cipher = self.cipher(KeyId(id))?;
        let mut nonce = [0; NONCE_BYTES];
        nonce.copy_from_slice(&sealed[1 + KEY_ID_BYTES..HEADER_BYTES]);
        let payload = Payload { msg: &sealed[HEADER_BYTES..], aad: identity.as_bytes() };
        cipher.decrypt(&nonce.into(), payload).map(Zeroizing::new).map_err(|_| SealError::Forged)
    }

    fn cipher(&self, id: KeyId) -> Result<&Aes256Gcm, SealError> {
        self.keys.iter().find(|(key, _)| *key == id).map(|(_, cipher)| cipher).ok_or(SealError::UnknownKey(id))
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealer").field("current", &self.current).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sealed_value_opens_only_with_its_identity() {
        let sealer = Sealer::new(&MasterKey::generate(), None);
        let sealed = sealer.seal(b"password", "creds/a/owner").unwrap();
        assert_eq!(sealer.open(&sealed, "creds/a/owner").unwrap().as_slice(), b"password");
        assert_eq!(sealer.open(&sealed, "creds/b/owner").unwrap_err(), SealError::Forged);
        for i in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[i] ^= 1;
            assert!(sealer.open(&changed, "creds/a/owner").is_err(), "byte {i}");
            assert!(sealer.open(&sealed[..i], "creds/a/owner").is_err());
        }
        assert_ne!(sealed, sealer.seal(b"password", "creds/a/owner").unwrap());
    }

    #[test]
    fn previous_key_opens_but_does_not_seal() {
        let (old, new) = (MasterKey::generate(), MasterKey::generate());
        let sealed = Sealer::new(&old, None).seal(b"x", "row").unwrap();
        assert_eq!(Sealer::new(&new, None).open(&sealed, "row").unwrap_err(), SealError::UnknownKey(old.id()));
        let both = Sealer::new(&new, Some(&old));
        assert_eq!(both.open(&sealed, "row").unwrap().as_slice(), b"x");
        assert!(!both.is_current(&sealed));
        assert!(both.is_current(&both.seal(b"x", "row").unwrap()));
        assert_eq!(both.previous_keys().collect::<Vec<_>>(), [old.id()]);
        assert!(both.has_key(old.id()) && both.has_key(new.id()) && !both.has_key(MasterKey::generate().id()));
    }

    #[test]
    fn sealed_value_names_its_key() {
        let key = MasterKey::generate();
        let sealed = Sealer::new(&key, None).seal(b"x", "row").unwrap();
        assert_eq!(KeyId::of_header(&sealed[..KeyId::HEADER_BYTES]), Some(key.id()));
        assert_eq!(KeyId::of_header(&sealed[..KeyId::HEADER_BYTES - 1]), None);
        assert_eq!(KeyId::of_header(&sealed[1..]), None);
    }

    #[test]
    fn derived_keys_differ_by_master_key_purpose_and_message() {
        let (key, other) = (MasterKey::generate(), MasterKey::generate());
        let mac = key.derive("names").mac(&[b"a", b"b"]);
        assert_eq!(mac, key.derive("names").mac(&[b"ab"]));
        for different in
            [key.derive("names").mac(&[b"b"]), key.derive("other").mac(&[b"ab"]), other.derive("names").mac(&[b"ab"])]
        {
            assert_ne!(mac, different);
        }
    }

    #[test]
    fn master_key_is_32_bytes_of_base64() {
        let key = MasterKey::generate();
        assert_eq!(MasterKey::from_base64(&key.to_base64()).unwrap().id(), key.id());
        assert!(MasterKey::from_base64("AAAA").is_err());
        assert!(MasterKey::from_base64("not base64 at all").is_err());
    }
}
