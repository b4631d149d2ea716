//! First-party plugins, which are embedded in the host's binary, and the plugins that the host's tests and the
//! benchmarks run.
//!
//! These plugins are built before the host, into the target folder, where `host/build.rs` finds them. A plugin whose
//! sources did not change is not built again.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use minisign::{KeyPair, PublicKey, SecretKey};
use plugin_packing::ImportCheck;
use sha2::{Digest, Sha256};

use super::{
    build::{BuiltPlugin, build_package},
    files::write_if_changed,
    keys::{self, Password},
    package::Package,
};
use crate::{cache, process, wasm32};

/// Names of first-party plugins. Each is in `plugins/NAME`.
const FIRST_PARTY: &[&str] = &["backup", "cleanup", "http-job", "import-export", "migrations"];

/// Plugins that the host's tests and the benchmarks run: folders in `plugins`, whose last part is the plugin's name.
const TESTING: &[(&str, ImportCheck)] = &[
    ("examples/hello-report", ImportCheck::RequireManifest),
    ("examples/uptime-check", ImportCheck::RequireManifest),
    ("testing/hostile", ImportCheck::RequireManifest),
    ("testing/nothing", ImportCheck::RequireManifest),
    ("testing/wide-imports", ImportCheck::Skip),
];

/// Environment variable with the path of the operator's own signing key.
const KEY_VARIABLE: &str = "ATLASHUB_FIRST_PARTY_KEY_FILE";

/// Files and folders that affect the build of every plugin, in addition to the plugin's own folder.
const SHARED_INPUTS: &[&str] = &[
    "plugins/sdk",
    "plugins/manifest",
    "plugins/packing",
    "wit",
    "Cargo.toml",
    "Cargo.lock",
    "xtask/Cargo.toml",
    "xtask/src/plugin",
    "xtask/src/wasm32.rs",
];

/// Builds and signs the plugins that changed, into `target/plugins/first-party`.
pub(crate) fn ensure() -> Result<()> {
    let secret = signing_key()?;
    let public = PublicKey::from_secret_key(&secret)?.to_box()?.into_string();
    let folder = process::target_folder().join("plugins/first-party");
    for name in FIRST_PARTY {
        let stamp = digest_inputs(&process::workspace().join("plugins").join(name), &public)?;
        let (wasm, signature) = (folder.join(format!("{name}.wasm")), folder.join(format!("{name}.wasm.minisig")));
        if is_up_to_date(&folder, name, &stamp) && wasm.is_file() && signature.is_file() {
            continue;
        }
        eprintln!("xtask: building the plugin {name}");
        let built = build_package(name, &Package::find(name, None)?, ImportCheck::RequireManifest)?;
        // Signing the same bytes again gives another signature, and a changed file causes a build of the host. So sign
        // only if the component or the key changed.
        let is_unchanged = fs::read(&wasm).is_ok_and(|existing| existing == built.wasm) && signature.is_file();
        if !is_unchanged || fs::read_to_string(folder.join("first-party.pub")).ok().as_ref() != Some(&public) {
            write_if_changed(&wasm, &built.wasm)?;
            write_if_changed(&signature, keys::sign(&built.wasm, &secret, &format!("{name}.wasm"))?.as_bytes())?;
        }
        write_stamp(&folder, name, &stamp)?;
    }
    // Write the key last: without it, the plugins are not embedded.
    write_if_changed(&folder.join("first-party.pub"), public.as_bytes())
}

/// Builds the test plugins into `target/plugins/testing`, each with and without its manifest.
pub(crate) fn ensure_testing() -> Result<()> {
    let folder = process::target_folder().join("plugins/testing");
    for (source, check) in TESTING {
        let source = process::workspace().join("plugins").join(source);
        let name = source.file_name().and_then(OsStr::to_str).context("the plugin's folder has no name")?;
        let stamp = digest_inputs(&source, "")?;
        let wasm = folder.join(format!("{name}.wasm"));
        if is_up_to_date(&folder, name, &stamp) && wasm.is_file() {
            continue;
        }
        eprintln!("xtask: building the plugin {name}");
        let BuiltPlugin { wasm: component, wasm_without_manifest, manifest } =
            build_package(name, &Package::find(name, Some(&source))?, *check)?;
        write_if_changed(&wasm, &component)?;
        write_if_changed(&folder.join(format!("{name}.bare.wasm")), &wasm_without_manifest)?;
        write_if_changed(&folder.join(format!("{name}.manifest.json")), &manifest)?;
        write_stamp(&folder, name, &stamp)?;
    }
    Ok(())
}

/// Returns the operator's signing key, or a key that is created once per machine.
fn signing_key() -> Result<SecretKey> {
    if let Some(file) = std::env::var_os(KEY_VARIABLE).filter(|file| !file.is_empty()) {
        return keys::read_secret(Path::new(&file), Password::Ask).context(KEY_VARIABLE);
    }
    let file = cache::folder()?.join("first-party.key");
    if !file.is_file() {
        let pair = KeyPair::generate_unencrypted_keypair().context("could not create a key")?;
        // If another build has created the key in the meantime, use that key.
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
    // The stamps are outside of the folder that `host/build.rs` watches.
    folder.with_file_name("stamps").join(name)
}

fn is_up_to_date(folder: &Path, name: &str, stamp: &str) -> bool {
    fs::read_to_string(stamp_file(folder, name)).is_ok_and(|existing| existing == stamp)
}

fn write_stamp(folder: &Path, name: &str, stamp: &str) -> Result<()> {
    write_if_changed(&stamp_file(folder, name), stamp.as_bytes())
}

/// Returns a digest of everything that affects the build of a plugin: its sources, the shared inputs, the compiler, and
/// `extra`.
fn digest_inputs(folder: &Path, extra: &str) -> Result<String> {
    let workspace = process::workspace();
    let shared = SHARED_INPUTS.iter().map(|input| workspace.join(input));
    digest_files(&[folder.to_path_buf()].into_iter().chain(shared).collect::<Vec<_>>(), extra)
}

/// Returns a digest of files, of all files in folders except those in a folder `target`, of the version of the compiler
/// for WebAssembly, and of `extra`.
pub(crate) fn digest_files(inputs: &[PathBuf], extra: &str) -> Result<String> {
    let workspace = process::workspace();
    let mut files = Vec::new();
    for input in inputs {
        collect_files(input, &mut files)?;
    }
    files.sort();
    let mut digest = Sha256::new();
    digest.update(wasm32::compiler_version());
    digest.update(extra);
    for file in files {
        let bytes = fs::read(&file).with_context(|| format!("could not read {}", file.display()))?;
        digest.update(file.strip_prefix(&workspace).unwrap_or(&file).to_string_lossy().as_bytes());
        digest.update(u64::try_from(bytes.len())?.to_le_bytes());
        digest.update(&bytes);
    }
    Ok(hex::encode(digest.finalize()))
}

fn collect_files(path: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    if path.is_file() {
        files.push(path.to_path_buf());
        return Ok(());
    }
    let entries = fs::read_dir(path).with_context(|| format!("could not read {}", path.display()))?;
    for entry in entries {
        let entry = entry?;
        if entry.file_name() != "target" {
            collect_files(&entry.path(), files)?;
        }
    }
    Ok(())
}
