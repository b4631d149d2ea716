//! AtlasHub's own plugins, as the build put them into the binary.

/// A component and its signature inside the binary.
#[derive(Debug, Clone, Copy)]
pub struct BuiltinPlugin {
    pub name: &'static str,
    pub wasm: &'static [u8],
    /// Content of its `.minisig`.
    pub minisig: &'static str,
}

/// Empty where the build had no plugins.
pub const BUILTIN: &[BuiltinPlugin] = &[];

/// Signs all of [`BUILTIN`]: a line of base64, or a `.pub` file.
pub const FIRST_PARTY_KEY: Option<&str> = None;
