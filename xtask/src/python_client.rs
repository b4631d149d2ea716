//! Installs openapi-python-client from PyPI once, and keeps it in the cache folder. This program generates a Python
//! client from the OpenAPI document.

use std::path::PathBuf;

use anyhow::Result;

use crate::packages;

/// Path of the file that lists the program and its dependencies, with versions.
const REQUIREMENTS: &str = "host/tests/clients/requirements.txt";

/// Ensures that the program is installed with the required versions.
pub(crate) fn ensure() -> Result<()> {
    packages::ensure_python("openapi-python-client", REQUIREMENTS).map(drop)
}

/// Returns the Python interpreter of its virtual environment, which has pip.
pub(crate) fn python() -> Result<PathBuf> {
    let root = packages::ensure_python("openapi-python-client", REQUIREMENTS)?;
    Ok(packages::python_in(&root))
}
