//! `cargo xtask plugin new`: a plugin that builds, with a job, a test and nothing to delete.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};

use crate::process;

pub(crate) fn run(name: &str, parent: Option<&Path>) -> Result<()> {
    let parent = match parent {
        Some(parent) => parent.to_path_buf(),
        None => std::env::current_dir().context("there is no current folder")?,
    };
    let folder = write(name, &parent)?;
    println!(
        "{}\n\nNext:\n  cargo test --manifest-path {}\n  cargo xtask plugin build {name} --path {}",
        folder.display(),
        folder.join("Cargo.toml").display(),
        folder.display()
    );
    Ok(())
}

fn write(name: &str, parent: &Path) -> Result<PathBuf> {
    let fits = (2..=40).contains(&name.len())
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    if !fits {
        bail!("`{name}` is no name: 2 to 40 lowercase letters, digits and hyphens, beginning with a letter");
    }
    let folder = parent.join(name);
    if folder.exists() {
        bail!("{} is there already", folder.display());
    }
    let library = format!("{}_plugin", name.replace('-', "_"));
    let sdk = process::workspace().join("plugins/sdk");
    // As a string of TOML, backslashes of Windows and all.
    let sdk = serde_json::to_string(&sdk.to_string_lossy())?;
    let fill = |text: &str| text.replace("{name}", name).replace("{library}", &library).replace("{sdk}", &sdk);
    for (file, text) in [
        ("Cargo.toml", fill(include_str!("template/Cargo.toml.txt"))),
        ("src/lib.rs", fill(include_str!("template/lib.rs.txt"))),
        ("examples/manifest.rs", fill(include_str!("template/manifest.rs.txt"))),
        (".gitignore", "/target\n".to_owned()),
    ] {
        super::build::write(&folder.join(file), text.as_bytes())?;
    }
    // The versions that the host was built and tested with.
    fs::copy(process::workspace().join("Cargo.lock"), folder.join("Cargo.lock"))
        .context("the lock file can't be copied")?;
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_plugin_has_its_name_everywhere_and_replaces_nothing() {
        let parent = std::env::temp_dir().join(format!("atlashub-xtask-{}-scaffold", std::process::id()));
        let folder = write("my-plugin", &parent).unwrap();
        let read = |file: &str| fs::read_to_string(folder.join(file)).unwrap();
        assert!(read("Cargo.toml").contains("name = \"my-plugin-manifest\""));
        assert!(read("examples/manifest.rs").contains("&my_plugin_plugin::plugin()"));
        assert!(read("src/lib.rs").contains("Plugin::new(\"my-plugin\""));
        assert!(write("my-plugin", &parent).unwrap_err().to_string().contains("already"));
        assert!(write("My plugin", &parent).is_err());
        fs::remove_dir_all(parent).unwrap();
    }
}
