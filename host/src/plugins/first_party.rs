use super::{
    builtin::{BUILTIN, BuiltinPlugin, FIRST_PARTY_KEY},
    trust::{Origin, PluginKey, SignedFile},
};

/// Names that belong to the platform's own plugins, whether this binary carries them or not.
pub const RESERVED_NAMES: [&str; 5] = ["backup", "cleanup", "http-job", "import-export", "migrations"];

/// The platform's own plugins and the key that signed them.
#[derive(Debug, Clone, Default)]
pub struct FirstParty {
    pub key: Option<PluginKey>,
    plugins: Vec<BuiltinPlugin>,
}

impl FirstParty {
    pub fn new(key: Option<PluginKey>, plugins: Vec<BuiltinPlugin>) -> Self {
        Self { key, plugins }
    }

    /// Those of this binary.
    pub fn of_binary() -> Self {
        let key = FIRST_PARTY_KEY.and_then(|text| match PluginKey::parse(text) {
            Ok(key) => Some(key),
            Err(error) => {
                tracing::error!(%error, "the binary's own key for plugins can't be read; build it anew");
                None
            }
        });
        Self { key, plugins: BUILTIN.to_vec() }
    }

    /// As files, to be checked like any other.
    pub fn files(&self) -> impl Iterator<Item = SignedFile> {
        self.plugins.iter().map(|plugin| SignedFile {
            origin: Origin::BuiltIn,
            name: plugin.name.to_owned(),
            bytes: plugin.wasm.into(),
            signature: plugin.minisig.to_owned(),
        })
    }

    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.plugins.iter().map(|plugin| plugin.name)
    }

    pub fn file(&self, name: &str) -> Option<SignedFile> {
        self.files().find(|file| file.name == name)
    }
}

/// Whether a file in the folder may not be called so.
pub(super) fn is_reserved(name: &str) -> bool {
    RESERVED_NAMES.contains(&name)
}
