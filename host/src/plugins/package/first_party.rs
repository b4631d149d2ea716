//! AtlasHub's own plugins: their names, and the files in the binary.

use super::{
    Origin, PluginKey, SignedFile,
    embedded::{EMBEDDED, EmbeddedPlugin, FIRST_PARTY_KEY},
};

/// Names reserved for AtlasHub's own plugins, whether or not this binary embeds them, and for the runs of `sql_runs`,
/// `storage_runs` and restores.
pub const RESERVED_NAMES: [&str; 8] =
    ["backup", "cleanup", "http-job", "import-export", "migrations", "restore", "sql", "storage"];

/// Plugins that do AtlasHub's own work. The plugin of HTTP jobs is not included, because the owner's jobs decide how
/// much work it does.
pub(in crate::plugins) const PLUGINS_WITH_OWN_PERMITS: &[&str] = &["backup", "cleanup", "import-export", "migrations"];

/// AtlasHub's own plugins and the key that signed them.
#[derive(Debug, Clone, Default)]
pub struct FirstParty {
    pub key: Option<PluginKey>,
    plugins: Vec<EmbeddedPlugin>,
}

impl FirstParty {
    pub fn new(key: Option<PluginKey>, plugins: Vec<EmbeddedPlugin>) -> Self {
        Self { key, plugins }
    }

    /// Returns the plugins and the key that are embedded in this binary.
    pub fn of_binary() -> Self {
        let key = FIRST_PARTY_KEY.and_then(|text| match PluginKey::parse(text) {
            Ok(key) => Some(key),
            Err(error) => {
                tracing::error!(%error, "the embedded plugin key is invalid; rebuild the binary");
                None
            }
        });
        Self { key, plugins: EMBEDDED.to_vec() }
    }

    /// Returns the plugins as files, to be checked like any other.
    pub fn files(&self) -> impl Iterator<Item = SignedFile> {
        self.plugins.iter().map(|plugin| SignedFile {
            origin: Origin::Embedded,
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

    pub fn contains(&self, name: &str) -> bool {
        self.names().any(|known| known == name)
    }
}

/// Returns whether the name is reserved. Files in the plugin folder may not use a reserved name.
pub(in crate::plugins) fn is_reserved(name: &str) -> bool {
    RESERVED_NAMES.contains(&name)
}

/// Returns whether the plugin does AtlasHub's own work, for which permits are reserved.
pub(in crate::plugins) fn has_own_permits(name: &str) -> bool {
    PLUGINS_WITH_OWN_PERMITS.contains(&name)
}
