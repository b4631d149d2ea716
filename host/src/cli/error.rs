//! The error of a command, with its exit code.

use std::process::ExitCode;

use crate::{
    config::ConfigError,
    db::{migrations::MigrationError, server::ServerError},
    embedded::EmbeddedError,
};

/// A failed command: one line for stderr, and the exit code.
#[derive(Debug)]
pub(super) struct CommandError {
    line: String,
    code: u8,
}

impl CommandError {
    pub(super) fn failed(line: impl Into<String>) -> Self {
        Self { line: line.into(), code: 1 }
    }

    fn configuration(line: impl Into<String>) -> Self {
        Self { line: line.into(), code: 2 }
    }

    /// Returns the message as one line.
    pub(super) fn line(&self) -> String {
        // Causes from other libraries may have several lines.
        self.line.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// Prints the error to stderr and returns the exit code.
    pub(super) fn report(&self) -> ExitCode {
        eprintln!("atlashub: {}", self.line());
        ExitCode::from(self.code)
    }
}

impl From<ConfigError> for CommandError {
    fn from(error: ConfigError) -> Self {
        Self::configuration(error.to_string())
    }
}

impl From<EmbeddedError> for CommandError {
    fn from(error: EmbeddedError) -> Self {
        match error {
            EmbeddedError::Config(error) => error.into(),
            EmbeddedError::NotTraversable { .. } => Self::configuration(error.to_string()),
            error => Self::failed(error.to_string()),
        }
    }
}

impl From<ServerError> for CommandError {
    fn from(error: ServerError) -> Self {
        Self::failed(error.to_string())
    }
}

impl From<MigrationError> for CommandError {
    fn from(error: MigrationError) -> Self {
        Self::failed(error.to_string())
    }
}

impl From<sqlx::Error> for CommandError {
    fn from(error: sqlx::Error) -> Self {
        Self::failed(format!("A query of the platform database failed: {error}."))
    }
}

/// Reports the whole chain of causes.
impl From<anyhow::Error> for CommandError {
    fn from(error: anyhow::Error) -> Self {
        Self::failed(format!("{error:#}."))
    }
}
