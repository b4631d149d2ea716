//! Seals the secrets that the owner gives a plugin, and opens them when the plugin is loaded.

use std::collections::BTreeMap;

use super::Approval;
use crate::{
    config::Secret,
    plugins::{PluginError, package::Refusal},
    secrets::{SealedColumn, Sealer},
};

const SEALED_SECRET: SealedColumn = SealedColumn {
    table: "plugin_secrets",
    column: "sealed",
    key_columns: &["plugin", "name"],
    identity: "plugin_secrets/{plugin}/{name}",
};
/// Columns of this slice that are sealed under the master key.
pub const SEALED_COLUMNS: &[SealedColumn] = &[SEALED_SECRET];

/// Seals new values. `None` stands for a secret to be removed.
pub(super) fn seal_secrets(
    sealer: &Sealer,
    plugin: &str,
    secrets: &BTreeMap<String, Option<String>>,
) -> Result<BTreeMap<String, Option<Vec<u8>>>, PluginError> {
    let mut sealed = BTreeMap::new();
    for (name, value) in secrets {
        let value =
            value.as_ref().map(|value| sealer.seal(value.as_bytes(), &SEALED_SECRET.identity(&[&plugin, &name])));
        sealed.insert(name.clone(), value.transpose()?);
    }
    Ok(sealed)
}

/// Opens every secret of an approval.
///
/// # Errors
/// Returns [`Refusal::Grants`] for the first secret that can't be opened.
pub(in crate::plugins) fn open_secrets(
    sealer: &Sealer,
    plugin: &str,
    approval: &Approval,
) -> Result<BTreeMap<String, Secret>, Refusal> {
    let mut secrets = BTreeMap::new();
    for (name, sealed) in &approval.secrets {
        let opened = sealer.open(sealed, &SEALED_SECRET.identity(&[&plugin, &name]));
        let opened = opened.map_err(|error| Refusal::Grants(format!("secret `{name}`: {error}")))?;
        let text = std::str::from_utf8(&opened)
            .map_err(|_| Refusal::Grants(format!("secret `{name}`: the value is not UTF-8")))?;
        secrets.insert(name.clone(), Secret::new(text));
    }
    Ok(secrets)
}
