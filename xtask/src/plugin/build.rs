//! One plugin, from its source to `NAME.wasm`.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use plugin_manifest::Manifest;

use super::{
    component::{self, Imports},
    package::Package,
};
use crate::{process, wasm32};

/// What was made of a plugin's source.
pub(crate) struct Built {
    /// The component with its manifest.
    pub(crate) wasm: Vec<u8>,
    /// The component without.
    pub(crate) bare: Vec<u8>,
    /// The manifest's JSON.
    pub(crate) manifest: Vec<u8>,
}

/// `target/plugins/NAME.wasm`.
pub(crate) fn output(name: &str) -> PathBuf {
    process::target_folder().join("plugins").join(format!("{name}.wasm"))
}

/// Builds a plugin and writes its file.
pub(crate) fn one(name: &str, folder: Option<&Path>) -> Result<PathBuf> {
    let package = Package::find(name, folder)?;
    let built = package_built(name, &package, Imports::Asked)?;
    let file = output(name);
    write(&file, &built.wasm)?;
    Ok(file)
}

/// Builds module and manifest of a package.
pub(crate) fn package_built(name: &str, package: &Package, imports: Imports) -> Result<Built> {
    let manifest = manifest(package)?;
    let called = Manifest::from_json(&manifest).context("the manifest is not valid")?.name;
    if called != name {
        bail!("the plugin calls itself `{called}`, not `{name}`; both names must be one");
    }
    let builder = wasm32::Builder::acquire()?;
    process::run(&mut builder.rustc(&package.manifest())?)?;
    let module = builder.module(&package.library);
    let module = fs::read(&module).with_context(|| format!("can't read {}", module.display()))?;
    drop(builder);
    let bare = component::encode(&module)?;
    let wasm = component::with_manifest(bare.clone(), &manifest, imports)?;
    Ok(Built { wasm, bare, manifest })
}

/// What the plugin's own program says of it.
fn manifest(package: &Package) -> Result<Vec<u8>> {
    let output = process::cargo()
        .args(["run", "--quiet", "--example", &package.manifest_example, "--manifest-path"])
        .arg(package.manifest())
        .stderr(std::process::Stdio::inherit())
        .output()
        .context("can't start cargo")?;
    if !output.status.success() {
        bail!("the example `{}`, which prints the manifest, failed ({})", package.manifest_example, output.status);
    }
    Ok(output.stdout)
}

/// Writes a file as a whole, or leaves it alone where it is the same.
pub(crate) fn write(file: &Path, bytes: &[u8]) -> Result<()> {
    if fs::read(file).is_ok_and(|there| there == bytes) {
        return Ok(());
    }
    let doing = || format!("can't write {}", file.display());
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder).with_context(doing)?;
    }
    let mut partial = file.as_os_str().to_owned();
    partial.push(".partial");
    fs::write(&partial, bytes).and_then(|()| fs::rename(&partial, file)).with_context(doing)
}
