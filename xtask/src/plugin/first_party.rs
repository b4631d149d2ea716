//! The plugins that are inside the host's binary, and those that its tests run.
//!
//! They are built before the host is, into the target folder, where `host/build.rs` finds them. With nothing changed this
//! costs the reading of a few source files.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use minisign::{KeyPair, PublicKey, SecretKey};
use sha2::{Digest, Sha256};

use super::{
    build::{self, Built},
    component::Imports,
    keys::{self, Password},
    package::Package,
};
use crate::{cache, process, wasm32};

/// By name, each in `plugins/NAME`.
const FIRST_PARTY: &[&str] = &["backup", "cleanup", "http-job", "migrations"];

/// Plugins that the host's tests run, as folders in `plugins`. The last part is the name.
const TESTING: &[(&str, Imports)] = &[
    ("examples/hello-report", Imports::Asked),
    ("examples/uptime-check", Imports::Asked),
    ("testing/hostile", Imports::Asked),
    ("testing/nothing", Imports::Asked),
    ("testing/wide-imports", Imports::Unchecked),
];

/// Names the operator's own key, for builds whose plugins shall carry it.
const KEY_VARIABLE: &str = "ATLASHUB_FIRST_PARTY_KEY_FILE";

/// What every plugin is made of beside its own folder.
const SHARED: &[&str] = &[
    "plugins/sdk",
    "plugins/manifest",
    "wit",
    "Cargo.toml",
    "Cargo.lock",
    "xtask/Cargo.toml",
    "xtask/src/plugin",
    "xtask/src/wasm32.rs",
];

/// Builds and signs what changed, into `target/plugins/first-party`.
pub(crate) fn ensure() -> Result<()> {
    let secret = key()?;
    let public = PublicKey::from_secret_key(&secret)?.to_box()?.into_string();
    let folder = process::target_folder().join("plugins/first-party");
    for name in FIRST_PARTY {
        let stamp = digest(&process::workspace().join("plugins").join(name), &public)?;
        let (wasm, signature) = (folder.join(format!("{name}.wasm")), folder.join(format!("{name}.wasm.minisig")));
        if is_fresh(&folder, name, &stamp) && wasm.is_file() && signature.is_file() {
            continue;
        }
        eprintln!("xtask: building the plugin {name}");
        let built = build::package_built(name, &Package::find(name, None)?, Imports::Asked)?;
        // Signatures differ each time, and a changed file builds the host anew.
        let unchanged = fs::read(&wasm).is_ok_and(|there| there == built.wasm) && signature.is_file();
        if !unchanged || fs::read_to_string(folder.join("first-party.pub")).ok().as_ref() != Some(&public) {
            build::write(&wasm, &built.wasm)?;
            build::write(&signature, keys::sign(&built.wasm, &secret, &format!("{name}.wasm"))?.as_bytes())?;
        }
        set_fresh(&folder, name, &stamp)?;
    }
    // Last: without it the signatures count for nothing.
    build::write(&folder.join("first-party.pub"), public.as_bytes())
}

/// Builds what the host's tests run, into `target/plugins/testing`: each with its manifest, and without.
pub(crate) fn ensure_testing() -> Result<()> {
    let folder = process::target_folder().join("plugins/testing");
    for (source, imports) in TESTING {
        let source = process::workspace().join("plugins").join(source);
        let name = source.file_name().and_then(OsStr::to_str).context("the plugin's folder has no name")?;
        let stamp = digest(&source, "")?;
        let wasm = folder.join(format!("{name}.wasm"));
        if is_fresh(&folder, name, &stamp) && wasm.is_file() {
            continue;
        }
        eprintln!("xtask: building the plugin {name}");
        let Built { wasm: whole, bare, manifest } =
            build::package_built(name, &Package::find(name, Some(&source))?, *imports)?;
        build::write(&wasm, &whole)?;
        build::write(&folder.join(format!("{name}.bare.wasm")), &bare)?;
        build::write(&folder.join(format!("{name}.manifest.json")), &manifest)?;
        set_fresh(&folder, name, &stamp)?;
    }
    Ok(())
}

/// The operator's key, or one that is made once for this machine.
fn key() -> Result<SecretKey> {
    if let Some(file) = std::env::var_os(KEY_VARIABLE).filter(|file| !file.is_empty()) {
        return keys::read_secret(Path::new(&file), Password::Ask).context(KEY_VARIABLE);
    }
    let file = cache::folder()?.join("first-party.key");
    if !file.is_file() {
        let pair = KeyPair::generate_unencrypted_keypair().context("no key could be made")?;
        // Another build may have been faster; then its key counts.
        if let Err(error) =
            keys::write_secret(&file, &pair.sk.to_box(Some("AtlasHub first-party plugins"))?.into_string())
            && !file.is_file()
        {
            return Err(error);
        }
    }
    keys::read_secret(&file, Password::None)
}

fn stamp_file(folder: &Path, name: &str) -> PathBuf {
    // Outside the folder that `host/build.rs` watches.
    folder.with_file_name("stamps").join(name)
}

fn is_fresh(folder: &Path, name: &str, stamp: &str) -> bool {
    fs::read_to_string(stamp_file(folder, name)).is_ok_and(|there| there == stamp)
}

fn set_fresh(folder: &Path, name: &str, stamp: &str) -> Result<()> {
    build::write(&stamp_file(folder, name), stamp.as_bytes())
}

/// Of everything that a plugin is made of.
fn digest(folder: &Path, more: &str) -> Result<String> {
    let workspace = process::workspace();
    let mut files = Vec::new();
    collect(folder, &mut files)?;
    for shared in SHARED {
        collect(&workspace.join(shared), &mut files)?;
    }
    files.sort();
    let mut digest = Sha256::new();
    digest.update(wasm32::describe());
    digest.update(more);
    for file in files {
        let bytes = fs::read(&file).with_context(|| format!("can't read {}", file.display()))?;
        digest.update(file.strip_prefix(&workspace).unwrap_or(&file).to_string_lossy().as_bytes());
        digest.update(u64::try_from(bytes.len())?.to_le_bytes());
        digest.update(&bytes);
    }
    Ok(digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    if path.is_file() {
        files.push(path.to_path_buf());
        return Ok(());
    }
    let entries = fs::read_dir(path).with_context(|| format!("can't read {}", path.display()))?;
    for entry in entries {
        let entry = entry?;
        if entry.file_name() != "target" {
            collect(&entry.path(), files)?;
        }
    }
    Ok(())
}
