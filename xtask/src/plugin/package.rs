//! A plugin's folder, and what cargo knows of it.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::process;

/// A plugin's cargo package.
#[derive(Debug)]
pub(crate) struct Package {
    pub(crate) folder: PathBuf,
    /// Of the library.
    pub(crate) library: String,
    /// The example that prints the manifest.
    pub(crate) manifest_example: String,
}

impl Package {
    /// The one in `folder`, or else in `plugins/NAME`, `plugins/examples/NAME` or `plugins/testing/NAME`.
    pub(crate) fn find(name: &str, folder: Option<&Path>) -> Result<Self> {
        let plugins = process::workspace().join("plugins");
        let folder = match folder {
            Some(folder) => folder.to_path_buf(),
            None => ["", "examples", "testing"]
                .into_iter()
                .map(|folder| plugins.join(folder).join(name))
                .find(|folder| folder.join("Cargo.toml").is_file())
                .with_context(|| format!("there is no plugins/{name}; for a plugin elsewhere give --path FOLDER"))?,
        };
        let manifest = folder.join("Cargo.toml");
        if !manifest.is_file() {
            bail!("there is no {}", manifest.display());
        }
        let output = process::cargo()
            .args(["metadata", "--no-deps", "--format-version", "1", "--manifest-path"])
            .arg(&manifest)
            .output()
            .context("can't start cargo")?;
        if !output.status.success() {
            bail!("cargo can't read {}:\n{}", manifest.display(), String::from_utf8_lossy(&output.stderr));
        }
        Self::of_metadata(folder, &serde_json::from_slice(&output.stdout)?)
    }

    pub(crate) fn manifest(&self) -> PathBuf {
        self.folder.join("Cargo.toml")
    }

    fn of_metadata(folder: PathBuf, metadata: &Value) -> Result<Self> {
        let manifest = folder.join("Cargo.toml");
        let manifest = manifest.canonicalize().unwrap_or(manifest);
        let is_it = |package: &&Value| {
            let path = package["manifest_path"].as_str().map(PathBuf::from).unwrap_or_default();
            path.canonicalize().unwrap_or(path) == manifest
        };
        let package = metadata["packages"].as_array().into_iter().flatten().find(is_it);
        let package = package.with_context(|| format!("{} is no package", manifest.display()))?;
        let target = |kind: &str, ending: &str| {
            package["targets"].as_array().into_iter().flatten().find_map(|target| {
                let name = target["name"].as_str()?;
                let of_kind = target["kind"].as_array()?.iter().any(|found| found.as_str() == Some(kind));
                (of_kind && name.ends_with(ending)).then(|| name.to_owned())
            })
        };
        Ok(Self {
            library: target("lib", "").context("the package has no library; a plugin's code is in src/lib.rs")?,
            manifest_example: target("example", "manifest").context(
                "the package has no example whose name ends in `manifest`; it prints the manifest: see docs/PLUGINS.md",
            )?,
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
        let package = Package::of_metadata("/nonexistent/a".into(), &metadata).unwrap();
        assert_eq!((&*package.library, &*package.manifest_example), ("hello_plugin", "hello-manifest"));
        metadata["packages"][1]["targets"].as_array_mut().unwrap().pop();
        let error = Package::of_metadata("/nonexistent/a".into(), &metadata).unwrap_err();
        assert!(error.to_string().contains("manifest"));
    }
}
