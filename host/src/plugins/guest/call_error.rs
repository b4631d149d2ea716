//! The error of a host call.

use super::{
    FailureCause,
    bindings::types::{self, ErrorCode},
};

/// The reason why a host call failed.
///
/// A [`CallError::Failed`] is returned to the guest. Its message is shown to users, so it must not contain secrets or
/// internals. A [`CallError::Trap`] stops the run.
#[derive(Debug)]
pub enum CallError {
    Failed {
        code: ErrorCode,
        message: String,
        /// Details for the run's history: a JSON object.
        details: Option<serde_json::Value>,
        /// Cause for the server's log, see [`RunScope::log_failure`](super::RunScope::log_failure).
        cause: Option<Box<FailureCause>>,
    },
    Trap(wasmtime::Error),
}

impl CallError {
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self::Failed { code, message: message.into(), details: None, cause: None }
    }

    /// Adds the cause for the server's log. `kind` names the service that failed, for example `object store`.
    #[must_use]
    pub fn caused_by(self, kind: &'static str, cause: impl Into<String>) -> Self {
        match self {
            Self::Failed { code, message, details, .. } => {
                let cause = Some(Box::new(FailureCause { kind, cause: cause.into() }));
                Self::Failed { code, message, details, cause }
            }
            trap => trap,
        }
    }

    /// Returns the cause for the server's log, if there is one.
    pub fn cause(&self) -> Option<&FailureCause> {
        match self {
            Self::Failed { cause, .. } => cause.as_deref(),
            Self::Trap(_) => None,
        }
    }

    /// Adds details for the run's history. `new` must be a JSON object.
    pub fn with_details(mut self, new: serde_json::Value) -> Self {
        if let Self::Failed { details, .. } = &mut self {
            *details = Some(new);
        }
        self
    }

    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::Invalid, message)
    }

    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::NotFound, message)
    }

    pub fn too_large(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::TooLarge, message)
    }

    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::Unavailable, message)
    }

    /// Converts to the WIT error.
    ///
    /// # Errors
    /// Returns the error of a [`CallError::Trap`].
    pub fn into_wit(self) -> wasmtime::Result<types::Error> {
        match self {
            Self::Failed { code, message, details, .. } => {
                Ok(types::Error { code, message, details: details.map(|details| details.to_string()) })
            }
            Self::Trap(error) => Err(error),
        }
    }

    /// Converts to the WIT error, for errors that the guest receives by value, for example from a `future`. A trap
    /// becomes `failed`.
    pub fn into_wit_value(self) -> types::Error {
        self.into_wit().unwrap_or_else(|trap| types::Error {
            code: ErrorCode::Failed,
            message: trap.to_string(),
            details: None,
        })
    }
}

impl From<wasmtime::Error> for CallError {
    fn from(error: wasmtime::Error) -> Self {
        Self::Trap(error)
    }
}

/// The guest used an unknown handle, or opened too many handles.
impl From<wasmtime::component::ResourceTableError> for CallError {
    fn from(error: wasmtime::component::ResourceTableError) -> Self {
        Self::Trap(error.into())
    }
}
