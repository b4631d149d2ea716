use std::fmt;

use serde_json::Value;

#[cfg(any(target_arch = "wasm32", test))]
use crate::bindings::atlashub::plugin::types::Error as WitError;
pub use crate::bindings::atlashub::plugin::types::ErrorCode;

/// What jobs and capabilities answer.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a call, or a whole run, failed.
///
/// Any error of the standard library's kind becomes one with `?` (code [`ErrorCode::Failed`]); that is also why this type is
/// not such an error itself. A run that fails with `Denied`, `Invalid` or `NotFound` is not tried again.
#[derive(Clone, PartialEq)]
pub struct Error {
    pub code: ErrorCode,
    /// One or two sentences that say what failed and what to do. Never a secret: it is shown and kept.
    pub message: String,
    /// A JSON object for the run's history, for example `{"httpStatus":503}`.
    pub details: Option<Value>,
}

impl Error {
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), details: None }
    }

    /// Repeating it will not help.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::Invalid, message)
    }

    /// A retry may help.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::Unavailable, message)
    }

    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::NotFound, message)
    }

    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::Failed, message)
    }

    #[must_use]
    pub fn with_details(mut self, details: Value) -> Self {
        self.details = Some(details);
        self
    }

    /// The same error with what was being done in front: `dumping project:a: the server went away`.
    #[must_use]
    pub fn context(mut self, doing: impl fmt::Display) -> Self {
        self.message = format!("{doing}: {}", self.message);
        self
    }

    /// Whether the same thing may work later.
    pub fn is_transient(&self) -> bool {
        matches!(self.code, ErrorCode::Unavailable | ErrorCode::Timeout | ErrorCode::Conflict)
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

/// As the host sends it.
#[cfg(any(target_arch = "wasm32", test))]
pub(crate) fn from_wit(error: WitError) -> Error {
    Error {
        code: error.code,
        message: error.message,
        details: error.details.and_then(|details| serde_json::from_str(&details).ok()),
    }
}

#[cfg(target_arch = "wasm32")]
pub(crate) fn into_wit(error: Error) -> WitError {
    WitError { code: error.code, message: error.message, details: error.details.map(|details| details.to_string()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<u32> {
        Ok(text.parse::<u32>()?)
    }

    #[test]
    fn errors_of_the_standard_library_pass_with_a_question_mark() {
        let error = parse("x").unwrap_err().context("reading the count");
        assert_eq!(error.code, ErrorCode::Failed);
        assert_eq!(error.message, "reading the count: invalid digit found in string");
    }

    #[test]
    fn details_come_through_as_json() {
        let wit = WitError {
            code: ErrorCode::Unavailable,
            message: "no".to_owned(),
            details: Some("{\"httpStatus\":503}".to_owned()),
        };
        let error = from_wit(wit);
        assert!(error.is_transient());
        assert_eq!(error.details, Some(serde_json::json!({"httpStatus": 503})));
    }
}
