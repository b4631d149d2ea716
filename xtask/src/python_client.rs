//! openapi-python-client, which generates a Python client from the OpenAPI document: installed from PyPI once and kept
//! in the cache folder.

use std::{fs, path::Path, process::Command};

use anyhow::{Context, Result};

use crate::{
    cache, process,
    setup::{self, Tool},
};

/// The program and its dependencies, with versions.
const REQUIREMENTS: &str = "host/tests/clients/requirements.txt";

/// Ensures that the program is installed with the required versions.
pub(crate) fn ensure() -> Result<()> {
    let root = cache::folder()?.join("openapi-python-client");
    let required = process::workspace().join(REQUIREMENTS);
    // Copied last, so that an interrupted installation is repeated.
    let installed = root.join("requirements.txt");
    if is_same(&required, &installed) {
        return Ok(());
    }
    setup::ensure(&[Tool::Python])?;
    process::run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&root))?;
    let mut install = Command::new(root.join(if cfg!(windows) { "Scripts" } else { "bin" }).join("python"));
    process::run(install.args(["-m", "pip", "install", "--quiet", "--requirement"]).arg(&required))?;
    fs::copy(&required, &installed).map(drop).with_context(|| format!("could not write {}", installed.display()))
}

fn is_same(left: &Path, right: &Path) -> bool {
    matches!((fs::read(left), fs::read(right)), (Ok(left), Ok(right)) if left == right)
}
