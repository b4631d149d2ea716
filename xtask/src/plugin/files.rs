//! Writing build output.

use std::{fs, path::Path};

use anyhow::{Context, Result};

/// Writes a file atomically. If it already has this content, it is left unchanged, so that its modification time does
/// not cause another build.
pub(super) fn write_if_changed(file: &Path, bytes: &[u8]) -> Result<()> {
    if fs::read(file).is_ok_and(|existing| existing == bytes) {
        return Ok(());
    }
    let context = || format!("could not write {}", file.display());
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder).with_context(context)?;
    }
    let mut partial = file.as_os_str().to_owned();
    partial.push(".partial");
    fs::write(&partial, bytes).and_then(|()| fs::rename(&partial, file)).with_context(context)
}
