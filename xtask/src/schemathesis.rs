//! Installs Schemathesis from PyPI once, and keeps it in the cache folder. It generates requests from the OpenAPI
//! document.

use std::{path::PathBuf, process::Command};

use anyhow::Result;

use crate::{
    cache, process,
    setup::{self, Tool},
};

const VERSION: &str = "4.32.5";

/// Returns the path of the program, and installs it if it is missing.
pub(crate) fn binary() -> Result<PathBuf> {
    let root = cache::folder()?.join(format!("schemathesis-{VERSION}"));
    let programs = root.join(if cfg!(windows) { "Scripts" } else { "bin" });
    let binary = programs.join(format!("schemathesis{}", std::env::consts::EXE_SUFFIX));
    if binary.is_file() {
        return Ok(binary);
    }
    setup::ensure(&[Tool::Python])?;
    process::run(Command::new("python3").args(["-m", "venv"]).arg(&root))?;
    let mut install = Command::new(programs.join("python"));
    process::run(install.args(["-m", "pip", "install", "--quiet"]).arg(format!("schemathesis=={VERSION}")))?;
    Ok(binary)
}
