//! First-party plugins embedded in this binary.
//!
//! These plugins pass the same checks as files in the plugin folder, with these exceptions: their key is trusted and
//! their request is approved without the owner's decision, their approval is not bound to a key, and their serial is
//! not compared with earlier ones. `host/build.rs` decides which plugins are embedded.

/// A signed component in this binary.
#[derive(Debug, Clone, Copy)]
pub struct EmbeddedPlugin {
    /// The name in the plugin's manifest. It is reserved for this plugin.
    pub name: &'static str,
    pub wasm: &'static [u8],
    /// Text of the `.minisig` file.
    pub minisig: &'static str,
}

include!(concat!(env!("OUT_DIR"), "/embedded_plugins.rs"));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn embedded_plugins_are_signed_by_the_first_party_key() {
        assert_eq!(FIRST_PARTY_KEY.is_some(), !EMBEDDED.is_empty());
        let Some(key) = FIRST_PARTY_KEY else { return };
        let key = minisign_verify::PublicKey::decode(key).unwrap();
        for plugin in EMBEDDED {
            let signature = minisign_verify::Signature::decode(plugin.minisig).unwrap();
            key.verify(plugin.wasm, &signature, false).unwrap();
        }
    }

    #[test]
    fn names_of_embedded_plugins_are_sorted_and_unique() {
        assert!(EMBEDDED.windows(2).all(|pair| pair[0].name < pair[1].name));
    }
}
