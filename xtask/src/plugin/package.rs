//! A plugin's cargo package, read from the output of `cargo metadata`.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::process;

/// A plugin's cargo package.
#[derive(Debug)]
pub(crate) struct Package {
    pub(crate) folder: PathBuf,
    /// Name of the library target.
    pub(crate) library: String,
    /// Name of the example that prints the manifest.
    pub(crate) manifest_example: String,
}

impl Package {
    /// Finds the package in `folder`; without `folder`, in `plugins/NAME`, `plugins/examples/NAME` or
    /// `plugins/testing/NAME`.
    pub(crate) fn find(name: &str, folder: Option<&Path>) -> Result<Self> {
        let plugins = process::workspace().join("plugins");
        let folder = match folder {
            Some(folder) => folder.to_path_buf(),
            None => ["", "examples", "testing"]
                .into_iter()
                .map(|folder| plugins.join(folder).join(name))
                .find(|folder| folder.join("Cargo.toml").is_file())
                .with_context(|| {
                    format!("There is no plugins/{name}. For a plugin in another folder, use --path FOLDER.")
                })?,
        };
        let manifest = folder.join("Cargo.toml");
        if !manifest.is_file() {
            bail!("{} does not exist.", manifest.display());
        }
        let output = process::cargo()
            .args(["metadata", "--no-deps", "--format-version", "1", "--manifest-path"])
            .arg(&manifest)
            .output()
            .context("could not start cargo")?;
        if !output.status.success() {
            bail!("cargo could not read {}:\n{}", manifest.display(), String::from_utf8_lossy(&output.stderr));
        }
        Self::from_metadata(folder, &serde_json::from_slice(&output.stdout)?)
    }

    pub(crate) fn manifest_path(&self) -> PathBuf {
        self.folder.join("Cargo.toml")
    }

    fn from_metadata(folder: PathBuf, metadata: &Value) -> Result<Self> {
        let manifest = folder.join("Cargo.toml");
        let manifest = manifest.canonicalize().unwrap_or(manifest);
        let has_this_path = |package: &&Value| {
            let path = package["manifest_path"].as_str().map(PathBuf::from).unwrap_or_default();
            path.canonicalize().unwrap_or(path) == manifest
        };
        let package = metadata["packages"].as_array().into_iter().flatten().find(has_this_path);
        let package = package.with_context(|| format!("{} is not a package", manifest.display()))?;
        let find_target = |kind: &str, suffix: &str| {
            package["targets"].as_array().into_iter().flatten().find_map(|target| {
                let name = target["name"].as_str()?;
                let has_kind = target["kind"].as_array()?.iter().any(|value| value.as_str() == Some(kind));
                (has_kind && name.ends_with(suffix)).then(|| name.to_owned())
            })
        };
        Ok(Self {
            library: find_target("lib", "").context("The package has no library. Put the code in src/lib.rs.")?,
            manifest_example: find_target("example", "manifest")
                .context("The package has no example whose name ends with `manifest`; see docs/PLUGINS.md.")?,
            folder,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn library_and_example_are_found_in_the_metadata() {
        let targets = json!([
            {"name": "hello_plugin", "kind": ["lib"]},
            {"name": "other", "kind": ["example"]},
            {"name": "hello-manifest", "kind": ["example"]},
        ]);
        let mut metadata = json!({"packages": [
            {"manifest_path": "/nonexistent/b/Cargo.toml", "targets": []},
            {"manifest_path": "/nonexistent/a/Cargo.toml", "targets": targets},
        ]});
        let package = Package::from_metadata("/nonexistent/a".into(), &metadata).unwrap();
        assert_eq!((&*package.library, &*package.manifest_example), ("hello_plugin", "hello-manifest"));
        metadata["packages"][1]["targets"].as_array_mut().unwrap().pop();
        let error = Package::from_metadata("/nonexistent/a".into(), &metadata).unwrap_err();
        assert!(error.to_string().contains("manifest"));
    }
}
