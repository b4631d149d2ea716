//! The first-party plugins that are inside this binary.
//!
//! They pass the same checks as files in the plugin folder: being in here makes nothing trusted but their key. Which there
//! are is decided when the host is built; see `host/build.rs`.

/// A signed component.
#[derive(Debug, Clone, Copy)]
pub struct BuiltinPlugin {
    /// As in its manifest; reserved for it.
    pub name: &'static str,
    pub wasm: &'static [u8],
    /// The text of its `.minisig` file.
    pub minisig: &'static str,
}

include!(concat!(env!("OUT_DIR"), "/builtin_plugins.rs"));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_inside_is_signed_by_the_key_that_is_inside() {
        assert_eq!(FIRST_PARTY_KEY.is_some(), !BUILTIN.is_empty());
        let Some(key) = FIRST_PARTY_KEY else { return };
        let key = minisign_verify::PublicKey::decode(key).unwrap();
        for plugin in BUILTIN {
            let signature = minisign_verify::Signature::decode(plugin.minisig).unwrap();
            key.verify(plugin.wasm, &signature, false).unwrap();
        }
    }

    #[test]
    fn names_are_in_order_and_there_once() {
        assert!(BUILTIN.windows(2).all(|pair| pair[0].name < pair[1].name));
    }
}
