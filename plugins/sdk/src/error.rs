//! The error of jobs and capabilities, and its context.

use std::fmt;

use serde_json::Value;

pub use crate::bindings::atlashub::plugin::types::ErrorCode;

/// The result of a job or of a call to a capability.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The reason why a call or a run failed.
///
/// The `?` operator converts every [`std::error::Error`] to an `Error` with the code [`ErrorCode::Failed`]. For this
/// conversion to exist, `Error` itself does not implement that trait.
///
/// A run that fails with `Denied`, `Invalid`, `NotFound` or `TooLarge` is not retried.
#[derive(Clone, PartialEq)]
pub struct Error {
    /// The kind of the error.
    pub code: ErrorCode,
    /// One or two sentences that say what failed and what to do about it. The message is shown to the owner and stored
    /// in the run history, so it must not contain secrets.
    pub message: String,
    /// Details for the run history: a JSON object, for example `{"httpStatus": 503}`.
    pub details: Option<Value>,
}

impl Error {
    /// Creates an error without details.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), details: None }
    }

    /// Creates an error with the code `Invalid`: the call or the parameters are wrong. The run is not retried.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::Invalid, message)
    }

    /// Creates an error with the code `Unavailable`: a service cannot be reached. A retry may succeed.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::Unavailable, message)
    }

    /// Creates an error with the code `NotFound`: something does not exist. The run is not retried.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::NotFound, message)
    }

    /// Creates an error with the code `Failed`: any other failure. A retry may succeed.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::Failed, message)
    }

    /// Adds details for the run history. `details` must be a JSON object.
    #[must_use]
    pub fn with_details(mut self, details: Value) -> Self {
        self.details = Some(details);
        self
    }

    /// Puts a description of the failed operation before the message, for example
    /// `dumping project:a: the connection was closed`.
    #[must_use]
    pub fn context(mut self, operation: impl fmt::Display) -> Self {
        self.message = format!("{operation}: {}", self.message);
        self
    }

    /// Returns whether the same operation may succeed later: the code is `Unavailable`, `Timeout` or `Conflict`.
    ///
    /// `Failed` is not one of these codes, although a run that fails with it is retried, see
    /// [`allows_retry`](Self::allows_retry).
    pub fn is_transient(&self) -> bool {
        matches!(self.code, ErrorCode::Unavailable | ErrorCode::Timeout | ErrorCode::Conflict)
    }

    /// Returns whether a run that fails with this error is retried, if its job has retries left: the code is not
    /// `Denied`, `Invalid`, `NotFound` or `TooLarge`.
    pub fn allows_retry(&self) -> bool {
        !matches!(self.code, ErrorCode::Denied | ErrorCode::Invalid | ErrorCode::NotFound | ErrorCode::TooLarge)
    }
}

/// Adds a description of the failed operation to the error of a [`Result`].
pub trait Context<T> {
    /// Converts the error to an [`Error`] and puts `operation` before its message, see [`Error::context`]. The
    /// description is only formatted if there is an error.
    ///
    /// # Errors
    /// Returns the error with the description.
    fn context(self, operation: impl fmt::Display) -> Result<T>;
}

impl<T, E: Into<Error>> Context<T> for Result<T, E> {
    fn context(self, operation: impl fmt::Display) -> Result<T> {
        self.map_err(|error| error.into().context(operation))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.code, self.message)?;
        match &self.details {
            Some(details) => write!(f, " {details}"),
            None => Ok(()),
        }
    }
}

impl<E: std::error::Error> From<E> for Error {
    fn from(error: E) -> Self {
        let mut message = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            message = format!("{message}: {cause}");
            source = cause.source();
        }
        Self::failed(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<u32> {
        Ok(text.parse::<u32>()?)
    }

    #[test]
    fn lasting_errors_allow_no_retry() {
        for (code, expected) in [
            (ErrorCode::Denied, false),
            (ErrorCode::Invalid, false),
            (ErrorCode::NotFound, false),
            (ErrorCode::TooLarge, false),
            (ErrorCode::Conflict, true),
            (ErrorCode::Timeout, true),
            (ErrorCode::Unavailable, true),
            (ErrorCode::Failed, true),
        ] {
            assert_eq!(Error::new(code, "no").allows_retry(), expected, "{code:?}");
        }
    }

    #[test]
    fn question_mark_converts_standard_errors() {
        let error = parse("x").unwrap_err().context("reading the count");
        assert_eq!(error.code, ErrorCode::Failed);
        assert_eq!(error.message, "reading the count: invalid digit found in string");
        let error = "x".parse::<u32>().context("reading the count").unwrap_err();
        assert_eq!(error.message, "reading the count: invalid digit found in string");
        let error = parse("x").context("first").context("second").unwrap_err();
        assert_eq!(error.message, "second: first: invalid digit found in string");
    }
}
