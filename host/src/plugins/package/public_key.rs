//! Public keys in minisign's format.

use base64::{Engine, engine::general_purpose::STANDARD};
use minisign_verify::PublicKey;

/// Algorithm (2 bytes), key id (8), Ed25519 key (32).
const KEY_BYTES: usize = 42;
const ALGORITHM: &[u8] = b"Ed";

/// A minisign public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginKey {
    id: String,
    line: String,
    key: PublicKey,
}

/// The error for a text that is not a minisign public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected a minisign public key: 56 characters of base64 that start with `RW`, or the content of a `.pub` file"
)]
pub struct PluginKeyError;

impl PluginKey {
    /// Parses the base64 line, or the content of a `.pub` file with its comment.
    ///
    /// # Errors
    /// Returns [`PluginKeyError`] for any other text.
    pub fn parse(text: &str) -> Result<Self, PluginKeyError> {
        let mut lines = text.trim().lines().map(str::trim);
        let first = lines.next().ok_or(PluginKeyError)?;
        let line = if first.starts_with("untrusted comment:") { lines.next().ok_or(PluginKeyError)? } else { first };
        if lines.next().is_some() {
            return Err(PluginKeyError);
        }
        let bytes = STANDARD.decode(line).map_err(|_| PluginKeyError)?;
        if bytes.len() != KEY_BYTES || !bytes.starts_with(ALGORITHM) {
            return Err(PluginKeyError);
        }
        let key = PublicKey::from_base64(line).map_err(|_| PluginKeyError)?;
        Ok(Self { id: format_key_id(&bytes[2..10]), line: line.to_owned(), key })
    }

    /// Returns the key id as minisign prints it: 16 hexadecimal digits.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Returns the key as one line of base64.
    pub fn line(&self) -> &str {
        &self.line
    }

    pub(in crate::plugins) fn verifier(&self) -> &PublicKey {
        &self.key
    }
}

/// Formats a key id: minisign's little-endian `keynum`, in upper-case hexadecimal.
pub(in crate::plugins) fn format_key_id(bytes: &[u8]) -> String {
    let big_endian: Vec<u8> = bytes.iter().rev().copied().collect();
    hex::encode_upper(big_endian)
}

#[cfg(test)]
mod tests {
    use super::*;

    // The public key in minisign's documentation.
    const LINE: &str = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";

    #[test]
    fn base64_line_and_pub_file_parse_to_the_same_key() {
        let key = PluginKey::parse(LINE).unwrap();
        assert_eq!((key.id(), key.line()), ("E7620F1842B4E81F", LINE));
        let file = format!("untrusted comment: minisign public key E7620F1842B4E81F\n{LINE}\n");
        assert_eq!(PluginKey::parse(&file).unwrap(), key);
        assert_eq!(PluginKey::parse(&file.replace('\n', "\r\n")).unwrap(), key);
    }

    #[test]
    fn other_text_is_rejected() {
        let two = format!("{LINE}\n{LINE}");
        let secret = "untrusted comment: minisign encrypted secret key\nRWRTY0Iy";
        for text in ["", "RWQ", &LINE[1..], "untrusted comment: x", &two, secret, &LINE.replace('R', "S")] {
            assert!(PluginKey::parse(text).is_err(), "{text}");
        }
    }
}
