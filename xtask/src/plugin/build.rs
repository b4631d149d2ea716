//! Builds one plugin from its source to `NAME.wasm`.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use plugin_manifest::Manifest;
use plugin_packing::ImportCheck;

use super::{files::write_if_changed, package::Package};
use crate::{process, wasm32};

/// Build output of a plugin.
pub(crate) struct BuiltPlugin {
    /// The component with its manifest.
    pub(crate) wasm: Vec<u8>,
    /// The component without its manifest.
    pub(crate) wasm_without_manifest: Vec<u8>,
    /// The manifest as JSON.
    pub(crate) manifest: Vec<u8>,
}

/// Returns the output path, `target/plugins/NAME.wasm`.
pub(crate) fn output_path(name: &str) -> PathBuf {
    process::target_folder().join("plugins").join(format!("{name}.wasm"))
}

/// Builds a plugin and writes its file. Returns the path of the file.
pub(crate) fn build_plugin(name: &str, folder: Option<&Path>) -> Result<PathBuf> {
    let package = Package::find(name, folder)?;
    let built = build_package(name, &package, ImportCheck::RequireManifest)?;
    let file = output_path(name);
    write_if_changed(&file, &built.wasm)?;
    Ok(file)
}

/// Builds the component and the manifest of a package.
pub(crate) fn build_package(name: &str, package: &Package, check: ImportCheck) -> Result<BuiltPlugin> {
    let manifest = print_manifest(package)?;
    let manifest_name = Manifest::from_json(&manifest).context("the manifest is invalid")?.name;
    if manifest_name != name {
        bail!("The manifest names the plugin `{manifest_name}`, not `{name}`. Both names must be the same.");
    }
    let builder = wasm32::Builder::acquire()?;
    process::run(&mut builder.plugin(&package.manifest_path())?)?;
    let module = builder.module_path(&package.library);
    let module = fs::read(&module).with_context(|| format!("could not read {}", module.display()))?;
    drop(builder);
    let component = plugin_packing::to_component(&module)?;
    let packed = plugin_packing::add_manifest(component.clone(), &manifest, check)?;
    eprint!("{}", plugin_packing::describe_request(&packed));
    Ok(BuiltPlugin { wasm: packed.plugin, wasm_without_manifest: component, manifest })
}

/// Runs the package's example that prints the manifest.
fn print_manifest(package: &Package) -> Result<Vec<u8>> {
    let output = process::cargo()
        .args(["run", "--quiet", "--example", &package.manifest_example, "--manifest-path"])
        .arg(package.manifest_path())
        .stderr(std::process::Stdio::inherit())
        .output()
        .context("could not start cargo")?;
    if !output.status.success() {
        bail!("The example `{}`, which prints the manifest, failed ({}).", package.manifest_example, output.status);
    }
    Ok(output.stdout)
}
