//! The cache folder, for tools and build output that all clones share.

use std::path::PathBuf;

use anyhow::{Context, Result};

/// Returns `$XDG_CACHE_HOME/atlashub`. Without that variable, the folder is in `%LOCALAPPDATA%` on Windows, and
/// otherwise in `~/.cache`.
pub(crate) fn folder() -> Result<PathBuf> {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let base = variable("XDG_CACHE_HOME")
        .or_else(|| if cfg!(windows) { variable("LOCALAPPDATA") } else { None })
        .or_else(|| variable("HOME").map(|home| home.join(".cache")))
        .context("Neither XDG_CACHE_HOME nor HOME is set. Set one of them; built tools are stored there.")?;
    Ok(base.join("atlashub"))
}
