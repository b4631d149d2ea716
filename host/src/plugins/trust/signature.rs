//! Parses and checks minisign signatures (<https://jedisct1.github.io/minisign/>). Accepts the prehashed format only.

use base64::{Engine, engine::general_purpose::STANDARD};
use minisign_verify::Signature;

use crate::plugins::package::{PluginKey, Refusal, format_key_id};

const PREHASHED: &[u8] = b"ED";
const LEGACY: &[u8] = b"Ed";
/// Algorithm, key id, Ed25519 signature.
const SIGNATURE_BYTES: usize = 74;

/// A parsed signature. Parsing says nothing about the signed file; see [`DetachedSignature::check`].
pub struct DetachedSignature {
    key_id: String,
    signature: Signature,
}

impl DetachedSignature {
    /// Parses the text of a `.minisig` file. `file` is its name, for the refusal.
    ///
    /// # Errors
    /// Returns [`Refusal::MalformedSignature`] or [`Refusal::LegacySignature`].
    pub fn parse(text: &str, file: &str) -> Result<Self, Refusal> {
        let malformed = || Refusal::MalformedSignature(file.to_owned());
        let lines: Vec<&str> = text.lines().collect();
        let [untrusted, signature, trusted, _] = lines.as_slice() else { return Err(malformed()) };
        if !untrusted.starts_with("untrusted comment: ") || !trusted.starts_with("trusted comment: ") {
            return Err(malformed());
        }
        let bytes = STANDARD.decode(signature).map_err(|_| malformed())?;
        if bytes.len() != SIGNATURE_BYTES {
            return Err(malformed());
        }
        match &bytes[..2] {
            PREHASHED => {}
            LEGACY => return Err(Refusal::LegacySignature),
            _ => return Err(malformed()),
        }
        let parsed = Signature::decode(text).map_err(|_| malformed())?;
        Ok(Self { key_id: format_key_id(&bytes[2..10]), signature: parsed })
    }

    /// Returns the id of the key that the signature names. Use it only to find the key for [`check`](Self::check).
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// Returns the comment that the signature covers.
    pub fn trusted_comment(&self) -> &str {
        self.signature.trusted_comment()
    }

    /// Checks that the key signed these bytes and the trusted comment.
    ///
    /// # Errors
    /// Returns [`Refusal::WrongSignature`] if the key did not sign them.
    pub fn check(&self, key: &PluginKey, bytes: &[u8]) -> Result<(), Refusal> {
        const ALLOW_LEGACY: bool = false;
        key.verifier()
            .verify(bytes, &self.signature, ALLOW_LEGACY)
            .map_err(|_| Refusal::WrongSignature(self.key_id.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signed(bytes: &[u8]) -> (PluginKey, String) {
        let pair = minisign::KeyPair::generate_unencrypted_keypair().unwrap();
        let text = minisign::sign(None, &pair.sk, bytes, Some("about it"), None).unwrap().into_string();
        (PluginKey::parse(&pair.pk.to_base64()).unwrap(), text)
    }

    fn check(key: &PluginKey, text: &str, bytes: &[u8]) -> Result<(), Refusal> {
        DetachedSignature::parse(text, "x.wasm.minisig")?.check(key, bytes)
    }

    #[test]
    fn changed_byte_of_file_comment_or_signature_is_detected() {
        let content = b"some bytes of a component".to_vec();
        let (key, text) = signed(&content);
        assert_eq!(check(&key, &text, &content), Ok(()));
        for index in 0..content.len() {
            let mut changed = content.clone();
            changed[index] ^= 1;
            assert!(check(&key, &text, &changed).is_err(), "byte {index} of the file");
        }
        // The first line is an unsigned comment.
        let signed_start = text.find('\n').unwrap() + 1;
        let end = text.trim_end().len();
        for index in signed_start..end {
            let mut changed = text.clone().into_bytes();
            changed[index] = if changed[index] == b'x' { b'y' } else { b'x' };
            let changed = String::from_utf8(changed).unwrap();
            assert!(check(&key, &changed, &content).is_err(), "byte {index} of the signature: {changed}");
        }
    }

    #[test]
    fn legacy_signature_is_rejected() {
        let (key, text) = signed(b"x");
        let line = text.lines().nth(1).unwrap();
        let mut bytes = STANDARD.decode(line).unwrap();
        bytes[..2].copy_from_slice(LEGACY);
        let legacy = text.replace(line, &STANDARD.encode(bytes));
        assert_eq!(check(&key, &legacy, b"x"), Err(Refusal::LegacySignature));
    }

    #[test]
    fn another_key_with_the_same_id_is_rejected() {
        let (key, text) = signed(b"x");
        let (other, _) = signed(b"x");
        let mut bytes = STANDARD.decode(other.line()).unwrap();
        bytes[2..10].copy_from_slice(&STANDARD.decode(key.line()).unwrap()[2..10]);
        let forged = PluginKey::parse(&STANDARD.encode(bytes)).unwrap();
        assert_eq!(forged.id(), key.id());
        assert_eq!(check(&forged, &text, b"x"), Err(Refusal::WrongSignature(key.id().to_owned())));
    }

    #[test]
    fn signature_without_four_lines_is_malformed() {
        let (key, text) = signed(b"x");
        for wrong in ["", "x", &text.lines().take(3).collect::<Vec<_>>().join("\n"), &format!("{text}more\n")] {
            assert!(matches!(check(&key, wrong, b"x"), Err(Refusal::MalformedSignature(_))), "{wrong}");
        }
    }
}
