use base64::{Engine, engine::general_purpose::STANDARD};
use minisign_verify::PublicKey;

/// Bytes of a public key: algorithm, key id, Ed25519 key.
const BYTES: usize = 42;
const ALGORITHM: &[u8] = b"Ed";

/// A minisign public key: an id for people, and the key that signatures are checked with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginKey {
    id: String,
    line: String,
    key: PublicKey,
}

/// Why a text is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is no minisign public key: 56 characters of base64 that begin with `RW`, or a whole `.pub` file")]
pub struct PluginKeyError;

impl PluginKey {
    /// Reads the base64 line, or a whole `.pub` file with its comment.
    pub fn parse(text: &str) -> Result<Self, PluginKeyError> {
        let mut lines = text.trim().lines().map(str::trim);
        let first = lines.next().ok_or(PluginKeyError)?;
        let line = if first.starts_with("untrusted comment:") { lines.next().ok_or(PluginKeyError)? } else { first };
        if lines.next().is_some() {
            return Err(PluginKeyError);
        }
        let bytes = STANDARD.decode(line).map_err(|_| PluginKeyError)?;
        if bytes.len() != BYTES || !bytes.starts_with(ALGORITHM) {
            return Err(PluginKeyError);
        }
        let key = PublicKey::from_base64(line).map_err(|_| PluginKeyError)?;
        Ok(Self { id: key_id(&bytes[2..10]), line: line.to_owned(), key })
    }

    /// 16 hexadecimal digits, as minisign prints them.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// One line of base64.
    pub fn line(&self) -> &str {
        &self.line
    }

    pub(super) fn verifier(&self) -> &PublicKey {
        &self.key
    }
}

/// A little-endian number in upper-case hexadecimal (minisign's `keynum`).
pub(super) fn key_id(bytes: &[u8]) -> String {
    bytes.iter().rev().map(|byte| format!("{byte:02X}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    // From the documentation of minisign.
    const LINE: &str = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";

    #[test]
    fn a_line_and_a_file_are_the_same_key() {
        let key = PluginKey::parse(LINE).unwrap();
        assert_eq!((key.id(), key.line()), ("E7620F1842B4E81F", LINE));
        let file = format!("untrusted comment: minisign public key E7620F1842B4E81F\n{LINE}\n");
        assert_eq!(PluginKey::parse(&file).unwrap(), key);
        assert_eq!(PluginKey::parse(&file.replace('\n', "\r\n")).unwrap(), key);
    }

    #[test]
    fn anything_else_is_no_key() {
        let two = format!("{LINE}\n{LINE}");
        let secret = "untrusted comment: minisign encrypted secret key\nRWRTY0Iy";
        for text in ["", "RWQ", &LINE[1..], "untrusted comment: x", &two, secret, &LINE.replace('R', "S")] {
            assert!(PluginKey::parse(text).is_err(), "{text}");
        }
    }
}
