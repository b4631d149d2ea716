//! `cargo xtask plugin new`: creates a minimal plugin with one job and its tests.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};

use super::files::write_if_changed;
use crate::process;

pub(crate) fn run(name: &str, parent: Option<&Path>) -> Result<()> {
    let parent = match parent {
        Some(parent) => parent.to_path_buf(),
        None => std::env::current_dir().context("could not determine the current folder")?,
    };
    let folder = create_plugin(name, &parent)?;
    println!(
        "{}\n\nNext:\n  cargo test --manifest-path {}\n  cargo xtask plugin build {name} --path {}",
        folder.display(),
        folder.join("Cargo.toml").display(),
        folder.display()
    );
    Ok(())
}

fn create_plugin(name: &str, parent: &Path) -> Result<PathBuf> {
    let is_valid = (2..=40).contains(&name.len())
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    if !is_valid {
        bail!("Invalid name `{name}`. Use 2 to 40 lowercase letters, digits and hyphens, starting with a letter.");
    }
    let folder = parent.join(name);
    if folder.exists() {
        bail!("{} already exists.", folder.display());
    }
    let library = format!("{}_plugin", name.replace('-', "_"));
    let sdk = process::workspace().join("plugins/sdk");
    // A JSON string is also a TOML string; it escapes the backslashes of Windows paths.
    let sdk = serde_json::to_string(&sdk.to_string_lossy())?;
    let fill = |text: &str| text.replace("{name}", name).replace("{library}", &library).replace("{sdk}", &sdk);
    for (file, text) in [
        ("Cargo.toml", fill(include_str!("template/Cargo.toml.txt"))),
        ("src/lib.rs", fill(include_str!("template/lib.rs.txt"))),
        ("examples/manifest.rs", fill(include_str!("template/manifest.rs.txt"))),
        (".gitignore", "/target\n".to_owned()),
    ] {
        write_if_changed(&folder.join(file), text.as_bytes())?;
    }
    // Use the same versions of dependencies as the host.
    fs::copy(process::workspace().join("Cargo.lock"), folder.join("Cargo.lock"))
        .context("could not copy Cargo.lock")?;
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_plugin_contains_its_name_and_overwrites_nothing() {
        let parent = std::env::temp_dir().join(format!("atlashub-xtask-{}-scaffold", std::process::id()));
        let folder = create_plugin("my-plugin", &parent).unwrap();
        let read = |file: &str| fs::read_to_string(folder.join(file)).unwrap();
        assert!(read("Cargo.toml").contains("name = \"my-plugin-manifest\""));
        assert!(read("examples/manifest.rs").contains("&my_plugin_plugin::plugin()"));
        assert!(read("src/lib.rs").contains("Plugin::new(\"my-plugin\""));
        assert!(create_plugin("my-plugin", &parent).unwrap_err().to_string().contains("already"));
        assert!(create_plugin("My plugin", &parent).is_err());
        fs::remove_dir_all(parent).unwrap();
    }
}
