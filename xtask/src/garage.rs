//! A real Garage for the tests: built from crates.io once, kept outside the clone.

use std::path::PathBuf;

use anyhow::Result;

use crate::{cache, process};

const VERSION: &str = "2.5.0";

/// Path of the program, built first where it is missing.
pub(crate) fn binary() -> Result<PathBuf> {
    let root = cache::folder()?.join(format!("garage-{VERSION}"));
    let binary = root.join("bin").join(format!("garage{}", std::env::consts::EXE_SUFFIX));
    if binary.is_file() {
        return Ok(binary);
    }
    eprintln!(
        "xtask: building Garage {VERSION} into {}; this happens once and takes about ten minutes",
        root.display()
    );
    let target = root.join("target");
    let mut install = process::cargo();
    install.args(["install", "garage", "--version", VERSION, "--locked", "--root"]).arg(&root);
    process::run(install.env("CARGO_TARGET_DIR", &target))?;
    // A gigabyte that nothing needs any more.
    if let Err(error) = std::fs::remove_dir_all(&target) {
        eprintln!("xtask: {} could not be removed ({error}); it may be deleted", target.display());
    }
    Ok(binary)
}
