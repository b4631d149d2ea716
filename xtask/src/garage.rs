//! Builds Garage, an S3 store for the tests, from crates.io once, and keeps it in the cache folder.

use std::path::PathBuf;

use anyhow::Result;

use crate::{cache, process};

const VERSION: &str = "2.5.0";

/// Returns the path of the program, and builds it if it is missing.
pub(crate) fn binary() -> Result<PathBuf> {
    let root = cache::folder()?.join(format!("garage-{VERSION}"));
    let binary = root.join("bin").join(format!("garage{}", std::env::consts::EXE_SUFFIX));
    if binary.is_file() {
        return Ok(binary);
    }
    eprintln!(
        "xtask: building Garage {VERSION} into {}; this is done once and takes about ten minutes",
        root.display()
    );
    let target = root.join("target");
    let mut install = process::cargo();
    install.args(["install", "garage", "--version", VERSION, "--locked", "--root"]).arg(&root);
    process::run(install.env("CARGO_TARGET_DIR", &target))?;
    // Free a gigabyte of intermediate files.
    if let Err(error) = std::fs::remove_dir_all(&target) {
        eprintln!("xtask: could not remove {} ({error}); you can delete it", target.display());
    }
    Ok(binary)
}
