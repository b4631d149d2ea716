//! Embeds the first-party plugins, and rebuilds the host when plugins or migrations change.
//!
//! `cargo xtask dev`, `build` and `test` build and sign the plugins before the host. A plain `cargo build` embeds the
//! plugins that it finds, or none. Deliberately absent: building plugins.

use std::{
    env, fmt,
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

/// Variable with the folder of the plugins, if they are not in the target folder.
const FOLDER_VARIABLE: &str = "ATLASHUB_PLUGINS_FOLDER";

fn main() -> Result<(), BuildError> {
    // The compiler only watches migrations that existed at the last build.
    println!("cargo:rerun-if-changed=../migrations");
    println!("cargo:rerun-if-changed=sqlx.toml");
    embed_plugins()
}

fn embed_plugins() -> Result<(), BuildError> {
    println!("cargo:rerun-if-env-changed={FOLDER_VARIABLE}");
    let out = PathBuf::from(variable("OUT_DIR")?);
    let folder = match env::var_os(FOLDER_VARIABLE).filter(|folder| !folder.is_empty()) {
        Some(folder) => PathBuf::from(folder),
        None => target_folder(&out, &variable("TARGET")?).join("plugins").join("first-party"),
    };
    // Cargo treats a missing folder as changed in every build.
    fs::create_dir_all(&folder).map_err(|error| BuildError::io(&folder, &error))?;
    println!("cargo:rerun-if-changed={}", folder.display());

    let key = folder.join("first-party.pub");
    let names = if key.is_file() { signed_plugins(&folder)? } else { Vec::new() };
    let generated = out.join("builtin_plugins.rs");
    let mut list = File::create(&generated).map_err(|error| BuildError::io(&generated, &error))?;
    let written = write_list(&mut list, &names);
    written.map_err(|error| BuildError::io(&generated, &error))?;
    // Copy the files, because the folder may change before the compiler reads them.
    for name in &names {
        for file in [format!("{name}.wasm"), format!("{name}.wasm.minisig")] {
            copy(&folder.join(&file), &out.join(&file))?;
        }
    }
    if !names.is_empty() {
        copy(&key, &out.join("first-party.pub"))?;
    }
    Ok(())
}

/// Returns the names of the components that have a signature.
fn signed_plugins(folder: &Path) -> Result<Vec<String>, BuildError> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(|error| BuildError::io(folder, &error))? {
        let path = entry.map_err(|error| BuildError::io(folder, &error))?.path();
        let name = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_suffix(".wasm"));
        if let Some(name) = name.filter(|_| path.with_extension("wasm.minisig").is_file()) {
            names.push(name.to_owned());
        }
    }
    names.sort();
    Ok(names)
}

fn write_list(list: &mut File, names: &[String]) -> io::Result<()> {
    writeln!(list, "/// First-party plugins, by name.")?;
    writeln!(list, "pub const BUILTIN: &[BuiltinPlugin] = &[")?;
    for name in names {
        writeln!(list, "    BuiltinPlugin {{")?;
        writeln!(list, "        name: {name:?},")?;
        writeln!(list, "        wasm: include_bytes!(concat!(env!(\"OUT_DIR\"), \"/{name}.wasm\")),")?;
        writeln!(list, "        minisig: include_str!(concat!(env!(\"OUT_DIR\"), \"/{name}.wasm.minisig\")),")?;
        writeln!(list, "    }},")?;
    }
    writeln!(list, "];")?;
    writeln!(list, "/// The minisign public key of the plugins, as in a `.pub` file. `None` if there are no plugins.")?;
    if names.is_empty() {
        writeln!(list, "pub const FIRST_PARTY_KEY: Option<&str> = None;")
    } else {
        writeln!(list, "pub const FIRST_PARTY_KEY: Option<&str> =")?;
        writeln!(list, "    Some(include_str!(concat!(env!(\"OUT_DIR\"), \"/first-party.pub\")));")
    }
}

fn copy(from: &Path, to: &Path) -> Result<(), BuildError> {
    fs::copy(from, to).map(|_| ()).map_err(|error| BuildError::io(from, &error))
}

/// Returns `target` for `target/[TRIPLE/]PROFILE/build/PACKAGE/out`.
fn target_folder(out: &Path, triple: &str) -> PathBuf {
    let folder = out.ancestors().nth(4).unwrap_or(out);
    let parent = if folder.file_name().is_some_and(|name| name == triple) { folder.parent() } else { None };
    parent.unwrap_or(folder).to_path_buf()
}

fn variable(name: &str) -> Result<String, BuildError> {
    env::var(name).map_err(|_| BuildError(format!("cargo did not set {name}")))
}

/// An error message. Cargo prints its `Debug` output.
struct BuildError(String);

impl BuildError {
    fn io(path: &Path, error: &io::Error) -> Self {
        Self(format!("{}: {error}", path.display()))
    }
}

impl fmt::Debug for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
