//! Embeds the first-party plugins and the dashboard, and rebuilds the host when they or migrations change.
//!
//! `cargo xtask dev`, `build` and `test` build plugins and dashboard before the host. A plain `cargo build` embeds what
//! it finds, or nothing. Deliberately absent: building plugins and dashboard.

use std::{
    env, fmt,
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    process::Command,
};

/// Variable with the folder of the plugins, if they are not in the target folder.
const FOLDER_VARIABLE: &str = "ATLASHUB_PLUGINS_FOLDER";

/// The first version 2.x of glibc that reads short relocations.
const FIRST_GLIBC_MINOR: u32 = 36;

/// Content types of the dashboard's files by extension.
const CONTENT_TYPES: &[(&str, &str)] = &[
    ("css", "text/css; charset=utf-8"),
    ("html", "text/html; charset=utf-8"),
    ("js", "text/javascript; charset=utf-8"),
    ("ttf", "font/ttf"),
    ("wasm", "application/wasm"),
    ("woff2", "font/woff2"),
];

fn main() -> Result<(), BuildError> {
    // The compiler only watches migrations that existed at the last build.
    println!("cargo:rerun-if-changed=../migrations");
    println!("cargo:rerun-if-changed=sqlx.toml");
    if has_short_relocations()? {
        println!("cargo:rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
    embed_plugins()?;
    embed_dashboard()
}

/// Returns whether the addresses that the program corrects when it starts can be listed in the short form of ELF. The
/// long form takes 2 MiB of memory. Only glibc 2.36 and newer read the short form, so the program must run on the
/// system that builds it, or on one that is as new. So only release builds for the system that builds them use it.
fn has_short_relocations() -> Result<bool, BuildError> {
    let target = variable("TARGET")?;
    if variable("PROFILE")? != "release" || !target.ends_with("-linux-gnu") || target != variable("HOST")? {
        return Ok(false);
    }
    let Ok(output) = Command::new("getconf").arg("GNU_LIBC_VERSION").output() else { return Ok(false) };
    let version = String::from_utf8_lossy(&output.stdout);
    let minor = version.trim().strip_prefix("glibc 2.").and_then(|minor| minor.parse::<u32>().ok());
    Ok(minor.is_some_and(|minor| minor >= FIRST_GLIBC_MINOR))
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
    let generated = out.join("embedded_plugins.rs");
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

/// Lists the files that the dashboard's bundler wrote, each with its compressed forms.
fn embed_dashboard() -> Result<(), BuildError> {
    let out = PathBuf::from(variable("OUT_DIR")?);
    let folder = target_folder(&out, &variable("TARGET")?).join("dashboard").join("files");
    let assets = folder.join("assets");
    fs::create_dir_all(&assets).map_err(|error| BuildError::io(&assets, &error))?;
    println!("cargo:rerun-if-changed={}", folder.display());

    let copies = out.join("dashboard");
    let _ = fs::remove_dir_all(&copies);
    fs::create_dir_all(&copies).map_err(|error| BuildError::io(&copies, &error))?;
    let mut list = String::from("/// The dashboard's files. Empty if the dashboard was not built.\n");
    list.push_str("static FILES: &[EmbeddedFile] = &[\n");
    for (source, url) in dashboard_files(&folder, &assets)? {
        let Some(content_type) = content_type(&source) else { continue };
        list.push_str("    EmbeddedFile {\n");
        list.push_str(&format!("        path: {url:?},\n        content_type: {content_type:?},\n"));
        for (field, suffix) in [("plain", ""), ("brotli", ".br"), ("gzip", ".gz")] {
            let mut name = source.file_name().unwrap_or_default().to_os_string();
            name.push(suffix);
            let file = source.with_file_name(&name);
            let content =
                format!("include_bytes!(concat!(env!(\"OUT_DIR\"), \"/dashboard/{}\"))", name.to_string_lossy());
            let value = match (suffix, file.is_file()) {
                ("", _) => content,
                (_, true) => format!("Some({content})"),
                (_, false) => "None".to_owned(),
            };
            if file.is_file() {
                copy(&file, &copies.join(&name))?;
            }
            list.push_str(&format!("        {field}: {value},\n"));
        }
        list.push_str("    },\n");
    }
    list.push_str("];\n\n/// Content types of the dashboard's files by extension.\n");
    list.push_str(&format!("const CONTENT_TYPES: &[(&str, &str)] = &{CONTENT_TYPES:?};\n"));
    let generated = out.join("dashboard_files.rs");
    fs::write(&generated, list).map_err(|error| BuildError::io(&generated, &error))
}

/// Returns the dashboard's files with their URL paths, sorted.
fn dashboard_files(folder: &Path, assets: &Path) -> Result<Vec<(PathBuf, String)>, BuildError> {
    let page = folder.join("index.html");
    if !page.is_file() {
        return Ok(Vec::new());
    }
    let mut files = vec![(page, "/index.html".to_owned())];
    for entry in fs::read_dir(assets).map_err(|error| BuildError::io(assets, &error))? {
        let path = entry.map_err(|error| BuildError::io(assets, &error))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        files.push((path, format!("/assets/{name}")));
    }
    files.sort();
    Ok(files)
}

/// Returns the content type of a file. `None` for compressed forms.
fn content_type(file: &Path) -> Option<&'static str> {
    let extension = file.extension()?.to_str()?;
    CONTENT_TYPES.iter().find(|(known, _)| *known == extension).map(|(_, content_type)| *content_type)
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
    writeln!(list, "pub const EMBEDDED: &[EmbeddedPlugin] = &[")?;
    for name in names {
        writeln!(list, "    EmbeddedPlugin {{")?;
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
