//! The reasons why a request has no result.

use api_types::ErrorDetail;

/// The reason why a request has no result.
#[derive(Debug, Clone, PartialEq)]
pub enum Failure {
    /// Nobody is signed in, or the sign-in has ended.
    SignedOut,
    /// The server did not respond.
    Unreachable,
    /// The server refused the request, or its response could not be read.
    Refused {
        status: u16,
        code: String,
        message: String,
        hint: Option<String>,
        request_id: Option<String>,
        details: Option<Box<serde_json::Value>>,
        /// Seconds after which the request may be retried, from the header `Retry-After`.
        retry_after: Option<u32>,
    },
}

impl Failure {
    pub(super) fn refused(status: u16, error: ErrorDetail, retry_after: Option<u32>) -> Self {
        Self::Refused {
            status,
            code: error.code,
            message: error.message,
            hint: error.hint,
            request_id: Some(error.request_id),
            details: error.details.map(Box::new),
            retry_after,
        }
    }

    /// Returns the failure for a response that could not be read.
    pub fn unreadable(reason: &str) -> Self {
        Self::Refused {
            status: 200,
            code: "unexpected_answer".to_owned(),
            message: format!("The server's response could not be read. {reason}"),
            hint: None,
            request_id: None,
            details: None,
            retry_after: None,
        }
    }

    /// Returns a message for the owner, with the reason and a hint if there is one.
    pub fn message(&self) -> String {
        match self {
            Self::SignedOut => "Your sign-in has ended.".to_owned(),
            Self::Unreachable => "The server did not respond. Check that it is running, then try again.".to_owned(),
            // Messages of Postgres have no full stop.
            Self::Refused { message, hint: Some(hint), .. } if !message.ends_with(['.', '?', '!', ':', ';']) => {
                format!("{message}. {hint}")
            }
            Self::Refused { message, hint: Some(hint), .. } => format!("{message} {hint}"),
            Self::Refused { message, .. } => message.clone(),
        }
    }

    /// Returns whether the same request may succeed later, for example after a new sign-in.
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::SignedOut | Self::Unreachable => true,
            Self::Refused { status, .. } => matches!(status, 408 | 429 | 500..),
        }
    }

    /// Returns whether the server may have carried out the request, although it failed here.
    pub fn is_outcome_unknown(&self) -> bool {
        match self {
            Self::SignedOut => false,
            Self::Unreachable => true,
            Self::Refused { code, .. } => {
                matches!(code.as_str(), "unexpected_answer" | "internal" | "unavailable")
            }
        }
    }

    /// Returns whether the server knows that nobody is signed in.
    pub fn is_unauthorized(&self) -> bool {
        matches!(self, Self::Refused { status: 401, .. })
    }

    /// Returns whether the requested resource does not exist.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused { status: 404, .. })
    }

    /// Returns whether the server forbids the request. Trying again does not help.
    pub fn is_forbidden(&self) -> bool {
        matches!(self, Self::Refused { status: 403, .. })
    }

    /// Returns the number of seconds after which the request may be retried.
    pub fn retry_after(&self) -> Option<u32> {
        match self {
            Self::Refused { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// Returns the `details` object of the error.
    pub fn details(&self) -> Option<&serde_json::Value> {
        match self {
            Self::Refused { details, .. } => details.as_deref(),
            _ => None,
        }
    }

    /// Returns the path of the request's field that the error is about, for example `source.filter`.
    pub fn field(&self) -> Option<&str> {
        self.details()?.get("field")?.as_str()
    }

    /// Returns the error code of the API.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Refused { code, .. } => Some(code),
            _ => None,
        }
    }

    /// Returns the id of the request, which is also in the server's log.
    pub fn request_id(&self) -> Option<&str> {
        match self {
            Self::Refused { request_id, .. } => request_id.as_deref(),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn message_and_hint_are_two_sentences() {
        let message = |message: &str| {
            let (code, message, request_id) = ("sql_error".to_owned(), message.to_owned(), String::new());
            let hint = Some("Nothing was run.".to_owned());
            Failure::refused(400, ErrorDetail { code, message, hint, details: None, request_id }, None).message()
        };
        assert_eq!(message("syntax error at end of input"), "syntax error at end of input. Nothing was run.");
        assert_eq!(message("The text is too long."), "The text is too long. Nothing was run.");
    }

    #[test]
    fn field_is_the_one_that_the_details_name() {
        let refused = |details| {
            let (code, message, request_id) = ("invalid_request".to_owned(), String::new(), String::new());
            Failure::refused(400, ErrorDetail { code, message, hint: None, details, request_id }, None)
        };
        assert_eq!(refused(Some(json!({ "field": "name" }))).field(), Some("name"));
        assert_eq!(refused(Some(json!({ "column": "name" }))).field(), None);
        assert_eq!(refused(None).field(), None);
        assert_eq!(Failure::Unreachable.field(), None);
    }
}
