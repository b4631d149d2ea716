//! The errors of the embedded services.

use std::path::{Path, PathBuf};

use crate::config::ConfigError;

/// An error of the embedded services: one line with the problem, and the remedy if one is known.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddedError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(
        "The data folder {} is in use by another atlashub{}: stop it, or set ATLASHUB_DATA_DIR to another folder.",
        folder.display(),
        pid.map(|pid| format!(" (process {pid})")).unwrap_or_default()
    )]
    InUse { folder: PathBuf, pid: Option<u32> },
    #[error("{} can't be used ({cause}): {remedy}.", path.display())]
    Path { path: PathBuf, cause: std::io::Error, remedy: &'static str },
    #[error(
        "Postgres must run as the user `{user}`, who can't access the folder {}: run `chmod o+x {}`, or use another \
         folder: ATLASHUB_DATA_DIR sets that of the data, ATLASHUB_POSTGRES_BIN_DIR that of Postgres's programs.",
        folder.display(),
        folder.display()
    )]
    NotTraversable { folder: PathBuf, user: String },
    #[error(
        "Postgres can't run as root, and neither of the users `postgres` and `nobody` exists: create one of them, or \
         start atlashub as an ordinary user."
    )]
    NoAccount,
    #[error("{0}")]
    Binaries(String),
    #[error("{program} failed: {output}.")]
    Program { program: &'static str, output: String },
    #[error("The embedded Postgres did not start: {reason} (its log: {}).", log.display())]
    NotStarted { reason: String, log: PathBuf },
    #[error(
        "The atlashub that uses the data folder {} has not finished its first start: try again in a moment.",
        folder.display()
    )]
    Incomplete { folder: PathBuf },
    #[error("The embedded store did not start: {0}.")]
    Store(String),
}

impl EmbeddedError {
    /// Returns a function that converts the error of a file system operation. `remedy` is a clause without a full stop.
    pub(crate) fn path(path: &Path, remedy: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |cause| Self::Path { path, cause, remedy }
    }
}
