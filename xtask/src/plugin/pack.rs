//! `cargo xtask plugin pack`: turns the output of any compiler into a plugin.

use std::{fs, path::Path};

use anyhow::{Context, Result};

use super::files::write_if_changed;

/// Packs a file and writes `NAME.wasm` next to it, or `output`.
pub(super) fn run(file: &Path, manifest: &Path, output: Option<&Path>) -> Result<()> {
    let read = |path: &Path| fs::read(path).with_context(|| format!("could not read {}", path.display()));
    let packed = plugin_packing::pack(&read(file)?, &read(manifest)?)?;
    eprint!("{}", plugin_packing::describe_request(&packed));
    let output = match output {
        Some(output) => output.to_path_buf(),
        None => plugin_packing::output_path(file, &packed.manifest.name)
            .context("The plugin would replace the file that is packed. Name another file with --output.")?,
    };
    write_if_changed(&output, &packed.plugin)?;
    println!("{}", output.display());
    Ok(())
}
